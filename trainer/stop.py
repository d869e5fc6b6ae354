"""When a run ends early: on SIGTERM, Ctrl-C or the time limit it drops the batch that it is at, and
saves."""

import math
import signal
import time
from types import FrameType

from shards.console import INTERRUPTED
from trainer.watch import SAME, Watch


class StopFlag:
    """Watches for signals and the time limit until `close`.

    The first signal is only noted, so that the run is saved; a second one ends at once, and `watch`
    sees to that where the main thread hangs. `asked` is set by the training loop once any rank
    wants to stop. `reason` and `exit_code` are those of this rank.
    """

    def __init__(self, max_hours: float, watch: Watch) -> None:
        self.asked = False
        self.reason = "stopped on another rank"
        self.exit_code = 1

        self._signalled = 0.0
        self._deadline = time.monotonic() + max_hours * 3600 if max_hours else math.inf
        self._before = {}
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._handle)
        watch.saves = True

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._signalled:
            if now - self._signalled > SAME:
                raise KeyboardInterrupt
            return

        self._signalled = now
        if number == signal.SIGINT:
            self.reason = "interrupted"
            self.exit_code = INTERRUPTED
        else:
            self.reason = "SIGTERM"
            self.exit_code = 1

    def wanted(self) -> bool:
        """Whether this rank wants to stop; asked before each micro-batch. Ranks agree by adding the
        answers up."""
        late = time.monotonic() > self._deadline
        if late:
            self.reason = "--max-hours"
        return self._signalled > 0 or late

    def close(self) -> None:
        """Restore the signal handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
