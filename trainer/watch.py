"""A thread that ends this process, in words, when it hangs.

Python runs a signal handler in the main thread, between two steps of Python. A rank that waits in a
collective for one that never comes is in C, so no handler runs and neither Ctrl-C nor SIGTERM ends
it. The operating system still writes each signal's number to a pipe (`signal.set_wakeup_fd`), and
this thread reads it.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from shards import console
from shards.errors import UserError
from trainer.display import report
from trainer.wording import duration

PACKAGE = Path(__file__).parent

# Seconds between two looks at how long the main thread has been waiting.
TICK = 1.0

# Signals so soon after the last one are the same: timeout(1) sends each of its own twice.
SAME = 1.0

# Seconds that the main thread has to end by itself after the signal that ends it.
GRACE = 3.0

# Seconds after a first signal in which the other ranks have to come to the end of a batch.
PATIENCE = 60.0

RESUME = "look at the other ranks for the cause, then run the command again with --resume"


class Watch:
    """Ends the process when the main thread has waited for other ranks longer than `minutes`, a
    minute after a first signal, or at a second signal, where it does not end by itself.

    `saves` is whether a first signal is answered by saving the run; otherwise it ends the process.
    `signalled` counts the signals, where those within a second are one. Made in the main thread.
    """

    def __init__(self, minutes: float) -> None:
        self.saves = False
        self.signalled = 0

        self._limit = minutes * 60
        self._wait: tuple[str, float, bool] | None = None
        self._last_signal = 0.0
        self._number = 0

        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._thread.start()

    @contextlib.contextmanager
    def waiting(self, what: str, patient: bool = True) -> Iterator[None]:
        """Note that the main thread waits for the other ranks to do `what`. Where it is not
        `patient`, it waits for a minute at most after a first signal."""
        self._wait = (what, time.monotonic(), patient)
        try:
            yield
        finally:
            self._wait = None

    def close(self) -> None:
        """End the thread."""
        signal.set_wakeup_fd(self._before)
        os.close(self._write)
        self._thread.join(timeout=10)
        os.close(self._read)

    # --- in the thread

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._read], [], [], TICK)
            if ready:
                numbers = os.read(self._read, 64)
                if not numbers:
                    return  # closed
                for number in numbers:
                    self._take(number)
            self._look()

    def _take(self, number: int) -> None:
        """Count a signal."""
        if number not in (signal.SIGTERM, signal.SIGINT):
            return
        now = time.monotonic()
        if not self.signalled or now - self._last_signal > SAME:
            self.signalled += 1
            self._last_signal = now
            self._number = number

    def _look(self) -> None:
        """End the process where its time is over."""
        now = time.monotonic()
        since_signal = now - self._last_signal
        if self.signalled > int(self.saves) and since_signal > GRACE:
            self._end(f"ended by a signal, without saving: {self._place(now)}")

        wait = self._wait
        if wait is None:
            return
        _, since, patient = wait
        if now - since > self._limit:
            self._end(f"gave up: {self._place(now)}")
        if self.signalled and not patient and min(now - since, since_signal) > PATIENCE:
            self._end(f"ended a minute after a signal, without saving: {self._place(now)}")

    def _place(self, now: float) -> str:
        """What the main thread is at, in words."""
        wait = self._wait
        if wait is not None:
            what, since, _ = wait
            return f"waited {duration(now - since)} for the other ranks to {what}"

        frame = sys._current_frames().get(threading.main_thread().ident or 0)
        while frame is not None:
            path = Path(frame.f_code.co_filename)
            if path.is_relative_to(PACKAGE):
                inner = path.relative_to(PACKAGE)
                return f"in trainer/{inner}, line {frame.f_lineno} ({frame.f_code.co_name})"
            frame = frame.f_back
        return "outside the trainer"

    def _end(self, what: str) -> None:
        """Say it and end the process, whatever the main thread is at."""
        code = console.INTERRUPTED if self._number == signal.SIGINT else 1
        report(UserError(what, RESUME, code))
        os._exit(code)
