"""The second half of stage `tokenize`: token work files become shards, cut by cumulative tokens,
and the manifest, which is written last.

Shards belong to one source and split and hold documents in the source's order. The tokens alone
decide where a document is stored: in shard `offset // shard_tokens`, by the offset of its first
token among those of its source and split. Planning reads the offsets of one work file at a time;
writing holds one shard.
"""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpora.sources import load_source
from pipelines.chance import CHANCES
from pipelines.home.fingerprints import fingerprint, package_versions
from pipelines.home.layout import SHARDS, TOKENIZE, Home, recipe_key
from pipelines.home.set_aside import slices_aside
from pipelines.home.summaries import Summary, collect, prune, summaries
from pipelines.progress.ticks import tick
from pipelines.recipe import (
    Recipe,
    ShardsConfig,
    TokenizerConfig,
    deciding,
    digest_of,
    recipe_digest,
)
from pipelines.stages.accounts import total
from pipelines.stages.encoder import PACKAGES, vocab_size_at
from pipelines.stages.stage import Pass, Result
from pipelines.stages.token_counts import packed_uses
from shards.errors import UserError
from shards.format import (
    MANIFEST,
    SIGNATURE,
    SPLITS,
    TOKENIZER,
    copy_id,
    shard_name,
    token_dtype,
    token_schema,
)
from shards.manifest import Manifest, ShardEntry, TokenizerInfo, write_manifest
from shards.roles import is_lossless, roles_of, special_tokens
from shards.storage import files
from shards.writer import token_batch, write_batch

VERSION = 1

NONE = -1


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Rows [start, stop) of the documents of a split in one token work file that have a copy of
    this number, counted from 1."""

    slice: str
    output: str
    start: int
    stop: int
    tokens: int
    copy: int = 1


@dataclass(frozen=True)
class HeldOut:
    """Which documents of a source are for validation: those whose draw is under `threshold` (of
    2**64), and the one whose draw is `chosen`, under a recipe of the digest `asked`; NONE chooses
    none."""

    threshold: int
    chosen: int = NONE
    asked: str = ""

    def rows(self, batch: pa.RecordBatch, split: str) -> NDArray[np.bool_]:
        """(D,) which documents of a token work file's batch belong to a split."""
        draws = batch.column("chance").to_numpy()
        valid: NDArray[np.bool_] = draws < np.uint64(self.threshold)
        if self.chosen != NONE:
            valid = valid | (draws == np.uint64(self.chosen))
        return valid if split == "valid" else ~valid

    def copied(self, batch: pa.RecordBatch, split: str, copy: int) -> NDArray[np.bool_]:
        """(D,) which of them have a copy of this number, counted from 1. Only training documents
        have more than one."""
        rows = self.rows(batch, split)
        if copy == 1:
            return rows
        # A validation document that counts twice would only weigh on the loss.
        if split == "valid":
            return np.zeros_like(rows)
        has_copy: NDArray[np.bool_] = batch.column("copies").to_numpy() >= copy
        return rows & has_copy


@dataclass(frozen=True, kw_only=True)
class Task:
    """One shard. `held_out` tells which documents are for validation, the same in all pieces;
    `tokenizer` is the digest of the vocabulary."""

    home: str
    recipe: str
    source: str
    split: str
    number: int
    pieces: tuple[Piece, ...]
    held_out: HeldOut
    dtype: str
    tokenizer: str

    @property
    def file(self) -> str:
        """The shard's file name."""
        return shard_name(self.split, self.source, self.number)

    @property
    def name(self) -> str:
        """The file name without its ending."""
        return self.file.removesuffix(".arrow")

    @property
    def key(self) -> tuple[str, int]:
        """Split and number."""
        return self.split, self.number

    @property
    def size(self) -> int:
        """Bytes of tokens."""
        return sum(piece.tokens for piece in self.pieces) * np.dtype(self.dtype).itemsize

    @property
    def fingerprint(self) -> str:
        """Of everything that the shard depends on."""
        held_out = self.held_out
        # One that is under the threshold makes no difference, and none in homes without it.
        is_apart = held_out.chosen >= held_out.threshold
        depends = fingerprint(
            stage=VERSION,
            pieces=[_depends(piece) for piece in self.pieces],
            split=self.split,
            threshold=held_out.threshold,
            tokenizer=self.tokenizer,
            **({"chosen": held_out.chosen} if is_apart else {}),
        )
        return f"{depends} {held_out.asked}" if held_out.chosen != NONE else depends


def _depends(piece: Piece) -> list[str | int]:
    """What names a piece in a fingerprint, as in homes that repeat nothing."""
    further = [] if piece.copy == 1 else [piece.copy]
    return [piece.output, piece.start, piece.stop, *further]


