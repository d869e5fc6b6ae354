"""Stage `shards`: the token work files become shards, cut by cumulative tokens, and the manifest,
written last.

Shards belong to one source and split and hold documents in the source's order. Which document goes
where is a function of the tokens alone: a document belongs to the shard `offset // shard_tokens` of
its first token's offset in its source and split. Planning reads the offsets of one work file at a
time; writing holds one shard.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpora.sources import load_source
from pipelines.chance import CHANCES
from pipelines.home.fingerprints import fingerprint, package_versions
from pipelines.home.layout import Home, open_home
from pipelines.home.summaries import Summary, collect, done, prune, summaries, write_summary
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe, recipe_digest
from pipelines.stages.encoder import read_tokenizer, vocab_size
from pipelines.stages.tokenize import PACKAGES
from pipelines.stages.tokenize import STAGE as TOKENIZE
from shards.errors import UserError
from shards.format import MANIFEST, SPLITS, TOKENIZER, shard_name, token_dtype, token_schema
from shards.manifest import Manifest, ShardEntry, TokenizerInfo, write_manifest
from shards.storage import files
from shards.writer import token_batch, write_shard

STAGE = "shards"

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Rows [start, stop) of the documents of a split in one token work file."""

    slice: str
    output: str
    start: int
    stop: int
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Task:
    """One shard: the rows it takes, and the draw under which a document is for validation (in every
    piece the same)."""

    home: str
    source: str
    split: str
    number: int
    pieces: tuple[Piece, ...]
    threshold: int
    dtype: str
    tokenizer: str
    stage: str = STAGE

    @property
    def size(self) -> int:
        """Bytes of tokens."""
        return sum(piece.tokens for piece in self.pieces) * np.dtype(self.dtype).itemsize

    @property
    def name(self) -> str:
        """The shard's file name."""
        return shard_name(self.split, self.source, self.number)


def plan(home_root: str) -> list[Task]:
    """The shards of every source; what is no longer one is removed."""
    home, recipe = open_home(home_root)
    tokenizer_file = home.file("tokenizer", "tokenizer.json")
    dtype = token_dtype(vocab_size(read_tokenizer(tokenizer_file)))
    digest = files.digest(tokenizer_file)
    tasks = []
    collect(home, TOKENIZE)
    for source in recipe.sources:
        encoded = summaries(home, TOKENIZE, source)
        threshold = _valid_threshold(home, recipe, encoded)
        for split, cut in _cut(home, encoded, threshold, recipe.shards.shard_tokens).items():
            for number, pieces in enumerate(cut):
                tasks.append(
                    Task(
                        home=home_root,
                        source=source,
                        split=split,
                        number=number,
                        pieces=pieces,
                        threshold=threshold,
                        dtype=dtype,
                        tokenizer=digest,
                    )
                )
    wanted = {(task.source, task.name.removesuffix(".arrow")) for task in tasks}
    prune(home, STAGE, wanted, ())
    named = {task.name for task in tasks} | {MANIFEST, TOKENIZER, "README.md"}
    for address in files.list_files(home.file("shards")):
        if address.rsplit("/", 1)[1] not in named:
            files.remove(address)
    return tasks


def _valid_threshold(home: Home, recipe: Recipe, encoded: list[Summary]) -> int:
    """Documents whose draw is under this are for validation: the wanted share, and at least one
    document where a source has two or more (one alone is trained on)."""
    if recipe.shards.valid_fraction == 0 or sum(summary.counts["kept"] for summary in encoded) < 2:
        return 0
    threshold, lowest = int(recipe.shards.valid_fraction * CHANCES), CHANCES
    for summary in encoded:
        for batch in _batches(home, summary.source, summary.slice):
            lowest = min(lowest, int(batch.column("chance").to_numpy().min()))
            if (
                lowest < threshold
            ):  # found in one of the first slices, unless there are few documents
                return threshold
    return lowest + 1


def _batches(home: Home, source: str, slice_name: str) -> list[pa.RecordBatch]:
    """The record batches of a token work file, memory-mapped where it is local."""
    address = home.work(TOKENIZE, source, f"{slice_name}.arrow")
    stream = files.open_input(address) if files.is_remote(address) else files.map_file(address)
    reader = pa.ipc.open_file(stream)
    return [reader.get_batch(index) for index in range(reader.num_record_batches)]


def _in_split(batch: pa.RecordBatch, split: str, threshold: int) -> NDArray[np.bool_]:
    valid: NDArray[np.bool_] = batch.column("chance").to_numpy() < np.uint64(threshold)
    return valid if split == "valid" else ~valid


