"""The source `files`: your own texts, tables, JSON and web pages, plain or as .gz, .zst, .xz, .bz2.

A document is a file, a line, a paragraph or a row; of a web page its main text. Its position is its
offset in bytes in the inflated file, or its row number in a table or in a JSON array. Memory is
that of one document (`MAX_DOCUMENT_BYTES`), whatever the size of the file: a longer line is skipped
as the reject
`too_large` and the next one is read. A damaged file gives its records up to the damage, and one
reject.
"""

import hashlib
import io
import itertools
import json
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
from corpora.files.tables import (
    BATCH_ROWS,
    SEPARATORS,
    Fields,
    arrow_batches,
    columns_of,
    csv_rows,
    field_of,
    is_one_json_per_line,
    json_values,
    open_table,
)
from corpora.guard import shared_guard
from corpora.inputs.complaints import in_words
from corpora.inputs.find import find, group, kind_of
from corpora.inputs.streams import DAMAGE, open_inflated, read_lines, what_broke
from corpora.text.dates import parse_date, parse_moment
from corpora.text.language import ANY, known_languages, language_or_none
from corpora.text.language_codes import UNKNOWN, language_code, same_language
from corpora.web.page import (
    EXTRACTOR,
    MAX_PAGE_BYTES,
    MIN_CHARACTERS,
    PAGE_PACKAGES,
    Extraction,
    Page,
    PageSettings,
)
from shards.config import setting
from shards.storage import files, reached

FORMATS = (
    ".txt",
    ".md",
    ".jsonl",
    ".ndjson",
    ".json",
    ".csv",
    ".tsv",
    ".parquet",
    ".arrow",
    ".html",
    ".htm",
)

LINES = (".jsonl", ".ndjson")
"""Formats of one JSON object per line."""

FormatName = Literal["txt", "md", "jsonl", "json", "csv", "tsv", "parquet", "arrow", "html"]

NOT_UNDERSTOOD = "date_not_understood"
"""The mark of a document whose date or crawl time is written in no way that is read."""


@dataclass(frozen=True, kw_only=True)
class FilesOptions(SourceOptions):
    """Your own texts: .txt, .md, .jsonl, .json, .csv, .tsv, .parquet, .arrow, .html, plain or
    compressed."""

    kind: str = setting("files", affects="ingest")
    """files."""
    format: FormatName | None = setting(None, affects="ingest", later=True)
    """Read all files as this format, whatever their names end with. Compression is still told by
    the name: .gz, .zst, .xz or .bz2."""
    text_field: str = setting("text", affects="ingest")
    """The JSON key or the column that holds the text. In all names of fields, meta.url means the
    key url of the object meta."""
    id_field: str | None = setting(None, affects="ingest")
    """A key or column with your own id, which is stored in extra.id; `corpus why` finds it."""
    url_field: str | None = setting(None, affects="ingest")
    """A key or column with the address of the text."""
    title_field: str | None = setting(None, affects="ingest")
    """A key or column with the title of the text."""
    date_field: str | None = setting(None, affects="ingest")
    """A key or column with the date of the text, such as 2019-04-25, 20190425, 2019/4/25, 25 Apr
    2019 or seconds since 1970. Other dates are unknown, and are counted as date_not_understood."""
    crawled_field: str | None = setting(None, affects="ingest", later=True)
    """A key or column with the moment at which the text was crawled, in UTC where no zone is
    given."""
    extra_field: str | None = setting(None, affects="ingest", later=True)
    """A key or column with an object, or with its JSON, whose members are stored in extra: for
    exports that are built again."""
    language_field: str | None = setting(None, affects="ingest")
    """A key or column with the language of the text (en, eng, en-GB or English), which is believed:
    nothing is detected where it is set."""
    document: Literal["file", "line", "blank-line"] | None = setting(None, affects="ingest")
    """What one document is in .txt and .md: the whole file (the default), each line, or each text
    between blank lines. In .jsonl always each line."""
    encoding: str = setting("utf-8", affects="ingest")
    """The encoding of .txt, .md, .json, .jsonl, .csv and .tsv; text that is not valid in it is
    rejected as `bad_encoding`."""
    min_characters: int = setting(MIN_CHARACTERS, affects="ingest")
    """Reject .html pages with less text, as `too_short`."""
    extraction: Extraction = setting("cascade", affects="ingest")
    """How the text of .html is found: cascade, fast or default, as for cc_news."""
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
    return Source(options=FilesOptions, slices=slices, read=read, version=6, packages=PAGE_PACKAGES)


def slices(options: FilesOptions) -> Iterator[Slice]:
    """Files ordered by path; small ones are grouped, large ones are cut if their format allows
    it."""
    parts: list[Part] = []
    for part in find(options.input):
        parts += cut(options, part)
    return group(parts, options.slice_bytes)


