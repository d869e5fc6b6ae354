"""The documents with the highest scores out of all that a survey noted: an exact cut in bounded
memory.

Of N documents ceil(fraction * N) are chosen; of documents with the score at the cut, the first in
the order of the source. Scores are whole numbers. The notes are read six times, forward: once to
count the documents, four times to find the cut, once to write the documents above it. Memory is one
batch of notes and 65,536 counts.
"""

import fractions
import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shards.storage import files

CHOSEN = pa.schema([("path", pa.string()), ("position", pa.int64()), ("score", pa.int64())])
"""The conclusion: one row per chosen document, in the order of the source."""

_ROWS = 100_000
"""Rows of a batch, and of a row group."""

_ABOVE_ALL = (1 << 62) + 1
"""Higher than any score; scores are 0 to 2**62."""


def write_best(
    fraction: float, addresses: Sequence[str], output: files.Output, tick: Callable[[int], None]
) -> dict[str, int]:
    """Write the best share of the documents noted at `addresses`, as `CHOSEN`, in their order.

    The notes have the columns `part` (an index into the paths of the file's metadata), `position`
    and `score`, which is null for a record that may not be chosen. Returns the counts `candidates`
    and `chosen`.
    """
    clock = itertools.count()

    def scores() -> Iterator[NDArray[np.int64]]:
        for _, batch in _scored_batches(addresses, ["score"]):
            tick(next(clock))
            yield batch.column("score").to_numpy()

    # The scores of all documents do not fit into memory: each use reads the notes again.
    candidates = sum(map(len, scores()))
    cut, ties = cut_score(scores, how_many(fraction, candidates))

    chosen = 0
    with pq.ParquetWriter(output, CHOSEN, compression="zstd") as writer:
        waiting: list[pa.RecordBatch] = []
        for address, batch in _scored_batches(addresses, ["score", "part", "position"]):
            tick(next(clock))
            rows, tied_rows = _rows_above(batch.column("score").to_numpy(), cut, ties)
            ties -= tied_rows
            if rows.any():
                waiting.append(_with_paths(address, batch.filter(pa.array(rows))))
                chosen += int(rows.sum())
            if sum(map(len, waiting)) >= _ROWS:
                waiting = _write(writer, waiting, _ROWS)
        if waiting:
            _write(writer, waiting, 1)
    return {"candidates": candidates, "chosen": chosen}


def _scored_batches(
    addresses: Sequence[str], columns: list[str]
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """(address, notes of documents that may be chosen), in the order of the source."""
    for address in addresses:
        with files.open_input(address) as stream:
            for batch in pq.ParquetFile(stream).iter_batches(_ROWS, columns=columns):
                yield address, batch.filter(pc.is_valid(batch.column("score")))


def _rows_above(score: NDArray[np.int64], cut: int, ties: int) -> tuple[NDArray[np.bool_], int]:
    """Which rows of a batch are chosen, and how many of them have the score at the cut; `ties` of
    those with it may be chosen from here on."""
    tied = score == cut
    chosen_ties = tied & (np.cumsum(tied) <= ties)
    return (score > cut) | chosen_ties, int(np.sum(chosen_ties))


def how_many(fraction: float, candidates: int) -> int:
    """ceil(fraction * candidates), at least 1 unless there are none.

    The fraction is taken as it is written: 0.1 is a tenth, not the float next to it.
    """
    exact = fractions.Fraction(str(fraction)) * candidates
    return min(candidates, max(1, math.ceil(exact)))


def cut_score(scores: Callable[[], Iterator[NDArray[np.int64]]], wanted: int) -> tuple[int, int]:
    """The `wanted`-th highest of numbers from 0 to 2**62, and how many of the numbers equal to it
    are among the `wanted` highest.

    A radix selection: each of four readings counts the next 16 bits of the numbers that agree with
    the cut so far. With `wanted` 0: (2**62 + 1, 0).
    """
    if wanted == 0:
        return _ABOVE_ALL, 0

    prefix = 0
    left = wanted
    for shift in (48, 32, 16, 0):
        counts = np.zeros(1 << 16, np.int64)
        for block in scores():
            # Two shifts: one by 64 is undefined.
            within = block[(block >> shift >> 16) == prefix]
            counts += np.bincount((within >> shift) & 0xFFFF, minlength=1 << 16)

        descending = counts[::-1]
        from_top = np.cumsum(descending)
        # The first place at which the count from the top reaches what is left.
        place = int(np.searchsorted(from_top, left))
        left -= int(from_top[place] - descending[place])
        prefix = prefix << 16 | (0xFFFF - place)
    return prefix, left


def _with_paths(address: str, batch: pa.RecordBatch) -> pa.RecordBatch:
    slice_paths = _paths(address)
    paths = [slice_paths[part] for part in batch.column("part").to_pylist()]
    return pa.record_batch(
        [pa.array(paths, pa.string()), batch.column("position"), batch.column("score")],
        schema=CHOSEN,
    )


def _paths(address: str) -> list[str]:
    """The paths of a slice, as UTF-8 can hold them."""
    with files.open_input(address) as stream:
        paths = json.loads(pq.read_schema(stream).metadata[b"corpusmill.paths"])
    return [storable(path) for path in paths]


def storable(path: str) -> str:
    """The path as UTF-8 can hold it: the name of a file may hold lone surrogates."""
    return path.encode("utf-8", "backslashreplace").decode()


def _write(
    writer: pq.ParquetWriter, waiting: list[pa.RecordBatch], unit: int
) -> list[pa.RecordBatch]:
    """Write the largest multiple of `unit` rows in groups of `_ROWS`; returns the rows left over.

    The groups have the same rows however the batches were cut, so the file has the same bytes.
    """
    table = pa.Table.from_batches(waiting).combine_chunks()
    whole = len(table) // unit * unit
    for begin in range(0, whole, _ROWS):
        group = table.slice(begin, min(_ROWS, whole - begin)).combine_chunks()
        writer.write_table(group, row_group_size=_ROWS)
    return list(table.slice(whole).to_batches())


def read_best(conclusion: str, paths: set[str]) -> dict[str, dict[int, int]]:
    """The scores of the chosen documents of some paths, by path and position."""
    names = sorted(paths)
    scores: dict[str, dict[int, int]] = {}
    with files.open_input(conclusion) as stream:
        table = pq.ParquetFile(stream)
        # Rows are in the order of the source, so that the paths of a slice stand together.
        groups = _groups_within(table, names[0], names[-1])
        for batch in table.iter_batches(_ROWS, row_groups=groups):
            batch = batch.filter(pc.is_in(batch.column("path"), pa.array(names, pa.string())))
            columns = [column.to_pylist() for column in batch.columns]
            for path, position, score in zip(*columns):
                scores.setdefault(path, {})[position] = score
    return scores


def _groups_within(table: pq.ParquetFile, first: str, last: str) -> list[int]:
    """The row groups that may hold a path from `first` to `last`: a slice needs one or two of a
    large conclusion."""
    groups = []
    for index in range(table.num_row_groups):
        bounds = table.metadata.row_group(index).column(0).statistics
        known = bounds is not None and bounds.has_min_max
        if not known or (bounds.min <= last and first <= bounds.max):
            groups.append(index)
    return groups
