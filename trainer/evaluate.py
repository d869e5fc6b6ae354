"""Validation on stored masks, in one fixed format, per source: numbers of two runs on the same
shards compare.

The format is FULL-SENTENCES with </s> after every sentence, of the run's length; 15 % of the tokens
are masked, exactly, keyed by seed 0 and the place in the source. The masked samples are stored at
the first validation (`RUN/validation/SOURCE.safetensors`) and read from there after.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
from numpy.typing import NDArray

import shards
from shards.errors import UserError
from shards.storage import files
from trainer import checkpoint
from trainer.config import EvaluationConfig, MaskingConfig, ModelConfig, load_recipe
from trainer.data.gather import Masker
from trainer.data.order import make_order
from trainer.data.samples import open_data
from trainer.masking.tokens import IGNORED
from trainer.metrics import perplexity
from trainer.models.roberta import MaskedLM, build, load_published
from trainer.objectives.masked_lm import hits, masked_lm_sum

FIXED_SEED = 0

FIXED_MASKING = MaskingConfig()

BATCH = 32


@dataclass(frozen=True)
class ValidationSet:
    """N masked samples of a source: `ids` (N, L), `places` (N, K) in the row, `labels` (N, K) with
    IGNORED, all int32."""

    source: str
    ids: NDArray[np.int32]
    places: NDArray[np.int32]
    labels: NDArray[np.int32]


@dataclass(frozen=True)
class Score:
    """`loss` in nats a masked token, `accuracy` the share of masked tokens named, `masked` how many
    there were."""

    loss: float
    perplexity: float
    accuracy: float
    masked: int


def validation_sets(
    directories: Sequence[str],
    length: int,
    config: EvaluationConfig,
    store: Path | None = None,
    masking: MaskingConfig = FIXED_MASKING,
) -> list[ValidationSet]:
    """The masked validation samples of each source; kept in `store` and read from there when they
    are of these shards."""
    names = dict.fromkeys(
        shard.entry.source for directory in directories for shard in shards.open(directory, "valid")
    )
    sets = []
    for name in names:
        data = open_data(directories, "valid", length, True, name)
        if not len(data):
            continue
        state = "\n".join(
            (
                *data.identity,
                data.tokenizer.digest,
                f"{length} {config.samples} {FIXED_SEED} {masking} 1",
            )
        )
        identity = hashlib.blake2b(state.encode(), digest_size=16).hexdigest()
        file = (
            f"{name}.safetensors"
            if masking == FIXED_MASKING
            else f"{name}-{masking.style}.safetensors"
        )
        path = None if store is None else store / file
        found = None if path is None else _read(path, name, identity)
        if found is None:
            found = _make(name, Masker(data, masking, FIXED_SEED), config.samples)
            if path is not None and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                with files.open_output(str(path)) as stream:
                    stream.write(
                        safetensors.numpy.save(
                            {"ids": found.ids, "places": found.places, "labels": found.labels},
                            {"identity": identity},
                        )
                    )
        sets.append(found)
    return sets


def _read(path: Path, name: str, identity: str) -> ValidationSet | None:
    try:
        with safetensors.safe_open(path, "numpy") as stored:
            if (stored.metadata() or {}).get("identity") == identity:
                return ValidationSet(
                    name,
                    stored.get_tensor("ids"),
                    stored.get_tensor("places"),
                    stored.get_tensor("labels"),
                )
    except (OSError, safetensors.SafetensorError):
        pass
    return None


def _make(name: str, masker: Masker, most: int) -> ValidationSet:
    count = min(most, len(masker.data))
    epochs, samples = make_order(masker.data, FIXED_SEED, {}).samples(0, count)
    ids = np.empty((count, masker.data.length), np.int64)
    places, labels = (
        np.empty((count, masker.most), np.int64),
        np.empty((count, masker.most), np.int64),
    )
    masker.fill(epochs, samples, ids, places, labels, np.empty(count, np.int64))
    # Flat places in the whole set become places in the row; padding has place 0 in both.
    local = np.where(labels == IGNORED, 0, places - np.arange(count)[:, None] * masker.data.length)
    return ValidationSet(
        name, ids.astype(np.int32), local.astype(np.int32), labels.astype(np.int32)
    )


@torch.no_grad()
def evaluate(
    model: MaskedLM,
    sets: Sequence[ValidationSet],
    device: torch.device,
    autocast: AbstractContextManager[None],
    rank: int = 0,
    ranks: int = 1,
) -> dict[str, Score]:
    """Scores by source, and `all` over every masked token. With several ranks each does its part;
    all return the same."""
    totals = torch.zeros((len(sets), 3), dtype=torch.float64, device=device)
    model.eval()
    for number, part in enumerate(sets):
        for ids, places, labels in _batches(part, rank, ranks):
            with autocast:
                # `forward`, not the call: a compiled model would be compiled again for this mode
                # and shape
                logits = model.forward(ids.to(device), places.to(device))
            labels = labels.to(device)
            masked = (labels != IGNORED).sum()
            totals[number] += torch.stack(
                [
                    masked_lm_sum(logits, labels).double(),
                    hits(logits, labels).double(),
                    masked.double(),
                ]
            )
    model.train()
    if ranks > 1:
        torch.distributed.all_reduce(totals)
    scores = {part.source: _score(row) for part, row in zip(sets, totals.tolist(), strict=True)}
    return (
        {**scores, "all": _score(totals.sum(0).tolist())}
        if len(sets) != 1
        else {**scores, "all": next(iter(scores.values()))}
    )


def _batches(
    part: ValidationSet, rank: int, ranks: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    mine = np.arange(rank, len(part.ids), ranks)
    for start in range(0, len(mine), BATCH):
        rows = mine[start : start + BATCH]
        ids, labels = part.ids[rows], part.labels[rows]
        flat = part.places[rows] + np.arange(len(rows))[:, None] * ids.shape[1]
        yield (
            torch.from_numpy(ids.astype(np.int64)),
            torch.from_numpy(flat.reshape(-1).astype(np.int64)),
            torch.from_numpy(labels.reshape(-1).astype(np.int64)),
        )


def _score(row: list[float]) -> Score:
    loss_sum, right, masked = row
    loss = loss_sum / max(masked, 1)
    return Score(loss, perplexity(loss), right / max(masked, 1), int(masked))


def evaluate_run(
    run: Path,
    directories: Sequence[str],
    step: int | None,
    samples: int,
    masking: MaskingConfig,
    device: torch.device,
) -> tuple[int, dict[str, Score]]:
    """`trainer evaluate`: the step and the scores of a checkpoint in fp32. Raises `UserError`."""
    path, state = checkpoint.choose(run, step)
    config = ModelConfig(**state.model)
    for directory in directories:
        if shards.open(directory, "valid").manifest.tokenizer.digest != state.tokenizer:
            raise UserError(
                f"{directory}: its tokenizer is not that of {path}",
                "evaluate on shards of the run's tokenizer",
            )
    recipe = load_recipe(str(run / "recipe.toml"))
    sets = validation_sets(
        directories,
        recipe.data.length,
        EvaluationConfig(samples=samples or recipe.evaluation.samples),
        run / "validation",
        masking,
    )
    if not sets:
        raise UserError(
            f"{', '.join(directories)}: no validation shards", "build them: [shards] valid_fraction"
        )
    model = build(config, 0)
    load_published(model, safetensors.torch.load_file(path / checkpoint.FILES[0]))
    return state.step, evaluate(model.to(device), sets, device, contextlib.nullcontext())
