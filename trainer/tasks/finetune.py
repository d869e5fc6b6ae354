"""Fine-tuning: read this file from top to bottom.

It is pretraining's own loop (`trainer/steps.py`) with another model, other batches and another
validation: the task's metric on its development set, by which the best checkpoint is kept. So
ranks, precision, checkpoints, resuming, the log and the display are those of pretraining.
"""

import contextlib
import dataclasses
import functools
import math
import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch

from corpora.tasks.catalogue import Task
from corpora.tasks.read import read
from shards.errors import UserError
from shards.storage.lock import locked_folder
from trainer import checkpoint, pretrained
from trainer.checkpoint import State
from trainer.compare_ranks import refuse_different, refuse_micro_batch
from trainer.compiled import Step
from trainer.config import ModelConfig, Recipe, micro_batch
from trainer.data.loader import Share
from trainer.display import Display
from trainer.fit import TooLargeError
from trainer.log import Log, read_log
from trainer.models.sizes import count_parameters
from trainer.pretrain import out_of_memory
from trainer.ranks import World, choose_device, join
from trainer.run import make_autocast, resolve_precision, set_up
from trainer.steps import take_steps
from trainer.stop import StopFlag
from trainer.tasks import folder
from trainer.tasks.answers import answers
from trainer.tasks.development import chance_loss, main_value, score_split
from trainer.tasks.first_weights import as_read, load_first
from trainer.tasks.info import TaskInfo, info_of
from trainer.tasks.loader import TaskLoader, TaskMicroBatch
from trainer.tasks.losses import TaskLosses, count, loss_names
from trainer.tasks.meter import TaskMeter
from trainer.tasks.model import TaskModel, build_task
from trainer.tasks.outputs import outputs
from trainer.tasks.settings import (
    LEAST_CHANCE_STEPS,
    Finetuning,
    as_recipe,
    chance_step,
)
from trainer.tasks.splits import Maker, Split, head_of
from trainer.tasks.texts import open_encoder
from trainer.trackers import require_trackers
from trainer.training import Training
from trainer.watch import Watch

# At chance: the mean of the last losses is at least this share of that of a guess.
CHANCE_SHARE = 0.98


@dataclass(frozen=True, kw_only=True)
class TuningJob:
    """What to fine-tune on what, and where the run goes. `init` is the model to start from; with
    `new_weights` only its shape and its tokenizer are taken."""

    task: Task
    train: Path
    dev: Path
    run: Path
    init: str
    settings: Finetuning
    init_step: str = ""
    new_weights: bool = False
    device: str = "auto"
    resume: bool = False
    track: tuple[str, ...] = ()
    ranks_timeout: float = 10.0


@dataclass(frozen=True)
class TaskData:
    """The features of a run: of training, and of the development sets, the first of which chooses
    the checkpoint."""

    maker: Maker
    train: Split
    dev: tuple[Split, ...]

    @property
    def digest(self) -> str:
        """The identity of the training data."""
        return folder.features_digest(self.train.features)


@dataclass
class Outcome:
    """How a run ended: `early` by --patience, or `at_chance`."""

    early: bool = False
    at_chance: bool = False


def finetune(job: TuningJob) -> int:
    """Fine-tune until the end, or until stopped; return the exit code. Raises `UserError`."""
    device = choose_device(job.device)
    with contextlib.ExitStack() as stack:
        watch = stack.enter_context(closing(Watch(job.ranks_timeout)))
        world = stack.enter_context(join(device, watch, job.ranks_timeout))
        world.on_rank_0(lambda: require_trackers(job.track))
        world.on_rank_0(lambda: stack.enter_context(locked_folder(str(job.run))))
        # Hosts need not share the folder of the run.
        lines = [f"{name} {value!r}" for name, value in vars(job).items()]
        refuse_different(world, "settings", lines, "start every rank with the same command")

        try:
            return with_restarts(job, world, watch)
        except TooLargeError:
            micro = micro_batch(as_recipe(job.settings, ModelConfig(), 1), world.ranks)
            raise UserError(
                f"the device has no room for micro-batches of {micro} examples",
                f"use --micro-batch {max(1, micro // 2)}",
                3,
            ) from None
        except RuntimeError as error:
            fault = out_of_memory(error)
            if fault is None:
                raise
            raise fault from None


