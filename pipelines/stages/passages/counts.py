"""Equal passages meet: which are repeated, how often, and where first."""

import numpy as np

from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import Home
from pipelines.home.summaries import ordered_slices
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.accounts import total
from pipelines.stages.near.groups import Packed
from pipelines.stages.passages.keys import RECORD, TOPS, WORK_VERSION, compared, written
from pipelines.stages.passages.parts import PartTask, listed_slices, part_tasks
from pipelines.stages.passages.repeats import RECORDS
from pipelines.stages.stage import Pass, Result
from shards.storage import files

COUNTS = "passage-counts"

REPEATED = np.dtype([("key", "<u8"), ("first", "<u8"), ("row", "<u4"), ("documents", "<u4")])
"""A repeated passage of a document: `first` is the place (slice << 32 | row) of the first document
that has it, `documents` how many have it."""

PART_RECORDS = 4_000_000
"""About how many records meet in one task: 400 MB while they are sorted."""


def plan_counts(home: Home, recipe: Recipe) -> list[PartTask]:
    """A task for each part of the keys."""
    sent = written(home, RECORDS, compared(recipe, ordered_slices(home, recipe)))
    wanted = fingerprint(
        stage=WORK_VERSION,
        slices=listed_slices(home),
        records=[summary.output for summary in sent],
        priority=list(recipe.dedup.priority),
        documents=recipe.dedup.passage_documents,
    )
    return part_tasks(home, recipe, COUNTS, (total(sent, "records"), PART_RECORDS), wanted)


def counts_address(home: Home, recipe: Recipe, task: PartTask) -> str:
    """Where the repeated passages of a part are stored."""
    return home.work(COUNTS, task.source, f"{task.name}.bin")


def count(home: Home, recipe: Recipe, task: PartTask, output: files.Output) -> Result:
    """Write the repeated passages of a part of the keys: `REPEATED`s by slice, and where those of
    each of the S slices begin, (S + 1,) uint64."""
    listed = listed_slices(home)
    parts: list[Packed] = [np.zeros(0, RECORD)]
    for index, (source, name) in enumerate(listed):
        parts.append(_read_part(home.work(RECORDS, source, f"{name}.bin"), task))
        tick(index, 0)

    records = np.concatenate(parts)
    slices = np.repeat(np.arange(len(listed), dtype=np.uint64), [len(part) for part in parts[1:]])
    priority = recipe.dedup.priority
    ranks = np.array([priority.index(source) for source, _ in listed], np.uint64)
    order = ranks[slices.astype(np.int64)] << np.uint64(56) | records["order"].astype(np.uint64)
    places = slices << np.uint64(32) | records["row"].astype(np.uint64)
    by_all = np.lexsort((places, order, records["rest"], records["key"]))
    records, places = records[by_all], places[by_all]

    # A run of equal passages has one record per document; its first is the first in survivor order.
    is_first = np.ones(len(records), np.bool_)
    is_first[1:] = (records["key"][1:] != records["key"][:-1]) | (
        records["rest"][1:] != records["rest"][:-1]
    )
    begins = np.flatnonzero(is_first)
    lengths = np.diff(np.append(begins, len(records)))
    documents = np.repeat(lengths, lengths)
    is_repeated = documents >= recipe.dedup.passage_documents

    repeated = np.zeros(int(is_repeated.sum()), REPEATED)
    repeated["key"] = records["key"][is_repeated]
    repeated["first"] = np.repeat(places[begins], lengths)[is_repeated]
    repeated["row"] = records["row"][is_repeated]
    repeated["documents"] = documents[is_repeated]
    of_slice = (places[is_repeated] >> np.uint64(32)).astype(np.int64)
    by_slice = np.lexsort((repeated["key"], repeated["row"], of_slice))
    edges = np.searchsorted(of_slice[by_slice], np.arange(len(listed) + 1))
    output.write(repeated[by_slice].tobytes())
    output.write(edges.astype(np.uint64).tobytes())

    passages = int((lengths >= recipe.dedup.passage_documents).sum())
    return Result(counts={"records": len(records), "passages": passages})


COUNT = Pass(name=COUNTS, plan=plan_counts, address=counts_address, work=count, label="Counts")


def _read_part(address: str, task: PartTask) -> Packed:
    """The `RECORD`s of a slice in one part of the keys."""
    first, stop = task.tops
    with files.open_ranges(address) as stream:
        content = stream.read_at((TOPS + 1) * 8, stream.size() - (TOPS + 1) * 8)
        bounds = np.frombuffer(content, np.uint64)
        begin, end = int(bounds[first]), int(bounds[stop])
        content = stream.read_at((end - begin) * RECORD.itemsize, begin * RECORD.itemsize)
        return np.frombuffer(content, RECORD)
