"""Validation on stored masks, in one fixed format, by source: the figures of two runs on the same
shards compare.

The format is FULL-SENTENCES with </s> after every sentence, at the run's length; exactly 15 % of
the tokens are masked, keyed by seed 0 and the place in the source. The masked samples are stored at
the first validation (`RUN/validation/SOURCE.safetensors`) and read from there afterwards, so that
later versions score the same ones.
"""

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

import shards
from shards.errors import UserError
from shards.storage import files
from trainer import checkpoint
from trainer.config import EvaluationConfig, MaskingConfig, load_run_recipe
from trainer.data.gather import Masker
from trainer.data.order import make_order
from trainer.data.samples import Data, open_data
from trainer.masking.tokens import IGNORED
from trainer.models.pretraining import PretrainingModel
from trainer.ranks import World
from trainer.scores import SourceScore, few_tokens, other_masks, source_score

VERSION = 1

FIXED_SEED = 0

FIXED_MASKING = MaskingConfig()

BATCH = 32


@dataclass(frozen=True)
class ValidationSet:
    """N masked samples of a source: `ids` (N, L), `places` (N, K) in the row, and `labels` (N,
    K) with IGNORED where there is none, all int32. `special` are the ids that stand for no text,
    `samples` how many samples the whole split has."""

    source: str
    ids: NDArray[np.int32]
    places: NDArray[np.int32]
    labels: NDArray[np.int32]
    special: tuple[int, ...]
    samples: int

    @property
    def masked(self) -> int:
        """The masked tokens."""
        return int((self.labels != IGNORED).sum())


@dataclass(frozen=True)
class Evaluation:
    """The scores of a checkpoint by source, on masks of the style `masks`, and what a reader should
    know about them."""

    step: int
    masks: str
    sources: dict[str, SourceScore]
    warnings: list[str]

    def to_dict(self) -> dict[str, object]:
        """The object of `--json`."""
        sources = {name: score.to_dict() for name, score in self.sources.items()}
        return {**vars(self), "sources": sources}


# --- the samples


def validation_sets(
    directories: Sequence[str],
    length: int,
    config: EvaluationConfig,
    store: Path | None = None,
    masking: MaskingConfig = FIXED_MASKING,
) -> list[ValidationSet]:
    """The masked validation samples of each source that has any.

    Read from `store` when those there are of the same shards and settings; otherwise made, and put
    into `store` where it holds none for the source.
    """
    names: dict[str, None] = {}
    for directory in directories:
        for shard in shards.open(directory, "valid"):
            names[shard.entry.source] = None

    sets = []
    for name in names:
        data = open_data(directories, "valid", length, True, name)
        if not len(data):
            continue

        identity = identify(data, config.samples, masking)
        path = None if store is None else store / file_name(name, masking)
        part = None if path is None else read_set(path, data, name, identity)
        if part is None:
            part = make_set(name, Masker(data, masking, FIXED_SEED), config.samples)
            if path is not None and not path.exists():
                write_set(path, part, identity)
        sets.append(part)
    return sets


def file_name(source: str, masking: MaskingConfig) -> str:
    """The file of a source's samples; those with other masks than the fixed ones have their own."""
    if masking == FIXED_MASKING:
        return f"{source}.safetensors"
    return f"{source}-{masking.style}.safetensors"


def identify(data: Data, samples: int, masking: MaskingConfig) -> str:
    """A digest of all that decides the samples of a validation set."""
    # Written out, so that a new setting does not change the identity of what is stored.
    masks = f"MaskingConfig(rate={masking.rate}, style={masking.style!r})"
    settings = f"{data.length} {samples} {FIXED_SEED} {masks} {VERSION}"
    lines = [*data.identity, data.tokenizer.digest, settings]
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=16).hexdigest()


def read_set(path: Path, data: Data, name: str, identity: str) -> ValidationSet | None:
    """A stored validation set; None where there is none, or it is damaged or of other data."""
    try:
        with safetensors.safe_open(path, "numpy") as stored:
            if (stored.metadata() or {}).get("identity") != identity:
                return None
            return ValidationSet(
                name,
                stored.get_tensor("ids"),
                stored.get_tensor("places"),
                stored.get_tensor("labels"),
                tuple(data.tokenizer.reserved),
                len(data),
            )
    except (OSError, safetensors.SafetensorError):
        return None


def write_set(path: Path, part: ValidationSet, identity: str) -> None:
    """Store a validation set."""
    tensors = {"ids": part.ids, "places": part.places, "labels": part.labels}
    with files.open_output(str(path)) as stream:
        stream.write(safetensors.numpy.save(tensors, {"identity": identity}))


