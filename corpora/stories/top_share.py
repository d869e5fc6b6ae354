"""The best share of all documents, by whole numbers that a survey noted of each: an exact cut, in
bounded memory.

Of N documents ceil(fraction * N) are chosen; of equal ones at the cut the first in the order of the
source. The notes are read forward: once to count them, four times to find the cut, once to write
what is above it.
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

_ROWS = 100_000
"""Of a batch, and of a row group."""

_ABOVE_ALL = (1 << 62) + 1
"""Scores are 0 to 2**62."""


def write_best(
    fraction: float, addresses: Sequence[str], output: files.Output, tick: Callable[[int], None]
) -> dict[str, int]:
    """Write the best share of the documents that were noted at `addresses`, as `CHOSEN`, in their
    order. Counts: `candidates`, `chosen`.

    The notes have the columns `part` (which of the paths of the file's metadata), `position` and
    `score`, which is null for a record that may not be chosen.
    """
    clock = itertools.count()

    def columns(*names: str) -> Iterator[tuple[str, pa.RecordBatch]]:
        for address in addresses:
            with files.open_input(address) as stream:
                for batch in pq.ParquetFile(stream).iter_batches(_ROWS, columns=["score", *names]):
                    tick(next(clock))
                    yield address, batch.filter(pc.is_valid(batch.column("score")))

    def scores() -> Iterator[NDArray[np.int64]]:
        return (batch.column("score").to_numpy() for _, batch in columns())

    candidates = sum(map(len, scores()))
    wanted = how_many(fraction, candidates)
    cut_at, ties = cut_score(scores, wanted)
    chosen = 0
    with pq.ParquetWriter(output, CHOSEN, compression="zstd") as writer:
        held: list[pa.RecordBatch] = []
        for address, batch in columns("part", "position"):
            score = batch.column("score").to_numpy()
            tied = score == cut_at
            rows = (score > cut_at) | (tied & (np.cumsum(tied) <= ties))
            ties -= int(np.sum(tied & rows))
            if rows.any():
                held.append(_with_paths(address, batch.filter(pa.array(rows))))
                chosen += int(rows.sum())
            if sum(map(len, held)) >= _ROWS:
                held = _write(writer, held, _ROWS)
        if held:
            _write(writer, held, 1)
    return {"candidates": candidates, "chosen": chosen}


def how_many(fraction: float, candidates: int) -> int:
    """ceil(fraction * candidates) of the fraction as it is written, at least 1 of any."""
    exact = fractions.Fraction(str(fraction)) * candidates
    return min(candidates, max(1, math.ceil(exact)))


def cut_score(scores: Callable[[], Iterator[NDArray[np.int64]]], wanted: int) -> tuple[int, int]:
    """The `wanted`-th highest of numbers from 0 to 2**62, and how many of those equal to it are
    among the `wanted` highest.

    Reads them four times, 16 bits a time, and holds 65,536 counts. With `wanted` 0: (2**62 + 1, 0).
    """
    if wanted == 0:
        return _ABOVE_ALL, 0
    above, left = 0, wanted
    for shift in (48, 32, 16, 0):
        counts = np.zeros(1 << 16, np.int64)
        for block in scores():
            within = block[(block >> shift >> 16) == above]
            counts += np.bincount((within >> shift) & 0xFFFF, minlength=1 << 16)
        from_top = np.cumsum(counts[::-1])
        digit = int(np.searchsorted(from_top, left))
        left -= int(from_top[digit] - counts[::-1][digit])
        above = above << 16 | (0xFFFF - digit)
    return above, left


def _with_paths(address: str, batch: pa.RecordBatch) -> pa.RecordBatch:
    paths = _paths(address)
    found = [paths[part] for part in batch.column("part").to_pylist()]
    return pa.record_batch(
        [pa.array(found, pa.string()), batch.column("position"), batch.column("score")],
        schema=CHOSEN,
    )


def _paths(address: str) -> list[str]:
    """The paths of a slice, as UTF-8 can hold them."""
    with files.open_input(address) as stream:
        listed = json.loads(pq.read_schema(stream).metadata[b"corpusmill.paths"])
    return [storable(path) for path in listed]


def storable(path: str) -> str:
    """As UTF-8 can hold it: the name of a file may hold lone surrogates."""
    return path.encode("utf-8", "backslashreplace").decode()


def _write(writer: pq.ParquetWriter, held: list[pa.RecordBatch], unit: int) -> list[pa.RecordBatch]:
    """Write as many rows as a multiple of `unit` allows, in groups of `_ROWS`, however they came;
    what is left."""
    table = pa.Table.from_batches(held).combine_chunks()
    whole = len(table) // unit * unit
    for begin in range(0, whole, _ROWS):
        writer.write_table(
            table.slice(begin, min(_ROWS, whole - begin)).combine_chunks(), row_group_size=_ROWS
        )
    return list(table.slice(whole).to_batches())


def read_best(conclusion: str, paths: set[str]) -> dict[str, dict[int, int]]:
    """The scores of the chosen documents of some paths, by position."""
    found: dict[str, dict[int, int]] = {}
    names = sorted(paths)
    with files.open_input(conclusion) as stream:
        table = pq.ParquetFile(stream)
        for batch in table.iter_batches(
            _ROWS, row_groups=_groups_within(table, names[0], names[-1])
        ):
            batch = batch.filter(pc.is_in(batch.column("path"), pa.array(names, pa.string())))
            for path, position, score in zip(*(column.to_pylist() for column in batch.columns)):
                found.setdefault(path, {})[position] = score
    return found


def _groups_within(table: pq.ParquetFile, first: str, last: str) -> list[int]:
    """The row groups that may hold a path from `first` to `last`: of a great conclusion a slice
    needs one or two."""
    bounds = [
        table.metadata.row_group(index).column(0).statistics
        for index in range(table.num_row_groups)
    ]
    return [
        index
        for index, bound in enumerate(bounds)
        if bound is None or not bound.has_min_max or (bound.min <= last and first <= bound.max)
    ]
