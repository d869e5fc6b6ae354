"""`trainer seen` and `trainer step`: when a run was trained on a document, and which documents a
step was trained on.

Both are computed from the shards, the recipe and the order alone; no log of samples is kept.
"""

import dataclasses
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shards.errors import UserError, in_command
from shards.format import document_id
from shards.manifest import shards_directory
from shards.reader import Shard
from trainer.data.gather import Masker
from trainer.data.inverse import Places, join, places_of
from trainer.data.order import Order, make_order
from trainer.data.origins import (
    Stretch,
    find_sample,
    member_of,
    samples_with,
    stretches,
    tokens_at,
)
from trainer.data.samples import Data, open_all, open_training
from trainer.history import History, Stage
from trainer.jit import Int64
from trainer.masking.tokens import IGNORED
from trainer.run_info import read_run_info

# Samples that are masked at once.
CHUNK = 256


@dataclass(frozen=True, kw_only=True)
class Occurrence:
    """A stretch of a document in a training sample.

    `step` counts from 1; `skipped` tells that the batch made no update, and `step` is then the one
    that it would have made. `sample` is the place in the endless order, as `trainer show --sample`
    takes it; `row` the row in the batch of all ranks; `rank` the rank that had it. `first` and
    `tokens` are the tokens of the document, counted from 0, and `place` where they begin in the
    row. `masked` are those of them, by their number in the document, that were masked.
    """

    epoch: int
    step: int
    skipped: bool
    sample: int
    rank: int
    row: int
    place: int
    first: int
    tokens: int
    masked: list[int]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """When a run was trained on a document, up to step `until`. `split` is `train`, or `valid` for
    a document that no step is trained on."""

    id: str
    source: str
    split: str
    tokens: int
    until: int
    occurrences: list[Occurrence]


@dataclass(frozen=True, kw_only=True)
class StepDocument:
    """A stretch of a document in the batch of a step, with the keys of `Occurrence`; `url` is
    empty where the shards are not in a home, or the document has none."""

    row: int
    rank: int
    sample: int
    epoch: int
    id: str
    source: str
    url: str
    place: int
    first: int
    tokens: int
    masked: list[int]


@dataclass(frozen=True)
class Trained:
    """The samples of a stage of a run: their data, masks and order."""

    stage: Stage
    data: Data
    masker: Masker
    order: Order


def open_stages(run: Path, directories: tuple[str, ...], history: History) -> list[Trained]:
    """The data of each stage of a run. Raises `UserError` when the shards are not those of the
    run."""
    info = read_run_info(run)
    recipe = history.recipe
    found = []
    for stage in history.stages():
        config = dataclasses.replace(recipe.data, length=stage.length)
        data = open_training(directories, config)
        if list(data.identity) != info.identity:
            raise UserError(
                f"{', '.join(directories)}: not the shards that {run} was trained on",
                "name the folders of those, in the order of the run: --shards DIR",
            )
        masker = Masker(data, recipe.masking, recipe.seed)
        found.append(Trained(stage, data, masker, make_order(data, recipe.seed, recipe.data.mix)))
    return found


# --- a document

Place = tuple[str, Shard, int]
"""The split, the shard and the number in it of a document."""


def seen(
    run: Path, directories: tuple[str, ...], history: History, ids: tuple[str, ...]
) -> list[Seen]:
    """When a run was trained on each document of `ids`, and on each copy of those that the shards
    repeat. Raises `UserError` for an id that is in none of the shards."""
    where = {name: place for id in ids for name, place in find_copies(directories, id)}
    trained = open_stages(run, directories, history)
    return [seen_document(id, *place, trained, history) for id, place in where.items()]


def find_copies(directories: tuple[str, ...], id: str) -> Iterator[tuple[str, Place]]:
    """The ids of a document and of its further copies, which end in #2, #3 and so on, with their
    places. Raises `UserError` when there is none."""
    yield id, find_document(directories, id)
    for part in open_all(directories, "train"):
        for shard in part:
            for number in pc.indices_nonzero(pc.starts_with(shard.ids, f"{id}#")).to_pylist():
                yield shard.ids[number].as_py(), ("train", shard, number)