def make_set(name: str, masker: Masker, most: int) -> ValidationSet:
    """Mask the first `most` samples of a source in the order of the fixed seed."""
    count = min(most, len(masker.data))
    epochs, samples = make_order(masker.data, FIXED_SEED, {}).samples(0, count)
    buffers = masker.buffers(count)
    masker.fill(epochs, samples, buffers)

    # Flat places in the whole set become places in the row; padding has place 0 in both.
    row_starts = np.arange(count)[:, None] * masker.data.length
    places = np.where(buffers.labels == IGNORED, 0, buffers.places - row_starts)
    return ValidationSet(
        name,
        buffers.ids.astype(np.int32),
        places.astype(np.int32),
        buffers.labels.astype(np.int32),
        tuple(masker.data.tokenizer.reserved),
        len(masker.data),
    )


# --- the scores


@torch.no_grad()
def evaluate(
    model: PretrainingModel,
    sets: Sequence[ValidationSet],
    world: World,
    autocast: AbstractContextManager[None],
) -> dict[str, SourceScore]:
    """The score of each source, and `all` over every masked token.

    Each rank scores its part of the samples, and all of them return the same.
    """
    model.eval()
    tables = [sample_sums(model, part, world, autocast) for part in sets]
    model.train()

    scores = {}
    for part, table in zip(sets, tables, strict=True):
        scores[part.source] = source_score(table)
    return {**scores, "all": source_score(np.concatenate(tables))}


def sample_sums(
    model: PretrainingModel,
    part: ValidationSet,
    world: World,
    autocast: AbstractContextManager[None],
) -> NDArray[np.float64]:
    """For each of N samples (N, 6): the sum of the losses, the hits and the number of masked words,
    then the same of masked special ids."""
    device = world.device
    special = torch.tensor(part.special, device=device)
    table = torch.zeros((len(part.ids), 6), dtype=torch.float64, device=device)

    for rows, ids, places, labels in batches(part, world.rank, world.ranks):
        labels = labels.to(device)
        with autocast:
            # `forward` and not a call: a compiled model would be compiled again for this mode and
            # shape.
            logits = model.forward(ids.to(device), places.to(device))

        losses = F.cross_entropy(logits.float(), labels, ignore_index=IGNORED, reduction="none")
        figures = torch.stack([losses, (logits.argmax(-1) == labels), labels != IGNORED], -1)
        is_special = torch.isin(labels, special)[:, None]
        masked = (labels != IGNORED)[:, None]
        kinds = torch.cat([figures * ~is_special, figures * is_special], -1) * masked
        table[rows] = kinds.double().reshape(len(rows), -1, 6).sum(1)

    world.sum(table)
    return table.cpu().numpy()


def batches(
    part: ValidationSet, rank: int, ranks: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]]:
    """A rank's part of a validation set: sample numbers (B,), ids (B, L), flat places and labels
    (B * K,), all int64."""
    mine = np.arange(rank, len(part.ids), ranks)
    for start in range(0, len(mine), BATCH):
        rows = mine[start : start + BATCH]
        ids = part.ids[rows]
        flat = part.places[rows] + np.arange(len(rows))[:, None] * ids.shape[1]
        arrays = (rows, ids, flat.reshape(-1), part.labels[rows].reshape(-1))
        numbers, tokens, places, labels = (
            torch.from_numpy(array.astype(np.int64)) for array in arrays
        )
        yield numbers, tokens, places, labels


def masks_of(masking: MaskingConfig) -> str:
    """The masks in a word: the style of single tokens, or what is masked else."""
    return masking.style if masking.unit == "token" else masking.unit


def is_cut(sets: Sequence[ValidationSet]) -> bool:
    """Whether a source has more validation samples than were taken."""
    return any(part.samples > len(part.ids) for part in sets)


def evaluate_run(
    run: Path,
    directories: Sequence[str],
    step: str,
    samples: int,
    masking: MaskingConfig,
    device: torch.device,
) -> Evaluation:
    """`trainer evaluate`: the scores of a checkpoint in fp32, see `checkpoint.choose` for `step`.

    `samples` 0 takes as many as the run's recipe. Raises `UserError` when there is no checkpoint,
    or no validation shards of the run's tokenizer.
    """
    path, state = checkpoint.choose(run, step)
    for directory in directories:
        if shards.open(directory, "valid").manifest.tokenizer.digest != state.tokenizer:
            raise UserError(
                f"{directory}: its tokenizer is not that of {path}",
                "give shards that were built with the run's tokenizer",
            )

    recipe = load_run_recipe(run)
    config = EvaluationConfig(samples=samples or recipe.evaluation.samples)
    store = run / "validation"
    sets = validation_sets(directories, recipe.data.length, config, store, masking)
    if not sets:
        raise UserError(
            f"{', '.join(directories)}: no validation shards",
            "build them: set valid_fraction in [shards] and run corpus build",
        )

    masked = sum(part.masked for part in sets)
    warnings = [
        other_masks(masks_of(recipe.masking), masks_of(masking)),
        few_tokens(masked, is_cut(sets), "--samples"),
    ]
    model = checkpoint.load_model(path, state).to(device)
    world = World(0, 1, 0, device)
    scores = evaluate(model, sets, world, contextlib.nullcontext())
    return Evaluation(state.step, masking.style, scores, list(filter(None, warnings)))
