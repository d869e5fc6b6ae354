"""Stage `ingest`: the records of every source become documents or rejects; none is lost.

Text is normalised here, once, for all sources. Memory is one row group (about 16 MB of text) and
one document.
"""

import dataclasses
import datetime
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.document import (
    MAX_DOCUMENT_BYTES,
    REMOVED_TEXTS,
    Document,
    Findings,
    NotPage,
    Outcome,
    PiiConfig,
    Refusal,
    Reject,
    Slice,
    SourceOptions,
    document_id,
)
from corpora.quality.forgotten import FORGOTTEN, Forgotten, read_forgotten
from corpora.sources import load_source, survey_of
from corpora.text import mojibake
from corpora.text import pii as personal_data
from corpora.text.normalise import normalise, whole_characters
from pipelines.home.documents import DOCUMENT_SCHEMA, REJECT_SCHEMA
from pipelines.home.inputs import INPUTS, note_inputs
from pipelines.home.layout import CONCLUSION, INGEST, SURVEY, Home
from pipelines.home.set_aside import complain_of_aside
from pipelines.home.summaries import Summary, prune, read_summary, summaries
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages import survey
from pipelines.stages.accounts import check, check_disk, listed, sums, total
from pipelines.stages.job import Job
from pipelines.stages.source_tasks import (
    Reading,
    SourceTask,
    bytes_until,
    plan_slices,
    storable,
)
from pipelines.stages.stage import Pass, Result, Stage
from pipelines.wording import apart, several
from shards.errors import UserError
from shards.storage import files

VERSION = 3

ROW_GROUP_BYTES = 16_000_000
"""Text that is held and written together."""

ROW_GROUP_REJECTS = 10_000

MASKS_VERSION = 2
"""Of what is masked of personal data, beside the texts of documents."""

REJECT_TEXT = 500
"""Characters of a reject's text that are kept."""

SAID_LEFT_OUT = 10
"""Names of what was left out that are said after a build, of each kind."""

LEFT_OUT_NAMES = 2_000
"""Names of what was left out of the texts that the summary of a slice holds."""

OTHER_NAMES = "other names"
"""Stands for the names that are less frequent than those."""

COUNTED_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("marks", pa.list_(pa.string()), nullable=False),
        pa.field("left_out", pa.string(), nullable=False),
    ]
)
"""`left_out` is JSON: name -> how often."""

UNREADABLE = {*survey.DAMAGE, "unknown_format", "not_an_archive", "not_a_dump"}
"""Where a source has no other rejects and no document, none of its files could be read."""

LONGEST_MASKED = 64
"""Characters at the end of a cut text in which half of an address or number may stand."""

SAID_MARKS = 4
"""The most frequent marks of documents are named after a build, this many of them."""


def plan(
    home: Home, recipe: Recipe, slices: Mapping[str, list[Slice]] | None = None
) -> list[SourceTask]:
    """The slices of every source, in order; removes the files of slices that no longer exist.

    `slices` are those of the sources, where they are listed already. Raises `UserError`: no file
    matches, a folder is missing, a source was not surveyed.
    """
    tasks = []
    for name, options in recipe.sources.items():
        if options.ftfy:
            mojibake.mender()

        # The survey decides which records are read, so a new conclusion redoes the source.
        depends: dict[str, Any] = {"stage": VERSION}
        if options.pii.mask:
            depends["masks"] = MASKS_VERSION
        if survey_of(options):
            concluded = read_summary(home.summary(CONCLUSION, name, CONCLUSION))
            if concluded is None:
                raise UserError(
                    f"{home.root}: {name} was not surveyed",
                    home.build_command,
                )
            depends["survey"] = concluded.output

        pieces = load_source(options.kind).slices(options) if slices is None else slices[name]
        tasks += plan_slices(home, recipe, Reading(name, pieces, depends))

    wanted = {(task.source, task.name) for task in tasks}
    prune(home, INGEST, wanted, ("documents", "rejects", f"work/{INPUTS}"))
    return tasks


def documents_address(home: Home, recipe: Recipe, task: SourceTask) -> str:
    """Where the documents of a slice are stored."""
    return home.documents(task.source, task.name)


def rejects_beside(home: Home, summary: Summary) -> tuple[str, ...]:
    """The file of a slice's rejects, where it has any."""
    return (home.rejects(summary.source, summary.slice),) if summary.rejects else ()


