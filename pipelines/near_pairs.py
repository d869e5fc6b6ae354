"""From band keys to verified pairs: the middle steps of stage `near` (pipelines/near.py says how they hang together).

`propose` lets the records of a part of the keys meet, band after band; `gather` brings a slice its pairs, and the
shingles of its documents that are in any; `score` compares. All are plain functions of a task that write one file by
law 3; each reads files forward and holds arrays of bounded size.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines import near
from pipelines.home import Home, Summary, done, fingerprint, open_home, ordered_slices, prune, read_summary, summaries, write_summary
from pipelines.near import CANDIDATES, EARLIER_IS_CONTAINED, EDGE, PAIRS, SCORES, SIGNATURES, Listed
from pipelines.progress import tick
from pipelines.recipe import Recipe
from shards import files

PASS_BANDS = 4
"""Bands of one task: at most so many records a document and pass."""
PART_RECORDS = 4_000_000
"""About how many records of a band meet in one task: 150 MB while they are sorted."""
RUN_REPRESENTATIVES = 16
"""A document is compared with so many of a run of equal keys, the first in survivor order: a page that a million share would
ask for half a million million comparisons."""
PAIR_ROOM = 500_000
"""Pairs that are written at once."""
CHUNK_BYTES = 64_000_000
"""Shingles of one side that are compared at once."""
GAP_BYTES = 65_536
"""A hole between two reads of a file that is read over, not jumped over."""
LOWEST_CONTAINED = 0.5
"""Verified pairs of less are not kept, whatever the setting."""
LATER = 1 << 63
"""Set in the first place of a pair's record that lies in the slice of the later document."""


@dataclass(frozen=True, kw_only=True)
class PairsTask:
    """`bands` of the keys, from `first` on, of those the part `part` of `parts` (a power of two, by the top bits)."""

    home: str
    first: int
    bands: int
    part: int
    parts: int
    size: int
    fingerprint: str
    stage: str = PAIRS
    source: str = "all"

    @property
    def name(self) -> str:
        """Of its file and summary."""
        return f"{self.first:03d}-{self.part:03d}-of-{self.parts:03d}"


def plan_pairs(home_root: str) -> list[PairsTask]:
    """Every pass over every part of the keys."""
    home, recipe = open_home(home_root)
    bands, rows = near.band_scheme(min(near.thresholds(recipe).values()))
    wanted = fingerprint(stage=near.VERSION, representatives=RUN_REPRESENTATIVES, slices=near.write_list(home, recipe), rows=rows)
    signed = sum(piece.signed for piece in near.read_list(home))
    parts = 1
    while parts * PART_RECORDS < signed and parts < 256:
        parts *= 2
    tasks = [
        PairsTask(
            home=home_root,
            first=first,
            bands=min(PASS_BANDS, bands - first),
            part=part,
            parts=parts,
            size=signed * PASS_BANDS * 12 // parts,
            fingerprint=wanted,
        )
        for first in range(0, bands, PASS_BANDS)
        for part in range(parts)
    ]
    prune(home, PAIRS, {("all", task.name) for task in tasks}, (f"work/{PAIRS}",))
    return tasks


