"""Checkpoints: one folder each, whole or not there, every file digested.

    RUN/checkpoints/step-00000020/
        model.safetensors       weights by their published names
        optimizer.safetensors   exp_avg.NAME and exp_avg_sq.NAME
        state.json              step, skipped batches, recipe, identity of data and tokenizer, loss scale, losses
        digests.json            size and blake2b-32 of each file above; written last

A checkpoint is made under a name that begins with `.tmp-`, flushed, and renamed. `digests.json` is
a pure function of the other files: reading a checkpoint computes it again and compares every byte,
so any cut or flipped byte is found and its file named.
"""

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from shards.errors import UserError
from shards.storage.files import TEMPORARY
from trainer.models.roberta import WORDS, MaskedLM, load_published, published_state

FORMAT = 1

FILES = ("model.safetensors", "optimizer.safetensors", "state.json")

DIGESTS = "digests.json"

MOMENTS = ("exp_avg", "exp_avg_sq")


@dataclass(frozen=True, kw_only=True)
class State:
    """What a run is, but for its tensors. `data` and `tokenizer` are digests; `recipe` the flat
    fixed keys; `model` its shape."""

    step: int = 0
    skipped: int = 0
    nonfinite: int = 0
    tokens: int = 0
    scale: float = 128.0
    good: int = 0
    losses: tuple[float, ...] = ()
    spikes: int = 0
    micro_batch: int = 0
    data: str = ""
    tokenizer: str = ""
    recipe: dict[str, Any]
    model: dict[str, Any]

    @property
    def batches(self) -> int:
        """Batches drawn from the order; the next one is this."""
        return self.step + self.skipped


def folder_name(step: int) -> str:
    """`step-00000020`."""
    return f"step-{step:08d}"


def list_checkpoints(run: Path) -> list[Path]:
    """The checkpoints of a run, newest first; whether they are whole is not looked at."""
    folder = run / "checkpoints"
    if not folder.is_dir():
        return []
    return sorted(
        (path for path in folder.iterdir() if re.fullmatch(r"step-\d{8,}", path.name)),
        key=lambda path: int(path.name[5:]),
        reverse=True,
    )