class Batches:
    """Collects the documents or rejects of a slice and writes them batch by batch."""

    def __init__(self, output: files.Output, schema: pa.Schema) -> None:
        self.writer = pq.ParquetWriter(output, schema, compression="zstd")
        self.schema = schema
        self.rows: list[tuple[Any, ...]] = []
        self.size = 0

    def add(self, row: tuple[Any, ...], size: int, limit: int) -> None:
        """Add a row of `size`; a batch is written once the sizes reach `limit`."""
        self.rows.append(row)
        self.size += size
        if self.size >= limit:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self.rows:
            columns = zip(zip(*self.rows), self.schema)
            arrays = [pa.array(column, field.type) for column, field in columns]
            self.writer.write_batch(pa.record_batch(arrays, schema=self.schema))
        self.rows, self.size = [], 0

    def __enter__(self) -> "Batches":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.flush()
        self.writer.close()


class Counted:
    """Notes in `work/` what the summary of a slice counts of single documents and nothing else
    tells: their marks, and what was left out of them. `corpus forget` takes it off again.

    The file is written only where a document has something to note.
    """

    def __init__(self, home: Home, source: str, slice_name: str) -> None:
        self.address = counted_address(home, source, slice_name)
        self.stack = ExitStack()
        self.rows: Batches | None = None

    def add(self, identity: str, document: Document) -> None:
        """Note what is counted of a document."""
        if not (document.marks or document.left_out):
            return
        if self.rows is None:
            output = self.stack.enter_context(files.open_output(self.address, flush=False))
            self.rows = self.stack.enter_context(Batches(output, COUNTED_SCHEMA))
        row = (identity, list(document.marks), json.dumps(dict(document.left_out)))
        self.rows.add(row, 1, ROW_GROUP_REJECTS)

    def __enter__(self) -> "Counted":
        return self

    def __exit__(self, *error: Any) -> None:
        self.stack.__exit__(*error)


def counted_address(home: Home, source: str, slice_name: str) -> str:
    """Where it is noted what is counted of single documents: beside the notes on the inputs."""
    return home.work(INPUTS, source, f"{slice_name}.parquet")


def read(home: Home, recipe: Recipe, task: SourceTask, output: files.Output) -> Result:
    """Read every record of one slice; documents go to `output`, rejects to a file beside it."""
    source = task.source
    options = recipe.sources[source]
    forgotten = read_forgotten(recipe.forget)
    mend = mojibake.mender() if options.ftfy else None
    counts = Counter[str](records=0, documents=0, bytes=0)
    rejects, not_pages, marks = Counter[str](), Counter[str](), Counter[str]()
    left_out = Counter[str]()
    reached = bytes_until(task.slice)
    last: tuple[str, int] | None = None

    with (
        # Closed before the documents: when their file is there, the rejects are too.
        files.open_output(home.rejects(source, task.name)) as rejects_output,
        Batches(output, DOCUMENT_SCHEMA) as kept,
        Batches(rejects_output, REJECT_SCHEMA) as rejected,
        Counted(home, source, task.name) as counted,
    ):
        for record in _records(home, source, options, task.slice):
            record = _normalised(record, options, mend)
            counts["records"] += 1
            if isinstance(record, NotPage):
                not_pages[record.kind] += 1

            # The tick also tells the parent that this child lives, and names the record if it dies.
            begin = reached(record.path, record.position)
            pages = counts["records"] - not_pages.total()
            tick(pages, begin, record.path, record.position)

            if isinstance(record, Document):
                last = _in_order(source, last, (record.path, record.position))
            if forgotten and is_forgotten(forgotten, source, record):
                rejects[FORGOTTEN] += 1
            elif isinstance(record, Document):
                size = len(record.text.encode())
                counts["documents"] += 1
                counts["bytes"] += size
                marks.update(record.marks)
                # so that memory does not grow with the names in a dump
                left_out.update(record.left_out)
                if len(left_out) > 2 * LEFT_OUT_NAMES:
                    left_out = _most_frequent(left_out)
                row = _document_row(source, record)
                kept.add(row, size, ROW_GROUP_BYTES)
                counted.add(row[0], record)
            elif isinstance(record, Reject):
                rejects[record.reason] += 1
                rejected.add(_reject_row(source, record), 1, ROW_GROUP_REJECTS)

            # With a limit the source is one slice, so these are its first records.
            if counts["records"] == recipe.limit:
                break

    note_inputs(home, source, task.name, dict(task.identities))
    return Result(
        counts=dict(counts),
        rejects=dict(sorted(rejects.items())),
        not_pages=dict(sorted(not_pages.items())),
        marks=dict(sorted(marks.items())),
        left_out=dict(sorted(_most_frequent(left_out).items())),
    )


def is_forgotten(forgotten: Forgotten, source: str, record: Outcome) -> bool:
    """Whether the list of a home names a record. One without text by its kind is stored nowhere in
    any case."""
    if isinstance(record, NotPage):
        return False
    identity = document_id(source, record.path, record.position)
    digest = record.digest if isinstance(record, Document) else None
    if forgotten.names(identity, digest, _clean(record.url)):
        return True
    return isinstance(record, Document) and forgotten.names_text(record.text)


