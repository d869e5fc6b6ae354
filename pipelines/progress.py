"""How far a build is: what each child does, in a small mapped file it writes as it goes; and the
display made of them.

A child's `tick` costs a microsecond and survives its death: so a slice that kills its child is
named with the record it had reached. The driver sums the ticks, shows them (live on a terminal, a
line per half minute in a log) and keeps a snapshot below the home, from which `corpus status` shows
the same elsewhere.
"""

import json
import mmap
import os
import struct
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pipelines.home import Home
from shards import files

_FIELDS = struct.Struct("<QQq")
_PEAK = struct.Struct("<Q")
_SIZE = 1024
LOG_EVERY_S = 30.0
SNAPSHOT_EVERY_S = 2.0
RATE_WINDOW_S = 60.0

_tick_map: mmap.mmap | None = None


@dataclass(frozen=True)
class Tick:
    """What a child said last: records so far, bytes of its input done, and the record it had
    reached. `peak`: bytes of memory that the slice took at most, its parser's with it; 0 until it
    ends."""

    records: int = 0
    done: int = 0
    position: int = 0
    path: str = ""
    peak: int = 0


def new_tick_file(home_root: str) -> str:
    """A file for one run of one slice, on this machine: below a local home, where a sweep finds
    what a killed build left."""
    folder = None
    if not files.is_remote(home_root):
        folder = os.path.abspath(files.join(home_root, "work"))
        os.makedirs(folder, exist_ok=True)
    descriptor, path = tempfile.mkstemp(prefix=f"{files.TEMPORARY}tick-", dir=folder)
    os.ftruncate(descriptor, _SIZE)
    os.close(descriptor)
    return path


def open_ticks(path: str | None) -> None:
    """In the child: from now on `tick` writes to this file; None: nowhere."""
    global _tick_map
    if path is None:
        _tick_map = None
        return
    with open(path, "r+b") as stream:
        _tick_map = mmap.mmap(stream.fileno(), _SIZE)


def tick(records: int, done: int, path: str = "", position: int = 0) -> None:
    """Say how far the running slice is; costs about a microsecond."""
    if _tick_map is not None:
        name = path.encode("utf-8", "replace")[: _SIZE - _FIELDS.size - _PEAK.size - 2]
        _FIELDS.pack_into(_tick_map, 0, records, done, position)
        _tick_map[_FIELDS.size : _FIELDS.size + len(name) + 1] = name + b"\0"


def tell_peak(peak: int) -> None:
    """Say how much memory the slice took."""
    if _tick_map is not None:
        _PEAK.pack_into(_tick_map, _SIZE - _PEAK.size, peak)


def read_tick(path: str) -> Tick:
    """What the child wrote last."""
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except FileNotFoundError:
        return Tick()
    if len(content) < _FIELDS.size:
        return Tick()
    records, done, position = _FIELDS.unpack_from(content)
    name = content[_FIELDS.size : -_PEAK.size].split(b"\0", 1)[0]
    return Tick(
        records,
        done,
        position,
        name.decode("utf-8", "replace"),
        _PEAK.unpack_from(content, len(content) - _PEAK.size)[0],
    )


