"""The home: where everything of a build lies, what counts as done, and what a slice left behind.

    recipe.toml  survey/  documents/  rejects/  attributes/  summaries/  tokenizer/  work/  shards/

A slice's summary is written last and means done, for as long as its fingerprint is the one wanted.
Every later stage finds its input by the summaries of the earlier one, never by listing files.
"""

import functools
import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from corpora.rules import Rule, RulesConfig, asked, first_to_fire, measured
from pipelines.recipe import Recipe, digest_of, parse_recipe, recipe_text
from shards import __version__, files
from shards.config import UserError, from_dict, to_dict

REMOVING_STAGES = ("rules", "exact", "near")
"""Stages that propose removals, in the order in which they apply. Each looks only at documents that
those before it keep, so that a removed document is nobody's kept twin: its fingerprint and its
summary's `inputs` hold the digest of the documents and `attribute_digests(..., before=itself)`."""
RULES = "rules"
SURVEY, CONCLUSION = "survey", "conclusion"
"""Stages before ingest, of the sources that are read twice; the second has one task a source, of
its own name."""

RECIPE_MARK = "# As built by corpusmill: this folder is a home.\n"


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
    """What a stage after ingest does to one ingested slice; a stage's own task is a subclass.
    `recipe`: `recipe_key` of the plan's."""

    home: str
    ingested: Summary
    stage: str
    recipe: str = ""

    @property
    def source(self) -> str:
        """The slice's source."""
        return self.ingested.source

    @property
    def name(self) -> str:
        """The slice's name."""
        return self.ingested.slice

    @property
    def size(self) -> int:
        """Bytes of text."""
        return self.ingested.counts["bytes"]


@dataclass(frozen=True)
class Home:
    """Addresses below one folder, local or on an object store."""

    root: str

    def file(self, *names: str) -> str:
        """The address of a file in the home."""
        return files.join(self.root, *names)

    def documents(self, source: str, slice_name: str) -> str:
        """The documents of a slice."""
        return self.file("documents", source, f"{slice_name}.parquet")

    def rejects(self, source: str, slice_name: str) -> str:
        """The rejects of a slice."""
        return self.file("rejects", source, f"{slice_name}.parquet")

    def attributes(self, stage: str, source: str, slice_name: str) -> str:
        """What a stage found out about each document of a slice, row by row."""
        return self.file("attributes", stage, source, f"{slice_name}.parquet")

    def survey(self, source: str, name: str) -> str:
        """What the first reading of a slice noted."""
        return self.file(SURVEY, source, f"{name}.parquet")

    def conclusion(self, source: str, form: str) -> str:
        """What the first reading came to."""
        return self.file(SURVEY, source, f"{CONCLUSION}.{form}")

    def summary(self, stage: str, source: str, slice_name: str) -> str:
        """The summary that makes a slice done."""
        return self.file("summaries", stage, source, f"{slice_name}.json")

    def work(self, stage: str, source: str, name: str) -> str:
        """A file that a later stage needs and that can be made again."""
        return self.file("work", stage, source, name)


