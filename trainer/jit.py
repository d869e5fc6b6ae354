"""How the kernels are compiled: numba, with a cache on disk that knows every kernel file.

The machine code of a kernel holds that of the kernels it calls, but numba's cache looks only at the
file of the kernel itself: it would go on using an old `draw` inside `mask` after `chance.py` has
changed. Here every cached kernel depends on the bytes of all files of this package that hold a
kernel, so a change of one compiles all of them anew (some ten seconds, once). A constant that a
kernel reads must be defined in a file that holds a kernel.

A cache that cannot be written, is damaged or has no room left is as if there were none: the kernels
are compiled in each process, and a warning names the folder. Kernels are `nogil`, so that the
loader's thread runs beside the training step, and never `parallel`, so that their results do not
depend on the number of cores.
"""

# numba's cache is without types:
# mypy: disable-error-code="no-untyped-call"

import functools
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import numba
import numpy as np
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.compiler import CompileResult
from numba.core.dispatcher import Dispatcher
from numpy.typing import NDArray

Kernel = TypeVar("Kernel", bound=Callable[..., object])

Int = int | np.int64

COMPILING = "compiling kernels, which takes some ten seconds the first time"

Int64 = NDArray[np.int64]


def jit(function: Kernel) -> Kernel:
    """Compile a kernel at its first call, or load it from the cache where it is there."""
    kernel = numba.njit(nogil=True)(function)

    # With NUMBA_DISABLE_JIT=1 numba gives back the plain function, which has nothing to cache.
    if isinstance(kernel, Dispatcher):
        try:
            kernel._cache = KernelCache(function)  # type: ignore[attr-defined]
        except (RuntimeError, OSError):
            pass  # numba finds no folder that it can write to

    return cast(Kernel, kernel)


class KernelCache(FunctionCache):
    """numba's cache of one kernel, keyed by all kernel files, whose faults stop nothing."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(
            cache_path=self.cache_path,
            filename_base=self._impl.filename_base,
            source_stamp=(self._impl.locator.get_source_stamp(), kernel_sources()),
        )

    def load_overload(self, sig: object, target_context: object) -> CompileResult | None:
        """The kernel for these argument types, None where the cache does not hold it."""
        found = None
        try:
            found = cast(CompileResult | None, super().load_overload(sig, target_context))
        except Exception as error:  # whatever its reader raises: pickle, LLVM, the system
            self._start_anew(error)
        if found is None:
            tell_compiling()
        return found

    def save_overload(self, sig: object, data: CompileResult) -> None:
        """Keep a compiled kernel, where that is possible."""
        try:
            super().save_overload(sig, data)
        except Exception as error:  # no room, no rights, or a damaged index
            self._start_anew(error)

    def _start_anew(self, error: Exception) -> None:
        """Replace a damaged index by an empty one, so that the next process finds a whole cache."""
        if not _warned:  # one warning for all kernels, whose files lie in a few folders
            warning = f"numba's cache in {self.cache_path} cannot be used and is made anew: {error}"
            print(f"warning: {warning}", file=sys.stderr)

        _warned.add(self.cache_path)
        try:
            self.flush()
        except OSError:
            pass


_warned: set[str] = set()


@functools.cache
def tell_compiling() -> None:
    """Say, once and on a terminal only, why nothing else happens for some seconds."""
    if sys.stderr.isatty():
        print(COMPILING, file=sys.stderr, flush=True)


@functools.cache
def kernel_sources() -> str:
    """A digest of the bytes of every file of this package that holds a kernel."""
    digest = hashlib.blake2b(digest_size=16)

    for path in sorted(Path(__file__).parent.rglob("*.py")):
        source = path.read_bytes()
        if b"\n@jit\n" in source:
            digest.update(source)

    return digest.hexdigest()