@dataclass
class Board:
    """The state of the running stage, in the driver. `running`: (label, tick file, start) of each
    slice under way; `worked`: done now, not before; `peak`: bytes of the worker that took most."""

    stage: str = ""
    started: float = 0.0
    total_slices: int = 0
    total_bytes: int = 0
    done_slices: int = 0
    done_bytes: int = 0
    done_records: int = 0
    worked_slices: int = 0
    worked_bytes: int = 0
    peak: int = 0
    running: dict[int, tuple[str, int, str, float]] = field(default_factory=dict)
    others: list[dict[str, Any]] = field(default_factory=list)
    """On a cluster: what the boards of its workers hold, `own` of each."""
    history: deque[tuple[float, int, int]] = field(default_factory=deque)

    def begin(self, stage: str) -> None:
        """A new stage: nothing is known yet."""
        self.__init__()  # type: ignore[misc]
        self.stage, self.started = stage, time.monotonic()

    def expect(self, slices: int, size: int) -> None:
        """More work is planned."""
        self.total_slices += slices
        self.total_bytes += size

    def finish(self, size: int, records: int, peak: int = 0) -> None:
        """A slice is done; one that never ticked was done before."""
        self.done_slices += 1
        self.done_bytes += size
        self.done_records += records
        self.peak = max(self.peak, peak)
        if records:
            self.worked_slices += 1
            self.worked_bytes += size

    def own(self) -> dict[str, Any]:
        """What this process knows, as JSON types: `expected` [slices, bytes], `finished` [slices,
        bytes, records], `running`."""
        now = time.monotonic()
        workers = []
        for label, size, path, start in list(self.running.values()):
            tick_ = read_tick(path)
            workers.append(
                {
                    "slice": label,
                    "at": f"{tick_.path} @ {tick_.position}" if tick_.path else "",
                    "records": tick_.records,
                    "share": min(1.0, tick_.done / size) if size else 0.0,
                    "done": min(tick_.done, size),
                    "s": now - start,
                }
            )
        return {
            "expected": [self.total_slices, self.total_bytes],
            "finished": [self.done_slices, self.done_bytes, self.done_records],
            "running": workers,
        }

    def figures(self) -> dict[str, Any]:
        """Everything the display shows, as JSON types. Rates are of the last minute, `left_s` by
        bytes."""
        now = time.monotonic()
        boards = [self.own(), *self.others]
        slices, size = (sum(board["expected"][index] for board in boards) for index in range(2))
        slices_done, done, records = (
            sum(board["finished"][index] for board in boards) for index in range(3)
        )
        workers = [worker for board in boards for worker in board["running"]]
        done += sum(worker["done"] for worker in workers)
        records += sum(worker["records"] for worker in workers)
        self.history.append((now, done, records))
        while len(self.history) > 2 and self.history[1][0] < now - RATE_WINDOW_S:
            self.history.popleft()
        then, done_then, records_then = self.history[0]
        span = max(now - then, 1e-9) if now - then > 0.5 else max(now - self.started, 1e-9)
        if now - then <= 0.5:
            done_then = records_then = 0
        byte_rate = max(done - done_then, 0) / span
        left = (size - done) / byte_rate if byte_rate > 0 else None
        return {
            "stage": self.stage,
            "slices": slices,
            "slices_done": slices_done,
            "bytes": size,
            "bytes_done": done,
            "records": records,
            "records_per_s": max(records - records_then, 0) / span,
            "bytes_per_s": byte_rate,
            "s": now - self.started,
            "left_s": left,
            "workers": workers,
        }


def write_figures(home: Home, workers: int) -> None:
    """Keep what the stage that has just ended cost, below `work/`: no part of any output, and not
    compared. A run in which nothing was left to do changes nothing."""
    if not board.worked_slices:
        return
    found = {
        "stage": board.stage,
        "slices": board.done_slices,
        "slices_worked": board.worked_slices,
        "bytes": board.worked_bytes,
        "records": board.done_records,
        "seconds": round(time.monotonic() - board.started, 3),
        "workers": workers,
        "peak_bytes": board.peak or None,
    }
    files.write_bytes(
        home.file("work", "figures", f"{board.stage}.json"), json.dumps(found).encode()
    )


def read_figures(home: Home) -> list[dict[str, Any]]:
    """What each stage cost when it last had work to do, in the order of the stages; none after
    `corpus clean --work`."""
    found = []
    for address in files.list_files(home.file("work", "figures"), ".json"):
        try:
            found.append(json.loads(files.read_bytes(address)))
        except ValueError:
            continue
    order = ("survey", "ingest", "rules", "dedup", "exact", "near", "tokenizer", "tokenize")
    known = [row for row in found if isinstance(row, dict) and isinstance(row.get("stage"), str)]
    return sorted(
        known,
        key=lambda row: (
            order.index(row["stage"]) if row["stage"] in order else len(order),
            row["stage"],
        ),
    )


board = Board()
"""The one of this process: an in-process runner's DoFns report to it."""


def duration(seconds: float | None) -> str:
    """`3 h 05 min`, `4 min`, `12 s`; `?` for None."""
    if seconds is None:
        return "?"
    if seconds >= 3600:
        return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"
    return f"{int(seconds) // 60} min" if seconds >= 120 else f"{int(seconds)} s"


def amount(size: float) -> str:
    """Bytes in decimal units: `1.2 GB`."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def several(count: int, noun: str) -> str:
    """`1 file`, `2,000 files`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


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