def plan(home: Home, recipe: Recipe) -> list[Task]:
    """The shards of every source; removes files of the folder that are no longer one."""
    tokenizer_file = home.file("tokenizer", "tokenizer.json")
    digest = files.digest(tokenizer_file)
    dtype = token_dtype(vocab_size_at(tokenizer_file, digest))
    key = recipe_key(recipe)
    tasks = []
    # The summaries of all sources are read next: as one file, an object store answers once.
    collect(home, TOKENIZE)

    for source in recipe.sources:
        encoded = summaries(home, TOKENIZE, source)
        # Shards are cut from the tokens alone, so the plan must see every work file once.
        held_out = _held_out(home, recipe, source, encoded)
        pieces_of = _cut(home, encoded, held_out, recipe.shards.shard_tokens)

        for split, number, pieces in pieces_of:
            task = Task(
                home=home.root,
                recipe=key,
                source=source,
                split=split,
                number=number,
                pieces=pieces,
                held_out=held_out,
                dtype=dtype,
                tokenizer=digest,
            )
            tasks.append(task)

    prune(home, SHARDS, {(task.source, task.name) for task in tasks}, ())
    wanted = {task.file for task in tasks} | {MANIFEST, SIGNATURE, TOKENIZER, "README.md"}
    for address in files.list_files(home.file("shards")):
        if address.rsplit("/", 1)[1] not in wanted:
            files.remove(address)
    return tasks


def _held_out(home: Home, recipe: Recipe, source: str, encoded: list[Summary]) -> HeldOut:
    """The wanted share of the documents by their draws alone; where no draw is under it, the
    document with the lowest, unless it is the only one (which is trained on).

    The home remembers that document: it stays held out when others are added, even with lower
    draws, since a model may be validated on it. A recipe that asks for other documents forgets it.
    """
    if recipe.shards.valid_fraction == 0 or total(encoded, "kept") < 2:
        return HeldOut(0)

    threshold, lowest = int(recipe.shards.valid_fraction * CHANCES), CHANCES
    asked = _asked(recipe, source)
    remembered = _chosen_before(home, source, asked)
    there = remembered == NONE
    for summary in encoded:
        for batch in _batches(home, summary.source, summary.slice):
            draws = batch.column("chance").to_numpy()
            lowest = min(lowest, int(draws.min()))
            there = there or bool((draws == np.uint64(remembered)).any())
            # One is found in the first slices, unless there are few documents.
            if lowest < threshold and there:
                return HeldOut(threshold, remembered, asked)

    if there and remembered not in (NONE, lowest):
        return HeldOut(threshold, remembered, asked)
    if lowest < threshold:
        return HeldOut(threshold)
    # Not remembered while slices were set aside: the build completed later must be equal to one
    # that never failed.
    return HeldOut(lowest + 1, NONE if slices_aside(home) else lowest, asked)


def _asked(recipe: Recipe, source: str) -> str:
    """A digest of the settings that decide which documents a source has and holds out."""
    # How often a document is trained on moves none between the splits.
    once = dataclasses.replace(recipe.sources[source], repeat=1.0, repeat_by=None, repeats={})
    concerns = dataclasses.replace(
        recipe,
        sources={source: once},
        dedup=dataclasses.replace(recipe.dedup, priority=()),
        tokenizer=TokenizerConfig(),
        shards=ShardsConfig(valid_fraction=recipe.shards.valid_fraction),
    )
    return digest_of(deciding(concerns, only_chosen=True))


def _chosen_before(home: Home, source: str, asked: str) -> int:
    """The draw of the document that was held out for want of another, under a recipe that asked for
    the same; NONE if there is none."""
    for summary in summaries(home, SHARDS, source):
        if "chosen" in summary.counts and summary.fingerprint.endswith(f" {asked}"):
            return summary.counts["chosen"]
    return NONE


def _batches(home: Home, source: str, slice_name: str) -> list[pa.RecordBatch]:
    """The record batches of a token work file, memory-mapped where it is local."""
    address = home.work(TOKENIZE, source, f"{slice_name}.arrow")
    # A local file is mapped: planning reads the lengths only, not the tokens.
    stream = files.open_input(address) if files.is_remote(address) else files.map_file(address)
    reader = pa.ipc.open_file(stream)
    return [reader.get_batch(index) for index in range(reader.num_record_batches)]


