"""Pretraining: read `train` from top to bottom.

A step draws micro-batches, adds up gradients of loss sums, divides once by the number of masked
tokens of the whole batch, and updates. Batch s is the same samples and masks on any number of
ranks; dropout is keyed by (seed, batch, micro-batch). The host waits for the device once a step, to
know whether loss and norm are finite before the update.
"""

import contextlib
import dataclasses
import math
import signal
import statistics
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shards.errors import UserError
from shards.storage.lock import locked_folder
from trainer import budget, checkpoint, evaluate, export
from trainer.chance import DROPOUT, make_key
from trainer.checkpoint import State
from trainer.config import GuardConfig, micro_batch
from trainer.data.gather import Masker
from trainer.data.loader import Loader, MicroBatch
from trainer.data.order import make_order
from trainer.data.samples import Data
from trainer.display import Display
from trainer.log import Log
from trainer.metrics import Meter, peak_flops
from trainer.models.roberta import MaskedLM
from trainer.objectives.masked_lm import masked_lm_sum
from trainer.optim import LossScale, learning_rate
from trainer.ranks import World, choose_device, join
from trainer.run import (
    Job,
    make_autocast,
    open_on_host,
    prepare,
    resolve,
    start,
    stored_precision,
    validation,
)


def pretrain(job: Job) -> int:
    """Train until the horizon, or until stopped; returns the exit code. Raises `UserError`."""
    device = choose_device(job.device)
    # Rank 0 alone writes, so it alone holds the run's lock; the others learn of a refusal as of any
    # other.
    with join(device) as world, contextlib.ExitStack() as held:
        world.agree(
            lambda: held.enter_context(locked_folder(str(job.run))) if world.rank == 0 else None
        )
        data = open_on_host(job, world)
        if job.init is not None:
            job = dataclasses.replace(job, init=str(export.find_pretrained(job.init)))
        if job.resume and job.recipe.precision == "auto" and (found := stored_precision(job.run)):
            job = dataclasses.replace(job, recipe=dataclasses.replace(job.recipe, precision=found))
        recipe = resolve(job.recipe, data, device, job.init)
        job = dataclasses.replace(job, recipe=recipe)
        try:
            return train(job, world, data)
        except torch.cuda.OutOfMemoryError:
            micro = micro_batch(recipe, world.ranks)
            raise UserError(
                f"the GPU has no room for micro-batches of {micro} samples",
                f"--micro-batch {max(1, micro // 2)}",
                3,
            ) from None


