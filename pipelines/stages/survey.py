"""Stage `survey`: a first reading of the sources that are read twice (`corpora.document.Survey`).

    slices -> look -> survey/NAME/SLICE.parquet -> conclude -> survey/NAME/conclusion.parquet|arrow

No text is kept: only a row of at most 24 bytes for each record, and strings beside it. The
conclusion is one task per source, which reads the rows of all slices in bounded memory. Its digest
is part of the fingerprint of every slice of the source at ingest, since it decides what is read
there. A recipe without such a source has no survey.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.document import Note, Slice, Survey
from corpora.quality.forgotten import FORGOTTEN, Forgotten, read_forgotten
from corpora.sources import load_source, survey_of
from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import CONCLUSION, SURVEY, Home, recipe_key
from pipelines.home.summaries import Summary, prune, read_summary, summaries
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages import url_table
from pipelines.stages.accounts import check, listed, sums, total
from pipelines.stages.job import Job
from pipelines.stages.source_tasks import (
    Reading,
    SourceTask,
    bytes_until,
    plan_slices,
    source_parts,
    storable,
)
from pipelines.stages.stage import Pass, Result, Stage
from pipelines.wording import apart, several
from shards.errors import UserError
from shards.storage import files

VERSION = 1

RECORD_BYTES = 24
"""Of the fields of fixed width of one row (law 1)."""

URL = "url"
"""The column of a survey's schema that holds addresses, where it has one."""

ROWS = 100_000
"""Rows that are held and written together."""

DAMAGE = ("damaged", "truncated", "unreadable")
"""Reasons of rejects that concern a file rather than a record."""


def surveyed(recipe: Recipe) -> dict[str, Survey]:
    """The sources that are read twice, in the recipe's order, and how."""
    surveys = {name: survey_of(options) for name, options in recipe.sources.items()}
    return {name: survey for name, survey in surveys.items() if survey is not None}


def survey_in(recipe: Recipe, source: str) -> Survey:
    """How a source that is read twice is surveyed."""
    survey = survey_of(recipe.sources[source])
    assert survey is not None
    return survey


# --- the first pass: look at every slice


def plan(
    home: Home, recipe: Recipe, slices: Mapping[str, list[Slice]] | None = None
) -> list[SourceTask]:
    """The slices to look at, in order; removes the files of slices that no longer exist.

    `slices` are those of the sources, where they are listed already. With a `limit` each source is
    one slice. Raises `UserError`: no file matches, a schema that is too wide.
    """
    tasks = []
    for name, survey in surveyed(recipe).items():
        options = recipe.sources[name]
        _check_schema(name, survey.schema)

        if survey.slices is not None:
            pieces = survey.slices(options)
        elif slices is not None:
            pieces = slices[name]
        else:
            pieces = load_source(options.kind).slices(options)

        reading = Reading(name, pieces, {"stage": VERSION}, survey.conclude_fields)
        tasks += plan_slices(home, recipe, reading)

    wanted = {(task.source, task.name) for task in tasks}
    conclusions = {(task.source, CONCLUSION) for task in tasks}
    prune(home, CONCLUSION, conclusions, ())
    prune(home, SURVEY, wanted | conclusions, (SURVEY,))
    return tasks


def _check_schema(name: str, schema: pa.Schema) -> None:
    bits = 0
    for field in schema:
        is_text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        bits += 0 if is_text else field.type.bit_width

    if bits > 8 * RECORD_BYTES:
        raise UserError(
            f"source {name}: its survey keeps {bits // 8} bytes per record",
            f"keep at most {RECORD_BYTES}, and strings beside them",
        )


def rows_address(home: Home, recipe: Recipe, task: SourceTask) -> str:
    """Where the rows of a slice are stored."""
    return home.survey(task.source, task.name)


def look(home: Home, recipe: Recipe, task: SourceTask, output: files.Output) -> Result:
    """Look at every record of one slice and write the rows that are kept of it."""
    survey = survey_in(recipe, task.source)
    paths = json.dumps([part.path for part in task.slice.parts])
    schema = survey.schema.with_metadata({"corpusmill.paths": paths})
    forgotten = read_forgotten(recipe.forget)
    counts = Counter[str](records=0, passed=0, bytes=0)
    rejects, not_pages = Counter[str](), Counter[str]()
    reached = bytes_until(task.slice)
    rows: list[tuple[Any, ...]] = []

    with pq.ParquetWriter(output, schema, compression="zstd") as writer:
        for note in survey.look(recipe.sources[task.source], task.slice):
            counts["records"] += 1
            tick(counts["records"], reached(note.path, note.position), note.path, note.position)

            is_forgotten = is_link_forgotten(forgotten, schema, note)
            if is_forgotten:
                rejects[FORGOTTEN] += 1
            elif note.not_page:
                not_pages[note.not_page] += 1
            elif note.reason:
                rejects[note.reason] += 1
            else:
                counts["passed"] += 1

            if note.values is not None and not is_forgotten:
                rows.append(note.values)
            # In batches of a fixed number of rows, so that memory does not grow.
            if len(rows) >= ROWS:
                writer.write_batch(_batch(rows, schema))
                rows = []
            if counts["records"] == recipe.limit:
                break

        if rows:
            writer.write_batch(_batch(rows, schema))

    return Result(
        counts=dict(counts),
        rejects=dict(sorted(rejects.items())),
        not_pages=dict(sorted(not_pages.items())),
    )


