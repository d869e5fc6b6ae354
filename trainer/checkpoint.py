"""Checkpoints: one folder each, whole or absent, every file digested.

    RUN/checkpoints/step-00000020/
        model.safetensors       weights by their published names
        optimizer.safetensors   exp_avg.NAME and exp_avg_sq.NAME
        state.json              the fields of `State`
        digests.json            size and blake2b-32 of each file above; written last

The best checkpoint is an ordinary one, whose step `best_step` of the newest `state.json` names.
A checkpoint is written under a name that begins with `.tmp-`, hashed while it is written, flushed,
and renamed. `digests.json`
is a pure function of the other files: reading a checkpoint computes it again and compares every
byte, so any cut or flipped byte is noticed and its file is named.
"""

import dataclasses
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor

from shards.config import from_dict
from shards.errors import UserError
from shards.storage.files import TEMPORARY, flush_to_disk, make_folder
from trainer.config import ModelConfig, Recipe, known_keys, nest
from trainer.models.pretraining import (
    EncoderModel,
    PretrainingModel,
    build,
    load_published,
    published_state,
    published_weights,
)
from trainer.tensor_file import FileDigest, HashedFile, write_tensors

FORMAT = 1

WEIGHTS = "model.safetensors"

OPTIMIZER = "optimizer.safetensors"

STATE = "state.json"

FILES = (WEIGHTS, OPTIMIZER, STATE)

DIGESTS = "digests.json"

MOMENTS = ("exp_avg", "exp_avg_sq")

BEST = "best"

NAME_A_RUN = "name the --run of trainer pretrain"


@dataclass(frozen=True, kw_only=True)
class State:
    """Everything a run is, except its tensors."""

    step: int = 0
    """Updates done."""
    skipped: int = 0
    """Batches left out, because the loss or the gradient was not finite."""
    nonfinite: int = 0
    """Those of them that were not an overflow of fp16."""
    tokens: int = 0
    """Tokens trained on, without padding."""
    scale: float = 128.0
    """The loss scale of fp16."""
    good: int = 0
    """Steps since the loss scale last changed."""
    losses: tuple[float, ...] = ()
    """The past losses that the spike guard compares with."""
    spikes: int = 0
    """Spikes in a row."""
    micro_batch: int = 0
    """Samples at once on a device."""
    best_step: int = 0
    """The step with the lowest validation loss, 0 before the first validation."""
    best_loss: float | None = None
    """That loss, in nats per masked token."""
    data: str = ""
    """The digest of tokenizer and shards."""
    tokenizer: str = ""
    """The digest of the tokenizer."""
    recipe: dict[str, Any]
    """The recipe's settings that decide which model is trained, flat: `config.fixed_keys`."""
    model: dict[str, Any]
    """The fields of `ModelConfig`."""

    @property
    def batches(self) -> int:
        """Batches taken from the endless order so far, which is the number of the next one."""
        return self.step + self.skipped


class Contents(NamedTuple):
    """The tensors of a checkpoint by their names in its files."""

    weights: dict[str, Tensor]
    moments: dict[str, Tensor]


# --- names


def folder_name(step: int) -> str:
    """The folder of a checkpoint: `step-00000020`."""
    return f"step-{step:08d}"


def list_checkpoints(run: Path) -> list[Path]:
    """The checkpoints of a run, newest first, whether whole or damaged."""
    folder = run / "checkpoints"
    if not folder.is_dir():
        return []

    found = [path for path in folder.iterdir() if re.fullmatch(r"step-\d{8,}", path.name)]
    return sorted(found, key=lambda path: int(path.name[5:]), reverse=True)


def last_checkpoint(run: Path) -> str:
    """A clause for errors that names the newest checkpoint."""
    checkpoints = list_checkpoints(run)
    if not checkpoints:
        return "there is no checkpoint yet"
    return f"the last checkpoint is {checkpoints[0].name}"


# --- writing


def save(
    run: Path,
    model: EncoderModel,
    optimizer: torch.optim.Optimizer,
    state: State,
    keep: int,
    keep_best: bool = False,
) -> Path:
    """Write a checkpoint at once, see `write`."""
    return write(run, contents(model, optimizer), state, keep, keep_best)


def contents(model: EncoderModel, optimizer: torch.optim.Optimizer) -> Contents:
    """What a checkpoint holds of a model and its optimizer: views, no copies."""
    return Contents(published_state(model), moments(model, optimizer))


