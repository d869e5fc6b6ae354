"""The list of linked addresses: one row for each, from what the slices of a survey noted, and who
is in it.

    notes (a row a submission) -> 256 parts by the first byte of the key, on disk -> each sorted and
summed -> the list, sorted by key

A key is blake2b-16 of the canonical address, as two numbers. The list is an Arrow file of 256
batches, one for each first byte, so that it is mapped into memory and searched where it lies: any
number of workers share it. Memory: that of one part.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from corpora.text.urls import canonical_url
from shards.storage import files

PARTS = 256

_BATCH = 1 << 17

_LEAST = -(1 << 62)

NOTE_SCHEMA = pa.schema(
    [
        pa.field("high", pa.uint64(), nullable=False),
        pa.field("low", pa.uint64(), nullable=False),
        ("score", pa.int32()),
    ]
    + [pa.field("url", pa.string(), nullable=False)]
)
"""What is kept of a submission: 20 bytes, and its address. `score` null: it has none."""

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
"""A row of the list. `url`: as the submission of the highest score spells it, of equal ones the
shortest, then the first in the alphabet."""


def key_of(canonical: str) -> tuple[int, int]:
    """The key of a canonical address."""
    digest = hashlib.blake2b(canonical.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")


def merge(
    addresses: Sequence[str],
    output: Any,
    min_score: int,
    score_of: Literal["submission", "url"],
    tick: Callable[[int], None],
) -> dict[str, int]:
    """Write the list of those addresses that have a submission of at least `min_score`, or for
    `url` whose submissions have it together. Its `score` is the highest, or the sum. Returns how
    many addresses are listed, the submissions that name them, and those of addresses under the
    score."""
    counts = {"urls": 0, "linked": 0, "unlisted": 0}
    with (
        tempfile.TemporaryDirectory(prefix="corpusmill-") as folder,
        pa.ipc.new_file(output, LIST_SCHEMA) as writer,
    ):
        _scatter(addresses, folder, tick)
        for part in range(PARTS):
            noted = _taken(os.path.join(folder, str(part)))
            batch = _merged(noted, min_score, score_of)
            writer.write_batch(batch)
            linked = int(pc.sum(batch.column("submissions")).as_py() or 0)
            counts["urls"] += len(batch)
            counts["linked"] += linked
            counts["unlisted"] += len(noted) - linked
            tick(part)
    return counts


def _taken(path: str) -> pa.Table:
    """The notes of a part, whose file goes."""
    if not os.path.exists(path):
        return NOTE_SCHEMA.empty_table()
    with pa.OSFile(path) as stream, pa.ipc.open_stream(stream) as reader:
        noted = reader.read_all().combine_chunks()
    os.unlink(path)
    return noted


def _scatter(addresses: Sequence[str], folder: str, tick: Callable[[int], None]) -> None:
    """The notes of all slices, in a file for each first byte of their keys."""
    with ExitStack() as stack:
        writers: dict[int, Any] = {}
        done = 0
        for address in addresses:
            with files.open_input(address) as stream:
                for batch in pq.ParquetFile(stream).iter_batches(_BATCH, columns=NOTE_SCHEMA.names):
                    part_of = (batch.column("high").to_numpy() >> np.uint64(56)).astype(np.int64)
                    order = np.argsort(part_of, kind="stable")
                    edges = np.searchsorted(part_of[order], np.arange(PARTS + 1)).tolist()
                    batch = batch.take(pa.array(order)).cast(NOTE_SCHEMA)
                    for part, (start, stop) in enumerate(zip(edges[:-1], edges[1:])):
                        if start < stop:
                            if part not in writers:
                                written = stack.enter_context(
                                    pa.OSFile(os.path.join(folder, str(part)), "wb")
                                )
                                writers[part] = stack.enter_context(
                                    pa.ipc.new_stream(written, NOTE_SCHEMA)
                                )
                            writers[part].write_batch(batch.slice(start, stop - start))
                    done += len(batch)
                    tick(done)


def _merged(
    noted: pa.Table, min_score: int, score_of: Literal["submission", "url"]
) -> pa.RecordBatch:
    """The rows of the list from the notes of a part."""
    if not len(noted):
        return pa.RecordBatch.from_pylist([], LIST_SCHEMA)
    high, low = noted.column("high").to_numpy(), noted.column("low").to_numpy()
    scored = noted.column("score").is_valid().to_numpy()
    score = noted.column("score").fill_null(0).to_numpy().astype(np.int64)
    rank = np.where(scored, score, _LEAST)
    urls = noted.column("url").combine_chunks()
    length = pc.binary_length(urls).to_numpy()
    order = np.lexsort((length, -rank, low, high))
    high, low, score, scored, rank, length = (
        values[order] for values in (high, low, score, scored, rank, length)
    )
    first = np.ones(len(order), np.bool_)
    first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    starts = np.flatnonzero(first)
    count = np.diff([*starts, len(order)])
    figure = rank[starts] if score_of == "submission" else np.add.reduceat(score, starts)
    any_scored, all_scored = (
        np.logical_or.reduceat(scored, starts),
        np.logical_and.reduceat(scored, starts),
    )
    listed = (figure >= min_score) | ~all_scored
    chosen = order[starts]
    for group, row in _ties(starts[listed], count[listed], rank, length, order, urls):
        chosen[np.flatnonzero(listed)[group]] = row
    columns = [
        pa.array(high[starts][listed]),
        pa.array(low[starts][listed]),
        pa.array(figure[listed], pa.int64(), mask=~any_scored[listed]),
        pa.array(count[listed].astype(np.uint32)),
        urls.take(pa.array(chosen[listed])),
    ]
    return pa.record_batch(columns, schema=LIST_SCHEMA)


def _ties(
    starts: NDArray[np.int64],
    count: NDArray[np.int64],
    rank: NDArray[np.int64],
    length: NDArray[np.int64],
    order: NDArray[np.int64],
    urls: pa.Array,
) -> Iterator[tuple[int, int]]:
    """(group, row) where several spellings of an address have the highest score and the same
    length: the row of the first in the alphabet."""
    for group in np.flatnonzero(count > 1).tolist():
        begin, stop = int(starts[group]), int(starts[group] + count[group])
        equal = [
            int(order[at])
            for at in range(begin, stop)
            if rank[at] == rank[begin] and length[at] == length[begin]
        ]
        if len(equal) > 1:
            yield group, min(equal, key=lambda row: str(urls[row].as_py()))


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
        """(score, submissions) of an address in any spelling; None: it is not listed."""
        high, low = key_of(canonical_url(url))
        highs, lows = self._keys[high >> 56]
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
                piece = batch.slice(start, _BATCH)
                for url, score, submissions in zip(
                    *(piece.column(name).to_pylist() for name in ("url", "score", "submissions"))
                ):
                    yield url, canonical_url(url), score, submissions


def _plain(column: pa.Array) -> NDArray[np.uint64]:
    data = column.buffers()[1]
    return (
        np.frombuffer(data, np.uint64, len(column), column.offset * 8)
        if data and len(column)
        else np.zeros(0, np.uint64)
    )


@contextmanager
def open_links(address: str) -> Iterator[Links]:
    """The list at an address; of a store's a local copy for as long as the block lasts."""
    with files.local_copy(address) as path:
        yield Links(files.resolve(path)[1])
