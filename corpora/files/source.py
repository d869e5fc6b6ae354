"""The source `files`: your own .txt, .jsonl, .parquet and .html, plain or as .gz, .zst, .xz, .bz2.

A document is a file, a line, a paragraph or a row; of a web page its main text. Its position is its
offset in bytes in the inflated file, or its row number in Parquet. Memory is that of one document
(`MAX_DOCUMENT_BYTES`), whatever the size of the file: a longer line is skipped as the reject
`too_large` and the next one is read. A damaged file gives its records up to the damage, and one
reject.
"""

import datetime
import hashlib
import io
import itertools
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import IO, ClassVar, Literal, cast

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
from corpora.files.rows import Unreadable, plain_rows, type_name
from corpora.guard import shared_guard
from corpora.inputs.complaints import in_words
from corpora.inputs.find import find, group, kind_of
from corpora.inputs.streams import DAMAGE, open_inflated, read_lines, what_broke
from corpora.text.language import ANY, known_languages, other_language
from corpora.text.language_codes import language_code, same_language
from corpora.web.page import (
    EXTRACTOR,
    MAX_PAGE_BYTES,
    MIN_CHARACTERS,
    PAGE_PACKAGES,
    Page,
    PageSettings,
)
from shards.config import setting
from shards.storage import files, reached

FORMATS = (".txt", ".jsonl", ".parquet", ".html", ".htm")

_DATE = re.compile("([0-9]{4})-([0-9]{2})-([0-9]{2})")

_BATCH_ROWS = 64
"""Rows of Parquet that are in memory at once: each may be a large document."""

Fields = dict[str, object]
"""A JSON object or a row of Parquet."""


@dataclass(frozen=True, kw_only=True)
class FilesOptions(SourceOptions):
    """Your own texts: .txt, .jsonl, .parquet, .html, plain or compressed."""

    kind: str = setting("files", affects="ingest")
    """files."""
    text_field: str = setting("text", affects="ingest")
    """The JSON key or Parquet column that holds the text."""
    id_field: str | None = setting(None, affects="ingest")
    """A key or column with your own id, which is stored in extra.id; `corpus why` finds it."""
    url_field: str | None = setting(None, affects="ingest")
    """A key or column with the address of the text."""
    title_field: str | None = setting(None, affects="ingest")
    """A key or column with the title of the text."""
    date_field: str | None = setting(None, affects="ingest")
    """A key or column with the date of the text, which begins YYYY-MM-DD."""
    language_field: str | None = setting(None, affects="ingest")
    """A key or column with the language of the text (en, eng, en-GB or English), which is believed:
    nothing is detected where it is set."""
    document: Literal["file", "line", "blank-line"] | None = setting(None, affects="ingest")
    """What one document is in .txt: the whole file (the default), each line, or each text between
    blank lines. In .jsonl always each line."""
    encoding: str = setting("utf-8", affects="ingest")
    """The encoding of .txt and .jsonl; text that is not valid in it is rejected as
    `bad_encoding`."""
    min_characters: int = setting(MIN_CHARACTERS, affects="ingest")
    """Reject .html pages with less text, as `too_short`."""
    detects: ClassVar[bool] = True

    def detectable(self) -> tuple[str, ...] | None:
        """Those of langdetect and of pycld2. Any code where a field tells the language."""
        if self.language_field:
            return None
        # Imported here, since its libraries in C take too long for `--help`.
        from corpora.text.language import told_apart

        return told_apart()

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            newline = "\n".encode(self.encoding)
        except LookupError:
            raise ValueError(f"encoding: {self.encoding!r} is unknown") from None
        # In UTF-16 and its like the byte of a line end may be part of another character.
        if newline != b"\n" and self.document in ("line", "blank-line"):
            raise ValueError(
                f"encoding: {self.encoding!r} cannot be read by lines; convert the files to utf-8"
            )


def source() -> Source:
    """The source `files`."""
    return Source(options=FilesOptions, slices=slices, read=read, version=4, packages=PAGE_PACKAGES)


def slices(options: FilesOptions) -> Iterator[Slice]:
    """Files ordered by path; small ones are grouped, large ones are cut if their format allows
    it."""
    parts: list[Part] = []
    for part in find(options.input):
        parts += cut(options, part)
    return group(parts, options.slice_bytes)


