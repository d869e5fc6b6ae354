"""Pretraining: read this file from top to bottom.

A step draws the micro-batches of this rank, counts what each objective predicts in the batches of
all ranks, adds up the gradients of the summed losses, each divided by its own count, and updates.
Batch s is the same samples and masks on any number of ranks; dropout is keyed by (seed, batch,
micro-batch). The host waits for the device once a step, to know whether loss and norm are finite
before the update.
"""

import contextlib
import dataclasses
import functools
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
from trainer.config import GuardConfig, Recipe, has_pairs, micro_batch, phase_ends
from trainer.data.gather import Masker
from trainer.data.loader import Loader, MicroBatch, Share
from trainer.data.order import Order, make_order
from trainer.data.samples import Data
from trainer.display import Display
from trainer.log import Log, require_trackers
from trainer.metrics import Meter
from trainer.models.pretraining import PretrainingModel
from trainer.objectives import losses, span_boundary
from trainer.objectives.batch import Batch
from trainer.objectives.losses import Losses
from trainer.optim import LossScale, learning_rate, prepare_step
from trainer.ranks import World, choose_device, join
from trainer.run import (
    Job,
    check_data,
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

# Micro-batches that the loader makes beyond those of a batch.
AHEAD = 4

LOWER_THE_RATE = "lower --optim.lr, or use --precision bf16 or fp32"


@dataclass(frozen=True)
class Phase:
    """The steps up to `until`, whose samples have one length."""

    until: int
    data: Data
    masker: Masker
    order: Order


@dataclass(frozen=True, kw_only=True)
class Run:
    """Everything that stays the same from step to step. `losses` holds the model and its
    objectives, `weights` their weights by name; `gradient` is the flat gradient of the model; `log`
    is None except on rank 0."""

    job: Job
    world: World
    share: Share
    phases: list[Phase]
    model: PretrainingModel
    losses: Losses
    weights: dict[str, float]
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


def pretrain(job: Job) -> int:
    """Train until the last step, or until stopped; return the exit code. Raises `UserError`."""
    device = choose_device(job.device)
    with join(device) as world, contextlib.ExitStack() as stack:
        world.on_rank_0(lambda: require_trackers(job.track))
        # Rank 0 alone writes, so it alone locks the run.
        world.on_rank_0(lambda: stack.enter_context(locked_folder(str(job.run))))
        job = with_recipe_of_rank_0(job, world)
        data = open_on_host(job, world, job.recipe.data.length)
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
    phases = make_phases(job, world, data)

    with contextlib.ExitStack() as stack:
        display = stack.enter_context(closing(Display(recipe.steps, world.is_first)))
        state, found = start(job, world, data, share.micro, display)
        if state.step >= recipe.steps:
            display.say(f"{job.run}: finished at step {state.step}")
            return 0

        model, optimizer, gradient = prepare(job, world, found)
        weights = losses.weights(recipe.objective)
        objectives = Losses(model, tuple(weights), has_pairs(recipe.data))
        if recipe.compile:
            objectives.compile()
        run = Run(
            job=job,
            world=world,
            share=share,
            phases=phases,
            model=model,
            losses=objectives,
            weights=weights,
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

        stop = stack.enter_context(closing(StopFlag(recipe.max_hours)))
        for phase in run.phases:
            if state.step < phase.until and not stop.asked:
                with closing(make_loader(run, phase, state.batches)) as loader:
                    state = take_steps(run, phase, state, loader, stop)
        if state.step < recipe.steps:
            log_stop(run, state, stop)

    return 0 if state.step >= recipe.steps else stop.exit_code


def make_phases(job: Job, world: World, data: Data) -> list[Phase]:
    """The phases of a run. `data` has the samples of the last one."""
    recipe = job.recipe
    phases = []
    for until, length in phase_ends(recipe):
        part = data
        if length != recipe.data.length:
            part = open_on_host(job, world, length)
        phases.append(world.agree(functools.partial(make_phase, recipe, until, part)))
    return phases


def make_phase(recipe: Recipe, until: int, data: Data) -> Phase:
    """A phase. Raises `UserError` for data and sources that do not fit the recipe."""
    check_data(recipe, data)
    check_enough(recipe, data)
    order = make_order(data, recipe.seed, recipe.data.mix)
    return Phase(until, data, Masker(data, recipe.masking, recipe.seed), order)


def log_start(run: Run, log: Log, state: State) -> None:
    """Show what the run will cost, and log it."""
    last = run.phases[-1]
    corpus = budget.read_corpus(run.recipe, last.data, last.order)
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


def make_loader(run: Run, phase: Phase, first: int) -> Loader:
    """The micro-batches of a phase from batch `first` on."""
    # A step takes all those of its batch before it begins, to count them. The others are ahead.
    ahead = run.share.accumulation + AHEAD
    on_gpu = run.world.device.type == "cuda"
    return Loader(phase.masker, phase.order, run.share, first, ahead, pinned=on_gpu)


def take_steps(run: Run, phase: Phase, state: State, loader: Loader, stop: StopFlag) -> State:
    """Train from `state` until the phase ends or until stopped, and save; return the last state."""
    recipe = run.recipe
    meter = Meter(recipe, phase.data.length, run.world.device, run.world.ranks)
    saved: State | None = None
    run.display.step(state.step, recipe.steps, None, "")

    while state.step < phase.until and not stop.asked:
        batches = [loader.next() for _ in range(run.share.accumulation)]
        counts = count(run, batches)
        sums = add_up_gradients(run, state, batches, counts, loader)
        totals = combine(run, state, sums, counts, stop.wanted())
        stop.asked = totals.stops > 0

        if not totals.finite:
            state = skip(run, state, totals)
            continue
        rate = update(run, state, totals)
        state = advance(state, recipe, totals)
        state = watch(state, totals.loss, recipe.guard, run.job.run, run.log)

        meter.add(totals.sums, totals.counts, loader.waited)
        run.display.step(state.step, recipe.steps, meter.seconds_left(state.step), meter.figures)
        finished = state.step == recipe.steps
        last = finished or stop.asked
        if is_due(state.step, recipe.log_every) or last or state.step == phase.until:
            log_step(run, state, meter, rate, totals.norm)
        if finished or is_due(state.step, recipe.evaluation.every):
            state = validate(run, state)
            meter.restart(loader.waited)
        is_best = recipe.keep_best and state.best_step == state.step
        if is_due(state.step, recipe.save_every) or last or is_best:
            save(run, state)
            saved = state
            meter.restart(loader.waited)

    if stop.asked and saved != state:
        save(run, state)  # stopped at a batch that was skipped
    return state


def log_stop(run: Run, state: State, stop: StopFlag) -> None:
    """Log and say that a run was stopped before its last step."""
    if run.log:
        run.log.write("stop", state.step, reason=stop.reason)
    run.display.say(
        f"stopped at step {state.step} of {run.recipe.steps} ({stop.reason}) and saved; "
        "continue with --resume"
    )


# --- the forward and backward passes


def count(run: Run, batches: list[MicroBatch]) -> Tensor:
    """What all ranks have in a batch, a float64 tensor on the device: the labels of each objective
    in the order of `run.weights`, the tokens without padding, and the tokens of spans that the span
    boundary objective drops.

    They are known before the first forward pass, so each loss is divided at once by its own count,
    and no micro-batch or rank weighs more than another.
    """
    # On the host, where the micro-batches still are: the device need not be waited for.
    rows = []
    for buffer in batches:
        batch = as_batch(buffer)
        labels = [losses.count(batch, name, run.model.config) for name in run.weights]
        dropped = span_boundary.dropped(batch, run.model.config)
        rows.append([*labels, buffer.tokens, dropped])

    totals = torch.tensor(rows, dtype=torch.float64).sum(0).to(run.world.device)
    run.world.sum(totals)
    return totals


def add_up_gradients(
    run: Run, state: State, batches: list[MicroBatch], counts: Tensor, loader: Loader
) -> Tensor:
    """Run the forward and backward pass of each micro-batch of this rank, so that the flat gradient
    holds its part of the gradient of the whole batch, times `loss_scale`.

    Returns the sum of each objective's losses in nats, a float64 tensor on the device.
    """
    device = run.world.device
    run.gradient.zero_()
    sums = torch.zeros(len(run.weights), dtype=torch.float64, device=device)
    factors = torch.tensor(list(run.weights.values()), dtype=torch.float64, device=device)
    factors = factors * loss_scale(run, state) / counts[: len(run.weights)].clamp(min=1.0)

    for number, buffer in enumerate(batches):
        batch = to_device(buffer, loader, device)

        seed_dropout(run, state, number)
        with run.autocast:
            found = torch.stack(list(run.losses(batch).values()))
        (found * factors.to(found.dtype)).sum().backward()  # type: ignore[no-untyped-call]
        sums += found.detach()

        if device.type == "cpu":
            loader.release(buffer)

    return sums


def as_batch(buffer: MicroBatch) -> Batch:
    """The tensors of a micro-batch that the objectives read."""
    found = Batch(buffer.ids, buffer.lengths, buffer.places, buffer.labels)
    if buffer.next.numel():
        found = found._replace(next=buffer.next)
    if buffer.offset.numel():
        found = found._replace(left=buffer.left, right=buffer.right, offset=buffer.offset)
    return found


def to_device(buffer: MicroBatch, loader: Loader, device: torch.device) -> Batch:
    """A micro-batch on the device. A GPU copies from pinned memory while it computes, and the
    buffer is given back for the time after the copy; on a CPU the tensors are the buffer."""
    batch = as_batch(buffer)
    if device.type == "cpu":
        return batch

    moved: dict[str, Tensor] = {}
    for name, tensor in batch._asdict().items():
        if tensor is not None:
            moved[name] = tensor.to(device, non_blocking=True)
    copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
    copied.record()
    loader.release(buffer, copied)
    return Batch(**moved)


def seed_dropout(run: Run, state: State, number: int) -> None:
    """Key the dropout of this rank's micro-batch `number`. torch's dropout takes no generator, so
    the default one is seeded anew for each micro-batch."""
    place = run.world.rank * run.share.accumulation + number
    key = make_key(run.recipe.seed, DROPOUT, state.batches, place)
    torch.manual_seed(int(key) >> 1)


def loss_scale(run: Run, state: State) -> float:
    """The factor of the loss that keeps fp16 gradients in range, 1 in other precisions.

    A micro-batch has but its share of the whole batch's mean, so it is scaled up by their number.
    """
    if run.recipe.precision != "fp16":
        return 1.0
    return state.scale * run.share.accumulation * run.world.ranks


# --- the update


@dataclass(frozen=True)
class Totals:
    """A batch over all ranks: `loss`, the weighted sum of the means of its objectives in nats; the
    `sums` of their losses; `counts`, their labels by objective, and `tokens` and `sbo_dropped`; how
    many ranks want to stop; and the norm of its gradient."""

    loss: float
    sums: dict[str, float]
    counts: dict[str, float]
    stops: float
    norm: float

    @property
    def finite(self) -> bool:
        """Whether neither the loss nor the gradient is nan or infinite."""
        return math.isfinite(self.loss) and math.isfinite(self.norm)


def combine(run: Run, state: State, sums: Tensor, counts: Tensor, wants_stop: bool) -> Totals:
    """Add up losses and gradients over all ranks. This is the one place where the host waits for
    the device."""
    stops = torch.tensor([wants_stop], dtype=torch.float64, device=run.world.device)
    totals = torch.cat([sums, stops])
    run.world.sum(totals)
    run.world.sum(run.gradient)

    scale = loss_scale(run, state)
    if scale != 1.0:
        run.gradient.mul_(1.0 / scale)
    # A sum of so many squares would lose digits in fp32.
    norm = torch.linalg.vector_norm(run.gradient, dtype=torch.float64)

    # One tensor, so that the host waits once.
    figures = torch.cat([totals, norm[None], counts]).tolist()
    known = len(run.weights)
    named_sums = dict(zip(run.weights, figures))
    named_counts = dict(zip((*run.weights, "tokens", "sbo_dropped"), figures[known + 2 :]))
    loss = 0.0
    for name, weight in run.weights.items():
        loss += weight * named_sums[name] / max(named_counts[name], 1.0)
    return Totals(loss, named_sums, named_counts, stops=figures[known], norm=figures[known + 1])


def update(run: Run, state: State, totals: Totals) -> float:
    """Clip the gradient and update the weights; return the learning rate."""
    clip = run.recipe.optim.clip
    if clip and totals.norm > clip:
        run.gradient.mul_(clip / (totals.norm + 1e-6))

    rate = learning_rate(state.step, run.recipe.steps, run.recipe.optim)
    prepare_step(run.optimizer, run.recipe.optim, state.step, rate)
    run.optimizer.step()
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


# --- when the loss goes wrong


def skip(run: Run, state: State, totals: Totals) -> State:
    """Leave out a batch whose loss or gradient is not finite: no update, one more skipped batch.

    Raises `UserError` (exit 1) past the limit of such batches, or when the fp16 loss scale has
    become too small.
    """
    batch = state.batches
    half = run.recipe.precision == "fp16"
    # A gradient that overflows fp16 under a finite loss is what the loss scale is for.
    overflow = half and math.isfinite(totals.loss)
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
            loss=totals.loss,
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


def epochs_seen(run: Run, batches: int) -> float:
    """How often the data has been seen after so many batches, over all phases."""
    seen = 0.0
    before = 0
    for phase in run.phases:
        # A batch that was skipped counts as one of the last phase.
        until = batches if phase is run.phases[-1] else min(batches, phase.until)
        seen += max(until - before, 0) * run.recipe.batch / phase.data.epoch_samples
        before = phase.until
    return seen


def log_step(run: Run, state: State, meter: Meter, rate: float, norm: float) -> None:
    """Log the steps since the last line."""
    epoch = epochs_seen(run, state.batches)
    line = meter.line(state.step, state.batches, rate, norm, epoch)
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
