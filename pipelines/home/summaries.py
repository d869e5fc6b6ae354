"""Summaries: the small JSON files that mark slices as done and count what became of their records.

`summaries/STAGE/SOURCE/SLICE.json` is written after everything else that a task writes. Stages find
their input by the summaries of earlier stages. Cost: one small file per slice and stage. On an
object store each file is a request, so the summaries of a finished stage are also collected in one
file, `work/collected/STAGE.json`, which `summaries` reads in their place.
"""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from pipelines.home.layout import INGEST, Home
from pipelines.recipe import Recipe
from shards.config import from_dict, to_dict
from shards.errors import UserError
from shards.storage import files


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The result of one task: what one stage did to one slice.

    `path` and `start` are the slice's place in the order of its source. `output` is the digest of
    the file that the task wrote, `output_bytes` its size; `inputs` are digests of the files of
    earlier stages that it was made from. `counts` and `rejects` (by reason) are whole numbers that
    add up over slices; so are `not_pages`, the records that hold no text by their kind. `marks`
    counts the documents that carry each mark. `left_out` counts what the source left out of the
    texts, by name, for at most `ingest.LEFT_OUT_NAMES` names. `twins_in` counts, for
    the documents that the stage removes as duplicates, the sources of the kept documents.
    `languages` has counts of tokens by language, and `uses` packed counts of ids
    (`pipelines.stages.token_counts`).
    """

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
    not_pages: dict[str, int] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    marks: dict[str, int] = field(default_factory=dict)
    twins_in: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    languages: dict[str, dict[str, int]] = field(default_factory=dict)
    uses: str = ""

    @property
    def key(self) -> tuple[str, int]:
        """The slice's place in the order of its source."""
        return self.path, self.start


@dataclass(frozen=True, kw_only=True)
class SliceTask:
    """The task of a stage after `ingest`: one ingested slice. A task that needs more is a subclass.

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
    """Write a slice's summary, which marks it as done."""
    text = json.dumps(to_dict(summary), ensure_ascii=True) + "\n"
    address = home.summary(summary.stage, summary.source, summary.slice)
    files.write_bytes(address, text.encode())


def read_summary(address: str) -> Summary | None:
    """Read a summary; None when there is none, or none that can be read. Then the slice is not
    done."""
    try:
        content = files.read_bytes(address)
    except FileNotFoundError:
        return None
    try:
        return from_dict(Summary, json.loads(content))
    except (ValueError, UserError):
        return None


def done(
    home: Home, stage: str, source: str, slice_name: str, wanted: str, output: str
) -> Summary | None:
    """The summary of a slice that need not be done again, else None.

    It has the `wanted` fingerprint, and the file at the address `output` is as it was written. A
    local file is read and its digest compared, which costs about one second per gigabyte and finds
    files that were changed by hand. On an object store only the size is compared: an object is
    always whole, and reading all of them would cost more than it can find.
    """
    summary = read_summary(home.summary(stage, source, slice_name))
    if summary is None or summary.fingerprint != wanted:
        return None

    try:
        # The size is asked for first, since it costs nothing and most damage changes it.
        if files.size(output) != summary.output_bytes:
            return None
        if files.is_remote(output) or files.digest(output) == summary.output:
            return summary
    except FileNotFoundError:
        pass
    return None


def summaries(home: Home, stage: str, source: str | None = None) -> list[Summary]:
    """The summaries of a stage, of one source or of all, ordered by the names of the sources and
    the places of the slices."""
    listed = []
    for entry in _listed(home, stage):
        name, _, _ = entry
        if source in (None, name.split("/")[0]):
            listed.append(entry)

    # A single file is read as quickly as the collection.
    known: dict[Entry, Summary | None] = {}
    if len(listed) > 1:
        known.update(_read_collection(home, stage))

    missing = [entry for entry in listed if entry not in known]
    addresses = [home.file("summaries", stage, name) for name, _, _ in missing]
    known.update(zip(missing, files.each(home.root, read_summary, addresses)))

    readable = []
    for entry in listed:
        summary = known[entry]
        if summary:
            readable.append(summary)
    return sorted(readable, key=lambda summary: (summary.source, summary.key))


