"""Says that kernels are being compiled: seconds in which nothing else seems to happen.

Without numba, so that every process may import it.
"""

import multiprocessing
import sys
from collections.abc import Callable

COMPILING = "compiling kernels, which takes some ten seconds the first time"


def say_on_terminal(text: str) -> None:
    """Print a line where somebody watches; not in the children of a pool."""
    if sys.stderr.isatty() and multiprocessing.parent_process() is None:
        print(text, file=sys.stderr, flush=True)


tell: Callable[[str], None] = say_on_terminal
"""What is told; a child of a pool sets what its parent displays."""

_told = False


def tell_compiling() -> None:
    """Say, once in a process, that kernels are compiled."""
    global _told
    if not _told:
        _told = True
        tell(COMPILING)
