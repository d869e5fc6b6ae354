"""Stage `exact`: of documents with equal text, but for case and white space, the first in survivor order stays; and so
of documents that were crawled from one address, whatever spelling of it (`corpora.urls`).

A document goes when an earlier one has its text or its address; that one is its twin. The first of a chain of such
documents always stays. Only pages have an address in this sense: documents with both `url` and `crawled`.

Law 1: no text crosses a shuffle. Each slice writes the digests of text and address beside its documents; what meets in a
shuffle are packed records of 24 bytes (key, order, reference), at most two a document, partitioned by key. Equal keys are
settled by the full digests, read from beside the documents. Every removed document names its twin.
"""

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from corpora.normalise import exact_digest
from corpora.urls import canonical_url
from pipelines.home import (
    Home,
    SliceTask,
    Summary,
    attribute_digests,
    done,
    fingerprint,
    kept_rows,
    open_home,
    ordered_slices,
    package_versions,
    prune,
    removed_count,
    removing_stages,
    write_summary,
)
from pipelines.progress import tick
from pipelines.recipe import Recipe
from shards import files
from shards.config import UserError

STAGE = "exact"
KEYS = "keys"
VERSION = 3
DECISION_VERSION = 4
"""Of what `apply` writes."""
PARTITION_RECORDS = 2_000_000
"""About how many records meet in one group: 48 MB."""

RECORD = np.dtype([("key", "<u8"), ("order", "<u8"), ("slice", "<u4"), ("row", "<u4")])
"""What crosses the first shuffle. `order`: priority of the source, then crawl time, null last; (slice, row): the
slice's place in the order of all slices and the document's row, which are the rest of the survivor order. A record of
the document's address has `OF_ADDRESS` added to its row."""
OF_ADDRESS = 1 << 31
"""Set in `row` where a record or removal is about the address: a slice holds fewer than 2**31 documents."""

REMOVAL = np.dtype([("row", "<u4"), ("source", "<u4"), ("twin", "S16")])
"""What crosses the second shuffle, keyed by slice: a removed row (with `OF_ADDRESS` where that is why), the place of its twin's
source among the names of all sources, sorted, and its twin's id."""

ATTRIBUTE_SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), ("twin", pa.string()), ("score", pa.float64()), ("kind", pa.string())])


@dataclass(frozen=True, kw_only=True)
class Task(SliceTask):
    """One ingested slice; `index`: its place in the order of all slices; `partitions`: of the keys."""

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
    _write_order(home, planned)
    return planned


def _write_order(home: Home, planned: list[Task]) -> None:
    table = pa.table({"source": [task.source for task in planned], "name": [task.name for task in planned]})
    try:
        with files.open_input(_order_file(home)) as stream:
            if pq.read_table(stream).equals(table):
                return
    except (FileNotFoundError, pa.ArrowInvalid):
        pass  # not there, or damaged: written below
    with files.open_output(_order_file(home)) as output:
        pq.write_table(table, output, compression="zstd")


@dataclass(frozen=True)
class Place:
    """Where the keys of a slice lie."""

    home: str
    source: str
    name: str


def places(home_root: str) -> list[Place]:
    """Every slice that was planned, in order: what `decide` needs of `tasks`, from one file instead of one a slice."""
    with files.open_input(_order_file(Home(home_root))) as stream:
        table = pq.read_table(stream)
    return [Place(home_root, source, name) for source, name in zip(table.column("source").to_pylist(), table.column("name").to_pylist())]


def _order_file(home: Home) -> str:
    return home.file("work", STAGE, "slices.parquet")


def tasks(home_root: str) -> list[Task]:
    """Every ingested slice, in order; the same list wherever it is asked for. Raises `UserError` when there is none."""
    home, recipe = open_home(home_root)
    found = ordered_slices(home, recipe)
    if not found:
        raise UserError(f"{home_root}: nothing is ingested", "corpus build RECIPE --home DIR")
    partitions = sum(summary.counts["documents"] for summary in found) // PARTITION_RECORDS + 1
    return [Task(home=home_root, index=index, ingested=summary, partitions=partitions) for index, summary in enumerate(found)]


def _keys_file(slice_: Task | Place) -> str:
    return Home(slice_.home).work(KEYS, slice_.source, f"{slice_.name}.parquet")