Read = Callable[[str, str, str], Summary | None]
"""(stage, source, slice) -> its summary; None when there is none."""


def summary_reader(home: Home) -> Read:
    """A `Read` that reads each summary when it is asked for."""
    return lambda stage, source, slice_name: read_summary(home.summary(stage, source, slice_name))


def bulk(home: Home) -> Read:
    """A `Read` for plans, which ask for every slice: it reads all summaries of a stage together
    when the first is asked for."""
    lock = threading.Lock()
    by_stage: dict[str, dict[tuple[str, str], Summary]] = {}

    def read(stage: str, source: str, slice_name: str) -> Summary | None:
        with lock:
            if stage not in by_stage:
                by_stage[stage] = {
                    (summary.source, summary.slice): summary for summary in summaries(home, stage)
                }
        return by_stage[stage].get((source, slice_name))

    return read


def ordered_slices(home: Home, recipe: Recipe) -> list[Summary]:
    """The ingested slices of the recipe's sources: sources in the recipe's order, slices in that of
    their source."""
    by_source: dict[str, list[Summary]] = {name: [] for name in recipe.sources}
    for summary in summaries(home, INGEST):
        if summary.source in by_source:
            by_source[summary.source].append(summary)

    return [summary for slices in by_source.values() for summary in slices]


def prune(home: Home, stage: str, wanted: set[tuple[str, str]], folders: tuple[str, ...]) -> int:
    """Remove the summaries of a stage, and its files in `folders`, of slices that no longer exist.

    `wanted` has (source, slice) of those that do. `folders` are relative to the home and have one
    folder per source. Returns the number of removed summaries.
    """
    # A store's clock counts whole seconds, so a summary that is written again within one second
    # would look unchanged to `summaries`.
    if files.is_remote(home.root) and _read_collection(home, stage):
        files.write_bytes(_collection(home, stage), b"[]")

    removed = _prune_folder(home.file("summaries", stage), wanted, suffix=".json")
    for folder in folders:
        _prune_folder(home.file(folder), wanted, suffix="")
    return removed


def _prune_folder(folder: str, wanted: set[tuple[str, str]], suffix: str) -> int:
    """Remove files that end with `suffix` and belong to no wanted slice; how many."""
    removed = 0
    for name, _, _ in files.walk(folder):
        source, _, file_name = name.rpartition("/")
        slice_name = file_name.rsplit(".", 1)[0]
        if (source, slice_name) not in wanted and file_name.endswith(suffix):
            files.remove(files.join(folder, name))
            removed += 1

    sources = {source for source, _ in wanted}
    for source in set(files.list_folders(folder)) - sources:
        if not files.list_files(files.join(folder, source)):
            files.remove(files.join(folder, source))

    return removed


# --- the summaries of a stage in one file

Entry = tuple[str, int, int]
"""A listed summary: its path below the stage's folder, its bytes, and its time of writing in ns."""


def collect(home: Home, stage: str) -> None:
    """Copy the summaries of a finished stage into one file.

    A copy counts only as long as the summary itself is listed with the same size and time.
    """
    listed = _listed(home, stage)
    if len(listed) < 2 or set(_read_collection(home, stage)) == set(listed):
        return

    addresses = [home.file("summaries", stage, name) for name, _, _ in listed]
    found = files.each(home.root, read_summary, addresses)
    content = [[*entry, to_dict(summary)] for entry, summary in zip(listed, found) if summary]
    files.write_bytes(_collection(home, stage), json.dumps(content).encode())


def _listed(home: Home, stage: str) -> list[Entry]:
    entries = files.walk(home.file("summaries", stage))
    return [entry for entry in entries if entry[0].endswith(".json")]


def _read_collection(home: Home, stage: str) -> dict[Entry, Summary]:
    try:
        content = json.loads(files.read_bytes(_collection(home, stage)))
        return {
            (name, size, written): from_dict(Summary, summary)
            for name, size, written, summary in content
        }
    except (FileNotFoundError, ValueError, TypeError, UserError):
        return {}


def _collection(home: Home, stage: str) -> str:
    return home.file("work", "collected", f"{stage}.json")
