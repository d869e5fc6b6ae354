"""TODO-DOC trainer/log.py."""

import json
import math
import os
from pathlib import Path
from typing import Any


def read_log(run: Path) -> list[dict[str, Any]]:
    """The lines of a run's log; a last line that was cut is left out."""
    try:
        lines = (run / "log.jsonl").read_text().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


class Log:
    """Writes lines to `RUN/log.jsonl` and to TensorBoard and W&B where they are asked for; one rank
    holds it.

    `resumed`: lines past that step are dropped, so that the log is that of a run never killed.
    """

    def __init__(self, run: Path, resumed: int, trackers: tuple[str, ...] = ()) -> None:
        self.run = run
        kept = [line for line in read_log(run) if line.get("step", 0) <= resumed] if resumed else []
        temporary = run / ".tmp-log.jsonl"
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept))
        os.replace(temporary, run / "log.jsonl")
        self._stream = open(run / "log.jsonl", "a")  # noqa: SIM115  (closed by close)
        self._trackers = [_tracker(name, run) for name in trackers]

    def write(self, kind: str, step: int, **values: Any) -> None:
        """Append a line and flush it; numbers that JSON has no sign for become null."""
        line = {"kind": kind, "step": step, **values}
        self._stream.write(
            json.dumps(
                {
                    key: None if isinstance(value, float) and not math.isfinite(value) else value
                    for key, value in line.items()
                }
            )
            + "\n"
        )
        self._stream.flush()
        numbers = {
            f"{kind}/{values['source']}/{key}" if kind == "valid" else f"{kind}/{key}": float(value)
            for key, value in values.items()
            if isinstance(value, (int, float))
        }
        for track in self._trackers:
            track(step, numbers)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def _tracker(name: str, run: Path) -> Any:
    """A function (step, numbers) -> None for TensorBoard or W&B. Raises `UserError` when the
    package is missing."""
    from shards.errors import UserError

    try:
        if name == "tensorboard":
            from torch.utils.tensorboard import SummaryWriter  # type: ignore[attr-defined, unused-ignore]

            writer = SummaryWriter(str(run / "tensorboard"))

            def track(step: int, numbers: dict[str, float]) -> None:
                for key, value in numbers.items():
                    writer.add_scalar(key, value, step)
                writer.flush()

            return track
        import wandb

        wandb.init(dir=str(run), name=run.name)
        return lambda step, numbers: wandb.log(numbers, step=step)
    except ImportError:
        raise UserError(f"--track {name}: not installed", f"pip install {name}", 3) from None
