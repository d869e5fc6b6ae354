"""The log of a run (`RUN/log.jsonl`, one JSON object a line) and what is shown meanwhile.

A `train` line: step, loss (nats a masked token, mean since the line before), perplexity,
learning_rate, gradient_norm, tokens_per_second (without padding), mfu, data_wait (share of the
time), memory_bytes, seconds_left, skipped, epoch, samples. A `valid` line: step, source, loss,
perplexity, accuracy, masked. Other kinds: `start`, `skip`, `spike`, `stop`.

MFU = tokens a second with padding * `model.flops_per_token` / (peak of the device * ranks): only
what must be done counts.
"""

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch

from trainer.config import Recipe
from trainer.model import flops_per_token

# Dense bf16 peaks in FLOP/s, by a part of the device's name; makers' data sheets.
PEAKS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "A10": 125e12,
    "L4": 121e12,
    "V100": 125e12,
    "T4": 65e12,
    "4090": 165e12,
    "3090": 71e12,
}


def peak_flops(device: torch.device) -> float | None:
    """The device's peak in FLOP/s, None where it is not known (a CPU)."""
    if device.type != "cuda":
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAKS.items() if part in name), None)


def perplexity(loss: float) -> float:
    """exp(loss), infinite where that overflows."""
    return math.exp(loss) if loss < 700 else math.inf


def memory_bytes(device: torch.device) -> int:
    """The peak of memory: on the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )


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
    from shards.config import UserError

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


class Display:
    """Progress on stderr: a live line when a person watches, else a line each half minute."""

    def __init__(self, steps: int, first: int, enabled: bool) -> None:
        self._last = 0.0
        self._live: Any = None
        self._enabled = enabled
        if enabled and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeRemainingColumn,
            )

            self._live = Progress(
                TextColumn("train"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[line]}"),
                console=Console(stderr=True),
            )
            self._live.start()
            self._task = self._live.add_task("train", total=steps, completed=first, line="")

    def step(self, step: int, steps: int, line: str) -> None:
        """Show that a step is done; `line` says how it goes."""
        now = time.monotonic()
        if self._live is not None:
            self._live.update(self._task, completed=step, line=line)
        elif self._enabled and (now - self._last > 30 or step == steps):
            self._last = now
            self.say(f"step {step}/{steps}  {line}")

    def say(self, text: str) -> None:
        """A line of its own."""
        if self._live is not None:
            self._live.console.print(text, highlight=False, markup=False)
        elif self._enabled:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """End the live line."""
        if self._live is not None:
            self._live.stop()


class Meter:
    """Adds up what a line of the log needs since the line before; `restart` leaves validation and
    saving out of the speed."""

    def __init__(self, recipe: Recipe, device: torch.device, ranks: int) -> None:
        self.recipe, self.device, self.ranks = recipe, device, ranks
        self.flops = flops_per_token(recipe.model, recipe.data.length, recipe.masking.rate)
        self.peak = peak_flops(device)
        self.loss = self.masked = self.tokens = self.seconds = self.waited = 0.0
        self.steps = 0
        self.restart(0.0)

    def restart(self, waited: float) -> None:
        """Begin to measure time now; `waited` is the loader's sum of seconds so far."""
        self.began, self.waited_before = time.perf_counter(), waited

    def add(self, loss: float, masked: float, tokens: float, waited: float) -> None:
        """A step is done."""
        self.seconds += time.perf_counter() - self.began
        self.waited += waited - self.waited_before
        self.restart(waited)
        self.loss, self.masked, self.tokens, self.steps = (
            self.loss + loss,
            self.masked + masked,
            self.tokens + tokens,
            self.steps + 1,
        )

    def line(
        self, step: int, batches: int, rate: float, norm: float, samples: int
    ) -> dict[str, Any]:
        """The values of a `train` line; begins the next one."""
        recipe, seconds = self.recipe, max(self.seconds, 1e-9)
        mean = self.loss / max(self.masked, 1.0)
        padded = self.steps * recipe.batch * recipe.data.length
        line = {
            "loss": mean,
            "perplexity": perplexity(mean),
            "learning_rate": rate,
            "gradient_norm": norm,
            "tokens_per_second": self.tokens / seconds,
            "mfu": padded / seconds * self.flops / (self.peak * self.ranks) if self.peak else None,
            "data_wait": self.waited / seconds,
            "memory_bytes": memory_bytes(self.device),
            "seconds_left": seconds / self.steps * (recipe.steps - step),
            "skipped": batches - step,
            "epoch": batches * recipe.batch / samples,
            "samples": batches * recipe.batch,
        }
        self.loss = self.masked = self.tokens = self.seconds = self.waited = 0.0
        self.steps = 0
        return line
