"""Stage `ingest`: slices of the sources become documents and rejects; every record is one or the
other.

Text is normalised here, once, for every source. Memory is one row group (about 16 MB of text) and
one document.
"""

import dataclasses
import datetime
import functools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.document import (
    MAX_DOCUMENT_BYTES,
    Document,
    Findings,
    Refusal,
    Reject,
    Slice,
    SourceOptions,
    document_id,
)
from corpora.sources import load_source, survey_of
from corpora.text.normalise import normalise
from pipelines.home.documents import DOCUMENT_SCHEMA, REJECT_SCHEMA
from pipelines.home.layout import CONCLUSION, Home, open_home, task_home
from pipelines.home.summaries import Summary, done, prune, read_summary, write_summary
from pipelines.progress.ticks import tick
from pipelines.stages.source_tasks import Task, bytes_until, plan_slices, storable
from shards.errors import UserError
from shards.storage import files

STAGE = "ingest"

VERSION = 1

ROW_GROUP_BYTES = 16_000_000

REJECT_TEXT = 500
"""Characters of a reject's text that are kept."""


def plan(home_root: str) -> list[Task]:
    """The slices of every source of the home's recipe, in order; what slices that are no more left
    is removed.

    With a `limit` each source is one slice, since the first N records are counted in the source's
    order. Raises `UserError`: no file matches, a folder is missing.
    """
    home, recipe = open_home(home_root)
    tasks = []
    for name, options in recipe.sources.items():
        source = load_source(options.kind)
        if options.ftfy:
            ftfy_fix()
        decided: dict[str, Any] = {"stage": VERSION}
        if survey_of(options):
            concluded = read_summary(home.summary(CONCLUSION, name, CONCLUSION))
            if concluded is None:
                raise UserError(
                    f"{home_root}: {name} was not surveyed",
                    f"corpus build {home_root}/recipe.toml --home {home_root}",
                )
            decided["survey"] = concluded.output
        tasks += plan_slices(home_root, recipe, name, source.slices, STAGE, decided)
    prune(home, STAGE, {(task.source, task.slice.name) for task in tasks}, ("documents", "rejects"))
    return tasks


def process(task: Task) -> Summary:
    """Read one slice into documents and rejects, unless that is done. Returns its summary, written
    last."""
    home, recipe = task_home(task)
    name, piece = task.source, task.slice
    address = home.documents(name, piece.name)
    finished = done(home, STAGE, name, piece.name, task.fingerprint, address)
    if finished and (not finished.rejects or files.exists(home.rejects(name, piece.name))):
        return finished
    options = recipe.sources[name]
    mend = ftfy_fix() if options.ftfy else None
    counts, rejects, marks = (
        Counter[str](records=0, documents=0, bytes=0),
        Counter[str](),
        Counter[str](),
    )
    reached = bytes_until(piece)
    with (
        files.open_output(address) as good,
        files.open_output(home.rejects(name, piece.name)) as bad,
    ):
        with (
            pq.ParquetWriter(good, DOCUMENT_SCHEMA, compression="zstd") as documents,
            pq.ParquetWriter(bad, REJECT_SCHEMA, compression="zstd") as rejected,
        ):
            held: list[Document] = []
            held_rejects: list[Reject] = []
            held_bytes = 0
            last: tuple[str, int] | None = None
            for record in _records(home, name, options, piece):
                record = _normalised(record, mend)
                counts["records"] += 1
                tick(
                    counts["records"],
                    reached(record.path, record.position),
                    record.path,
                    record.position,
                )
                if isinstance(record, Document):
                    last = _ordered(name, last, (record.path, record.position))
                    size = len(record.text.encode())
                    counts["documents"] += 1
                    counts["bytes"] += size
                    marks.update(record.marks)
                    held.append(record)
                    held_bytes += size
                    if held_bytes >= ROW_GROUP_BYTES:
                        documents.write_batch(_document_batch(name, held))
                        held, held_bytes = [], 0
                else:
                    rejects[record.reason] += 1
                    held_rejects.append(record)
                    if len(held_rejects) >= 10_000:
                        rejected.write_batch(_reject_batch(name, held_rejects))
                        held_rejects = []
                if counts["records"] == recipe.limit:
                    break
            if held:
                documents.write_batch(_document_batch(name, held))
            if held_rejects:
                rejected.write_batch(_reject_batch(name, held_rejects))
    path, start = piece.key
    summary = Summary(
        stage=STAGE,
        source=name,
        slice=piece.name,
        path=path,
        start=start,
        fingerprint=task.fingerprint,
        output=good.digest,
        output_bytes=good.bytes,
        counts=dict(counts),
        rejects=dict(sorted(rejects.items())),
        marks=dict(sorted(marks.items())),
    )
    write_summary(home, summary)
    return summary


