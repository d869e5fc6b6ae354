"""From pairs to verified pairs: in stage `near` (pipelines/near.py says how its steps hang
together) `gather` brings a group its pairs and the shingles of its documents that are in any, and
`score` compares. Both write one file by law 3, read files forward and hold arrays of bounded
size."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines import near
from pipelines.home import (
    Home,
    Summary,
    bulk,
    done,
    fingerprint,
    open_home,
    ordered_slices,
    recipe_key,
    summaries,
    task_home,
    write_summary,
)
from pipelines.near import CANDIDATES, EARLIER_IS_CONTAINED, EDGE, PAIRS, SCORES, Listed, Task
from pipelines.near_pairs import LATER, PAIR_ROOM
from pipelines.progress import tick
from shards import files

CHUNK_BYTES = 32_000_000
"""Shingles of one side that are compared at once."""
GAP_BYTES = 65_536
"""A hole between two reads of a file that is read over, not jumped over."""
LOWEST_CONTAINED = 0.5
"""Verified pairs of less are not kept, whatever the setting."""

FACT = np.dtype([("order", "<u4"), ("id", "S16")])
"""What the decision asks about a document that is in a pair."""


# --- candidates
# ---------------------------------------------------------------------------------------------------


def plan_candidates(home_root: str) -> list[Task]:
    """Every group, to gather its pairs and shingles."""
    home, recipe = open_home(home_root)
    pairs = fingerprint(
        stage=near.VERSION,
        ngram=recipe.dedup.ngram,
        pairs=[summary.output for summary in summaries(home, PAIRS, "all")],
    )
    key = recipe_key(recipe)
    return [
        Task(
            home=home_root,
            recipe=key,
            members=members,
            index=index,
            stage=CANDIDATES,
            fingerprint=fingerprint(pairs=pairs, documents=[summary.output for summary in members]),
        )
        for index, members in enumerate(near.grouped(ordered_slices(home, recipe)))
    ]


def gather(task: Task) -> Summary:
    """Write what a group needs to be compared: the shingles of its documents that are in a pair,
    sorted sets end to end (uint64); pairs (P, 2) uint64, later place here; C `FACT`s; (C + 1,)
    int64 where each set begins; rows, counted through the group, and words (C,) uint32; C and P."""
    from pipelines import minhash
    from pipelines.word_table import word_table

    home, recipe = task_home(task)
    address = home.work(CANDIDATES, task.source, f"{task.name}.bin")
    finished = done(home, CANDIDATES, task.source, task.name, task.fingerprint, address)
    if finished:
        return finished
    pairs, rows = _own_pairs(home, task.index)
    facts, words = np.zeros(len(rows), FACT), np.zeros(len(rows), np.uint32)
    ends = np.zeros(len(rows) + 1, np.int64)
    with files.open_output(address) as output:
        for number, (row, text, order, identity) in enumerate(_documents(home, task, rows)):
            shingles = minhash.shingles_of(text, recipe.dedup.ngram, word_table())
            facts[number], words[number] = (order, identity), len(shingles) + recipe.dedup.ngram - 1
            shingles.sort()
            shingles = shingles[np.concatenate([[True], shingles[1:] != shingles[:-1]])]
            output.write(shingles.tobytes())
            ends[number + 1] = ends[number] + len(shingles)
            tick(number, task.size * row // max(task.documents, 1))
        for array in (
            pairs,
            facts,
            ends,
            rows.astype(np.uint32),
            words,
            np.array([len(rows), len(pairs)], np.uint64),
        ):
            output.write(array.tobytes())
    summary = near.group_summary(task, output, {"candidates": len(rows), "pairs": len(pairs)})
    write_summary(home, summary)
    return summary


def _own_pairs(home: Home, index: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """(P, 2) the pairs whose later document lies in a group, each once, sorted; and the rows of it
    that are in any pair."""
    pairs: NDArray[np.uint64] = np.zeros((0, 2), np.uint64)
    rows: NDArray[np.uint64] = np.zeros(0, np.uint64)
    held, waiting = [pairs], 0
    groups = len(near.read_list(home))
    for number, proposed in enumerate(summaries(home, PAIRS, "all")):
        for block in _blocks(home.work(PAIRS, "all", f"{proposed.slice}.bin"), index, groups):
            rows = np.union1d(rows, block[:, 0] & np.uint64(0xFFFFFFFF))
            held.append(block[block[:, 0] >= np.uint64(LATER)] & np.uint64(LATER - 1))
            waiting += len(held[-1])
            if waiting > PAIR_ROOM + len(pairs):  # most pairs come again from other bands
                pairs = _each_once(held)
                held, waiting = [pairs], 0
        tick(number, 0)
    return _each_once(held), rows.astype(np.int64)


def _each_once(held: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """(P, 2) sorted, each once."""
    pairs: NDArray[np.uint64] = np.concatenate(held)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    new = np.ones(len(pairs), np.bool_)
    new[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[new]


def _blocks(address: str, index: int, groups: int) -> Iterator[NDArray[np.uint64]]:
    """The records of a group in a file of pairs, block by block."""
    with files.open_ranges(address) as stream:
        size = stream.size()
        count = int.from_bytes(stream.read_at(8, size - 8), "little")
        begin = size - 8 - count * (groups + 1) * 8
        bounds = np.frombuffer(
            stream.read_at(2 * count * 8, begin + index * count * 8), np.uint64
        ).reshape(2, count)
        for low, high in bounds.T.tolist():
            if low < high:
                yield np.frombuffer(stream.read_at(high - low, low), np.uint64).reshape(-1, 2)


def _documents(
    home: Home, task: Task, rows: NDArray[np.int64]
) -> Iterator[tuple[int, NDArray[np.uint8], int, bytes]]:
    """(row, bytes of the text, crawl order, id) of some documents of a group, in order; slices and
    row groups without any are not read."""
    first = 0
    for ingested in task.members:
        end = first + ingested.counts["documents"]
        if np.searchsorted(rows, first) == np.searchsorted(rows, end):
            first = end
            continue
        with files.open_input(home.documents(ingested.source, ingested.slice)) as stream:
            documents = pq.ParquetFile(stream)
            for group in range(documents.num_row_groups):
                count = documents.metadata.row_group(group).num_rows
                wanted = rows[np.searchsorted(rows, first) : np.searchsorted(rows, first + count)]
                if len(wanted):
                    table = documents.read_row_group(group, columns=["id", "text", "crawled"])
                    text, ends = near.text_buffer(table.column("text"))
                    order, ids = near.crawl_order(table.column("crawled")), table.column("id")
                    for row in (wanted - first).tolist():
                        yield (
                            first + row,
                            text[ends[row] : ends[row + 1]],
                            int(order[row]),
                            bytes.fromhex(ids[row].as_py()),
                        )
                first += count


# --- scores
# -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sets:
    """The directory of a file of candidates: where the shingles of each document begin, (C + 1,),
    their rows and words (C,)."""

    ends: NDArray[np.int64]
    rows: NDArray[np.uint32]
    words: NDArray[np.uint32]


def plan_scores(home_root: str) -> list[Task]:
    """Every group, to compare its pairs."""
    home, recipe = open_home(home_root)
    groups, read = near.grouped(ordered_slices(home, recipe)), bulk(home)
    gathered = [read(CANDIDATES, members[0].source, members[0].slice) for members in groups]
    _, rows = near.band_scheme(min(near.thresholds(recipe).values()))
    wanted = fingerprint(
        stage=near.VERSION,
        rows=rows,
        candidates=[summary.output for summary in gathered if summary],
    )
    key = recipe_key(recipe)
    return [
        Task(
            home=home_root,
            recipe=key,
            members=members,
            index=index,
            stage=SCORES,
            fingerprint=wanted,
        )
        for index, members in enumerate(groups)
    ]


def score(task: Task) -> Summary:
    """Write the verified pairs (`EDGE`) of a group's later documents: those that any threshold of
    the scheme, or any `containment` of `LOWEST_CONTAINED` and up, could ask for."""
    home, recipe = task_home(task)
    address = home.work(SCORES, task.source, f"{task.name}.bin")
    finished = done(home, SCORES, task.source, task.name, task.fingerprint, address)
    if finished:
        return finished
    listed = near.read_list(home)
    lowest = near.billionths(
        near.lowest_threshold(near.band_scheme(min(near.thresholds(recipe).values()))[1])
    )
    compared = kept = 0
    with (
        files.open_output(address) as output,
        files.open_ranges(candidates_file(home, listed[task.index])) as own,
    ):
        here, pairs = read_sets(own), read_pairs(own)
        rows = here.rows.astype(np.uint64)
        for begin, end in _chunks(here.ends):
            low, high = np.searchsorted(
                pairs[:, 0],
                (np.uint64(task.index << 32) | rows[[begin, end - 1]])
                + np.array([0, 1], np.uint64),
            )
            if low == high:
                continue
            sets = _read_shingles(own, here.ends, np.arange(begin, end))
            for edges in _compared(home, listed, here, sets, begin, pairs[low:high]):
                compared += len(edges)
                edges = edges[
                    (edges["jaccard"] >= lowest)
                    | (edges["contained"] >= near.billionths(LOWEST_CONTAINED))
                ]
                kept += len(edges)
                output.write(edges.tobytes())
                tick(compared, task.size * compared // max(len(pairs), 1))
    summary = near.group_summary(task, output, {"compared": compared, "verified": kept})
    write_summary(home, summary)
    return summary


def candidates_file(home: Home, piece: Listed) -> str:
    """Where `gather` wrote."""
    return home.work(CANDIDATES, piece.source, f"{piece.name}.bin")


def read_sets(stream: Any) -> Sets:
    """The directory of what `gather` wrote."""
    count, _, begin = _layout(stream)
    content = stream.read_at(count * 16 + 8, begin)
    ends, at = np.frombuffer(content, np.int64, count + 1), count * 8 + 8
    return Sets(
        ends=ends,
        rows=np.frombuffer(content, np.uint32, count, at),
        words=np.frombuffer(content, np.uint32, count, at + count * 4),
    )


def read_facts(stream: Any) -> NDArray[Any]:
    """(C,) `FACT`s of what `gather` wrote."""
    count, _, begin = _layout(stream)
    return np.frombuffer(stream.read_at(count * FACT.itemsize, begin - count * FACT.itemsize), FACT)


def read_pairs(stream: Any) -> NDArray[np.uint64]:
    """(P, 2) of what `gather` wrote."""
    count, pairs, begin = _layout(stream)
    return np.frombuffer(
        stream.read_at(pairs * 16, begin - count * FACT.itemsize - pairs * 16), np.uint64
    ).reshape(-1, 2)


def _layout(stream: Any) -> tuple[int, int, int]:
    """C, P, and where the directory begins."""
    size = stream.size()
    count, pairs = np.frombuffer(stream.read_at(16, size - 16), np.uint64).tolist()
    return count, pairs, size - 16 - count * 16 - 8


def _chunks(ends: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of sets of about `CHUNK_BYTES`, in order."""
    begin = 0
    while begin < len(ends) - 1:
        end = max(
            begin + 1, int(np.searchsorted(ends, ends[begin] + CHUNK_BYTES // 8, "right")) - 1
        )
        yield begin, end
        begin = end


def _read_shingles(
    stream: Any, ends: NDArray[np.int64], which: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The sets `which` (rising) end to end, and where each begins, read forward; sets close by are
    read at once."""
    lengths = ends[which + 1] - ends[which]
    out, new_ends = (
        np.empty(int(lengths.sum()), np.uint64),
        np.concatenate([[0], np.cumsum(lengths)]),
    )
    far = np.flatnonzero(ends[which[1:]] - ends[which[:-1] + 1] > GAP_BYTES // 8) + 1
    for run in np.split(np.arange(len(which)), far):
        first, last = ends[which[run[0]]], ends[which[run[-1]] + 1]
        content = np.frombuffer(stream.read_at(int(last - first) * 8, int(first) * 8), np.uint64)
        if len(content) == new_ends[run[-1] + 1] - new_ends[run[0]]:
            out[new_ends[run[0]] : new_ends[run[-1] + 1]] = content
        else:
            for i in run:
                out[new_ends[i] : new_ends[i + 1]] = content[
                    ends[which[i]] - first : ends[which[i] + 1] - first
                ]
    return out, new_ends


def _compared(
    home: Home,
    listed: list[Listed],
    here: Sets,
    sets: tuple[NDArray[np.uint64], NDArray[np.int64]],
    first: int,
    pairs: NDArray[np.uint64],
) -> Iterator[NDArray[Any]]:
    """`EDGE`s of pairs whose later documents are among the sets read, from number `first` on; the
    earlier ones come file by file, in order."""
    from pipelines import minhash

    pairs = pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]
    slices = pairs[:, 1] >> np.uint64(32)
    for index in np.unique(slices):
        of_slice = pairs[slices == index]
        with files.open_ranges(candidates_file(home, listed[int(index)])) as stream:
            there = read_sets(stream)
            later = np.searchsorted(
                here.rows, (of_slice[:, 0] & np.uint64(0xFFFFFFFF)).astype(np.uint32)
            )
            earlier = np.searchsorted(
                there.rows, (of_slice[:, 1] & np.uint64(0xFFFFFFFF)).astype(np.uint32)
            )
            wanted = np.unique(earlier)
            lengths = np.concatenate([[0], np.cumsum(there.ends[wanted + 1] - there.ends[wanted])])
            for begin, end in _chunks(lengths):
                which = wanted[begin:end]
                low, high = np.searchsorted(earlier, [which[0], which[-1] + 1])
                numbers = np.stack(
                    [later[low:high] - first, np.searchsorted(which, earlier[low:high])], 1
                )
                found = np.empty((len(numbers), 3), np.int64)
                minhash.similarities(
                    *sets, *_read_shingles(stream, there.ends, which), numbers, found
                )
                earlier_is_contained = there.words[earlier[low:high]] < here.words[later[low:high]]
                edges = np.empty(len(found), EDGE)
                edges["later"] = of_slice[low:high, 0] | np.where(
                    earlier_is_contained, np.uint64(EARLIER_IS_CONTAINED), np.uint64(0)
                )
                edges["earlier"] = of_slice[low:high, 1]
                edges["jaccard"] = found[:, 0]
                edges["contained"] = np.where(earlier_is_contained, found[:, 2], found[:, 1])
                yield edges
