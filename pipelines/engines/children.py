"""The pool of child processes that does the work of every stage on one machine.

A child that dies costs one try of one slice, not the job, and a child that hangs can be ended:
threads and in-process runners offer neither. The deadline is on progress, not on time: a slice may
take hours, as long as its ticks move. A child takes a second to start, so the pool is kept from
stage to stage. What a child does is in `child`; no Beam in here.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import pebble

from pipelines.engines import child, interrupt
from pipelines.progress.ticks import Tick, new_tick_file, read_tick
from pipelines.stages.stage import Task
from shards.errors import UserError

MAX_TRIES = 2
"""Tries of one slice before it is set aside."""

MAX_STARTS = 3
"""Tries to start the pool."""

MAX_DEATHS = 10
"""Children that may end before any of them takes up a task."""

ENDED = "each of them ended before it took up a slice"

START_S = float(os.environ.get("CORPUSMILL_START_S", "180"))
"""Seconds after which a task must have been taken up by some child. A child starts in seconds, on
a machine that does much else in tens of them."""

STALL_S = float(os.environ.get("CORPUSMILL_STALL_S", "600"))
"""Seconds without a tick after which a child is ended. The slowest honest record is a page at the
parser's safety deadline of 100 s, tried twice."""

_pool: tuple[int, pebble.ProcessPool] | None = None
"""The number of children, and the pool."""

_pool_lock = threading.RLock()
"""An engine may run several bundles at once, in threads of one process: they share the pool."""


T = TypeVar("T", bound=Task)

R = TypeVar("R")


@dataclass
class Attempt(Generic[T, R]):
    """One try of one task, the `number`-th, from 1.

    `ticks` is the path of its tick file; `pool` has the children, None without any. `began` is the
    time at which a child took it up, 0.0 before; `moved` is the time of the last change of its
    ticks, 0.0 before the first look.
    """

    task: T
    number: int
    future: "Future[R]"
    ticks: str
    pool: pebble.ProcessPool | None = None
    began: float = 0.0
    seen: Tick = field(default_factory=Tick)
    moved: float = 0.0

    def stalled(self) -> bool:
        """True when the child has not ticked for `STALL_S`; to be asked again and again."""
        now = time.monotonic()
        tick = read_tick(self.ticks)
        if tick != self.seen or not self.moved:
            self.seen = tick
            self.moved = now
        return now - self.moved > STALL_S

    def lost(self) -> bool:
        """True when the pool broke without a word about this attempt, which would wait for ever."""
        is_broken = self.pool is not None and not self.pool.active
        return is_broken and not self.future.done()

    def end(self) -> Tick:
        """Remove the tick file and return its last content."""
        tick = read_tick(self.ticks)
        if os.path.exists(self.ticks):
            os.unlink(self.ticks)
        return tick


class Starts:
    """Watches whether any child comes up: the pool replaces those that end for ever, without a word
    and without a task being taken up."""

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.seen: set[int] = set()

    def look(self, at_work: bool) -> None:
        """To be called again and again while tasks wait; `at_work`: a child has one of them.

        Raises `UserError` (exit 3) where no child can be started.
        """
        if at_work:
            self.since = time.monotonic()
            self.seen.clear()
            return

        alive = {process.pid or 0 for process in multiprocessing.active_children()}
        self.seen |= alive
        if len(self.seen - alive) > MAX_DEATHS:
            raise cannot_start(ENDED)
        if time.monotonic() - self.since > START_S:
            raise cannot_start(f"none has taken up a slice within {START_S:.0f} s")


def cannot_start(why: str) -> UserError:
    """The error of a machine on which no child can be started."""
    limit = "CORPUSMILL_WORKER_MEMORY_GB, " if "CORPUSMILL_WORKER_MEMORY_GB" in os.environ else ""
    return UserError(
        f"no worker process can be started: {why}",
        f"look at what they print, and at the limits of memory and processes ({limit}ulimit -a, "
        "those of the container); --workers 0 does all work in this process",
        3,
    )


def why_broken(error: BaseException) -> str:
    """Why a pool broke before its children took up anything."""
    cause = error.__cause__ if isinstance(error, BrokenProcessPool) else error
    # A broken pipe only says that the other end is gone.
    if isinstance(cause, OSError) and not isinstance(cause, ConnectionError):
        return cause.strerror or str(cause)
    return ENDED