def _most_frequent(left_out: Counter[str]) -> Counter[str]:
    """The most frequent names, and the others together as one: a dump may have any number."""
    if len(left_out) <= LEFT_OUT_NAMES:
        return left_out
    others = left_out.pop(OTHER_NAMES, 0)
    # by count and then by name, so that nothing depends on the order in which they came
    by_count = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    kept = Counter(dict(by_count[:LEFT_OUT_NAMES]))
    kept[OTHER_NAMES] = others + sum(count for _, count in by_count[LEFT_OUT_NAMES:])
    return kept


def _records(home: Home, name: str, options: SourceOptions, piece: Slice) -> Iterator[Outcome]:
    source, reading = load_source(options.kind), survey_of(options)
    if reading is None:
        return source.read(options, piece)

    notes = None if reading.slices else home.survey(name, piece.name)
    conclusion = home.conclusion(name, reading.form)
    return source.read(options, piece, Findings(conclusion=conclusion, notes=notes))


def _in_order(source: str, last: tuple[str, int] | None, key: tuple[str, int]) -> tuple[str, int]:
    """`key`, which must come after `last`: the survivor order and the ids rest on it."""
    if last is not None and key <= last:
        raise UserError(
            f"source {source}: record {key} comes after {last}",
            "a source yields its records in the order of (path, position), each once",
            1,
        )
    return key


def _normalised(
    record: Outcome, options: SourceOptions, mend: Callable[[str], str] | None = None
) -> Outcome:
    """The record with clean text and its language; a document without text, or with too much,
    becomes a reject."""
    if isinstance(record, Reject):
        return _without_shown_data(record, options.pii)
    if not isinstance(record, Document):
        return record

    # Repair comes first: normalisation would make some damage look like text.
    text = normalise(mend(record.text) if mend else record.text)
    if not text:
        return Refusal("empty").at(record.path, record.position, record.url)

    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        refusal = Refusal("too_large", f"over {MAX_DOCUMENT_BYTES} bytes", text[:REJECT_TEXT])
        reject = refusal.at(record.path, record.position, record.url)
        return _without_shown_data(reject, options.pii)

    record = dataclasses.replace(record, text=text, language=options.language_of(record.language))
    return _without_personal_data(record, options.pii)


def _without_shown_data(reject: Reject, pii: PiiConfig) -> Reject:
    """The reject with the personal data in its text and detail masked, where masks are asked for:
    nothing that a home stores of a source holds any."""
    if not pii.mask:
        return reject
    text = personal_data.without(reject.text, pii.kinds)
    # A text is cut anywhere: half of an address is not found.
    if len(reject.text) >= REJECT_TEXT:
        text = text[:-LONGEST_MASKED]
    detail = personal_data.without(reject.detail, pii.kinds)
    return dataclasses.replace(reject, text=text, detail=detail)


def _without_personal_data(record: Document, pii: PiiConfig) -> Document:
    """The document with its personal data counted and, where asked, masked."""
    if not (pii.count or pii.mask):
        return record
    if pii.mask:
        record = _without_data_beside(record, pii)
    found = personal_data.find(record.text, pii.kinds)
    if not found:
        return record

    examples: dict[str, str] = {}
    for one in found:
        examples.setdefault(one.kind, personal_data.example(record.text[one.begin : one.end]))
    counts = dict(sorted(Counter(one.kind for one in found).items()))
    told = {"counts": counts, "examples": examples}
    if pii.mask:
        text = personal_data.masked(record.text, found)
        record = dataclasses.replace(record, text=text)
    return dataclasses.replace(
        record,
        extra={**record.extra, "pii": told},
        marks=(*record.marks, *(f"pii_{kind}" for kind in counts)),
    )


def _without_data_beside(record: Document, pii: PiiConfig) -> Document:
    """The document with the personal data masked in its title and in what was removed from its
    text, which `extra` keeps."""
    removed = {
        key: personal_data.without(str(record.extra[key]), pii.kinds)
        for key in REMOVED_TEXTS
        if record.extra.get(key)
    }
    title = record.title and personal_data.without(record.title, pii.kinds)
    return dataclasses.replace(record, title=title, extra={**record.extra, **removed})


Row = tuple[Any, ...]
"""The fields of a document or reject, in the order of its schema."""


def _document_row(source: str, document: Document) -> Row:
    """The fields of `DOCUMENT_SCHEMA`, in its order."""
    return (
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
        json.dumps(whole_characters(document.extra), ensure_ascii=True, sort_keys=True),
    )


def _reject_row(source: str, reject: Reject) -> Row:
    """The fields of `REJECT_SCHEMA`, in its order."""
    return (
        document_id(source, reject.path, reject.position),
        storable(reject.path),
        reject.position,
        reject.reason,
        storable(reject.detail),
        _clean(reject.url),
        _clean(reject.text[:REJECT_TEXT]),
    )


