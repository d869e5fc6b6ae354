"""Pretraining: a run from the command to its last step. `trainer/steps.py` takes the steps."""

import contextlib
import dataclasses
import functools
import math
from contextlib import closing
from dataclasses import dataclass

import torch

from shards.errors import UserError
from shards.storage.lock import locked_folder
from trainer import budget, evaluate, fit, pretrained
from trainer.checkpoint import State
from trainer.compare_ranks import (
    refuse_micro_batch,
    refuse_other_shards,
    with_recipe_of_rank_0,
)
from trainer.compiled import Step
from trainer.config import Recipe, has_pairs, micro_batch, phase_ends
from trainer.data.gather import Masker
from trainer.data.loader import Loader, MicroBatch, Share
from trainer.data.order import Order, make_order
from trainer.data.samples import Data, refuse_same_twice
from trainer.display import Display
from trainer.fit import TooLargeError, is_out_of_memory
from trainer.gradients import try_out
from trainer.log import Log
from trainer.metrics import Meter
from trainer.models.layout import grid
from trainer.models.pretraining import PretrainingModel
from trainer.objectives import losses, span_boundary
from trainer.objectives.losses import Losses
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
from trainer.saver import Saver
from trainer.scores import brief, few_tokens
from trainer.steps import take_steps
from trainer.stop import StopFlag
from trainer.trackers import require_trackers
from trainer.training import Training
from trainer.watch import Watch

# Micro-batches that the loader makes beyond those of a batch.
AHEAD = 4


@dataclass(frozen=True)
class Phase:
    """The steps up to `until`, whose samples have one length."""

    until: int
    data: Data
    masker: Masker
    order: Order


def pretrain(job: Job) -> int:
    """Train until the last step, or until stopped; return the exit code. Raises `UserError`."""
    device = choose_device(job.device)
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(closing(Watch(job.ranks_timeout)))
        world = stack.enter_context(join(device, watch, job.ranks_timeout))
        world.on_rank_0(lambda: require_trackers(job.track))
        # Rank 0 alone writes, so it alone locks the run.
        world.on_rank_0(lambda: stack.enter_context(locked_folder(str(job.run))))
        job = with_recipe_of_rank_0(job, world)
        data = open_on_host(job, world, job.recipe.data.length)
        refuse_other_shards(data, world)
        job = complete(job, data, world)
        try:
            return train(job, world, watch, data)
        except RuntimeError as error:
            fault = out_of_memory(error)
            if fault is None:
                raise
            raise fault from None


def out_of_memory(error: RuntimeError) -> UserError | None:
    """The error of a device without room for the model itself; None for other errors."""
    if not is_out_of_memory(error):
        return None

    device = "the GPU" if isinstance(error, torch.OutOfMemoryError) else "this machine"
    return UserError(f"{device} has no room for the model", "use a smaller model", 3)


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
        # A run that an older version began with the same shards twice goes on with them.
        if not job.resume:
            refuse_same_twice(data)
        return recipe, init

    recipe, init = world.from_rank_0(of_rank_0)
    return dataclasses.replace(job, init=init, recipe=recipe)


def train(job: Job, world: World, watch: Watch, data: Data) -> int:
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
        share = dataclasses.replace(share, micro=state.micro_batch)

        model, optimizer, gradients = prepare(job, world, found)
        weights = losses.weights(recipe.objective)
        objectives = Losses(model, tuple(weights), has_pairs(recipe.data))
        step = Step(objectives, recipe.compile, world.device, display.say)
        sets = validation(job, world)
        log = Log(job.run, state, job.track) if world.is_first else None
        autocast = make_autocast(recipe, world.device)

        def validate(state: State) -> State:
            return score(model, sets, state, training)

        saver = stack.enter_context(closing(Saver(job.run, recipe)))

        def save(state: State) -> None:
            # A checkpoint counts the batches that were skipped, and the log alone names them.
            if log:
                log.flush()
            world.on_rank_0(lambda: saver.save(model, optimizer, state))

        training = Training(
            folder=job.run,
            recipe=recipe,
            world=world,
            share=share,
            losses=step,
            weights=weights,
            line_step=line_step(step, share, recipe),
            optimizer=optimizer,
            gradients=gradients,
            autocast=autocast,
            count=functools.partial(count_labels, model, tuple(weights)),
            epochs=functools.partial(epochs_seen, recipe.batch, phases),
            validate=validate,
            save=save,
            is_old=lambda: world.is_first and saver.is_old(),
            log=log,
            display=display,
        )
        if log:
            stack.enter_context(closing(log))
            log_start(training, phases[-1], sets, state)

        stop = stack.enter_context(closing(StopFlag(recipe.max_hours, watch)))
        if world.device.type == "cuda":
            training = fit_share(training, phases, state)
            state = dataclasses.replace(state, micro_batch=training.share.micro)
        for phase in phases:
            while state.step < phase.until and not stop.asked:
                try:
                    state = take_phase(training, phase, state, stop)
                except TooLargeError as error:
                    training = with_half(training)
                    state = dataclasses.replace(error.state, micro_batch=training.share.micro)
        world.on_rank_0(saver.wait)
        if state.step < recipe.steps:
            log_stop(training, state, stop)

    return 0 if state.step >= recipe.steps else stop.exit_code


def line_step(step: Step, share: Share, recipe: Recipe) -> int:
    """The step in which the line of a micro-batch grows: 1 where nothing is compiled."""
    return grid(share.micro, recipe.data.length) if step.is_compiled else 1


