"""The lab: a network while it learns, live, with every value and every gradient, in a browser or a notebook.

``miniframe lab`` opens it; ``mf.lab.open(model, x, y, loss, optimizer)`` shows a model of one's own. Needs the extra
``lab``; ``Record`` needs nothing.
"""

from . import mistakes as mistakes
from .notebook import widget as widget
from .opening import open as open
from .record import Record as Record
