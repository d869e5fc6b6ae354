"""TODO-DOC trainer/display.py."""

import sys
import time
from typing import Any


class Display:
    """Progress on stderr: a live line when a person watches, else a line each half minute."""

    def __init__(self, steps: int, first: int, enabled: bool) -> None:
        self._last = 0.0
        self._live: Any = None
        self._enabled = enabled
        if enabled and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._live = Progress(
                TextColumn("train"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[line]}"),
                console=Console(stderr=True),
            )
            self._live.start()
            self._task = self._live.add_task("train", total=steps, completed=first, line="")

    def step(self, step: int, steps: int, line: str) -> None:
        """Show that a step is done; `line` says how it goes."""
        now = time.monotonic()
        if self._live is not None:
            self._live.update(self._task, completed=step, line=line)
        elif self._enabled and (now - self._last > 30 or step == steps):
            self._last = now
            self.say(f"step {step}/{steps}  {line}")

    def say(self, text: str) -> None:
        """A line of its own."""
        if self._live is not None:
            self._live.console.print(text, highlight=False, markup=False)
        elif self._enabled:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the live line."""
        if self._live is not None:
            self._live.stop()
