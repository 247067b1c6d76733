"""Imported before MLX: OpenBLAS takes the code for this very processor.

OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE make it take another processor's. That slows our products down and leaves the
rivals alone, so no benchmark runs with them. OpenBLAS looks at them once, when it is loaded, and so it does at the
number of its threads: one for benchmarks that are started with ``--one-core``.
"""

import os
import sys

ONE_CORE = "--one-core" in sys.argv

for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(variable, None)
if ONE_CORE:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