def find_document(directories: tuple[str, ...], id: str) -> Place:
    """Where a document is. Raises `UserError` when it is nowhere."""
    for split in ("train", "valid"):
        for part in open_all(directories, split):
            for shard in part:
                number = pc.index(shard.ids, pa.scalar(id, pa.string())).as_py()
                if number >= 0:
                    return split, shard, number

    home = os.path.dirname(os.path.abspath(shards_directory(directories[0])))
    raise UserError(
        f"{id}: no document of the shards has this id",
        f"where they are in a home: corpus why {in_command(home)} {in_command(id)}",
    )


def seen_document(
    id: str, split: str, shard: Shard, number: int, trained: list[Trained], history: History
) -> Seen:
    """When a run was trained on one document."""
    occurrences: list[Occurrence] = []
    if split == "train":
        identity = f"{shard.entry.source} {shard.entry.digest}"
        for part in trained:
            for numbered in shards_like(part.data, identity):
                occurrences += occurrences_of(part, numbered, number, history)

    first, end = shard.token_offsets[number : number + 2].tolist()
    return Seen(
        id=id,
        source=shard.entry.source,
        split=split,
        tokens=end - first,
        until=history.until,
        occurrences=occurrences,
    )


def shards_like(data: Data, identity: str) -> list[int]:
    """The shards with this source and digest: more than one where a folder was given twice."""
    return [number for number, other in enumerate(data.identity) if other == identity]


def occurrences_of(
    part: Trained, shard: int, document: int, history: History
) -> Iterator[Occurrence]:
    """Every stretch of a document in the samples of a stage, in the order of training."""
    batch = history.recipe.batch
    first, end = part.stage.first * batch, part.stage.end * batch
    found = []
    for plan in range(part.data.form.plans):
        samples = samples_with(part.data, shard, document, plan)
        found.append(places_of(part.order, plan, samples, first, end))
    places = join(found)
    by_place = np.argsort(places.place, kind="stable")
    places = Places(*(column[by_place] for column in places))

    inside = functools.lru_cache(maxsize=4096)(functools.partial(stretches_of, part.data))
    masks = masks_of(part.masker, places)
    for place, epoch, sample, masked in zip(*places, masks, strict=True):
        plan = int(epoch) % part.data.form.plans
        number = int(place) // batch
        row = int(place) % batch
        step = history.step_of(number)
        rank = row // (batch // history.ranks_at(step))

        for stretch, tokens in inside(plan, int(sample)):
            if stretch.document != document:
                continue
            yield Occurrence(
                epoch=int(epoch),
                step=step,
                skipped=history.is_skipped(number),
                sample=int(place),
                rank=rank,
                row=row,
                place=stretch.place,
                first=stretch.first,
                tokens=stretch.tokens,
                masked=masked_of(stretch, tokens, masked),
            )


def stretches_of(data: Data, plan: int, sample: int) -> list[tuple[Stretch, Int64]]:
    """The stretches of a sample, each with the sample's tokens by place, counted from the first of
    the stretch's document."""
    shard, number = find_sample(data, plan, sample)
    tokens = tokens_at(data, shard, plan, number)
    offsets = member_of(data, shard).shard.token_offsets
    found = []
    for stretch in stretches(data, shard, tokens):
        found.append((stretch, tokens - offsets[stretch.document]))
    return found


def masked_of(stretch: Stretch, tokens: Int64, masked: Int64) -> list[int]:
    """Which tokens of the document are masked in a stretch, given the masked places of the
    sample."""
    own = tokens[masked[(masked >= stretch.place) & (masked < stretch.end)]]
    # fairseq's masks may hold separators, which are no tokens of a document.
    return sorted(own[own >= 0].tolist())


def masks_of(masker: Masker, places: Places) -> Iterator[Int64]:
    """The masked places of each sample."""
    for start in range(0, len(places.place), CHUNK):
        samples = places.sample[start : start + CHUNK]
        buffers = masker.buffers(len(samples))
        masker.fill(places.epoch[start : start + CHUNK], samples, buffers)
        for row, labels in enumerate(buffers.labels):
            yield buffers.places[row][labels != IGNORED] - row * masker.data.length


