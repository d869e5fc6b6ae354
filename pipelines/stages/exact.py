"""Stage `exact`: of documents with equal text, but for case and white space, the first in survivor
order stays; and so of documents that were crawled from one address, whatever spelling of it
(`corpora.text.urls`).

A document goes when an earlier one has its text or its address; that one is its twin. The first of
a chain of such documents always stays. Only pages have an address in this sense: documents with
both `url` and `crawled`.

Law 1: no text crosses a shuffle. Each slice writes the digests of text and address beside its
documents. What meets by key are packed records of 24 bytes (key, order, reference) and with each
the 8 bytes of the digest that are not its key, at most two of both a document: so equal keys are
settled by full digests, and no partition reads the files of slices. What is removed then goes to
the slice of its twin, which knows the twin's id, and with it to its own slice.
"""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from corpora.text.normalise import exact_digest
from corpora.text.urls import canonical_url
from pipelines.home.decisions import attribute_digests, kept_rows, removed_count, removing_stages
from pipelines.home.documents import ATTRIBUTE_SCHEMA
from pipelines.home.fingerprints import fingerprint, package_versions
from pipelines.home.layout import Home, open_home, recipe_key, task_home
from pipelines.home.summaries import (
    SliceTask,
    Summary,
    bulk,
    done,
    ordered_slices,
    prune,
    slice_summary,
    write_summary,
)
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from shards.errors import UserError
from shards.storage import files

STAGE = "exact"

KEYS = "keys"

VERSION = 3

DECISION_VERSION = 4
"""Of what `apply` writes."""

PARTITION_RECORDS = 2_000_000
"""About how many records meet in one group: 64 MB."""

RECORD = np.dtype([("key", "<u8"), ("order", "<u8"), ("slice", "<u4"), ("row", "<u4")])
"""What crosses the first shuffle. `order`: priority of the source, then crawl time, null last;
(slice, row): the slice's place in the order of all slices and the document's row, which are the
rest of the survivor order. A record of the document's address has `OF_ADDRESS` added to its row."""

OF_ADDRESS = 1 << 31
"""Set in `row` where a record or removal is about the address: a slice holds fewer than 2**31
documents."""

ASKED = np.dtype([("twin", "<u4"), ("slice", "<u4"), ("row", "<u4")])
"""What crosses the second shuffle, keyed by the slice of a twin: the twin's row, and the slice and
row that it removes (with `OF_ADDRESS` where that is why)."""

REMOVAL = np.dtype([("row", "<u4"), ("source", "<u4"), ("twin", "S16")])
"""What crosses the third shuffle, keyed by slice: a removed row (with `OF_ADDRESS` where that is
why), the place of its twin's source among the names of all sources, sorted, and its twin's id."""


@dataclass(frozen=True, kw_only=True)
class Task(SliceTask):
    """One ingested slice; `index`: its place in the order of all slices; `partitions`: of the
    keys."""

    index: int
    partitions: int
    stage: str = KEYS


def plan(home_root: str) -> list[Task]:
    """`tasks`, after what slices that are no more left is removed."""
    planned = tasks(home_root)
    home = Home(home_root)
    wanted = {(task.ingested.source, task.ingested.slice) for task in planned}
    prune(home, KEYS, wanted, (f"work/{KEYS}",))
    prune(home, STAGE, wanted, (f"attributes/{STAGE}",))
    return planned


def tasks(home_root: str) -> list[Task]:
    """Every ingested slice, in order; the same list wherever it is asked for. Raises `UserError`
    when there is none."""
    home, recipe = open_home(home_root)
    found = ordered_slices(home, recipe)
    if not found:
        raise UserError(f"{home_root}: nothing is ingested", "corpus build RECIPE --home DIR")
    partitions = sum(summary.counts["documents"] for summary in found) // PARTITION_RECORDS + 1
    key = recipe_key(recipe)
    return [
        Task(home=home_root, recipe=key, index=index, ingested=summary, partitions=partitions)
        for index, summary in enumerate(found)
    ]


def _keys_file(task: Task) -> str:
    return Home(task.home).work(KEYS, task.source, f"{task.name}.parquet")