def process(task: Task) -> Summary:
    """Write the columns that dedup needs beside the documents of a slice: id, crawled, digests of folded text and address."""
    home, recipe = open_home(task.home)
    ingested, by_address = task.ingested, recipe.dedup.by_address
    wanted = fingerprint(stage=VERSION, packages=package_versions("tokenizers"), by_address=by_address, documents=ingested.output)
    address = _keys_file(task)
    finished = done(home, KEYS, ingested.source, ingested.slice, wanted, address)
    if finished:
        return finished
    rows = 0
    schema = pa.schema([("id", pa.string()), ("crawled", pa.int64()), ("digest", pa.binary(16)), ("address", pa.binary(16))])
    with files.open_input(home.documents(ingested.source, ingested.slice)) as stream, files.open_output(address) as output:
        documents = pq.ParquetFile(stream)
        with pq.ParquetWriter(output, schema, compression="zstd") as writer:
            for group in range(documents.num_row_groups):
                table = documents.read_row_group(group, columns=["id", "text", "crawled", "url"])
                digests = pa.array([exact_digest(text.as_py()) for text in table.column("text")], pa.binary(16))
                crawled = table.column("crawled").cast(pa.timestamp("s", "UTC")).cast(pa.int64())
                pages = zip(table.column("url").to_pylist(), crawled.to_pylist())
                addresses = pa.array([address_digest(url) if by_address and url and when is not None else None for url, when in pages], pa.binary(16))
                columns = [table.column("id"), crawled, digests, addresses]
                writer.write_table(pa.table(columns, schema=schema))
                rows += table.num_rows
                tick(rows, task.size * rows // max(documents.metadata.num_rows, 1))
    summary = _summary(KEYS, ingested, wanted, output, {"documents": ingested.counts["documents"]})
    write_summary(home, summary)
    return summary


def address_digest(url: str) -> bytes:
    """16 bytes that are equal for the spellings of one address, and never those of a text."""
    return hashlib.blake2b(canonical_url(url).encode("utf-8", "surrogatepass"), digest_size=16, person=b"address").digest()


def blocks(task: Task) -> Iterator[tuple[int, bytes]]:
    """(partition, packed `RECORD`s) of a slice whose keys are written; only of documents that the stages before keep."""
    home, recipe = open_home(task.home)
    table = _read_columns(task, ["crawled", "digest", "address"])
    records = np.zeros(table.num_rows, RECORD)
    records["key"] = _digest_words(table.column("digest"))[:, 0]
    crawled = table.column("crawled")
    seconds = crawled.fill_null(0).to_numpy().astype(np.int64) + (1 << 40)
    seconds[crawled.is_null().to_numpy()] = (1 << 56) - 1
    records["order"] = np.uint64(recipe.dedup.priority.index(task.ingested.source) << 56) | seconds.astype(np.uint64)
    records["slice"] = task.index
    records["row"] = np.arange(table.num_rows, dtype=np.uint32)
    kept = kept_rows(home, recipe, task.ingested, before=STAGE)
    pages = np.flatnonzero(kept & table.column("address").is_valid().to_numpy())
    of_address = records[pages]
    of_address["key"] = _digest_words(table.column("address").fill_null(bytes(16)))[pages, 0]
    of_address["row"] |= np.uint32(OF_ADDRESS)
    records = np.concatenate([records[kept], of_address])
    partition = records["key"] % np.uint64(task.partitions)
    order = np.argsort(partition, kind="stable")
    edges = np.searchsorted(partition[order], np.arange(task.partitions + 1, dtype=np.uint64))
    for number in range(task.partitions):
        if edges[number] < edges[number + 1]:
            yield number, records[order[edges[number] : edges[number + 1]]].tobytes()


def decide(packed: Iterable[bytes], planned: Sequence[Task | Place]) -> Iterator[tuple[int, bytes]]:
    """(slice, packed `REMOVAL`s) from all blocks of one partition, in whatever order they come."""
    records = np.frombuffer(b"".join(packed), RECORD)
    _, inverse, counts = np.unique(records["key"], return_inverse=True, return_counts=True)
    records = records[counts[inverse] > 1]
    records = records[np.lexsort((records["row"], records["slice"]))]
    words = np.zeros((len(records), 2), np.uint64)
    ids = np.zeros(len(records), "S16")
    for index, run in _runs(records["slice"]):
        table = _read_columns(planned[index], ["id", "digest", "address"])
        rows = records["row"][run] & np.uint32(OF_ADDRESS - 1)
        is_address = records["row"][run] >= OF_ADDRESS
        digests = _digest_words(table.column("digest"))[rows]
        digests[is_address] = _digest_words(table.column("address").fill_null(bytes(16)))[rows[is_address]]
        words[run] = digests
        ids[run] = [bytes.fromhex(table.column("id")[int(row)].as_py()) for row in rows]
    order = np.lexsort((records["row"], records["slice"], records["order"], words[:, 1], words[:, 0]))
    records, words, ids = records[order], words[order], ids[order]
    first = np.ones(len(records), np.bool_)
    first[1:] = (words[1:] != words[:-1]).any(axis=1)
    survivor = np.maximum.accumulate(np.where(first, np.arange(len(records)), 0))
    removed = np.flatnonzero(~first)
    if not len(removed):
        return
    numbers = {name: number for number, name in enumerate(sorted(open_home(planned[0].home)[1].sources))}
    source_of = np.array([numbers[place.source] for place in planned], np.uint32)
    removed = removed[np.argsort(records["slice"][removed], kind="stable")]
    for index, run in _runs(records["slice"][removed]):
        of_slice = removed[run]
        removals = np.zeros(len(of_slice), REMOVAL)
        removals["row"] = records["row"][of_slice]
        removals["source"] = source_of[records["slice"][survivor[of_slice]]]
        removals["twin"] = ids[survivor[of_slice]]
        yield index, removals.tobytes()


def _runs(numbers: NDArray[np.uint32]) -> Iterator[tuple[int, slice]]:
    """(number, where it stands) of each run of equal numbers."""
    edges = np.flatnonzero(np.diff(numbers, prepend=np.int64(-1), append=np.int64(-1)))
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist()):
        yield int(numbers[start]), slice(start, stop)


