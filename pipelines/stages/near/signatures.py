"""The first pass of stage `near`: the band keys of every document that takes part.

A signature is 256 MinHash values of a document's shingles; a band is some of them in a row, and its
key is their hash. Documents that share a key of any band are compared later. Texts of fewer words
than a shingle has (`ngram`) get no signature. Memory is one row group, and the keys of a segment.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipelines.home.cuts import text_groups
from pipelines.home.decisions import attribute_digests, kept_rows, twins
from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import EXACT, NEAR, Home
from pipelines.home.summaries import Summary, bulk, ordered_slices, prune
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.near.bands import band_scheme, thresholds
from pipelines.stages.near.groups import (
    CANDIDATES,
    DECISION,
    LONG_RECORD,
    RECORD,
    SCORES,
    SIGNATURES,
    VERSION,
    Form,
    GroupTask,
    Packed,
    group_tasks,
    grouped,
)
from pipelines.stages.stage import Pass, Result
from shards.errors import UserError
from shards.storage import files

SEGMENT_DOCUMENTS = 250_000
"""About how many signed documents a segment of a signatures file holds: 64 MB of keys."""

UNKNOWN_TIME = (1 << 32) - 1
"""The order of a document without a crawl time: the last of its source."""


def plan(home: Home, recipe: Recipe) -> list[GroupTask]:
    """Every group, to be signed; removes the files of groups and slices that no longer exist.

    Raises `UserError` when a stage before has not run.
    """
    slices = ordered_slices(home, recipe)
    if not slices:
        raise UserError(f"{home.root}: nothing is ingested", "corpus build RECIPE --home DIR")

    groups = grouped(slices)
    wanted = {(members[0].source, members[0].slice) for members in groups}
    prune(home, SIGNATURES, wanted, (f"work/{SIGNATURES}",))
    prune(home, CANDIDATES, wanted, (f"work/{CANDIDATES}",))
    prune(home, SCORES, wanted, (f"work/{SCORES}", f"work/{DECISION}"))
    every_slice = {(summary.source, summary.slice) for summary in slices}
    prune(home, NEAR, every_slice, (f"attributes/{NEAR}",))

    bands, rows = band_scheme(min(thresholds(recipe).values()))
    settings: dict[str, Any] = {"stage": VERSION, "bands": bands, "rows": rows}
    settings |= {"ngram": recipe.dedup.ngram, "keep": recipe.dedup.keep}
    read = bulk(home)

    def digests_before(summary: Summary) -> list[str]:
        return attribute_digests(home, recipe, summary, before=NEAR, read=read)

    digests = iter(files.each(home.root, digests_before, slices))
    fingerprints = []
    for members in groups:
        before = [[*next(digests)] for _ in members]
        wanted_now = fingerprint(
            **settings,
            documents=[summary.output for summary in members],
            before=[*before, recipe.sources[members[0].source].dedup.before_rules],
        )
        fingerprints.append(wanted_now)

    return group_tasks(home, recipe, fingerprints)


def signatures_address(home: Home, recipe: Recipe, task: GroupTask) -> str:
    """Where the band keys of a group are stored."""
    return home.work(SIGNATURES, task.source, f"{task.name}.bin")


def sign(home: Home, recipe: Recipe, task: GroupTask, output: files.Output) -> Result:
    """Write the band keys of a group.

    The file is segments of (bands, S) `RECORD`s, those of a band sorted by the top 8 bits of their
    keys; then where each of the 256 begins, (bands, 257, segments) uint32, and the number of
    segments.
    """
    bands, _ = band_scheme(min(thresholds(recipe).values()))
    waiting = row = signed = 0
    segment: list[tuple[Packed, ...]] = []
    bounds: list[NDArray[np.uint32]] = []

    for ingested in task.members:
        compared = compared_rows(home, recipe, ingested)
        for first, table in text_groups(home, recipe, ingested, ("text", "crawled")):
            asked = compared[first : first + table.num_rows]
            keys, rows, order = _signatures(table, asked, recipe, bands)
            segment.append((keys, rows + np.uint32(row), order))
            row += table.num_rows
            waiting += len(rows)
            tick(row, task.size * row // max(task.documents, 1))

            # A segment is sorted in memory; its records are then read by ranges of their keys.
            if waiting >= SEGMENT_DOCUMENTS:
                bounds.append(write_segment(output, segment, RECORD))
                segment, signed, waiting = [], signed + waiting, 0

    if waiting:
        bounds.append(write_segment(output, segment, RECORD))
    write_bounds(output, bounds)

    return Result(counts={"documents": row, "signed": signed + waiting}, inputs=task.inputs)


def _signatures(
    table: pa.Table, asked: NDArray[np.bool_], recipe: Recipe, bands: int
) -> tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.uint32]]:
    """(S, bands) keys, (S,) rows in the table and (S,) survivor order of those documents of a row
    group that are asked for and long enough."""
    from pipelines.stages.near import kernels
    from pipelines.stages.near.word_table import word_table

    text, ends = text_buffer(table.column("text"))
    keys = np.zeros((table.num_rows, bands), np.uint64)
    words = np.zeros(table.num_rows, np.uint32)
    ngram = recipe.dedup.ngram
    kernels.sign(text, ends, asked, ngram, word_table(), keys, words)

    signed = np.flatnonzero(words >= ngram)
    order = survivor_order(table.column("crawled"), np.diff(ends), recipe)
    return keys[signed], signed.astype(np.uint32), order[signed]


def compared_rows(home: Home, recipe: Recipe, ingested: Summary) -> NDArray[np.bool_]:
    """(D,) which documents of a slice take part: those that the stages before keep, or with
    `before_rules` all except those that `exact` removes."""
    if not recipe.sources[ingested.source].dedup.before_rules:
        return kept_rows(home, recipe, ingested, before=NEAR)
    if not recipe.dedup.exact:
        return np.ones(ingested.counts["documents"], np.bool_)

    kept: NDArray[np.bool_] = twins(home, EXACT, ingested).column("twin").is_null().to_numpy()
    return kept


def write_segment(
    output: files.Output, segment: list[tuple[Packed, ...]], record: Form
) -> NDArray[np.uint32]:
    """Write the keys (S, bands), rows and order (S,) of signed documents, and for a `LONG_RECORD`
    their long runs (S,), in several pieces, as records of this form; returns (bands, 257) where
    each top byte begins."""
    from pipelines.stages.near import kernels

    keys, rows, order, *long_runs = zip(*segment)
    bands = keys[0].shape[1]
    all_rows, all_order = np.concatenate(rows), np.concatenate(order)
    bounds = np.zeros((bands, 257), np.uint32)
    places = np.empty(len(all_rows), np.int64)

    for band in range(bands):
        # One band at a time: all keys together would be held twice.
        of_band = np.concatenate([part[:, band] for part in keys])
        kernels.bucket_sort(of_band, places, bounds[band])
        records = np.empty(len(places), record)
        records["key"] = of_band[places]
        records["row"] = all_rows[places]
        records["order"] = all_order[places]
        if record == LONG_RECORD:
            of_next = np.concatenate([part[:, (band + 1) % bands] for part in keys])
            records["next"] = of_next[places]
            records["long_runs"] = np.concatenate(long_runs[0])[places]
        output.write(records.tobytes())

    return bounds


def write_bounds(output: files.Output, bounds: list[NDArray[np.uint32]]) -> None:
    """Write the end of a signatures file: where each top byte begins, in all segments."""
    if bounds:
        output.write(np.stack(bounds, 2).tobytes())
    output.write(len(bounds).to_bytes(8, "little"))


SIGN = Pass(name=SIGNATURES, plan=plan, address=signatures_address, work=sign)


def text_buffer(column: pa.ChunkedArray) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of D texts end to end, and their (D + 1,) offsets."""
    array = column.combine_chunks().cast(pa.large_string())
    if isinstance(array, pa.ChunkedArray):  # what older versions of pyarrow give
        array = array.chunk(0) if array.num_chunks else pa.array([], pa.large_string())

    _, offsets, data = array.buffers()
    text = np.frombuffer(data or b"", np.uint8)
    if not offsets:  # an array without rows may have no buffers
        return text, np.zeros(1, np.int64)

    first = array.offset
    return text, np.frombuffer(offsets, np.int64)[first : first + len(array) + 1]


