"""The passages of each slice, by key, and what every pass of `passages` plans by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.home.decisions import attribute_digests, kept_rows
from pipelines.home.documents import row_groups
from pipelines.home.fingerprints import fingerprint, package_versions
from pipelines.home.layout import PASSAGES, Home, recipe_key
from pipelines.home.summaries import SliceTask, Summary, bulk, ordered_slices, prune
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.near.groups import Packed
from pipelines.stages.near.signatures import survivor_order
from pipelines.stages.passages.find import find_passages
from pipelines.stages.stage import Pass, Result
from shards.errors import UserError
from shards.storage import files

VERSION = 1
"""Of what the stage writes beside the documents."""

WORK_VERSION = 2
"""Of its files below `work/`."""

KEYS = "passage-keys"

RECORD = np.dtype([("key", "<u8"), ("rest", "<u4"), ("order", "<u4"), ("row", "<u4")])
"""A passage of a document: its digest, and the document's survivor order and row."""

SKETCH = np.dtype("<u4")
"""Bits 24 to 55 of a passage's key; the 8 bits above them follow from its place."""

TOPS = 256
"""Values of the top 8 bits of a key, by which the files are cut into parts."""


@dataclass(frozen=True, kw_only=True)
class Task(SliceTask):
    """One ingested slice. `before` holds the `attribute_digests` of the stages before."""

    before: tuple[str, ...]


def compared(recipe: Recipe, slices: list[Summary]) -> list[Summary]:
    """The slices of the sources whose passages are compared, in order."""
    return [summary for summary in slices if recipe.sources[summary.source].dedup.passages != "off"]


def plan(home: Home, recipe: Recipe) -> list[Task]:
    """The slices whose passages are compared; removes the files of others."""
    slices = compared(recipe, ordered_slices(home, recipe))
    wanted = {(summary.source, summary.slice) for summary in slices}
    prune(home, KEYS, wanted, (f"work/{KEYS}",))
    prune(home, PASSAGES, wanted, (f"attributes/{PASSAGES}",))
    settings: dict[str, object] = {"words": recipe.dedup.passage_words}
    return slice_tasks(home, recipe, slices, settings, WORK_VERSION)


def slice_tasks(
    home: Home,
    recipe: Recipe,
    slices: list[Summary],
    settings: dict[str, object],
    version: int = VERSION,
) -> list[Task]:
    """A task for each of these slices, whose result depends on the settings and on what the stages
    before keep."""
    read, key = bulk(home), recipe_key(recipe)

    def digests_before(summary: Summary) -> list[str]:
        return attribute_digests(home, recipe, summary, before=PASSAGES, read=read)

    tasks = []
    for summary, before in zip(slices, files.each(home.root, digests_before, slices)):
        wanted = fingerprint(
            stage=version,
            packages=package_versions("tokenizers"),
            documents=summary.output,
            before=before,
            keep=recipe.dedup.keep,
            **settings,
        )
        task = Task(
            home=home.root, recipe=key, ingested=summary, fingerprint=wanted, before=tuple(before)
        )
        tasks.append(task)
    return tasks


def written(home: Home, stage: str, slices: list[Summary]) -> list[Summary]:
    """The summaries that a pass wrote of these slices, in their order. Raises `UserError`."""
    read = bulk(home)
    found = []
    for ingested in slices:
        summary = read(stage, ingested.source, ingested.slice)
        if summary is None:
            raise UserError(f"{home.root}: passages are not compared", home.build_command)
        found.append(summary)
    return found


def keys_address(home: Home, recipe: Recipe, task: SliceTask) -> str:
    """Where the passages of a slice are stored."""
    return home.work(KEYS, task.source, f"{task.name}.bin")


def write_keys(home: Home, recipe: Recipe, task: Task, output: files.Output) -> Result:
    """Write the passages of a slice, each passage of a document once, by key.

    The file is a `SKETCH` of each of the P passages; their `RECORD`s in the same order; the ids of
    all D documents, 16 bytes each; where each top byte of the keys begins, (257,) uint64; and D.
    """
    kept = kept_rows(home, recipe, task.ingested, before=PASSAGES)
    parts: list[Packed] = [np.zeros(0, RECORD)]
    ids = []

    for first, table in row_groups(home, task.ingested, ("id", "text", "crawled")):
        ids += [bytes.fromhex(identity) for identity in table.column("id").to_pylist()]
        texts = table.column("text").to_pylist()
        lengths = np.array([len(text.encode()) for text in texts], np.int64)
        order = survivor_order(table.column("crawled"), lengths, recipe).tolist()
        rows = []
        for number in np.flatnonzero(kept[first : first + table.num_rows]).tolist():
            passages = find_passages(texts[number], recipe.dedup.passage_words)
            for key, rest in {(passage.key, passage.rest) for passage in passages}:
                rows.append((key, rest, order[number], first + number))
        parts.append(np.array(rows, RECORD))
        done = first + table.num_rows
        tick(done, task.size * done // max(task.ingested.counts["documents"], 1))

    records = np.concatenate(parts)
    records = records[np.lexsort((records["row"], records["rest"], records["key"]))]
    # The sketches come first, so that all that other workers read of a part lies together.
    output.write((records["key"] >> np.uint64(24)).astype(SKETCH).tobytes())
    output.write(records.tobytes())
    output.write(b"".join(ids))
    output.write(top_bounds(records).tobytes())
    output.write(len(ids).to_bytes(8, "little"))
    counts = {"documents": len(ids), "compared": int(kept.sum()), "records": len(records)}
    return Result(counts=counts, inputs=(task.ingested.output, *task.before))


WRITE_KEYS = Pass(name=KEYS, plan=plan, address=keys_address, work=write_keys, label="Keys")


def top_bounds(records: Packed) -> NDArray[np.uint64]:
    """(257,) where each top byte of the keys begins, among records by key."""
    tops = records["key"] >> np.uint64(56)
    return np.searchsorted(tops, np.arange(TOPS + 1)).astype(np.uint64)


class KeysFile:
    """The file of `write_keys`, read by ranges. `bounds`: (257,) where each top byte begins."""

    def __init__(self, stream: files.RangeFile) -> None:
        self.stream = stream
        directory = (TOPS + 1) * 8
        end = stream.size() - 8
        self.documents = int.from_bytes(stream.read_at(8, end), "little")
        content = stream.read_at(directory, end - directory)
        self.bounds = np.frombuffer(content, np.uint64).astype(np.int64)
        self._ids_at = end - directory - self.documents * 16

    def sketches(self, begin: int, end: int) -> NDArray[np.uint32]:
        """Those of passages `begin` to `end`."""
        size = SKETCH.itemsize
        return np.frombuffer(self.stream.read_at((end - begin) * size, begin * size), SKETCH)

    def records(self, begin: int, end: int) -> Packed:
        """Those of passages `begin` to `end`."""
        size, records_at = RECORD.itemsize, int(self.bounds[-1]) * SKETCH.itemsize
        content = self.stream.read_at((end - begin) * size, records_at + begin * size)
        return np.frombuffer(content, RECORD)

    def ids(self) -> NDArray[np.bytes_]:
        """(D,) the ids of the slice's documents."""
        return np.frombuffer(self.stream.read_at(self.documents * 16, self._ids_at), "S16")
