"""What runs in a child process of the pool: one task at a time, with one core and limited memory.

The pool (`children`) starts every child with `start`, which ties it to its parent: a child ends
with the process that began it, however that ends. `run_ticking` does one task. Linux alone can kill
a child with its parent and measure the memory of one task; elsewhere the measure is the highest so
far. No Beam in here.
"""

import ctypes
import errno
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from typing import TypeVar

from corpora.text import compiling
from pipelines.progress.ticks import note, open_ticks, tell_peak
from shards.errors import REMEDIES, UserError

A = TypeVar("A")

R = TypeVar("R")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What a user ends a build with. They are blocked while children are started."""

_PR_SET_PDEATHSIG = 1
"""From <sys/prctl.h>: the signal that this process gets when the thread that began it ends."""

_REMEDIES = {
    **REMEDIES,
    errno.EACCES: "choose a home that you may write to",
    errno.EPERM: "choose a home that you may write to",
}

_is_child = False


class SliceError(Exception):
    """What a slice raised, as text, since the parent may not have the class: (one line, trace)."""


def start(parent: int, path: list[str]) -> None:
    """Begin this child: `parent` is the process that began it, `path` that process's `sys.path`."""
    global _is_child
    _is_child = True
    _take_signals(parent)
    # The display shows what a slice does.
    compiling.tell = note

    limit = memory_limit()
    if limit:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))

    # A user's own module must be found here too.
    sys.path[:] = path
    _use_one_core()


def _take_signals(parent: int) -> None:
    # Ctrl-C is sent to the whole group; the parent handles it and ends its children.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _use_one_core() -> None:
    # The pool has one child per core, so threads of the libraries would only compete.
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    os.environ["FASTOKENS_BPE_THREADS"] = "1"
    import pyarrow

    pyarrow.set_cpu_count(1)


def memory_limit() -> int:
    """Bytes of data that a child may hold, 0 for no limit; beyond it the slice fails, not the
    machine. CORPUSMILL_WORKER_MEMORY_GB, by default 8."""
    return int(float(os.environ.get("CORPUSMILL_WORKER_MEMORY_GB", "8")) * 1e9)


def run_ticking(function: Callable[[A], R], task: A, ticks: str) -> R:
    """`run` with progress written to the tick file `ticks`, at the end also the highest memory use.

    Raises `UserError` for what a user can mend, and `SliceError` for everything else.
    """
    open_ticks(ticks)
    _forget_peak()
    try:
        return run(function, task)
    except UserError:
        raise
    except Exception as error:
        raise SliceError(f"{type(error).__name__}: {error}", traceback.format_exc()) from None
    finally:
        tell_peak(_peak())
        open_ticks(None)


def run(function: Callable[[A], R], task: A) -> R:
    """`function(task)`. Raises `UserError` (exit 3) for a full disk, missing rights, and other
    errors of the system."""
    try:
        return function(task)
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0)
        if remedy is None:
            raise

        # Engines also run functions whose argument is the address of a home.
        home = task if isinstance(task, str) else getattr(task, "home", "the home")
        place = error.filename or home
        if error.errno in (errno.EACCES, errno.EPERM) and _cannot_read(place):
            remedy = "give yourself the right to read it"
        raise UserError(f"{place}: {error.strerror or error}", remedy, 3) from None


def _cannot_read(place: object) -> bool:
    return isinstance(place, str) and os.path.exists(place) and not os.access(place, os.R_OK)


def _forget_peak() -> None:
    """Set the peak of this process back, so that `_peak` is that of the next task."""
    if _is_child and sys.platform == "linux":
        try:
            with open("/proc/self/clear_refs", "w") as stream:
                stream.write("5")  # proc(5): resets the "high water mark" of resident memory
        except OSError:
            pass


def _peak() -> int:
    """The most bytes of memory that this process held, with those of its own children."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS

    pids = ["self"]
    try:
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/children") as stream:
                pids += stream.read().split()
    except OSError:  # a kernel without this file: the children are left out
        pass
    return sum(_high_water(pid) for pid in pids)


def _high_water(pid: str) -> int:
    """The most bytes of resident memory that a process held; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/status") as stream:
            for line in stream:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0