def write(run: Path, tensors: Contents, state: State, keep: int, keep_best: bool = False) -> Path:
    """Write a checkpoint, remove all but the last `keep`, and return its folder.

    With `keep_best` the checkpoint of `state.best_step` stays too.

    Raises `UserError` (exit 3) when it cannot be written; the older ones stay then.
    """
    parent = run / "checkpoints"
    target = parent / folder_name(state.step)
    temporary = parent / f"{TEMPORARY}{target.name}"
    try:
        make_folder(str(parent))
        remove_temporary(parent)
        temporary.mkdir()
        write_files(temporary, tensors, state)
        flush_to_disk(str(temporary))
        if target.exists():  # a damaged checkpoint of the same step
            os.replace(target, parent / f"{TEMPORARY}old-{target.name}")
        os.replace(temporary, target)
        flush_to_disk(str(parent))
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise UserError(
            f"{target}: cannot be saved: {error}; {last_checkpoint(run)}",
            "make room, then run the command again with --resume",
            3,
        ) from None

    best = folder_name(state.best_step) if keep_best else ""
    for path in list_checkpoints(run)[keep:]:
        if path.name != best:
            shutil.rmtree(path, ignore_errors=True)
    remove_temporary(parent)
    return target


def write_files(folder: Path, tensors: Contents, state: State) -> None:
    """Write the files of a checkpoint and flush them to the disk."""
    content = {"format": FORMAT, **vars(state), "losses": list(state.losses)}
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"

    found = {
        WEIGHTS: write_tensors(folder / WEIGHTS, on_cpu(tensors.weights)),
        OPTIMIZER: write_tensors(folder / OPTIMIZER, on_cpu(tensors.moments)),
        STATE: write_bytes(folder / STATE, text.encode()),
    }
    write_bytes(folder / DIGESTS, digests_text(found).encode())


def on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as they are written; copies only of those that are elsewhere."""
    return {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}


def write_bytes(path: Path, data: bytes) -> FileDigest:
    """Write a file, flush it to the disk, and return its digest."""
    with HashedFile(path) as file:
        file.write(data)
    return file.digest()


def moments(model: EncoderModel, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Adam's moments by name, without the rows beyond the vocabulary."""
    found = {}
    for name, weight in published_weights(model):
        if weight.parameter not in optimizer.state:
            continue
        for moment in MOMENTS:
            tensor = weight.of(optimizer.state[weight.parameter][moment])
            found[f"{moment}.{name}"] = tensor
    return found


def remove_temporary(parent: Path) -> None:
    """Remove what a killed save left behind."""
    for path in parent.glob(f"{TEMPORARY}*"):
        shutil.rmtree(path, ignore_errors=True)


# --- reading


def newest_whole(run: Path, warn: Callable[[str], None]) -> tuple[Path, State] | None:
    """The newest whole checkpoint, None where there is none; `warn` is told of each damaged one."""
    for path in list_checkpoints(run):
        try:
            return path, read_state(path)
        except UserError as error:
            warn(error.what)
    return None


def choose(run: Path, step: int | str = "") -> tuple[Path, State]:
    """The checkpoint of a step, or the newest whole one; damaged ones are named on stderr.

    `step` is a number, "best" for the one with the lowest validation loss, or empty for the newest.
    Raises `UserError` when there is none.
    """
    if step == BEST:
        return best_checkpoint(run)
    if step != "":
        return at_step(run, str(step))

    faults: list[str] = []
    newest = newest_whole(run, faults.append)
    if newest is None and faults:
        raise UserError(faults[0], "train again from step 0: trainer pretrain --resume", 1)
    if newest is None:
        raise UserError(f"{run}: no checkpoint in it", NAME_A_RUN)

    for fault in faults:
        print(f"warning: {fault}; trying the one before", file=sys.stderr)
    return newest


def best_checkpoint(run: Path) -> tuple[Path, State]:
    """The checkpoint with the lowest validation loss. Raises `UserError` when it was not kept."""
    _, newest = choose(run)
    if not newest.best_step:
        raise UserError(
            f"{run}: no validation yet, so no checkpoint is the best",
            "leave out --step to take the newest one",
        )

    path = run / "checkpoints" / folder_name(newest.best_step)
    if not path.is_dir():
        raise UserError(
            f"{run}: the best validation was at step {newest.best_step}, and its checkpoint was "
            "not kept",
            "train with --keep-best, or leave out --step to take the newest one",
        )
    return path, read_state(path)


def at_step(run: Path, step: str) -> tuple[Path, State]:
    """The checkpoint of this step. Raises `UserError` when there is none."""
    if not step.isdecimal():
        raise UserError(f"--step: {step!r} is neither a step nor best", "for example --step 1000")

    path = run / "checkpoints" / folder_name(int(step))
    if not path.is_dir():
        names = [checkpoint.name for checkpoint in list_checkpoints(run)]
        raise UserError(f"{path}: no such checkpoint", f"there are: {', '.join(names) or 'none'}")
    return path, read_state(path)


