"""The pool of child processes that does the work of every stage on one machine.

A child that dies costs one task, not the job, and a child can be ended when it hangs: threads and in-process runners
offer neither. This module is imported by the children and must stay free of Beam. The pool is kept from stage to
stage, since a child takes a second to start.
"""

import errno
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import pebble

from shards.config import UserError

T = TypeVar("T")
_pool: tuple[int, pebble.ProcessPool] | None = None


def default_workers() -> int:
    """The cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def submit(workers: int, function: Callable[[Any], T], task: Any) -> "Future[T]":
    """Run `function(task)` in one of `workers` children; with 0 workers here and now."""
    if workers == 0:
        future: Future[T] = Future()
        try:
            future.set_result(run(function, task))
        except BaseException as error:
            future.set_exception(error)
        return future
    return _get_pool(workers).schedule(run, args=(function, task))  # type: ignore[no-any-return]


def run(function: Callable[[Any], T], task: Any) -> T:
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
        raise UserError(f"{error.filename or task}: {error.strerror}", remedy, 3) from None


def _get_pool(workers: int) -> pebble.ProcessPool:
    global _pool
    if _pool is None or _pool[0] != workers or not _pool[1].active:
        stop()
        context = multiprocessing.get_context("spawn")
        _pool = (workers, pebble.ProcessPool(max_workers=workers, context=context, initializer=_start_child, initargs=(list(sys.path),)))
    return _pool[1]


def stop() -> None:
    """End the children."""
    global _pool
    if _pool is not None:
        _pool[1].stop()
        _pool[1].join()
        _pool = None


def _start_child(path: list[str]) -> None:
    """One core a child: the libraries' own threads would only get in each other's way. Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path[:] = path  # so that a user's own module is found here too
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    import pyarrow

    pyarrow.set_cpu_count(1)