def cut(options: FilesOptions, part: Part) -> Iterator[Part]:
    """A large plain file in parts, by lines or by row groups; any other file whole."""
    form, compression = form_of(options, part)
    by_lines = form in LINES or (form in (".txt", ".md") and options.document == "line")
    if part.size <= options.slice_bytes or compression:
        yield part
    elif by_lines:
        yield from part.ranges(options.slice_bytes)
    elif form == ".parquet":
        yield from _row_ranges(options, part)
    else:
        yield part


def form_of(options: FilesOptions, part: Part) -> tuple[str, str]:
    """(format, compression) of a file, by its name or by what the recipe says."""
    form, compression = kind_of(part.path)
    return (f".{options.format}" if options.format else form), compression


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
        yield Refusal("unreadable", f"a library refused it ({in_words(error)})"[:200]).at(
            part.path, position
        )


def _in_language(options: FilesOptions, record: Document | Reject) -> Document | Reject:
    """The record, or a reject for a document that is in another language than the wanted one."""
    wanted = options.language
    if isinstance(record, Reject) or wanted == ANY or record.language == wanted:
        return record

    # Of a page langdetect has told the language, of other texts a field of the user's.
    found = record.language or language_or_none(record.text, wanted)
    if found is None:
        return replace(record, language=UNKNOWN)
    if same_language(found, wanted):
        return record
    return Refusal("language", found, record.text[:1000]).at(
        record.path, record.position, record.url
    )


def _records(options: FilesOptions, part: Part) -> Iterator[Document | Reject]:
    form, compression = form_of(options, part)
    if form not in FORMATS:
        yield Refusal("unknown_format", f"not {', '.join(FORMATS)}").at(part.path, 0)
    elif form in (".parquet", ".arrow"):
        yield from _table(options, part, form, compression)
    elif form in (*LINES, ".json") and "\n".encode(options.encoding) != b"\n":
        detail = f"{options.encoding} cannot be read by lines; convert the file to utf-8"
        yield Refusal("bad_encoding", detail).at(part.path, 0)
    else:
        with open_inflated(part.address, compression) as stream:
            # The size of a file on a server may be unknown.
            if cast(io.BufferedReader, stream).peek(1):
                yield from _stream_records(options, part, stream, form)
            else:
                yield Refusal("empty", "a file of no bytes").at(part.path, 0)


def _stream_records(
    options: FilesOptions, part: Part, stream: IO[bytes], form: str
) -> Iterator[Document | Reject]:
    if form in (".html", ".htm"):
        yield _page(options, part, stream.read(MAX_PAGE_BYTES + 1))
    elif form in LINES or (form == ".json" and _has_lines(stream)):
        yield from _lines(options, part, stream, _json_record)
    elif form == ".json":
        yield from _numbered(options, part, json_values(stream, options.encoding))
    elif form in SEPARATORS:
        yield from _numbered(options, part, csv_rows(stream, form, options.encoding))
    elif options.document == "line":
        yield from _lines(options, part, stream, _text)
    elif options.document == "blank-line":
        yield from _paragraphs(options, part, stream)
    else:
        yield _whole_text(options, part, stream)


def _has_lines(stream: IO[bytes]) -> bool:
    """Whether a .json file holds one object per line, as C4 and others ship them; its beginning
    tells, which is not taken from the stream."""
    beginning = cast(io.BufferedReader, stream).peek(1 << 16)
    first, newline, _ = beginning.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")
    if newline or len(beginning) < 1 << 16:
        return is_one_json_per_line(first)
    # A first line longer than what is seen: an array, or a long document on its line.
    return first.startswith(b"{")


def _numbered(
    options: FilesOptions, part: Part, rows: Iterator[tuple[int, Fields | Refusal]]
) -> Iterator[Document | Reject]:
    for number, fields in rows:
        if isinstance(fields, Refusal):
            yield fields.at(part.path, number)
        else:
            yield _field_record(options, part, number, fields)


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
    if position == 0 and raw.startswith(b"%PDF-"):
        return Refusal("binary", "it begins as a PDF").at(part.path, position)
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
        language=options.language if is_known else ANY,
        min_characters=options.min_characters,
        extraction=options.extraction,
        ftfy=options.ftfy,
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
    text = field_of(fields, options.text_field)
    if isinstance(text, (bytes, bytearray)):
        raw = bytes(text)
        # Some programs write strings without saying that they are.
        try:
            text = raw.decode("utf-8")
        except UnicodeError as error:
            beginning = raw[:1000].decode("utf-8", "replace")
            return Refusal("bad_encoding", in_words(error), beginning).at(part.path, position)
    if isinstance(text, Unreadable):
        return Refusal(text.reason, text.detail).at(part.path, position)
    if not isinstance(text, str):
        return Refusal("no_text", _no_text(options, fields)).at(part.path, position)
    # A character has at least one byte; ingest counts the bytes exactly.
    if len(text) > MAX_DOCUMENT_BYTES:
        return _too_large(part, position)

    extra = _members(_given(fields, options.extra_field))
    own_id = _given(fields, options.id_field)
    if own_id is not None:
        extra["id"] = own_id if isinstance(own_id, (str, int)) else str(own_id)

    told_date = _given(fields, options.date_field)
    told_crawl = _given(fields, options.crawled_field)
    date = parse_date(told_date) if told_date else None
    crawled = parse_moment(told_crawl) if told_crawl else None
    is_strange = (bool(told_date) and date is None) or (bool(told_crawl) and crawled is None)
    return Document(
        path=part.path,
        position=position,
        text=text,
        url=_string(fields, options.url_field),
        title=_string(fields, options.title_field),
        date=date,
        language=_language(fields, options.language_field),
        crawled=crawled,
        extra=extra,
        marks=(NOT_UNDERSTOOD,) if is_strange else (),
    )


