"""The progress of a stage on stderr: live on a terminal, one line per half minute in a log.

A snapshot of the same figures is kept below a local home, from which `corpus status` shows them in
another terminal. A display never ends a build: what it cannot write it leaves out.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pipelines.home.layout import Home
from pipelines.progress.board import Progress, WorkerProgress, board
from pipelines.wording import amount, duration
from shards.config import from_dict, to_dict
from shards.errors import UserError
from shards.storage import files

LOG_EVERY_S = 30.0

SNAPSHOT_EVERY_S = 2.0

LOOK_EVERY_S = 0.5

Update = Callable[[Progress], None]


def line(progress: Progress) -> str:
    """One line for a log: share by bytes, slices, records, rates and time left."""
    if progress.combines:
        return (
            f"{progress.stage}: {progress.slices:,} slices done; combining them, "
            f"{duration(progress.s)} elapsed"
        )
    return (
        f"{progress.stage}: {progress.share:4.0%}, {progress.slices_done:,} of "
        f"{progress.slices:,} slices, {_volume(progress)}, {_left(progress)}"
    )


def lines(progress: Progress, width: int) -> list[str]:
    """The display for a terminal: a bar, the rates, one line per worker; none is longer than
    `width`."""
    indent = " " * 10
    if progress.combines:
        shown = [
            f"{progress.stage:10} {progress.slices:,} slices done;",
            f"{indent} combining them, {duration(progress.s)} elapsed",
        ]
        return [text[:width] for text in shown]

    # the figures beside the bar take about 50 columns
    cells = max(10, min(40, width - 50))
    filled = int(progress.share * cells)
    bar = "█" * filled + "░" * (cells - filled)
    shown = [
        f"{progress.stage:10} {bar} {progress.share:4.0%}  "
        f"{progress.slices_done:,}/{progress.slices:,} slices",
        f"{indent} {_volume(progress)}",
        f"{indent} {duration(progress.s)} elapsed, {_left(progress)}",
    ]
    shown += [_worker_line(worker, width) for worker in progress.workers]
    return [text[:width] for text in shown]


def _left(progress: Progress) -> str:
    """The time left, of the pass that runs where others are to follow."""
    if progress.left_s is None:
        return "estimating the time left"
    of_pass = ""
    if progress.passes > progress.pass_number:
        of_pass = f" of pass {progress.pass_number} of {progress.passes}"
    return f"{duration(progress.left_s)} left{of_pass}"


def _volume(progress: Progress) -> str:
    return (
        f"{amount(progress.bytes_done)} of {amount(progress.bytes)}, "
        f"{progress.records:,} records, {progress.records_per_s:,.0f}/s, "
        f"{amount(progress.bytes_per_s)}/s"
    )


def _worker_line(worker: WorkerProgress, width: int) -> str:
    """A slice and the record it has reached; of a long address the end is shown."""
    head = f"  {worker.slice} {worker.share:4.0%} {duration(worker.s):>6}  "
    room = width - len(head)
    if len(worker.at) <= room:
        return head + worker.at
    return head + "…" + worker.at[-(room - 1) :] if room > 8 else head


@contextmanager
def display(home: Home, stage: str, passes: int = 1) -> Iterator[None]:
    """Show the board on stderr while the block runs; `passes` of the stage plan work."""
    board.begin(stage, passes)
    stop = threading.Event()
    # a thread of its own: the engine has this one until the stage ends
    thread = threading.Thread(target=_show, args=(home, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)
        # else `corpus status` would take the stage for a running one
        if not files.is_remote(home.root) and files.exists(_snapshot(home)):
            files.remove(_snapshot(home))


def _show(home: Home, stop: threading.Event) -> None:
    is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    # a log cannot be drawn over: there a line now and then must do
    with _screen() if is_terminal else _log() as update:
        last_snapshot = time.monotonic()
        while not stop.wait(LOOK_EVERY_S):
            progress = board.figures()
            update(progress)
            now = time.monotonic()
            if now - last_snapshot >= SNAPSHOT_EVERY_S and not files.is_remote(home.root):
                _write_snapshot(home, progress)
                last_snapshot = now


@contextmanager
def _screen() -> Iterator[Update]:
    """A display that is drawn anew in place."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=sys.stderr)
    with Live(console=console, transient=True, auto_refresh=False) as view:

        def update(progress: Progress) -> None:
            text = "\n".join(lines(progress, console.width))
            view.update(Text(text, no_wrap=True), refresh=True)

        yield update


@contextmanager
def _log() -> Iterator[Update]:
    """A line now and then."""
    last = time.monotonic()

    def update(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= LOG_EVERY_S:
            print(line(progress), file=sys.stderr, flush=True)
            last = now

    yield update


def _snapshot(home: Home) -> str:
    return home.file("work", "progress.json")


def _write_snapshot(home: Home, progress: Progress) -> None:
    path = _snapshot(home)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8") as stream:
            json.dump(to_dict(progress), stream)
        os.replace(path + ".new", path)  # a reader sees the old one or the new one, never a part
    except OSError:  # a full disk is reported by the stage that writes
        return


def read_snapshot(home: Home) -> Progress | None:
    """What the display of a running build shows; None when there is none, as of a remote home."""
    try:
        return from_dict(Progress, json.loads(files.read_bytes(_snapshot(home))))
    except (OSError, ValueError, UserError):
        return None