def with_restarts(job: TuningJob, world: World, watch: Watch) -> int:
    """Train, and again with the next seed while the run is at chance and restarts are left."""
    settings = world.from_rank_0(lambda: stored(job))
    job = dataclasses.replace(job, settings=settings)
    while True:
        done = world.from_rank_0(functools.partial(folder.restarts_done, job.run))
        can_restart = done < settings.restarts
        code, outcome = train_once(job, world, watch, can_restart)
        if not (outcome.at_chance and can_restart):
            return code

        world.on_rank_0(functools.partial(folder.set_aside, job.run, settings.seed))
        settings = dataclasses.replace(settings, seed=settings.seed + 1)
        job = dataclasses.replace(job, settings=settings, resume=True)


def stored(job: TuningJob) -> Finetuning:
    """The settings of the run: with --resume the seed that it has come to."""
    if not job.resume:
        return job.settings
    seed = folder.stored_seed(job.run, job.settings.seed)
    return dataclasses.replace(job.settings, seed=seed)


# --- the data


def open_data(job: TuningJob, directory: Path, config: ModelConfig) -> TaskData:
    """Read the files of a task and make its features. Raises `UserError` that names file and
    line."""
    maker = Maker(job.task, open_encoder(directory), config, job.settings)
    train = maker.split("train", read(job.task, job.train, "train"), training=True)
    if not len(train.features):
        raise UserError(f"{job.train}: no example to train on", "give a file with labels")

    dev = []
    for name in dev_splits(job.task, job.dev):
        dev.append(maker.split(name, read(job.task, job.dev, name), training=False))
    return TaskData(maker, train, tuple(dev))


def dev_splits(task: Task, path: Path) -> list[str]:
    """The development sets of a task: MNLI has two in its folder, of which the first chooses the
    checkpoint."""
    names = ["dev"]
    if task.name == "mnli" and path.is_dir():
        files = task.files["dev_mismatched"]
        places = [path / name for name in files] + [path / task.folder / name for name in files]
        if any(place.is_file() for place in places):
            names.append("dev_mismatched")
    return names


def read_shape(job: TuningJob, directory: Path) -> ModelConfig:
    """The shape of the model to start from, with the dropout of the settings."""
    base = ModelConfig(
        dropout=job.settings.dropout, attention_dropout=job.settings.attention_dropout
    )
    encoder = open_encoder(directory)
    config = as_read(pretrained.read_config(directory, base))
    pad_id, end_id = encoder.roles["pad"], encoder.roles["end"]
    if config.pad_id != pad_id:
        raise UserError(
            f"{directory}: the id of its padding is {config.pad_id}, in its tokenizer it is "
            f"{pad_id}",
            "give a model with its own tokenizer",
        )
    return dataclasses.replace(config, end_id=end_id)


# --- a run