def _clean(text: str | None) -> str | None:
    """Normalised metadata; None where nothing is left."""
    if text is None:
        return None
    return normalise(text) or None


def _utc(moment: datetime.datetime | None) -> datetime.datetime | None:
    """A moment without a zone is taken as UTC."""
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=datetime.timezone.utc)


READ = Pass(
    name=INGEST,
    plan=plan,
    address=documents_address,
    work=read,
    beside=rejects_beside,
    reads_inputs=True,
)


# --- the stage


def list_sources(recipe: Recipe) -> list[str]:
    """All sources."""
    return list(recipe.sources)


def prepare(job: Job) -> None:
    """Check that the disk can hold the documents; remove the survey of an earlier recipe.

    How much a surveyed source stores is known only after its reading, so it does not count.
    """
    survey.forget(job.home, job.recipe)

    stored = 0
    for name in job.recipe.sources:
        if name not in survey.surveyed(job.recipe):
            stored += sum(piece.bytes for piece in job.slices(name))

    check_disk(job.home, stored // 2, "half the bytes of the inputs")


def account(job: Job) -> None:
    """Check that every record is a document, a reject or no page, and say how many there are.

    Raises `UserError` where no source gave a document: exit 1 if slices were set aside, else 2.
    """
    documents = 0
    for name in job.recipe.sources:
        found = summaries(job.home, INGEST, name)
        documents += total(found, "documents")
        _account_source(job, name, found)

    if not documents:
        # A slice that failed is no unreadable input: the same command tries it again.
        complain_of_aside(job.home)
        raise UserError(
            f"{job.home.root}: no input could be read: not one document",
            f"corpus show {job.home.quoted} --rejects",
        )


def _account_source(job: Job, name: str, found: list[Summary]) -> None:
    records, documents = total(found, "records"), total(found, "documents")
    rejects = sums(summary.rejects for summary in found)
    not_pages = sums(summary.not_pages for summary in found)
    marks = sums(summary.marks for summary in found)
    pages = records - sum(not_pages.values())
    check(f"{name}: records", pages, documents + sum(rejects.values()))

    counted = f"{several(pages, 'record')}, {several(documents, 'document')}"
    job.say(f"ingest {name}: {counted}{listed(rejects)}")
    if not_pages:
        job.say(f"ingest {name}: {apart(not_pages)}")

    if marks:
        by_count = sorted(marks.items(), key=lambda item: (-item[1], item[0]))
        named = dict(by_count[:SAID_MARKS])
        others = len(marks) - len(named)
        more = f" and {others} other marks: corpus stats {job.home.quoted}" if others else ""
        job.say(f"ingest {name}: of the documents{listed(named)}{more}")

    left_out = sums(summary.left_out for summary in found)
    for line in _left_out_lines(left_out):
        job.say(f"ingest {name}: {line}; all: corpus stats {job.home.quoted}")

    _warn_of_unread(job, name, rejects, pages)
    if not_pages and not pages:
        job.say(
            f"warning: {name}: its archives hold no response; WET archives are read by "
            'kind = "stories"'
        )
    # Every record was refused for its file: most likely a wrong kind or a wrong folder.
    elif records and not documents and set(rejects) <= UNREADABLE:
        job.say(
            f"warning: {name}: nothing in its {several(len(found), 'slice')} could be read; "
            f"corpus show {job.home.quoted} --rejects --source {name}"
        )


def _left_out_lines(left_out: Mapping[str, int]) -> Iterator[str]:
    """What was left out of the texts most often, a line for each kind of it."""
    by_kind: dict[str, list[str]] = {}
    for item, count in sorted(left_out.items(), key=lambda item: (-item[1], item[0])):
        kind, colon, what = item.partition(": ")
        named = by_kind.setdefault(kind if colon else "other", [])
        if len(named) < SAID_LEFT_OUT:
            named.append(f"{what or kind} {count:,}")
    for kind, named in by_kind.items():
        yield f"left out, {kind}: {', '.join(named)}"


def _warn_of_unread(job: Job, name: str, rejects: dict[str, int], records: int) -> None:
    """Warn where most records of a source are files that it cannot read."""
    unread = rejects.get("unknown_format", 0)
    if records > unread > records - unread:
        job.say(
            f"warning: {name}: {several(unread, 'file')} of a format that kind = "
            f'"{job.recipe.sources[name].kind}" does not read; '
            f"corpus show {job.home.quoted} --rejects --source {name}"
        )


STAGE = Stage(
    name=INGEST,
    transform="Ingest",
    passes=(READ,),
    inputs=list_sources,
    prepare=prepare,
    account=account,
    needs=(SURVEY, CONCLUSION),
    loses_slices=True,
)
