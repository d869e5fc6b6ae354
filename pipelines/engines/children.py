"""The pool of child processes that does the work of every stage on one machine.

A child that dies costs one try of one slice, not the job, and a child that hangs can be ended:
threads and in-process runners offer neither. The deadline is on progress, not on time: a slice may
take hours, as long as its ticks move. This module is imported by the children and must stay free of
Beam. The pool is kept from stage to stage, since a child takes a second to start.
"""

import ctypes
import errno
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any, Protocol

import pebble

from pipelines.engines import interrupt
from pipelines.progress.ticks import Tick, new_tick_file, open_ticks, read_tick, tell_peak
from shards.errors import UserError

MAX_TRIES = 2

MAX_STARTS = 3

STALL_S = float(os.environ.get("CORPUSMILL_STALL_S", "600"))
"""A child whose ticks have not moved for so long is ended. The slowest honest record is a page at
the parser's safety deadline of 100 s, tried twice."""

_PR_SET_PDEATHSIG = 1

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_pool: tuple[int, pebble.ProcessPool] | None = None

_pool_lock = threading.RLock()
"""An engine may run several bundles at once, in threads of one process: they share the pool."""


class Task(Protocol):
    """What a stage hands to a worker: picklable, small, and named. `size`: bytes of input, for the
    display."""

    @property
    def home(self) -> str: ...
    @property
    def stage(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...


@dataclass
class Job:
    """One try of one task. `began`: when a child took it up, 0.0 before; `moved`: when its ticks
    last changed."""

    task: Any
    attempt: int
    future: "Future[Any]"
    ticks: str
    began: float = 0.0
    seen: Tick = field(default_factory=Tick)
    moved: float = 0.0

    def stalled(self) -> bool:
        """True when the child has not ticked for `STALL_S`."""
        now, found = time.monotonic(), read_tick(self.ticks)
        if found != self.seen or not self.moved:
            self.seen, self.moved = found, now
        return now - self.moved > STALL_S

    def end(self) -> Tick:
        """Remove the tick file; what it held last."""
        found = read_tick(self.ticks)
        if os.path.exists(self.ticks):
            os.unlink(self.ticks)
        return found


def default_workers() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def submit(workers: int, function: Callable[[Any], Any], task: Any, attempt: int = 1) -> Job:
    """Run `function(task)` in one of `workers` children; with 0 workers here and now."""
    ticks = new_tick_file(task.home)
    if workers == 0:
        future: Future[Any] = Future()
        try:
            future.set_result(run_ticking(function, task, ticks))
        except Exception as error:
            future.set_exception(error)
    else:
        future = _get_pool(workers).schedule(run_ticking, args=(function, task, ticks))
    return Job(task, attempt, future, ticks)


def run_ticking(function: Callable[[Any], Any], task: Any, ticks: str) -> Any:
    """`run`, with `progress.tick` going to a file. An error that is no user's keeps its trace as
    text: the parent may not have the class."""
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


_is_child = False


def _forget_peak() -> None:
    """In a child of the pool: what the slice before took is not this one's. Linux alone can;
    elsewhere it stays the highest."""
    if _is_child and sys.platform == "linux":
        try:
            with open("/proc/self/clear_refs", "w") as stream:
                stream.write("5")
        except OSError:
            pass


def _peak() -> int:
    """Bytes of memory that this process held at most, and its own children with it."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: in bytes
    pids = ["self"]
    try:
        for thread in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{thread}/children") as stream:
                pids += stream.read().split()
    except OSError:  # a kernel without this file: the children are left out
        pass
    return sum(map(_high_water, pids))


def _high_water(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/status") as stream:
            found = [line.split()[1] for line in stream if line.startswith("VmHWM:")]
    except OSError:
        return 0
    return int(found[0]) * 1024 if found else 0


class SliceError(Exception):
    """What a slice raised: one line, and the trace."""


def why(error: BaseException, job: Job) -> tuple[str, str]:
    """(one line, more) about a try that failed."""
    if isinstance(error, SliceError):
        return str(error.args[0]), str(error.args[1])
    if isinstance(error, pebble.ProcessExpired):
        code = int(error.exitcode or 0)
        if code < 0:
            name = signal.Signals(-code).name
            return f"its process was killed by {name}" + (
                ", perhaps for want of memory" if name == "SIGKILL" else ""
            ), ""
        return f"its process ended with {code}", ""
    if isinstance(error, CancelledError):
        return f"no progress for {STALL_S:.0f} s", ""
    return f"{type(error).__name__}: {error}", ""


def run(function: Callable[[Any], Any], task: Any) -> Any:
    """`function(task)`, with what the machine can do to it as an error that a user can mend."""
    try:
        return function(task)
    except OSError as error:
        remedy = {
            errno.ENOSPC: "make room and run the same command again: what is done is kept",
            errno.EDQUOT: "raise the quota and run the same command again: what is done is kept",
            errno.EACCES: "choose a home that you may write to",
            errno.EPERM: "choose a home that you may write to",
            errno.EROFS: "choose a home that you may write to",
        }.get(error.errno or 0)
        if remedy is None:
            raise
        where = error.filename or getattr(
            task, "home", task if isinstance(task, str) else "the home"
        )
        if (
            error.errno in (errno.EACCES, errno.EPERM)
            and isinstance(where, str)
            and os.path.exists(where)
            and not os.access(where, os.R_OK)
        ):
            remedy = "give yourself the right to read it"
        raise UserError(f"{where}: {error.strerror or error}", remedy, 3) from None


def _get_pool(workers: int) -> pebble.ProcessPool:
    with _pool_lock:
        return _started_pool(workers)


def _started_pool(workers: int) -> pebble.ProcessPool:
    global _pool
    if _pool is None or _pool[0] != workers or not _pool[1].active:
        stop()
        # Children, and the threads that start more of them, are begun with the signals blocked and
        # not raised here: a
        # Ctrl-C meanwhile would leave a child half made. `_start_child` unblocks them.
        interrupt.starting = True
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            for attempt in range(MAX_STARTS):
                try:
                    _pool = (workers, _new_pool(workers))
                    break
                # a child, or multiprocessing's own tracker of resources, was killed while it began
                except OSError:
                    if attempt == MAX_STARTS - 1:
                        raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            interrupt.starting = False
        if interrupt.interrupted.is_set():
            raise KeyboardInterrupt
    assert _pool is not None
    return _pool[1]


def _new_pool(workers: int) -> pebble.ProcessPool:
    """A pool whose children are begun: from a thread that stays, since a child ends with the thread
    that began it."""
    context = multiprocessing.get_context("spawn")
    pool = pebble.ProcessPool(
        max_workers=workers,
        context=context,
        initializer=_start_child,
        initargs=(os.getpid(), list(sys.path)),
    )
    begun: Future[bool] = Future()
    threading.Thread(target=_begin_children, args=(pool, begun), daemon=True).start()
    assert begun.result()
    return pool


def _begin_children(pool: pebble.ProcessPool, begun: "Future[bool]") -> None:
    try:
        begun.set_result(pool.active)  # this starts it
    except BaseException as error:  # the thread that waits raises it
        begun.set_exception(error)
        return
    while pool.active:
        time.sleep(1.0)


def stop() -> None:
    """End the children."""
    global _pool
    with _pool_lock:
        if _pool is not None:
            _pool[1].stop()
            _pool[1].join()
            _pool = None


interrupt.at_end(stop)


def _start_child(parent: int, path: list[str]) -> None:
    """One core a child: the libraries' own threads would only get in each other's way. Ctrl-C is
    the parent's to handle, and a child ends with its parent, even one that is killed."""
    global _is_child
    _is_child = True
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)
    limit = memory_limit()
    if limit:
        resource.setrlimit(
            resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1])
        )
    sys.path[:] = path  # so that a user's own module is found here too
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    os.environ["FASTOKENS_BPE_THREADS"] = (
        "1"  # its own threads, two by default: a worker is one core's
    )
    import pyarrow

    pyarrow.set_cpu_count(1)


def memory_limit() -> int:
    """Bytes of data a child may hold, 0 for no limit: CORPUSMILL_WORKER_MEMORY_GB, default 8; past
    it the slice fails, not the machine."""
    return int(float(os.environ.get("CORPUSMILL_WORKER_MEMORY_GB", "8")) * 1e9)
