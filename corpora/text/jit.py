"""The decorator of the numba kernels.

Numba refuses `cache=True` at import if it can write no cache folder, as in a read-only container
without a home. Then the kernels are compiled anew in each process, which takes some seconds.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def jit(function: F) -> F:
    """Compile a function without the interpreter lock, and cache it on disk if that is possible."""
    try:
        return cast(F, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:
        return cast(F, numba.njit(nogil=True)(function))