def _cut(
    home: Home, encoded: list[Summary], held_out: HeldOut, shard_tokens: int
) -> Iterator[tuple[str, int, tuple[Piece, ...]]]:
    """(split, number, pieces) of each shard of one source, in order.

    Numbers count from 0 without a gap, also where a document longer than a shard passes one over.
    The second copies of documents come after all first ones, so that no sample holds a document
    twice beside itself. Each work file is opened once for each number of copies.
    """
    shards: dict[str, dict[int, list[Piece]]] = {split: {} for split in SPLITS}
    offsets = dict.fromkeys(SPLITS, 0)

    for copy, summary, split, lengths in _all_lengths(home, encoded, held_out):
        begins = offsets[split] + np.concatenate([[0], np.cumsum(lengths[:-1])])
        offsets[split] = int(begins[-1] + lengths[-1])
        places, starts = np.unique(begins // shard_tokens, return_index=True)
        stops = [*starts[1:].tolist(), len(begins)]

        for place, start, stop in zip(places.tolist(), starts.tolist(), stops):
            piece = Piece(
                slice=summary.slice,
                output=summary.output,
                start=start,
                stop=stop,
                tokens=int(lengths[start:stop].sum()),
                copy=copy,
            )
            shards[split].setdefault(place, []).append(piece)

    for split, by_place in shards.items():
        for number, place in enumerate(sorted(by_place)):
            yield split, number, tuple(by_place[place])


def _all_lengths(
    home: Home, encoded: list[Summary], held_out: HeldOut
) -> Iterator[tuple[int, Summary, str, NDArray[np.int64]]]:
    """(copy, work file, split, tokens of each document) of what there is, in the order of the
    shards."""
    repeating = [summary for summary in encoded if summary.counts.get("repeated")]
    copy, summaries_of_copy = 1, encoded
    while summaries_of_copy:
        for summary in summaries_of_copy:
            batches = _batches(home, summary.source, summary.slice)
            for split in SPLITS:
                lengths = _lengths(batches, split, held_out, copy)
                if len(lengths):
                    yield copy, summary, split, lengths
        copy += 1
        summaries_of_copy = [one for one in repeating if _most_copies(home, one) >= copy]


def _most_copies(home: Home, summary: Summary) -> int:
    """How often the document that is repeated most is in the shards, of one work file."""
    batches = _batches(home, summary.source, summary.slice)
    return max(int(batch.column("copies").to_numpy().max()) for batch in batches)


def _lengths(
    batches: list[pa.RecordBatch], split: str, held_out: HeldOut, copy: int
) -> NDArray[np.int64]:
    """(D,) the tokens of each document of a split in one work file that has a copy of this
    number."""
    lengths: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    for batch in batches:
        of_batch = _lengths_of(batch.column("tokens"))
        lengths.append(of_batch[held_out.copied(batch, split, copy)])
    return np.concatenate(lengths)


def shard_address(home: Home, recipe: Recipe, task: Task) -> str:
    """Where a shard is stored."""
    return home.file("shards", task.file)


def write_shard(home: Home, recipe: Recipe, task: Task, output: files.Output) -> Result:
    """Write one shard."""
    batch = _gather(home, task)
    write_batch(output, batch, task.split, task.source, task.tokenizer)
    counts = {
        "documents": batch.num_rows,
        "sentences": len(batch.column("sentences").flatten()),
        "tokens": len(batch.column("tokens").flatten()),
    }
    if task.split == "valid" and task.held_out.chosen != NONE:
        counts["chosen"] = task.held_out.chosen
    counts |= _copies(home, task)
    return Result(counts=counts, uses=packed_uses(batch.column("tokens").flatten().to_numpy()))


def _copies(home: Home, task: Task) -> dict[str, int]:
    """How many further copies of documents a shard holds (`repeated`) and their tokens (`again`);
    of validation documents how many are not taken (`held_out`). Empty where there are none."""
    further = [piece for piece in task.pieces if piece.copy > 1]
    counts = {
        "repeated": sum(piece.stop - piece.start for piece in further),
        "again": sum(piece.tokens for piece in further),
        "held_out": 0,
    }
    for piece in task.pieces if task.split == "valid" else ():
        copies: list[NDArray[np.uint8]] = []
        for batch in _batches(home, task.source, piece.slice):
            if "copies" in batch.schema.names:
                rows = task.held_out.rows(batch, task.split)
                copies.append(batch.column("copies").to_numpy()[rows])
        if copies:
            of_piece = np.concatenate(copies)[piece.start : piece.stop]
            counts["held_out"] += int(of_piece.sum()) - len(of_piece)
    return {name: count for name, count in counts.items() if count}


def _gather(home: Home, task: Task) -> pa.RecordBatch:
    """The record batch of a shard, from the rows of its pieces. Its tokens are copied once."""
    ids: list[str] = []
    tokens: list[NDArray[np.generic]] = []
    token_lengths: list[NDArray[np.int64]] = []
    sentences: list[NDArray[np.uint32]] = []
    sentence_lengths: list[NDArray[np.int64]] = []

    for piece in task.pieces:
        row = 0
        for batch in _batches(home, task.source, piece.slice):
            rows = np.flatnonzero(task.held_out.copied(batch, task.split, piece.copy))
            wanted = rows[max(piece.start - row, 0) : max(piece.stop - row, 0)]
            row += len(rows)
            if len(wanted):
                names = batch.column("id").take(pa.array(wanted)).to_pylist()
                ids += [copy_id(name, piece.copy) for name in names]
                tick(len(ids), 0, task.file, len(ids))

                tokens += _runs(batch.column("tokens"), wanted)
                token_lengths.append(_lengths_of(batch.column("tokens"))[wanted])
                sentences += _runs(batch.column("sentences"), wanted)
                sentence_lengths.append(_lengths_of(batch.column("sentences"))[wanted])

    # Arrays of our own making: no validity bitmap, offsets from 0, so that equal values are equal
    # bytes.
    return token_batch(
        pa.array(ids, pa.string()),
        np.concatenate(tokens),
        _ends(np.concatenate(token_lengths)),
        np.concatenate(sentences),
        _ends(np.concatenate(sentence_lengths)),
        token_schema(task.dtype),
    )


def _runs(column: pa.LargeListArray, rows: NDArray[np.int64]) -> list[NDArray[Any]]:
    """Views on the values of some lists, one for each run of neighbours. `rows` (R,) rise."""
    offsets = column.offsets.to_numpy()
    values = column.values.to_numpy()
    last_of_run = np.append(np.diff(rows) > 1, True)
    first_of_run = np.append(True, last_of_run[:-1])
    begins = offsets[rows[first_of_run]]
    stops = offsets[rows[last_of_run] + 1]
    return [values[begin:stop] for begin, stop in zip(begins.tolist(), stops.tolist())]


def _lengths_of(column: pa.LargeListArray) -> NDArray[np.int64]:
    """(D,) the length of each list."""
    lengths: NDArray[np.int64] = np.diff(column.offsets.to_numpy())
    return lengths


def _ends(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """(D + 1,) the offsets of lists of these lengths, from 0."""
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    return ends


def finish(home: Home, recipe: Recipe) -> list[Summary]:
    """Copy the vocabulary beside the shards and write the manifest: from now on the folder is
    whole. Raises `UserError` (exit 1) where no document is kept."""
    tokenizer_file = home.file("tokenizer", "tokenizer.json")
    files.write_bytes(home.file("shards", TOKENIZER), files.read_bytes(tokenizer_file))

    written = []
    for source in recipe.sources:
        written += summaries(home, SHARDS, source)
    # An empty folder of shards would only be found out by the trainer.
    if not written:
        raise UserError(
            f"{home.root}: no document is kept, so there is no shard",
            f"corpus stats {home.quoted} shows where they went",
            1,
        )

    write_manifest(home.file("shards"), manifest(home, recipe, written))
    return written


def manifest(home: Home, recipe: Recipe, written: list[Summary]) -> Manifest:
    """The manifest of the shards that were written."""
    tokenizer_file = home.file("tokenizer", "tokenizer.json")
    digest = files.digest(tokenizer_file)
    size = vocab_size_at(tokenizer_file, digest)
    content = json.loads(files.read_bytes(tokenizer_file))

    packages = {"corpusmill", "pyarrow", *PACKAGES}
    if recipe.tokenizer.kind == "unigram" and recipe.tokenizer.path is None:
        packages.add("sentencepiece")
    for options in recipe.sources.values():
        packages.update(load_source(options.kind).packages)

    info = TokenizerInfo(
        digest=digest,
        vocab_size=size,
        special=special_tokens(content),
        roles=roles_of(content),
        lossless=is_lossless(content),
        whitespace=recipe.shards.whitespace,
    )
    return Manifest(
        created_by=package_versions(*sorted(packages)),
        recipe_digest=recipe_digest(recipe),
        tokenizer=info,
        dtype=token_dtype(size),  # type: ignore[arg-type]
        shards=tuple(map(_entry, written)),
    )


def _entry(summary: Summary) -> ShardEntry:
    return ShardEntry(
        file=f"{summary.slice}.arrow",
        split=summary.path,  # type: ignore[arg-type]
        source=summary.source,
        bytes=summary.output_bytes,
        digest=summary.output,
        documents=summary.counts["documents"],
        sentences=summary.counts["sentences"],
        tokens=summary.counts["tokens"],
    )


WRITE_SHARDS = Pass(
    name=SHARDS,
    plan=plan,
    address=shard_address,
    work=write_shard,
    finish=finish,
    label="Shards",
)