# --- a step


def step_documents(
    run: Path, directories: tuple[str, ...], history: History, step: int
) -> list[StepDocument]:
    """The documents of a step, by row and place."""
    batch = history.recipe.batch
    number = history.batch_of(step)
    part = next(
        part
        for part in open_stages(run, directories, history)
        if part.stage.first <= number < part.stage.end
    )

    epochs, samples = part.order.samples(number * batch, batch)
    places = Places(np.arange(number * batch, (number + 1) * batch), epochs, samples)
    share = batch // history.ranks_at(step)

    found = []
    for row, masked in enumerate(masks_of(part.masker, places)):
        plan = int(epochs[row]) % part.data.form.plans
        shard, _ = find_sample(part.data, plan, int(samples[row]))
        opened = member_of(part.data, shard).shard
        for stretch, tokens in stretches_of(part.data, plan, int(samples[row])):
            found.append(
                StepDocument(
                    row=row,
                    rank=row // share,
                    sample=int(places.place[row]),
                    epoch=int(epochs[row]),
                    id=opened.ids[stretch.document].as_py(),
                    source=opened.entry.source,
                    url="",
                    place=stretch.place,
                    first=stretch.first,
                    tokens=stretch.tokens,
                    masked=masked_of(stretch, tokens, masked),
                )
            )
    return with_urls(directories, found)


def with_urls(directories: tuple[str, ...], documents: list[StepDocument]) -> list[StepDocument]:
    """The documents with the addresses that the homes of the shards know of them."""
    ids = {document_id(document.id) for document in documents}
    urls: dict[str, str] = {}
    for directory in directories:
        home = Path(os.path.abspath(shards_directory(directory))).parent
        for source in sorted({document.source for document in documents}):
            for path in sorted((home / "documents" / source).glob("*.parquet")):
                filters = [("id", "in", ids)]
                table = pq.read_table(path, columns=["id", "url"], filters=filters)
                rows = zip(table["id"].to_pylist(), table["url"].to_pylist(), strict=True)
                urls.update({id: url for id, url in rows if url})

    return [dataclasses.replace(one, url=urls.get(document_id(one.id), "")) for one in documents]


# --- in words


def as_json(document: Seen) -> dict[str, object]:
    """What is known of a document as JSON types."""
    return dataclasses.asdict(document)


def describe(document: Seen) -> str:
    """What is known of a document, and a line for each stretch of it that was trained on."""
    head = f"{document.id}: {document.tokens:,} tokens of {document.source}"
    if document.split == "valid":
        return f"{head}, a validation document: no step is trained on it"

    found = document.occurrences
    steps = [occurrence.step for occurrence in found]
    if not steps:
        return f"{head}, not trained on up to step {document.until:,}"

    times = sum(occurrence.tokens for occurrence in found) / max(document.tokens, 1)
    masked = sum(len(occurrence.masked) for occurrence in found)
    lines = [
        f"{head}, trained on {times:.2f} times up to step {document.until:,}: first at step "
        f"{min(steps):,}, last at step {max(steps):,}, {masked:,} tokens masked"
    ]
    for one in found:
        until = one.first + one.tokens - 1
        step = f"step {one.step:,}" + (", batch skipped" if one.skipped else "")
        lines.append(
            f"  epoch {one.epoch}, {step}, rank {one.rank}, row {one.row}, place {one.place}: "
            f"tokens {one.first:,} to {until:,}, {len(one.masked)} masked (sample {one.sample})"
        )
    return "\n".join(lines)


def describe_step(step: int, batch: int, documents: list[StepDocument]) -> str:
    """The documents of a step, a line for each stretch."""
    rows = {document.row for document in documents}
    ids = {document.id for document in documents}
    lines = [f"step {step:,}, batch {batch:,}: {len(rows):,} rows of {len(ids):,} documents"]
    for one in documents:
        until = one.first + one.tokens - 1
        address = f" {one.url}" if one.url else ""
        lines.append(
            f"  rank {one.rank}, row {one.row}, place {one.place}: {one.source} {one.id} "
            f"tokens {one.first:,} to {until:,}, {len(one.masked)} masked{address}"
        )
    return "\n".join(lines)