def train_once(
    job: TuningJob, world: World, watch: Watch, can_restart: bool
) -> tuple[int, Outcome]:
    """Begin or continue the run, train, and end it cleanly; return the exit code and how it
    ended."""
    outcome = Outcome()
    directory = Path(
        world.from_rank_0(lambda: str(pretrained.find_pretrained(job.init, job.init_step)))
    )
    config = world.agree(lambda: read_shape(job, directory))
    data = world.agree(lambda: open_data(job, directory, config))
    head = head_of(data.maker, data.train)
    items = len(data.train.features)
    precision = resolve_precision(job.settings.precision, world.device.type)
    settings = dataclasses.replace(job.settings, precision=precision)
    recipe = as_recipe(settings, config, items)
    micro = world.agree(lambda: micro_batch(recipe, world.ranks))
    refuse_micro_batch(micro, world)
    share = Share(recipe.batch, micro, world.rank, world.ranks)
    info = dataclasses.replace(
        info_of(job.task, config, head),
        train=os.path.abspath(job.train),
        dev=os.path.abspath(job.dev),
        init=os.path.abspath(job.init) if os.path.exists(job.init) else job.init,
        init_step=job.init_step,
        new_weights=job.new_weights,
    )

    with contextlib.ExitStack() as stack:
        display = stack.enter_context(closing(Display(recipe.steps, world.is_first)))
        finished = world.from_rank_0(lambda: job.resume and folder.is_finished(job.run))
        if finished:
            display.say(f"{job.run}: finished")
            return 0, outcome
        state, found = world.from_rank_0(lambda: start(job, data, settings, recipe, info, display))

        model = build_task(config, head, settings.seed)
        # The others get the weights of rank 0 below.
        if found is None and world.is_first and not job.new_weights:
            new = load_first(directory, model, job.task.labels)
            display.say(f"note: new weights: {', '.join(new) or 'none'}")
        optimizer, gradients = set_up(model, recipe, world, found)

        log = Log(job.run, state, job.track) if world.is_first else None
        stop = stack.enter_context(closing(StopFlag(recipe.max_hours, watch)))
        autocast = make_autocast(recipe, world.device)

        def validate(state: State) -> State:
            state = score(job, model, data, state, training)
            if is_out_of_patience(settings, recipe, state):
                outcome.early = True
                stop.asked = True
            return state

        def save(state: State) -> None:
            world.on_rank_0(
                lambda: checkpoint.save(job.run, model, optimizer, state, recipe.keep, True)
            )

        training = Training(
            folder=job.run,
            recipe=recipe,
            world=world,
            share=share,
            losses=Step(TaskLosses(model, settings.ranking), "off", world.device, display.say),
            line_step=1,
            weights=dict.fromkeys(loss_names(model), 1.0),
            optimizer=optimizer,
            gradients=gradients,
            halves=True,
            autocast=autocast,
            count=functools.partial(count_labels, model),
            epochs=lambda batches: batches * recipe.batch / items,
            validate=validate,
            save=save,
            is_old=lambda: False,
            log=log,
            display=display,
        )
        if log:
            stack.enter_context(closing(log))
            log_start(training, data, model, state)

        loader = TaskLoader(
            data.train.features,
            data.maker.encoder.roles,
            share,
            settings.seed,
            state.batches,
            world.device,
        )
        meter = TaskMeter(recipe, world.device, world.ranks)
        with closing(loader):
            # A run that was killed between its last checkpoint and its result has ended already.
            outcome.early = is_out_of_patience(settings, recipe, state)
            stop.asked = stop.asked or outcome.early
            until = chance_step(settings, recipe.steps)
            # A checkpoint of this very step is from before the check.
            if state.step <= until and not stop.asked:
                state = take_steps(training, state, until, loader, meter, stop)
                if not stop.asked:
                    outcome.at_chance = is_at_chance(training, data, model, state)
            if outcome.at_chance and can_restart:
                return 0, outcome
            if state.step < recipe.steps and not stop.asked:
                state = take_steps(training, state, recipe.steps, loader, meter, stop)

        if state.step < recipe.steps and not outcome.early:
            log_stop(training, state, stop)
            return stop.exit_code, outcome
        world.on_rank_0(lambda: folder.write_result(job.run, job.task, settings, state))
        say_end(display, job, state, recipe.steps, outcome)
    return 0, outcome


def start(
    job: TuningJob,
    data: TaskData,
    settings: Finetuning,
    recipe: Recipe,
    info: TaskInfo,
    display: Display,
) -> tuple[State, Path | None]:
    """The state to begin with, and the checkpoint that it is from; on rank 0."""
    directory = pretrained.find_pretrained(job.init, job.init_step)
    folder.refuse_pretraining(job.run)
    if not job.resume:
        folder.refuse_existing(job.run)
    tokenizer = folder.tokenizer_bytes(directory)
    fresh = folder.first_state(settings, recipe, info, data.digest, tokenizer)
    return folder.begin_or_continue(job.run, settings, fresh, info, tokenizer, display)


def is_out_of_patience(settings: Finetuning, recipe: Recipe, state: State) -> bool:
    """Whether as many evaluations as --patience says came after the best one."""
    since = (state.step - state.best_step) // recipe.evaluation.every
    return 0 < settings.patience <= since


def count_labels(model: TaskModel, buffer: TaskMicroBatch) -> dict[str, float]:
    """What a micro-batch has: the labels of each loss, the tokens without padding, and with."""
    found: dict[str, float] = {}
    found.update(count(buffer.tensors, model))
    found["tokens"] = buffer.tensors.tokens
    found["room"] = buffer.tensors.ids.numel()
    return found


# --- validation