def read_state(path: Path) -> State:
    """Verify every byte of a checkpoint and return its state.

    Raises `UserError`: exit 1 naming the damaged file, exit 2 for another format.
    """
    fault = damage(path)
    if fault:
        raise UserError(
            f"{path}: damaged checkpoint: {fault}",
            "use another checkpoint; --resume takes the newest whole one",
            1,
        )

    content = json.loads((path / STATE).read_text("utf-8"))
    version = content.pop("format", None)
    if version != FORMAT:
        raise UserError(
            f"{path}: checkpoint format {version!r} is not one that this version reads ({FORMAT})",
            "upgrade corpusmill",
        )
    names = {field.name for field in dataclasses.fields(State)}
    fields = {name: value for name, value in content.items() if name in names}
    return State(**{**fields, "losses": tuple(content.get("losses", ()))})


def model_config(state: State) -> ModelConfig:
    """The shape of the model of a checkpoint, also of one that an older version wrote."""
    stored = {f"model.{name}": value for name, value in state.model.items()}
    keys, _ = known_keys(stored)
    return from_dict(Recipe, nest(keys)).model


def load_model(path: Path, state: State) -> PretrainingModel:
    """The model of a verified checkpoint, on the CPU in fp32, in training mode."""
    model = build(model_config(state), 0)
    load_published(model, safetensors.torch.load_file(path / WEIGHTS))
    return model


def restore(path: Path, model: EncoderModel, optimizer: torch.optim.Optimizer) -> None:
    """Copy weights and moments of a verified checkpoint into `model` and `optimizer`, exactly."""
    load_published(model, safetensors.torch.load_file(path / WEIGHTS))
    stored = safetensors.torch.load_file(path / OPTIMIZER)
    step = float(json.loads((path / STATE).read_text("utf-8"))["step"])
    # Zeros first: the rows beyond the vocabulary are not stored.
    empty_moments(model, optimizer, step)

    for name, weight in published_weights(model):
        if not weight.parameter.requires_grad:
            continue
        for moment in MOMENTS:
            values = weight.of(optimizer.state[weight.parameter][moment])
            # A run that was stopped before its first update has stored no moments.
            if stored or step:
                values.copy_(stored[f"{moment}.{name}"])


def empty_moments(
    model: EncoderModel, optimizer: torch.optim.Optimizer, steps: float = 0.0
) -> None:
    """Make room for the moments after so many steps; a rank other than 0 receives them, and their
    step, from rank 0."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            zeros = {moment: torch.zeros_like(parameter) for moment in MOMENTS}
            step = torch.tensor(steps, device=parameter.device)
            optimizer.state[parameter] = {"step": step, **zeros}


# --- digests


def damage(path: Path) -> str:
    """What is wrong with a checkpoint, naming the file; empty when it is whole."""
    try:
        stored = (path / DIGESTS).read_bytes()
        missing = [name for name in FILES if not (path / name).is_file()]
        if missing:
            return f"{missing[0]} is missing"
        expected = digests(path)
    except OSError as error:
        return f"{Path(error.filename or path).name} cannot be read: {error.strerror}"

    if stored == expected.encode():
        return ""
    wrong = changed_files(stored, expected)
    return f"{', '.join(wrong) or DIGESTS} is not as it was written"


def changed_files(stored: bytes, expected: str) -> list[str]:
    """The files whose digests differ; none where `digests.json` itself is damaged."""
    try:
        before = json.loads(stored)
        now = json.loads(expected)["files"]
        if before["self"] != digest_of_digests(before["files"]):
            return []
        return [name for name in FILES if before["files"][name] != now[name]]
    except (ValueError, KeyError, TypeError):
        return []


def digests(path: Path) -> str:
    """The text of `digests.json` for the files as they are now."""
    found: dict[str, FileDigest] = {}
    for name in FILES:
        state = hashlib.blake2b(digest_size=32)
        with open(path / name, "rb") as stream:
            while block := stream.read(1 << 20):
                state.update(block)
        found[name] = {"bytes": (path / name).stat().st_size, "digest": state.hexdigest()}

    return digests_text(found)


def digests_text(found: dict[str, FileDigest]) -> str:
    """The text of `digests.json` for these digests of the files, in the order of `FILES`."""
    content = {"format": FORMAT, "files": found, "self": digest_of_digests(found)}
    return json.dumps(content, indent=1) + "\n"


def digest_of_digests(found: dict[str, FileDigest]) -> str:
    """Tells damage to a file from damage to what `digests.json` says of it."""
    return hashlib.blake2b(json.dumps(found).encode(), digest_size=16).hexdigest()
