"""The list of linked addresses: one row per address, merged from the notes of a survey's slices.

    notes (one row per submission)
    -> 256 files on disk, by the first byte of the key
    -> each sorted and summed
    -> the list, sorted by key

A key is the blake2b-16 digest of the canonical address, as two numbers. The list is an Arrow file
of 256 batches, one per first byte, which is mapped into memory and searched in place: any number of
workers share it. Memory: that of the notes of one first byte.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from corpora.text.urls import canonical_url
from shards.storage import files

PARTS = 256
"""Batches of the list, one per first byte of the keys."""

_BATCH = 1 << 17
"""Rows that are read at once."""

_LEAST = -(1 << 62)
"""Ranks below every score: of submissions without one."""

ScoreOf = Literal["submission", "url"]
"""Whose score an address must have: that of one submission, or that of all together."""

NOTE_SCHEMA = pa.schema(
    [
        pa.field("high", pa.uint64(), nullable=False),
        pa.field("low", pa.uint64(), nullable=False),
        ("score", pa.int32()),
    ]
    + [pa.field("url", pa.string(), nullable=False)]
)
"""The note of a submission: 20 bytes and its address. `score` is null when it has none."""

LIST_SCHEMA = pa.schema(
    [
        pa.field("high", pa.uint64(), nullable=False),
        pa.field("low", pa.uint64(), nullable=False),
        ("score", pa.int64()),
    ]
    + [
        pa.field("submissions", pa.uint32(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
    ]
)
"""A row of the list. `url` is spelled as in the submission with the highest score; of several with
it the shortest spelling, then the first in the alphabet."""


def key_of(canonical: str) -> tuple[int, int]:
    """The key of a canonical address."""
    digest = hashlib.blake2b(canonical.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")


def merge(
    addresses: Sequence[str],
    output: files.Output,
    min_score: int,
    score_of: ScoreOf,
    tick: Callable[[int], None],
) -> dict[str, int]:
    """Write the list of the addresses that have a score of at least `min_score`, from the notes at
    `addresses`.

    The score of an address is the highest of its submissions, or their sum (`score_of` url).
    Returns the counts `urls` (addresses listed), `linked` (submissions that name them) and
    `unlisted` (submissions of the other addresses).
    """
    counts = {"urls": 0, "linked": 0, "unlisted": 0}
    with (
        tempfile.TemporaryDirectory(prefix="corpusmill-") as folder,
        pa.ipc.new_file(output, LIST_SCHEMA) as writer,
    ):
        # On disk first: the notes of all slices do not fit into memory.
        _scatter(addresses, folder, tick)
        for part in range(PARTS):
            notes = _read_part(os.path.join(folder, str(part)))
            batch = _merged(notes, min_score, score_of)
            writer.write_batch(batch)

            linked = int(pc.sum(batch.column("submissions")).as_py() or 0)
            counts["urls"] += len(batch)
            counts["linked"] += linked
            counts["unlisted"] += len(notes) - linked
            tick(part)
    return counts


def _read_part(path: str) -> pa.Table:
    """The notes of a part, whose file is removed."""
    if not os.path.exists(path):
        return NOTE_SCHEMA.empty_table()
    with pa.OSFile(path) as stream, pa.ipc.open_stream(stream) as reader:
        notes = reader.read_all().combine_chunks()
    # At once, so that the disk need not hold all notes and the list together.
    os.unlink(path)
    return notes


def _scatter(addresses: Sequence[str], folder: str, tick: Callable[[int], None]) -> None:
    """Write the notes of all slices into one file for each first byte of their keys."""
    writers: dict[int, pa.RecordBatchStreamWriter] = {}
    done = 0
    with ExitStack() as stack:
        for batch in _note_batches(addresses):
            for part, rows in _by_first_byte(batch):
                if part not in writers:
                    file = stack.enter_context(pa.OSFile(os.path.join(folder, str(part)), "wb"))
                    writers[part] = stack.enter_context(pa.ipc.new_stream(file, NOTE_SCHEMA))
                writers[part].write_batch(rows)
            done += len(batch)
            tick(done)


def _note_batches(addresses: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for address in addresses:
        with files.open_input(address) as stream:
            yield from pq.ParquetFile(stream).iter_batches(_BATCH, columns=NOTE_SCHEMA.names)


def _by_first_byte(batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(first byte of the key, its rows) for each first byte in a batch."""
    first_bytes = (batch.column("high").to_numpy() >> np.uint64(56)).astype(np.int64)
    order = np.argsort(first_bytes, kind="stable")
    edges = np.searchsorted(first_bytes[order], np.arange(PARTS + 1)).tolist()
    ordered = batch.take(pa.array(order)).cast(NOTE_SCHEMA)

    for part in range(PARTS):
        start = edges[part]
        count = edges[part + 1] - start
        if count:
            yield part, ordered.slice(start, count)


@dataclass(frozen=True, kw_only=True)
class _Sorted:
    """The N notes of a part in groups of one address, best first: by key, then by descending rank,
    then by the length of the spelling."""

    high: NDArray[np.uint64]
    low: NDArray[np.uint64]
    score: NDArray[np.int64]
    """0 for a submission without one."""
    scored: NDArray[np.bool_]
    rank: NDArray[np.int64]
    """The score; below every score for a submission without one."""
    length: NDArray[np.int64]
    row: NDArray[np.int64]
    """The row of the note in the part."""
    urls: pa.Array
    """The spellings, by row."""