def score(
    job: TuningJob, model: TaskModel, data: TaskData, state: State, training: Training
) -> State:
    """Score the development sets and log them; return the state, which knows the best step."""
    values = []
    for split in data.dev:
        table = outputs(
            model,
            split.features,
            data.maker.encoder.roles,
            training.world,
            training.autocast,
            training.share.micro * 2,
        )
        found = answers(job.task, split, table, job.settings.inputs.answer_length)
        scores = score_split(job.task, split, found)
        values.append(main_value(job.task, scores))
        if training.log:
            training.log.write("dev", state.step, source=split.name, **scores)
        shown = ", ".join(f"{name} {scores[name]:.4f}" for name in job.task.metrics)
        training.display.say(f"step {state.step}: {split.name} {shown}")

    # The state keeps the lowest loss: the metric is the higher the better.
    loss = -values[0]
    best = math.inf if state.best_loss is None else state.best_loss
    if state.best_step and not loss < best:
        return state
    kept = loss if math.isfinite(loss) else None
    return dataclasses.replace(state, best_step=state.step, best_loss=kept)


def is_at_chance(training: Training, data: TaskData, model: TaskModel, state: State) -> bool:
    """Whether the last losses are those of a guess; says so."""
    classifier = model.answerable is not None
    guess = chance_loss(model.head.kind, data.train, model.head.scale, classifier)
    if guess is None or not state.losses or state.step < LEAST_CHANCE_STEPS:
        return False

    mean = fmean(state.losses)
    at_chance = mean >= CHANCE_SHARE * guess
    if at_chance:
        training.display.say(
            f"warning: after {state.step} steps the loss of {mean:.4f} is that of a guess "
            f"({guess:.4f}): the run is at chance; another --seed or a lower --optim.lr may help, "
            "and --restarts N tries the next seeds"
        )
    # A run that was killed right after the check has the line already.
    if training.log and all(line["kind"] != "chance" for line in read_log(training.folder)):
        training.log.write("chance", state.step, loss=mean, guess=guess, at_chance=at_chance)
    return at_chance


# --- what is said


def log_start(training: Training, data: TaskData, model: TaskModel, state: State) -> None:
    """Say what is trained on what, and what was cut; log it."""
    recipe = training.recipe
    features = data.train.features
    cuts: dict[str, int] = {}
    for part, cut in features.cuts.items():
        if cut.texts:
            cuts[f"{part} cut"] = cut.texts
            cuts[f"{part} tokens left out"] = cut.tokens
    if data.train.spans is not None:
        cuts["answers widened to whole tokens"] = data.train.spans.widened
        cuts["answers in no window"] = data.train.spans.lost
    if data.train.dropped:
        cuts["examples of no use"] = data.train.dropped

    dev = ", ".join(f"{len(split.items.items):,} in {split.name}" for split in data.dev)
    left_out = ", ".join(f"{name}: {value:,}" for name, value in cuts.items())
    training.display.say(
        f"task         {data.maker.task.title}: {len(features):,} items to train on; {dev}\n"
        f"run          {recipe.steps:,} steps of {recipe.batch}, {recipe.optim.warmup_steps:,} of "
        f"them warmup; rate {recipe.optim.lr:g}; seed {recipe.seed}\n"
        f"model        {count_parameters(model.config):,} parameters\n"
        f"cut          {left_out or 'nothing'}"
    )
    if training.log:
        training.log.write(
            "start",
            state.step,
            device=str(training.world.device),
            torch=torch.__version__,
            task=data.maker.task.name,
            steps=recipe.steps,
            items=len(features),
            **cuts,
        )


def log_stop(training: Training, state: State, stop: StopFlag) -> None:
    """Log and say that a run was stopped before its last step."""
    if training.log:
        training.log.write("stop", state.step, reason=stop.reason)
    training.display.say(
        f"stopped at step {state.step} of {training.recipe.steps} ({stop.reason}) and saved; "
        "continue with --resume"
    )


def say_end(display: Display, job: TuningJob, state: State, steps: int, outcome: Outcome) -> None:
    """Say how the run ended, and what its best checkpoint is."""
    why = " early, since no evaluation was better" if outcome.early else ""
    best = "-" if state.best_loss is None else f"{-state.best_loss:.4f}"
    display.say(
        f"ended{why} at step {state.step} of {steps}; the best checkpoint is that of step "
        f"{state.best_step}, {job.task.main} {best}"
    )
