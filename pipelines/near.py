"""Stage `near`: of documents that share most of their shingles (5 words in a row), the first in survivor order stays.

LSH proposes, evidence decides: whatever is proposed is compared by the exact Jaccard similarity of the shingle sets, and a
document goes only for a named, kept, verified twin. There is no closure: of a chain A ~ B ~ C in which A and C differ, B
goes for A, and C stays.

    signatures   a slice: band keys of each document that `exact` keeps; texts of fewer than `ngram` words have none
    pairs        four bands, a part of the keys: records of equal keys meet, each run gives pairs      (pipelines/near_pairs.py)
    candidates   a slice: its pairs, each once, and the shingles of its documents that are in any
    scores       a slice: the similarity of its pairs
    decision     one worker: which documents go, and for which twin
    near         a slice: the attributes

**Contained documents** (an edition with parts left out, a page that quotes another whole) go in a pass before: of a pair
that is no near-duplicate, the one of fewer words goes when the other holds `containment` of its shingles. Order: words,
most first, then survivor order. Where the container itself goes in the later pass and no other is kept, the removal is
taken back and the pass made again, so that every twin is a kept one.

Law 1: what passes from worker to worker are packed arrays in files below `work/`, partitioned by key or by slice and read
forward: records of 12 bytes a band (key and row; a pass is four bands), pairs of 16 bytes, verified pairs of 24.
Settings that only choose among verified pairs (a raised threshold, scope) redo the decision alone.
"""

import dataclasses
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.exact import ATTRIBUTE_SCHEMA
from pipelines.home import (
    Home,
    SliceTask,
    Summary,
    attribute_digests,
    done,
    fingerprint,
    kept_rows,
    open_home,
    ordered_slices,
    prune,
    read_summary,
    twins,
    write_summary,
)
from pipelines.progress import tick
from pipelines.recipe import Recipe
from shards import files
from shards.config import UserError

STAGE = "near"
SIGNATURES, PAIRS, CANDIDATES, SCORES, DECISION = "signatures", "pairs", "candidates", "scores", "decision"
VERSION = 1
DECISION_VERSION = 2
"""Of which documents go, and of what `apply` writes."""
BINS = 256
SEGMENT_DOCUMENTS = 100_000
"""About how many signed documents a segment of a signatures file holds: 25 MB of keys."""
PART_EDGES = 4_000_000
"""Verified pairs that are decided at once: 800 MB."""
UNKNOWN_TIME = (1 << 56) - 1
"""The order of a document without a crawl time: the last of its source."""
CONTAINED = 1 << 31
"""Set in a removal's score where the document is contained in its twin."""

SEGMENT = np.dtype([("offset", "<u8"), ("first", "<u8"), ("documents", "<u8"), ("signed", "<u8")])
"""A segment in its file: where it begins, its first row, its rows, and how many of them have keys."""
EDGE = np.dtype([("later", "<u8"), ("earlier", "<u8"), ("jaccard", "<u4"), ("contained", "<u4")])
"""A verified pair of places (slice's index << 32 | row), by survivor order. Similarities in billionths; `contained`: the part
of the one of fewer words that the other holds, with `EARLIER_IS_CONTAINED` in `later` where that is the earlier one."""
EARLIER_IS_CONTAINED = 1 << 63
REMOVAL = np.dtype([("row", "<u4"), ("score", "<u4"), ("twin", "S16")])
"""What the decision says of a slice: a removed row, its score (`CONTAINED`), and its twin's id."""


