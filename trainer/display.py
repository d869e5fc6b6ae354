"""Progress on stderr: a live line on a terminal, otherwise a plain line every half minute."""

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# Seconds between plain lines.
INTERVAL = 30


class Display:
    """Shows `steps` steps of training and prints messages between them; silent unless `enabled`."""

    def __init__(self, steps: int, enabled: bool) -> None:
        self._enabled = enabled
        self._last = 0.0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

        if enabled and sys.stderr.isatty():
            self._bar = make_bar()
            self._bar.start()
            self._task = self._bar.add_task("train", total=steps, line="")

    def step(self, step: int, steps: int, line: str) -> None:
        """Show that `step` of `steps` is done, with its figures."""
        now = time.monotonic()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, line=line)
        elif self._enabled and (now - self._last > INTERVAL or step == steps):
            self._last = now
            self.say(f"step {step}/{steps}  {line}")

    def say(self, text: str) -> None:
        """Print a message on a line of its own."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        elif self._enabled:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the live line."""
        if self._bar is not None:
            self._bar.stop()


def make_bar() -> "Progress":
    """The live line of rich, which is imported only where a person watches."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("train"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[line]}"),
        console=Console(stderr=True),
    )
