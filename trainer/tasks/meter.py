"""The figures of a `train` line of a fine-tuning run."""

import math
from dataclasses import dataclass

from trainer.metrics import Meter, memory_bytes


@dataclass(frozen=True, kw_only=True)
class TuningLine:
    """A `train` line. Means and speeds are over the steps since the line before.

    `loss` the sum of the losses, each the mean over its labels; `answerable_loss` that of the
    classifier of answerable questions, None without one; `fill` the share of tokens that are not
    padding; the others as in `metrics.TrainLine`.
    """

    loss: float
    answerable_loss: float | None
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    fill: float
    data_wait: float
    memory_bytes: int
    seconds_left: float | None
    skipped: int
    epoch: float
    samples: int


class TaskMeter(Meter):
    """The meter of pretraining, with the losses of a task."""

    def _loss(self) -> float:
        """The sum of the means that there are."""
        means = [mean for mean in self._means().values() if not math.isnan(mean)]
        return sum(means) if means else math.nan

    def line(self, step: int, batches: int, epoch: float) -> TuningLine:  # type: ignore[override]
        """The line after `step` updates of `batches` batches; begins the next one."""
        seconds = max(self.seconds, 1e-9)
        line = TuningLine(
            loss=self._loss(),
            answerable_loss=self._means().get("answerable"),
            learning_rate=self.rate,
            gradient_norm=self.norm,
            tokens_per_second=self.counts["tokens"] / seconds,
            fill=self.counts["tokens"] / max(self.counts["room"], 1.0),
            data_wait=self.waited / seconds,
            memory_bytes=memory_bytes(self.device),
            seconds_left=self.seconds_left(step),
            skipped=batches - step,
            epoch=epoch,
            samples=batches * self.recipe.batch,
        )
        self._clear()
        return line