def cut(options: FilesOptions, part: Part) -> Iterator[Part]:
    """A large plain file in parts, by lines or by row groups; any other file whole."""
    form, compression = kind_of(part.path)
    by_lines = form == ".jsonl" or (form == ".txt" and options.document == "line")
    if part.size <= options.slice_bytes or compression:
        yield part
    elif by_lines:
        yield from part.ranges(options.slice_bytes)
    elif form == ".parquet":
        yield from _row_ranges(options, part)
    else:
        yield part


def _row_ranges(options: FilesOptions, part: Part) -> Iterator[Part]:
    groups: list[tuple[int, int, int]] = []  # (rows, bytes, stored bytes) of each row group
    try:
        with files.open_input(part.address) as stream:
            metadata = pq.ParquetFile(stream).metadata
            for index in range(metadata.num_row_groups):
                row_group = metadata.row_group(index)
                groups.append(
                    (row_group.num_rows, row_group.total_byte_size, _stored_bytes(row_group))
                )
    except (OSError, pa.ArrowException):
        yield part  # reading it will name the damage
        return

    # Never inside a row group, which is decoded as a whole.
    start = 0
    rows = 0
    share = 0
    stored = 0
    for count, size, stored_size in groups:
        rows += count
        share += size
        stored += stored_size
        if share >= options.slice_bytes:
            yield replace(part, start=start, stop=rows, share=share, stored=stored)
            start = rows
            share = 0
            stored = 0
    if rows > start or not groups:
        yield replace(part, start=start, stop=None, share=share, stored=stored)


def read(options: FilesOptions, piece: Slice) -> Iterator[Document | Reject]:
    """The records of a slice, in order."""
    for part in piece.parts:
        for record in read_part(options, part):
            yield _in_language(options, record)


def read_part(options: FilesOptions, part: Part) -> Iterator[Document | Reject]:
    """The records of one file or range, in any language; damage ends it with a reject `damaged`,
    `truncated` or `unreadable`."""
    position = part.start
    try:
        for record in _records(options, part):
            position = record.position + 1  # the place of damage behind it
            yield record
    except (UnicodeEncodeError, *DAMAGE) as error:
        yield what_broke(error).at(part.path, position)
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
        # A library refused what it could not read: the other files of the slice are not lost.
        detail = f"{type(error).__name__}: {in_words(error)}"[:200]
        yield Refusal("unreadable", detail).at(part.path, position)


def _in_language(options: FilesOptions, record: Document | Reject) -> Document | Reject:
    """The record, or a reject for a document that is in another language than the wanted one."""
    wanted = options.language
    if isinstance(record, Reject) or wanted == ANY or record.language == wanted:
        return record

    # Of a page langdetect has told the language, of other texts a field of the user's.
    other = record.language or other_language(record.text, wanted)
    if other is None or same_language(other, wanted):
        return record
    return Refusal("language", other, record.text[:1000]).at(
        record.path, record.position, record.url
    )


def _records(options: FilesOptions, part: Part) -> Iterator[Document | Reject]:
    form, compression = kind_of(part.path)
    if form not in FORMATS:
        yield Refusal("unknown_format", f"not {', '.join(FORMATS)}").at(part.path, 0)
    elif form == ".parquet":
        yield from _parquet(options, part, compression)
    elif form == ".jsonl" and "\n".encode(options.encoding) != b"\n":
        detail = f"{options.encoding} cannot be read by lines; convert the file to utf-8"
        yield Refusal("bad_encoding", detail).at(part.path, 0)
    else:
        with open_inflated(part.address, compression) as stream:
            yield from _stream_records(options, part, stream, form)


def _stream_records(
    options: FilesOptions, part: Part, stream: IO[bytes], form: str
) -> Iterator[Document | Reject]:
    if form in (".html", ".htm"):
        yield _page(options, part, stream.read(MAX_PAGE_BYTES + 1))
    elif form == ".jsonl":
        yield from _lines(options, part, stream, _json_record)
    elif options.document == "line":
        yield from _lines(options, part, stream, _text)
    elif options.document == "blank-line":
        yield from _paragraphs(options, part, stream)
    else:
        yield _whole_text(options, part, stream)


