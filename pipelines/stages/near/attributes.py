"""TODO-DOC pipelines/stages/near/attributes.py."""

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.home.decisions import attribute_digests, kept_rows, twins
from pipelines.home.documents import ATTRIBUTE_SCHEMA
from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import Home, open_home, recipe_key, task_home
from pipelines.home.summaries import (
    SliceTask,
    Summary,
    bulk,
    done,
    ordered_slices,
    slice_summary,
    write_summary,
)
from pipelines.recipe import Recipe
from pipelines.stages.near.decision import CONTAINED, REMOVAL, decide
from pipelines.stages.near.groups import DECISION, STAGE, grouped, write_if_new
from shards.storage import files

DECISION_VERSION = 3
"""Of which documents go, and of what `apply` writes."""


@dataclass(frozen=True, kw_only=True)
class Task(SliceTask):
    """One ingested slice to write the attributes of, from the removals in the file of its group,
    from number `first` on: as many as `twins_in` says for the first source of the recipe, whose
    twins are there, then for the second, and so on. `before`: `attribute_digests` of the stages
    before."""

    fingerprint: str
    group: str
    first: int
    twins_in: tuple[int, ...]
    before: tuple[str, ...]
    stage: str = STAGE


def plan_apply(home_root: str) -> list[Task]:
    """Decide, and every slice to write the attributes of."""
    home, recipe = open_home(home_root)
    by_group = decide(home, recipe)
    found, read, key = ordered_slices(home, recipe), bulk(home), recipe_key(recipe)
    digests = iter(
        files.each(
            home.root,
            lambda summary: attribute_digests(home, recipe, summary, before=STAGE, read=read),
            found,
        )
    )
    tasks = []
    for index, members in enumerate(grouped(found)):
        (removals, sources), held = (
            by_group.get(index, (np.zeros(0, REMOVAL), np.zeros(0, np.uint16))),
            list[NDArray[Any]](),
        )
        row = first = 0
        for summary in members:
            end = row + summary.counts["documents"]
            here = slice(*np.searchsorted(removals["row"], [row, end]))
            of_slice = removals[here].copy()
            of_slice["row"] -= row
            before = next(digests)
            decided = hashlib.blake2b(of_slice.tobytes(), digest_size=16).hexdigest()
            wanted = fingerprint(
                stage=DECISION_VERSION, documents=summary.output, before=before, removals=decided
            )
            tasks.append(
                Task(
                    home=home_root,
                    recipe=key,
                    ingested=summary,
                    fingerprint=wanted,
                    group=members[0].slice,
                    first=first,
                    twins_in=tuple(
                        np.bincount(sources[here], minlength=len(recipe.sources)).tolist()
                    ),
                    before=tuple(before),
                )
            )
            row, first = end, first + len(of_slice)
            held.append(of_slice[np.argsort(sources[here], kind="stable")])
        write_if_new(
            home.work(DECISION, members[0].source, f"{members[0].slice}.bin"),
            np.concatenate(held).tobytes(),
        )
    return tasks


def apply(task: Task) -> Summary:
    """Write the attributes of a slice from the decision about it."""
    home, recipe = task_home(task)
    ingested = task.ingested
    address = home.attributes(STAGE, ingested.source, ingested.slice)
    finished = done(home, STAGE, ingested.source, ingested.slice, task.fingerprint, address)
    if finished:
        return finished
    ids = _ids(home, recipe, ingested)
    names: list[str | None] = [None] * len(ids)
    scores: list[float | None] = [None] * len(ids)
    kinds: list[str | None] = [None] * len(ids)
    removals: NDArray[Any] = np.zeros(0, REMOVAL)
    sources = np.repeat(np.arange(len(task.twins_in)), task.twins_in)
    if len(sources):
        with files.open_ranges(home.work(DECISION, ingested.source, f"{task.group}.bin")) as stream:
            removals = np.frombuffer(
                stream.read_at(len(sources) * REMOVAL.itemsize, task.first * REMOVAL.itemsize),
                REMOVAL,
            )
    if recipe.sources[ingested.source].dedup.before_rules:  # a rule's is the rule's
        ours = kept_rows(home, recipe, ingested, before=STAGE)[removals["row"]]
        removals, sources = removals[ours], sources[ours]
    for row, score, twin in removals.tolist():
        names[row] = twin.ljust(16, b"\0").hex()  # numpy's S16 drops trailing zero bytes
        scores[row] = score % CONTAINED / 1e9
        kinds[row] = "contained" if score >= CONTAINED else "near"
    columns = [
        ids,
        pa.array(names, pa.string()),
        pa.array(scores, pa.float64()),
        pa.array(kinds, pa.string()),
    ]
    table = pa.table(
        columns, schema=ATTRIBUTE_SCHEMA.with_metadata({"corpusmill.documents": ingested.output})
    )
    with files.open_output(address) as output:
        pq.write_table(table, output, compression="zstd")
    counts = {
        "documents": len(ids),
        "removed": len(removals),
        "contained": int((removals["score"] >= CONTAINED).sum()),
    }
    named = list(recipe.sources)
    twins_in = {
        named[number]: int(count) for number, count in zip(*np.unique(sources, return_counts=True))
    }
    summary = slice_summary(
        STAGE, ingested, task.fingerprint, output, counts, (ingested.output, *task.before)
    )
    summary = dataclasses.replace(summary, twins_in=twins_in)
    write_summary(home, summary)
    return summary


def _ids(home: Home, recipe: Recipe, ingested: Summary) -> pa.ChunkedArray:
    """(D,) the ids of a slice's documents, from where the least is read."""
    if recipe.dedup.exact:
        return twins(home, "exact", ingested).column("id")
    with files.open_input(home.documents(ingested.source, ingested.slice)) as stream:
        return pq.read_table(stream, columns=["id"]).column("id")
