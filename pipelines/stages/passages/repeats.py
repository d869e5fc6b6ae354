"""Which passages may be repeated, by their sketches; and the records of those alone."""

import numpy as np
from numpy.typing import NDArray

from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import Home
from pipelines.home.summaries import SliceTask, ordered_slices, prune, summaries
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.accounts import total
from pipelines.stages.near.groups import Packed
from pipelines.stages.passages.keys import (
    KEYS,
    RECORD,
    WORK_VERSION,
    KeysFile,
    Task,
    compared,
    keys_address,
    slice_tasks,
    top_bounds,
    written,
)
from pipelines.stages.passages.parts import (
    PartTask,
    list_slices,
    listed_slices,
    part_tasks,
    tops_of,
)
from pipelines.stages.stage import Pass, Result
from shards.storage import files

REPEATS = "passage-repeats"

RECORDS = "passage-records"

PART_SKETCHES = 8_000_000
"""About how many sketches meet in one task: 200 MB while they are sorted."""


# --- the second pass: equal sketches meet


def plan_repeats(home: Home, recipe: Recipe) -> list[PartTask]:
    """A task for each part of the keys."""
    slices = compared(recipe, ordered_slices(home, recipe))
    keys = written(home, KEYS, slices)
    wanted = fingerprint(
        stage=WORK_VERSION,
        slices=list_slices(home, slices),
        keys=[summary.output for summary in keys],
        documents=recipe.dedup.passage_documents,
    )
    return part_tasks(home, recipe, REPEATS, (total(keys, "records"), PART_SKETCHES), wanted)


def repeats_address(home: Home, recipe: Recipe, task: PartTask) -> str:
    """Where the bits of a part are stored."""
    return home.work(REPEATS, task.source, f"{task.name}.bin")


def find_repeats(home: Home, recipe: Recipe, task: PartTask, output: files.Output) -> Result:
    """Write a bit for each passage of a part of the keys: whether as many passages as are asked for
    share its sketch. Those of a slice begin with a byte; after all bytes stands where each of the S
    slices begins, (S + 1,) uint64."""
    listed = listed_slices(home)
    own = []
    for index, (source, name) in enumerate(listed):
        with files.open_ranges(home.work(KEYS, source, f"{name}.bin")) as stream:
            own.append(_sketches(KeysFile(stream), task))
        tick(index, 0)

    repeated = repeated_values(np.concatenate(own), recipe.dedup.passage_documents)
    # Bits in the order of the slice's records: no key need come back.
    edges = [0]
    for sketches in own:
        bits = np.packbits(_is_in(repeated, sketches))
        output.write(bits.tobytes())
        edges.append(edges[-1] + len(bits))
    output.write(np.array(edges, np.uint64).tobytes())
    return Result(counts={"sketches": sum(map(len, own)), "repeated": len(repeated)})


REPEAT = Pass(
    name=REPEATS, plan=plan_repeats, address=repeats_address, work=find_repeats, label="Repeats"
)


def _sketches(keys: KeysFile, task: PartTask) -> NDArray[np.uint64]:
    """The sketches of a slice in a part of the keys, with their top bytes."""
    first, stop = task.tops
    bounds = keys.bounds[first : stop + 1]
    below = keys.sketches(int(bounds[0]), int(bounds[-1])).astype(np.uint64)
    tops = np.repeat(np.arange(first, stop, dtype=np.uint64), np.diff(bounds))
    return below | tops << np.uint64(32)


def repeated_values(values: NDArray[np.uint64], times: int) -> NDArray[np.uint64]:
    """The values that occur at least so many times, in order."""
    # In order, a value that occurs often enough equals the one so many places before.
    ordered = np.sort(values)
    again = ordered[times - 1 :]
    found: NDArray[np.uint64] = np.unique(again[again == ordered[: len(again)]])
    return found


def _is_in(ordered: NDArray[np.uint64], values: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Which values are among the ordered ones."""
    if not len(ordered):
        return np.zeros(len(values), np.bool_)
    places = np.searchsorted(ordered, values)
    found: NDArray[np.bool_] = ordered[np.minimum(places, len(ordered) - 1)] == values
    return found


# --- the third pass: the records of those alone


def plan_records(home: Home, recipe: Recipe) -> list[Task]:
    """The slices whose passages are compared."""
    slices = compared(recipe, ordered_slices(home, recipe))
    wanted = {(summary.source, summary.slice) for summary in slices}
    prune(home, RECORDS, wanted, (f"work/{RECORDS}",))
    repeats = [summary.output for summary in summaries(home, REPEATS, "all")]
    settings: dict[str, object] = {
        "words": recipe.dedup.passage_words,
        "repeats": repeats,
        "slices": listed_slices(home),
    }
    return slice_tasks(home, recipe, slices, settings, WORK_VERSION)


def records_address(home: Home, recipe: Recipe, task: SliceTask) -> str:
    """Where the records that leave a slice are stored."""
    return home.work(RECORDS, task.source, f"{task.name}.bin")


def write_records(home: Home, recipe: Recipe, task: Task, output: files.Output) -> Result:
    """Write the `RECORD`s of a slice whose sketches are repeated, by key; and where each top byte
    of the keys begins, (257,) uint64."""
    listed = listed_slices(home)
    index = listed.index((task.source, task.name))
    repeats = summaries(home, REPEATS, "all")
    parts: list[Packed] = [np.zeros(0, RECORD)]

    with files.open_ranges(keys_address(home, recipe, task)) as stream:
        keys = KeysFile(stream)
        for part, summary in enumerate(repeats):
            first, stop = tops_of(part, len(repeats))
            begin, end = int(keys.bounds[first]), int(keys.bounds[stop])
            bits = _bits(home, summary.slice, index, len(listed))
            chosen = np.flatnonzero(np.unpackbits(bits, count=end - begin))
            # Most parts of a small slice hold nothing that is repeated: no read for those.
            if len(chosen):
                parts.append(keys.records(begin, end)[chosen])
            tick(part, 0)

    records = np.concatenate(parts)
    output.write(records.tobytes())
    output.write(top_bounds(records).tobytes())
    return Result(counts={"records": len(records)}, inputs=(task.ingested.output, *task.before))


WRITE_RECORDS = Pass(
    name=RECORDS, plan=plan_records, address=records_address, work=write_records, label="Records"
)


def _bits(home: Home, part: str, index: int, slices: int) -> NDArray[np.uint8]:
    """The bits of a slice in a part, packed."""
    with files.open_ranges(home.work(REPEATS, "all", f"{part}.bin")) as stream:
        directory = stream.size() - (slices + 1) * 8
        begin, end = np.frombuffer(stream.read_at(16, directory + index * 8), np.uint64).tolist()
        return np.frombuffer(stream.read_at(end - begin, begin), np.uint8)
