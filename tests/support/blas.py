"""How many threads a matrix product has at the moment, asked of the library itself."""

import ctypes
import os

from miniframe.backend import fast_blas


def threads() -> int:
    """Of the fast BLAS where it is in place, else 1."""
    if not fast_blas.status().startswith("OpenBLAS"):
        return 1
    import scipy_openblas32 as blas

    path = os.path.join(blas.get_lib_dir(), blas.get_library(fullname=True))
    return ctypes.CDLL(path).scipy_openblas_get_num_threads()  # loaded already: the same library
