"""How far a build is: what each child does, in a small mapped file it writes as it goes; and the
display made of them.

A child's `tick` costs a microsecond and survives its death: so a slice that kills its child is
named with the record it had reached. The driver sums the ticks, shows them (live on a terminal, a
line per half minute in a log) and keeps a snapshot below the home, from which `corpus status` shows
the same elsewhere.
"""

import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from pipelines.home.layout import Home
from pipelines.progress.ticks import read_tick
from shards.storage import files

RATE_WINDOW_S = 60.0


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
