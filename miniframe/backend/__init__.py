"""The ground: what miniframe computes with, and the processes that compute together."""

from .machine import blas as blas
from .machine import device as device
from .machine import info as info
