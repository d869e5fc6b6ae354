"""Stage `ingest`: slices of the sources become documents and rejects; every record is one or the
other.

Text is normalised here, once, for every source. Memory is one row group (about 16 MB of text) and
one document.
"""

import dataclasses
import datetime
import functools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.document import (
    LATER_FIELDS,
    LOCATION_FIELDS,
    MAX_DOCUMENT_BYTES,
    Document,
    Findings,
    Part,
    Reject,
    Slice,
    SourceOptions,
    document_id,
)
from corpora.normalise import normalise
from corpora.sources import load_source, module_file, survey_of
from pipelines.home import (
    CONCLUSION,
    Home,
    Summary,
    done,
    fingerprint,
    open_home,
    package_versions,
    prune,
    read_summary,
    recipe_key,
    task_home,
    write_summary,
)
from pipelines.progress import tick
from pipelines.recipe import Recipe
from shards import files
from shards.config import UserError, to_dict

STAGE = "ingest"
VERSION = 1
ROW_GROUP_BYTES = 16_000_000
REJECT_TEXT = 500
"""Characters of a reject's text that are kept."""

DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        ("url", pa.string()),
        ("title", pa.string()),
        ("date", pa.date32()),
        ("language", pa.string()),
        ("crawled", pa.timestamp("s", "UTC")),
        pa.field("path", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        ("digest", pa.string()),
        pa.field("extra", pa.string(), nullable=False),
    ]
)
REJECT_SCHEMA = pa.schema(
    [pa.field(name, pa.string(), nullable=False) for name in ("id", "path")]
    + [pa.field("position", pa.int64(), nullable=False)]
    + [
        pa.field("reason", pa.string(), nullable=False),
        ("detail", pa.string()),
        ("url", pa.string()),
        ("text", pa.large_string()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One slice of one source, and the fingerprint its summary must have. `recipe`: `recipe_key` of
    the plan's."""

    home: str
    source: str
    slice: Slice
    fingerprint: str
    stage: str = STAGE
    recipe: str = ""

    @property
    def name(self) -> str:
        """The slice's name."""
        return self.slice.name

    @property
    def size(self) -> int:
        """Bytes of input."""
        return self.slice.bytes


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


def plan_slices(
    home_root: str,
    recipe: Recipe,
    name: str,
    slices: Callable[[Any], Iterable[Slice]],
    stage: str,
    decided: dict[str, Any],
    beside: frozenset[str] = frozenset(),
) -> list[Task]:
    """The tasks of a stage that reads the input of a source. `decided`: its own parts of their
    fingerprints; `beside`: options that it does not depend on."""
    options = recipe.sources[name]
    pieces = list(slices(options))
    _refuse_the_home(home_root, name, pieces)
    if recipe.limit is not None and pieces:
        pieces = [Slice(parts=tuple(part for piece in pieces for part in piece.parts))]
    parts = list({part.address: part for piece in pieces for part in piece.parts}.values())
    root = parts[0].address if parts else ""
    identities = dict(zip((part.address for part in parts), files.each(root, _identity, parts)))
    common = fingerprint(**decided, **source_parts(recipe, options, beside))
    key = recipe_key(recipe)
    return [
        Task(
            home=home_root,
            recipe=key,
            source=name,
            slice=piece,
            stage=stage,
            fingerprint=f"{common} {fingerprint(inputs=_inputs(piece, identities))}",
        )
        for piece in pieces
    ]


def _refuse_the_home(home_root: str, name: str, pieces: list[Slice]) -> None:
    """A glob that takes in the home would read its own output at the next build."""
    root = _place(home_root) + "/"
    for part in (part for piece in pieces for part in piece.parts):
        if _place(part.address).startswith(root):
            raise UserError(
                f"sources.{name}.input takes in the home: {part.address}",
                "name a home outside of the inputs",
            )


def _place(address: str) -> str:
    return address.rstrip("/") if files.is_remote(address) else os.path.abspath(address)


def source_parts(
    recipe: Recipe, options: SourceOptions, beside: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Parts of a fingerprint: what decides what is read of a source, but for its input; `beside`:
    options that do not."""
    source = load_source(options.kind)
    left_out = {*LOCATION_FIELDS, *LATER_FIELDS, *options.place_fields, *beside}
    own = module_file(options.kind)
    contents = {
        name: [files.digest(address) for address in named(options, name)]
        for name in options.content_fields
        if name not in beside
    }
    return {
        "source": source.version,
        "module": files.digest(own) if own else "",
        "settings": {
            name: value for name, value in to_dict(options).items() if name not in left_out
        },
        "limit": recipe.limit,
        "packages": package_versions(
            "tokenizers", *source.packages, *(("ftfy",) if options.ftfy else ())
        ),
        **({"contents": contents} if contents else {}),
    }


def named(options: SourceOptions, name: str) -> tuple[str, ...]:
    """The addresses that an option holds, one or several or none."""
    value = getattr(options, name)
    return (value,) if isinstance(value, str) else tuple(value or ())


def _inputs(piece: Slice, identities: dict[str, str]) -> list[list[Any]]:
    return [
        [part.path, part.start, part.stop, part.size, identities[part.address]]
        for part in piece.parts
    ]


def _identity(part: Part) -> str:
    try:
        return files.identity(part.address, part.size)
    except (OSError, UnicodeError) as error:  # reading it makes the reject
        return f"unreadable: {type(error).__name__}"


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


def bytes_until(piece: Slice) -> Callable[[str, int], int]:
    """A function of (path, position): about how many bytes of the slice come before."""
    sizes = [part.size if part.share is None else part.share for part in piece.parts]
    begins = {
        part.path: (begin, size)
        for part, begin, size in zip(piece.parts, accumulate(sizes, initial=0), sizes)
    }

    def reached(path: str, position: int) -> int:
        begin, length = begins.get(path, (0, 0))
        return begin + min(position, length)

    return reached


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
        return Reject(path=record.path, position=record.position, reason="empty", url=record.url)
    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        return Reject(
            path=record.path,
            position=record.position,
            reason="too_large",
            detail=f"over {MAX_DOCUMENT_BYTES} bytes",
            url=record.url,
            text=text[:REJECT_TEXT],
        )
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


def storable(text: str) -> str:
    """Text that UTF-8 can hold (a file's name may hold lone surrogates)."""
    return text.encode("utf-8", "backslashreplace").decode()