def process(task: Task) -> Summary:
    """Write the columns that dedup needs beside the documents of a slice: id, crawled, digests of
    folded text and address."""
    home, recipe = task_home(task)
    ingested, by_address = task.ingested, recipe.dedup.by_address
    wanted = fingerprint(
        stage=VERSION,
        packages=package_versions("tokenizers"),
        by_address=by_address,
        documents=ingested.output,
    )
    address = _keys_file(task)
    finished = done(home, KEYS, ingested.source, ingested.slice, wanted, address)
    if finished:
        return finished
    rows = 0
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("crawled", pa.int64()),
            ("digest", pa.binary(16)),
            ("address", pa.binary(16)),
        ]
    )
    with (
        files.open_input(home.documents(ingested.source, ingested.slice)) as stream,
        files.open_output(address) as output,
    ):
        documents = pq.ParquetFile(stream)
        with pq.ParquetWriter(output, schema, compression="zstd") as writer:
            for group in range(documents.num_row_groups):
                table = documents.read_row_group(group, columns=["id", "text", "crawled", "url"])
                digests = pa.array(
                    [exact_digest(text.as_py()) for text in table.column("text")], pa.binary(16)
                )
                crawled = table.column("crawled").cast(pa.timestamp("s", "UTC")).cast(pa.int64())
                pages = zip(table.column("url").to_pylist(), crawled.to_pylist())
                addresses = pa.array(
                    [
                        address_digest(url) if by_address and url and when is not None else None
                        for url, when in pages
                    ],
                    pa.binary(16),
                )
                columns = [table.column("id"), crawled, digests, addresses]
                writer.write_table(pa.table(columns, schema=schema))
                rows += table.num_rows
                tick(rows, task.size * rows // max(documents.metadata.num_rows, 1))
    summary = slice_summary(
        KEYS,
        ingested,
        wanted,
        output,
        {"documents": ingested.counts["documents"]},
        (ingested.output,),
    )
    write_summary(home, summary)
    return summary


def address_digest(url: str) -> bytes:
    """16 bytes that are equal for the spellings of one address, and never those of a text."""
    return hashlib.blake2b(
        canonical_url(url).encode("utf-8", "surrogatepass"), digest_size=16, person=b"address"
    ).digest()


def blocks(task: Task) -> Iterator[tuple[int, bytes]]:
    """(partition, packed `RECORD`s and after them the rests of their digests) of a slice whose keys
    are written; only of documents that the stages before keep."""
    home, recipe = task_home(task)
    table = _read_columns(task, ["crawled", "digest", "address"])
    records = np.zeros(table.num_rows, RECORD)
    words = _digest_words(table.column("digest"))
    records["key"] = words[:, 0]
    crawled = table.column("crawled")
    seconds = crawled.fill_null(0).to_numpy().astype(np.int64) + (1 << 40)
    seconds[crawled.is_null().to_numpy()] = (1 << 56) - 1
    records["order"] = np.uint64(
        recipe.dedup.priority.index(task.ingested.source) << 56
    ) | seconds.astype(np.uint64)
    records["slice"] = task.index
    records["row"] = np.arange(table.num_rows, dtype=np.uint32)
    kept = kept_rows(home, recipe, task.ingested, before=STAGE)
    pages = np.flatnonzero(kept & table.column("address").is_valid().to_numpy())
    of_address, address_words = (
        records[pages],
        _digest_words(table.column("address").fill_null(bytes(16)))[pages],
    )
    of_address["key"] = address_words[:, 0]
    of_address["row"] |= np.uint32(OF_ADDRESS)
    records, rests = (
        np.concatenate([records[kept], of_address]),
        np.concatenate([words[kept, 1], address_words[:, 1]]),
    )
    partition = records["key"] % np.uint64(task.partitions)
    order = np.argsort(partition, kind="stable")
    edges = np.searchsorted(partition[order], np.arange(task.partitions + 1, dtype=np.uint64))
    for number in range(task.partitions):
        if edges[number] < edges[number + 1]:
            chosen = order[edges[number] : edges[number + 1]]
            yield number, records[chosen].tobytes() + rests[chosen].tobytes()


def decide(packed: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """(slice of the twin, packed `ASKED`) from all blocks of one partition, in whatever order they
    come."""
    blocks = list(packed)
    counts = [len(block) // (RECORD.itemsize + 8) for block in blocks]
    records = np.concatenate(
        [
            np.zeros(0, RECORD),
            *(np.frombuffer(block, RECORD, count) for block, count in zip(blocks, counts)),
        ]
    )
    rests = np.concatenate(
        [
            np.zeros(0, np.uint64),
            *(
                np.frombuffer(block, "<u8", count, count * RECORD.itemsize)
                for block, count in zip(blocks, counts)
            ),
        ]
    )
    del blocks
    _, inverse, counts_of = np.unique(records["key"], return_inverse=True, return_counts=True)
    repeated = counts_of[inverse] > 1
    records, rests = records[repeated], rests[repeated]
    order = np.lexsort((records["row"], records["slice"], records["order"], rests, records["key"]))
    records, rests = records[order], rests[order]
    first = np.ones(len(records), np.bool_)
    first[1:] = (records["key"][1:] != records["key"][:-1]) | (rests[1:] != rests[:-1])
    survivor = np.maximum.accumulate(np.where(first, np.arange(len(records)), 0))
    removed = np.flatnonzero(~first)
    twins = records[survivor[removed]]
    asked = np.zeros(len(removed), ASKED)
    asked["twin"], asked["slice"], asked["row"] = (
        twins["row"] & np.uint32(OF_ADDRESS - 1),
        records["slice"][removed],
        records["row"][removed],
    )
    yield from _by_slice(asked, twins["slice"])


def name(task: Task, packed: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """(slice, packed `REMOVAL`s) of the documents whose twins lie in the task's slice."""
    asked = np.frombuffer(b"".join(packed), ASKED)
    if not len(asked):
        return
    ids = (
        _read_columns(task, ["id"])
        .column("id")
        .take(pa.array(np.ascontiguousarray(asked["twin"])))
        .to_pylist()
    )
    removals = np.zeros(len(asked), REMOVAL)
    removals["source"] = sorted(task_home(task)[1].sources).index(task.source)
    removals["row"], removals["twin"] = asked["row"], [bytes.fromhex(identity) for identity in ids]
    yield from _by_slice(removals, asked["slice"])


def _by_slice(records: NDArray[np.void], slices: NDArray[np.uint32]) -> Iterator[tuple[int, bytes]]:
    """(slice, its records, packed)."""
    order = np.argsort(slices, kind="stable")
    for index, run in _runs(slices[order]):
        yield index, records[order[run]].tobytes()


def _runs(numbers: NDArray[np.uint32]) -> Iterator[tuple[int, slice]]:
    """(number, where it stands) of each run of equal numbers."""
    edges = np.flatnonzero(np.diff(numbers, prepend=np.int64(-1), append=np.int64(-1)))
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist()):
        yield int(numbers[start]), slice(start, stop)


def apply(task: Task, packed: Iterable[bytes]) -> Summary:
    """Write the attributes of a slice from its removals."""
    home, recipe = task_home(task)
    ingested = task.ingested
    before = attribute_digests(home, recipe, ingested, before=STAGE)
    removals = np.sort(np.frombuffer(b"".join(packed), REMOVAL), order="row")
    bare = removals.copy()
    bare["source"] = 0  # an id stands for its source; its number changes with the other sources
    decided = hashlib.blake2b(bare.tobytes(), digest_size=16).hexdigest()
    wanted = fingerprint(
        stage=DECISION_VERSION, documents=ingested.output, before=before, removals=decided
    )
    address = home.attributes(STAGE, ingested.source, ingested.slice)
    finished = done(home, STAGE, ingested.source, ingested.slice, wanted, address)
    if finished:
        return finished
    ids = _read_columns(task, ["id"]).column("id")
    twins: list[str | None] = [None] * len(ids)
    kinds: list[str | None] = [None] * len(ids)
    twins_in: dict[int, str] = {}
    names = sorted(recipe.sources)
    for row, source, twin in reversed(
        removals.tolist()
    ):  # sorted, so that of two reasons the text comes last and counts
        twins[row % OF_ADDRESS] = twin.ljust(
            16, b"\0"
        ).hex()  # numpy's S16 drops trailing zero bytes
        kinds[row % OF_ADDRESS] = "address" if row >= OF_ADDRESS else "text"
        twins_in[row % OF_ADDRESS] = names[source]
    columns = [
        ids,
        pa.array(twins, pa.string()),
        pa.array([1.0 if twin else None for twin in twins], pa.float64()),
        pa.array(kinds, pa.string()),
    ]
    table = pa.table(
        columns, schema=ATTRIBUTE_SCHEMA.with_metadata({"corpusmill.documents": ingested.output})
    )
    with files.open_output(address) as stream:
        pq.write_table(table, stream, compression="zstd")
    summary = slice_summary(
        STAGE,
        ingested,
        wanted,
        stream,
        {"documents": len(ids), "removed": len(twins_in)},
        (ingested.output, *before),
    )
    summary = dataclasses.replace(
        summary, twins_in=dict(sorted(Counter(twins_in.values()).items()))
    )
    write_summary(home, summary)
    return summary


def guard(home: Home, recipe: Recipe, summaries: list[Summary]) -> None:
    """Stop a build in which more of a source, of what the rules leave of it, would go than
    `dedup.max_removed`. Raises `UserError` (exit 1)."""
    found, read = ordered_slices(home, recipe), bulk(home)
    for name in recipe.sources:
        documents = sum(
            summary.counts["documents"] for summary in summaries if summary.source == name
        )
        ingested = [summary for summary in found if summary.source == name]
        documents -= sum(
            removed_count(home, recipe, stage, summary, read)
            for stage in removing_stages(recipe, STAGE, name)
            for summary in ingested
        )
        removed = sum(summary.counts["removed"] for summary in summaries if summary.source == name)
        if removed > recipe.dedup.max_removed * documents:
            share = removed / documents
            raise UserError(
                f"{name}: {removed} of {documents} documents ({share:.0%}) are duplicates, more than dedup.max_removed = {recipe.dedup.max_removed}",
                f"look: corpus show {home.root} --removed --source {name}; to go on: --dedup.max-removed {min(1.0, int(share * 100 + 1) / 100)}",
                1,
            )


def _read_columns(task: Task, columns: list[str]) -> pa.Table:
    with files.open_input(_keys_file(task)) as stream:
        return pq.read_table(stream, columns=columns).combine_chunks()


def _digest_words(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """(D, 2) the 16-byte digests as two words each."""
    joined = b"".join(
        chunk.cast(pa.binary(16))
        .buffers()[1]
        .to_pybytes()[chunk.offset * 16 : (chunk.offset + len(chunk)) * 16]
        for chunk in column.chunks
    )
    return np.frombuffer(joined, "<u8").reshape(-1, 2)
