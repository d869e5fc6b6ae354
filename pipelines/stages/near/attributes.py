"""The last pass of stage `near`: the decision, and from it the attributes of every slice."""

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.home.decisions import attribute_digests, kept_rows, twins
from pipelines.home.documents import write_attributes
from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import EXACT, NEAR, Home, recipe_key
from pipelines.home.summaries import SliceTask, Summary, bulk, ordered_slices
from pipelines.recipe import Recipe
from pipelines.stages.near.decision import CONTAINED, CONTAINS, REMOVAL, decide
from pipelines.stages.near.groups import DECISION, Packed, grouped, read_list, write_if_new
from pipelines.stages.stage import Pass, Result
from shards.storage import files

DECISION_VERSION = 4
"""Of which documents are removed, and of what `apply` writes."""


@dataclass(frozen=True, kw_only=True)
class Task(SliceTask):
    """One ingested slice to write the attributes of.

    Its removals are in the file of its group, beginning with number `first`: as many as `twins_in`
    says for the first source of the recipe, whose documents are their twins, then for the second,
    and so on. `before` holds the `attribute_digests` of the stages before.
    """

    group: str
    first: int
    twins_in: tuple[int, ...]
    before: tuple[str, ...]


def plan(home: Home, recipe: Recipe) -> list[Task]:
    """Decide, and list every slice to write the attributes of."""
    removals_of = decide(home, recipe)
    slices, read = ordered_slices(home, recipe), bulk(home)

    def digests_before(summary: Summary) -> list[str]:
        return attribute_digests(home, recipe, summary, before=NEAR, read=read)

    digests = iter(files.each(home.root, digests_before, slices))
    nothing_removed = (np.zeros(0, REMOVAL), np.zeros(0, np.uint64))
    names = list(recipe.sources)
    source_of_group = np.array([names.index(group.source) for group in read_list(home)], np.uint16)
    key = recipe_key(recipe)
    tasks = []

    for index, members in enumerate(grouped(slices)):
        removals, twin_places = removals_of.get(index, nothing_removed)
        sources = source_of_group[(twin_places >> np.uint64(32)).astype(np.int64)]
        by_slice: list[Packed] = []
        row = first = 0

        for summary in members:
            end = row + summary.counts["documents"]
            here = slice(*np.searchsorted(removals["row"], [row, end]))
            of_slice = removals[here].copy()
            of_slice["row"] -= row
            # The digests come in the order of the slices, which the groups keep.
            before = next(digests)
            decided = hashlib.blake2b(of_slice.tobytes(), digest_size=16).hexdigest()
            wanted = fingerprint(
                stage=DECISION_VERSION, documents=summary.output, before=before, removals=decided
            )
            twins_in = np.bincount(sources[here], minlength=len(recipe.sources))
            task = Task(
                home=home.root,
                recipe=key,
                ingested=summary,
                fingerprint=wanted,
                group=members[0].slice,
                first=first,
                twins_in=tuple(twins_in.tolist()),
                before=tuple(before),
            )
            tasks.append(task)

            row, first = end, first + len(of_slice)
            by_slice.append(of_slice[np.argsort(sources[here], kind="stable")])

        address = home.work(DECISION, members[0].source, f"{members[0].slice}.bin")
        write_if_new(address, np.concatenate(by_slice).tobytes())

    return tasks


def attributes_address(home: Home, recipe: Recipe, task: Task) -> str:
    """Where the attributes of a slice are stored."""
    return home.attributes(NEAR, task.source, task.name)


def apply(home: Home, recipe: Recipe, task: Task, output: files.Output) -> Result:
    """Write, for each document of a slice, its twin or null."""
    ids = _ids(home, recipe, task.ingested)
    twin_ids: list[str | None] = [None] * len(ids)
    scores: list[float | None] = [None] * len(ids)
    kinds: list[str | None] = [None] * len(ids)
    removals, sources = _removals(home, recipe, task)

    for row, score, twin in removals.tolist():
        twin_ids[row] = twin.ljust(16, b"\0").hex()  # numpy's S16 drops trailing zero bytes
        scores[row] = score % CONTAINS / 1e9
        kinds[row] = _kind(score)

    columns = [
        ids,
        pa.array(twin_ids, pa.string()),
        pa.array(scores, pa.float64()),
        pa.array(kinds, pa.string()),
    ]
    write_attributes(output, columns, task.ingested.output)

    names = list(recipe.sources)
    numbers, counted = np.unique(sources, return_counts=True)
    return Result(
        counts={
            "documents": len(ids),
            "removed": len(removals),
            "contained": int((removals["score"] >= CONTAINED).sum()),
        },
        twins_in={names[number]: int(count) for number, count in zip(numbers, counted)},
        inputs=(task.ingested.output, *task.before),
    )


def _kind(score: int) -> str:
    """The kind of duplicate that a removal's score is marked with."""
    if score & CONTAINED:
        return "contained"
    return "contains" if score & CONTAINS else "near"


def _removals(home: Home, recipe: Recipe, task: Task) -> tuple[Packed, NDArray[np.int64]]:
    """The `REMOVAL`s of a slice and the numbers of their twins' sources in the recipe."""
    sources = np.repeat(np.arange(len(task.twins_in)), task.twins_in)
    if not len(sources):
        return np.zeros(0, REMOVAL), sources

    with files.open_ranges(home.work(DECISION, task.source, f"{task.group}.bin")) as stream:
        size, begin = len(sources) * REMOVAL.itemsize, task.first * REMOVAL.itemsize
        removals = np.frombuffer(stream.read_at(size, begin), REMOVAL)

    # Where documents are compared before the rules, one that a rule removes counts as the rule's.
    if recipe.sources[task.source].dedup.before_rules:
        ours = kept_rows(home, recipe, task.ingested, before=NEAR)[removals["row"]]
        removals, sources = removals[ours], sources[ours]
    return removals, sources


def _ids(home: Home, recipe: Recipe, ingested: Summary) -> pa.ChunkedArray:
    """(D,) the ids of a slice's documents, from where the least is read."""
    if recipe.dedup.exact:
        return twins(home, EXACT, ingested).column("id")
    with files.open_input(home.documents(ingested.source, ingested.slice)) as stream:
        return pq.read_table(stream, columns=["id"]).column("id")


APPLY = Pass(name=NEAR, plan=plan, address=attributes_address, work=apply, label="Apply")
