"""The source `files`: your own .txt, .jsonl, .parquet and .html, plain or as .gz, .zst, .xz, .bz2.

A document is a file, a line, a paragraph or a row; of a web page its main text. Its position is its
offset in bytes in the inflated file, or its row number in Parquet. Memory is that of one document
(`MAX_DOCUMENT_BYTES`), whatever the file's size: a longer line is skipped as the reject `too_large`
and the next one read. A file that is damaged gives its records up to the damage and one reject.
"""

import datetime
import hashlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.document import (
    MAX_DOCUMENT_BYTES,
    Document,
    Part,
    Refusal,
    Reject,
    Slice,
    Source,
    SourceOptions,
)
from corpora.guard import shared_guard
from corpora.inputs.find import find, group, kind_of
from corpora.inputs.streams import DAMAGE, open_inflated, read_lines, what_broke
from corpora.web.page import (
    EXTRACTOR,
    MAX_PAGE_BYTES,
    MIN_CHARACTERS,
    PAGE_PACKAGES,
    Page,
    PageSettings,
)
from shards.storage import files

FORMATS = (".txt", ".jsonl", ".parquet", ".html", ".htm")


@dataclass(frozen=True, kw_only=True)
class FilesOptions(SourceOptions):
    """Your own texts: .txt, .jsonl, .parquet, .html, plain or compressed."""

    kind: str = "files"
    text_field: str = "text"
    """The JSON key or Parquet column that holds the text."""
    id_field: str | None = None
    """A key or column with your own id; it goes to extra.id, and `corpus why` finds it."""
    url_field: str | None = None
    """A key or column with the address of the text."""
    title_field: str | None = None
    """A key or column with its title."""
    date_field: str | None = None
    """A key or column with its date, as YYYY-MM-DD..."""
    document: Literal["file", "line", "blank-line"] | None = None
    """What a document is in .txt: the file (default), each line, or what blank lines separate. In
    .jsonl always the line."""
    encoding: str = "utf-8"
    """Of .txt and .jsonl; text that is not valid in it is the reject `bad_encoding`."""
    min_characters: int = MIN_CHARACTERS
    """Of .html: pages of less text are rejects, `too_short`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            newline = "\n".encode(self.encoding)
        except LookupError:
            raise ValueError(f"encoding: {self.encoding!r} is unknown") from None
        if newline != b"\n" and self.document in ("line", "blank-line"):
            raise ValueError(
                f"encoding: {self.encoding!r} cannot be read by lines; convert the files to utf-8"
            )


def source() -> Source:
    """The source `files`."""
    return Source(options=FilesOptions, slices=slices, read=read, version=2, packages=PAGE_PACKAGES)


def slices(options: FilesOptions) -> Iterator[Slice]:
    """Files in the order of their paths; small ones grouped, large ones cut where their format
    allows it."""
    parts = [piece for part in find(options.input) for piece in cut(options, part)]
    return group(parts, options.slice_bytes)


def cut(options: FilesOptions, part: Part) -> Iterator[Part]:
    """A large plain file by lines or by row groups; any other file whole."""
    form, compression = kind_of(part.path)
    if part.size > options.slice_bytes and not compression:
        if form == ".jsonl" or (form == ".txt" and options.document == "line"):
            edges = list(range(0, part.size, options.slice_bytes)) + [part.size]
            for start, stop in zip(edges[:-1], edges[1:]):
                yield Part(
                    address=part.address,
                    path=part.path,
                    size=part.size,
                    start=start,
                    stop=stop,
                    share=stop - start,
                )
            return
        if form == ".parquet":
            yield from _row_ranges(options, part)
            return
    yield part


def _row_ranges(options: FilesOptions, part: Part) -> Iterator[Part]:
    try:
        with files.open_input(part.address) as stream:
            metadata = pq.ParquetFile(stream).metadata
            groups = [
                (metadata.row_group(i).num_rows, metadata.row_group(i).total_byte_size)
                for i in range(metadata.num_row_groups)
            ]
    except (OSError, pa.ArrowException):
        yield part  # reading it will name the damage
        return
    start = rows = share = 0
    for count, size in groups:
        rows, share = rows + count, share + size
        if share >= options.slice_bytes:
            yield Part(
                address=part.address,
                path=part.path,
                size=part.size,
                start=start,
                stop=rows,
                share=share,
            )
            start, share = rows, 0
    if rows > start or not groups:
        yield Part(
            address=part.address,
            path=part.path,
            size=part.size,
            start=start,
            stop=None,
            share=share,
        )


def read(options: FilesOptions, piece: Slice) -> Iterator[Document | Reject]:
    """The records of a slice, in order."""
    for part in piece.parts:
        yield from read_part(options, part)


def read_part(options: FilesOptions, part: Part) -> Iterator[Document | Reject]:
    """The records of one file or range; damage ends it with a reject `damaged`, `truncated` or
    `unreadable`."""
    position = part.start
    try:
        for record in _records(options, part):
            position = record.position + 1
            yield record
    except (UnicodeEncodeError, *DAMAGE) as error:
        yield what_broke(error).at(part.path, position)


def _records(options: FilesOptions, part: Part) -> Iterator[Document | Reject]:
    form, compression = kind_of(part.path)
    if form not in FORMATS:
        yield Reject(
            path=part.path, position=0, reason="unknown_format", detail=f"not {', '.join(FORMATS)}"
        )
    elif form == ".parquet":
        yield from _parquet(options, part, compression)
    elif form == ".jsonl" and "\n".encode(options.encoding) != b"\n":
        yield Reject(
            path=part.path,
            position=0,
            reason="bad_encoding",
            detail=f"{options.encoding} cannot be read by lines; convert the file to utf-8",
        )
    else:
        with open_inflated(part.address, compression) as stream:
            if form in (".html", ".htm"):
                yield _page(options, part, stream.read(MAX_PAGE_BYTES + 1))
            elif form == ".jsonl":
                yield from _json_lines(options, part, stream)
            elif options.document == "line":
                yield from _text_lines(options, part, stream)
            elif options.document == "blank-line":
                yield from _paragraphs(options, part, stream)
            else:
                yield _text(options, part, 0, stream.read(MAX_DOCUMENT_BYTES + 1))


def _too_large(part: Part, position: int) -> Reject:
    return Reject(
        path=part.path,
        position=position,
        reason="too_large",
        detail=f"over {MAX_DOCUMENT_BYTES} bytes",
    )


def _text(options: FilesOptions, part: Part, position: int, raw: bytes) -> Document | Reject:
    if len(raw) > MAX_DOCUMENT_BYTES:
        return _too_large(part, position)
    try:
        text = raw.decode(options.encoding)
    except UnicodeError as error:
        return Reject(
            path=part.path,
            position=position,
            reason="bad_encoding",
            detail=str(error)[:200],
            text=raw[:1000].decode(options.encoding, "replace"),
        )
    return Document(path=part.path, position=position, text=text)


def _page(options: FilesOptions, part: Part, content: bytes) -> Document | Reject:
    """A web page; lxml runs where it can be killed. `crawled` is not known, so that no date can be
    checked against it."""
    settings = PageSettings(language=options.language, min_characters=options.min_characters)
    page: Page | Refusal = shared_guard(EXTRACTOR).call(content, settings=settings)
    if isinstance(page, Refusal):
        return page.at(part.path, 0)
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    return Document(
        path=part.path,
        position=0,
        text=page.text,
        title=page.title,
        date=page.date,
        language=page.language,
        digest=digest,
        extra=page.notes(),
    )


def _text_lines(
    options: FilesOptions, part: Part, stream: IO[bytes]
) -> Iterator[Document | Reject]:
    for offset, line in read_lines(stream, part.start, part.stop):
        if line is None:
            yield _too_large(part, offset)
        elif line.strip():
            yield _text(options, part, offset, line)


def _paragraphs(
    options: FilesOptions, part: Part, stream: IO[bytes]
) -> Iterator[Document | Reject]:
    """Runs of lines between blank ones."""
    held: list[bytes] = []
    begin = size = 0  # size: bytes with a line end each; 0 where no paragraph is open
    for offset, line in itertools.chain(read_lines(stream), [(0, b"")]):
        if line is None or line.strip():
            begin = begin if size else offset
            size += 1 + (MAX_DOCUMENT_BYTES + 1 if line is None else len(line))
            if size > MAX_DOCUMENT_BYTES + 1:
                held = []
            elif line is not None:
                held.append(line)
        elif size:
            yield (
                _too_large(part, begin)
                if size > MAX_DOCUMENT_BYTES + 1
                else _text(options, part, begin, b"\n".join(held))
            )
            held, size = [], 0


def _json_lines(
    options: FilesOptions, part: Part, stream: IO[bytes]
) -> Iterator[Document | Reject]:
    for offset, line in read_lines(stream, part.start, part.stop):
        if line is None:
            yield _too_large(part, offset)
        elif line.strip():
            yield _json_record(options, part, offset, line)


def _json_record(
    options: FilesOptions, part: Part, position: int, line: bytes
) -> Document | Reject:
    start = line[:1000].decode("utf-8", "replace")
    try:
        record = json.loads(line.decode(options.encoding).removeprefix("\ufeff"))
    except UnicodeError as error:
        return Reject(
            path=part.path,
            position=position,
            reason="bad_encoding",
            detail=str(error)[:200],
            text=start,
        )
    except (ValueError, RecursionError) as error:
        return Reject(
            path=part.path,
            position=position,
            reason="bad_json",
            detail=str(error)[:200],
            text=start,
        )
    if not isinstance(record, dict):
        return Reject(
            path=part.path, position=position, reason="bad_json", detail="not an object", text=start
        )
    return _field_record(options, part, position, record)


def _field_record(
    options: FilesOptions, part: Part, position: int, record: dict[str, Any]
) -> Document | Reject:
    text = record.get(options.text_field)
    if not isinstance(text, str):
        detail = f"no text in field {options.text_field!r}; fields: {', '.join(map(str, record))}"
        return Reject(path=part.path, position=position, reason="no_text", detail=detail[:200])
    if len(text) > MAX_DOCUMENT_BYTES:
        return _too_large(part, position)
    own = record.get(options.id_field) if options.id_field else None
    return Document(
        path=part.path,
        position=position,
        text=text,
        url=_string(record, options.url_field),
        title=_string(record, options.title_field),
        date=_date(record, options.date_field),
        extra={} if own is None else {"id": own if isinstance(own, (str, int)) else str(own)},
    )


def _string(record: dict[str, Any], name: str | None) -> str | None:
    value = record.get(name) if name else None
    return None if value is None else str(value)


def _date(record: dict[str, Any], name: str | None) -> datetime.date | None:
    value = record.get(name) if name else None
    try:
        return datetime.date.fromisoformat(str(value)[:10]) if value is not None else None
    except ValueError:
        return None


def _parquet(options: FilesOptions, part: Part, compression: str) -> Iterator[Document | Reject]:
    with tempfile.TemporaryFile() as spool:
        if compression:  # Parquet is read from its end, so a compressed one is unpacked first
            with open_inflated(part.address, compression) as stream:
                shutil.copyfileobj(stream, spool, 1 << 20)
            spool.seek(0)
        with (
            pa.PythonFile(spool, mode="r")
            if compression
            else files.open_input(part.address) as stream
        ):
            yield from _parquet_rows(options, part, pq.ParquetFile(stream))


def _parquet_rows(
    options: FilesOptions, part: Part, table: pq.ParquetFile
) -> Iterator[Document | Reject]:
    wanted = [
        name
        for name in (
            options.text_field,
            options.id_field,
            options.url_field,
            options.title_field,
            options.date_field,
        )
        if name
    ]
    present = [name for name in wanted if name in table.schema_arrow.names]
    if options.text_field not in present:
        yield Reject(
            path=part.path,
            position=0,
            reason="no_text",
            detail=f"no column {options.text_field!r}; columns: {', '.join(table.schema_arrow.names)}"[
                :200
            ],
        )
        return
    row = 0
    for index in range(table.num_row_groups):
        count = table.metadata.row_group(index).num_rows
        if row >= part.start and (part.stop is None or row < part.stop):
            position = row
            for batch in table.iter_batches(batch_size=64, row_groups=[index], columns=present):
                for record in batch.to_pylist():
                    yield _field_record(options, part, position, record)
                    position += 1
        row += count
