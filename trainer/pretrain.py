"""Pretraining: read this file from top to bottom.

A step draws micro-batches, adds up the gradients of their summed losses, divides once by the number
of masked tokens of the whole batch, and updates. Batch s is the same samples and masks on any
number of ranks; dropout is keyed by (seed, batch, micro-batch). The host waits for the device once
a step, to know whether loss and norm are finite before the update.
"""

import contextlib
import dataclasses
import math
import statistics
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from shards.errors import UserError
from shards.storage.lock import locked_folder
from trainer import budget, checkpoint, evaluate, pretrained
from trainer.chance import DROPOUT, make_key
from trainer.checkpoint import State, last_checkpoint
from trainer.compare_ranks import (
    refuse_micro_batch,
    refuse_other_shards,
    with_recipe_of_rank_0,
)
from trainer.config import GuardConfig, Recipe, micro_batch
from trainer.data.gather import Masker
from trainer.data.loader import Loader, MicroBatch, Share
from trainer.data.order import Order, make_order
from trainer.data.samples import Data
from trainer.display import Display
from trainer.log import Log, require_trackers
from trainer.metrics import Meter
from trainer.models.roberta import MaskedLM
from trainer.objectives.masked_lm import masked_lm_sum
from trainer.optim import LossScale, learning_rate
from trainer.ranks import World, choose_device, join
from trainer.run import (
    Job,
    check_enough,
    make_autocast,
    open_on_host,
    prepare,
    resolve,
    start,
    stored_precision,
    validation,
)
from trainer.scores import brief, few_tokens
from trainer.stop import StopFlag

# The least spread of losses that the spike guard assumes, in nats.
LEAST_SPREAD = 0.02

LOWER_THE_RATE = "lower --optim.lr, or use --precision bf16 or fp32"


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that stays the same from step to step. `gradient` is the flat gradient of the
    model; `log` is None except on rank 0."""

    job: Job
    world: World
    data: Data
    share: Share
    masker: Masker
    order: Order
    model: MaskedLM
    optimizer: torch.optim.AdamW
    gradient: Tensor
    autocast: AbstractContextManager[None]
    sets: list[evaluate.ValidationSet]
    log: Log | None
    display: Display

    @property
    def recipe(self) -> Recipe:
        """The job's recipe."""
        return self.job.recipe

    @property
    def unit(self) -> float:
        """The constant that losses are divided by on the way: the most masked tokens that a
        micro-batch can have.

        The division by the true count comes at the end. So the count over all ranks need not be
        known before the first forward pass, and fp16 stays in its range.
        """
        return float(self.share.micro * self.masker.most_masked)


def pretrain(job: Job) -> int:
    """Train until the last step, or until stopped; return the exit code. Raises `UserError`."""
    device = choose_device(job.device)
    with join(device) as world, contextlib.ExitStack() as stack:
        world.on_rank_0(lambda: require_trackers(job.track))
        # Rank 0 alone writes, so it alone locks the run.
        world.on_rank_0(lambda: stack.enter_context(locked_folder(str(job.run))))
        job = with_recipe_of_rank_0(job, world)
        data = open_on_host(job, world)
        refuse_other_shards(data, world)
        job = complete(job, data, world)
        try:
            return train(job, world, data)
        except torch.cuda.OutOfMemoryError:
            micro = micro_batch(job.recipe, world.ranks)
            raise UserError(
                f"the GPU has no room for micro-batches of {micro} samples",
                f"use --micro-batch {max(1, micro // 2)}",
                3,
            ) from None


def complete(job: Job, data: Data, world: World) -> Job:
    """The job with what only the data, the device and the stored run can tell, as rank 0 sees it;
    checked."""

    def of_rank_0() -> tuple[Recipe, str | None]:
        init = job.init
        if init is not None:
            init = str(pretrained.find_pretrained(init, job.init_step))

        # A run keeps the precision that it was started with, also on another device.
        recipe = job.recipe
        if job.resume and recipe.precision == "auto":
            stored = stored_precision(job.run)
            if stored is not None:
                recipe = dataclasses.replace(recipe, precision=stored)
        recipe = resolve(recipe, data, world.device, init)
        check_enough(recipe, data)
        return recipe, init

    recipe, init = world.from_rank_0(of_rank_0)
    return dataclasses.replace(job, init=init, recipe=recipe)


