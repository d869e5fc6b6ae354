"""How far `corpus fetch` is: bars on a terminal, a line now and then in a log."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from corpora.fetch.download import Watcher
from corpora.fetch.listings import Item
from pipelines.progress.display import LOG_EVERY_S
from pipelines.wording import amount, duration


def say(line: str) -> None:
    """A line about the progress."""
    print(line, file=sys.stderr, flush=True)


class Lines(Watcher):
    """For a log: a line when something happens to a file that fails, and one every half minute."""

    def __init__(self, count: int, total: int | None, have: int) -> None:
        self.count, self.total, self.have = count, total, have
        self.done = self.received = 0
        self.began = time.monotonic()

    def advance(self, item: Item, count: int) -> None:
        """`count` bytes more."""
        self.received += count

    def end(self, item: Item, why: str) -> None:
        """One file less."""
        self.done += 1
        if why:
            self.note(f"{item.path}: {why}")

    def note(self, line: str) -> None:
        """On stderr."""
        say(line)

    def line(self) -> str:
        """Files, bytes, rate, time left."""
        rate = self.received / max(time.monotonic() - self.began, 1e-9)
        left = (
            None
            if self.total is None or not rate
            else max(self.total - self.have - self.received, 0) / rate
        )
        total = "?" if self.total is None else amount(self.total)
        return f"fetch: {self.done:,} of {self.count:,} files, {amount(self.have + self.received)} of {total}, {amount(rate)}/s, {duration(left)} left"


class Bars(Lines):
    """For a terminal: a bar for all and one for each file under way, with rate and time left."""

    def __init__(self, progress: Any, count: int, total: int | None, have: int) -> None:
        super().__init__(count, total, have)
        self.progress = progress
        self.all = progress.add_task(f"0 of {count:,} files", total=total, completed=have)
        self.tasks: dict[str, Any] = {}

    def begin(self, item: Item, have: int, size: int | None) -> None:
        """A bar of its own."""
        if item.path not in self.tasks:
            self.tasks[item.path] = self.progress.add_task(
                "  " + item.path.rsplit("/", 1)[-1][-28:], total=size, completed=have
            )
        self.progress.update(self.tasks[item.path], total=size, completed=have)

    def advance(self, item: Item, count: int) -> None:
        """`count` bytes more."""
        super().advance(item, count)
        self.progress.advance(self.tasks[item.path], count)
        self.progress.advance(self.all, count)

    def end(self, item: Item, why: str) -> None:
        """Its bar goes."""
        super().end(item, why)
        self.progress.update(self.all, description=f"{self.done:,} of {self.count:,} files")
        if item.path in self.tasks:
            self.progress.remove_task(self.tasks.pop(item.path))

    def note(self, line: str) -> None:
        """Above the bars."""
        self.progress.console.print(line, markup=False, highlight=False)


@contextmanager
def display(count: int, total: int | None, have: int) -> Iterator[Watcher]:
    """Show the block's work on stderr: `count` files, `total` bytes of which `have` are here."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
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

        name, figures = (
            Column(no_wrap=True, overflow="ellipsis"),
            [Column(no_wrap=True, justify="right") for _ in range(3)],
        )
        columns = (
            TextColumn("{task.description}", markup=False, table_column=name),
            BarColumn(bar_width=12),
            DownloadColumn(table_column=figures[0]),
            TransferSpeedColumn(table_column=figures[1]),
            TimeRemainingColumn(table_column=figures[2]),
        )
        with Progress(
            *columns,
            console=Console(file=sys.stderr),
            transient=True,
            refresh_per_second=2,
            speed_estimate_period=60,
        ) as progress:
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