def save(
    run: Path, model: MaskedLM, optimizer: torch.optim.Optimizer, state: State, keep: int
) -> Path:
    """Write a checkpoint and drop all but the last `keep`. Raises `UserError` (exit 3) when it
    cannot be written; older ones stay."""
    parent = run / "checkpoints"
    target = parent / folder_name(state.step)
    temporary = parent / f"{TEMPORARY}{target.name}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _clear(parent)
        temporary.mkdir()
        weights = {name: tensor.contiguous() for name, tensor in published_state(model).items()}
        safetensors.torch.save_file(weights, temporary / FILES[0], {"format": "pt"})
        safetensors.torch.save_file(
            _moments(model, optimizer), temporary / FILES[1], {"format": "pt"}
        )
        content = {"format": FORMAT, **vars(state), "losses": list(state.losses)}
        (temporary / FILES[2]).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
        (temporary / DIGESTS).write_text(_digests(temporary))
        for path in (*temporary.iterdir(), temporary):
            _flush(path)
        if target.exists():  # a damaged one of the same step
            os.replace(target, parent / f"{TEMPORARY}old-{target.name}")
        os.replace(temporary, target)
        _flush(parent)
    except (OSError, safetensors.SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        left = list_checkpoints(run)
        whole = f"the last checkpoint is {left[0].name}" if left else "there is no checkpoint yet"
        raise UserError(
            f"{target}: cannot be saved: {error}; {whole}", "make room, then go on with --resume", 3
        ) from None
    for path in list_checkpoints(run)[keep:]:
        shutil.rmtree(path, ignore_errors=True)
    _clear(parent)
    return target


def newest_whole(run: Path, warn: Callable[[str], None]) -> tuple[Path, State] | None:
    """The newest whole checkpoint; each damaged one on the way is named through `warn`. None: there
    is no whole one."""
    for path in list_checkpoints(run):
        try:
            return path, read_state(path)
        except UserError as error:
            warn(f"{error.what}; trying the one before")
    return None


def choose(run: Path, step: int | None) -> tuple[Path, State]:
    """The checkpoint of `step`, or the newest whole one, damaged ones named on stderr. Raises
    `UserError`."""
    if step is not None:
        path = run / "checkpoints" / folder_name(step)
        if not path.is_dir():
            names = [found.name for found in list_checkpoints(run)]
            raise UserError(
                f"{path}: no such checkpoint", f"there are: {', '.join(names) or 'none'}"
            )
        return path, read_state(path)
    faults: list[str] = []
    found = newest_whole(run, faults.append)
    if found is None:
        raise UserError(
            faults[0].removesuffix("; trying the one before")
            if faults
            else f"{run}: no checkpoint in it",
            "name a run: trainer pretrain --run RUN",
            1 if faults else 2,
        )
    for fault in faults:
        print(f"warning: {fault}", file=sys.stderr)
    return found


def read_state(path: Path) -> State:
    """Verify every byte of a checkpoint and return its state. Raises `UserError` (exit 1) naming
    the damaged file."""
    fault = damage(path)
    if fault:
        raise UserError(
            f"{path}: damaged checkpoint: {fault}",
            "use another one, or --resume, which takes the newest whole one",
            1,
        )
    content = json.loads((path / FILES[2]).read_text())
    version = content.pop("format", None)
    if version != FORMAT:
        raise UserError(
            f"{path}: checkpoint format {version!r} is not one this version reads ({FORMAT})",
            "upgrade corpusmill",
        )
    return State(**{**content, "losses": tuple(content["losses"])})


def damage(path: Path) -> str:
    """What is wrong with a checkpoint, naming the file; empty when it is whole."""
    try:
        stored = (path / DIGESTS).read_bytes()
        missing = [name for name in FILES if not (path / name).is_file()]
        if missing:
            return f"{missing[0]} is missing"
        expected = _digests(path)
    except OSError as error:
        return f"{Path(error.filename or path).name} cannot be read: {error.strerror}"
    if stored == expected.encode():
        return ""
    try:
        before, now = json.loads(stored), json.loads(expected)["files"]
        intact = before["self"] == _self(before["files"])
        wrong = [name for name in FILES if intact and before["files"][name] != now[name]]
    except (ValueError, KeyError, TypeError):
        wrong = []
    return f"{', '.join(wrong) or DIGESTS} is not as it was written"


def restore(path: Path, model: MaskedLM, optimizer: torch.optim.Optimizer) -> None:
    """Weights and moments of a verified checkpoint into `model` and `optimizer`, exactly."""
    load_published(model, safetensors.torch.load_file(path / FILES[0]))
    moments = safetensors.torch.load_file(path / FILES[1])
    step = torch.tensor(float(json.loads((path / FILES[2]).read_text())["step"]))
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            state = {"step": step.clone().to(parameter.device)}
            for moment in MOMENTS:
                # zeros first: the rows beyond the vocabulary are not stored
                state[moment] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
                stored = moments[f"{moment}.{name}"]
                state[moment][: stored.shape[0]].copy_(stored)
            optimizer.state[parameter] = state


def empty_moments(model: MaskedLM, optimizer: torch.optim.Optimizer) -> None:
    """Room for the moments, for a rank that receives them."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            optimizer.state[parameter] = {
                "step": torch.zeros((), device=parameter.device),
                **{moment: torch.zeros_like(parameter) for moment in MOMENTS},
            }


def _moments(model: MaskedLM, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    found = {}
    for name, parameter in model.named_parameters():
        for moment in MOMENTS:
            if parameter in optimizer.state:
                tensor = optimizer.state[parameter][moment]
                found[f"{moment}.{name}"] = (
                    tensor[: model.config.vocab_size] if name == WORDS else tensor
                ).contiguous()
    return found


def _digests(path: Path) -> str:
    """The text of `digests.json` for the files as they are now."""
    found = {}
    for name in FILES:
        with open(path / name, "rb") as stream:
            state = hashlib.blake2b(digest_size=32)
            while block := stream.read(1 << 20):
                state.update(block)
        found[name] = {"bytes": (path / name).stat().st_size, "digest": state.hexdigest()}
    return json.dumps({"format": FORMAT, "files": found, "self": _self(found)}, indent=1) + "\n"


def _self(found: Any) -> str:
    """The digest of the digests: tells a file that was damaged from damage to what is said of
    it."""
    return hashlib.blake2b(json.dumps(found).encode(), digest_size=16).hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _clear(parent: Path) -> None:
    """Remove what a killed save left."""
    for path in parent.glob(f"{TEMPORARY}*"):
        shutil.rmtree(path, ignore_errors=True)
