"""Before the first step: the ranks meet, the data is opened, the run is begun or gone on with, the
model is made."""

import contextlib
import dataclasses
import hashlib
import json
import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from shards.config import dump_toml
from shards.errors import UserError
from shards.storage import files
from trainer import checkpoint, evaluate, export
from trainer.checkpoint import State
from trainer.config import Recipe, check, fixed_keys, load_recipe
from trainer.data.samples import Data, open_data
from trainer.display import Display
from trainer.models.roberta import MaskedLM, build
from trainer.optim import flatten_gradients, make_adamw
from trainer.ranks import World

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, kw_only=True)
class Job:
    """A recipe and where its data, its run and its first weights lie."""

    shards: tuple[str, ...]
    run: Path
    recipe: Recipe
    device: str = "auto"
    resume: bool = False
    init: str | None = None
    track: tuple[str, ...] = ()


def open_on_host(job: Job, world: World) -> Data:
    """The training data; the first rank of each host builds the index, the others find it."""
    settings = (job.shards, "train", job.recipe.data.length, job.recipe.data.sentence_eos)
    first = world.agree(lambda: open_data(*settings) if world.local_rank == 0 else None)
    return world.agree(lambda: first or open_data(*settings))


def resolve(recipe: Recipe, data: Data, device: torch.device, init: str | None) -> Recipe:
    """The recipe with what only the data, the device and the first weights can tell; checked."""
    model = dataclasses.replace(recipe.model, pad_id=data.tokenizer.special.get("<pad>", 1))
    if init is not None:
        model = export.read_config(Path(init), recipe.model)
        export.check_tokenizer(Path(init), data.directories[0])
        if model.pad_id != data.tokenizer.special.get("<pad>"):
            raise UserError(
                f"{init}: its <pad> is {model.pad_id}, the shards' is {data.tokenizer.special.get('<pad>')}",
                "build the shards with the model's tokenizer",
            )
    elif model.vocab_size == 0:
        model = dataclasses.replace(model, vocab_size=data.tokenizer.vocab_size)
    precision = (
        recipe.precision
        if recipe.precision != "auto"
        else "bf16"
        if device.type == "cuda"
        else "fp32"
    )
    recipe = dataclasses.replace(recipe, model=model, precision=precision)
    check(recipe)
    check_data(recipe, data)
    return recipe


def start(
    job: Job, world: World, data: Data, micro: int, display: Display
) -> tuple[State, Path | None]:
    """The state to begin with and the checkpoint it is from; rank 0 looks and tells the others."""
    answer: list[Any] = [
        world.agree(lambda: _start(job, data, micro, display) if world.rank == 0 else None)
    ]
    if world.ranks > 1:
        dist.broadcast_object_list(answer, 0)
    state, found = answer[0]
    return state, found


def _start(job: Job, data: Data, micro: int, display: Display) -> tuple[State, Path | None]:
    recipe = job.recipe
    # To JSON and back, so that it compares with what a checkpoint holds.
    keys, shape = json.loads(json.dumps([fixed_keys(recipe), dataclasses.asdict(recipe.model)]))
    fresh = State(
        data=data_digest(data),
        tokenizer=data.tokenizer.digest,
        recipe=keys,
        model=shape,
        micro_batch=micro,
    )
    about = (
        json.dumps(
            {
                "shards": list(data.directories),
                "sources": data.tokens,
                "data": fresh.data,
                "identity": list(data.identity),
            },
            indent=1,
        )
        + "\n"
    ).encode()
    # What was refused before its first checkpoint and its first line of log is no run.
    if (
        (job.run / "recipe.toml").exists()
        and not job.resume
        and (checkpoint.list_checkpoints(job.run) or (job.run / "log.jsonl").exists())
    ):
        raise UserError(
            f"{job.run}: there is a run in it", "go on with --resume, or name another --run"
        )
    found = (
        checkpoint.newest_whole(job.run, lambda text: display.say(f"warning: {text}"))
        if job.resume
        else None
    )
    if found is None:
        if job.resume:
            display.say(f"{job.run}: no whole checkpoint, starting at step 0")
        try:
            job.run.mkdir(parents=True, exist_ok=True)
            tokenizer = files.join(data.directories[0], "tokenizer.json")
            if os.path.exists(tokenizer):
                files.write_bytes(str(job.run / "tokenizer.json"), files.read_bytes(tokenizer))
            files.write_bytes(str(job.run / "run.json"), about)
            files.write_bytes(str(job.run / "recipe.toml"), dump_toml(recipe).encode())
        except OSError as error:
            raise UserError(
                f"{job.run}: cannot be written: {error.strerror}", "name another --run", 3
            ) from None
        return fresh, None
    path, state = found
    if state.tokenizer != fresh.tokenizer:
        raise UserError(
            f"{path}: trained with another tokenizer than the shards'",
            "give the shards that the run was started with",
        )
    if state.data != fresh.data:
        raise UserError(
            f"{path}: trained on other shards than these",
            "give the shards that the run was started with, in the same order",
        )
    if state.recipe.get("steps") != recipe.steps:
        raise UserError(
            f"--steps {recipe.steps}: the run was started for {state.recipe.get('steps')}, and its learning rate follows that horizon",
            f"--steps {state.recipe.get('steps')}, or a new --run with --init",
        )
    changed = sorted(
        key for key in {*keys, *state.recipe} if keys.get(key) != state.recipe.get(key)
    )
    if changed:
        raise UserError(
            f"{changed[0]}: {keys.get(changed[0])!r}, the run was started with {state.recipe.get(changed[0])!r}",
            "leave --recipe and its flags away: --resume takes those of the run",
        )
    if state.micro_batch != micro:
        display.say(
            f"note: micro-batches of {micro}, before of {state.micro_batch}: same samples and masks, other dropout"
        )
    if (job.run / "run.json").read_bytes() != about:  # the same shards in another place
        files.write_bytes(str(job.run / "run.json"), about)
    display.say(f"{path}: going on after step {state.step}")
    return dataclasses.replace(state, micro_batch=micro), path