def band_scheme(threshold: float) -> tuple[int, int]:
    """(bands, rows of each) of 256 values: the most selective in which a pair at the threshold meets with a chance of 0.98."""
    for rows in (16, 8, 4, 2, 1):
        if found_chance(threshold, BINS // rows, rows) >= 0.98:
            return BINS // rows, rows
    raise ValueError(f"no scheme for {threshold}")


def found_chance(similarity: float, bands: int, rows: int) -> float:
    """The chance that a pair of this Jaccard similarity meets in any band: the S-curve."""
    return float(1 - (1 - similarity**rows) ** bands)


def lowest_threshold(rows: int) -> float:
    """The lowest threshold, in steps of 0.01, that a scheme of these rows serves."""
    return next(step / 100 for step in range(1, 101) if found_chance(step / 100, BINS // rows, rows) >= 0.98)


def s_curve(bands: int, rows: int) -> str:
    """The S-curve as a line for people."""
    points = ", ".join(f"{similarity} {found_chance(similarity, bands, rows):.3f}" for similarity in (0.3, 0.5, 0.6, 0.7, 0.8, 0.9))
    return f"{bands} bands of {rows}; chance that a pair is compared, by its similarity: {points}"


def thresholds(recipe: Recipe) -> dict[str, float]:
    """The threshold of each source."""
    own = {name: options.dedup.threshold for name, options in recipe.sources.items()}
    return {name: recipe.dedup.threshold if value is None else value for name, value in own.items()}


@dataclass(frozen=True, kw_only=True)
class Task(SliceTask):
    """One ingested slice; `fingerprint` of what is to be done to it; `index`: its place in the order of all slices."""

    fingerprint: str
    index: int = 0
    stage: str = SIGNATURES


# --- signatures ---------------------------------------------------------------------------------------------------


def plan(home_root: str) -> list[Task]:
    """Every ingested slice, to be signed; what slices that are no more left is removed. Raises `UserError` when a stage before has not run."""
    home, recipe = open_home(home_root)
    found = ordered_slices(home, recipe)
    if not found:
        raise UserError(f"{home_root}: nothing is ingested", "corpus build RECIPE --home DIR")
    wanted = {(summary.source, summary.slice) for summary in found}
    for stage in (SIGNATURES, CANDIDATES, SCORES):
        prune(home, stage, wanted, (f"work/{stage}",))
    prune(home, STAGE, wanted, (f"attributes/{STAGE}", f"work/{DECISION}"))
    bands, rows = band_scheme(min(thresholds(recipe).values()))
    settings: dict[str, Any] = {"stage": VERSION, "bands": bands, "rows": rows, "ngram": recipe.dedup.ngram}
    tasks = []
    for index, summary in enumerate(found):
        before = [*attribute_digests(home, recipe, summary, before=STAGE), recipe.sources[summary.source].dedup.before_rules]
        tasks.append(Task(home=home_root, ingested=summary, index=index, fingerprint=fingerprint(**settings, documents=summary.output, before=before)))
    return tasks


def process(task: Task) -> Summary:
    """Write the band keys of a slice: segments of bounds (bands, 257) uint32, keys (bands, S) uint64 and rows (bands, S)
    uint32, by the top 8 bits of the keys; order (D,) uint64 and words (D,) uint32; then the segments' directory and its length."""
    from pipelines import minhash
    from pipelines.word_table import word_table

    home, recipe = open_home(task.home)
    ingested = task.ingested
    address = home.work(SIGNATURES, ingested.source, f"{ingested.slice}.bin")
    finished = done(home, SIGNATURES, ingested.source, ingested.slice, task.fingerprint, address)
    if finished:
        return finished
    bands, _ = band_scheme(min(thresholds(recipe).values()))
    kept = compared_rows(home, recipe, ingested)
    directory, waiting, row, first = [], 0, 0, 0
    held: list[tuple[NDArray[Any], ...]] = []
    with files.open_input(home.documents(ingested.source, ingested.slice)) as stream, files.open_output(address) as output:
        documents = pq.ParquetFile(stream)
        for group in range(documents.num_row_groups):
            table = documents.read_row_group(group, columns=["text", "crawled"])
            text, ends = text_buffer(table.column("text"))
            chosen = kept[row : row + table.num_rows]
            keys = np.zeros((table.num_rows, bands), np.uint64)
            words = np.zeros(table.num_rows, np.uint32)
            minhash.sign(text, ends, chosen, recipe.dedup.ngram, word_table(), keys, words)
            signed = np.flatnonzero(words >= recipe.dedup.ngram)
            held.append((keys[signed], signed + row, crawl_order(table.column("crawled")), words))
            row += table.num_rows
            waiting += len(held[-1][0])
            tick(row, task.size * row // max(len(kept), 1))
            if waiting >= SEGMENT_DOCUMENTS or group == documents.num_row_groups - 1:
                directory.append(_write_segment(output, bands, first, held))
                held, waiting, first = [], 0, row
        listed = np.array(directory, SEGMENT)
        output.write(listed.tobytes() + len(listed).to_bytes(8, "little"))
    summary = slice_summary(SIGNATURES, ingested, task.fingerprint, address, {"documents": len(kept), "signed": int(listed["signed"].sum())})
    write_summary(home, summary)
    return summary


def compared_rows(home: Home, recipe: Recipe, ingested: Summary) -> NDArray[np.bool_]:
    """(D,) which documents of a slice take part: those that the stages before keep, or with `before_rules` all but those that
    `exact` removes."""
    if not recipe.sources[ingested.source].dedup.before_rules:
        return kept_rows(home, recipe, ingested, before=STAGE)
    if not recipe.dedup.exact:
        return np.ones(ingested.counts["documents"], np.bool_)
    equal: NDArray[np.bool_] = twins(home, "exact", ingested).column("twin").is_null().to_numpy()
    return equal


def _write_segment(output: Any, bands: int, first: int, held: list[tuple[NDArray[Any], ...]]) -> tuple[int, int, int, int]:
    """Write what row groups gave (keys and rows of the signed, order and words of all); its entry in the directory."""
    from pipelines import minhash

    offset = output.tell()
    keys, rows, order, words = (np.concatenate(parts) for parts in zip(*held))
    rows = rows.astype(np.uint32)
    bounds = np.zeros((bands, 257), np.uint32)
    by_band = np.ascontiguousarray(keys.T)
    sorted_rows = np.empty((bands, len(rows)), np.uint32)
    places = np.empty(len(rows), np.int64)
    for band in range(bands):
        minhash.bucket_sort(by_band[band], places, bounds[band])
        by_band[band] = by_band[band][places]
        sorted_rows[band] = rows[places]
    for array in (bounds, by_band, sorted_rows, order, words):
        output.write(array.tobytes())
    return offset, first, len(order), len(rows)


def text_buffer(column: pa.ChunkedArray) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of D texts end to end, and their (D + 1,) offsets."""
    array = column.combine_chunks().cast(pa.large_string())
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], pa.large_string())
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1] if offsets else np.zeros(1, np.int64)
    return np.frombuffer(data or b"", np.uint8), ends


def crawl_order(crawled: pa.ChunkedArray) -> NDArray[np.uint64]:
    """(D,) the survivor order of documents within a source, before path and position: by crawl time, unknown last."""
    seconds = crawled.cast(pa.timestamp("s", "UTC")).cast(pa.int64())
    order: NDArray[np.int64] = seconds.fill_null(0).to_numpy().astype(np.int64) + (1 << 40)
    order[seconds.is_null().to_numpy()] = UNKNOWN_TIME
    return order.astype(np.uint64)


def slice_summary(stage: str, ingested: Summary, wanted: str, address: str, counts: dict[str, int], inputs: tuple[str, ...] = ()) -> Summary:
    """The summary of what a step made of an ingested slice."""
    return Summary(
        stage=stage,
        source=ingested.source,
        slice=ingested.slice,
        path=ingested.path,
        start=ingested.start,
        fingerprint=wanted,
        output=files.digest(address),
        output_bytes=files.size(address),
        counts=counts,
        inputs=(ingested.output, *inputs),
    )


# --- the list of slices, which the later steps share ---------------------------------------------------------------


@dataclass(frozen=True)
class Listed:
    """A slice as the later steps know it, by its index."""

    source: str
    slice: str
    documents: int
    signed: int
    digest: str


def write_list(home: Home, recipe: Recipe) -> str:
    """Write the slices in order for all tasks of the later steps; its digest."""
    listed, outputs = [], []
    for summary in ordered_slices(home, recipe):
        signed = read_summary(home.summary(SIGNATURES, summary.source, summary.slice))
        if signed is None:
            raise UserError(f"{home.root}: {summary.source}/{summary.slice} is not signed", f"corpus dedup {home.root}")
        listed.append([summary.source, summary.slice, signed.counts["documents"], signed.counts["signed"], summary.output])
        outputs.append(signed.output)
    content = json.dumps(listed).encode()
    _write_if_new(home.file("work", STAGE, "slices.json"), content)
    return fingerprint(listed=listed, signatures=outputs, priority=list(recipe.dedup.priority))


def _write_if_new(address: str, content: bytes) -> None:
    if not files.exists(address) or files.read_bytes(address) != content:
        files.write_bytes(address, content)


def read_list(home: Home) -> list[Listed]:
    """The slices in order."""
    return [Listed(*row) for row in json.loads(files.read_bytes(home.file("work", STAGE, "slices.json")))]


def read_directory(stream: pa.NativeFile) -> NDArray[Any]:
    """The segments of a signatures file."""
    size = stream.size()
    count = int.from_bytes(stream.read_at(8, size - 8), "little")
    return np.frombuffer(stream.read_at(count * SEGMENT.itemsize, size - 8 - count * SEGMENT.itemsize), SEGMENT)


def read_order(home: Home, recipe: Recipe, listed: list[Listed], places: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    """(N,) the survivor order of documents (with the place it is total), and their words; `places` rising: files are read forward."""
    bands, _ = band_scheme(min(thresholds(recipe).values()))
    slices, rows = places >> np.uint64(32), (places & np.uint64(0xFFFFFFFF)).astype(np.int64)
    order, words = np.empty(len(places), np.uint64), np.empty(len(places), np.uint32)
    for index in np.unique(slices):
        piece = listed[int(index)]
        begin, end = np.searchsorted(slices, [index, index + np.uint64(1)])
        with files.open_input(home.work(SIGNATURES, piece.source, f"{piece.slice}.bin")) as stream:
            for offset, first, documents, signed in read_directory(stream).tolist():
                low, high = begin + np.searchsorted(rows[begin:end], [first, first + documents])
                if low < high:
                    columns = stream.read_at(documents * 12, offset + bands * (257 * 4 + signed * 12))
                    order[low:high] = np.frombuffer(columns, np.uint64, documents)[rows[low:high] - first]
                    words[low:high] = np.frombuffer(columns, np.uint32, documents, documents * 8)[rows[low:high] - first]
        order[begin:end] |= np.uint64(recipe.dedup.priority.index(piece.source) << 56)
    return order, words


# --- the decision -------------------------------------------------------------------------------------------------


def plan_apply(home_root: str) -> list[Task]:
    """Decide, and every slice to write the attributes of."""
    home, recipe = open_home(home_root)
    by_slice = decide(home, recipe)
    none = (np.zeros(0, REMOVAL), np.zeros(0, np.uint16))
    tasks = []
    for index, summary in enumerate(ordered_slices(home, recipe)):
        removed, twins_in = by_slice.get(index, none)
        _write_if_new(_decision_file(home, summary), pack_removals(removed, twins_in, len(recipe.sources)))
        before = attribute_digests(home, recipe, summary, before=STAGE)
        decided = hashlib.blake2b(removed.tobytes(), digest_size=16).hexdigest()
        wanted = fingerprint(stage=DECISION_VERSION, documents=summary.output, before=before, removals=decided)
        tasks.append(Task(home=home_root, ingested=summary, index=index, fingerprint=wanted, stage=STAGE))
    return tasks


def _decision_file(home: Home, ingested: Summary) -> str:
    return home.work(DECISION, ingested.source, f"{ingested.slice}.bin")


def pack_removals(removed: NDArray[Any], twins_in: NDArray[np.uint16], sources: int) -> bytes:
    """The `REMOVAL`s of a slice, those of one twin's source after those of another, and how many of each, (sources,) uint64."""
    counts = np.bincount(twins_in, minlength=sources).astype(np.uint64)
    return removed[np.argsort(twins_in, kind="stable")].tobytes() + counts.tobytes()


def unpack_removals(content: bytes, sources: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """(R,) `REMOVAL`s and (R,) the numbers of their twins' sources, from `pack_removals`."""
    counts = np.frombuffer(content, np.uint64, sources, len(content) - 8 * sources).astype(np.int64)
    return np.frombuffer(content, REMOVAL, int(counts.sum())), np.repeat(np.arange(sources), counts)


def decide(home: Home, recipe: Recipe) -> dict[int, tuple[NDArray[Any], NDArray[np.uint16]]]:
    """Index of slice -> its `REMOVAL`s by row, and the numbers of their twins' sources, from all verified pairs that count."""
    listed = read_list(home)
    limits = slice_limits(recipe, listed)
    found: dict[int, list[tuple[NDArray[Any], NDArray[np.uint16]]]] = {}
    for edges in edge_parts(home, recipe, listed, limits):
        for index, removed, twins_in in decide_part(home, recipe, listed, limits, edges):
            found.setdefault(index, []).append((removed, twins_in))
    joined = {index: [np.concatenate(parts) for parts in zip(*of_slice)] for index, of_slice in found.items()}
    return {index: (removed[by_row], twins_in[by_row]) for index, (removed, twins_in) in joined.items() for by_row in [np.argsort(removed["row"])]}


def edge_parts(home: Home, recipe: Recipe, listed: list[Listed], limits: NDArray[np.uint32]) -> Iterator[NDArray[Any]]:
    """All verified pairs that count, in one part, or in several on disk that no pair connects: each can be decided alone.
    Memory: 200 bytes a pair of a part, and where there are several, 8 bytes a document."""
    from pipelines import minhash

    def counting() -> Iterator[NDArray[Any]]:
        for piece in listed:
            edges = np.frombuffer(files.read_bytes(home.work(SCORES, piece.source, f"{piece.slice}.bin")), EDGE)
            yield counting_edges(recipe, listed, limits, edges)

    total = sum(map(len, counting()))
    if total <= PART_EDGES:
        yield np.concatenate([np.zeros(0, EDGE), *counting()])
        return
    bases = np.concatenate([[0], np.cumsum([piece.documents for piece in listed])])
    root = np.arange(bases[-1])
    for edges in counting():
        minhash.unite(root, *_numbers(edges, bases).T)
    with tempfile.TemporaryDirectory() as folder:
        parts = total // PART_EDGES + 1
        for edges in counting():
            of = minhash.roots(root, _numbers(edges, bases)[:, 0]) % parts
            for part in np.unique(of):
                with open(os.path.join(folder, str(part)), "ab") as stream:
                    stream.write(edges[of == part].tobytes())
        for name in sorted(os.listdir(folder)):
            yield np.fromfile(os.path.join(folder, name), EDGE)


def _numbers(edges: NDArray[Any], bases: NDArray[np.int64]) -> NDArray[np.int64]:
    """(P, 2) the documents of pairs, counted through all slices."""
    pairs = edge_pairs(edges)
    numbers: NDArray[np.int64] = bases[(pairs >> np.uint64(32)).astype(np.int64)] + (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return numbers


def edge_pairs(edges: NDArray[Any]) -> NDArray[np.uint64]:
    """(P, 2) the places (later, earlier) of verified pairs."""
    return np.stack([edges["later"] & np.uint64(EARLIER_IS_CONTAINED - 1), edges["earlier"]], 1)


def decide_part(
    home: Home, recipe: Recipe, listed: list[Listed], limits: NDArray[np.uint32], edges: NDArray[Any]
) -> Iterator[tuple[int, NDArray[Any], NDArray[np.uint16]]]:
    """(index of slice, `REMOVAL`s by row, the numbers of their twins' sources) from verified pairs that count."""
    earlier_is_contained = edges["later"] >= np.uint64(EARLIER_IS_CONTAINED)
    pairs = edge_pairs(edges)
    places, numbers = np.unique(pairs, return_inverse=True)
    order, words = read_order(home, recipe, listed, places)
    by_survivor = np.lexsort((places, order))
    rank = _inverse(by_survivor)
    places, words = places[by_survivor], words[by_survivor]
    later, earlier = rank[numbers.reshape(-1, 2)].T
    near = edges["jaccard"] >= pair_limits(limits, pairs)
    small, large = np.where(earlier_is_contained, earlier, later), np.where(earlier_is_contained, later, earlier)
    contained = ~near & (words[small] >= recipe.dedup.containment_words)
    twin, score = settle(
        (later[near], earlier[near], edges["jaccard"][near]),
        (small[contained], large[contained], edges["contained"][contained]),
        _inverse(np.argsort(-words.astype(np.int64), kind="stable")),
    )
    removed = np.flatnonzero(twin >= 0)
    removed = removed[np.argsort(places[removed])]
    records = np.zeros(len(removed), REMOVAL)
    records["row"], records["score"] = places[removed] & np.uint64(0xFFFFFFFF), score[removed]
    records["twin"] = _read_ids(home, listed, places[twin[removed]])
    numbers_of = {name: number for number, name in enumerate(recipe.sources)}
    source_of = np.array([numbers_of[piece.source] for piece in listed], np.uint16)
    twins_in = source_of[(places[twin[removed]] >> np.uint64(32)).astype(np.int64)]
    slices = places[removed] >> np.uint64(32)
    for index in np.unique(slices):
        yield int(index), records[slices == index], twins_in[slices == index]


Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]


def settle(near: Pairs, contained: Pairs, by_words: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """(N,) the twin of each of N documents, numbered in survivor order, and its score; -1 and 0 for one that stays.

    Near pairs are (later, earlier, score); contained ones (the one of fewer words, the other, score). `by_words` (N,): the
    place of each document in the order of the first pass: words, most first, then survivor order.
    """
    from pipelines import minhash

    count = len(by_words)
    small, large, part = (values[np.lexsort((by_words[contained[1]], by_words[contained[0]]))] for values in contained)
    later, earlier, jaccard = (values[np.lexsort((near[1], near[0]))] for values in near)
    inside: NDArray[np.bool_] = np.zeros(count, np.bool_)
    best, near_best = np.empty(count, np.int64), np.empty(count, np.int64)
    minhash.removals(small, large, part, inside, best)
    while True:
        inside = best >= 0
        minhash.removals(later, earlier, jaccard, inside, near_best)
        minhash.best_kept(small, large, part, inside, near_best, best)
        if not (inside & (best < 0)).any():
            break
    twin, score = np.full(count, -1, np.int64), np.zeros(count, np.uint32)
    for chosen, others, values, flag in ((near_best, earlier, jaccard, 0), (best, large, part, CONTAINED)):
        at = np.flatnonzero(chosen >= 0)
        twin[at], score[at] = others[chosen[at]], values[chosen[at]] | np.uint32(flag)
    return twin, score


def _inverse(permutation: NDArray[np.int64]) -> NDArray[np.int64]:
    places = np.empty(len(permutation), np.int64)
    places[permutation] = np.arange(len(permutation))
    return places


def slice_limits(recipe: Recipe, listed: list[Listed]) -> NDArray[np.uint32]:
    """(slices,) the threshold of each slice's source, in billionths."""
    limits = thresholds(recipe)
    return np.array([billionths(limits[piece.source]) for piece in listed], np.uint32)


def pair_limits(limits: NDArray[np.uint32], pairs: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """(P,) the threshold of each pair of places: the higher of its two sources'."""
    slices = (pairs >> np.uint64(32)).astype(np.int64)
    return np.maximum(limits[slices[:, 0]], limits[slices[:, 1]])


def containment_limits(recipe: Recipe, limit: NDArray[np.uint32]) -> NDArray[np.int64]:
    """(P,) what part of the one of fewer words must be in the other: `dedup.containment`, or where the pair's threshold is so
    high that texts of one length would go for less, what those share at it: 2 t / (1 + t)."""
    threshold = limit.astype(np.int64)
    least: NDArray[np.int64] = np.maximum(2 * threshold * 10**9 // (10**9 + threshold), billionths(recipe.dedup.containment))
    return least


def billionths(share: float) -> int:
    """A threshold as similarities are stored."""
    return round(share * 1e9)


def counting_edges(recipe: Recipe, listed: list[Listed], limits: NDArray[np.uint32], edges: NDArray[Any]) -> NDArray[Any]:
    """The verified pairs that count by the thresholds and scopes of their sources."""
    pairs = edge_pairs(edges)
    limit = pair_limits(limits, pairs)
    counts = (edges["jaccard"] >= limit) | (edges["contained"] >= containment_limits(recipe, limit))
    names = list(recipe.sources)
    source = np.array([names.index(piece.source) for piece in listed], np.int64)[(pairs >> np.uint64(32)).astype(np.int64)]
    scopes = [recipe.sources[name].scope for name in names]
    within, others = (np.array([scope == wanted for scope in scopes], np.bool_)[source].any(axis=1) for wanted in ("within", "others"))
    counts &= np.where(source[:, 0] == source[:, 1], ~others, ~within)
    return edges[counts]


def _read_ids(home: Home, listed: list[Listed], places: NDArray[np.uint64]) -> NDArray[np.bytes_]:
    """(N,) the ids of documents, 16 bytes each; every slice's are read once."""
    ids = np.zeros(len(places), "S16")
    slices = places >> np.uint64(32)
    for index in np.unique(slices):
        piece, of_slice = listed[int(index)], slices == index
        with files.open_input(home.documents(piece.source, piece.slice)) as stream:
            column = pq.read_table(stream, columns=["id"]).column("id").combine_chunks()
        ids[of_slice] = [bytes.fromhex(identity) for identity in column.take(pa.array(places[of_slice] & np.uint64(0xFFFFFFFF))).to_pylist()]
    return ids


def apply(task: Task) -> Summary:
    """Write the attributes of a slice from the decision about it."""
    home, recipe = open_home(task.home)
    ingested = task.ingested
    address = home.attributes(STAGE, ingested.source, ingested.slice)
    finished = done(home, STAGE, ingested.source, ingested.slice, task.fingerprint, address)
    if finished:
        return finished
    with files.open_input(home.documents(ingested.source, ingested.slice)) as stream:
        ids = pq.read_table(stream, columns=["id"]).column("id")
    names: list[str | None] = [None] * len(ids)
    scores: list[float | None] = [None] * len(ids)
    kinds: list[str | None] = [None] * len(ids)
    sources = list(recipe.sources)
    removals, twins_in = unpack_removals(files.read_bytes(_decision_file(home, ingested)), len(sources))
    open_to_us = kept_rows(home, recipe, ingested, before=STAGE)[removals["row"]]  # with `before_rules`, a rule's is the rule's
    removals, twins_in = removals[open_to_us], twins_in[open_to_us]
    for row, score, twin in removals.tolist():
        names[row] = twin.ljust(16, b"\0").hex()  # numpy's S16 drops trailing zero bytes
        scores[row] = score % CONTAINED / 1e9
        kinds[row] = "contained" if score >= CONTAINED else "near"
    columns = [ids, pa.array(names, pa.string()), pa.array(scores, pa.float64()), pa.array(kinds, pa.string())]
    table = pa.table(columns, schema=ATTRIBUTE_SCHEMA.with_metadata({"corpusmill.documents": ingested.output}))
    with files.open_output(address) as output:
        pq.write_table(table, output, compression="zstd")
    counts = {"documents": len(ids), "removed": len(removals), "contained": int((removals["score"] >= CONTAINED).sum())}
    by_source = {sources[number]: int(count) for number, count in zip(*np.unique(twins_in, return_counts=True))}
    before = tuple(attribute_digests(home, recipe, ingested, before=STAGE))
    summary = dataclasses.replace(slice_summary(STAGE, ingested, task.fingerprint, address, counts, before), twins_in=by_source)
    write_summary(home, summary)
    return summary


# --- the guard ----------------------------------------------------------------------------------------------------


def guard(home: Home, recipe: Recipe, found: list[Summary], say: Callable[[str], None]) -> None:
    """Stop a build in which more of what the stages before leave of a source would go than `dedup.max_removed`, after a
    table of why. Raises `UserError` (exit 1)."""
    for name in recipe.sources:
        of_source = [summary for summary in found if summary.source == name]
        documents = sum(int(kept_rows(home, recipe, summary, before=STAGE).sum()) for summary in ordered_slices(home, recipe) if summary.source == name)
        removed = sum(summary.counts["removed"] for summary in of_source)
        if removed > recipe.dedup.max_removed * documents:
            for line in why_table(home, of_source):
                say(line)
            share = removed / documents
            raise UserError(
                f"{name}: {removed} of {documents} documents ({share:.0%}) are near-copies, more than dedup.max_removed = {recipe.dedup.max_removed}",
                f"look: corpus show {home.root} --removed --source {name}; to go on: --dedup.max-removed {min(1.0, int(share * 100 + 1) / 100)}",
                1,
            )


def why_table(home: Home, found: list[Summary]) -> Iterator[str]:
    """Lines: how many of a source go by kind and similarity, and the twins that most of them have."""
    kinds: dict[str, int] = {}
    copies: dict[str, int] = {}
    for summary in found:
        with files.open_input(home.attributes(STAGE, summary.source, summary.slice)) as stream:
            table = pq.read_table(stream, columns=["twin", "score", "kind"]).to_pylist()
        for row in table:
            if row["twin"]:
                key = "contained" if row["kind"] == "contained" else f"similarity {int(row['score'] * 20) / 20:.2f} and up"
                kinds[key] = kinds.get(key, 0) + 1
                copies[row["twin"]] = copies.get(row["twin"], 0) + 1
    yield f"{found[0].source}: what goes, and why"
    for key in sorted(kinds):
        yield f"  {key:26} {kinds[key]:>9,}"
    for twin, count in sorted(copies.items(), key=lambda item: (-item[1], item[0]))[:5]:
        yield f"  copies of {twin} {count:>5,}"