def _whole_text(options: FilesOptions, part: Part, stream: IO[bytes]) -> Document | Reject:
    """The text of a whole file. A part of it is no document: of a file that is cut, the reject says
    so and holds the beginning."""
    raw = bytearray()
    # `read` would lose what it has inflated before the damage.
    inflated = cast(io.BufferedReader, stream)
    try:
        while len(raw) <= MAX_DOCUMENT_BYTES:
            block = inflated.read1(1 << 20)
            if not block:
                break
            raw += block
    except DAMAGE as error:
        found = what_broke(error)
        beginning = raw[:1000].decode(options.encoding, "replace")
        detail = f"{found.detail}; a document is a whole file, so that no part of it is kept"
        return Refusal(found.reason, detail, beginning).at(part.path, 0)
    return _text(options, part, 0, raw)


def _too_large(part: Part, position: int) -> Reject:
    return Refusal("too_large", f"over {MAX_DOCUMENT_BYTES} bytes").at(part.path, position)


def _text(
    options: FilesOptions, part: Part, position: int, raw: bytes | bytearray
) -> Document | Reject:
    if len(raw) > MAX_DOCUMENT_BYTES:
        return _too_large(part, position)
    try:
        text = raw.decode(options.encoding)
    except UnicodeError as error:
        beginning = raw[:1000].decode(options.encoding, "replace")
        return Refusal("bad_encoding", in_words(error), beginning).at(part.path, position)
    return Document(path=part.path, position=position, text=text)


def _page(options: FilesOptions, part: Part, content: bytes) -> Document | Reject:
    """A web page, whose parser runs in a child that can be killed. The moment of its crawl is not
    known, so its date is not checked."""
    # Of a language that langdetect does not know, its word is worth nothing.
    is_known = options.language == ANY or options.language in known_languages()
    settings = PageSettings(
        language=options.language if is_known else ANY, min_characters=options.min_characters
    )
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
        language=page.language if is_known else None,
        digest=digest,
        extra=page.notes(),
    )


LineReader = Callable[[FilesOptions, Part, int, bytes], Document | Reject]
"""Reads one line of a file, at a position."""


def _lines(
    options: FilesOptions, part: Part, stream: IO[bytes], read_line: LineReader
) -> Iterator[Document | Reject]:
    for offset, line in read_lines(stream, part.start, part.stop):
        if line is None:
            yield _too_large(part, offset)
        elif line.strip():
            yield read_line(options, part, offset, line)


def _paragraphs(
    options: FilesOptions, part: Part, stream: IO[bytes]
) -> Iterator[Document | Reject]:
    """Runs of lines between blank ones."""
    lines: list[bytes] = []
    begin = 0
    size = 0  # bytes with one line end per line; 0 when no paragraph is open
    # A blank line after the last one closes the last paragraph.
    end_mark: list[tuple[int, bytes | None]] = [(0, b"")]
    for offset, line in itertools.chain(read_lines(stream), end_mark):
        if line is None or line.strip():
            if not size:
                begin = offset
            size += 1 + (MAX_DOCUMENT_BYTES + 1 if line is None else len(line))
            if size > MAX_DOCUMENT_BYTES + 1:
                lines = []  # memory stays that of one document
            elif line is not None:
                lines.append(line)
        elif size:
            if size > MAX_DOCUMENT_BYTES + 1:
                yield _too_large(part, begin)
            else:
                yield _text(options, part, begin, b"\n".join(lines))
            lines = []
            size = 0


def _json_record(
    options: FilesOptions, part: Part, position: int, line: bytes
) -> Document | Reject:
    fields = _json_fields(options, line)
    if isinstance(fields, Refusal):
        return fields.at(part.path, position)
    return _field_record(options, part, position, fields)


def _json_fields(options: FilesOptions, line: bytes) -> Fields | Refusal:
    beginning = line[:1000].decode("utf-8", "replace")
    try:
        # A file may begin with a byte order mark.
        fields = json.loads(line.decode(options.encoding).removeprefix("\ufeff"))
    except UnicodeError as error:
        return Refusal("bad_encoding", in_words(error), beginning)
    except (ValueError, RecursionError) as error:
        return Refusal("bad_json", in_words(error), beginning)
    if not isinstance(fields, dict):
        return Refusal("bad_json", "not an object", beginning)
    return fields