def stored_precision(run: Path) -> Any:
    """The precision that a run was started with, None where there is no whole checkpoint's recipe
    yet."""
    return (
        load_recipe(str(run / "recipe.toml")).precision if (run / "recipe.toml").exists() else None
    )


def prepare(
    job: Job, world: World, found: Path | None
) -> tuple[MaskedLM, torch.optim.AdamW, Tensor]:
    """Model, optimizer and flat gradient on the device: new, imported, or as the checkpoint has
    them; equal on all ranks."""
    recipe = job.recipe
    model = build(recipe.model, recipe.seed)
    if job.init is not None and found is None:
        export.load_pretrained(Path(job.init), model)
    model.to(world.device)
    flat = flatten_gradients(model)
    optimizer = make_adamw(model, recipe.optim)
    if found is not None:
        if world.rank == 0:
            checkpoint.restore(found, model, optimizer)
        elif world.ranks > 1:
            checkpoint.empty_moments(model, optimizer)
    if world.ranks > 1:
        for tensor in (
            *model.parameters(),
            *(value for state in optimizer.state.values() for value in state.values()),
        ):
            dist.broadcast(tensor.data, 0)
    return model.train(), optimizer, flat


def make_autocast(recipe: Recipe, device: torch.device) -> AbstractContextManager[None]:
    """Products in bf16 or fp16 where the recipe asks for it; a context that can be entered again
    and again."""
    if recipe.precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, DTYPES[recipe.precision])


def validation(job: Job, world: World) -> list[evaluate.ValidationSet]:
    """The stored validation samples; rank 0 makes them, the others read them or make the same."""
    settings = (job.shards, job.recipe.data.length, job.recipe.evaluation)
    sets = world.agree(
        lambda: (
            evaluate.validation_sets(*settings, job.run / "validation") if world.rank == 0 else None
        )
    )
    return sets if sets is not None else evaluate.validation_sets(*settings)


def data_digest(data: Data) -> str:
    """The identity of the training data: tokenizer and shards, in order."""
    return hashlib.blake2b(
        "\n".join((data.tokenizer.digest, *data.identity)).encode(), digest_size=16
    ).hexdigest()


def check_data(recipe: Recipe, data: Data) -> None:
    """Refuse data that does not fit the recipe. Raises `UserError`."""
    if not len(data):
        raise UserError(
            f"{', '.join(data.directories)}: no training shards", "corpus build makes them"
        )
    missing = [
        name
        for name in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
        if name not in data.tokenizer.special
    ]
    if missing:
        raise UserError(
            f"{', '.join(data.directories)}: the tokenizer has no {missing[0]}",
            "build the shards again: corpus build",
        )
    if len(data) < recipe.batch:
        raise UserError(
            f"{len(data)} samples of {recipe.data.length} tokens are fewer than one batch of {recipe.batch}",
            f"lower --batch to {len(data)} or less, or give more --shards",
        )
    if recipe.model.vocab_size < data.tokenizer.vocab_size:
        raise UserError(
            f"the shards' vocabulary of {data.tokenizer.vocab_size} is larger than the model's of {recipe.model.vocab_size}",
            "build the shards with the model's tokenizer, or leave model.vocab_size 0",
        )
