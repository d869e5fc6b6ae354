"""The log of a run: `RUN/log.jsonl`, one JSON object per line.

A `train` line holds the fields of `metrics.TrainLine`, a `valid` line a source and the fields of
`evaluate.Score`, the `start` line the fields of `budget.Budget`. Other kinds: `skip` (a batch
without an update), `spike`, `stop`. Every line has `kind` and `step`. docs/trainer.md lists all
keys.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

from shards.storage import files
from trainer.checkpoint import State
from trainer.trackers import Trackers

NAME = "log.jsonl"


def read_log(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's log, none where it has no log; a line that was cut or damaged is left
    out."""
    try:
        content = (run / NAME).read_bytes()
    except FileNotFoundError:
        return []

    entries = []
    for line in content.split(b"\n"):
        try:
            entry = json.loads(line)
        except ValueError:  # also bytes that are no UTF-8
            continue
        if isinstance(entry, dict) and is_line(entry):
            entries.append(entry)
    return entries


def is_line(entry: dict[str, Any]) -> bool:
    """Whether an object has what every line has."""
    return isinstance(entry.get("kind"), str) and isinstance(entry.get("step"), int)


class Log:
    """Appends lines to the log and passes them to the trackers. Rank 0 has one.

    `resumed` is the state that the run continues from: what was logged after it is dropped, so that
    the log is that of a run never killed.
    """

    def __init__(self, run: Path, resumed: State, trackers: tuple[str, ...] = ()) -> None:
        # First, since they may be refused.
        self._trackers = Trackers(trackers, run, resumed.step)

        kept = []
        if resumed.batches:
            kept = [line for line in read_log(run) if is_before(line, resumed)]
        content = "".join(json.dumps(line) + "\n" for line in kept)
        # Flushed before it takes the name: else a loss of power could leave an empty log.
        files.write_bytes(str(run / NAME), content.encode())

        self._stream = open(run / NAME, "a")  # noqa: SIM115  (closed by close)

    def write(self, kind: str, step: int, **values: object) -> None:
        """Append a line and flush it; nan and the infinities, which JSON lacks, become null."""
        line = {"kind": kind, "step": step, **values}
        for key, value in line.items():
            if isinstance(value, float) and not math.isfinite(value):
                line[key] = None
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()
        self._trackers.send(kind, step, values)

    def flush(self) -> None:
        """Wait until the disk has all lines, as a checkpoint is about to rest on them."""
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file and the trackers."""
        self._stream.close()
        self._trackers.close()


def is_before(line: dict[str, Any], state: State) -> bool:
    """Whether a line was logged before a state was saved. A batch that is skipped makes no step, so
    its own number tells."""
    if line["kind"] == "skip" and isinstance(line.get("batch"), int):
        return bool(line["batch"] < state.batches)
    return bool(line["step"] <= state.step)
