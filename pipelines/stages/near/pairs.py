"""The second pass of stage `near`: documents that share a key of a band become candidate pairs.

The records of one part of the keys meet, band after band. One file per task; memory is a part of
some bands, 350 MB. Documents for which a long run of equal keys leaves pairs out are listed; they
meet again by longer keys (`pipelines.stages.near.long_runs`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import Home, recipe_key
from pipelines.home.summaries import prune
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.near import signatures
from pipelines.stages.near.bands import band_scheme, long_scheme, thresholds
from pipelines.stages.near.groups import (
    LONG_PAIRS,
    LONG_RECORD,
    LONG_SIGNATURES,
    PAIRS,
    RECORD,
    SIGNATURES,
    VERSION,
    Form,
    Listed,
    Packed,
    priorities,
    read_list,
    write_list,
)
from pipelines.stages.near.pair_sets import each_once
from pipelines.stages.stage import Pass, Result
from shards.storage import files

PASS_BANDS = 4
"""Bands of one task, and so the most records per document that a task handles."""

PART_RECORDS = 4_000_000
"""About how many records of a band meet in one task: 200 MB while they are sorted."""

HELD_RECORDS = 8_000_000
"""Records that a task reads at once, 128 MB: of one band, or of several small ones. Each read opens
the file of every group."""

FEW_RECORDS = 1_000_000
"""If all bands together have no more, one task does it all: fewer tasks open fewer files."""

RUN_REPRESENTATIVES = 16
"""A document is compared with this many documents of a run of equal keys, the first in survivor
order: a page that a million share would ask for half a million million comparisons. Of documents
that leave more out, the second signatures decide which meet."""

MIDDLE_FIRST = 4
"""Documents in the middle of a template that come first in a long run of second keys."""

MET = np.dtype([("place", "<u8"), ("long_runs", "<u2"), ("left_out", "<u2")])
"""A document of long runs: in how many bands it is in one, and in how many of these with pairs that
are left out."""

PAIR_ROOM = 500_000
"""Pairs that are written at once."""

LATER = 1 << 63
"""Set in the own place of a record that stands in the group of the pair's later document."""


Records = list[tuple[int, Packed]]
"""(index of the group, `RECORD`s)."""


@dataclass(frozen=True)
class Level:
    """Signatures whose records meet: the first ones, or the second ones of documents of long runs.

    `pairs` names the pass that pairs them, and its list of groups.
    """

    signatures: str
    pairs: str
    record: Form


FIRST = Level(SIGNATURES, PAIRS, RECORD)

SECOND = Level(LONG_SIGNATURES, LONG_PAIRS, LONG_RECORD)


def table_scheme(recipe: Recipe, level: Level) -> tuple[int, int]:
    """The number of keys of a document, and the values of each key."""
    bands, rows = band_scheme(min(thresholds(recipe).values()))
    return (bands, rows) if level == FIRST else long_scheme(rows)


@dataclass(frozen=True, kw_only=True)
class PairsTask:
    """`bands` of the keys, beginning with `first`; of those the part `part` of `parts` (a power of
    two, by the top bits). `recipe` is the `recipe_key` of the recipe it was planned by."""

    home: str
    recipe: str
    first: int
    bands: int
    part: int
    parts: int
    size: int
    fingerprint: str
    source: str = "all"

    @property
    def name(self) -> str:
        """Of its file and summary."""
        return f"{self.first:03d}-{self.part:03d}-of-{self.parts:03d}"

    @property
    def key(self) -> tuple[str, int]:
        """Its name stands for its place."""
        return self.name, 0


def plan(home: Home, recipe: Recipe) -> list[PairsTask]:
    """A task for some bands and a part of the keys; all together cover every band and key."""
    return plan_level(home, recipe, FIRST, write_list(home, recipe))


def plan_level(home: Home, recipe: Recipe, level: Level, signed_digest: str) -> list[PairsTask]:
    """The tasks of a level, whose signatures have this digest."""
    bands, rows = table_scheme(recipe, level)
    wanted = fingerprint(
        stage=VERSION, representatives=RUN_REPRESENTATIVES, slices=signed_digest, rows=rows
    )
    signed = sum(group.signed for group in read_list(home, level.pairs))
    parts = 1
    # Signatures files are indexed by the top 8 bits of the keys: there are no smaller parts.
    while parts * PART_RECORDS < signed and parts < 256:
        parts *= 2

    at_once = bands if signed * bands <= FEW_RECORDS else PASS_BANDS
    key = recipe_key(recipe)
    tasks = []
    for first in range(0, bands if signed else 0, at_once):
        count = min(at_once, bands - first)
        for part in range(parts):
            task = PairsTask(
                home=home.root,
                recipe=key,
                first=first,
                bands=count,
                part=part,
                parts=parts,
                size=signed * count * level.record.itemsize // parts,
                fingerprint=wanted,
            )
            tasks.append(task)

    prune(home, level.pairs, {("all", task.name) for task in tasks}, (f"work/{level.pairs}",))
    return tasks


