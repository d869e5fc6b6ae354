"""Stage `near`: of documents that share most of their shingles (5 words in a row), the first in
survivor order stays.

LSH proposes, evidence decides: whatever is proposed is compared by the exact Jaccard similarity of
the shingle sets, and a document goes only for a named, kept, verified twin. There is no closure: of
a chain A ~ B ~ C in which A and C differ, B goes for A, and C stays.

    signatures   a group: band keys of each document that `exact` keeps; texts of fewer than `ngram` words have none
    pairs        bands, a part of the keys: records of equal keys meet, each run gives pairs       (pipelines/stages/near/pairs.py)
    candidates   a group: its pairs, each once, and the shingles of its documents that are in any  (pipelines/stages/near/scores.py)
    scores       a group: the similarity of its pairs
    decision     one worker: which documents go, and for which twin                              (pipelines/stages/near/decision.py)
    near         a slice: the attributes

**Contained documents** (an edition with parts left out, a page that quotes another whole) go in a
pass before: of a pair that is no near-duplicate, the one of fewer words goes when the other holds
`containment` of its shingles. Order: words, most first, then survivor order. Where the container
itself goes in the later pass and no other is kept, the removal is taken back and the pass made
again, so that every twin is a kept one.

Law 1: what passes from worker to worker are packed arrays in files below `work/`, partitioned by
key or by group and read by ranges: records of 16 bytes a band (key, row, order; a pass is four
bands), pairs of 16 bytes, verified pairs of 24. Settings that only choose among verified pairs (a
raised threshold, scope) redo the decision alone.

**Groups.** Each part of the keys reads a file of every group, so the number of groups decides how
many reads there are: slices of a source that follow one another are a group, of 4 MB of text at
least, and of many gigabytes a 256th of all. What is decided does not depend on it.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.home.decisions import attribute_digests, kept_rows, twins
from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import Home, open_home, recipe_key, task_home
from pipelines.home.summaries import Summary, bulk, done, ordered_slices, prune, write_summary
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.near.bands import band_scheme, thresholds
from pipelines.stages.near.groups import (
    CANDIDATES,
    DECISION,
    RECORD,
    SCORES,
    SIGNATURES,
    STAGE,
    VERSION,
    Task,
    group_summary,
    grouped,
)
from shards.errors import UserError
from shards.storage import files

SEGMENT_DOCUMENTS = 250_000
"""About how many signed documents a segment of a signatures file holds: 64 MB of keys."""

UNKNOWN_TIME = (1 << 32) - 1
"""The order of a document without a crawl time: the last of its source."""

# --- signatures
# ---------------------------------------------------------------------------------------------------


def plan(home_root: str) -> list[Task]:
    """Every group, to be signed; what slices that are no more left is removed. Raises `UserError`
    when a stage before has not run."""
    home, recipe = open_home(home_root)
    found = ordered_slices(home, recipe)
    if not found:
        raise UserError(f"{home_root}: nothing is ingested", "corpus build RECIPE --home DIR")
    groups = grouped(found)
    wanted = {(members[0].source, members[0].slice) for members in groups}
    for stage, folders in (
        (SIGNATURES, (SIGNATURES,)),
        (CANDIDATES, (CANDIDATES,)),
        (SCORES, (SCORES, DECISION)),
    ):
        prune(home, stage, wanted, tuple(f"work/{folder}" for folder in folders))
    prune(
        home,
        STAGE,
        {(summary.source, summary.slice) for summary in found},
        (f"attributes/{STAGE}",),
    )
    bands, rows = band_scheme(min(thresholds(recipe).values()))
    settings: dict[str, Any] = {
        "stage": VERSION,
        "bands": bands,
        "rows": rows,
        "ngram": recipe.dedup.ngram,
    }
    read, key = bulk(home), recipe_key(recipe)
    digests = iter(
        files.each(
            home.root,
            lambda summary: attribute_digests(home, recipe, summary, before=STAGE, read=read),
            found,
        )
    )
    tasks = []
    for index, members in enumerate(groups):
        before = [
            *([*next(digests)] for _ in members),
            recipe.sources[members[0].source].dedup.before_rules,
        ]
        wanted_now = fingerprint(
            **settings, documents=[summary.output for summary in members], before=before
        )
        tasks.append(
            Task(home=home_root, recipe=key, members=members, index=index, fingerprint=wanted_now)
        )
    return tasks


def process(task: Task) -> Summary:
    """Write the band keys of a group: segments of (bands, S) `RECORD`s, those of a band by the top
    8 bits of the keys; then where each of the 256 begins, (bands, 257, segments) uint32, and the
    number of segments."""
    from pipelines.stages.near import kernels
    from pipelines.stages.near.word_table import word_table

    home, recipe = task_home(task)
    address = home.work(SIGNATURES, task.source, f"{task.name}.bin")
    finished = done(home, SIGNATURES, task.source, task.name, task.fingerprint, address)
    if finished:
        return finished
    bands, _ = band_scheme(min(thresholds(recipe).values()))
    waiting = row = signed = 0
    held: list[tuple[NDArray[Any], ...]] = []
    bounds: list[NDArray[np.uint32]] = []
    with files.open_output(address) as output:
        for ingested in task.members:
            kept, begin = compared_rows(home, recipe, ingested), row
            with files.open_input(home.documents(ingested.source, ingested.slice)) as stream:
                documents = pq.ParquetFile(stream)
                for group in range(documents.num_row_groups):
                    table = documents.read_row_group(group, columns=["text", "crawled"])
                    text, ends = text_buffer(table.column("text"))
                    keys = np.zeros((table.num_rows, bands), np.uint64)
                    words = np.zeros(table.num_rows, np.uint32)
                    kernels.sign(
                        text,
                        ends,
                        kept[row - begin : row - begin + table.num_rows],
                        recipe.dedup.ngram,
                        word_table(),
                        keys,
                        words,
                    )
                    found = np.flatnonzero(words >= recipe.dedup.ngram)
                    held.append(
                        (
                            keys[found],
                            (found + row).astype(np.uint32),
                            crawl_order(table.column("crawled"))[found],
                        )
                    )
                    row += table.num_rows
                    waiting += len(found)
                    tick(row, task.size * row // max(task.documents, 1))
                    if waiting >= SEGMENT_DOCUMENTS:
                        bounds.append(_write_segment(output, bands, held))
                        held, signed, waiting = [], signed + waiting, 0
        if waiting:
            bounds.append(_write_segment(output, bands, held))
        if bounds:
            output.write(np.stack(bounds, 2).tobytes())
        output.write(len(bounds).to_bytes(8, "little"))
    summary = group_summary(task, output, {"documents": row, "signed": signed + waiting})
    write_summary(home, summary)
    return summary


def compared_rows(home: Home, recipe: Recipe, ingested: Summary) -> NDArray[np.bool_]:
    """(D,) which documents of a slice take part: those that the stages before keep, or with
    `before_rules` all but those that `exact` removes."""
    if not recipe.sources[ingested.source].dedup.before_rules:
        return kept_rows(home, recipe, ingested, before=STAGE)
    if not recipe.dedup.exact:
        return np.ones(ingested.counts["documents"], np.bool_)
    equal: NDArray[np.bool_] = twins(home, "exact", ingested).column("twin").is_null().to_numpy()
    return equal


def _write_segment(
    output: files.Output, bands: int, held: list[tuple[NDArray[Any], ...]]
) -> NDArray[np.uint32]:
    """Write what row groups gave (keys, rows and order of the signed); (bands, 257) where each top
    byte begins."""
    from pipelines.stages.near import kernels

    keys, rows, order = zip(*held)
    all_rows, all_order = np.concatenate(rows), np.concatenate(order)
    bounds = np.zeros((bands, 257), np.uint32)
    places = np.empty(len(all_rows), np.int64)
    for band in range(bands):
        of_band = np.concatenate([part[:, band] for part in keys])
        kernels.bucket_sort(of_band, places, bounds[band])
        records = np.empty(len(places), RECORD)
        records["key"], records["row"], records["order"] = (
            of_band[places],
            all_rows[places],
            all_order[places],
        )
        output.write(records.tobytes())
    return bounds


def text_buffer(column: pa.ChunkedArray) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of D texts end to end, and their (D + 1,) offsets."""
    array = column.combine_chunks().cast(pa.large_string())
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], pa.large_string())
    _, offsets, data = array.buffers()
    ends = (
        np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
        if offsets
        else np.zeros(1, np.int64)
    )
    return np.frombuffer(data or b"", np.uint8), ends


def crawl_order(crawled: pa.ChunkedArray) -> NDArray[np.uint32]:
    """(D,) the survivor order of documents within a source, before path and position: seconds since
    1970, unknown last. What was crawled before that, or after 2106, is taken for the nearest that
    can be."""
    seconds = crawled.cast(pa.timestamp("s", "UTC")).cast(pa.int64())
    order: NDArray[np.int64] = np.clip(seconds.fill_null(0).to_numpy(), 0, UNKNOWN_TIME - 1)
    order[seconds.is_null().to_numpy()] = UNKNOWN_TIME
    return order.astype(np.uint32)


def read_bounds(stream: Any, bands: int, first: int, count: int) -> NDArray[np.int64]:
    """(segments, `count`, 257) of a signatures file: of the bands from `first` on."""
    size = stream.size()
    segments = int.from_bytes(stream.read_at(8, size - 8), "little")
    of_band = 257 * segments * 4
    content = stream.read_at(count * of_band, size - 8 - (bands - first) * of_band)
    return (
        np.frombuffer(content, np.uint32)
        .reshape(count, 257, segments)
        .transpose(2, 0, 1)
        .astype(np.int64)
    )