def open_home(root: str, for_reading: bool = False) -> tuple[Home, Recipe]:
    """A home that a build made, and its recipe; `for_reading` as in `parse_recipe`. Raises
    `UserError` where there is none, or one of a newer format."""
    home = Home(root)
    try:
        content = files.read_bytes(home.file("recipe.toml"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise UserError(
            f"{root}: no home here (no recipe.toml)",
            f"build one: corpus build RECIPE --home {root}",
        ) from None
    try:
        return home, parse_recipe(content.decode(), home.file("recipe.toml"), root, for_reading)
    except UnicodeDecodeError:
        what, hint = f"{home.file('recipe.toml')}: not UTF-8", ""
    except UserError as error:
        what, hint = error.what, error.hint
        if " is not one this version reads" in what or not is_home(root):
            raise
    again = f"it is the home's copy: corpus build RECIPE --home {root} --yes, with your own recipe, writes it again"
    raise UserError(what, f"{hint}; {again}" if hint else again)


_held: dict[tuple[str, str], Recipe] = {}


def task_home(task: Any) -> tuple[Home, Recipe]:
    """`open_home` for a task: a process reads the recipe once for all tasks that were planned by
    it."""
    held = _held.get((task.home, task.recipe))
    if held is not None:
        return Home(task.home), held
    home, recipe = open_home(task.home)
    if recipe_key(recipe) == task.recipe:
        _held.clear()
        _held[task.home, task.recipe] = recipe
    return home, recipe


def recipe_key(recipe: Recipe) -> str:
    """What tells a recipe from any other, whatever setting differs."""
    return digest_of(to_dict(recipe))[:16]


def write_recipe(home: Home, recipe: Recipe) -> None:
    """Keep the recipe as built, every default written out. Its first line tells it from a recipe
    that a user wrote."""
    files.write_bytes(home.file("recipe.toml"), (RECIPE_MARK + recipe_text(recipe)).encode())


def is_home(root: str) -> bool:
    """True for a folder whose recipe.toml a build wrote."""
    try:
        return files.read_bytes(Home(root).file("recipe.toml")).startswith(RECIPE_MARK.encode())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False


def package_versions(*names: str) -> dict[str, str]:
    """Versions of installed distributions, for fingerprints and the manifest."""
    return {
        name: __version__ if name == "corpusmill" else _installed(version, name) for name in names
    }


@functools.cache
def _installed(look_up: Callable[[str], str], name: str) -> str:
    """Looked up once: each time the metadata of the whole distribution is parsed, and a plan asks
    for every slice."""
    return look_up(name)


def fingerprint(**parts: Any) -> str:
    """The identity of a piece of work: a digest of each part that can change what it gives, so that
    two can be compared by part."""
    return " ".join(f"{name}:{digest_of(part)[:16]}" for name, part in parts.items())


PARTS = {
    "stage": "this version of corpusmill does it otherwise",
    "source": "this version of corpusmill reads it otherwise",
    "module": "the module of the source changed",
    "settings": "its settings changed",
    "limit": "the limit changed",
    "seed": "the seed changed",
    "packages": "another version of a package",
    "inputs": "its input files changed",
    "contents": "a file that its settings name changed",
    "survey": "its first reading came to something else",
    "documents": "its documents changed",
    "attributes": "other documents are removed",
    "tokenizer": "another vocabulary",
    "before": "the stages before keep other documents",
    "bands": "other bands serve the thresholds",
    "slices": "other documents are compared",
    "pairs": "other pairs are proposed",
    "candidates": "other documents are compared",
    "removals": "other documents are removed",
}
"""What it means when a part of a fingerprint is another; a part that is not here says its name."""


def stale(home: Home, tasks: Iterable[Any]) -> Iterator[str]:
    """A line for each source of which slices that were done must be done again, and why. `tasks`:
    of one stage; those without a fingerprint are passed over."""
    found: dict[tuple[str, str], list[list[str]]] = {}
    planned: dict[tuple[str, str], int] = {}
    there = bulk(home)
    for task in tasks:
        if not hasattr(task, "fingerprint"):
            continue
        key = (task.stage, task.source)
        planned[key] = planned.get(key, 0) + 1
        before = there(task.stage, task.source, task.name)
        if before is not None and before.fingerprint != task.fingerprint:
            old, new = set(before.fingerprint.split()), task.fingerprint.split()
            found.setdefault(key, []).append(
                [
                    PARTS.get(name := part.split(":")[0], f"{name} changed")
                    for part in new
                    if part not in old
                ]
            )
    for (stage, source), reasons in found.items():
        why = ", ".join(
            dict.fromkeys(reason for slice_reasons in reasons for reason in slice_reasons)
        )
        yield f"{stage} {source}: {len(reasons)} of {planned[stage, source]} slices are done again: {why}"


def slice_summary(
    stage: str,
    ingested: Summary,
    wanted: str,
    written: files.Output,
    counts: dict[str, int],
    inputs: tuple[str, ...] = (),
) -> Summary:
    """The summary of what a stage wrote about an ingested slice."""
    return Summary(
        stage=stage,
        source=ingested.source,
        slice=ingested.slice,
        path=ingested.path,
        start=ingested.start,
        fingerprint=wanted,
        output=written.digest,
        output_bytes=written.bytes,
        counts=counts,
        inputs=inputs,
    )


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


def _reader(home: Home) -> Read:
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


def current(home: Home, recipe: Recipe, stage: str, source: str) -> list[Summary]:
    """The summaries of a later stage that rest on the documents and attributes that are there
    now."""
    read = bulk(home)

    def of_slice(ingested: Summary) -> Summary | None:
        summary = read(stage, source, ingested.slice)
        before = stage if stage in REMOVING_STAGES else None
        wanted = (
            ingested.output,
            *attribute_digests(home, recipe, ingested, strict=False, before=before, read=read),
        )
        there = (
            summary is not None
            and summary.inputs == wanted
            and (stage != RULES or _rules_digest(home, recipe, ingested, read))
        )
        return summary if there else None

    return [
        summary
        for summary in files.each(home.root, of_slice, summaries(home, "ingest", source))
        if summary
    ]


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


@contextmanager
def open_parquet(home: Home, address: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file of the home. Raises `UserError` (exit 1) where it is cut or damaged, here or
    when it is read in the block."""
    try:
        with files.open_input(address) as stream:
            yield pq.ParquetFile(stream)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # not the file's fault
            raise
        what = str(error).splitlines()[0][:200]
        raise UserError(
            f"{address}: damaged: {what}",
            f"corpus build {home.root}/recipe.toml --home {home.root} makes it again",
            1,
        ) from None


def twins(home: Home, stage: str, summary: Summary) -> pa.Table:
    """The attributes of a dedup stage for an ingested slice (columns id, twin, score, kind); rows
    match the documents'.

    Raises `UserError` when they belong to another documents file.
    """
    return _attributes(home, stage, summary.source, summary.slice, summary.output)


def _attributes(
    home: Home,
    stage: str,
    source: str,
    slice_name: str,
    documents: str,
    columns: list[str] | None = None,
) -> pa.Table:
    address = home.attributes(stage, source, slice_name)
    try:
        with open_parquet(home, address) as file:
            table = file.read(columns=columns)  # passes over a column that is not there
    except FileNotFoundError:
        raise _not_run(home, source, slice_name) from None
    if (table.schema.metadata or {}).get(b"corpusmill.documents", b"").decode() != documents or (
        columns and len(table.column_names) < len(columns)
    ):
        raise UserError(
            f"{address}: made from other documents than {source}/{slice_name}, or for other rules",
            f"corpus dedup {home.root}",
            1,
        )
    return table


def _not_run(home: Home, source: str, slice_name: str) -> UserError:
    return UserError(
        f"{home.root}: dedup has not run over {source}/{slice_name}", f"corpus dedup {home.root}"
    )


def rule_verdicts(home: Home, recipe: Recipe, summary: Summary) -> NDArray[np.int16]:
    """(D,) for each document of an ingested slice the place in `asked(rules)` of the first rule
    that removes it; -1: none does.

    Reckoned from the measures and the recipe's thresholds. Raises `UserError` when the slice is not
    measured.
    """
    return _verdicts(*_verdicts_key(home, recipe, summary, None))


def _verdicts_key(
    home: Home, recipe: Recipe, summary: Summary, read: Read | None
) -> tuple[Home, str, str, str, str, RulesConfig, bool]:
    options, measures = (
        recipe.sources[summary.source],
        (read or _reader(home))(RULES, summary.source, summary.slice),
    )
    if measures is None:
        raise _not_run(home, summary.source, summary.slice)
    return (
        home,
        summary.source,
        summary.slice,
        summary.output,
        measures.output,
        options.rules,
        options.language == "en",
    )


@functools.lru_cache(maxsize=100_000)
def _verdict(*key: Any) -> tuple[str, tuple[int, ...]]:
    """Of what `_verdicts` says: a digest of which documents stay, and how many each rule
    removes."""
    verdict = _verdicts(*key)
    return hashlib.blake2b((verdict < 0).tobytes(), digest_size=16).hexdigest(), tuple(
        np.bincount(verdict[verdict >= 0]).tolist()
    )


@functools.lru_cache(maxsize=16)
def _verdicts(
    home: Home,
    source: str,
    slice_name: str,
    documents: str,
    _: str,
    config: RulesConfig,
    english: bool,
) -> NDArray[np.int16]:
    rules = asked(config)
    columns = ["id", *dict.fromkeys(name for rule, _ in rules for name in rule.columns())]
    table = _attributes(home, RULES, source, slice_name, documents, columns)
    verdict = first_to_fire(
        rules, {name: table.column(name).to_numpy() for name in columns}, english
    )
    verdict.flags.writeable = False
    return verdict


def rule_values(home: Home, summary: Summary, rule: Rule) -> NDArray[np.float64]:
    """(D,) what a rule compares with its threshold."""
    table = _attributes(
        home, RULES, summary.source, summary.slice, summary.output, ["id", *rule.columns()]
    )
    return measured(
        rule, {name: table.column(name).to_numpy() for name in table.column_names}, True
    )[0]


def rule_ids(home: Home, summary: Summary) -> pa.ChunkedArray:
    """(D,) the ids that stand beside the measures."""
    return _attributes(home, RULES, summary.source, summary.slice, summary.output, ["id"]).column(
        "id"
    )


def removed_by_rule(
    home: Home, recipe: Recipe, summary: Summary, read: Read | None = None
) -> dict[str, int]:
    """How many documents of a slice each rule removes, the first that fires; only rules that remove
    any, in their order."""
    _, counts = _verdict(*_verdicts_key(home, recipe, summary, read))
    return {
        rule.name: count
        for (rule, _), count in zip(asked(recipe.sources[summary.source].rules), counts)
        if count
    }


def removed_count(
    home: Home, recipe: Recipe, stage: str, summary: Summary, read: Read | None = None
) -> int:
    """How many documents of an ingested slice a removing stage removes. Raises `UserError` when it
    has not run. `read`: for many slices `bulk`."""
    if stage == RULES:
        return sum(_verdict(*_verdicts_key(home, recipe, summary, read))[1])
    found = (read or _reader(home))(stage, summary.source, summary.slice)
    if found is None:
        raise _not_run(home, summary.source, summary.slice)
    return found.counts["removed"]


def kept_rows(
    home: Home, recipe: Recipe, summary: Summary, before: str | None = None
) -> NDArray[np.bool_]:
    """(D,) which documents of an ingested slice no stage removes; with `before`, none of the stages
    that come before that one."""
    kept = np.ones(summary.counts["documents"], dtype=np.bool_)
    for stage in removing_stages(recipe, before, summary.source):
        kept &= (
            rule_verdicts(home, recipe, summary) < 0
            if stage == RULES
            else twins(home, stage, summary).column("twin").is_null().to_numpy()
        )
    return kept


def removing_stages(
    recipe: Recipe, before: str | None = None, source: str | None = None
) -> tuple[str, ...]:
    """The removing stages that this recipe has switched on (for a source, or for any), in the order
    in which they apply; only those before `before`."""
    named = [recipe.sources[source]] if source else recipe.sources.values()
    on = {
        RULES: any(asked(options.rules) for options in named),
        "exact": recipe.dedup.exact,
        "near": recipe.dedup.near,
    }
    stages = REMOVING_STAGES[: REMOVING_STAGES.index(before)] if before else REMOVING_STAGES
    return tuple(stage for stage in stages if on[stage])


def attribute_digests(
    home: Home,
    recipe: Recipe,
    summary: Summary,
    strict: bool = True,
    before: str | None = None,
    read: Read | None = None,
) -> list[str]:
    """Digests of what decides which documents of a slice are kept (by the stages before `before`).
    Of the rules it is that of their verdicts, not of the measures: a threshold that removes the
    same documents changes nothing. Raises `UserError` when a stage has not run over what is there
    now, unless `strict` is False. `read`: for many slices `bulk`."""
    digests: list[str] = []
    read = read or _reader(home)
    for stage in removing_stages(recipe, before, summary.source):
        found = read(stage, summary.source, summary.slice)
        if strict and (found is None or found.inputs != (summary.output, *digests)):
            raise _not_run(home, summary.source, summary.slice)
        digest = found and (
            _rules_digest(home, recipe, summary, read) if stage == RULES else found.output
        )
        if digest:
            digests.append(digest)
        elif strict:
            raise _not_run(home, summary.source, summary.slice)
    return digests


def _rules_digest(home: Home, recipe: Recipe, summary: Summary, read: Read) -> str | None:
    """Of which documents of a slice the rules keep; None where it is not measured, or not for these
    rules."""
    try:
        return _verdict(*_verdicts_key(home, recipe, summary, read))[0]
    except UserError:
        return None


def set_aside(
    home: Home, stage: str, source: str, name: str, why: str, record: str, trace: str
) -> None:
    """Name a slice that failed at every try; the build goes on without it."""
    note = {
        "stage": stage,
        "source": source,
        "slice": name,
        "why": why,
        "record": record,
        "trace": trace,
    }
    files.write_bytes(
        home.file("work", "set_aside", f"{stage}-{source}-{name}.json"), json.dumps(note).encode()
    )


def slices_aside(home: Home) -> list[dict[str, str]]:
    """What the last run of each stage set aside: stage, source, slice, why, record (reached last),
    trace."""
    return [
        json.loads(files.read_bytes(address))
        for address in files.list_files(home.file("work", "set_aside"), ".json")
    ]


def forget_aside(home: Home, stages: tuple[str, ...]) -> None:
    """A stage runs again: what it set aside gets another chance."""
    for address in files.list_files(home.file("work", "set_aside"), ".json"):
        if address.rsplit("/", 1)[1].startswith(tuple(f"{stage}-" for stage in stages)):
            files.remove(address)


def write_error(home: Home, error: UserError) -> None:
    """Leave what went wrong in a worker where the driver finds it: engines hand on only the text of
    an exception."""
    try:
        files.write_bytes(
            home.file("work", "error.json"),
            json.dumps([error.what, error.hint, error.exit_code]).encode(),
        )
    except (
        UserError
    ):  # the store that failed is the one to write to: whoever reads this finds that out too
        return


def take_error(home: Home) -> UserError | None:
    """The error that a worker left, once."""
    address = home.file("work", "error.json")
    if not files.exists(address):
        return None
    what, hint, exit_code = json.loads(files.read_bytes(address))
    files.remove(address)
    return UserError(what, hint, exit_code)
