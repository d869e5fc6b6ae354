"""The progress of `corpus fetch`: bars on a terminal, one line per half minute in a log."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from corpora.fetch.download import Watcher
from corpora.fetch.listings import Item
from pipelines.progress.display import LOG_EVERY_S
from pipelines.wording import amount, duration, say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Lines(Watcher):
    """For a log: one line per half minute, and one for each file that fails.

    `count`: files to fetch; `total`: their bytes, None if not known; `have`: bytes already here.
    """

    def __init__(self, count: int, total: int | None, have: int) -> None:
        self.count = count
        self.total = total
        self.have = have
        self.done = 0
        self.received = 0
        self.began = time.monotonic()

    def advance(self, item: Item, count: int) -> None:
        """Add received bytes."""
        self.received += count

    def end(self, item: Item, why: str) -> None:
        """Count a file as done, or as failed for a reason."""
        self.done += 1
        if why:
            self.note(f"{item.path}: {why}")

    def note(self, line: str) -> None:
        """Print a line on stderr."""
        say(line)

    def line(self) -> str:
        """Files, bytes, rate and time left."""
        # over the whole run: downloads are too uneven for a short window
        rate = self.received / max(time.monotonic() - self.began, 1e-9)
        total = "?"
        left = None
        if self.total is not None:
            total = amount(self.total)
            if rate:
                left = max(self.total - self.have - self.received, 0) / rate
        return (
            f"fetch: {self.done:,} of {self.count:,} files, "
            f"{amount(self.have + self.received)} of {total}, {amount(rate)}/s, "
            f"{duration(left)} left"
        )


class Bars(Lines):
    """For a terminal: one bar for all, and one for each file under way, with rate and time left."""

    def __init__(self, progress: "Progress", count: int, total: int | None, have: int) -> None:
        super().__init__(count, total, have)
        self.progress = progress
        self.all = progress.add_task(f"0 of {count:,} files", total=total, completed=have)
        self.tasks: dict[str, TaskID] = {}

    def begin(self, item: Item, have: int, size: int | None) -> None:
        """Show a bar for the file."""
        # a file that is tried again keeps its bar
        if item.path not in self.tasks:
            name = item.path.rsplit("/", 1)[-1][-28:]
            self.tasks[item.path] = self.progress.add_task(f"  {name}", total=size, completed=have)
        self.progress.update(self.tasks[item.path], total=size, completed=have)

    def advance(self, item: Item, count: int) -> None:
        """Add received bytes."""
        super().advance(item, count)
        self.progress.advance(self.tasks[item.path], count)
        self.progress.advance(self.all, count)

    def end(self, item: Item, why: str) -> None:
        """Count the file and remove its bar."""
        super().end(item, why)
        self.progress.update(self.all, description=f"{self.done:,} of {self.count:,} files")
        if item.path in self.tasks:
            self.progress.remove_task(self.tasks.pop(item.path))

    def note(self, line: str) -> None:
        """Print a line above the bars."""
        # no markup: a line may hold brackets of an address
        self.progress.console.print(line, markup=False, highlight=False)


@contextmanager
def display(count: int, total: int | None, have: int) -> Iterator[Watcher]:
    """Show the block's progress on stderr; the arguments are those of `Lines`."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with _progress() as progress:
            yield Bars(progress, count, total, have)
        return

    lines = Lines(count, total, have)
    stop = threading.Event()

    def log() -> None:
        while not stop.wait(LOG_EVERY_S):
            say(lines.line())

    thread = threading.Thread(target=log, daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        stop.set()
        thread.join(1)


def _progress() -> "Progress":
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.table import Column

    def figure() -> Column:
        return Column(no_wrap=True, justify="right")

    name = Column(no_wrap=True, overflow="ellipsis")
    return Progress(
        TextColumn("{task.description}", markup=False, table_column=name),
        BarColumn(bar_width=12),
        DownloadColumn(table_column=figure()),
        TransferSpeedColumn(table_column=figure()),
        TimeRemainingColumn(table_column=figure()),
        console=Console(file=sys.stderr),
        transient=True,
        refresh_per_second=2,
        speed_estimate_period=60,
    )