def is_link_forgotten(forgotten: Forgotten, schema: pa.Schema, note: Note) -> bool:
    """Whether a list names the address that a note holds, where it holds one."""
    if not forgotten or note.values is None or URL not in schema.names:
        return False
    url = note.values[schema.names.index(URL)]
    return isinstance(url, str) and forgotten.names("", None, url)


def forget_links(home: Home, recipe: Recipe, forgotten: Forgotten) -> int:
    """Remove the notes of slices that hold an address on a list, so that the next survey makes them
    again without it; how many slices."""
    removed = 0
    for name, survey in surveyed(recipe).items():
        if URL not in survey.schema.names or not (forgotten.urls or forgotten.hosts):
            continue
        for summary in summaries(home, SURVEY, name):
            address = home.survey(name, summary.slice)
            with files.open_input(address) as stream:
                urls = pq.read_table(stream, columns=[URL]).column(URL).to_pylist()
            if not any(forgotten.names("", None, url) for url in urls):
                continue
            removed += 1
            files.remove(home.summary(SURVEY, name, summary.slice))
            files.remove(address)
    return removed


def _batch(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = []
    for values, field in zip(zip(*rows), schema):
        kept = [storable(value) if isinstance(value, str) else value for value in values]
        columns.append(pa.array(kept, field.type))
    return pa.record_batch(columns, schema=schema)


LOOK = Pass(name=SURVEY, plan=plan, address=rows_address, work=look, reads_inputs=True)


# --- the second pass: one conclusion per source


@dataclass(frozen=True, kw_only=True)
class ConcludeTask:
    """One surveyed source. `size`: bytes of the rows that its slices kept."""

    home: str
    recipe: str
    source: str
    size: int
    fingerprint: str
    name: str = CONCLUSION
    key: tuple[str, int] = (CONCLUSION, 0)


def plan_conclusions(home: Home, recipe: Recipe) -> list[ConcludeTask]:
    """One task for each surveyed source."""
    key = recipe_key(recipe)
    tasks = []
    for name in surveyed(recipe):
        looked = summaries(home, SURVEY, name)
        wanted = fingerprint(
            stage=VERSION,
            **source_parts(recipe, recipe.sources[name]),
            slices=[(*summary.key, summary.output) for summary in looked],
        )
        size = sum(summary.output_bytes for summary in looked)
        task = ConcludeTask(home=home.root, recipe=key, source=name, size=size, fingerprint=wanted)
        tasks.append(task)
    return tasks


def conclusion_address(home: Home, recipe: Recipe, task: ConcludeTask) -> str:
    """Where the conclusion about a source is stored."""
    return home.conclusion(task.source, survey_in(recipe, task.source).form)


def conclude(home: Home, recipe: Recipe, task: ConcludeTask, output: files.Output) -> Result:
    """Write one file from the rows of all slices of a source."""
    name = task.source
    looked = summaries(home, SURVEY, name)
    addresses = [home.survey(name, summary.slice) for summary in looked]

    def progress(number: int) -> None:
        tick(number, 0)

    survey = survey_in(recipe, name)
    counts = survey.conclude(recipe.sources[name], addresses, output, progress)
    return Result(counts=counts, inputs=tuple(summary.output for summary in looked))


CONCLUDE = Pass(
    name=CONCLUSION,
    plan=plan_conclusions,
    address=conclusion_address,
    work=conclude,
    label="Conclude",
)


# --- the stage


def is_wanted(recipe: Recipe) -> bool:
    """True where a source of the recipe is read twice."""
    return bool(surveyed(recipe))


def forget(home: Home, recipe: Recipe) -> None:
    """Remove what an earlier recipe with surveyed sources left in the home."""
    if not is_wanted(recipe) and files.exists(home.file(SURVEY)):
        prune(home, CONCLUSION, set(), ())
        prune(home, SURVEY, set(), (SURVEY,))


def inputs(recipe: Recipe) -> list[str]:
    """The sources that are read twice and have no other input for the first reading."""
    return [name for name, survey in surveyed(recipe).items() if survey.slices is None]


def account(job: Job) -> None:
    """Check that every record was counted, and say what the survey found in each source."""
    home = job.home
    for name in surveyed(job.recipe):
        looked = summaries(home, SURVEY, name)
        concluded = read_summary(home.summary(CONCLUSION, name, CONCLUSION))
        assert concluded is not None

        records, passed = total(looked, "records"), total(looked, "passed")
        rejects = sums(summary.rejects for summary in looked)
        not_pages = sums(summary.not_pages for summary in looked)
        found = passed + sum(rejects.values()) + sum(not_pages.values())
        check(f"{name}: records surveyed", records, found)
        counts = listed(rejects | concluded.counts)
        pages = records - sum(not_pages.values())
        job.say(f"survey {name}: {several(pages, 'record')}, {passed:,} passed{counts}")
        if not_pages:
            job.say(f"survey {name}: {apart(not_pages)}")
        _say_damage(job, looked)

        # A table that `corpus urls` wrote must not be older than the survey.
        if files.exists(url_table.table(home, name)):
            url_table.write_table(home, name)


def _say_damage(job: Job, looked: list[Summary]) -> None:
    for summary in looked:
        damage = {reason: n for reason, n in summary.rejects.items() if reason in DAMAGE}
        if damage:
            where = f"{summary.path}, or a later file of its slice"
            job.say(f"warning: {summary.source}: in {where}{listed(damage)}")


STAGE = Stage(
    name=SURVEY,
    transform="Survey",
    passes=(LOOK, CONCLUDE),
    inputs=inputs,
    wanted=is_wanted,
    account=account,
)
