"""The third pass of stage `near`: each group gets its candidate pairs, each once, and the shingles
of those of its documents that are in a pair.

So the comparison reads no text. Memory is one row group of documents and the pairs of a group.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.home.cuts import read_passages, without_passages
from pipelines.home.documents import open_parquet
from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import Home
from pipelines.home.summaries import ordered_slices, summaries
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.near import signatures
from pipelines.stages.near.groups import (
    CANDIDATES,
    PAIRS,
    VERSION,
    GroupTask,
    Listed,
    Packed,
    group_tasks,
    grouped,
    read_list,
)
from pipelines.stages.near.pair_sets import each_once
from pipelines.stages.near.pairs import LATER, PAIR_ROOM, read_blocks
from pipelines.stages.stage import Pass, Result
from shards.storage import files

FACT = np.dtype([("order", "<u4"), ("id", "S16")])
"""What the decision needs to know about a document that is in a pair."""


def plan(home: Home, recipe: Recipe) -> list[GroupTask]:
    """Every group, to gather its pairs and shingles."""
    proposed = [summary.output for summary in summaries(home, PAIRS, "all")]
    pairs = fingerprint(
        stage=VERSION, ngram=recipe.dedup.ngram, keep=recipe.dedup.keep, pairs=proposed
    )
    fingerprints = []
    for members in grouped(ordered_slices(home, recipe)):
        documents = [summary.output for summary in members]
        fingerprints.append(fingerprint(pairs=pairs, documents=documents))
    return group_tasks(home, recipe, fingerprints)


def candidates_address(home: Home, recipe: Recipe, task: GroupTask) -> str:
    """Where the pairs and shingles of a group are stored."""
    return home.work(CANDIDATES, task.source, f"{task.name}.bin")


def gather(home: Home, recipe: Recipe, task: GroupTask, output: files.Output) -> Result:
    """Write what a group needs to be compared.

    The file is the shingles of its C documents that are in a pair, sorted sets end to end (uint64);
    pairs (P, 2) uint64 whose later place is here; C `FACT`s; (C + 1,) int64 where each set begins;
    rows, counted through the group, and words, (C,) uint32; C and P.
    """
    from pipelines.stages.near import kernels
    from pipelines.stages.near.word_table import word_table

    ngram = recipe.dedup.ngram
    pairs, rows = _own_pairs(home, task.index)
    facts = np.zeros(len(rows), FACT)
    words = np.zeros(len(rows), np.uint32)
    ends = np.zeros(len(rows) + 1, np.int64)

    for number, (row, text, order, identity) in enumerate(_documents(home, recipe, task, rows)):
        shingles = kernels.shingles_of(text, ngram, word_table())
        facts[number] = (order, identity)
        # Words as in a script with spaces, so that a limit in words means the same in any.
        words[number] = len(shingles) + ngram - 1 - kernels.spare_letters(text, word_table())

        # Sorted sets can be compared by one walk over both.
        shingles.sort()
        is_new = np.concatenate([[True], shingles[1:] != shingles[:-1]])
        distinct = shingles[is_new]
        output.write(distinct.tobytes())
        ends[number + 1] = ends[number] + len(distinct)
        tick(number, task.size * row // max(task.documents, 1))

    counts = np.array([len(rows), len(pairs)], np.uint64)
    for array in (pairs, facts, ends, rows.astype(np.uint32), words, counts):
        output.write(array.tobytes())

    return Result(counts={"candidates": len(rows), "pairs": len(pairs)}, inputs=task.inputs)


def _own_pairs(home: Home, index: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """(P, 2) the pairs whose later document is in a group, each once, sorted; and the rows of the
    group that are in any pair."""
    rows: NDArray[np.uint64] = np.zeros(0, np.uint64)

    def noted(block: NDArray[np.uint64]) -> NDArray[np.uint64]:
        nonlocal rows
        rows = np.union1d(rows, block[:, 0] & np.uint64(0xFFFFFFFF))
        return block

    pairs = pairs_of_group(map(noted, proposed_blocks(home, PAIRS, index)))
    return pairs, rows.astype(np.int64)


def proposed_blocks(home: Home, stage: str, index: int) -> Iterator[NDArray[np.uint64]]:
    """The records of a group in all files of `PAIRS` or `LONG_PAIRS`."""
    groups = len(read_list(home, stage))
    for number, proposed in enumerate(summaries(home, stage, "all")):
        yield from read_blocks(home.work(stage, "all", f"{proposed.slice}.bin"), index, groups)
        tick(number, 0)


def pairs_of_group(blocks: Iterable[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """(P, 2) the pairs whose later document the records of a group name, each once, sorted."""
    pairs: NDArray[np.uint64] = np.zeros((0, 2), np.uint64)
    held, waiting = [pairs], 0

    for block in blocks:
        # A pair stands under both of its documents; only its later one counts it.
        is_later = block[:, 0] >= np.uint64(LATER)
        held.append(block[is_later] & np.uint64(LATER - 1))
        waiting += len(held[-1])

        if waiting > PAIR_ROOM + len(pairs):  # most pairs come again from other bands
            pairs = each_once(np.concatenate(held))
            held, waiting = [pairs], 0

    return each_once(np.concatenate(held))


def _documents(
    home: Home, recipe: Recipe, task: GroupTask, rows: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.uint8], int, bytes]]:
    """(row, bytes of the text, survivor order, id) of some documents of a group, in order.

    `rows` count through the group. Slices and row groups without any of them are not read.
    """
    first = 0
    for ingested in task.members:
        end = first + ingested.counts["documents"]
        if not len(_between(rows, first, end)):
            first = end
            continue

        passages = None
        if recipe.sources[ingested.source].dedup.passages == "remove":
            passages = read_passages(home, ingested)

        row = 0
        with open_parquet(home, home.documents(ingested.source, ingested.slice)) as file:
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                wanted = _between(rows, first, first + count)
                if len(wanted):
                    table = file.read_row_group(group, columns=["id", "text", "crawled"])
                    if passages is not None:
                        table = without_passages(table, passages.slice(row, count))
                    for row, text, order, identity in _chosen(table, wanted - first, recipe):
                        yield first + row, text, order, identity
                first += count
                row += count


def _between(rows: NDArray[np.int64], begin: int, end: int) -> NDArray[np.int64]:
    """Those of some rising rows that are in [begin, end)."""
    return rows[np.searchsorted(rows, begin) : np.searchsorted(rows, end)]


def _chosen(
    table: pa.Table, rows: NDArray[np.int64], recipe: Recipe
) -> Iterator[tuple[int, NDArray[np.uint8], int, bytes]]:
    """(row, bytes of the text, survivor order, id) of some documents of a row group."""
    text, ends = signatures.text_buffer(table.column("text"))
    order = signatures.survivor_order(table.column("crawled"), np.diff(ends), recipe)
    ids = table.column("id")
    for row in rows.tolist():
        identity = bytes.fromhex(ids[row].as_py())
        yield row, text[ends[row] : ends[row + 1]], int(order[row]), identity


GATHER = Pass(
    name=CANDIDATES, plan=plan, address=candidates_address, work=gather, label="Candidates"
)


# --- reading what was gathered


@dataclass(frozen=True)
class Sets:
    """The directory of a file of candidates: (C + 1,) where the shingles of each document begin,
    (C,) their rows and words."""

    ends: NDArray[np.int64]
    rows: NDArray[np.uint32]
    words: NDArray[np.uint32]


def candidates_file(home: Home, group: Listed) -> str:
    """Where `gather` wrote the pairs and shingles of a group."""
    return home.work(CANDIDATES, group.source, f"{group.name}.bin")


def read_sets(stream: files.RangeFile) -> Sets:
    """The directory of a file that `gather` wrote."""
    count, _, directory = _layout(stream)
    content = stream.read_at(count * 16 + 8, directory)
    begin_rows = count * 8 + 8
    return Sets(
        ends=np.frombuffer(content, np.int64, count + 1),
        rows=np.frombuffer(content, np.uint32, count, begin_rows),
        words=np.frombuffer(content, np.uint32, count, begin_rows + count * 4),
    )


def read_facts(stream: files.RangeFile) -> Packed:
    """(C,) `FACT`s of a file that `gather` wrote."""
    count, _, directory = _layout(stream)
    size = count * FACT.itemsize
    return np.frombuffer(stream.read_at(size, directory - size), FACT)


def read_pairs(stream: files.RangeFile) -> NDArray[np.uint64]:
    """(P, 2) pairs of a file that `gather` wrote."""
    count, pairs, directory = _layout(stream)
    begin = directory - count * FACT.itemsize - pairs * 16
    return np.frombuffer(stream.read_at(pairs * 16, begin), np.uint64).reshape(-1, 2)


def _layout(stream: files.RangeFile) -> tuple[int, int, int]:
    """C, P, and where the directory begins."""
    size = stream.size()
    count, pairs = np.frombuffer(stream.read_at(16, size - 16), np.uint64).tolist()
    return count, pairs, size - 16 - count * 16 - 8
