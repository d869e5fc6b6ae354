"""Stage `survey`: the first reading of sources that are read twice (`corpora.document.Survey`),
before `ingest`.

    slices -> look -> survey/NAME/SLICE.parquet -> conclude -> survey/NAME/conclusion.parquet (or
.arrow)

No text is kept: of each record a row of at most 24 bytes, and strings beside it. The conclusion is
one task a source, that reads the rows of all slices in bounded memory. Its digest is in the
fingerprint of each of the source's slices at ingest: what it came to decides what is read there. A
recipe without such a source has no such stage.
"""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.document import Survey
from corpora.sources import load_source, survey_of
from pipelines.home.fingerprints import fingerprint
from pipelines.home.layout import CONCLUSION, SURVEY, Home, open_home, task_home
from pipelines.home.summaries import Summary, done, prune, summaries, write_summary
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.source_tasks import Task, bytes_until, plan_slices, source_parts, storable
from shards.errors import UserError
from shards.storage import files

STAGE = SURVEY

VERSION = 1

RECORD_BYTES = 24
"""Of the fields of fixed width of one row (law 1)."""

ROWS = 100_000
"""Rows that are held and written together."""


@dataclass(frozen=True, kw_only=True)
class Conclude:
    """What all slices of a source come to, and the fingerprint its summary must have. `size`: bytes
    of what they noted."""

    home: str
    source: str
    size: int
    fingerprint: str
    stage: str = CONCLUSION
    name: str = CONCLUSION


def surveyed(recipe: Recipe) -> dict[str, Survey]:
    """The sources that are read twice, in the recipe's order, and how."""
    found = {name: survey_of(options) for name, options in recipe.sources.items()}
    return {name: survey for name, survey in found.items() if survey}


def plan(home_root: str) -> list[Task]:
    """The slices to be looked at, in order; what slices that are no more left is removed. With a
    `limit` each source is one slice.

    Raises `UserError`: no file matches, a schema that is too wide.
    """
    home, recipe = open_home(home_root)
    tasks = []
    for name, survey in surveyed(recipe).items():
        source = load_source(recipe.sources[name].kind)
        _check_schema(name, survey.schema)
        tasks += plan_slices(
            home_root,
            recipe,
            name,
            survey.slices or source.slices,
            STAGE,
            {"stage": VERSION},
            survey.conclude_fields,
        )
    wanted = {(task.source, task.name) for task in tasks}
    sources = {(task.source, CONCLUSION) for task in tasks}
    prune(home, CONCLUSION, sources, ())
    prune(home, STAGE, wanted | sources, (SURVEY,))
    return tasks


def forget(home: Home, recipe: Recipe) -> None:
    """Remove what a recipe that had surveys left."""
    if not surveyed(recipe) and files.exists(home.file(SURVEY)):
        prune(home, CONCLUSION, set(), ())
        prune(home, STAGE, set(), (SURVEY,))


def _check_schema(name: str, schema: pa.Schema) -> None:
    fixed = [
        field.type.bit_width
        for field in schema
        if not (pa.types.is_string(field.type) or pa.types.is_large_string(field.type))
    ]
    if sum(fixed) > 8 * RECORD_BYTES:
        raise UserError(
            f"source {name}: its survey keeps {sum(fixed) // 8} bytes a record",
            f"keep at most {RECORD_BYTES}, and strings beside them",
        )


def process(task: Task) -> Summary:
    """Look at one slice and write what is noted of it, unless that is done. Returns its summary,
    written last."""
    home, recipe = task_home(task)
    name, piece = task.source, task.slice
    address = home.survey(name, piece.name)
    finished = done(home, STAGE, name, piece.name, task.fingerprint, address)
    if finished:
        return finished
    options = recipe.sources[name]
    survey = survey_of(options)
    assert survey is not None
    schema = survey.schema.with_metadata(
        {"corpusmill.paths": json.dumps([part.path for part in piece.parts])}
    )
    counts, rejects = Counter[str](records=0, passed=0, bytes=0), Counter[str]()
    reached = bytes_until(piece)
    with (
        files.open_output(address) as output,
        pq.ParquetWriter(output, schema, compression="zstd") as writer,
    ):
        held: list[tuple[Any, ...]] = []
        for note in survey.look(options, piece):
            counts["records"] += 1
            tick(counts["records"], reached(note.path, note.position), note.path, note.position)
            if note.reason:
                rejects[note.reason] += 1
            else:
                counts["passed"] += 1
            if note.values is not None:
                held.append(note.values)
            if len(held) >= ROWS:
                writer.write_batch(_batch(held, schema))
                held = []
            if counts["records"] == recipe.limit:
                break
        if held:
            writer.write_batch(_batch(held, schema))
    path, start = piece.key
    summary = Summary(
        stage=STAGE,
        source=name,
        slice=piece.name,
        path=path,
        start=start,
        fingerprint=task.fingerprint,
        output=output.digest,
        output_bytes=output.bytes,
        counts=dict(counts),
        rejects=dict(sorted(rejects.items())),
    )
    write_summary(home, summary)
    return summary


def _batch(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = (
        [storable(value) if isinstance(value, str) else value for value in column]
        for column in zip(*rows)
    )
    return pa.record_batch(
        [pa.array(column, field.type) for column, field in zip(columns, schema)], schema=schema
    )


def plan_conclusions(home_root: str) -> list[Conclude]:
    """One task for each surveyed source."""
    home, recipe = open_home(home_root)
    tasks = []
    for name in surveyed(recipe):
        found = summaries(home, STAGE, name)
        wanted = fingerprint(
            stage=VERSION,
            **source_parts(recipe, recipe.sources[name]),
            slices=[(*summary.key, summary.output) for summary in found],
        )
        tasks.append(
            Conclude(
                home=home_root,
                source=name,
                size=sum(summary.output_bytes for summary in found),
                fingerprint=wanted,
            )
        )
    return tasks


def conclude(task: Conclude) -> Summary:
    """Make one file of what all slices of a source noted, unless that is done. Returns its summary,
    written last."""
    home, recipe = open_home(task.home)
    name = task.source
    options = recipe.sources[name]
    survey = survey_of(options)
    assert survey is not None
    address = home.conclusion(name, survey.form)
    finished = done(home, CONCLUSION, name, CONCLUSION, task.fingerprint, address)
    if finished:
        return finished
    found = summaries(home, STAGE, name)
    addresses = [home.survey(name, summary.slice) for summary in found]
    with files.open_output(address) as output:
        counts = survey.conclude(options, addresses, output, lambda done: tick(done, 0))
    summary = Summary(
        stage=CONCLUSION,
        source=name,
        slice=CONCLUSION,
        path=CONCLUSION,
        start=0,
        fingerprint=task.fingerprint,
        output=output.digest,
        output_bytes=output.bytes,
        counts=counts,
        inputs=tuple(summary.output for summary in found),
    )
    write_summary(home, summary)
    return summary
