"""Stage `exact`: of documents with equal text, except for case and white space, the first in
survivor order is kept; likewise of documents crawled from one address, however it is spelled
(`corpora.text.urls`).

A document is removed when an earlier one has its text or its address; that one is its twin. The
first of a chain of such documents is always kept. Only pages have an address in this sense:
documents with both `url` and `crawled`.

Law 1: no text crosses a shuffle. Each slice writes the digests of text and address beside its
documents. What meets by key are packed records of 24 bytes (key, order, reference), each with the
8 bytes of its digest that are not the key, at most two records per document. So equal keys are
settled by full digests, and no partition reads the files of slices. What is removed is then sent to
the slice of its twin, which knows the twin's id, and from there to its own slice.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from corpora.text.normalise import exact_digest
from corpora.text.urls import canonical_url
from pipelines.home.decisions import (
    attribute_digests,
    kept_rows,
    removed_count,
    removing_stages,
)
from pipelines.home.documents import row_groups, write_attributes
from pipelines.home.fingerprints import fingerprint, package_versions
from pipelines.home.layout import EXACT, INGEST, Home, recipe_key, task_home
from pipelines.home.summaries import (
    SliceTask,
    Summary,
    bulk,
    ordered_slices,
    prune,
    summaries,
)
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.accounts import check, total
from pipelines.stages.job import Job, Say
from pipelines.stages.stage import Exchange, Pass, Result, Stage, Work, run_task
from shards.errors import UserError
from shards.storage import files

KEYS = "keys"

VERSION = 4

DECISION_VERSION = 4
"""Of what `decide` removes and `mark` writes."""

PARTITION_RECORDS = 2_000_000
"""About how many records meet in one group: 64 MB."""

RECORD = np.dtype([("key", "<u8"), ("order", "<u8"), ("slice", "<u4"), ("row", "<u4")])
"""What crosses the first shuffle. `order` is the priority of the source, then `dedup.keep`, null
last; (slice, row) are the slice's place in the order of all slices and the document's row, which
are the rest of the survivor order. A record of the document's address has `OF_ADDRESS` added to its
row."""

OF_ADDRESS = 1 << 31
"""Set in `row` where a record or removal is about the address: a slice holds fewer than 2**31
documents."""

ASKED = np.dtype([("twin", "<u4"), ("slice", "<u4"), ("row", "<u4")])
"""What crosses the second shuffle, keyed by the slice of a twin: the twin's row, and the slice and
row that are removed for it (with `OF_ADDRESS` where the address is why)."""

REMOVAL = np.dtype([("row", "<u4"), ("source", "<u4"), ("twin", "S16")])
"""What crosses the third shuffle, keyed by slice: a removed row (with `OF_ADDRESS` where the
address is why), the place of its twin's source among the sorted names of all sources, and its
twin's id."""

KEYS_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("order", pa.int64()),
        ("digest", pa.binary(16)),
        ("address", pa.binary(16)),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Task(SliceTask):
    """One ingested slice. `index` is its place in the order of all slices; `partitions` says into
    how many the keys are divided."""

    index: int
    partitions: int


# --- the first pass: digests of text and address beside the documents


def plan(home: Home, recipe: Recipe) -> list[Task]:
    """The tasks of every ingested slice; removes the files of slices that no longer exist."""
    planned = tasks(home, recipe)
    wanted = {(task.source, task.name) for task in planned}
    prune(home, KEYS, wanted, (f"work/{KEYS}",))
    prune(home, EXACT, wanted, (f"attributes/{EXACT}",))
    return planned


def tasks(home: Home, recipe: Recipe) -> list[Task]:
    """Every ingested slice, in order; the same list wherever it is asked for.

    Raises `UserError` when there is none.
    """
    slices = ordered_slices(home, recipe)
    if not slices:
        raise UserError(f"{home.root}: nothing is ingested", "corpus build RECIPE --home DIR")

    partitions = total(slices, "documents") // PARTITION_RECORDS + 1
    packages = package_versions("tokenizers")
    key = recipe_key(recipe)
    planned = []

    for index, summary in enumerate(slices):
        wanted = fingerprint(
            stage=VERSION,
            packages=packages,
            by_address=recipe.dedup.by_address,
            keep=recipe.dedup.keep,
            documents=summary.output,
        )
        task = Task(
            home=home.root,
            recipe=key,
            ingested=summary,
            fingerprint=wanted,
            index=index,
            partitions=partitions,
        )
        planned.append(task)

    return planned


