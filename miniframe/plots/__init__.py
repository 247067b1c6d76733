"""Pictures, one call each. Every function returns a matplotlib Figure: ``figure.savefig("name.png")`` keeps it.

A notebook shows the figure by itself; nothing opens a window. Needs matplotlib: ``pip install miniframe[figures]``.
"""

from .flight import flight as flight
from .functions import activations as activations
from .images import feature_maps as feature_maps
from .images import filters as filters
from .images import images as images
from .points import decision_regions as decision_regions
from .points import errors as errors
from .scores import confusion_matrix as confusion_matrix
from .training import curves as curves
from .training import gradient_flow as gradient_flow
from .training import schedules as schedules