def _records(
    home: Home, name: str, options: SourceOptions, piece: Slice
) -> Iterator[Document | Reject]:
    source, survey = load_source(options.kind), survey_of(options)
    if survey is None:
        return source.read(options, piece)
    notes = None if survey.slices else home.survey(name, piece.name)
    return source.read(
        options, piece, Findings(conclusion=home.conclusion(name, survey.form), notes=notes)
    )


def _ordered(source: str, last: tuple[str, int] | None, key: tuple[str, int]) -> tuple[str, int]:
    """`key`, which must come after `last`: the survivor order and the ids rest on it."""
    if last is not None and key <= last:
        raise UserError(
            f"source {source}: record {key} comes after {last}",
            "a source yields its records in the order of (path, position), each once",
            1,
        )
    return key


def ftfy_fix() -> Callable[[str], str]:
    """ftfy's `fix_text`, for encodings and broken escapes alone: quotes and the rest stay. Raises
    `UserError` where it is not installed."""
    try:
        import ftfy
    except ImportError:
        raise UserError(
            "ftfy = true needs the package ftfy", "pip install 'corpusmill[ftfy]'", 3
        ) from None
    config = ftfy.TextFixerConfig(
        unescape_html=False,
        uncurl_quotes=False,
        fix_latin_ligatures=False,
        fix_character_width=False,
        normalization=None,
    )
    return functools.partial(ftfy.fix_text, config=config)


def _normalised(
    record: Document | Reject, mend: Callable[[str], str] | None = None
) -> Document | Reject:
    """The record with clean text; a document without text, or with too much, is a reject."""
    if isinstance(record, Reject):
        return record
    text = normalise(mend(record.text) if mend else record.text)
    if not text:
        return Refusal("empty").at(record.path, record.position, record.url)
    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        refusal = Refusal("too_large", f"over {MAX_DOCUMENT_BYTES} bytes", text[:REJECT_TEXT])
        return refusal.at(record.path, record.position, record.url)
    return replace_text(record, text)


def replace_text(document: Document, text: str) -> Document:
    """The same document with another text."""
    return dataclasses.replace(document, text=text)


def _clean(text: str | None) -> str | None:
    """Normalised metadata; None where nothing is left."""
    return normalise(text) or None if text is not None else None


def _document_batch(source: str, documents: Iterable[Document]) -> pa.RecordBatch:
    rows = [
        (
            document_id(source, document.path, document.position),
            document.text,
            _clean(document.url),
            _clean(document.title),
            document.date,
            document.language and storable(document.language),
            _utc(document.crawled),
            storable(document.path),
            document.position,
            document.digest,
            json.dumps(document.extra, ensure_ascii=True, sort_keys=True),
        )
        for document in documents
    ]
    return pa.record_batch(
        [pa.array(column, field.type) for column, field in zip(zip(*rows), DOCUMENT_SCHEMA)],
        schema=DOCUMENT_SCHEMA,
    )


def _reject_batch(source: str, rejects: Iterable[Reject]) -> pa.RecordBatch:
    rows = [
        (
            document_id(source, reject.path, reject.position),
            storable(reject.path),
            reject.position,
            reject.reason,
            storable(reject.detail),
            _clean(reject.url),
            _clean(reject.text[:REJECT_TEXT]),
        )
        for reject in rejects
    ]
    return pa.record_batch(
        [pa.array(column, field.type) for column, field in zip(zip(*rows), REJECT_SCHEMA)],
        schema=REJECT_SCHEMA,
    )


def _utc(moment: datetime.datetime | None) -> datetime.datetime | None:
    """A moment without a zone is taken as UTC."""
    return (
        moment.replace(tzinfo=datetime.timezone.utc)
        if moment is not None and moment.tzinfo is None
        else moment
    )