def keys_address(home: Home, recipe: Recipe, task: SliceTask) -> str:
    """Where the digests of a slice are stored."""
    return home.work(KEYS, task.source, f"{task.name}.parquet")


def write_keys(home: Home, recipe: Recipe, task: Task, output: files.Output) -> Result:
    """Write what the comparison needs of each document: id, place in the survivor order within its
    source, digests of folded text and of the address (null for what is no page)."""
    by_address = recipe.dedup.by_address
    documents = task.ingested.counts["documents"]

    with pq.ParquetWriter(output, KEYS_SCHEMA, compression="zstd") as writer:
        for first, table in row_groups(home, task.ingested, ("id", "text", "crawled", "url")):
            texts = table.column("text").to_pylist()
            digests = [exact_digest(text) for text in texts]
            crawled = table.column("crawled").cast(pa.timestamp("s", "UTC")).cast(pa.int64())
            addresses: list[bytes | None] = []

            for url, moment in zip(table.column("url").to_pylist(), crawled.to_pylist()):
                is_page = by_address and url and moment is not None
                addresses.append(address_digest(url) if is_page else None)

            columns = [
                table.column("id"),
                _within_source(crawled, texts, recipe),
                pa.array(digests, pa.binary(16)),
                pa.array(addresses, pa.binary(16)),
            ]
            writer.write_table(pa.table(columns, schema=KEYS_SCHEMA))
            rows = first + table.num_rows
            tick(rows, task.size * rows // max(documents, 1))

    return Result(counts={"documents": documents}, inputs=(task.ingested.output,))


def _within_source(crawled: pa.ChunkedArray, texts: list[str], recipe: Recipe) -> pa.Array:
    """(D,) numbers that sort as `dedup.keep` asks, from crawl times in seconds; null last."""
    if recipe.dedup.keep == "longest":
        return pa.array([-len(text.encode()) for text in texts], pa.int64())
    return pc.negate(crawled) if recipe.dedup.keep == "newest" else crawled


def address_digest(url: str) -> bytes:
    """16 bytes that are equal for the spellings of one address, and never those of a text."""
    return hashlib.blake2b(
        canonical_url(url).encode("utf-8", "surrogatepass"), digest_size=16, person=b"address"
    ).digest()


WRITE_KEYS = Pass(name=KEYS, plan=plan, address=keys_address, work=write_keys)


# --- the exchange: records of all slices meet by key, then by slice


def task_index(task: Task) -> int:
    """The slice's place in the order of all slices."""
    return task.index


def blocks(task: Task) -> Iterator[tuple[int, bytes]]:
    """(partition, packed `RECORD`s and after them the rests of their digests) of a slice whose keys
    are written; only of documents that the stages before keep."""
    home, recipe = task_home(task)
    table = _read_keys(home, recipe, task, ["order", "digest", "address"])
    kept = kept_rows(home, recipe, task.ingested, before=EXACT)

    records = np.zeros(table.num_rows, RECORD)
    words = _digest_words(table.column("digest"))
    # The survivor order in one number: priority, then `keep`; slice and row settle the rest.
    priority = np.uint64(recipe.dedup.priority.index(task.source) << 56)
    records["key"] = words[:, 0]
    records["order"] = priority | _unsigned(table.column("order"))
    records["slice"] = task.index
    records["row"] = np.arange(table.num_rows, dtype=np.uint32)

    pages = np.flatnonzero(kept & table.column("address").is_valid().to_numpy())
    address_words = _digest_words(table.column("address").fill_null(bytes(16)))[pages]
    of_address = records[pages]
    of_address["key"] = address_words[:, 0]
    of_address["row"] |= np.uint32(OF_ADDRESS)

    # The other half of each digest travels beside its record, to settle equal keys.
    records = np.concatenate([records[kept], of_address])
    rests = np.concatenate([words[kept, 1], address_words[:, 1]])
    partition = records["key"] % np.uint64(task.partitions)
    by_partition = np.argsort(partition, kind="stable")
    numbers = np.arange(task.partitions + 1, dtype=np.uint64)
    edges = np.searchsorted(partition[by_partition], numbers)

    for number in range(task.partitions):
        if edges[number] < edges[number + 1]:
            chosen = by_partition[edges[number] : edges[number + 1]]
            yield number, records[chosen].tobytes() + rests[chosen].tobytes()


def _unsigned(order: pa.ChunkedArray) -> NDArray[np.uint64]:
    """(D,) places in the survivor order as 56 bits, null last."""
    numbers: NDArray[np.int64] = order.fill_null(0).to_numpy().astype(np.int64) + (1 << 40)
    numbers[order.is_null().to_numpy()] = (1 << 56) - 1
    return numbers.astype(np.uint64)


def decide(packed: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """(slice of the twin, packed `ASKED`) from all blocks of one partition, in whatever order they
    come."""
    records, rests = _unpacked(list(packed))

    # Most keys occur once: only the others need sorting.
    _, inverse, counts = np.unique(records["key"], return_inverse=True, return_counts=True)
    repeated = counts[inverse] > 1
    records, rests = records[repeated], rests[repeated]

    survivor_order = (records["row"], records["slice"], records["order"], rests, records["key"])
    order = np.lexsort(survivor_order)
    records, rests = records[order], rests[order]

    # Runs of equal digests: the first of each is kept, and is the twin of the others.
    first = np.ones(len(records), np.bool_)
    first[1:] = (records["key"][1:] != records["key"][:-1]) | (rests[1:] != rests[:-1])
    survivor = np.maximum.accumulate(np.where(first, np.arange(len(records)), 0))
    removed = np.flatnonzero(~first)
    twins = records[survivor[removed]]

    asked = np.zeros(len(removed), ASKED)
    asked["twin"] = twins["row"] & np.uint32(OF_ADDRESS - 1)
    asked["slice"] = records["slice"][removed]
    asked["row"] = records["row"][removed]
    yield from _by_slice(asked, twins["slice"])


def _unpacked(blocks: list[bytes]) -> tuple[NDArray[np.void], NDArray[np.uint64]]:
    """The records of all blocks, and the rests of their digests."""
    records: list[NDArray[np.void]] = [np.zeros(0, RECORD)]
    rests: list[NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
    for block in blocks:
        count = len(block) // (RECORD.itemsize + 8)
        records.append(np.frombuffer(block, RECORD, count))
        rests.append(np.frombuffer(block, "<u8", count, count * RECORD.itemsize))
    return np.concatenate(records), np.concatenate(rests)


def name_twins(task: Task, packed: list[bytes]) -> Iterator[tuple[int, bytes]]:
    """(slice, packed `REMOVAL`s) of the documents whose twins are in the task's slice."""
    asked = np.frombuffer(b"".join(packed), ASKED)
    if not len(asked):
        return

    home, recipe = task_home(task)
    twins = pa.array(np.ascontiguousarray(asked["twin"]))
    ids = _read_keys(home, recipe, task, ["id"]).column("id").take(twins).to_pylist()

    removals = np.zeros(len(asked), REMOVAL)
    removals["row"] = asked["row"]
    removals["source"] = sorted(recipe.sources).index(task.source)
    removals["twin"] = [bytes.fromhex(identity) for identity in ids]
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


@dataclass(frozen=True, kw_only=True)
class MarkTask(SliceTask):
    """One ingested slice and what is removed of it, sorted by row. `before` holds the
    `attribute_digests` of the stages before."""

    removals: bytes
    before: tuple[str, ...]


def apply(task: Task, packed: list[bytes]) -> Summary:
    """Write the attributes of a slice from its removals."""
    home, recipe = task_home(task)
    documents = task.ingested.output
    before = attribute_digests(home, recipe, task.ingested, before=EXACT)
    removals = np.sort(np.frombuffer(b"".join(packed), REMOVAL), order="row")

    # An id stands for its source, whose number changes when other sources come or leave.
    without_source = removals.copy()
    without_source["source"] = 0
    decided = hashlib.blake2b(without_source.tobytes(), digest_size=16).hexdigest()
    wanted = fingerprint(
        stage=DECISION_VERSION, documents=documents, before=before, removals=decided
    )
    mark_task = MarkTask(
        home=task.home,
        recipe=task.recipe,
        ingested=task.ingested,
        fingerprint=wanted,
        removals=removals.tobytes(),
        before=tuple(before),
    )
    return run_task(MARK, mark_task)


def attributes_address(home: Home, recipe: Recipe, task: MarkTask) -> str:
    """Where the attributes of a slice are stored."""
    return home.attributes(EXACT, task.source, task.name)


def mark(home: Home, recipe: Recipe, task: MarkTask, output: files.Output) -> Result:
    """Write, for each document of a slice, its twin or null."""
    ids = _read_keys(home, recipe, task, ["id"]).column("id")
    twins: list[str | None] = [None] * len(ids)
    scores: list[float | None] = [None] * len(ids)
    kinds: list[str | None] = [None] * len(ids)
    source_of_twin: dict[int, str] = {}
    names = sorted(recipe.sources)
    removals = np.frombuffer(task.removals, REMOVAL)

    # A row may be removed for its text and for its address. Text comes first in the order of rows,
    # so it is written last and counts.
    for marked_row, source, twin in reversed(removals.tolist()):
        row = marked_row % OF_ADDRESS
        twins[row] = twin.ljust(16, b"\0").hex()  # numpy's S16 drops trailing zero bytes
        scores[row] = 1.0
        kinds[row] = "address" if marked_row >= OF_ADDRESS else "text"
        source_of_twin[row] = names[source]

    columns = [
        ids,
        pa.array(twins, pa.string()),
        pa.array(scores, pa.float64()),
        pa.array(kinds, pa.string()),
    ]
    write_attributes(output, columns, task.ingested.output)
    twins_in = Counter(source_of_twin.values())
    return Result(
        counts={"documents": len(ids), "removed": len(source_of_twin)},
        twins_in=dict(sorted(twins_in.items())),
        inputs=(task.ingested.output, *task.before),
    )


MARK = Work(name=EXACT, address=attributes_address, work=mark)


def _read_keys(home: Home, recipe: Recipe, task: SliceTask, columns: list[str]) -> pa.Table:
    with files.open_input(keys_address(home, recipe, task)) as stream:
        return pq.read_table(stream, columns=columns).combine_chunks()


def _digest_words(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    """(D, 2) the 16-byte digests as two words each."""
    pieces = []
    for chunk in column.chunks:
        content = chunk.cast(pa.binary(16)).buffers()[1].to_pybytes()
        pieces.append(content[chunk.offset * 16 : (chunk.offset + len(chunk)) * 16])
    return np.frombuffer(b"".join(pieces), "<u8").reshape(-1, 2)


MEET = Exchange(
    name=EXACT,
    plan=tasks,
    index=task_index,
    blocks=blocks,
    decide=decide,
    answer=name_twins,
    apply=apply,
    label="Blocks",
)


# --- the stage


def is_wanted(recipe: Recipe) -> bool:
    """True where the recipe removes exact duplicates."""
    return recipe.dedup.exact


def account(job: Job) -> None:
    """Check that every document was compared and every removed one has a twin; say how many are
    duplicates. Raises `UserError` (exit 1) as `guard` does."""
    for name in job.recipe.sources:
        decided = summaries(job.home, EXACT, name)
        documents, removed = total(decided, "documents"), total(decided, "removed")
        twins = sum(sum(summary.twins_in.values()) for summary in decided)

        ingested = total(summaries(job.home, INGEST, name), "documents")
        check(f"{name}: documents", ingested, documents)
        check(f"{name}: duplicates and their twins", removed, twins)
        job.say(f"exact {name}: {removed:,} of {documents:,} documents are duplicates")

    guard(job.home, job.recipe, job.say)


def guard(home: Home, recipe: Recipe, say: Say) -> None:
    """Stop a build that would remove more of a source than `dedup.max_removed`, counted from what
    the rules leave of it. Raises `UserError` (exit 1)."""
    slices, read = ordered_slices(home, recipe), bulk(home)
    for name in recipe.sources:
        if not recipe.sources[name].emit:
            continue
        decided = summaries(home, EXACT, name)
        documents, removed = total(decided, "documents"), total(decided, "removed")

        for stage in removing_stages(recipe, EXACT, name):
            for summary in slices:
                if summary.source == name:
                    documents -= removed_count(home, recipe, stage, summary, read)

        if removed > recipe.dedup.max_removed * documents:
            raise UserError(*too_many_removed(home, recipe, name, removed, documents), 1)


def too_many_removed(
    home: Home, recipe: Recipe, name: str, removed: int, documents: int
) -> tuple[str, str]:
    """The error and the hint of a guard."""
    share = removed / max(documents, 1)
    allowed = min(1.0, int(share * 100 + 1) / 100)
    return (
        f"{name}: {removed} of {documents} documents ({share:.0%}) are duplicates, "
        f"more than dedup.max_removed = {recipe.dedup.max_removed}",
        f"look: corpus show {home.quoted} --removed --source {name}; "
        f"to build all the same: {home.build_command} --dedup.max-removed {allowed}",
    )


STAGE = Stage(
    name=EXACT,
    transform="Deduplicate",
    passes=(WRITE_KEYS, MEET),
    wanted=is_wanted,
    off="exact: off",
    account=account,
    guard=guard,
)
