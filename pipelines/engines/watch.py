"""The watch over a job on an engine elsewhere: ends one that nobody works on any more.

An engine can wait for ever without a word for a worker that stands still or has died. So every
worker says that it lives (`heartbeat`), and a job none of whose workers has said anything for
`Engine.stall_s` is ended with one line that says so. This is for the workers themselves: a worker
ends a child of its own that stands still (`children.STALL_S`).
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipelines.engines import interrupt, spark
from pipelines.engines.engine import DOCS, Engine
from pipelines.engines.errors import RESUME
from pipelines.engines.heartbeat import read_beats
from pipelines.engines.probe import PROBE_S
from pipelines.engines.session import Session, this_worker
from pipelines.home.layout import Home
from pipelines.progress.board import board
from shards.errors import UserError
from shards.storage import files

BEGIN_S = 110.0
"""Seconds that an engine gets at least until its first worker says something."""

GRACE_S = 15.0
"""Seconds that the driver gets to stop once a job is ended; then its process is ended."""

LOOK_S = 1.0

LOOK_AT_STORE_S = 5.0
"""How often to look for signs of life on an object store, where each look is a request."""


class Watch:
    """Watches over a job from a thread of its own, since the engine has the main thread.

    `verdict` is why the job was ended, if it was. `deaths` are the errors that threads of the
    engine died of. `workers` are those that did slices, as "host-pid".
    """

    def __init__(self, home: Home, engine: Engine, session: Session) -> None:
        self.home = home
        self.engine = engine
        self.session = session
        self.verdict: UserError | None = None
        self.workers: set[str] = set()
        self.deaths: list[str] = []
        self._stop = threading.Event()

    @contextmanager
    def over(self) -> Iterator[None]:
        """Watch while the block runs. To end the job, KeyboardInterrupt is raised in the main
        thread, as for Ctrl-C."""
        thread = threading.Thread(target=self._run, daemon=True)
        hook = threading.excepthook
        threading.excepthook = self.thread_failed
        thread.start()
        try:
            yield
            # Not after an error: Beam's threads go on dying for a while.
            threading.excepthook = hook
        finally:
            self._stop.set()
            thread.join(2 * PROBE_S)
            self._look()

    def _run(self) -> None:
        seen: list[tuple[str, int]] = []
        moved = time.monotonic()
        every = LOOK_AT_STORE_S if files.is_remote(self.home.root) else LOOK_S
        while not self._stop.wait(every):
            beats = self._look()
            if beats and beats != seen:
                seen = beats
                moved = time.monotonic()

            patience = self.engine.stall_s if seen else self._begin_s
            if time.monotonic() - moved > patience:
                self._end(self._silence() if seen else self._no_begin())
                return

    @property
    def _begin_s(self) -> float:
        return max(self.engine.stall_s, BEGIN_S)

    def _look(self) -> list[tuple[str, int]]:
        """Take the last signs of life to the display; (worker, beat) of each, which change with
        every sign."""
        try:
            beats = read_beats(self.home, self.session)
        except OSError:
            return []  # a store is away for a moment: the deadline runs on

        self.workers |= {beat["worker"] for beat in beats if beat["finished"][0]}
        board.others = [beat for beat in beats if beat["worker"] != this_worker()]
        return sorted((beat["worker"], beat["beat"]) for beat in beats)

    def _silence(self) -> UserError:
        return UserError(
            f"{self.engine.runner}: no worker has made progress for {self.engine.stall_s:.0f} s: "
            "the job is ended",
            "see the engine's log for a worker or machine that stands still, end it, "
            f"and {RESUME}; {DOCS}",
            1,
        )

    def _no_begin(self) -> UserError:
        return UserError(
            f"{self.engine.runner}: no worker has begun within {self._begin_s:.0f} s: "
            "the job is ended",
            f"check that there are executors with free cores, {self._spark_version()}and on each "
            "of them a worker pool or boot program whose Python has corpusmill and this "
            f"apache-beam. Its log says more; {DOCS}",
            3,
        )

    def _spark_version(self) -> str:
        """Which Spark the executors must have, where that matters: those of another minor version
        wait without a word."""
        if self.engine.runner != "SparkRunner" or self.engine.has_local_spark:
            return ""
        version = spark.jar_version(self.engine.options.get("spark_job_server_jar", ""))
        if not version:
            return "of the jar's Spark, "
        return f"of Spark {spark.minor(version)} as the jar has it, "

    def thread_failed(self, thread: "threading.ExceptHookArgs") -> None:
        """In place of `threading.excepthook`: note the error instead of printing its trace, since
        the driver reports it in one line.

        For a worker process of FnApiRunner it is the only sign that the process has died; after it
        that runner waits for ever.
        """
        error = f"{thread.exc_type.__name__}: {thread.exc_value}"
        self.deaths.append(error)
        if "Worker subprocess exited" in error:
            verdict = UserError(
                f"{self.engine.runner}: {str(thread.exc_value)[:200]}: "
                "this engine tries no task again",
                f"{RESUME}; {DOCS}",
                1,
            )
            threading.Thread(target=self._end, args=(verdict,), daemon=True).start()

    def _end(self, verdict: UserError) -> None:
        """End the job; when that takes longer than `GRACE_S`, end this process."""
        if self._stop.is_set():
            return

        self.verdict = verdict
        interrupt.abandoned = True
        # The command's handler of SIGTERM raises KeyboardInterrupt; without one Python's own of
        # SIGINT does.
        handled = callable(signal.getsignal(signal.SIGTERM))
        main = threading.main_thread().ident or 0
        signal.pthread_kill(main, signal.SIGTERM if handled else signal.SIGINT)

        if not self._stop.wait(GRACE_S):
            print(f"error: {verdict.what}\nhint: {verdict.hint}", file=sys.stderr, flush=True)
            os._exit(verdict.exit_code)


def within(seconds: float, function: Callable[[], object]) -> None:
    """Call a function that may wait for ever, and leave it behind after `seconds`."""

    def call() -> None:
        try:
            function()
        except Exception:  # an engine that is gone may raise anything
            return

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