def _cut(
    home: Home, encoded: list[Summary], threshold: int, shard_tokens: int
) -> dict[str, list[tuple[Piece, ...]]]:
    """The pieces of each shard of one source, by split, in order; each work file is opened once."""
    shards: dict[str, dict[int, list[Piece]]] = {split: {} for split in SPLITS}
    offsets = dict.fromkeys(SPLITS, 0)
    for summary in encoded:
        batches = _batches(home, summary.source, summary.slice)
        for split in SPLITS:
            lengths = [
                np.diff(batch.column("tokens").offsets.to_numpy())[
                    _in_split(batch, split, threshold)
                ]
                for batch in batches
            ]
            all_lengths = np.concatenate([*lengths, np.zeros(0, np.int64)])
            if not len(all_lengths):
                continue
            begins = offsets[split] + np.concatenate([[0], np.cumsum(all_lengths[:-1])])
            offsets[split] = int(begins[-1] + all_lengths[-1])
            numbers, starts = np.unique(begins // shard_tokens, return_index=True)
            for number, start, stop in zip(
                numbers.tolist(), starts.tolist(), [*starts[1:].tolist(), len(begins)]
            ):
                tokens = int(all_lengths[start:stop].sum())
                shards[split].setdefault(int(number), []).append(
                    Piece(
                        slice=summary.slice,
                        output=summary.output,
                        start=start,
                        stop=stop,
                        tokens=tokens,
                    )
                )
    return {
        split: [tuple(of_split[number]) for number in sorted(of_split)]
        for split, of_split in shards.items()
    }


def process(task: Task) -> Summary:
    """Write one shard."""
    home = Home(task.home)
    address = home.file("shards", task.name)
    name = task.name.removesuffix(".arrow")
    wanted = fingerprint(
        stage=VERSION,
        pieces=[[piece.output, piece.start, piece.stop] for piece in task.pieces],
        split=task.split,
        threshold=task.threshold,
        tokenizer=task.tokenizer,
    )
    finished = done(home, STAGE, task.source, name, wanted, address)
    if finished:
        return finished
    entry = write_shard(
        home.file("shards"), task.name, _gather(home, task), task.split, task.source, task.tokenizer
    )
    counts = {"documents": entry.documents, "sentences": entry.sentences, "tokens": entry.tokens}
    summary = Summary(
        stage=STAGE,
        source=task.source,
        slice=name,
        path=task.split,
        start=task.number,
        fingerprint=wanted,
        output=entry.digest,
        output_bytes=entry.bytes,
        counts=counts,
    )
    write_summary(home, summary)
    return summary


def _gather(home: Home, task: Task) -> pa.RecordBatch:
    """The record batch of a shard, from the rows of its pieces."""
    schema = token_schema(task.dtype)
    held: list[pa.RecordBatch] = []
    written = 0
    for piece in task.pieces:
        row = 0
        for batch in _batches(home, task.source, piece.slice):
            rows = np.flatnonzero(_in_split(batch, task.split, task.threshold))
            wanted = rows[max(piece.start - row, 0) : max(piece.stop - row, 0)]
            row += len(rows)
            if len(wanted):
                written += len(wanted)
                tick(written, 0, task.name, written)
                held.append(batch.select(schema.names).take(pa.array(wanted)))
    table = pa.Table.from_batches(held).combine_chunks()
    tokens, sentences = (
        table.column("tokens").combine_chunks(),
        table.column("sentences").combine_chunks(),
    )
    # Arrays of our own making: no validity bitmap, offsets from 0, so that equal values are equal
    # bytes.
    ids = pa.array(table.column("id").to_pylist(), pa.string())
    return token_batch(
        ids,
        tokens.flatten().to_numpy(),
        _lengths_to_ends(tokens),
        sentences.flatten().to_numpy(),
        _lengths_to_ends(sentences),
        schema,
    )


def _lengths_to_ends(column: pa.LargeListArray) -> NDArray[np.int64]:
    offsets: NDArray[np.int64] = column.offsets.to_numpy()
    ends: NDArray[np.int64] = offsets - offsets[0]
    return ends


def write_shards_manifest(home_root: str) -> Manifest:
    """Copy the vocabulary beside the shards and write the manifest: from now on the folder is
    whole."""
    home, recipe = open_home(home_root)
    tokenizer_file = home.file("tokenizer", "tokenizer.json")
    tokenizer = read_tokenizer(tokenizer_file)
    files.write_bytes(home.file("shards", TOKENIZER), files.read_bytes(tokenizer_file))
    special = {
        added.content: number
        for number, added in sorted(tokenizer.get_added_tokens_decoder().items())
        if added.special
    }
    entries = []
    for source in recipe.sources:
        for summary in summaries(home, STAGE, source):
            entries.append(
                ShardEntry(
                    file=f"{summary.slice}.arrow",
                    split=summary.path,  # type: ignore[arg-type]
                    source=source,
                    bytes=summary.output_bytes,
                    digest=summary.output,
                    documents=summary.counts["documents"],
                    sentences=summary.counts["sentences"],
                    tokens=summary.counts["tokens"],
                )
            )
    if not entries:
        raise UserError(
            f"{home_root}: no document is kept, so there is no shard",
            f"corpus stats {home_root} shows where they went",
            1,
        )
    size = vocab_size(tokenizer)
    source_packages = [
        name for options in recipe.sources.values() for name in load_source(options.kind).packages
    ]
    manifest = Manifest(
        created_by=package_versions(
            *sorted({"corpusmill", "pyarrow", *PACKAGES, *source_packages})
        ),
        recipe_digest=recipe_digest(recipe),
        tokenizer=TokenizerInfo(
            digest=files.digest(tokenizer_file),
            vocab_size=size,
            special=special,
            lossless=is_lossless(tokenizer_file),
            whitespace=recipe.shards.whitespace,
        ),
        dtype=token_dtype(size),  # type: ignore[arg-type]
        shards=tuple(entries),
    )
    write_manifest(home.file("shards"), manifest)
    return manifest


def is_lossless(tokenizer_file: str) -> bool:
    """True when decoding gives every text back: byte-level BPE with all 256 bytes, and nothing that
    changes the text first."""
    import json

    from tokenizers.pre_tokenizers import ByteLevel

    data = json.loads(files.read_bytes(tokenizer_file))
    kinds = json.dumps(data.get("pre_tokenizer"))
    return (
        data.get("normalizer") is None
        and '"ByteLevel"' in kinds
        and set(ByteLevel.alphabet()) <= set(data["model"]["vocab"])
    )