def _field_record(
    options: FilesOptions, part: Part, position: int, fields: Fields
) -> Document | Reject:
    text = fields.get(options.text_field)
    if isinstance(text, (bytes, bytearray)):
        # Some programs write strings without saying that they are.
        try:
            text = text.decode("utf-8")
        except UnicodeError as error:
            beginning = text[:1000].decode("utf-8", "replace")
            return Refusal("bad_encoding", in_words(error), beginning).at(part.path, position)
    if isinstance(text, Unreadable):
        return Refusal(text.reason, text.detail).at(part.path, position)
    if not isinstance(text, str):
        return Refusal("no_text", _no_text(options, fields)).at(part.path, position)
    # A character has at least one byte; ingest counts the bytes exactly.
    if len(text) > MAX_DOCUMENT_BYTES:
        return _too_large(part, position)

    extra: dict[str, object] = {}
    own_id = _given(fields, options.id_field)
    if own_id is not None:
        extra["id"] = own_id if isinstance(own_id, (str, int)) else str(own_id)
    return Document(
        path=part.path,
        position=position,
        text=text,
        url=_string(fields, options.url_field),
        title=_string(fields, options.title_field),
        date=_date(fields, options.date_field),
        language=_language(fields, options.language_field),
        extra=extra,
    )


def _no_text(options: FilesOptions, fields: Fields) -> str:
    """Why a row has no text: its field is missing, or holds something else."""
    name = options.text_field
    if name in fields:
        return f"field {name!r} holds {type_name(fields[name])}, not text"
    return f"no text in field {name!r}; fields: {', '.join(map(str, fields))}"[:200]


def _given(fields: Fields, name: str | None) -> object:
    """The value of a field; None for one that is missing or cannot be read."""
    value = fields.get(name) if name else None
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "replace")
    return None if isinstance(value, Unreadable) else value


def _string(fields: Fields, name: str | None) -> str | None:
    value = _given(fields, name)
    return None if value is None else str(value)


def _language(fields: Fields, name: str | None) -> str | None:
    value = _string(fields, name)
    return language_code(value) if value else None


def _date(fields: Fields, name: str | None) -> datetime.date | None:
    # `fromisoformat` accepts other forms on some versions of Python.
    match = _DATE.match(_string(fields, name) or "")
    try:
        return datetime.date(int(match[1]), int(match[2]), int(match[3])) if match else None
    except ValueError:
        return None


def _parquet(options: FilesOptions, part: Part, compression: str) -> Iterator[Document | Reject]:
    if not compression:
        with files.open_input(part.address) as stream:
            yield from _parquet_rows(options, part, pq.ParquetFile(stream))
        return

    # Parquet is read from its end, so a compressed one is unpacked first.
    with tempfile.TemporaryFile() as spool:
        with open_inflated(part.address, compression) as inflated:
            shutil.copyfileobj(inflated, spool, 1 << 20)
        spool.seek(0)
        with pa.PythonFile(spool, mode="r") as stream:
            yield from _parquet_rows(options, part, pq.ParquetFile(stream))


def _parquet_rows(
    options: FilesOptions, part: Part, table: pq.ParquetFile
) -> Iterator[Document | Reject]:
    names = table.schema_arrow.names
    if options.text_field not in names:
        detail = f"no column {options.text_field!r}; columns: {', '.join(names)}"
        yield Refusal("no_text", detail[:200]).at(part.path, 0)
        return

    wanted = (
        options.text_field,
        options.id_field,
        options.url_field,
        options.title_field,
        options.date_field,
        options.language_field,
    )
    columns = [name for name in wanted if name and name in names]
    groups = range(table.num_row_groups)
    sizes = [_stored_bytes(table.metadata.row_group(index)) for index in groups]
    edges = [0, *itertools.accumulate(sizes)]
    first_row = 0  # of the row group
    for index in range(table.num_row_groups):
        rows = table.metadata.row_group(index).num_rows
        # A row group belongs to the part in which it begins.
        if first_row >= part.start and (part.stop is None or first_row < part.stop):
            position = first_row
            for batch in table.iter_batches(_BATCH_ROWS, row_groups=[index], columns=columns):
                done = (position - first_row) / rows
                reached.tell(part.address, edges[index] + int(done * sizes[index]))
                for fields in plain_rows(batch):
                    yield _field_record(options, part, position, fields)
                    position += 1
        first_row += rows


def _stored_bytes(row_group: pq.RowGroupMetaData) -> int:
    """The bytes of a row group in its file."""
    columns = [row_group.column(index) for index in range(row_group.num_columns)]
    return sum(column.total_compressed_size for column in columns)
