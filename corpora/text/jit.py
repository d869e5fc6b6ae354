"""The decorator of the numba kernels, with a cache on disk whose faults stop nothing.

A cache that cannot be written (a read-only container without a home), that is damaged (by a process
that was killed, or a power cut) or that has no room left is as if there were none: the kernels are
compiled anew in each process, which takes some seconds. A damaged one is replaced, and named once.
"""

# numba's cache is without types:
# mypy: disable-error-code="no-untyped-call"

import multiprocessing
import sys
from collections.abc import Callable
from typing import TypeVar, cast

import numba
from numba.core.caching import FunctionCache
from numba.core.compiler import CompileResult
from numba.core.dispatcher import Dispatcher

from corpora.text import compiling

F = TypeVar("F", bound=Callable[..., object])


def jit(function: F) -> F:
    """Compile a function without the interpreter lock, and cache it on disk if that is possible."""
    return _cached(function, numba.njit(nogil=True)(function))


def jit_part(function: F) -> F:
    """As `jit`, for the parts of a kernel that are called for every few bytes and make no array:
    their arguments' references are not counted, which takes longer than many of them work."""
    without_counting = numba.njit(nogil=True, _nrt=False)(function)  # type: ignore[call-overload]
    return _cached(function, without_counting)


def _cached(function: F, kernel: object) -> F:
    """The kernel with its cache on disk."""
    # With NUMBA_DISABLE_JIT=1 numba gives back the plain function, which has nothing to cache.
    if isinstance(kernel, Dispatcher):
        try:
            kernel._cache = KernelCache(function)  # type: ignore[attr-defined]
        except (RuntimeError, OSError):
            pass  # numba finds no folder that it can write to

    return cast(F, kernel)


class KernelCache(FunctionCache):
    """numba's cache of one kernel. (`trainer/jit.py` has one that also watches other files.)"""

    def load_overload(self, sig: object, target_context: object) -> CompileResult | None:
        """The kernel for these argument types, None where the cache does not hold it."""
        found = None
        try:
            found = cast(CompileResult | None, super().load_overload(sig, target_context))
        except Exception as error:  # whatever its reader raises: pickle, LLVM, the system
            self._start_anew(error)
        if found is None:
            compiling.tell_compiling()
        return found

    def save_overload(self, sig: object, data: CompileResult) -> None:
        """Keep a compiled kernel, where that is possible."""
        try:
            super().save_overload(sig, data)
        except Exception as error:  # no room, no rights, or a damaged index
            self._start_anew(error)

    def _start_anew(self, error: Exception) -> None:
        """Replace a damaged index by an empty one, so that the next process finds a whole cache."""
        warn(f"numba's cache in {self.cache_path} cannot be used and is made anew: {error}")
        try:
            self.flush()
        except OSError:
            pass


_warned: set[str] = set()


def warn(text: str) -> None:
    """Print a warning once, and not in the children of a pool, which all see the same."""
    if not _warned and multiprocessing.parent_process() is None:
        print(f"warning: {text}", file=sys.stderr)
    _warned.add(text)