def train(job: Job, world: World, data: Data) -> int:
    """Begin or continue the run, train, and end it cleanly; return the exit code."""
    recipe = job.recipe
    micro = world.agree(lambda: micro_batch(recipe, world.ranks))
    refuse_micro_batch(micro, world)
    share = Share(recipe.batch, micro, world.rank, world.ranks)
    # Made before the run's folder, so that a wrong --mix leaves none behind.
    order = world.agree(lambda: make_order(data, recipe.seed, recipe.data.mix))

    with contextlib.ExitStack() as stack:
        display = stack.enter_context(closing(Display(recipe.steps, world.is_first)))
        state, found = start(job, world, data, share.micro, display)
        if state.step >= recipe.steps:
            display.say(f"{job.run}: finished at step {state.step}")
            return 0

        model, optimizer, gradient = prepare(job, world, found)
        if recipe.compile:
            model.compile()
        run = Run(
            job=job,
            world=world,
            data=data,
            share=share,
            masker=Masker(data, recipe.masking, recipe.seed),
            order=order,
            model=model,
            optimizer=optimizer,
            gradient=gradient,
            autocast=make_autocast(recipe, world.device),
            sets=validation(job, world),
            log=Log(job.run, state.step, job.track) if world.is_first else None,
            display=display,
        )
        if run.log:
            stack.enter_context(closing(run.log))
            log_start(run, run.log, state)

        on_gpu = world.device.type == "cuda"
        loader = Loader(run.masker, run.order, share, state.batches, pinned=on_gpu)
        stack.enter_context(closing(loader))
        stop = stack.enter_context(closing(StopFlag(recipe.max_hours)))
        state = take_steps(run, state, loader, stop)

    return 0 if state.step >= recipe.steps else stop.exit_code


def log_start(run: Run, log: Log, state: State) -> None:
    """Show what the run will cost, and log it."""
    corpus = budget.read_corpus(run.recipe, run.data, run.order)
    machine = budget.this_machine(run.world.device, run.world.ranks)
    figures = budget.plan(run.recipe, corpus, machine)
    run.display.say(budget.describe(figures, is_dry=False))
    if run.sets:
        masked = sum(part.masked for part in run.sets)
        few = few_tokens(masked, evaluate.is_cut(run.sets), "--evaluation.samples")
        if few:
            run.display.say(f"warning: {few}")
    device = str(run.world.device)
    log.write("start", state.step, device=device, torch=torch.__version__, **vars(figures))


def take_steps(run: Run, state: State, loader: Loader, stop: StopFlag) -> State:
    """Train from `state` until the last step or until stopped, and save; return the last state."""
    recipe = run.recipe
    meter = Meter(recipe, run.world.device, run.world.ranks)
    saved: State | None = None
    run.display.step(state.step, recipe.steps, None, "")

    while state.step < recipe.steps and not stop.asked:
        sums = add_up_gradients(run, state, loader)
        totals = combine(run, state, sums, stop.wanted())
        stop.asked = totals.stops > 0

        if not totals.finite:
            state = skip(run, state, totals)
            continue
        rate = update(run, state, totals)
        state = advance(state, recipe, totals)
        state = watch(state, totals.mean, recipe.guard, run.job.run, run.log)

        meter.add(totals.loss, totals.masked, totals.tokens, loader.waited)
        run.display.step(state.step, recipe.steps, meter.seconds_left(state.step), meter.figures)
        finished = state.step == recipe.steps
        last = finished or stop.asked
        if state.step % recipe.log_every == 0 or last:
            log_step(run, state, meter, rate, totals.norm)
        if finished or is_due(state.step, recipe.evaluation.every):
            state = validate(run, state)
            meter.restart(loader.waited)
        is_best = recipe.keep_best and state.best_step == state.step
        if state.step % recipe.save_every == 0 or last or is_best:
            save(run, state)
            saved = state
            meter.restart(loader.waited)

    if state.step < recipe.steps:
        if saved != state:
            save(run, state)  # stopped at a batch that was skipped
        if run.log:
            run.log.write("stop", state.step, reason=stop.reason)
        run.display.say(
            f"stopped at step {state.step} of {recipe.steps} ({stop.reason}) and saved; "
            "continue with --resume"
        )
    return state


