"""The log of a run: `RUN/log.jsonl`, one JSON object per line, and the trackers beside it.

A `train` line holds the fields of `metrics.TrainLine`, a `valid` line a source and the fields of
`evaluate.Score`, the `start` line the fields of `budget.Budget`. Other kinds: `skip` (a batch
without an update), `spike`, `stop`. Every line has `kind` and `step`. docs/trainer.md lists all
keys.
"""

import importlib
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shards.errors import UserError

NAME = "log.jsonl"

Tracker = Callable[[int, dict[str, float]], None]


def read_log(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's log, none where it has no log; a line that was cut is left out."""
    try:
        lines = (run / NAME).read_text().splitlines()
    except FileNotFoundError:
        return []

    entries = []
    for line in lines:
        try:
            entries.append(json.loads(line))
        except ValueError:
            continue
    return entries


class Log:
    """Appends lines to the log and passes their numbers to TensorBoard or W&B. Rank 0 has one.

    `resumed` is the step of the checkpoint that the run continues from: later lines are dropped, so
    that the log is that of a run never killed. The trackers are installed, see
    `require_trackers`.
    """

    def __init__(self, run: Path, resumed: int, trackers: tuple[str, ...] = ()) -> None:
        # First, since they may be refused.
        self._trackers = [make_tracker(name, run) for name in trackers]

        kept = []
        if resumed:
            kept = [line for line in read_log(run) if line.get("step", 0) <= resumed]
        temporary = run / f".tmp-{NAME}"
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))
        os.replace(temporary, run / NAME)

        self._stream = open(run / NAME, "a")  # noqa: SIM115  (closed by close)

    def write(self, kind: str, step: int, **values: object) -> None:
        """Append a line and flush it; nan and the infinities, which JSON lacks, become null."""
        line = {"kind": kind, "step": step, **values}
        for key, value in line.items():
            if isinstance(value, float) and not math.isfinite(value):
                line[key] = None
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()

        prefix = f"{kind}/{values['source']}" if kind == "valid" else kind
        numbers = {}
        for key, value in values.items():
            if isinstance(value, (int, float)):
                numbers[f"{prefix}/{key}"] = float(value)
        for track in self._trackers:
            track(step, numbers)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def require_trackers(names: tuple[str, ...]) -> None:
    """Raise `UserError` (exit 3) when a tracker is not installed; asked before a run is begun."""
    modules = {"tensorboard": "torch.utils.tensorboard", "wandb": "wandb"}
    for name in names:
        try:
            importlib.import_module(modules[name])
        except ImportError:
            raise UserError(f"--track {name}: not installed", f"pip install {name}", 3) from None


def make_tracker(name: str, run: Path) -> Tracker:
    """A function that sends numbers to `tensorboard` or `wandb`, which is installed."""
    return tensorboard_tracker(run) if name == "tensorboard" else wandb_tracker(run)


def tensorboard_tracker(run: Path) -> Tracker:
    """Writes to `RUN/tensorboard`."""
    from torch.utils.tensorboard import SummaryWriter  # type: ignore[attr-defined, unused-ignore]

    writer = SummaryWriter(str(run / "tensorboard"))  # type: ignore[no-untyped-call]

    def track(step: int, numbers: dict[str, float]) -> None:
        for key, value in numbers.items():
            writer.add_scalar(key, value, step)  # type: ignore[no-untyped-call]
        writer.flush()  # type: ignore[no-untyped-call]

    return track


def wandb_tracker(run: Path) -> Tracker:
    """Sends to Weights & Biases under the name of the run's folder."""
    import wandb

    wandb.init(dir=str(run), name=run.name)
    return lambda step, numbers: wandb.log(numbers, step=step)
