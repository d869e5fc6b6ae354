"""The fourth pass of stage `near`: candidate pairs are compared by their true sets of shingles.

Sets of both sides are read forward, and arrays of bounded size are held.
"""

from collections.abc import Iterator
from typing import Any

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
    group_tasks,
    grouped,
    read_list,
)
from pipelines.stages.stage import Pass, Result
from shards.storage import files

CHUNK_BYTES = 32_000_000
"""Shingles of one side that are compared at once."""

GAP_BYTES = 65_536
"""A hole between two reads of a file that is read over, not jumped over."""

LOWEST_CONTAINED = 0.5
"""Verified pairs of less are not kept, whatever the setting."""


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
    the scheme, or any `containment` of `LOWEST_CONTAINED` and up, could ask for."""
    listed = read_list(home)
    _, rows_per_band = band_scheme(min(thresholds(recipe).values()))
    lowest = billionths(lowest_threshold(rows_per_band))
    compared = verified = 0

    with files.open_ranges(candidates_file(home, listed[task.index])) as own:
        here, pairs = read_sets(own), read_pairs(own)
        first_place = np.uint64(task.index << 32)
        places = first_place | here.rows.astype(np.uint64)

        for begin, end in _chunks(here.ends):
            edges_of_chunk = places[[begin, end - 1]] + np.array([0, 1], np.uint64)
            low, high = np.searchsorted(pairs[:, 0], edges_of_chunk)
            if low == high:
                continue

            sets = _read_shingles(own, here.ends, np.arange(begin, end))
            for edges in _compared(home, listed, here, sets, begin, pairs[low:high]):
                compared += len(edges)
                is_alike = edges["jaccard"] >= lowest
                is_contained = edges["contained"] >= billionths(LOWEST_CONTAINED)
                kept = edges[is_alike | is_contained]
                verified += len(kept)
                output.write(kept.tobytes())
                tick(compared, task.size * compared // max(len(pairs), 1))

    return Result(counts={"compared": compared, "verified": verified}, inputs=task.inputs)


SCORE = Pass(name=SCORES, plan=plan, address=scores_address, work=score, label="Scores")


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
    from pipelines.stages.near import kernels

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
                kernels.similarities(
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