def train(job: Job, world: World, data: Data) -> int:
    """The run itself."""
    recipe, device = job.recipe, world.device
    micro = micro_batch(recipe, world.ranks)
    accumulation = recipe.batch // world.ranks // micro
    order = make_order(data, recipe.seed, recipe.data.mix)
    masker = Masker(data, recipe.masking, recipe.seed)
    display = Display(recipe.steps, 0, world.rank == 0)

    state, found = start(job, world, data, micro, display)
    if state.step >= recipe.steps:
        display.say(f"{job.run}: finished at step {state.step}")
        return 0
    model, optimizer, flat = prepare(job, world, found)
    if recipe.compile:
        model.compile()
    autocast = make_autocast(recipe, device)
    sets = validation(job, world)
    log = Log(job.run, state.step, job.track) if world.rank == 0 else None
    if log:
        display.say(
            budget.describe(budget.plan(recipe, data, order, world.ranks, 0.0, peak_flops(device)))
        )
        log.write(
            "start",
            state.step,
            device=str(device),
            torch=torch.__version__,
            **budget.plan(recipe, data, order, world.ranks, 0.0, peak_flops(device)),
        )
    loader = Loader(
        masker,
        order,
        recipe.batch,
        micro,
        world.rank,
        world.ranks,
        state.batches,
        pinned=device.type == "cuda",
    )
    stop, meter = StopFlag(recipe.max_hours), Meter(recipe, device, world.ranks)

    # Losses are scaled by a constant on the way and divided by the true count at the end: masks,
    # and so the count
    # over all ranks, need not be known before the first forward, and fp16 stays in its range.
    unit = float(micro * masker.most)
    saved = None
    try:
        while state.step < recipe.steps and not stop.asked:
            flat.zero_()
            scale = state.scale if recipe.precision == "fp16" else 1.0
            loss_sum = torch.zeros((), dtype=torch.float64, device=device)
            masked = tokens = 0
            for number in range(accumulation):
                batch = loader.next()
                ids, places, labels = to_device(batch, loader, device)
                masked, tokens = masked + batch.masked, tokens + batch.tokens
                # Dropout has no generator argument in torch, so the default one is set anew for
                # each micro-batch.
                torch.manual_seed(
                    int(
                        make_key(
                            recipe.seed,
                            DROPOUT,
                            state.batches,
                            world.rank * accumulation + number,
                        )
                    )
                    >> 1
                )
                with autocast:
                    logits = model(ids, places)
                loss = masked_lm_sum(logits, labels)
                (loss * (scale / unit)).backward()  # type: ignore[no-untyped-call]
                loss_sum += loss.detach()
                if device.type == "cpu":
                    loader.release(batch)

            totals = torch.stack(
                [
                    loss_sum,
                    *torch.tensor(
                        [masked, tokens, stop.wanted()], dtype=torch.float64, device=device
                    ),
                ]
            )
            world.sum(totals)
            world.sum(flat)
            flat.mul_(unit / (scale * totals[1].clamp(min=1.0)))
            norm_tensor = torch.linalg.vector_norm(
                flat, dtype=torch.float64
            )  # a sum of so many squares loses digits in fp32
            loss_total, masked_total, tokens_total, stops, norm = torch.cat(
                [totals, norm_tensor[None]]
            ).tolist()
            stop.asked = stops > 0
            mean = loss_total / max(masked_total, 1.0)

            scaler = LossScale(scale=state.scale, good=state.good).after(math.isfinite(norm))
            if not is_finite(mean, norm):
                state = skip(state, job, scaler, mean, norm, log, display)
                continue
            if recipe.precision == "fp16":
                state = dataclasses.replace(state, scale=scaler.scale, good=scaler.good)
            if recipe.optim.clip and norm > recipe.optim.clip:
                flat.mul_(recipe.optim.clip / (norm + 1e-6))
            rate = learning_rate(state.step, recipe.steps, recipe.optim)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            state = dataclasses.replace(
                state, step=state.step + 1, tokens=state.tokens + int(tokens_total)
            )
            state = watch(state, mean, recipe.guard, job.run, log)

            meter.add(loss_total, masked_total, tokens_total, loader.waited)
            last = state.step == recipe.steps or stop.asked
            if state.step % recipe.log_every == 0 or last:
                line = meter.line(state.step, state.batches, rate, norm, len(data))
                if log:
                    log.write("train", state.step, **line)
                display.step(
                    state.step,
                    recipe.steps,
                    f"loss {line['loss']:.4f}  {line['tokens_per_second']:,.0f} tokens/s",
                )
            if (
                recipe.evaluation.every and state.step % recipe.evaluation.every == 0
            ) or state.step == recipe.steps:
                validate(state.step, model, sets, world, autocast, log, display)
                meter.restart(loader.waited)
            if state.step % recipe.save_every == 0 or last:
                save(job, world, model, optimizer, state)
                saved = state
                meter.restart(loader.waited)
        if state.step < recipe.steps:
            if saved != state:
                save(job, world, model, optimizer, state)  # stopped at a batch that was skipped
            if log:
                log.write("stop", state.step, reason=stop.reason)
            display.say(
                f"stopped at step {state.step} of {recipe.steps} ({stop.reason}), saved; go on with --resume"
            )
    finally:
        loader.close()
        display.close()
        stop.close()
        if log:
            log.close()
    return 0 if state.step >= recipe.steps else stop.exit_code


# --- within a step
# ------------------------------------------------------------------------------------------------