# --- the forward and backward passes


@dataclass(frozen=True)
class Sums:
    """What one rank adds up over its micro-batches: `loss` in nats, a 0-dim float64 tensor on the
    device; the numbers of `masked` tokens and of `tokens` that are not padding."""

    loss: Tensor
    masked: int
    tokens: int


def add_up_gradients(run: Run, state: State, loader: Loader) -> Sums:
    """Run the forward and backward pass of each micro-batch of this rank, so that the flat gradient
    holds the gradient of their summed losses * `loss_unit`."""
    device = run.world.device
    run.gradient.zero_()
    loss_sum = torch.zeros((), dtype=torch.float64, device=device)
    masked = 0
    tokens = 0

    for number in range(run.share.accumulation):
        batch = loader.next()
        # Read before the buffer is given back, since the loader may fill it at once.
        masked += batch.masked
        tokens += batch.tokens
        ids, lengths, places, labels = to_device(batch, loader, device)

        seed_dropout(run, state, number)
        with run.autocast:
            logits = run.model(ids, lengths, places)
        loss = masked_lm_sum(logits, labels)
        (loss * loss_unit(run, state)).backward()  # type: ignore[no-untyped-call]
        loss_sum += loss.detach()

        if device.type == "cpu":
            loader.release(batch)

    return Sums(loss_sum, masked, tokens)


