"""TODO-DOC pipelines/engines/watch.py."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipelines.engines import interrupt, spark
from pipelines.engines.engine import DOCS, Engine
from pipelines.engines.heartbeat import read_beats
from pipelines.engines.probe import PROBE_S
from pipelines.engines.session import Session, this_worker
from pipelines.home.layout import Home
from pipelines.progress import board
from shards.errors import UserError
from shards.storage import files

BEGIN_S = 110.0
"""What the first word may take at least: the engine starts."""

GRACE_S = 15.0
"""What the driver has to stop in, once a job is ended; then the process is."""


class Watch:
    """Watches over a job from a thread of its own, since the engine has this one. `verdict`: why
    the job was ended; `said`: what threads of the engine died of; `workers`: who did slices,
    "host-pid"."""

    def __init__(self, home: Home, engine: Engine, session: Session) -> None:
        self.home, self.engine, self.session = home, engine, session
        self.verdict: UserError | None = None
        self.workers: set[str] = set()
        self.said: list[str] = []
        self._stop = threading.Event()

    @contextmanager
    def over(self) -> Iterator[None]:
        """Watch while the block runs; a job that is to end is ended as Ctrl-C ends one, by
        KeyboardInterrupt in the main thread."""
        thread = threading.Thread(target=self._run, daemon=True)
        hook, threading.excepthook = threading.excepthook, self.thread_failed
        thread.start()
        try:
            yield
            threading.excepthook = hook  # after an error Beam's threads go on dying for a while
        finally:
            self._stop.set()
            thread.join(2 * PROBE_S)
            self._look()

    def _look(self) -> list[tuple[str, int]]:
        """What the workers said last, for the display; a mark of it that changes with every
        word."""
        try:
            beats = read_beats(self.home, self.session)
        except OSError:  # a store that is away for a moment: the deadline runs on
            return []
        self.workers |= {beat["worker"] for beat in beats if beat["finished"][0]}
        board.board.others = [beat for beat in beats if beat["worker"] != this_worker()]
        return sorted((beat["worker"], beat["beat"]) for beat in beats)

    def _run(self) -> None:
        seen: list[tuple[str, int]] = []
        moved = time.monotonic()
        every = 5.0 if files.is_remote(self.home.root) else 1.0
        while not self._stop.wait(every):
            mark = self._look()
            if mark and mark != seen:
                seen, moved = mark, time.monotonic()
            if time.monotonic() - moved > (
                self.engine.stall_s if seen else max(self.engine.stall_s, BEGIN_S)
            ):
                self._end(self._silence(bool(seen)))
                return

    def _silence(self, began: bool) -> UserError:
        seconds = self.engine.stall_s
        if began:
            return UserError(
                f"{self.engine.runner}: no worker has made progress for {seconds:.0f} s: the job is ended",
                f"see the engine's log for a worker or machine that stands still, end it, and run the same command again: what is done is kept; {DOCS}",
                1,
            )
        return UserError(
            f"{self.engine.runner}: no worker has begun within {max(seconds, BEGIN_S):.0f} s: the job is ended",
            f"are there executors with free cores, {self._of_spark()}and a worker pool or boot program on each, whose Python has corpusmill and this apache-beam? "
            f"Its log says more; {DOCS}",
            3,
        )

    def _of_spark(self) -> str:
        """What the executors' Spark must be, where that can matter: those of another minor version
        wait without a word."""
        if self.engine.runner != "SparkRunner" or self.engine._local_master:
            return ""
        ours = spark.jar_version(self.engine.options.get("spark_job_server_jar", ""))
        return (
            f"of Spark {spark.minor(ours)} as the jar has it, " if ours else "of the jar's Spark, "
        )

    def thread_failed(self, thread: "threading.ExceptHookArgs") -> None:
        """Instead of `threading.excepthook`: Beam's threads print traces of what is reported in one
        line; one of them is the only sign that a worker of FnApiRunner has died, after which that
        waits for ever."""
        self.said.append(f"{thread.exc_type.__name__}: {thread.exc_value}")
        if "Worker subprocess exited" in self.said[-1]:
            verdict = UserError(
                f"{self.engine.runner}: {str(thread.exc_value)[:200]}: this engine tries no task again",
                f"run the same command again: what is done is kept; {DOCS}",
                1,
            )
            threading.Thread(target=self._end, args=(verdict,), daemon=True).start()

    def _end(self, verdict: UserError) -> None:
        if self._stop.is_set():
            return
        self.verdict = verdict
        interrupt.abandoned = True
        handled = signal.getsignal(signal.SIGTERM)
        signal.pthread_kill(
            threading.main_thread().ident or 0,
            signal.SIGTERM if callable(handled) else signal.SIGINT,
        )
        if not self._stop.wait(GRACE_S):
            print(f"error: {verdict.what}\nhint: {verdict.hint}", file=sys.stderr, flush=True)
            os._exit(verdict.exit_code)


def within(seconds: float, function: Callable[[], object]) -> None:
    """Call a function that may wait for ever, and leave it behind after `seconds`."""

    def call() -> None:
        try:
            function()
        except Exception:  # asked of an engine that is gone, it may raise anything
            return

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