def apply(task: Task, packed: Iterable[bytes]) -> Summary:
    """Write the attributes of a slice from its removals."""
    home, recipe = open_home(task.home)
    ingested = task.ingested
    before = attribute_digests(home, recipe, ingested, before=STAGE)
    removals = np.sort(np.frombuffer(b"".join(packed), REMOVAL), order="row")
    bare = removals.copy()
    bare["source"] = 0  # an id stands for its source; its number changes with the other sources
    decided = hashlib.blake2b(bare.tobytes(), digest_size=16).hexdigest()
    wanted = fingerprint(stage=DECISION_VERSION, documents=ingested.output, before=before, removals=decided)
    address = home.attributes(STAGE, ingested.source, ingested.slice)
    finished = done(home, STAGE, ingested.source, ingested.slice, wanted, address)
    if finished:
        return finished
    ids = _read_columns(task, ["id"]).column("id")
    twins: list[str | None] = [None] * len(ids)
    kinds: list[str | None] = [None] * len(ids)
    twins_in: dict[int, str] = {}
    names = sorted(recipe.sources)
    for row, source, twin in reversed(removals.tolist()):  # sorted, so that of two reasons the text comes last and counts
        twins[row % OF_ADDRESS] = twin.ljust(16, b"\0").hex()  # numpy's S16 drops trailing zero bytes
        kinds[row % OF_ADDRESS] = "address" if row >= OF_ADDRESS else "text"
        twins_in[row % OF_ADDRESS] = names[source]
    columns = [
        ids,
        pa.array(twins, pa.string()),
        pa.array([1.0 if twin else None for twin in twins], pa.float64()),
        pa.array(kinds, pa.string()),
    ]
    table = pa.table(columns, schema=ATTRIBUTE_SCHEMA.with_metadata({"corpusmill.documents": ingested.output}))
    with files.open_output(address) as stream:
        pq.write_table(table, stream, compression="zstd")
    summary = _summary(STAGE, ingested, wanted, stream, {"documents": len(ids), "removed": len(twins_in)}, before)
    summary = dataclasses.replace(summary, twins_in=dict(sorted(Counter(twins_in.values()).items())))
    write_summary(home, summary)
    return summary


def guard(home: Home, recipe: Recipe, summaries: list[Summary]) -> None:
    """Stop a build in which more of a source, of what the rules leave of it, would go than `dedup.max_removed`. Raises
    `UserError` (exit 1)."""
    for name in recipe.sources:
        documents = sum(summary.counts["documents"] for summary in summaries if summary.source == name)
        ingested = [summary for summary in ordered_slices(home, recipe) if summary.source == name]
        documents -= sum(removed_count(home, recipe, stage, summary) for stage in removing_stages(recipe, STAGE, name) for summary in ingested)
        removed = sum(summary.counts["removed"] for summary in summaries if summary.source == name)
        if removed > recipe.dedup.max_removed * documents:
            share = removed / documents
            raise UserError(
                f"{name}: {removed} of {documents} documents ({share:.0%}) are duplicates, more than dedup.max_removed = {recipe.dedup.max_removed}",
                f"look: corpus show {home.root} --removed --source {name}; to go on: --dedup.max-removed {min(1.0, int(share * 100 + 1) / 100)}",
                1,
            )


def _summary(stage: str, ingested: Summary, wanted: str, written: files.Output, counts: dict[str, int], before: Sequence[str] = ()) -> Summary:
    return Summary(
        stage=stage,
        source=ingested.source,
        slice=ingested.slice,
        path=ingested.path,
        start=ingested.start,
        fingerprint=wanted,
        output=written.digest,
        output_bytes=written.bytes,
        counts=counts,
        inputs=(ingested.output, *before),
    )


def _read_columns(slice_: Task | Place, columns: list[str]) -> pa.Table:
    with files.open_input(_keys_file(slice_)) as stream:
        return pq.read_table(stream, columns=columns).combine_chunks()


def _digest_words(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """(D, 2) the 16-byte digests as two words each."""
    joined = b"".join(chunk.cast(pa.binary(16)).buffers()[1].to_pybytes()[chunk.offset * 16 : (chunk.offset + len(chunk)) * 16] for chunk in column.chunks)
    return np.frombuffer(joined, "<u8").reshape(-1, 2)
