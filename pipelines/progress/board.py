"""How far the running stage is: what each child has done, summed up for the display.

Each child ticks into a small mapped file (`ticks`), which survives its death. The driver's board
adds up the ticks of the slices under way, the slices that are done and, on a cluster, the boards of
the other workers. What a stage cost in the end is kept below `work/figures`.
"""

import itertools
import json
import time
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple, TypedDict

from pipelines.home.layout import (
    EXACT,
    INGEST,
    NEAR,
    RULES,
    SURVEY,
    TOKENIZE,
    TOKENIZER,
    Home,
)
from pipelines.progress.ticks import read_tick
from shards.config import from_dict, to_dict
from shards.errors import UserError
from shards.storage import files

RATE_WINDOW_S = 60.0
"""Rates are those of the last minute."""

ESTIMATE_S = 30.0
"""Seconds of work after which the time left is worth telling."""

EARLY_S = 5.0

EARLY_SHARE = 0.05
"""It is told after `EARLY_S` already where this share of the work is done."""

STAGE_ORDER = (SURVEY, INGEST, RULES, "dedup", EXACT, NEAR, TOKENIZER, TOKENIZE)
"""`dedup` is what early versions called the stages that remove duplicates."""

# A board travels between machines as JSON: these are its types.


class RunningSlice(TypedDict):
    """One slice under way. `at`: the record it has reached; `share`: of its bytes, from 0 to 1;
    `done`: those bytes; `s`: seconds since it began."""

    slice: str
    at: str
    records: int
    share: float
    done: int
    s: float


class BoardState(TypedDict):
    """What one process knows. `expected`: [slices, bytes, passes]; `finished`: [slices, bytes,
    records]; `worked`: the finished bytes that were not done before."""

    expected: list[int]
    finished: list[int]
    worked: int
    running: list[RunningSlice]


class Beat(BoardState):
    """What a worker on another machine says. `beat`: a number that grows; `worker`: its name."""

    beat: int
    worker: str


class Running(NamedTuple):
    """A slice under way in a child of this process; `start`: by the monotonic clock."""

    label: str
    size: int
    ticks: str
    start: float


