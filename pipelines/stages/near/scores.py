"""The fourth pass of stage `near`: candidate pairs are compared by their true sets of shingles.

Sets of both sides are read forward, and arrays of bounded size are held.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import Home
from pipelines.home.summaries import bulk, ordered_slices
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.near.bands import band_scheme, billionths, lowest_threshold, thresholds
from pipelines.stages.near.candidates import Sets, candidates_file, read_pairs, read_sets
from pipelines.stages.near.groups import (
    CANDIDATES,
    EARLIER_IS_CONTAINED,
    EDGE,
    SCORES,
    VERSION,
    GroupTask,
    Listed,
    Packed,
    group_tasks,
    grouped,
    read_list,
)
from pipelines.stages.near.pair_sets import by_second
from pipelines.stages.stage import Pass, Result
from shards.storage import files

CHUNK_BYTES = 32_000_000
"""Shingles of one side that are compared at once."""

GAP_BYTES = 65_536
"""A gap between two sets of a file that is read along with them, since a second read costs more."""

LOWEST_CONTAINED = 0.5
"""No setting of `containment` asks for a smaller share of shingles."""


def plan(home: Home, recipe: Recipe) -> list[GroupTask]:
    """Every group, to compare its pairs."""
    groups, read = grouped(ordered_slices(home, recipe)), bulk(home)
    gathered = [read(CANDIDATES, members[0].source, members[0].slice) for members in groups]
    _, rows = band_scheme(min(thresholds(recipe).values()))
    wanted = fingerprint(
        stage=VERSION,
        rows=rows,
        candidates=[summary.output for summary in gathered if summary],
    )
    return group_tasks(home, recipe, [wanted] * len(groups))


def scores_address(home: Home, recipe: Recipe, task: GroupTask) -> str:
    """Where the verified pairs of a group are stored."""
    return home.work(SCORES, task.source, f"{task.name}.bin")


def score(home: Home, recipe: Recipe, task: GroupTask, output: files.Output) -> Result:
    """Write the verified pairs (`EDGE`) of a group's later documents: those that any threshold of
    the scheme, with any `containment`, could ask for."""
    listed = read_list(home)
    with files.open_ranges(candidates_file(home, listed[task.index])) as own:
        pairs = read_pairs(own)
    return compare_pairs(home, recipe, task, output, pairs)


def compare_pairs(
    home: Home,
    recipe: Recipe,
    task: GroupTask,
    output: files.Output,
    pairs: NDArray[np.uint64],
) -> Result:
    """Write those of a group's (P, 2) sorted pairs that count, as `EDGE`s."""
    listed = read_list(home)
    _, rows_per_band = band_scheme(min(thresholds(recipe).values()))
    least = least_alike(rows_per_band)
    compared = verified = 0

    with files.open_ranges(candidates_file(home, listed[task.index])) as own:
        here = read_sets(own)
        first_place = np.uint64(task.index << 32)
        places = first_place | here.rows.astype(np.uint64)

        # The later documents of a chunk stay in memory while the earlier ones are read past them.
        for begin, end in chunks(here.ends):
            edges_of_chunk = places[[begin, end - 1]] + np.array([0, 1], np.uint64)
            low, high = np.searchsorted(pairs[:, 0], edges_of_chunk)
            if low == high:
                continue

            sets = read_shingles(own, here.ends, np.arange(begin, end))
            later = Later(here, sets, begin)
            for edges in _compared(home, listed, later, pairs[low:high], least):
                compared += len(edges)
                # Kept for any threshold that the bands serve: a changed one only decides anew.
                is_alike = edges["jaccard"] >= least[0]
                is_contained = edges["contained"] >= least[1]
                kept = edges[is_alike | is_contained]
                verified += len(kept)
                output.write(kept.tobytes())
                tick(compared, task.size * compared // max(len(pairs), 1))

    # No inputs: documents without candidates change without their scores being reckoned anew.
    return Result(counts={"compared": compared, "verified": verified})


def least_alike(rows_per_band: int) -> tuple[int, int]:
    """The Jaccard similarity, and the share of the shorter document's shingles, from which a pair
    can count at any threshold that these bands serve, in billionths."""
    lowest = billionths(lowest_threshold(rows_per_band))
    # As `decision.containment_limits` asks for it; a higher threshold asks for no less.
    return lowest, max(billionths(LOWEST_CONTAINED), 2 * lowest * 10**9 // (10**9 + lowest))


def chunks(ends: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of sets of about `CHUNK_BYTES`, in order; `ends` are the offsets of all sets."""
    begin = 0
    while begin < len(ends) - 1:
        limit = ends[begin] + CHUNK_BYTES // 8
        end = max(begin + 1, int(np.searchsorted(ends, limit, "right")) - 1)
        yield begin, end
        begin = end


ShingleSets = tuple[NDArray[np.uint64], NDArray[np.int64]]
"""Sorted sets end to end, and where each begins."""


def read_shingles(
    stream: files.RangeFile, ends: NDArray[np.int64], which: NDArray[np.int64]
) -> ShingleSets:
    """The sets of the sorted numbers `which`, read forward; sets close to each other at once."""
    lengths = ends[which + 1] - ends[which]
    begins = np.concatenate([[0], np.cumsum(lengths)])
    shingles = np.empty(int(begins[-1]), np.uint64)
    gaps = ends[which[1:]] - ends[which[:-1] + 1]
    far = np.flatnonzero(gaps > GAP_BYTES // 8) + 1

    # One read for sets that are close to each other: on an object store each read is a request.
    for run in np.split(np.arange(len(which)), far):
        first, last = ends[which[run[0]]], ends[which[run[-1]] + 1]
        content = stream.read_at(int(last - first) * 8, int(first) * 8)
        values = np.frombuffer(content, np.uint64)
        begin, end = begins[run[0]], begins[run[-1] + 1]

        if len(values) == end - begin:  # no other sets between them
            shingles[begin:end] = values
            continue
        for number in run:
            own = values[ends[which[number]] - first : ends[which[number] + 1] - first]
            shingles[begins[number] : begins[number + 1]] = own

    return shingles, begins


@dataclass(frozen=True)
class Later:
    """Sets of later documents that are in memory: the directory of their group, the sets, and the
    number of the first of them in the directory."""

    directory: Sets
    sets: ShingleSets
    first: int


def _compared(
    home: Home,
    listed: list[Listed],
    here: Later,
    pairs: NDArray[np.uint64],
    least: tuple[int, int],
) -> Iterator[Packed]:
    """`EDGE`s of pairs whose later documents are in memory; the earlier ones come file by file, in
    order. The similarities of pairs that reach neither of `least` are below it."""
    # By the earlier document, so that each file of the others is read forward, once.
    pairs = by_second(pairs)
    groups = pairs[:, 1] >> np.uint64(32)
    for index in np.unique(groups):
        with files.open_ranges(candidates_file(home, listed[int(index)])) as stream:
            yield from _compared_with(stream, here, pairs[groups == index], least)


def _compared_with(
    stream: files.RangeFile, here: Later, pairs: NDArray[np.uint64], least: tuple[int, int]
) -> Iterator[Packed]:
    """`EDGE`s of pairs whose earlier documents are in one file of candidates."""
    from pipelines.stages.near import kernels

    there = read_sets(stream)
    rows = (pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    later = np.searchsorted(here.directory.rows, rows[:, 0])
    earlier = np.searchsorted(there.rows, rows[:, 1])
    wanted = np.unique(earlier)
    lengths = there.ends[wanted + 1] - there.ends[wanted]

    for begin, end in chunks(np.concatenate([[0], np.cumsum(lengths)])):
        which = wanted[begin:end]
        low, high = np.searchsorted(earlier, [which[0], which[-1] + 1])
        chosen = slice(low, high)
        own_numbers = later[chosen] - here.first
        other_numbers = np.searchsorted(which, earlier[chosen])
        numbers = np.stack([own_numbers, other_numbers], 1)
        found = np.empty((len(numbers), 3), np.int64)
        others = read_shingles(stream, there.ends, which)
        kernels.similarities(*here.sets, *others, numbers, least, found)

        is_shorter = there.words[earlier[chosen]] < here.directory.words[later[chosen]]
        mark = np.where(is_shorter, np.uint64(EARLIER_IS_CONTAINED), np.uint64(0))
        edges = np.empty(len(found), EDGE)
        edges["later"] = pairs[chosen, 0] | mark
        edges["earlier"] = pairs[chosen, 1]
        edges["jaccard"] = found[:, 0]
        edges["contained"] = np.where(is_shorter, found[:, 2], found[:, 1])
        yield edges


SCORE = Pass(name=SCORES, plan=plan, address=scores_address, work=score, label="Scores")
