"""TODO-DOC pipelines/progress/display.py."""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pipelines.home.layout import Home
from pipelines.progress.board import board
from pipelines.wording import amount, duration
from shards.storage import files

LOG_EVERY_S = 30.0

SNAPSHOT_EVERY_S = 2.0


def _together(figures: dict[str, Any]) -> bool:
    """True while one worker does what needs every slice, as the training of a vocabulary: no rate
    tells how long that takes."""
    return 0 < figures["slices"] == figures["slices_done"] and not figures["workers"]


def line(figures: dict[str, Any]) -> str:
    """One line: stage, share by bytes, slices, records and rate, time left."""
    if _together(figures):
        return f"{figures['stage']}: {figures['slices']:,} slices done, now what needs all of them together, {duration(figures['s'])} gone"
    share = figures["bytes_done"] / figures["bytes"] if figures["bytes"] else 0.0
    return (
        f"{figures['stage']}: {share:4.0%}, {figures['slices_done']:,} of {figures['slices']:,} slices, {amount(figures['bytes_done'])} of {amount(figures['bytes'])}, "
        f"{figures['records']:,} records, {figures['records_per_s']:,.0f}/s, {amount(figures['bytes_per_s'])}/s, {duration(figures['left_s'])} left"
    )


def lines(figures: dict[str, Any], width: int) -> list[str]:
    """The display: a bar, the rates, a line for each worker; none longer than `width`."""
    if _together(figures):
        return [
            text[:width]
            for text in (
                f"{figures['stage']:10} {figures['slices']:,} slices done,",
                f"{'':10} now what needs all of them together, {duration(figures['s'])} gone",
            )
        ]
    share = figures["bytes_done"] / figures["bytes"] if figures["bytes"] else 0.0
    cells = max(10, min(40, width - 50))
    bar = "█" * int(share * cells) + "░" * (cells - int(share * cells))
    shown = [
        f"{figures['stage']:10} {bar} {share:4.0%}  {figures['slices_done']:,}/{figures['slices']:,} slices",
        f"{'':10} {amount(figures['bytes_done'])} of {amount(figures['bytes'])}, {figures['records']:,} records, {figures['records_per_s']:,.0f}/s, {amount(figures['bytes_per_s'])}/s",
        f"{'':10} {duration(figures['s'])} gone, {duration(figures['left_s'])} left",
    ]
    for worker in figures["workers"]:
        head = f"  {worker['slice']} {worker['share']:4.0%} {duration(worker['s']):>6}  "
        room = width - len(head)
        shown.append(
            head
            + (
                worker["at"]
                if len(worker["at"]) <= room
                else "…" + worker["at"][-(room - 1) :]
                if room > 8
                else ""
            )
        )
    return [text[:width] for text in shown]


@contextmanager
def display(home: Home, stage: str) -> Iterator[None]:
    """Show the board on stderr while the block runs: live on a terminal, else a line now and
    then."""
    board.begin(stage)
    stop = threading.Event()
    thread = threading.Thread(target=_show, args=(home, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)
        if not files.is_remote(home.root) and files.exists(_snapshot(home)):
            files.remove(_snapshot(home))


def _show(home: Home, stop: threading.Event) -> None:
    live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    last_log = last_snapshot = time.monotonic()
    with _screen() if live else _no_screen() as update:
        while not stop.wait(0.5):
            now = time.monotonic()
            figures = board.figures()
            if live:
                update(figures)
            elif now - last_log >= LOG_EVERY_S:
                print(line(figures), file=sys.stderr, flush=True)
                last_log = now
            if now - last_snapshot >= SNAPSHOT_EVERY_S and not files.is_remote(home.root):
                _write_snapshot(home, figures)
                last_snapshot = now


@contextmanager
def _screen() -> Iterator[Any]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=sys.stderr)
    with Live(console=console, transient=True, auto_refresh=False) as view:
        yield lambda figures: view.update(
            Text("\n".join(lines(figures, console.width)), no_wrap=True), refresh=True
        )


@contextmanager
def _no_screen() -> Iterator[Any]:
    yield None


def _snapshot(home: Home) -> str:
    return home.file("work", "progress.json")


def _write_snapshot(home: Home, figures: dict[str, Any]) -> None:
    path = _snapshot(home)
    try:  # a display must not end a build: a full disk is found by those who write
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8") as stream:
            json.dump(figures, stream)
        os.replace(path + ".new", path)
    except OSError:
        return


def read_snapshot(home: Home) -> dict[str, Any] | None:
    """What the display of a running build shows; None when none runs (or its home is remote)."""
    try:
        found: dict[str, Any] = json.loads(files.read_bytes(_snapshot(home)))
    except (OSError, ValueError):
        return None
    return found