def with_share(training: Training, micro: int) -> Training:
    """The same with other micro-batches."""
    share = dataclasses.replace(training.share, micro=micro)
    step = line_step(training.losses, share, training.recipe)
    return dataclasses.replace(training, share=share, line_step=step)


def with_half(training: Training) -> Training:
    """The same with micro-batches of half the size, once one did not fit into the memory."""
    training.gradients.clear()
    fit.empty_cache()
    before = training.share.micro
    micro = fit.halved(training.share.part, before)
    training.display.say(
        f"no memory for micro-batches of {before} samples: going on with {micro} (the samples and "
        "masks stay the same, dropout and the order of additions differ)"
    )
    return with_share(training, micro)


def fit_share(training: Training, phases: list[Phase], state: State) -> Training:
    """The same with the largest micro-batches that fit into the memory of the smallest GPU, at most
    those of the recipe."""
    world, share = training.world, training.share
    device = world.device
    parameters = sum(weight.numel() for weight in training.gradients.parameters)
    free = fit.free_bytes(device, parameters)
    longest = max(phases, key=lambda phase: phase.data.length)

    def peak(samples: int) -> int:
        part = with_share(training, samples)
        with closing(make_loader(part, longest, state.batches)) as loader:
            return fit.peak_of(device, functools.partial(try_out, part, state, loader))

    try:
        own = fit.fitting(share.part, share.micro, free, peak)
    except torch.OutOfMemoryError:
        own = 1
    training.gradients.clear()
    fit.empty_cache()
    micro = min(world.gather(own))
    if micro < share.micro:
        training.display.say(
            f"micro-batches of {micro} samples: the memory of the GPU has no room for {share.micro}"
        )
    return with_share(training, micro)


def take_phase(training: Training, phase: Phase, state: State, stop: StopFlag) -> State:
    """The steps of a phase from `state` on; return the last state."""
    world = training.world
    meter = Meter(training.recipe, world.device, world.ranks)
    with closing(make_loader(training, phase, state.batches)) as loader:
        return take_steps(training, state, phase.until, loader, meter, stop)


def make_loader(training: Training, phase: Phase, first: int) -> Loader:
    """The micro-batches of a phase from batch `first` on."""
    # A step takes all those of its batch before it begins, to count them. The others are ahead.
    ahead = training.share.accumulation + AHEAD
    device = training.world.device
    return Loader(phase.masker, phase.order, training.share, first, ahead, device)


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


def log_start(
    training: Training, last: Phase, sets: list[evaluate.ValidationSet], state: State
) -> None:
    """Show what the run will cost, and log it. `last` is its last phase."""
    recipe, world = training.recipe, training.world
    corpus = budget.read_corpus(recipe, last.data, last.order)
    machine = budget.this_machine(world.device, world.ranks)
    figures = budget.plan(recipe, corpus, machine)
    training.display.say(budget.describe(figures, is_dry=False))

    if sets:
        masked = sum(part.masked for part in sets)
        few = few_tokens(masked, evaluate.is_cut(sets), "--evaluation.samples")
        if few:
            training.display.say(f"warning: {few}")
    if sets and recipe.masking.style == "fairseq":
        training.display.say(
            "note: validation while training masks exactly, the run masks as fairseq: with the "
            "papers' perplexities compare that of trainer evaluate --masks fairseq"
        )
    if training.log:
        device = str(world.device)
        training.log.write(
            "start", state.step, device=device, torch=torch.__version__, **vars(figures)
        )


def log_stop(training: Training, state: State, stop: StopFlag) -> None:
    """Log and say that a run was stopped before its last step."""
    if training.log:
        training.log.write("stop", state.step, reason=stop.reason)
    training.display.say(
        f"stopped at step {state.step} of {training.recipe.steps} ({stop.reason}) and saved; "
        "continue with --resume"
    )


# --- what the steps call


def count_labels(
    model: PretrainingModel, names: tuple[str, ...], buffer: MicroBatch
) -> dict[str, float]:
    """What a micro-batch has: the labels of each objective, the tokens without padding, the squares
    of the lengths of its sequences, and the tokens of spans that the span boundary objective
    drops."""
    batch = buffer.batch()
    counts: dict[str, float] = {}
    for name in names:
        counts[name] = losses.count(batch, name, model.config)
    counts["tokens"] = buffer.tokens
    counts["squares"] = float(buffer.lengths.square().sum())
    counts["sbo_dropped"] = span_boundary.dropped(batch, model.config)
    return counts


def epochs_seen(batch: int, phases: list[Phase], batches: int) -> float:
    """How often the data has been seen after so many batches of `batch` samples, over all
    phases."""
    seen = 0.0
    before = 0
    for phase in phases:
        # A batch that was skipped counts as one of the last phase.
        until = batches if phase is phases[-1] else min(batches, phase.until)
        seen += max(until - before, 0) * batch / phase.data.epoch_samples
        before = phase.until
    return seen


def score(
    model: PretrainingModel, sets: list[evaluate.ValidationSet], state: State, training: Training
) -> State:
    """Score the validation sets and log them by source; return the state, which knows the best."""
    if not sets:
        return state

    scores = evaluate.evaluate(model, sets, training.world, training.autocast)
    if training.log:
        for source, found in scores.items():
            training.log.write("valid", state.step, source=source, **vars(found.whole))
    whole = scores["all"].whole
    training.display.say(f"step {state.step}: {brief(whole)}")

    best = math.inf if state.best_loss is None else state.best_loss
    if not whole.loss < best:  # also where the loss is not finite
        return state
    return dataclasses.replace(state, best_step=state.step, best_loss=whole.loss)
