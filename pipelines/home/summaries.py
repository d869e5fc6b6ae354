"""TODO-DOC pipelines/home/summaries.py."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from pipelines.home.layout import Home
from pipelines.recipe import Recipe
from shards.config import from_dict, to_dict
from shards.errors import UserError
from shards.storage import files


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What one slice of one stage gave. `path`, `start`: where the slice stands in its source's
    order; `output`: digest of the file it wrote, `output_bytes` its size; `inputs`: digests of the
    files of earlier stages it was made from; `counts` and `rejects` (by reason): whole numbers that
    add up; `marks`: how many documents bear each; `twins_in`: of the documents that a stage removes
    for a twin, how many have it in each source."""

    stage: str
    source: str
    slice: str
    path: str
    start: int
    fingerprint: str
    output: str
    output_bytes: int
    counts: dict[str, int]
    rejects: dict[str, int] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    marks: dict[str, int] = field(default_factory=dict)
    twins_in: dict[str, int] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int]:
        """Where the slice stands in its source's order."""
        return self.path, self.start


@dataclass(frozen=True, kw_only=True)
class SliceTask:
    """What a stage after ingest does to one ingested slice; a task with more to say is a subclass.

    `recipe` is the `recipe_key` of the recipe it was planned by.
    """

    home: str
    recipe: str
    ingested: Summary
    fingerprint: str

    @property
    def source(self) -> str:
        """The slice's source."""
        return self.ingested.source

    @property
    def name(self) -> str:
        """The slice's name."""
        return self.ingested.slice

    @property
    def key(self) -> tuple[str, int]:
        """The slice's place in the order of its source."""
        return self.ingested.key

    @property
    def size(self) -> int:
        """Bytes of text."""
        return self.ingested.counts["bytes"]


def write_summary(home: Home, summary: Summary) -> None:
    """Write a slice's summary: from now on it is done."""
    files.write_bytes(
        home.summary(summary.stage, summary.source, summary.slice),
        (json.dumps(to_dict(summary), ensure_ascii=True) + "\n").encode(),
    )


def read_summary(address: str) -> Summary | None:
    """A summary, or None where there is none that can be read (then the slice is not done)."""
    try:
        return from_dict(Summary, json.loads(files.read_bytes(address)))
    except (FileNotFoundError, ValueError, UserError):
        return None


def done(
    home: Home, stage: str, source: str, slice_name: str, wanted: str, output: str
) -> Summary | None:
    """The summary of a slice that need not be done again: the wanted fingerprint, and its output
    there byte for byte (reading it again costs a second a gigabyte; a file that was changed by hand
    is found). On an object store the size must do: objects are put as a whole, and reading them all
    again would cost more than it can find."""
    summary = read_summary(home.summary(stage, source, slice_name))
    if summary is None or summary.fingerprint != wanted:
        return None
    try:
        if files.size(output) != summary.output_bytes:
            return None
        return (
            summary if files.is_remote(output) or files.digest(output) == summary.output else None
        )
    except FileNotFoundError:
        return None


def summaries(home: Home, stage: str, source: str | None = None) -> list[Summary]:
    """The summaries of a stage in the order of their slices; of all sources in the order of their
    names unless one is named."""
    listed = [
        entry
        for entry in files.walk(home.file("summaries", stage))
        if entry[0].endswith(".json") and source in (None, entry[0].split("/")[0])
    ]
    held = _collected(home, stage) if len(listed) > 1 else {}
    known = [
        held[name][2] if held.get(name, ())[:2] == (size, written) else None
        for name, size, written in listed
    ]
    missing = iter(
        files.each(
            home.root,
            read_summary,
            [
                home.file("summaries", stage, entry[0])
                for entry, summary in zip(listed, known)
                if summary is None
            ],
        )
    )
    found = [next(missing) if summary is None else summary for summary in known]
    return sorted(
        (summary for summary in found if summary), key=lambda summary: (summary.source, summary.key)
    )


Read = Callable[[str, str, str], Summary | None]
"""(stage, source, slice) -> its summary, None where there is none."""


def summary_reader(home: Home) -> Read:
    return lambda stage, source, slice_name: read_summary(home.summary(stage, source, slice_name))


def bulk(home: Home) -> Read:
    """For plans, which ask for every slice's: the summaries of a stage are read together when the
    first is asked for."""
    lock, held = threading.Lock(), dict[str, dict[tuple[str, str], Summary]]()

    def read(stage: str, source: str, slice_name: str) -> Summary | None:
        with lock:
            if stage not in held:
                held[stage] = {
                    (summary.source, summary.slice): summary for summary in summaries(home, stage)
                }
        return held[stage].get((source, slice_name))

    return read


def collect(home: Home, stage: str) -> None:
    """Copy the summaries of a stage that is over into one file, which `summaries` reads in their
    place: a store is asked for one file, not for one a slice. An entry counts only as long as the
    summary itself is listed with the same bytes and time; and `prune`, in every plan, empties a
    store's."""
    listed = [
        entry for entry in files.walk(home.file("summaries", stage)) if entry[0].endswith(".json")
    ]
    held = _collected(home, stage)
    if len(listed) < 2 or {
        (name, size, written) for name, (size, written, _) in held.items()
    } == set(listed):
        return
    found = files.each(
        home.root, read_summary, [home.file("summaries", stage, name) for name, *_ in listed]
    )
    content = [[*entry, to_dict(summary)] for entry, summary in zip(listed, found) if summary]
    files.write_bytes(_collection(home, stage), json.dumps(content).encode())


def _collected(home: Home, stage: str) -> dict[str, tuple[int, int, Summary]]:
    """Path below the stage's summaries -> bytes and time it had, and the summary."""
    try:
        content = json.loads(files.read_bytes(_collection(home, stage)))
        return {
            name: (size, written, from_dict(Summary, summary))
            for name, size, written, summary in content
        }
    except (FileNotFoundError, ValueError, TypeError, UserError):
        return {}


def _collection(home: Home, stage: str) -> str:
    return home.file("work", "collected", f"{stage}.json")


def ordered_slices(home: Home, recipe: Recipe) -> list[Summary]:
    """Every ingested slice: sources in the recipe's order, slices in their source's."""
    by_source: dict[str, list[Summary]] = {name: [] for name in recipe.sources}
    for summary in summaries(home, "ingest"):
        if summary.source in by_source:
            by_source[summary.source].append(summary)
    return [summary for found in by_source.values() for summary in found]


def prune(home: Home, stage: str, wanted: set[tuple[str, str]], folders: tuple[str, ...]) -> int:
    """Remove what slices left that are no more: their summary, and their files in `folders`
    (relative to the home, a folder a source below them). Returns how many summaries went."""
    if files.is_remote(home.root) and _collected(home, stage):  # a store's clock counts seconds
        files.write_bytes(_collection(home, stage), b"[]")
    sources = {source for source, _ in wanted}
    gone = 0
    for number, folder in enumerate((home.file("summaries", stage), *map(home.file, folders))):
        for name, *_ in files.walk(folder):
            source, _, last = name.rpartition("/")
            if (source, last.rsplit(".", 1)[0]) not in wanted and (
                number or last.endswith(".json")
            ):
                files.remove(files.join(folder, name))
                gone += number == 0
        for source in set(files.list_folders(folder)) - sources:  # of a source that is no more
            if not files.list_files(files.join(folder, source)):
                files.remove(files.join(folder, source))
    return gone
