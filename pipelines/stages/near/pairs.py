"""From band keys to pairs: in stage `near` (pipelines/stages/near/signatures.py says how its steps hang together) the
records of a part of the keys meet, band after band. One file a task; memory is a part of some
bands, 350 MB."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import Home, open_home, recipe_key, task_home
from pipelines.home.summaries import Summary, done, prune, write_summary
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.near import groups as near_groups
from pipelines.stages.near import signatures
from pipelines.stages.near.bands import band_scheme, thresholds
from pipelines.stages.near.groups import (
    PAIRS,
    RECORD,
    SIGNATURES,
    Listed,
    priorities,
    read_list,
    write_list,
)
from shards.storage import files

PASS_BANDS = 4
"""Bands of one task: at most so many records a document and pass."""

PART_RECORDS = 4_000_000
"""About how many records of a band meet in one task: 200 MB while they are sorted."""

HELD_RECORDS = 8_000_000
"""Records that a task reads at once, of as many bands as are so small: 128 MB. Each time it opens
the file of every group."""

FEW_RECORDS = 1_000_000
"""Of so few in all bands one task does it all: fewer tasks read fewer files."""

RUN_REPRESENTATIVES = 16
"""A document is compared with so many of a run of equal keys, the first in survivor order: a page
that a million share would ask for half a million million comparisons."""

PAIR_ROOM = 500_000
"""Pairs that are written at once."""

LATER = 1 << 63
"""Set in the first place of a pair's record that lies in the group of the later document."""


@dataclass(frozen=True, kw_only=True)
class PairsTask:
    """`bands` of the keys, from `first` on, of those the part `part` of `parts` (a power of two, by
    the top bits). `recipe`: `recipe_key` of the plan's."""

    home: str
    recipe: str
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
    bands, rows = band_scheme(min(thresholds(recipe).values()))
    wanted = fingerprint(
        stage=near_groups.VERSION,
        representatives=RUN_REPRESENTATIVES,
        slices=write_list(home, recipe),
        rows=rows,
    )
    signed = sum(piece.signed for piece in read_list(home))
    parts = 1
    while parts * PART_RECORDS < signed and parts < 256:
        parts *= 2
    at_once = bands if signed * bands <= FEW_RECORDS else PASS_BANDS
    tasks = [
        PairsTask(
            home=home_root,
            recipe=recipe_key(recipe),
            first=first,
            bands=min(at_once, bands - first),
            part=part,
            parts=parts,
            size=signed * min(at_once, bands - first) * RECORD.itemsize // parts,
            fingerprint=wanted,
        )
        for first in range(0, bands, at_once)
        for part in range(parts)
    ]
    prune(home, PAIRS, {("all", task.name) for task in tasks}, (f"work/{PAIRS}",))
    return tasks


