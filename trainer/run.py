"""Before the first step: open the data, complete the recipe, begin or continue the run, make the
model.

Each function does its part for all ranks and leaves them equal. Rank 0 alone writes to the
folder of the run.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor

from shards.config import dump_toml
from shards.errors import UserError
from shards.roles import ROLES
from shards.storage import files
from trainer import budget, checkpoint, evaluate, pretrained, run_info
from trainer.all_reduce import Gradients
from trainer.checkpoint import State
from trainer.config import ModelConfig, Recipe, check, fixed_keys, known_keys, load_run_recipe
from trainer.data.gather import word_kinds
from trainer.data.samples import Data, open_training
from trainer.display import Display, tell
from trainer.log import read_log
from trainer.models.attention import FLASH_CAPABILITY
from trainer.models.pretraining import EncoderModel, PretrainingModel, build
from trainer.optim import make_adamw
from trainer.ranks import World
from trainer.run_info import RunInfo

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}

Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class Job:
    """A recipe, and where its data, its run and its first weights are stored.

    `given`: the name of the recipe and the settings that the command itself names.
    """

    shards: tuple[str, ...]
    run: Path
    recipe: Recipe
    given: dict[str, object] = field(default_factory=dict)
    device: str = "auto"
    resume: bool = False
    init: str | None = None
    init_step: str = ""
    track: tuple[str, ...] = ()
    ranks_timeout: float = 10.0


# --- the data and the recipe


def open_on_host(job: Job, world: World, length: int) -> Data:
    """The training data in samples of `length` tokens. The first rank of each host makes the index,
    and the others read it."""

    def open_train() -> Data:
        return open_training(job.shards, dataclasses.replace(job.recipe.data, length=length))

    data = world.agree(lambda: open_train() if world.local_rank == 0 else None)
    return world.agree(lambda: data or open_train())


def resolve(recipe: Recipe, data: Data, device: torch.device, init: str | None) -> Recipe:
    """The recipe with what only the data, the device and the first weights can tell.

    Raises `UserError` for what cannot work, see `check` and `check_data`.
    """
    model = resolve_model(with_heads(recipe), data, init)

    precision = resolve_precision(recipe.precision, device.type)
    recipe = dataclasses.replace(recipe, model=model, precision=precision)
    check(recipe)
    check_data(recipe, data)
    return recipe


def with_heads(recipe: Recipe) -> ModelConfig:
    """The model of a recipe, with the heads that its objectives need."""
    objective = recipe.objective
    return dataclasses.replace(recipe.model, next_head=objective.nsp, span_head=objective.sbo)


def resolve_model(model: ModelConfig, data: Data, init: str | None) -> ModelConfig:
    """The shape of the model: that of the first weights, or with the vocabulary of the shards.

    Raises `UserError` when the first weights have another vocabulary than the shards.
    """
    pad_id = data.tokenizer.roles.get("pad", 1)
    # A RoBERTa has no token types, and an older run of one has stored no such id.
    end_id = model.end_id
    if model.family == "bert":
        end_id = data.tokenizer.roles.get("end", end_id)
    if init is None:
        vocab_size = model.vocab_size or data.tokenizer.vocab_size
        return dataclasses.replace(model, pad_id=pad_id, end_id=end_id, vocab_size=vocab_size)

    model = pretrained.read_config(Path(init), dataclasses.replace(model, end_id=end_id))
    warning = pretrained.check_tokenizer(Path(init), data.directories[0], model.vocab_size)
    if warning:
        tell(f"warning: {warning}")
    if model.pad_id != pad_id:
        raise UserError(
            f"{init}: the id of its padding is {model.pad_id}, in the shards it is {pad_id}",
            "build the shards with the model's tokenizer: [tokenizer] path",
        )
    return model


def stored_precision(run: Path) -> Precision | None:
    """The precision of the recipe that a run has stored, None where it has stored none yet."""
    path = run / "recipe.toml"
    return load_run_recipe(run).precision if path.exists() else None


def check_data(recipe: Recipe, data: Data) -> None:
    """Refuse data that does not fit the recipe. Raises `UserError`."""
    directories = ", ".join(data.directories)
    if not len(data):
        raise UserError(f"{directories}: no training shards", "run corpus build to make them")

    missing = [role for role in ROLES if role not in data.tokenizer.roles]
    if missing:
        raise UserError(
            f"{directories}: the tokenizer has no special token for {missing[0]}",
            "build the shards again: corpus build",
        )
    if recipe.model.vocab_size < data.tokenizer.vocab_size:
        raise UserError(
            f"the shards' vocabulary of {data.tokenizer.vocab_size} is larger than the model's of "
            f"{recipe.model.vocab_size}",
            "build the shards with the model's tokenizer, or leave model.vocab_size at 0",
        )
    if recipe.masking.unit != "token":
        word_kinds(data)  # raises where the vocabulary does not tell where words begin


def check_enough(recipe: Recipe, data: Data) -> None:
    """Refuse fewer samples than a batch. Raises `UserError`."""
    fault = budget.too_few(recipe, len(data))
    if fault:
        raise UserError(fault, f"lower --batch to {len(data)} or less, or give more --shards")


def resolve_without_data(recipe: Recipe, device_type: str, init: str | None) -> Recipe:
    """The recipe for a plan made before there are shards: with the published vocabulary, unless
    the first weights or the recipe tell of another."""
    model = with_heads(recipe)
    if init is not None:
        model = pretrained.read_config(Path(init), model)
    model = dataclasses.replace(model, vocab_size=model.vocab_size or budget.ASSUMED_VOCABULARY)

    recipe = dataclasses.replace(
        recipe, model=model, precision=resolve_precision(recipe.precision, device_type)
    )
    check(recipe)
    return recipe


def resolve_precision(precision: Precision, device_type: str) -> Precision:
    """auto is fp32 on a CPU, bf16 on CUDA, and fp16 on GPUs that have no bf16 in hardware: those
    before Ampere, such as V100 and T4. A plan for a GPU that is not here assumes bf16."""
    if precision != "auto":
        return precision
    if device_type != "cuda":
        return "fp32"

    is_here = torch.cuda.is_available()
    has_bf16 = not is_here or torch.cuda.get_device_capability() >= FLASH_CAPABILITY
    return "bf16" if has_bf16 else "fp16"


def data_digest(data: Data) -> str:
    """The identity of the training data: a digest of the tokenizer and the shards, in order."""
    lines = [data.tokenizer.digest, *data.identity]
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()


# --- begin or continue


def start(
    job: Job, world: World, data: Data, micro: int, display: Display
) -> tuple[State, Path | None]:
    """The state to begin with, and the checkpoint that it is from, None for a new run.

    Rank 0 reads and writes the run and tells the others. Raises `UserError` when the run exists
    and is not to be resumed, cannot be written, or does not fit the job.
    """
    part = job.recipe.batch // world.ranks
    return world.from_rank_0(lambda: begin_or_continue(job, data, micro, part, display))


def begin_or_continue(
    job: Job, data: Data, micro: int, part: int, display: Display
) -> tuple[State, Path | None]:
    """`start` on rank 0. `part`: a rank's share of a batch."""
    fresh = first_state(job.recipe, data, micro)
    info = RunInfo(
        shards=list(data.directories),
        beside=[os.path.relpath(directory, job.run) for directory in data.directories],
        sources=data.tokens,
        data=fresh.data,
        identity=list(data.identity),
    )

    if not job.resume:
        refuse_existing(job.run)
        begin(job, data, info)
        return fresh, None

    def warn(fault: str) -> None:
        display.say(f"warning: {fault}; trying the one before")

    newest = checkpoint.newest_whole(job.run, warn)
    if newest is None:
        display.say(f"{job.run}: no whole checkpoint, starting at step 0")
        begin(job, data, info)
        return fresh, None

    path, state = newest
    refuse_other(path, state, fresh)
    _, unknown = known_keys(state.recipe)
    if unknown:
        display.say(
            f"note: the run has settings that this version does not know, and they are left out: "
            f"{', '.join(unknown)}"
        )
    # Those of the run, also where they were measured, unless the command names others.
    if "micro_batch" not in job.given and state.micro_batch and part % state.micro_batch == 0:
        micro = state.micro_batch
    if state.micro_batch != micro:
        display.say(
            f"note: micro-batches of {micro} samples instead of {state.micro_batch}: the samples "
            "and masks stay the same, dropout differs"
        )
    recipe_file = job.run / "recipe.toml"
    if not recipe_file.exists():
        files.write_bytes(str(recipe_file), dump_toml(job.recipe).encode())
    elif load_run_recipe(job.run).compile != job.recipe.compile:
        display.say("note: --compile is not as the run was started with: dropout differs")
    write_info(job.run, info)
    display.say(f"{path}: going on after step {state.step}")
    # From here on its checkpoints name every setting of this version.
    return dataclasses.replace(
        state, micro_batch=micro, recipe=fresh.recipe, model=fresh.model
    ), path