def propose(task: PairsTask) -> Summary:
    """Write the pairs of a pass: blocks of records (own place, other place), each pair once under either document, sorted by
    own place; then for each block where each slice begins, (blocks, slices + 1) uint64, and their number."""
    from pipelines import minhash

    home, recipe = open_home(task.home)
    address = home.work(PAIRS, task.source, f"{task.name}.bin")
    finished = done(home, PAIRS, task.source, task.name, task.fingerprint, address)
    if finished:
        return finished
    listed = near.read_list(home)
    slices = np.arange(len(listed) + 1, dtype=np.uint64) << np.uint64(32)
    room = np.empty((PAIR_ROOM, 2), np.uint64)
    blocks: list[NDArray[np.uint64]] = []
    records, pairs, left_out = 0, 0, 0
    with files.open_output(address) as output:
        for band in range(task.first, task.first + task.bands):
            keys, places = _read_band(home, recipe, listed, band, task)
            records += len(keys)
            keys, places, order = _runs(home, recipe, listed, keys, places)
            at: Any = 0
            while at < len(keys):
                at, written, missed = minhash.pair_runs(keys, order, places, at, RUN_REPRESENTATIVES, room)
                pairs, left_out = pairs + int(written), left_out + int(missed)
                both = np.concatenate([room[:written] | np.array([LATER, 0], np.uint64), room[:written, ::-1]])
                both = both[np.lexsort((both[:, 1], both[:, 0] & np.uint64(LATER - 1)))]
                blocks.append(np.searchsorted(both[:, 0] & np.uint64(LATER - 1), slices).astype(np.uint64) * np.uint64(16) + np.uint64(output.tell()))
                output.write(both.tobytes())
                tick(records, task.size * (band - task.first + 1) // task.bands)
        output.write(np.concatenate([np.zeros(0, np.uint64), *blocks]).tobytes() + len(blocks).to_bytes(8, "little"))
    summary = Summary(
        stage=PAIRS,
        source=task.source,
        slice=task.name,
        path=task.name,
        start=0,
        fingerprint=task.fingerprint,
        output=files.digest(address),
        output_bytes=files.size(address),
        counts={"records": records, "pairs": pairs, "left_out": left_out},
    )
    write_summary(home, summary)
    return summary


def _read_band(home: Home, recipe: Recipe, listed: list[Listed], band: int, task: PairsTask) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """(N,) the keys of a band in the task's part, and their places."""
    bands, _ = near.band_scheme(min(near.thresholds(recipe).values()))
    low, high = 256 * task.part // task.parts, 256 * (task.part + 1) // task.parts
    keys: list[NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
    places: list[NDArray[np.uint64]] = [np.zeros(0, np.uint64)]
    for index, piece in enumerate(listed):
        if not piece.signed:
            continue
        with files.open_input(home.work(SIGNATURES, piece.source, f"{piece.slice}.bin")) as stream:
            for offset, _, _, signed in near.read_directory(stream).tolist():
                bounds = np.frombuffer(stream.read_at(257 * 4, offset + band * 257 * 4), np.uint32)
                begin, count = int(bounds[low]), int(bounds[high]) - int(bounds[low])
                at = offset + bands * 257 * 4
                keys.append(np.frombuffer(stream.read_at(count * 8, at + (band * signed + begin) * 8), np.uint64))
                rows = np.frombuffer(stream.read_at(count * 4, at + bands * signed * 8 + (band * signed + begin) * 4), np.uint32)
                places.append(np.uint64(index << 32) | rows.astype(np.uint64))
        tick(index, 0)
    return np.concatenate(keys), np.concatenate(places)


def _runs(home: Home, recipe: Recipe, listed: list[Listed], keys: NDArray[np.uint64], places: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], ...]:
    """The records whose key occurs twice or more, with their survivor order, sorted by key, order and place: the order is
    read only of these."""
    from pipelines import minhash

    candidate = np.empty(len(keys), np.bool_)
    minhash.may_repeat(keys, np.zeros(1 << (8 * len(keys) + 1).bit_length(), np.uint8), candidate)
    keys, places = keys[candidate], places[candidate]
    by_key = np.argsort(keys, kind="stable")
    keys, places = keys[by_key], places[by_key]
    same = keys[1:] == keys[:-1]
    repeated = np.zeros(len(keys), np.bool_)
    repeated[1:] |= same
    repeated[:-1] |= same
    keys, places = keys[repeated], places[repeated]
    by_place = np.argsort(places)
    order = np.empty(len(places), np.uint64)
    order[by_place], _ = near.read_order(home, recipe, listed, places[by_place])
    by_all = np.lexsort((places, order, keys))
    return keys[by_all], places[by_all], order[by_all]


# --- candidates ---------------------------------------------------------------------------------------------------


def plan_candidates(home_root: str) -> list[near.Task]:
    """Every slice, to gather its pairs and shingles."""
    home, recipe = open_home(home_root)
    proposed = [read_summary(home.summary(PAIRS, task.source, task.name)) for task in plan_pairs(home_root)]
    wanted = fingerprint(stage=near.VERSION, ngram=recipe.dedup.ngram, pairs=[summary.output for summary in proposed if summary])
    return [
        near.Task(home=home_root, ingested=summary, index=index, stage=CANDIDATES, fingerprint=fingerprint(pairs=wanted, documents=summary.output))
        for index, summary in enumerate(ordered_slices(home, recipe))
    ]


def gather(task: near.Task) -> Summary:
    """Write what a slice needs to be compared: the shingles of its documents that are in a pair, sorted sets end to end
    (uint64), and (C + 1,) int64 where each begins; rows and words (C,) uint32; pairs (P, 2) uint64, later place here; C and P."""
    from pipelines import minhash
    from pipelines.word_table import word_table

    home, recipe = open_home(task.home)
    ingested = task.ingested
    address = home.work(CANDIDATES, ingested.source, f"{ingested.slice}.bin")
    finished = done(home, CANDIDATES, ingested.source, ingested.slice, task.fingerprint, address)
    if finished:
        return finished
    pairs, rows = _own_pairs(home, task.index)
    ends, words = [0], []
    with files.open_output(address) as output:
        for row, text in _texts(home, ingested, rows):
            shingles = minhash.shingles_of(text, recipe.dedup.ngram, word_table())
            words.append(len(shingles) + recipe.dedup.ngram - 1)
            shingles.sort()
            shingles = shingles[np.concatenate([[True], shingles[1:] != shingles[:-1]])]
            output.write(shingles.tobytes())
            ends.append(ends[-1] + len(shingles))
            tick(len(words), task.size * row // max(ingested.counts["documents"], 1))
        for array in (np.array(ends, np.int64), rows.astype(np.uint32), np.array(words, np.uint32), pairs, np.array([len(rows), len(pairs)], np.uint64)):
            output.write(array.tobytes())
    summary = near.slice_summary(CANDIDATES, ingested, task.fingerprint, address, {"candidates": len(rows), "pairs": len(pairs)})
    write_summary(home, summary)
    return summary


def _own_pairs(home: Home, index: int) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """(P, 2) the pairs whose later document lies in a slice, each once, sorted; and the rows of it that are in any pair."""
    slices = len(near.read_list(home))
    pairs: NDArray[np.uint64] = np.zeros((0, 2), np.uint64)
    rows: NDArray[np.uint64] = np.zeros(0, np.uint64)
    held, waiting = [pairs], 0
    for number, proposed in enumerate(summaries(home, PAIRS, "all")):
        for block in _blocks(home.work(PAIRS, "all", f"{proposed.slice}.bin"), index, slices):
            rows = np.union1d(rows, block[:, 0] & np.uint64(0xFFFFFFFF))
            held.append(block[block[:, 0] >= np.uint64(LATER)] & np.uint64(LATER - 1))
            waiting += len(held[-1])
            if waiting > PAIR_ROOM + len(pairs):  # most pairs come again from other bands
                pairs = _each_once(held)
                held, waiting = [pairs], 0
        tick(number, 0)
    return _each_once(held), rows.astype(np.int64)


def _each_once(held: list[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """(P, 2) sorted, each once."""
    pairs: NDArray[np.uint64] = np.concatenate(held)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    new = np.ones(len(pairs), np.bool_)
    new[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[new]


def _blocks(address: str, index: int, slices: int) -> Iterator[NDArray[np.uint64]]:
    """The records of a slice in a file of pairs, block by block."""
    with files.open_input(address) as stream:
        size = stream.size()
        count = int.from_bytes(stream.read_at(8, size - 8), "little")
        begin = size - 8 - count * (slices + 1) * 8
        for block in range(count):
            low, high = np.frombuffer(stream.read_at(16, begin + (block * (slices + 1) + index) * 8), np.uint64).tolist()
            if low < high:
                yield np.frombuffer(stream.read_at(high - low, low), np.uint64).reshape(-1, 2)


def _texts(home: Home, ingested: Summary, rows: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """(row, bytes of the text) of some documents of a slice, in order; row groups without any are not read."""
    with files.open_input(home.documents(ingested.source, ingested.slice)) as stream:
        documents = pq.ParquetFile(stream)
        first = 0
        for group in range(documents.num_row_groups):
            count = documents.metadata.row_group(group).num_rows
            wanted = rows[np.searchsorted(rows, first) : np.searchsorted(rows, first + count)]
            if len(wanted):
                text, ends = near.text_buffer(documents.read_row_group(group, columns=["text"]).column("text"))
                for row in wanted.tolist():
                    yield row, text[ends[row - first] : ends[row - first + 1]]
            first += count


# --- scores -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sets:
    """The directory of a file of candidates: rows and words (C,), and where the shingles of each begin, (C + 1,)."""

    rows: NDArray[np.uint32]
    words: NDArray[np.uint32]
    ends: NDArray[np.int64]
    pairs: NDArray[np.uint64]


def plan_scores(home_root: str) -> list[near.Task]:
    """Every slice, to compare its pairs."""
    home, recipe = open_home(home_root)
    found = ordered_slices(home, recipe)
    gathered = [read_summary(home.summary(CANDIDATES, summary.source, summary.slice)) for summary in found]
    _, rows = near.band_scheme(min(near.thresholds(recipe).values()))
    wanted = fingerprint(stage=near.VERSION, rows=rows, candidates=[summary.output for summary in gathered if summary])
    return [near.Task(home=home_root, ingested=summary, index=index, stage=SCORES, fingerprint=wanted) for index, summary in enumerate(found)]


def score(task: near.Task) -> Summary:
    """Write the verified pairs (`EDGE`) of a slice's later documents: those that any threshold of the scheme, or any
    `containment` of `LOWEST_CONTAINED` and up, could ask for."""
    home, recipe = open_home(task.home)
    ingested = task.ingested
    address = home.work(SCORES, ingested.source, f"{ingested.slice}.bin")
    finished = done(home, SCORES, ingested.source, ingested.slice, task.fingerprint, address)
    if finished:
        return finished
    listed = near.read_list(home)
    lowest = near.billionths(near.lowest_threshold(near.band_scheme(min(near.thresholds(recipe).values()))[1]))
    compared = kept = 0
    with files.open_output(address) as output, files.open_input(_candidates(home, listed[task.index])) as own:
        here = _read_sets(own)
        for begin, end in _chunks(here.ends):
            low, high = np.searchsorted(
                here.pairs[:, 0], (np.uint64(task.index << 32) | here.rows[[begin, end - 1]].astype(np.uint64)) + np.array([0, 1], np.uint64)
            )
            if low == high:
                continue
            sets = _read_shingles(own, here.ends, np.arange(begin, end))
            for edges in _compared(home, listed, here, sets, begin, here.pairs[low:high]):
                compared += len(edges)
                edges = edges[(edges["jaccard"] >= lowest) | (edges["contained"] >= near.billionths(LOWEST_CONTAINED))]
                kept += len(edges)
                output.write(edges.tobytes())
                tick(compared, task.size * compared // max(len(here.pairs), 1))
    summary = near.slice_summary(SCORES, ingested, task.fingerprint, address, {"compared": compared, "verified": kept})
    write_summary(home, summary)
    return summary


def _candidates(home: Home, piece: Listed) -> str:
    return home.work(CANDIDATES, piece.source, f"{piece.slice}.bin")


def _read_sets(stream: Any) -> Sets:
    size = stream.size()
    count, pairs = np.frombuffer(stream.read_at(16, size - 16), np.uint64).tolist()
    begin = size - 16 - pairs * 16 - count * 16 - 8
    content = stream.read_at(size - 16 - begin, begin)
    at = count * 8 + 8
    return Sets(
        ends=np.frombuffer(content, np.int64, count + 1),
        rows=np.frombuffer(content, np.uint32, count, at),
        words=np.frombuffer(content, np.uint32, count, at + count * 4),
        pairs=np.frombuffer(content, np.uint64, pairs * 2, at + count * 8).reshape(-1, 2),
    )


def _chunks(ends: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Ranges of sets of about `CHUNK_BYTES`, in order."""
    begin = 0
    while begin < len(ends) - 1:
        end = max(begin + 1, int(np.searchsorted(ends, ends[begin] + CHUNK_BYTES // 8, "right")) - 1)
        yield begin, end
        begin = end


def _read_shingles(stream: Any, ends: NDArray[np.int64], which: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The sets `which` (rising) end to end, and where each begins, read forward; sets close by are read at once."""
    lengths = ends[which + 1] - ends[which]
    out, new_ends = np.empty(int(lengths.sum()), np.uint64), np.concatenate([[0], np.cumsum(lengths)])
    far = np.flatnonzero(ends[which[1:]] - ends[which[:-1] + 1] > GAP_BYTES // 8) + 1
    for run in np.split(np.arange(len(which)), far):
        first, last = ends[which[run[0]]], ends[which[run[-1]] + 1]
        content = np.frombuffer(stream.read_at(int(last - first) * 8, int(first) * 8), np.uint64)
        if len(content) == new_ends[run[-1] + 1] - new_ends[run[0]]:
            out[new_ends[run[0]] : new_ends[run[-1] + 1]] = content
        else:
            for i in run:
                out[new_ends[i] : new_ends[i + 1]] = content[ends[which[i]] - first : ends[which[i] + 1] - first]
    return out, new_ends


def _compared(
    home: Home, listed: list[Listed], here: Sets, sets: tuple[NDArray[np.uint64], NDArray[np.int64]], first: int, pairs: NDArray[np.uint64]
) -> Iterator[NDArray[Any]]:
    """`EDGE`s of pairs whose later documents are among the sets read, from number `first` on; the earlier ones come file by
    file, in order."""
    from pipelines import minhash

    pairs = pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]
    slices = pairs[:, 1] >> np.uint64(32)
    for index in np.unique(slices):
        of_slice = pairs[slices == index]
        with files.open_input(_candidates(home, listed[int(index)])) as stream:
            there = _read_sets(stream)
            later = np.searchsorted(here.rows, (of_slice[:, 0] & np.uint64(0xFFFFFFFF)).astype(np.uint32))
            earlier = np.searchsorted(there.rows, (of_slice[:, 1] & np.uint64(0xFFFFFFFF)).astype(np.uint32))
            wanted = np.unique(earlier)
            lengths = np.concatenate([[0], np.cumsum(there.ends[wanted + 1] - there.ends[wanted])])
            for begin, end in _chunks(lengths):
                which = wanted[begin:end]
                low, high = np.searchsorted(earlier, [which[0], which[-1] + 1])
                numbers = np.stack([later[low:high] - first, np.searchsorted(which, earlier[low:high])], 1)
                found = np.empty((len(numbers), 3), np.int64)
                minhash.similarities(*sets, *_read_shingles(stream, there.ends, which), numbers, found)
                earlier_is_contained = there.words[earlier[low:high]] < here.words[later[low:high]]
                edges = np.empty(len(found), EDGE)
                edges["later"] = of_slice[low:high, 0] | np.where(earlier_is_contained, np.uint64(EARLIER_IS_CONTAINED), np.uint64(0))
                edges["earlier"] = of_slice[low:high, 1]
                edges["jaccard"] = found[:, 0]
                edges["contained"] = np.where(earlier_is_contained, found[:, 2], found[:, 1])
                yield edges
