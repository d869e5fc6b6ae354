"""The figures of a `train` line of the log: loss, speed and the share of the device's peak.

MFU (model FLOP utilisation) is the arithmetic that the model needs for the real tokens of a step
(`sizes.flops_per_token`), over the peak of the devices for that time. Neither padding nor what is
computed twice counts; what a step is filled up with is told apart, as `padding`.
"""

import math
import resource
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from trainer.config import Recipe
from trainer.models.sizes import flops_per_token
from trainer.objectives.losses import weights

if TYPE_CHECKING:
    from trainer.update import Totals

# Dense peaks of the tensor cores in FLOP/s, in bf16 (fp16 where there is no bf16) with sums in
# fp32, by the kind that `--device-kind` takes. All from NVIDIA's data sheets, which give most of
# them with sparsity, twice as much: H200, H100 (SXM, PCIe, NVL), H20 and H800 (as sold in China:
# the arithmetic of an H100), B200 (DGX B200), A100, A800, A30, A40, A10, L4, L40, L40S, V100, T4,
# RTX A6000, RTX 6000 Ada; the GeForce cards from the white papers of Ampere GA102, Ada and
# Blackwell.
PEAKS = {
    "B200": 2250e12,
    "H200": 989e12,
    "H200 NVL": 835e12,
    "H100": 989e12,
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H800": 989e12,
    "H20": 148e12,
    "A100": 312e12,
    "A800": 312e12,
    "A30": 165e12,
    "A40": 149.7e12,
    "A10": 125e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "RTX A6000": 154.8e12,
    "RTX 6000 Ada": 364e12,
    "RTX 5090": 209.5e12,
    "RTX 4090": 165.2e12,
    "RTX 3090": 71e12,
    "V100": 125e12,
    "V100 PCIe": 112e12,
    "T4": 65e12,
}

# The kind by the exact name that the driver gives a device, without its maker. A name that is not
# here has no peak: a part of a name would take an A1000 for an A100.
KINDS = {
    "H100 80GB HBM3": "H100",
    "A100-SXM4-40GB": "A100",
    "A100-SXM4-80GB": "A100",
    "A100-PCIE-40GB": "A100",
    "A100 80GB PCIe": "A100",
    "A800-SXM4-80GB": "A800",
    "A800 80GB PCIe": "A800",
    "RTX 6000 Ada Generation": "RTX 6000 Ada",
    "GeForce RTX 5090": "RTX 5090",
    "GeForce RTX 4090": "RTX 4090",
    "GeForce RTX 3090": "RTX 3090",
    "V100-SXM2-16GB": "V100",
    "V100-SXM2-32GB": "V100",
    "V100-PCIE-16GB": "V100 PCIe",
    "V100-PCIE-32GB": "V100 PCIe",
}

# Kinds whose name is no device's: the driver always says more.
ONLY_KINDS = {"A100", "A800", "V100", "V100 PCIe", "H100"}


def kind_of(name: str) -> str | None:
    """The kind of a device in PEAKS by its full name, None where it is not known."""
    short = name.removeprefix("NVIDIA ").removeprefix("Tesla ")
    if short in KINDS:
        return KINDS[short]
    return short if short in PEAKS and short not in ONLY_KINDS else None


def peak_flops(device: torch.device) -> float | None:
    """The device's peak in FLOP/s; None where it is not known, as on a CPU."""
    if device.type != "cuda":
        return None

    kind = kind_of(torch.cuda.get_device_name(device))
    return None if kind is None else PEAKS[kind]


def perplexity(loss: float) -> float:
    """exp(loss), infinite where that overflows, nan for nan."""
    if math.isnan(loss):
        return math.nan
    return math.exp(loss) if loss < 700 else math.inf