def first_state(recipe: Recipe, data: Data, micro: int) -> State:
    """The state of a new run."""
    # To JSON and back, so that it compares with what a checkpoint holds.
    plain = json.dumps([fixed_keys(recipe), dataclasses.asdict(recipe.model)])
    keys, shape = json.loads(plain)
    return State(
        data=data_digest(data),
        tokenizer=data.tokenizer.digest,
        recipe=keys,
        model=shape,
        micro_batch=micro,
    )


def refuse_existing(run: Path) -> None:
    """Raise `UserError` when a folder holds a run: a recipe, and a checkpoint or a log of
    training. What ended before its first update can be begun again."""
    # A run that ended before its first update has logged its start at most.
    trained = any(line.get("kind") != "start" for line in read_log(run))
    begun = bool(checkpoint.list_checkpoints(run)) or trained
    if begun and (run / "recipe.toml").exists():
        raise UserError(
            f"{run}: there is a run in it", "continue it with --resume, or name another --run"
        )


def refuse_other(path: Path, state: State, fresh: State) -> None:
    """Raise `UserError` naming what differs between a checkpoint and the run as it would be new."""
    if state.tokenizer != fresh.tokenizer:
        raise UserError(
            f"{path}: trained with another tokenizer than that of the shards",
            "give the shards that the run was started with",
        )
    if state.data != fresh.data:
        raise UserError(
            f"{path}: trained on other shards than these",
            "give the shards that the run was started with, in the same order",
        )

    before, _ = known_keys(state.recipe)
    now = fresh.recipe
    if before["steps"] != now["steps"]:
        raise UserError(
            f"--steps {now['steps']}: the run was started with {before['steps']}, and its "
            "learning rate depends on that",
            f"use --steps {before['steps']}, or a new --run with --init",
        )
    for key in sorted(now):
        if now[key] != before[key]:
            raise UserError(
                f"{key}: {now[key]!r}, the run was started with {before[key]!r}",
                "leave out --recipe and its flags: --resume takes those of the run",
            )


