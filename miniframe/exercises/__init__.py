"""Exercises that check themselves, offline: ``miniframe exercises``, ``miniframe exercises start 4.2``,
``miniframe check 4.2``.

A check compares the learner's gradient with differences, and says which classic mistake it looks like. It never says
the answer. Answers run in a process of their own, whatever they do there: ``files.py`` and ``sandbox.py`` are the
learner's path, ``examine.py`` judges one answer, ``grading.py`` a class.
"""

from .catalogue import CATALOGUE as CATALOGUE
from .catalogue import get as get
from .exercise import Exercise as Exercise
from .exercise import Verdict as Verdict
from .exercise import Wrong as Wrong
from .files import check as check
from .files import start as start
from .grading import grade as grade