def _sorted(notes: pa.Table) -> _Sorted:
    high = notes.column("high").to_numpy()
    low = notes.column("low").to_numpy()
    scored = notes.column("score").is_valid().to_numpy()
    score = notes.column("score").fill_null(0).to_numpy().astype(np.int64)
    rank = np.where(scored, score, _LEAST)
    urls = notes.column("url").combine_chunks()
    length = pc.binary_length(urls).to_numpy()

    # lexsort sorts by its last key first.
    order = np.lexsort((length, -rank, low, high))
    return _Sorted(
        high=high[order],
        low=low[order],
        score=score[order],
        scored=scored[order],
        rank=rank[order],
        length=length[order],
        row=order,
        urls=urls,
    )


def _merged(notes: pa.Table, min_score: int, score_of: ScoreOf) -> pa.RecordBatch:
    """The rows of the list from the notes of a part."""
    if not len(notes):
        return pa.RecordBatch.from_pylist([], LIST_SCHEMA)

    by_key = _sorted(notes)
    # A group begins where either half of the key changes.
    begins = np.ones(len(notes), np.bool_)
    begins[1:] = (by_key.high[1:] != by_key.high[:-1]) | (by_key.low[1:] != by_key.low[:-1])
    starts = np.flatnonzero(begins)
    count = np.diff([*starts, len(notes)])

    # The best submission of an address is the first of its group.
    if score_of == "submission":
        address_score = by_key.rank[starts]
    else:
        address_score = np.add.reduceat(by_key.score, starts)
    any_scored = np.logical_or.reduceat(by_key.scored, starts)
    all_scored = np.logical_and.reduceat(by_key.scored, starts)
    # A submission without a score is one of a list, which is wanted as it is.
    listed = (address_score >= min_score) | ~all_scored

    starts = starts[listed]
    count = count[listed]
    spelling = by_key.row[starts]
    for group, row in _ties(by_key, starts, count):
        spelling[group] = row
    columns = [
        pa.array(by_key.high[starts]),
        pa.array(by_key.low[starts]),
        pa.array(address_score[listed], pa.int64(), mask=~any_scored[listed]),
        pa.array(count.astype(np.uint32)),
        by_key.urls.take(pa.array(spelling)),
    ]
    return pa.record_batch(columns, schema=LIST_SCHEMA)


def _ties(
    by_key: _Sorted, starts: NDArray[np.int64], count: NDArray[np.int64]
) -> Iterator[tuple[int, int]]:
    """(group, row) for groups in which several spellings have the highest score and the same
    length: the row of the first in the alphabet."""
    # Few addresses are spelled in several ways: a loop will do.
    for group in np.flatnonzero(count > 1).tolist():
        begin = int(starts[group])
        rows = []
        for at in range(begin, begin + int(count[group])):
            if by_key.rank[at] == by_key.rank[begin] and by_key.length[at] == by_key.length[begin]:
                rows.append(int(by_key.row[at]))
        if len(rows) > 1:
            yield group, min(rows, key=lambda row: str(by_key.urls[row].as_py()))


class Links:
    """A list, mapped into memory."""

    def __init__(self, path: str) -> None:
        self._map = pa.memory_map(path)
        reader = pa.ipc.open_file(self._map)
        self._batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        self._keys = [
            (_plain(batch.column("high")), _plain(batch.column("low"))) for batch in self._batches
        ]

    def find(self, url: str) -> tuple[int | None, int] | None:
        """(score, submissions) of an address in any spelling; None when it is not listed."""
        high, low = key_of(canonical_url(url))
        highs, lows = self._keys[high >> 56]
        # Keys with the same first half, which are rare, follow each other.
        at = int(np.searchsorted(highs, np.uint64(high)))
        while at < len(highs) and int(highs[at]) == high:
            if int(lows[at]) == low:
                row = self._batches[high >> 56].slice(at, 1)
                return row.column("score")[0].as_py(), row.column("submissions")[0].as_py()
            at += 1
        return None

    def rows(self) -> Iterator[tuple[str, str, int | None, int]]:
        """(address, canonical address, score, submissions) of each, in the order of their keys."""
        for batch in self._batches:
            for start in range(0, len(batch), _BATCH):
                rows = batch.slice(start, _BATCH)
                columns = [
                    rows.column(name).to_pylist() for name in ("url", "score", "submissions")
                ]
                for url, score, submissions in zip(*columns):
                    yield url, canonical_url(url), score, submissions


def _plain(column: pa.Array) -> NDArray[np.uint64]:
    """The numbers of a column in the mapped file, without a copy."""
    data = column.buffers()[1]
    if not data or not len(column):
        return np.zeros(0, np.uint64)
    return np.frombuffer(data, np.uint64, len(column), column.offset * 8)


@contextmanager
def open_links(address: str) -> Iterator[Links]:
    """The list at an address; a remote one is copied for as long as the block lasts."""
    with files.local_copy(address) as path:
        yield Links(files.resolve(path)[1])