@dataclass(frozen=True, kw_only=True)
class WorkerProgress:
    """One slice under way, as the display shows it. The fields are those of `RunningSlice`."""

    slice: str
    at: str
    records: int
    share: float
    done: int
    s: float


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Everything the display shows of a stage.

    `left_s`: estimated by the bytes of the pass that runs; None: not known yet. It is the
    `pass_number`-th of `passes`.
    """

    stage: str
    slices: int
    slices_done: int
    bytes: int
    bytes_done: int
    records: int
    records_per_s: float
    bytes_per_s: float
    s: float
    left_s: float | None = None
    pass_number: int = 1
    passes: int = 1
    workers: tuple[WorkerProgress, ...]

    @property
    def combines(self) -> bool:
        """True while one worker combines the results of all slices, as in training a vocabulary.

        No rate tells how long that takes.
        """
        return 0 < self.slices == self.slices_done and not self.workers

    @property
    def share(self) -> float:
        """The share of the bytes that are done, from 0 to 1."""
        return self.bytes_done / self.bytes if self.bytes else 0.0


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """What a stage cost when it last had work to do.

    `slices_worked`, `bytes`: done then, not before; `peak_bytes`: memory of the worker that took
    most, with its parser; None where it is not known.
    """

    stage: str
    slices: int
    slices_worked: int
    bytes: int
    records: int
    seconds: float
    workers: int
    peak_bytes: int | None = None


@dataclass
class Board:
    """The state of the running stage in this process.

    `worked`: slices done by this run, not by an earlier one; `peak`: bytes of memory of the worker
    that took most; `others`: on a cluster, the boards of its workers.
    """

    stage: str = ""
    started: float = 0.0
    total_slices: int = 0
    total_bytes: int = 0
    done_slices: int = 0
    done_bytes: int = 0
    done_records: int = 0
    worked_slices: int = 0
    worked_bytes: int = 0
    passes: int = 1
    passes_begun: int = 0
    peak: int = 0
    running: dict[int, Running] = field(default_factory=dict)
    others: list[BoardState] = field(default_factory=list)
    history: deque[tuple[float, int, int]] = field(default_factory=deque)
    """(time, bytes, records) of the last minute."""
    work_began: tuple[int, float, int] | None = None
    """(number of the pass, time, worked bytes) when work was first seen in the pass that runs."""

    def begin(self, stage: str, passes: int = 1) -> None:
        """Start a new stage."""
        self.__init__()  # type: ignore[misc]
        self.stage = stage
        self.passes = passes
        self.started = time.monotonic()

    def expect(self, slices: int, size: int) -> None:
        """Add the planned work of one pass."""
        self.passes_begun += 1
        self.total_slices += slices
        self.total_bytes += size

    def finish(self, size: int, records: int, peak: int = 0) -> None:
        """Count a slice as done. One without records was done by an earlier run."""
        self.done_slices += 1
        self.done_bytes += size
        self.done_records += records
        self.peak = max(self.peak, peak)
        # ticks count records: a slice that only proved to be done has none
        if records:
            self.worked_slices += 1
            self.worked_bytes += size

    def own(self) -> BoardState:
        """What this process knows, for the other machines."""
        now = time.monotonic()
        running: list[RunningSlice] = []
        # a copy: the engine's thread changes the dictionary meanwhile
        for entry in list(self.running.values()):
            tick = read_tick(entry.ticks)
            running.append(
                RunningSlice(
                    slice=entry.label,
                    at=tick.at,
                    records=tick.records,
                    share=min(1.0, tick.done / entry.size) if entry.size else 0.0,
                    done=min(tick.done, entry.size),
                    s=now - entry.start,
                )
            )
        return BoardState(
            expected=[self.total_slices, self.total_bytes, self.passes_begun],
            finished=[self.done_slices, self.done_bytes, self.done_records],
            worked=self.worked_bytes,
            running=running,
        )

    def figures(self) -> Progress:
        """Everything the display shows, now."""
        now = time.monotonic()
        boards = [self.own(), *self.others]
        workers = list(itertools.chain.from_iterable(board["running"] for board in boards))
        size = sum(board["expected"][1] for board in boards)

        running = sum(worker["done"] for worker in workers)
        size_done = sum(board["finished"][1] for board in boards) + running
        worked = sum(board["worked"] for board in boards) + running
        records = sum(board["finished"][2] for board in boards)
        records += sum(worker["records"] for worker in workers)

        pass_number = max(1, sum(board["expected"][2] for board in boards))
        byte_rate, record_rate = self._rates(now, size_done, records)
        return Progress(
            stage=self.stage,
            slices=sum(board["expected"][0] for board in boards),
            slices_done=sum(board["finished"][0] for board in boards),
            bytes=size,
            bytes_done=size_done,
            records=records,
            records_per_s=record_rate,
            bytes_per_s=byte_rate,
            s=now - self.started,
            left_s=self._left_s(now, pass_number, worked, size - size_done),
            pass_number=pass_number,
            passes=max(self.passes, pass_number),
            workers=tuple(_worker_progress(worker) for worker in workers),
        )

    def _left_s(self, now: float, pass_number: int, worked: int, left: int) -> float | None:
        """Seconds until the pass that runs is done; None as long as an estimate is worth nothing.

        The rate is that of all the work of this pass, so that steps of minutes do not hide it. It
        counts from the first work that is seen: children take seconds to start, and what an earlier
        run did costs nothing.
        """
        if not worked:
            return None
        if self.work_began is None or self.work_began[0] != pass_number:
            self.work_began = pass_number, now, worked

        _, began, worked_then = self.work_began
        span, done = now - began, worked - worked_then
        is_early = span < ESTIMATE_S
        if is_early and (span < EARLY_S or done < EARLY_SHARE * (done + left)):
            return None
        return left * span / done if done > 0 else None

    def _rates(self, now: float, size_done: int, records: int) -> tuple[float, float]:
        """Bytes and records per second: of the last minute, or since the stage began."""
        # the oldest entry kept is the last one before the window, so that the span is never shorter
        self.history.append((now, size_done, records))
        while len(self.history) > 2 and self.history[1][0] < now - RATE_WINDOW_S:
            self.history.popleft()

        then, size_then, records_then = self.history[0]
        if now - then <= 0.5:  # too short for a rate
            then = self.started
            size_then = 0
            records_then = 0
        span = max(now - then, 1e-9)
        return max(size_done - size_then, 0) / span, max(records - records_then, 0) / span


def _worker_progress(worker: RunningSlice) -> WorkerProgress:
    return WorkerProgress(
        slice=worker["slice"],
        at=worker["at"],
        records=worker["records"],
        share=worker["share"],
        done=worker["done"],
        s=worker["s"],
    )


def write_figures(home: Home, workers: int) -> None:
    """Keep the cost of the stage that has just ended, unless it had no work to do.

    It is written below `work/`, is part of no output, and `corpus diff` does not compare it.
    """
    if not board.worked_slices:
        return
    cost = StageCost(
        stage=board.stage,
        slices=board.done_slices,
        slices_worked=board.worked_slices,
        bytes=board.worked_bytes,
        records=board.done_records,
        seconds=round(time.monotonic() - board.started, 3),
        workers=workers,
        peak_bytes=board.peak or None,
    )
    address = home.file("work", "figures", f"{board.stage}.json")
    files.write_bytes(address, json.dumps(to_dict(cost)).encode(), flush=False)


def read_figures(home: Home) -> list[StageCost]:
    """The cost of each stage, in the order of the stages; none after `corpus clean --work`."""
    found = []
    for address in files.list_files(home.file("work", "figures"), ".json"):
        try:
            content = json.loads(files.read_bytes(address))
            known = {key: value for key, value in dict(content).items() if value is not None}
            found.append(from_dict(StageCost, known))
        except (ValueError, TypeError, UserError):  # cut, or of another version
            continue

    def order(cost: StageCost) -> tuple[int, str]:
        known = cost.stage in STAGE_ORDER
        return STAGE_ORDER.index(cost.stage) if known else len(STAGE_ORDER), cost.stage

    return sorted(found, key=order)


board = Board()
"""The board of this process: the engine's workers in it report here."""
