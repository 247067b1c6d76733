"""Exercises that check themselves, offline: ``miniframe exercises``, ``miniframe exercises start 4.2``,
``miniframe check 4.2``.

A check compares the learner's gradient with differences, and says which classic mistake it looks like. It never says
the answer.
"""

from .catalogue import CATALOGUE as CATALOGUE
from .catalogue import get as get
from .exercise import Exercise as Exercise
from .exercise import Wrong as Wrong
from .files import check as check
from .files import start as start