def propose(task: PairsTask) -> Summary:
    """Write the pairs of a pass: blocks of records (own place, other place), each pair once under
    either document, sorted by own place; then where each group begins in each block, (groups + 1,
    blocks) uint64, and the number of blocks."""
    from pipelines.stages.near import kernels

    home, recipe = task_home(task)
    address = home.work(PAIRS, task.source, f"{task.name}.bin")
    finished = done(home, PAIRS, task.source, task.name, task.fingerprint, address)
    if finished:
        return finished
    listed = read_list(home)
    first_places = np.arange(len(listed) + 1, dtype=np.uint64) << np.uint64(32)
    room = np.empty((PAIR_ROOM, 2), np.uint64)
    blocks: list[NDArray[np.uint64]] = []
    records, pairs, left_out = 0, 0, 0
    at_once = max(1, HELD_RECORDS * task.parts // max(sum(piece.signed for piece in listed), 1))
    with files.open_output(address) as output:
        for first in range(task.first, task.first + task.bands, at_once):
            held = _read_bands(
                home, recipe, listed, first, min(at_once, task.first + task.bands - first), task
            )
            while held:
                of_band = held.pop()
                records += sum(len(block) for _, block in of_band)
                keys, places, order = _runs(recipe, listed, of_band)
                at: Any = 0
                while at < len(keys):
                    at, written, missed = kernels.pair_runs(
                        keys, order, places, at, RUN_REPRESENTATIVES, room
                    )
                    pairs, left_out = pairs + int(written), left_out + int(missed)
                    both = np.concatenate(
                        [room[:written] | np.array([LATER, 0], np.uint64), room[:written, ::-1]]
                    )
                    both = both[np.lexsort((both[:, 1], both[:, 0] & np.uint64(LATER - 1)))]
                    begins = np.searchsorted(
                        both[:, 0] & np.uint64(LATER - 1), first_places
                    ).astype(np.uint64)
                    blocks.append(begins * np.uint64(16) + np.uint64(output.tell()))
                    output.write(both.tobytes())
                    tick(records, RECORD.itemsize * records)
        if blocks:
            output.write(np.stack(blocks, 1).tobytes())
        output.write(len(blocks).to_bytes(8, "little"))
    summary = Summary(
        stage=PAIRS,
        source=task.source,
        slice=task.name,
        path=task.name,
        start=0,
        fingerprint=task.fingerprint,
        output=output.digest,
        output_bytes=output.bytes,
        counts={"records": records, "pairs": pairs, "left_out": left_out},
    )
    write_summary(home, summary)
    return summary


Records = list[tuple[int, NDArray[Any]]]
"""(index of the group, `RECORD`s)."""


def _read_bands(
    home: Home, recipe: Recipe, listed: list[Listed], first: int, count: int, task: PairsTask
) -> list[Records]:
    """The records of `count` bands in the task's part, the last band first; each group's file is
    opened once."""
    bands, _ = band_scheme(min(thresholds(recipe).values()))
    low, high = 256 * task.part // task.parts, 256 * (task.part + 1) // task.parts
    found: list[Records] = [[] for _ in range(count)]
    for index, piece in enumerate(listed):
        if not piece.signed:
            continue
        with files.open_ranges(home.work(SIGNATURES, piece.source, f"{piece.name}.bin")) as stream:
            begin = 0
            for bounds in signatures.read_bounds(stream, bands, first, count):
                signed = int(bounds[0, 256])
                if task.parts == 1:  # the bands stand end to end
                    content = stream.read_at(
                        count * signed * RECORD.itemsize, (begin + first * signed) * RECORD.itemsize
                    )
                    blocks = list(np.frombuffer(content, RECORD).reshape(count, signed))
                else:
                    ranges = [
                        (
                            begin + (first + n) * signed + bounds[n, low],
                            bounds[n, high] - bounds[n, low],
                        )
                        for n in range(count)
                    ]
                    blocks = [
                        np.frombuffer(
                            stream.read_at(int(size) * RECORD.itemsize, int(at) * RECORD.itemsize),
                            RECORD,
                        )
                        for at, size in ranges
                    ]
                for of_band, block in zip(reversed(found), blocks):
                    of_band.append((index, block))
                begin += bands * signed
        tick(index, 0)
    return found


def _runs(recipe: Recipe, listed: list[Listed], of_band: Records) -> tuple[NDArray[np.uint64], ...]:
    """Keys, places and survivor order of the records whose key occurs twice or more, sorted by key,
    order and place."""
    from pipelines.stages.near import kernels

    ends = np.cumsum([len(block) for _, block in of_band])
    records = np.concatenate([np.zeros(0, RECORD), *(block for _, block in of_band)])
    keys = np.ascontiguousarray(records["key"])
    candidate = np.empty(len(keys), np.bool_)
    kernels.may_repeat(keys, np.zeros(1 << (8 * len(keys) + 1).bit_length(), np.uint8), candidate)
    chosen = np.flatnonzero(candidate)
    chosen = chosen[np.argsort(keys[chosen], kind="stable")]
    keys = keys[chosen]
    same = keys[1:] == keys[:-1]
    repeated = np.zeros(len(keys), np.bool_)
    repeated[1:] |= same
    repeated[:-1] |= same
    chosen, keys = chosen[repeated], keys[repeated]
    groups = np.array([index for index, _ in of_band], np.uint64)[
        np.searchsorted(ends, chosen, "right")
    ]
    places = groups << np.uint64(32) | records["row"][chosen].astype(np.uint64)
    order = priorities(recipe, listed)[groups.astype(np.int64)] | records["order"][chosen].astype(
        np.uint64
    )
    by_all = np.lexsort((places, order, keys))
    return keys[by_all], places[by_all], order[by_all]
