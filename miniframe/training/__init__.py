"""Training: the step, the loops around it, history, callbacks and progress."""

from . import evaluation as evaluation  # teaches Module: evaluate, predict
from . import fit as fit  # teaches Module: fit