def to_device(
    batch: MicroBatch, loader: Loader, device: torch.device
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Ids, lengths, places and labels on the device. A GPU copies from pinned memory while it
    computes, and the buffer is given back for the time after the copy; on a CPU the tensors are the
    buffer."""
    if device.type == "cpu":
        return batch.ids, batch.lengths, batch.places, batch.labels

    ids = batch.ids.to(device, non_blocking=True)
    lengths = batch.lengths.to(device, non_blocking=True)
    places = batch.places.to(device, non_blocking=True)
    labels = batch.labels.to(device, non_blocking=True)
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record()
    loader.release(batch, copied)
    return ids, lengths, places, labels


def seed_dropout(run: Run, state: State, number: int) -> None:
    """Key the dropout of this rank's micro-batch `number`. torch's dropout takes no generator, so
    the default one is seeded anew for each micro-batch."""
    place = run.world.rank * run.share.accumulation + number
    key = make_key(run.recipe.seed, DROPOUT, state.batches, place)
    torch.manual_seed(int(key) >> 1)


def loss_scale(run: Run, state: State) -> float:
    """The factor of the loss that keeps fp16 gradients in range, 1 in other precisions."""
    return state.scale if run.recipe.precision == "fp16" else 1.0


def loss_unit(run: Run, state: State) -> float:
    """The factor of each loss sum before its backward pass."""
    return loss_scale(run, state) / run.unit


# --- the update


@dataclass(frozen=True)
class Totals:
    """A batch over all ranks: the sum of its losses in nats, its masked and real tokens, how many
    ranks want to stop, and the norm of its gradient."""

    loss: float
    masked: float
    tokens: float
    stops: float
    norm: float

    @property
    def mean(self) -> float:
        """The loss in nats per masked token."""
        return self.loss / max(self.masked, 1.0)

    @property
    def finite(self) -> bool:
        """Whether neither the loss nor the gradient is nan or infinite."""
        return math.isfinite(self.mean) and math.isfinite(self.norm)


def combine(run: Run, state: State, sums: Sums, wants_stop: bool) -> Totals:
    """Add up losses and gradients over all ranks, and divide the gradient by the number of masked
    tokens of the whole batch. This is the one place where the host waits for the device."""
    device = run.world.device
    counts = torch.tensor([sums.masked, sums.tokens, wants_stop], dtype=torch.float64)
    totals = torch.cat([sums.loss[None], counts.to(device)])
    run.world.sum(totals)
    run.world.sum(run.gradient)

    masked = totals[1].clamp(min=1.0)
    run.gradient.mul_(run.unit / (loss_scale(run, state) * masked))
    # A sum of so many squares would lose digits in fp32.
    norm = torch.linalg.vector_norm(run.gradient, dtype=torch.float64)
    return Totals(*torch.cat([totals, norm[None]]).tolist())


def update(run: Run, state: State, totals: Totals) -> float:
    """Clip the gradient and update the weights; return the learning rate."""
    clip = run.recipe.optim.clip
    if clip and totals.norm > clip:
        run.gradient.mul_(clip / (totals.norm + 1e-6))

    rate = learning_rate(state.step, run.recipe.steps, run.recipe.optim)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.optimizer.step()
    return rate


def advance(state: State, recipe: Recipe, totals: Totals) -> State:
    """The state after an update."""
    if recipe.precision == "fp16":
        state = rescale(state, finite=True)
    return dataclasses.replace(state, step=state.step + 1, tokens=state.tokens + int(totals.tokens))


def rescale(state: State, finite: bool) -> State:
    """The state with the loss scale of the next step."""
    scaler = LossScale(scale=state.scale, good=state.good).after(finite)
    return dataclasses.replace(state, scale=scaler.scale, good=scaler.good)


# --- when the loss goes wrong


def skip(run: Run, state: State, totals: Totals) -> State:
    """Leave out a batch whose loss or gradient is not finite: no update, one more skipped batch.

    Raises `UserError` (exit 1) past the limit of such batches, or when the fp16 loss scale has
    become too small.
    """
    batch = state.batches
    half = run.recipe.precision == "fp16"
    # A gradient that overflows fp16 under a finite loss is what the loss scale is for.
    overflow = half and math.isfinite(totals.mean)
    state = dataclasses.replace(
        state, skipped=state.skipped + 1, nonfinite=state.nonfinite + (not overflow)
    )
    if half:
        state = rescale(state, finite=math.isfinite(totals.norm))

    if run.log:
        run.log.write(
            "skip",
            state.step,
            batch=batch,
            loss=totals.mean,
            gradient_norm=totals.norm,
            scale=state.scale,
        )
    fault = "gradient overflow, scale halved" if overflow else "loss or gradient not finite"
    run.display.say(f"batch {batch} skipped: {fault}")

    if state.nonfinite >= run.recipe.guard.nonfinite_limit:
        raise UserError(
            f"{state.nonfinite} batches with a loss or gradient that is not finite; "
            f"{last_checkpoint(run.job.run)}",
            LOWER_THE_RATE,
            1,
        )
    if half and state.scale <= LossScale.floor:
        raise UserError(
            f"the fp16 loss scale fell to {state.scale:g}; {last_checkpoint(run.job.run)}",
            LOWER_THE_RATE,
            1,
        )
    return state


def watch(state: State, loss: float, guard: GuardConfig, run: Path, log: Log | None) -> State:
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


# --- between steps


def is_due(step: int, every: int) -> bool:
    """Whether something that happens `every` steps happens after this one; 0 is never."""
    return every > 0 and step % every == 0


def log_step(run: Run, state: State, meter: Meter, rate: float, norm: float) -> None:
    """Log the steps since the last line."""
    samples = run.data.epoch_samples
    line = meter.line(state.step, state.batches, rate, norm, samples)
    if run.log:
        run.log.write("train", state.step, **vars(line))


def validate(run: Run, state: State) -> State:
    """Score the validation sets and log them by source; return the state, which knows the best."""
    if not run.sets:
        return state

    scores = evaluate.evaluate(run.model, run.sets, run.world, run.autocast)
    if run.log:
        for source, score in scores.items():
            run.log.write("valid", state.step, source=source, **vars(score.whole))
    whole = scores["all"].whole
    run.display.say(f"step {state.step}: {brief(whole)}")

    best = math.inf if state.best_loss is None else state.best_loss
    if not whole.loss < best:  # also where the loss is not finite
        return state
    return dataclasses.replace(state, best_step=state.step, best_loss=whole.loss)


def save(run: Run, state: State) -> None:
    """Write a checkpoint on rank 0; the others wait for it, so that all end when it fails."""
    keep = run.recipe.keep
    best = run.recipe.keep_best
    run.world.on_rank_0(
        lambda: checkpoint.save(run.job.run, run.model, run.optimizer, state, keep, best)
    )