def _no_text(options: FilesOptions, fields: Fields) -> str:
    """Why a row has no text: its field is missing, or holds something else."""
    name = options.text_field
    held = field_of(fields, name)
    if held is not None or name in fields:
        return f"field {name!r} holds {type_name(held)}, not text"
    return f"no text in field {name!r}; fields: {', '.join(map(str, fields))}"[:200]


def _given(fields: Fields, name: str | None) -> object:
    """The value of a field; None for one that is missing or cannot be read."""
    value = field_of(fields, name)
    if isinstance(value, (bytes, bytearray)):
        return value.decode("utf-8", "replace")
    return None if isinstance(value, Unreadable) else value


def _members(value: object) -> dict[str, object]:
    """The members of an object, or of a text that is the JSON of one."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return dict(value) if isinstance(value, dict) else {}


def _string(fields: Fields, name: str | None) -> str | None:
    value = _given(fields, name)
    return None if value is None or value == "" else str(value)


def _language(fields: Fields, name: str | None) -> str | None:
    value = _string(fields, name)
    return language_code(value) if value else None


def _table(
    options: FilesOptions, part: Part, form: str, compression: str
) -> Iterator[Document | Reject]:
    read_rows = _parquet_rows if form == ".parquet" else _arrow_rows
    if not compression:
        with files.open_input(part.address) as stream:
            yield from read_rows(options, part, stream)
        return

    # Both are read from the end, so a compressed one is unpacked first.
    with tempfile.TemporaryFile() as spool:
        with open_inflated(part.address, compression) as inflated:
            shutil.copyfileobj(inflated, spool, 1 << 20)
        spool.seek(0)
        with pa.PythonFile(spool, mode="r") as stream:
            yield from read_rows(options, part, stream)


def _wanted_columns(options: FilesOptions, part: Part, schema: pa.Schema) -> list[str] | Reject:
    """The columns of a table that are read, or why there is no text in it."""
    wanted = (
        options.text_field,
        options.id_field,
        options.url_field,
        options.title_field,
        options.date_field,
        options.crawled_field,
        options.language_field,
        options.extra_field,
    )
    columns = columns_of(schema, [name for name in wanted if name])
    if options.text_field in columns:
        return columns
    detail = f"no column {options.text_field!r}; columns: {', '.join(schema.names)}"
    return Refusal("no_text", detail[:200]).at(part.path, 0)


def _arrow_rows(
    options: FilesOptions, part: Part, stream: pa.NativeFile
) -> Iterator[Document | Reject]:
    position = 0
    for schema, batches in arrow_batches(stream):
        columns = _wanted_columns(options, part, schema)
        if isinstance(columns, Reject):
            yield columns
            return
        tops = list(dict.fromkeys(_top(schema, name) for name in columns))
        for batch in batches:
            for begin in range(0, batch.num_rows, BATCH_ROWS):
                for fields in plain_rows(batch.slice(begin, BATCH_ROWS).select(tops)):
                    yield _field_record(options, part, position, fields)
                    position += 1


def _top(schema: pa.Schema, name: str) -> str:
    """The column that a field is in."""
    return name if name in schema.names else name.split(".")[0]


def _parquet_rows(
    options: FilesOptions, part: Part, stream: pa.NativeFile
) -> Iterator[Document | Reject]:
    table = open_table(stream)
    columns = _wanted_columns(options, part, table.schema_arrow)
    if isinstance(columns, Reject):
        yield columns
        return

    groups = range(table.num_row_groups)
    sizes = [_stored_bytes(table.metadata.row_group(index)) for index in groups]
    edges = [0, *itertools.accumulate(sizes)]
    first_row = 0  # of the row group
    for index in range(table.num_row_groups):
        rows = table.metadata.row_group(index).num_rows
        # A row group belongs to the part in which it begins.
        if first_row >= part.start and (part.stop is None or first_row < part.stop):
            position = first_row
            for batch in table.iter_batches(BATCH_ROWS, row_groups=[index], columns=columns):
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