def to_device(
    batch: MicroBatch, loader: Loader, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """The tensors on the device; from pinned memory the copy runs beside the computation, and the
    buffer is free after it."""
    if device.type == "cpu":
        return batch.ids, batch.places, batch.labels
    moved = tuple(
        tensor.to(device, non_blocking=True) for tensor in (batch.ids, batch.places, batch.labels)
    )
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record()
    loader.release(batch, copied)
    return moved  # type: ignore[return-value]


def save(
    job: Job, world: World, model: MaskedLM, optimizer: torch.optim.Optimizer, state: State
) -> None:
    """Rank 0 saves; the others wait for it, so that they end with it when it cannot."""
    world.agree(
        lambda: (
            checkpoint.save(job.run, model, optimizer, state, job.recipe.keep)
            if world.rank == 0
            else None
        )
    )


def skip(
    state: State,
    job: Job,
    scaler: LossScale,
    loss: float,
    norm: float,
    log: Log | None,
    display: Display,
) -> State:
    """A loss or gradient that is not finite: no update, the batch is left out and counted; past the
    limit the run ends."""
    half = job.recipe.precision == "fp16"
    overflow = half and math.isfinite(loss)  # what a loss scale is for: no fault of the run
    state = dataclasses.replace(
        state, skipped=state.skipped + 1, nonfinite=state.nonfinite + (not overflow)
    )
    if half:
        state = dataclasses.replace(state, scale=scaler.scale, good=scaler.good)
    if log:
        log.write(
            "skip",
            state.step,
            batch=state.batches - 1,
            loss=loss,
            gradient_norm=norm,
            scale=state.scale,
        )
    display.say(
        f"batch {state.batches - 1}: {'gradient overflow, scale halved' if overflow else 'loss or gradient not finite'}; skipped"
    )
    if state.nonfinite >= job.recipe.guard.nonfinite_limit:
        raise UserError(
            f"{state.nonfinite} batches with a loss or gradient that is not finite; {last_good(job.run)}",
            "lower --optim.lr, or use --precision bf16 or fp32",
            1,
        )
    if half and scaler.scale <= scaler.floor:
        raise UserError(
            f"the fp16 loss scale fell to {scaler.scale:g}; {last_good(job.run)}",
            "lower --optim.lr, or use --precision bf16 or fp32",
            1,
        )
    return state


def watch(state: State, loss: float, guard: GuardConfig, run: Path, log: Log | None) -> State:
    """The spike guard: a loss far above the median of the last ones is logged; many in a row end
    the run."""
    if not guard.spike_window:
        return state
    losses, spikes = state.losses, 0
    if len(losses) >= guard.spike_window:
        middle = statistics.median(losses)
        spread = max(0.02, statistics.median(abs(value - middle) for value in losses))
        spikes = state.spikes + 1 if loss > middle + guard.spike_deviations * spread else 0
    if spikes:
        if log:
            log.write("spike", state.step, loss=loss, in_a_row=spikes)
        if spikes >= guard.spike_limit:
            raise UserError(
                f"the loss has been {loss:.3f} for {spikes} steps, far above its median of {middle:.3f}; {last_good(run)}",
                "start anew with a lower --optim.lr or another --seed",
                1,
            )
        return dataclasses.replace(state, spikes=spikes)
    return dataclasses.replace(state, losses=(*losses, loss)[-guard.spike_window :], spikes=0)


def last_good(run: Path) -> str:
    """Names the newest checkpoint."""
    found = checkpoint.list_checkpoints(run)
    return f"the last checkpoint is {found[0].name}" if found else "there is no checkpoint"


def validate(
    step: int,
    model: MaskedLM,
    sets: list[evaluate.ValidationSet],
    world: World,
    autocast: AbstractContextManager[None],
    log: Log | None,
    display: Display,
) -> None:
    """Score the validation sets and log them by source."""
    if not sets:
        return
    scores = evaluate.evaluate(model, sets, world.device, autocast, world.rank, world.ranks)
    if log:
        for source, score in scores.items():
            log.write("valid", step, source=source, **vars(score))
    display.say(
        f"step {step}: validation perplexity {scores['all'].perplexity:.3f}, accuracy {scores['all'].accuracy:.3f}"
    )


class StopFlag:
    """SIGTERM, Ctrl-C or the time limit: the step is finished, the run saved. A second Ctrl-C ends
    at once."""

    def __init__(self, max_hours: float) -> None:
        self.asked = False
        self.reason, self.exit_code = "stopped on another rank", 1
        self._signal = False
        self._deadline = time.monotonic() + max_hours * 3600 if max_hours else math.inf
        self._before = {
            number: signal.signal(number, self._handle)
            for number in (signal.SIGTERM, signal.SIGINT)
        }

    def _handle(self, number: int, frame: Any) -> None:
        if self._signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._signal = True
        self.reason, self.exit_code = (
            ("interrupted", 130) if number == signal.SIGINT else ("SIGTERM", 1)
        )

    def wanted(self) -> bool:
        """Does this rank want to stop? Ranks agree by adding the answers up."""
        if time.monotonic() > self._deadline:
            self.reason = "--max-hours"
        return self._signal or time.monotonic() > self._deadline

    def close(self) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)


def is_finite(*values: float) -> bool:
    """True when no value is nan or infinite."""
    return all(math.isfinite(value) for value in values)