def begin(job: Job, data: Data, info: RunInfo) -> None:
    """Write the tokenizer, `run.json` and `recipe.toml` of a new run. Raises `UserError` (exit 3)
    when the folder cannot be written."""
    try:
        files.make_folder(str(job.run))
        tokenizer = files.join(data.directories[0], "tokenizer.json")
        if os.path.exists(tokenizer):
            files.write_bytes(str(job.run / "tokenizer.json"), files.read_bytes(tokenizer))
        files.write_bytes(str(job.run / run_info.NAME), info.to_bytes())
        files.write_bytes(str(job.run / "recipe.toml"), dump_toml(job.recipe).encode())
    except OSError as error:
        raise UserError(
            f"{job.run}: cannot be written: {error.strerror}", "name another --run", 3
        ) from None


def write_info(run: Path, info: RunInfo) -> None:
    """Write `run.json` again where it is missing, or where the same shards are now stored
    elsewhere."""
    path = run / run_info.NAME
    if not path.exists() or path.read_bytes() != info.to_bytes():
        files.write_bytes(str(path), info.to_bytes())


# --- the model


def prepare(
    job: Job, world: World, found: Path | None
) -> tuple[PretrainingModel, torch.optim.AdamW, Gradients]:
    """The model in training mode, its optimizer and its gradients, on the device.

    The weights are new, those of `--init`, or those of the checkpoint `found`; all ranks have the
    same. Raises `UserError` when the first weights do not fit.
    """
    recipe = job.recipe
    model = build(recipe.model, recipe.seed)
    # The others get the weights of rank 0 below.
    if job.init is not None and found is None and world.is_first:
        new = pretrained.load_pretrained(Path(job.init), model)
        if new:
            print(f"note: {job.init} has no {', '.join(new)}: new weights", file=sys.stderr)
    optimizer, gradients = set_up(model, recipe, world, found)
    return model, optimizer, gradients


def set_up(
    model: EncoderModel, recipe: Recipe, world: World, found: Path | None
) -> tuple[torch.optim.AdamW, Gradients]:
    """Move a model of rank 0's first weights to the device, in training mode, with its optimizer
    and its gradients; the weights and moments are those of the checkpoint `found` where there is
    one, and those of rank 0 on every rank."""
    model.to(world.device)
    gradients = Gradients(model, world)
    optimizer = make_adamw(model, recipe.optim)

    if found is not None and world.is_first:
        checkpoint.restore(found, model, optimizer)
    elif found is not None:
        checkpoint.empty_moments(model, optimizer)
    if world.ranks > 1:
        broadcast(model, optimizer)
    model.train()
    return optimizer, gradients


def broadcast(model: EncoderModel, optimizer: torch.optim.AdamW) -> None:
    """Give all ranks the weights and moments of rank 0."""
    tensors: list[Tensor] = list(model.parameters())
    for state in optimizer.state.values():
        tensors += state.values()
    for tensor in tensors:
        dist.broadcast(tensor.data, 0)


def make_autocast(recipe: Recipe, device: torch.device) -> AbstractContextManager[None]:
    """A context that computes products in bf16 or fp16 where the recipe asks for it. It can be
    entered any number of times."""
    if recipe.precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, DTYPES[recipe.precision])


def validation(job: Job, world: World) -> list[evaluate.ValidationSet]:
    """The validation samples. Rank 0 reads or makes and stores them; the others make the same."""
    length = job.recipe.data.length
    config = job.recipe.evaluation
    store = job.run / "validation"

    sets = world.on_rank_0(lambda: evaluate.validation_sets(job.shards, length, config, store))
    return evaluate.validation_sets(job.shards, length, config) if sets is None else sets
