"""Stage `near`: of documents that share most of their shingles (5 words in a row), the first in
survivor order stays.

LSH proposes, evidence decides: whatever is proposed is compared by the exact Jaccard similarity of
the shingle sets, and a document goes only for a named, kept, verified twin. There is no closure: of
a chain A ~ B ~ C in which A and C differ, B goes for A, and C stays.

    signatures   a group: band keys of each document that `exact` keeps; texts of fewer than `ngram` words have none
    pairs        bands, a part of the keys: records of equal keys meet, each run gives pairs       (pipelines/near_pairs.py)
    candidates   a group: its pairs, each once, and the shingles of its documents that are in any  (pipelines/near_scores.py)
    scores       a group: the similarity of its pairs
    decision     one worker: which documents go, and for which twin                              (pipelines/near_decision.py)
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

import hashlib
import itertools
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.home import (
    Home,
    Summary,
    attribute_digests,
    bulk,
    done,
    fingerprint,
    kept_rows,
    open_home,
    ordered_slices,
    prune,
    recipe_key,
    task_home,
    twins,
    write_summary,
)
from pipelines.progress import tick
from pipelines.recipe import Recipe
from shards import files
from shards.config import UserError

STAGE = "near"
SIGNATURES, PAIRS, CANDIDATES, SCORES, DECISION = (
    "signatures",
    "pairs",
    "candidates",
    "scores",
    "decision",
)
VERSION = 2
BINS = 256
SEGMENT_DOCUMENTS = 250_000
"""About how many signed documents a segment of a signatures file holds: 64 MB of keys."""
GROUPS = 256
"""About how many groups there are where there are many slices."""
LEAST_GROUP_BYTES = 1 << 22
MOST_GROUP_BYTES = 1 << 30
MOST_GROUP_DOCUMENTS = 250_000
"""So that a group is one segment, and its pairs, which are held at once, are few."""
UNKNOWN_TIME = (1 << 32) - 1
"""The order of a document without a crawl time: the last of its source."""

RECORD = np.dtype([("key", "<u8"), ("row", "<u4"), ("order", "<u4")])
"""A document in a band: its row, counted through its group, and its `crawl_order`."""
EDGE = np.dtype([("later", "<u8"), ("earlier", "<u8"), ("jaccard", "<u4"), ("contained", "<u4")])
"""A verified pair of places (group's index << 32 | row), by survivor order. Similarities in
billionths; `contained`: the part of the one of fewer words that the other holds, with
`EARLIER_IS_CONTAINED` in `later` where that is the earlier one."""
EARLIER_IS_CONTAINED = 1 << 63


def band_scheme(threshold: float) -> tuple[int, int]:
    """(bands, rows of each) of 256 values: the most selective in which a pair at the threshold
    meets with a chance of 0.98."""
    for rows in (16, 8, 4, 2, 1):
        if found_chance(threshold, BINS // rows, rows) >= 0.98:
            return BINS // rows, rows
    raise ValueError(f"no scheme for {threshold}")


def found_chance(similarity: float, bands: int, rows: int) -> float:
    """The chance that a pair of this Jaccard similarity meets in any band: the S-curve."""
    return float(1 - (1 - similarity**rows) ** bands)


def lowest_threshold(rows: int) -> float:
    """The lowest threshold, in steps of 0.01, that a scheme of these rows serves."""
    return next(
        step / 100 for step in range(1, 101) if found_chance(step / 100, BINS // rows, rows) >= 0.98
    )


def s_curve(bands: int, rows: int) -> str:
    """The S-curve as a line for people."""
    points = ", ".join(
        f"{similarity} {found_chance(similarity, bands, rows):.3f}"
        for similarity in (0.3, 0.5, 0.6, 0.7, 0.8, 0.9)
    )
    return f"{bands} bands of {rows}; chance that a pair is compared, by its similarity: {points}"


def thresholds(recipe: Recipe) -> dict[str, float]:
    """The threshold of each source."""
    own = {name: options.dedup.threshold for name, options in recipe.sources.items()}
    return {name: recipe.dedup.threshold if value is None else value for name, value in own.items()}


@dataclass(frozen=True, kw_only=True)
class Task:
    """A group of ingested slices; `fingerprint` of what is to be done to it; `index`: its place in
    the order of all groups. `recipe`: `recipe_key` of the plan's."""

    home: str
    recipe: str
    members: tuple[Summary, ...]
    index: int
    fingerprint: str
    stage: str = SIGNATURES

    @property
    def source(self) -> str:
        """The group's source."""
        return self.members[0].source

    @property
    def name(self) -> str:
        """That of its first slice."""
        return self.members[0].slice

    @property
    def size(self) -> int:
        """Bytes of text."""
        return sum(summary.counts["bytes"] for summary in self.members)

    @property
    def documents(self) -> int:
        """How many documents it has."""
        return sum(summary.counts["documents"] for summary in self.members)


def grouped(found: list[Summary]) -> list[tuple[Summary, ...]]:
    """The slices, in order, as groups. A group ends where the hash of a slice's name says so, so
    that a new slice makes one group anew (and all of them once the text has doubled), and before it
    grows to twice what is wanted."""
    total = sum(summary.counts["bytes"] for summary in found)
    wanted = min(
        max(1 << max(total // GROUPS, 1).bit_length() - 1, LEAST_GROUP_BYTES), MOST_GROUP_BYTES
    )
    groups: list[tuple[Summary, ...]] = []
    for _, of_source in itertools.groupby(found, key=lambda summary: summary.source):
        held: list[Summary] = []
        size = documents = 0
        for summary in of_source:
            if held and (
                size + summary.counts["bytes"] > 2 * wanted
                or documents + summary.counts["documents"] > MOST_GROUP_DOCUMENTS
            ):
                groups.append(tuple(held))
                held, size, documents = [], 0, 0
            held.append(summary)
            size, documents = (
                size + summary.counts["bytes"],
                documents + summary.counts["documents"],
            )
            draw = int.from_bytes(
                hashlib.blake2b(summary.slice.encode(), digest_size=4).digest(), "little"
            )
            if draw * wanted < summary.counts["bytes"] << 32:
                groups.append(tuple(held))
                held, size, documents = [], 0, 0
        if held:
            groups.append(tuple(held))
    return groups


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
    from pipelines import minhash
    from pipelines.word_table import word_table

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
                    minhash.sign(
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
    from pipelines import minhash

    keys, rows, order = zip(*held)
    all_rows, all_order = np.concatenate(rows), np.concatenate(order)
    bounds = np.zeros((bands, 257), np.uint32)
    places = np.empty(len(all_rows), np.int64)
    for band in range(bands):
        of_band = np.concatenate([part[:, band] for part in keys])
        minhash.bucket_sort(of_band, places, bounds[band])
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


def group_summary(task: Task, written: files.Output, counts: dict[str, int]) -> Summary:
    """The summary of what a step made of a group."""
    return Summary(
        stage=task.stage,
        source=task.source,
        slice=task.name,
        path=task.members[0].path,
        start=task.members[0].start,
        fingerprint=task.fingerprint,
        output=written.digest,
        output_bytes=written.bytes,
        counts=counts,
        inputs=tuple(summary.output for summary in task.members),
    )


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


# --- the list of groups, which the later steps share
# ---------------------------------------------------------------


@dataclass(frozen=True)
class Listed:
    """A group as the later steps know it, by its index."""

    source: str
    name: str
    documents: int
    signed: int


def write_list(home: Home, recipe: Recipe) -> str:
    """Write the groups in order for all tasks of the later steps; a digest of it and of the
    signatures."""
    listed, outputs, read = [], [], bulk(home)
    for members in grouped(ordered_slices(home, recipe)):
        source, name = members[0].source, members[0].slice
        signed = read(SIGNATURES, source, name)
        if signed is None or signed.inputs != tuple(summary.output for summary in members):
            raise UserError(
                f"{home.root}: {source}/{name} is not signed", f"corpus dedup {home.root}"
            )
        listed.append([source, name, signed.counts["documents"], signed.counts["signed"]])
        outputs.append(signed.output)
    write_if_new(home.file("work", STAGE, "groups.json"), json.dumps(listed).encode())
    return fingerprint(listed=listed, signatures=outputs, priority=list(recipe.dedup.priority))


def write_if_new(address: str, content: bytes) -> None:
    """Leave a file alone that holds just this."""
    try:
        if files.read_bytes(address) == content:
            return
    except FileNotFoundError:
        pass
    files.write_bytes(address, content)


def read_list(home: Home) -> list[Listed]:
    """The groups in order."""
    return [
        Listed(*row)
        for row in json.loads(files.read_bytes(home.file("work", STAGE, "groups.json")))
    ]


def priorities(recipe: Recipe, listed: list[Listed]) -> NDArray[np.uint64]:
    """(groups,) the first part of the survivor order."""
    return np.array(
        [recipe.dedup.priority.index(piece.source) << 56 for piece in listed], np.uint64
    )


def billionths(share: float) -> int:
    """A threshold as similarities are stored."""
    return round(share * 1e9)
