"""When the loss goes wrong: batches that are left out, and the spike guard, which end a run in
words."""

import dataclasses
import math
import statistics
from pathlib import Path

from shards.errors import UserError
from trainer.checkpoint import State, last_checkpoint
from trainer.config import GuardConfig
from trainer.log import Log
from trainer.optim import LossScale
from trainer.training import Training
from trainer.update import Totals, rescale

# The least spread of losses that the spike guard assumes, in nats.
LEAST_SPREAD = 0.02

LOWER_THE_RATE = "lower --optim.lr, or use --precision bf16 or fp32"


def skip(training: Training, state: State, totals: Totals) -> State:
    """Leave out a batch whose loss or gradient is not finite: no update, one more skipped batch.

    Raises `UserError` (exit 1) past the limit of such batches, or when the fp16 loss scale has
    become too small.
    """
    batch = state.batches
    half = training.recipe.precision == "fp16"
    # A gradient that overflows fp16 under a finite loss is what the loss scale is for.
    overflow = half and math.isfinite(totals.loss)
    state = dataclasses.replace(
        state, skipped=state.skipped + 1, nonfinite=state.nonfinite + (not overflow)
    )
    if half:
        state = rescale(state, finite=math.isfinite(totals.norm))

    if training.log:
        training.log.write(
            "skip",
            state.step,
            batch=batch,
            loss=totals.loss,
            gradient_norm=totals.norm,
            scale=state.scale,
        )
    fault = "gradient overflow, scale halved" if overflow else "loss or gradient not finite"
    training.display.say(f"batch {batch} skipped: {fault}")

    if state.nonfinite >= training.recipe.guard.nonfinite_limit:
        raise UserError(
            f"{state.nonfinite} batches with a loss or gradient that is not finite; "
            f"{last_checkpoint(training.folder)}",
            LOWER_THE_RATE,
            1,
        )
    if half and state.scale <= LossScale.floor:
        raise UserError(
            f"the fp16 loss scale fell to {state.scale:g}; {last_checkpoint(training.folder)}",
            LOWER_THE_RATE,
            1,
        )
    return state


def warn_of_no_labels(training: Training, totals: Totals) -> None:
    """Say once of each objective that a batch has no label for it, so that it learns nothing."""
    for name in training.weights:
        if not totals.counts[name]:
            remedy = "raise --batch or --masking.rate" if name == "mlm" else "raise --batch"
            training.display.say_once(
                f"warning: a batch of {training.recipe.batch} samples has no label for objective "
                f"{name}, whose loss is 0 there: {remedy}"
            )


def watch_loss(state: State, loss: float, guard: GuardConfig, run: Path, log: Log | None) -> State:
    """The spike guard: log a loss far above the median of the past ones, which it does not join.

    Raises `UserError` (exit 1) after `spike_limit` spikes in a row.
    """
    if not guard.spike_window:
        return state

    losses = state.losses
    spikes = 0
    if len(losses) >= guard.spike_window:
        middle = statistics.median(losses)
        deviation = statistics.median([abs(value - middle) for value in losses])
        spread = max(LEAST_SPREAD, deviation)
        if loss > middle + guard.spike_deviations * spread:
            spikes = state.spikes + 1
    if not spikes:
        kept = (*losses, loss)[-guard.spike_window :]
        return dataclasses.replace(state, losses=kept, spikes=0)

    if log:
        log.write("spike", state.step, loss=loss, in_a_row=spikes)
    if spikes >= guard.spike_limit:
        raise UserError(
            f"the loss has been {loss:.3f} for {spikes} steps, far above its median of "
            f"{middle:.3f}; {last_checkpoint(run)}",
            "start a new run with a lower --optim.lr or another --seed",
            1,
        )
    return dataclasses.replace(state, spikes=spikes)
