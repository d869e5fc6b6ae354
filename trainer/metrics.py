"""The log of a run (`RUN/log.jsonl`, one JSON object a line) and what is shown meanwhile.

A `train` line: step, loss (nats a masked token, mean since the line before), perplexity,
learning_rate, gradient_norm, tokens_per_second (without padding), mfu, data_wait (share of the
time), memory_bytes, seconds_left, skipped, epoch, samples. A `valid` line: step, source, loss,
perplexity, accuracy, masked. Other kinds: `start`, `skip`, `spike`, `stop`.

MFU = tokens a second with padding * `model.flops_per_token` / (peak of the device * ranks): only
what must be done counts.
"""

import math
import sys
import time
from typing import Any

import torch

from trainer.config import Recipe
from trainer.models.roberta import flops_per_token

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