def memory_bytes(device: torch.device) -> int:
    """The peak of the memory used so far, on the GPU or by this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)

    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@dataclass(frozen=True, kw_only=True)
class TrainLine:
    """A `train` line. Means and speeds are over the steps since the line before.

    `loss` the weighted sum of the objectives' losses; `mlm_loss` in nats per masked token,
    `nsp_loss` per pair, `sbo_loss` per token of a span, None where they are off; `perplexity` of
    `mlm_loss`; `sbo_dropped` tokens of spans that are past the positions of the span boundary head;
    `gradient_norm` before clipping; `tokens_per_second` and `mfu` without padding, `mfu` None where
    the device's peak is not known; `padding` the share of padding among the tokens that were
    computed; `data_wait` the share of the time
    spent waiting for data; `memory_bytes` the peak; `seconds_left` None
    until it is known; `skipped` batches without an update so far; `epoch` and `samples` how much of
    the data has been seen so far.
    """

    loss: float
    perplexity: float | None
    mlm_loss: float | None
    nsp_loss: float | None
    sbo_loss: float | None
    sbo_dropped: int | None
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    mfu: float | None
    padding: float
    data_wait: float
    memory_bytes: int
    seconds_left: float | None
    skipped: int
    epoch: float
    samples: int


# Steps of the beginning that are slower than the rest, since kernels are compiled and memory is
# asked for, and the steps after them that give the first estimate of the time left.
WARMING_UP = 1
FIRST_STEPS = 3

# The weight of the newest step in the average that the time left is reckoned from.
NEWEST = 0.05


class Meter:
    """Adds up what the next `train` line needs, and tells the time left at any step.

    `restart` begins to measure time anew, so that validation and saving do not count as training.
    Times are in seconds; `waited` is the loader's sum so far.
    """

    def __init__(self, recipe: Recipe, device: torch.device, ranks: int) -> None:
        self.recipe = recipe
        self.device = device
        peak = peak_flops(device)
        self.peak = None if peak is None else peak * ranks

        self.done = 0
        self.pace = 0.0
        self.rate = 0.0
        self.norm = 0.0
        self.figures = ""
        self._clear()
        self.restart(0.0)

    def _clear(self) -> None:
        self.sums: defaultdict[str, float] = defaultdict(float)
        self.counts: defaultdict[str, float] = defaultdict(float)
        self.seconds = 0.0
        self.waited = 0.0
        self.steps = 0

    def restart(self, waited: float) -> None:
        """Begin to measure time now."""
        self.began = time.perf_counter()
        self.waited_before = waited

    def add(self, totals: "Totals", rate: float, waited: float) -> None:
        """Count a step with the learning rate `rate`."""
        seconds = time.perf_counter() - self.began
        self.seconds += seconds
        self._average(seconds)
        self.waited += waited - self.waited_before
        self.restart(waited)

        for name, value in totals.sums.items():
            self.sums[name] += value
        for name, value in totals.counts.items():
            self.counts[name] += value
        self.steps += 1
        self.rate = rate
        self.norm = totals.norm

        speed = self.counts["tokens"] / max(self.seconds, 1e-9)
        self.figures = f"loss {self._loss():.4f}  {speed:,.0f} tokens/s"

    def _means(self) -> dict[str, float]:
        """The mean loss of each objective since the line before, nan where it had no label."""
        means = {}
        for name, value in self.sums.items():
            count = self.counts[name]
            means[name] = value / count if count else math.nan
        return means

    def _loss(self) -> float:
        """The weighted sum of the means that there are."""
        means = {name: mean for name, mean in self._means().items() if not math.isnan(mean)}
        known = weights(self.recipe.objective)
        found = [weight * means[name] for name, weight in known.items() if name in means]
        return sum(found) if found else math.nan

    def _flops(self) -> float:
        """The arithmetic of the steps since the line before. A token attends to its own sequence,
        whose mean length is that of the tokens."""
        tokens = max(self.counts["tokens"], 1.0)
        length = self.counts["squares"] / tokens
        rate = self.recipe.masking.rate
        return tokens * flops_per_token(self.recipe.model, length, rate)

    def _average(self, seconds: float) -> None:
        """Take the time of a step into the average of steps: the plain mean of the first ones, then
        one that follows a change of speed within some twenty steps."""
        self.done += 1
        counted = self.done - WARMING_UP
        if counted > 0:
            self.pace += (seconds - self.pace) * max(1 / counted, NEWEST)

    def seconds_left(self, step: int) -> float | None:
        """The time that the steps after `step` will take, without validating and saving; None as
        long as too few are done to tell."""
        steps_left = self.recipe.steps - step
        if not steps_left:
            return 0.0
        return self.pace * steps_left if self.done >= WARMING_UP + FIRST_STEPS else None

    def line(self, step: int, batches: int, epoch: float) -> TrainLine:
        """The line after `step` updates of `batches` batches; begins the next one. `epoch`: how
        often the data has been seen."""
        recipe = self.recipe
        seconds = max(self.seconds, 1e-9)
        tokens = self.counts["tokens"]
        computed = max(self.counts["computed"], 1.0)
        means = self._means()

        line = TrainLine(
            loss=self._loss(),
            perplexity=perplexity(means["mlm"]) if "mlm" in means else None,
            mlm_loss=means.get("mlm"),
            nsp_loss=means.get("nsp"),
            sbo_loss=means.get("sbo"),
            sbo_dropped=int(self.counts["sbo_dropped"]) if "sbo" in means else None,
            learning_rate=self.rate,
            gradient_norm=self.norm,
            tokens_per_second=tokens / seconds,
            mfu=self._flops() / seconds / self.peak if self.peak else None,
            padding=1.0 - tokens / computed,
            data_wait=self.waited / seconds,
            memory_bytes=memory_bytes(self.device),
            seconds_left=self.seconds_left(step),
            skipped=batches - step,
            epoch=epoch,
            samples=batches * recipe.batch,
        )
        self._clear()
        return line
