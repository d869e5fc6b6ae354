"""The update at the end of a batch."""

import dataclasses
import math
from dataclasses import dataclass

import torch

from trainer.checkpoint import State
from trainer.config import Recipe
from trainer.gradients import Counts, Sums, loss_scale, send
from trainer.optim import LossScale, learning_rate, prepare_step
from trainer.training import Training


@dataclass(frozen=True, kw_only=True)
class Totals:
    """A batch over all ranks: `loss`, the weighted sum of the means of its objectives in nats; the
    `sums` of their losses; `counts`, those of `Training.count`; how many ranks want to stop, how
    many have not computed all of it, and how many had no memory for a micro-batch; whether rank 0
    finds its last checkpoint `old`; and the norm of its gradient."""

    loss: float
    sums: dict[str, float]
    counts: dict[str, float]
    stops: float
    unfinished: float
    too_large: float
    old: float
    norm: float

    @property
    def is_void(self) -> bool:
        """Whether the batch is to be dropped, since a rank has not computed all of it."""
        return self.unfinished > 0

    @property
    def is_old(self) -> bool:
        """Whether a checkpoint is due by the clock."""
        return self.old > 0

    @property
    def is_finite(self) -> bool:
        """Whether neither the loss nor the gradient is nan or infinite."""
        return math.isfinite(self.loss) and math.isfinite(self.norm)


def combine(
    training: Training, state: State, sums: Sums, counts: Counts, wants_stop: bool
) -> Totals:
    """Add up losses and gradients over all ranks. This is the one place where the host waits for
    the device. A rank whose batch is void takes part, so that no other rank waits for it."""
    world = training.world
    what = f"add up the gradients of step {state.step + 1}"
    flags = [wants_stop, not sums.is_whole, sums.is_too_large, training.is_old()]
    answers = send(torch.tensor(flags, dtype=torch.float64), world.device)
    totals = torch.cat([sums.losses, answers])
    # The gradients first, since their sums may have begun in the backward pass.
    training.gradients.meet(what)
    world.sum(totals, what)

    scale = loss_scale(training, state)
    if scale != 1.0:
        training.gradients.scale(1.0 / scale)
    norm = training.gradients.norm()

    # One tensor, so that the host waits once. On a GPU this is also the wait for the other ranks.
    with world.waiting(what, patient=False):
        figures = torch.cat([totals, norm[None], counts.totals]).tolist()

    known = len(training.weights)
    stops, unfinished, too_large, old, norm_found = figures[known : known + 5]
    named_sums = dict(zip(training.weights, figures))
    named_counts = dict(zip(counts.names, figures[known + 5 :], strict=True))
    loss = 0.0
    for name, weight in training.weights.items():
        loss += weight * named_sums[name] / max(named_counts[name], 1.0)
    return Totals(
        loss=loss,
        sums=named_sums,
        counts=named_counts,
        stops=stops,
        unfinished=unfinished,
        too_large=too_large,
        old=old,
        norm=norm_found,
    )


def update(training: Training, state: State, totals: Totals) -> float:
    """Clip the gradient and update the weights; return the learning rate."""
    clip = training.recipe.optim.clip
    if clip and totals.norm > clip:
        training.gradients.scale(clip / (totals.norm + 1e-6))

    rate = learning_rate(state.step, training.recipe.steps, training.recipe.optim)
    prepare_step(training.optimizer, training.recipe.optim, state.step, rate)
    training.optimizer.step()
    return rate


def advance(state: State, recipe: Recipe, totals: Totals) -> State:
    """The state after an update."""
    if recipe.precision == "fp16":
        state = rescale(state, finite=True)
    return dataclasses.replace(
        state, step=state.step + 1, tokens=state.tokens + int(totals.counts["tokens"])
    )


def rescale(state: State, finite: bool) -> State:
    """The state with the loss scale of the next step."""
    scaler = LossScale(scale=state.scale, good=state.good).after(finite)
    return dataclasses.replace(state, scale=scaler.scale, good=scaler.good)
