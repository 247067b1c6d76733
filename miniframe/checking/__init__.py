"""Proof that a backward is right: compare it with central differences in double precision.

The derivative of f along one coordinate is (f(w + h) - f(w - h)) / 2h, up to an error of order h². It needs no
calculus, only forward passes, so it cannot share a mistake with the backward that it judges.
"""

from .compare import Comparison as Comparison
from .compare import compare_gradients as compare_gradients
from .gradients import check_gradients as check_gradients
from .report import Report as Report
from .report import Row as Row