def pairs_address(home: Home, recipe: Recipe, task: PairsTask) -> str:
    """Where the pairs of a task are stored."""
    return home.work(PAIRS, task.source, f"{task.name}.bin")


def propose(home: Home, recipe: Recipe, task: PairsTask, output: files.Output) -> Result:
    """Write the candidate pairs of some bands and keys."""
    return propose_level(home, recipe, task, output, FIRST)


def propose_level(
    home: Home, recipe: Recipe, task: PairsTask, output: files.Output, level: Level
) -> Result:
    """Write the candidate pairs of some keys.

    The file is blocks of records (own place, other place), each pair once under either document,
    sorted by own place; then where each group begins in each block, (groups + 1, blocks) uint64;
    for the first signatures the documents of long runs, `MET`s by place; and the numbers of those
    and of the blocks.
    """
    listed = read_list(home, level.pairs)
    first_places = np.arange(len(listed) + 1, dtype=np.uint64) << np.uint64(32)
    blocks: list[NDArray[np.uint64]] = []
    met: Packed = np.zeros(0, MET)
    records = pairs = left_out = 0
    signed = sum(group.signed for group in listed)
    held = HELD_RECORDS * RECORD.itemsize // level.record.itemsize
    at_once = max(1, held * task.parts // max(signed, 1))
    end = task.first + task.bands

    for first in range(task.first, end, at_once):
        bands = _read_bands(home, recipe, listed, (first, min(at_once, end - first)), task, level)
        while bands:  # one is let go of after the other
            of_band = bands.pop()
            records += sum(len(block) for _, block in of_band)
            runs = _runs(recipe, listed, of_band, level.record)
            beyond = _beyond(runs.keys)
            left_out += int((beyond - RUN_REPRESENTATIVES + 1).clip(0).sum())
            is_left = beyond >= RUN_REPRESENTATIVES
            is_long = np.isin(runs.keys, np.unique(runs.keys[is_left]))
            found = [runs]
            if level == FIRST:
                met = added_up(met, _met(runs.places[is_long], is_left[is_long]))
            else:
                found = _split(runs, is_long)

            for some in found:
                for written in _pairs(some):
                    pairs += len(written)
                    blocks.append(_write_block(output, written, first_places))
                    tick(records, level.record.itemsize * records)

    if blocks:
        output.write(np.stack(blocks, 1).tobytes())
    output.write(met.tobytes())
    output.write(np.array([len(met), len(blocks)], np.uint64).tobytes())
    return Result(counts={"records": records, "pairs": pairs, "left_out": left_out})


def _pairs(runs: "Runs") -> Iterator[NDArray[np.uint64]]:
    """(P, 2) pairs of places (later, earlier) of each record and the first ones of its run."""
    from pipelines.stages.near import kernels

    room = np.empty((PAIR_ROOM, 2), np.uint64)
    at: np.int64 | int = 0
    while at < len(runs.keys):
        at, written, _ = kernels.pair_runs(
            runs.keys, runs.order, runs.places, at, RUN_REPRESENTATIVES, room
        )
        yield room[:written]


def _beyond(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(N,) how many records of its run stand before each record; `keys` are sorted."""
    numbers = np.arange(len(keys))
    is_first = np.ones(len(keys), np.bool_)
    is_first[1:] = keys[1:] != keys[:-1]
    behind: NDArray[np.int64] = numbers - np.maximum.accumulate(np.where(is_first, numbers, 0))
    return behind


def _met(places: NDArray[np.uint64], is_left: NDArray[np.bool_]) -> Packed:
    """`MET`s of the documents of the long runs of one band."""
    met = np.zeros(len(places), MET)
    met["place"], met["long_runs"], met["left_out"] = places, 1, is_left
    return met


def added_up(first: Packed, second: Packed) -> Packed:
    """`MET`s of several bands, one per document, by place."""
    both = np.concatenate([first, second])
    both = both[np.argsort(both["place"], kind="stable")]
    begins = np.flatnonzero(_beyond(both["place"]) == 0)
    summed: Packed = both[begins]
    if len(begins):
        for name in ("long_runs", "left_out"):
            summed[name] = np.add.reduceat(both[name], begins)
    return summed


def _split(runs: "Runs", is_long: NDArray[np.bool_]) -> list["Runs"]:
    """Runs to be paired: the short ones; the long ones, first those records that shall count; and
    the smaller parts of these.

    A part of a run are its records that share the key of the next table too. First come
    `MIDDLE_FIRST` records in the middle of a template, then those of the largest part: the former
    are the same in many runs, so that each near-duplicate meets the first one of all, and the
    latter are others in each, so that it meets many. A page in the middle is in long runs of most
    bands. One far from it is in few, and would take a place without being alike to what follows.
    """
    from pipelines.stages.near import kernels

    short = Runs(*(column[~is_long] for column in runs))
    whole = Runs(*(column[is_long] for column in runs))
    begins = np.flatnonzero(_beyond(whole.keys) == 0)
    sizes = np.diff(np.append(begins, len(whole.keys)))
    by_long_runs = np.lexsort((whole.long_runs, whole.keys))
    medians = whole.long_runs[by_long_runs][begins + sizes // 2]
    is_middle = 2 * whole.long_runs >= np.repeat(medians, sizes)

    joined = np.empty(len(whole.keys), np.uint64)
    kernels.join_keys(whole.keys, whole.next, joined)
    is_largest = _in_largest_part(whole.keys, joined)

    before: NDArray[np.int64] = np.cumsum(is_middle) - is_middle
    before_run = np.repeat(before[begins], sizes)
    is_first = is_middle & (before - before_run < MIDDLE_FIRST)
    turn = np.where(is_middle, 2, 3)
    turn[is_largest] = 1
    turn[is_first] = 0
    by_turn = np.lexsort((whole.places, whole.order, turn, whole.keys))

    others = np.flatnonzero(~is_largest)
    others = others[np.argsort(joined[others], kind="stable")]
    parts = Runs(joined[others], *(column[others] for column in whole[1:]))
    return [short, Runs(*(column[by_turn] for column in whole)), parts]


def _in_largest_part(keys: NDArray[np.uint64], joined: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """(N,) which records are in the largest part of their run, of those the one with the first
    record; `keys` are sorted, records with equal `joined` are a part."""
    by_part = np.argsort(joined, kind="stable")
    begins = np.flatnonzero(_beyond(joined[by_part]) == 0)
    sizes = np.diff(np.append(begins, len(joined)))
    first = by_part[begins]  # the record of each part that comes first
    by_size = np.lexsort((first, -sizes, keys[first]))

    is_largest = np.empty(len(begins), np.bool_)
    is_largest[by_size] = _beyond(keys[first][by_size]) == 0
    found = np.empty(len(joined), np.bool_)
    found[by_part] = np.repeat(is_largest, sizes)
    return found


def _write_block(
    output: files.Output, pairs: NDArray[np.uint64], first_places: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Write (P, 2) pairs under both of their documents; returns (groups + 1,) where in the file
    those of each group begin."""
    begin = output.tell()
    pairs = each_once(pairs)
    both = np.concatenate([pairs | np.array([LATER, 0], np.uint64), pairs[:, ::-1]])
    groups = (both[:, 0] & np.uint64(LATER - 1)) >> np.uint64(32)
    # Small numbers are sorted by their digits, which is quick.
    groups = groups.astype(np.min_scalar_type(len(first_places)))
    by_group = np.argsort(groups, kind="stable")

    output.write(both[by_group].tobytes())
    begins = np.searchsorted(groups[by_group], np.arange(len(first_places))).astype(np.uint64)
    return begins * np.uint64(16) + np.uint64(begin)


def _read_bands(
    home: Home,
    recipe: Recipe,
    listed: list[Listed],
    which: tuple[int, int],
    task: PairsTask,
    level: Level,
) -> list[Records]:
    """The records of some bands (`which`: the first one, and how many) in the task's part, the last
    band first; each group's file is opened once."""
    bands, _ = table_scheme(recipe, level)
    first, count = which
    records: list[Records] = [[] for _ in range(count)]

    for index, group in enumerate(listed):
        if not group.signed:
            continue

        address = home.work(level.signatures, group.source, f"{group.name}.bin")
        with files.open_ranges(address) as stream:
            segment = 0  # where it begins, in records
            for bounds in signatures.read_bounds(stream, bands, first, count):
                signed = int(bounds[0, 256])
                begin = segment + first * signed
                blocks = _read_segment(stream, begin, bounds, task, level.record)
                for of_band, block in zip(reversed(records), blocks):
                    of_band.append((index, block))
                segment += bands * signed

        tick(index, 0)
    return records


def _read_segment(
    stream: files.RangeFile,
    begin: int,
    bounds: NDArray[np.int64],
    task: PairsTask,
    record: Form,
) -> list[Packed]:
    """The task's part of each band of a segment.

    `begin` is the number of the first band's first record; `bounds` is (bands, 257), where in its
    band each top byte of the keys begins.
    """
    count, signed = len(bounds), int(bounds[0, 256])
    if task.parts == 1:  # the bands stand end to end: one read
        content = stream.read_at(count * signed * record.itemsize, begin * record.itemsize)
        return list(np.frombuffer(content, record).reshape(count, signed))

    low = 256 * task.part // task.parts
    high = 256 * (task.part + 1) // task.parts
    blocks = []
    for number in range(count):
        start = begin + number * signed + int(bounds[number, low])
        length = int(bounds[number, high] - bounds[number, low])
        content = stream.read_at(length * record.itemsize, start * record.itemsize)
        blocks.append(np.frombuffer(content, record))
    return blocks


class Runs(NamedTuple):
    """Records whose key occurs twice or more, sorted by key, order and place; (N,) uint64 each.
    `next` and `long_runs` are those of a `LONG_RECORD`; of a `RECORD`, the keys again."""

    keys: NDArray[np.uint64]
    places: NDArray[np.uint64]
    order: NDArray[np.uint64]
    next: NDArray[np.uint64]
    long_runs: NDArray[np.uint64]


def _runs(recipe: Recipe, listed: list[Listed], of_band: Records, record: Form) -> Runs:
    """The runs of a band's records."""
    from pipelines.stages.near import kernels

    blocks = [block for _, block in of_band]
    ends = np.cumsum([len(block) for block in blocks])
    records = np.concatenate([np.zeros(0, record), *blocks])
    keys = np.ascontiguousarray(records["key"])

    # Most keys occur once. A table of counters passes over most of these, so that few are sorted.
    candidate = np.empty(len(keys), np.bool_)
    slots = np.zeros(1 << (8 * len(keys) + 1).bit_length(), np.uint8)
    kernels.may_repeat(keys, slots, candidate)
    chosen = np.flatnonzero(candidate)
    chosen = chosen[np.argsort(keys[chosen], kind="stable")]
    keys = keys[chosen]

    is_next = keys[1:] == keys[:-1]
    repeated = np.zeros(len(keys), np.bool_)
    repeated[1:] |= is_next
    repeated[:-1] |= is_next
    chosen, keys = chosen[repeated], keys[repeated]

    indices = np.array([index for index, _ in of_band], np.uint64)
    groups = indices[np.searchsorted(ends, chosen, "right")]
    places = groups << np.uint64(32) | records["row"][chosen].astype(np.uint64)
    priority = priorities(recipe, listed)[groups.astype(np.int64)]
    order = priority | records["order"][chosen].astype(np.uint64)
    columns = [keys, places, order, keys, keys]
    if record == LONG_RECORD:
        long_runs = records["long_runs"][chosen].astype(np.uint64)
        columns = [keys, places, order, records["next"][chosen], long_runs]

    by_all = np.lexsort((places, order, keys))
    return Runs(*(column[by_all] for column in columns))


PROPOSE = Pass(name=PAIRS, plan=plan, address=pairs_address, work=propose, label="Pairs")


# --- reading what was proposed


def read_blocks(address: str, index: int, groups: int) -> Iterator[NDArray[np.uint64]]:
    """The records of a group in a file of pairs, block by block."""
    with files.open_ranges(address) as stream:
        size = stream.size()
        met, count = np.frombuffer(stream.read_at(16, size - 16), np.uint64).tolist()
        directory = size - 16 - met * MET.itemsize - count * (groups + 1) * 8
        content = stream.read_at(2 * count * 8, directory + index * count * 8)
        begins, ends = np.frombuffer(content, np.uint64).reshape(2, count).tolist()

        for begin, end in zip(begins, ends):
            if begin < end:
                records = stream.read_at(end - begin, begin)
                yield np.frombuffer(records, np.uint64).reshape(-1, 2)


def read_met(address: str) -> Packed:
    """`MET`s, by place, of the documents in the long runs of a file of pairs."""
    with files.open_ranges(address) as stream:
        size = stream.size()
        count = int(np.frombuffer(stream.read_at(8, size - 16), np.uint64)[0])
        length = count * MET.itemsize
        return np.frombuffer(stream.read_at(length, size - 16 - length), MET)
