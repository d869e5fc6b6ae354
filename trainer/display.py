"""Progress on stderr: a live line on a terminal, otherwise a plain line every half minute."""

import os
import sys
import time
from typing import TYPE_CHECKING

from shards import console
from shards.errors import UserError
from trainer.wording import duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# Seconds between plain lines.
INTERVAL = 30


class Display:
    """Shows `steps` steps of training and prints messages between them; silent unless `enabled`."""

    def __init__(self, steps: int, enabled: bool) -> None:
        self._enabled = enabled
        self._last = 0.0
        self._said: set[str] = set()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

        if enabled and sys.stderr.isatty():
            self._bar = make_bar()
            self._bar.start()
            self._task = self._bar.add_task("train", total=steps, left="", line="")

    def step(self, step: int, steps: int, seconds_left: float | None, line: str) -> None:
        """Show that `step` of `steps` is done, the time left (None: not known yet) and figures."""
        left = time_left(seconds_left)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, left=left, line=line)
            return

        now = time.monotonic()
        is_due = not self._last or now - self._last > INTERVAL
        if self._enabled and (is_due or step == steps):
            self._last = now
            self.say("  ".join(filter(None, [f"step {step}/{steps}", left, line])))

    def say(self, text: str) -> None:
        """Print a message on a line of its own."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        elif self._enabled:
            tell(text)

    def say_once(self, text: str) -> None:
        """Print a message, once in a run."""
        if text not in self._said:
            self._said.add(text)
            self.say(text)

    def close(self) -> None:
        """End the live line."""
        if self._bar is not None:
            self._bar.stop()


def tell(text: str) -> None:
    """Print a line on stderr. A reader that has gone away ends neither a run nor a command."""
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        console.silence()


def report(error: UserError) -> None:
    """Print an error and its hint; a rank other than the first puts its number before it."""
    rank = os.environ.get("RANK", "0")
    prefix = "" if rank == "0" else f"rank {rank}: "
    hint = f"\n{prefix}hint: {error.hint}" if error.hint else ""
    tell(f"{prefix}error: {error.what}{hint}")


def time_left(seconds: float | None) -> str:
    """The time left in words; nothing at the end."""
    if seconds is None:
        return "estimating the time left"
    return f"{duration(seconds)} left" if seconds else ""


def make_bar() -> "Progress":
    """The live line of rich, which is imported only where a person watches.

    The time left is the run's own average: rich's knows no steps that take longer than 30 s.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        TextColumn("train"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[line]}"),
        console=Console(stderr=True),
    )