def default_workers() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def submit(workers: int, function: Callable[[T], R], task: T, number: int = 1) -> Attempt[T, R]:
    """Run `function(task)` in one of `workers` children; with 0 workers here and now."""
    ticks = new_tick_file(task.home)
    pool = None
    future: Future[R]
    if workers == 0:
        future = Future()
        try:
            future.set_result(child.run_ticking(function, task, ticks))
        except Exception as error:
            future.set_exception(error)
    else:
        pool, future = _schedule(workers, function, task, ticks)
    return Attempt(task, number, future, ticks, pool)


def _schedule(
    workers: int, function: Callable[[T], R], task: T, ticks: str
) -> "tuple[pebble.ProcessPool, Future[R]]":
    """Hand a task to the pool. Raises `UserError` (exit 3) where pool after pool breaks."""
    for _ in range(MAX_STARTS):
        pool = _get_pool(workers)
        try:
            return pool, pool.schedule(child.run_ticking, args=(function, task, ticks))
        except RuntimeError:  # the pool broke since it was started
            if pool.active:
                raise
    raise cannot_start(ENDED)


def explain_failure(error: BaseException) -> tuple[str, str]:
    """(one line, trace or "") about an attempt that failed."""
    if isinstance(error, child.SliceError):
        line, trace = error.args
        return str(line), str(trace)
    if isinstance(error, pebble.ProcessExpired):
        return _explain_death(int(error.exitcode or 0)), ""
    if isinstance(error, CancelledError):
        return f"no progress for {STALL_S:.0f} s", ""
    return f"{type(error).__name__}: {error}", ""


def _explain_death(exit_code: int) -> str:
    if exit_code >= 0:
        return f"its process ended with {exit_code}"

    name = signal.Signals(-exit_code).name
    # The kernel ends a process by SIGKILL when memory runs out.
    reason = ", perhaps because memory ran out" if name == "SIGKILL" else ""
    return f"its process was killed by {name}{reason}"


def stop() -> None:
    """End the children."""
    global _pool
    with _pool_lock:
        if _pool is not None:
            _pool[1].stop()
            _pool[1].join()
            _pool = None


interrupt.at_end(stop)


# --- starting the pool


def _get_pool(workers: int) -> pebble.ProcessPool:
    with _pool_lock:
        if _pool is None or _pool[0] != workers or not _pool[1].active:
            stop()
            _start_pool(workers)
            if interrupt.interrupted.is_set():
                raise KeyboardInterrupt
        assert _pool is not None
        return _pool[1]


def _start_pool(workers: int) -> None:
    """Set `_pool` to one whose children are started. Raises `UserError` (exit 3) when that failed
    every time."""
    global _pool
    others = set(multiprocessing.active_children())
    # Children, and the threads that start more of them, begin with the signals blocked, and the
    # handler does not raise meanwhile: a Ctrl-C would leave a child half started, or a pool that
    # `stop` does not know. `child.start` unblocks the signals there.
    interrupt.starting = True
    before = signal.pthread_sigmask(signal.SIG_BLOCK, child.SIGNALS)
    try:
        for number in range(1, MAX_STARTS + 1):
            try:
                _pool = (workers, _new_pool(workers))
                break
            except (OSError, BrokenProcessPool) as error:
                # A child, or multiprocessing's own tracker of resources, was killed as it started.
                # Those that did start would wait for work for ever.
                for process in set(multiprocessing.active_children()) - others:
                    process.kill()
                    process.join()
                if number == MAX_STARTS:
                    raise cannot_start(why_broken(error)) from None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        interrupt.starting = False


def _new_pool(workers: int) -> pebble.ProcessPool:
    """A pool whose children are started from a thread that stays: a child is killed when the thread
    that began it ends."""
    pool = pebble.ProcessPool(
        max_workers=workers,
        context=multiprocessing.get_context("spawn"),
        initializer=child.start,
        initargs=(os.getpid(), list(sys.path)),
    )
    begun: Future[bool] = Future()
    threading.Thread(target=_begin_children, args=(pool, begun), daemon=True).start()
    assert begun.result()
    return pool


def _begin_children(pool: pebble.ProcessPool, begun: "Future[bool]") -> None:
    try:
        begun.set_result(pool.active)  # asking for this starts the children
    except BaseException as error:  # the waiting thread raises it
        begun.set_exception(error)
        return

    while pool.active:
        time.sleep(1.0)