def survivor_order(
    crawled: pa.ChunkedArray, lengths: NDArray[np.int64], recipe: Recipe
) -> NDArray[np.uint32]:
    """(D,) the survivor order of documents within a source, before path and position, as
    `dedup.keep` asks for it; `lengths` (D,) are their bytes of text.

    Times are seconds since 1970, unknown ones last; those before 1970 or after 2106 count as the
    nearest that 32 bits can hold.
    """
    if recipe.dedup.keep == "longest":
        return (UNKNOWN_TIME - lengths).astype(np.uint32)

    seconds = crawled.cast(pa.timestamp("s", "UTC")).cast(pa.int64())
    order: NDArray[np.int64] = np.clip(seconds.fill_null(0).to_numpy(), 0, UNKNOWN_TIME - 1)
    if recipe.dedup.keep == "newest":
        order = UNKNOWN_TIME - 1 - order
    order[seconds.is_null().to_numpy()] = UNKNOWN_TIME
    return order.astype(np.uint32)


def read_bounds(stream: files.RangeFile, bands: int, first: int, count: int) -> NDArray[np.int64]:
    """(segments, `count`, 257) where each top byte begins, of `count` bands of a signatures file,
    beginning with `first`."""
    size = stream.size()
    segments = int.from_bytes(stream.read_at(8, size - 8), "little")
    of_band = 257 * segments * 4
    content = stream.read_at(count * of_band, size - 8 - (bands - first) * of_band)
    bounds = np.frombuffer(content, np.uint32).reshape(count, 257, segments)
    return bounds.transpose(2, 0, 1).astype(np.int64)
