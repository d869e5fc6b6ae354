"""Rows of CSV, JSON and Arrow files as fields by name."""

import csv
import io
import json
from collections import deque
from collections.abc import Iterator
from typing import IO

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.document import MAX_DOCUMENT_BYTES, Refusal
from corpora.inputs.complaints import in_words

BATCH_ROWS = 64
"""Rows that are in memory at once: each may be a large document."""

Fields = dict[str, object]
"""A JSON object or a row of a table."""

SEPARATORS = {".csv": ",", ".tsv": "\t"}

_BLOCK = 1 << 16
"""Characters of JSON that are read at once."""

_SHOWN = 500
"""Characters of a bad row that are kept with its reason."""


def field_of(fields: Fields, name: str | None) -> object:
    """The value of a field; `meta.url` also means the field `url` of the object `meta`."""
    if not name:
        return None
    if name in fields:
        return fields[name]
    value: object = fields
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def csv_rows(stream: IO[bytes], form: str, encoding: str) -> Iterator[tuple[int, Fields | Refusal]]:
    """(number, fields) of the rows of a table whose first row names the columns.

    A row with an open quotation mark, or with more or fewer values than there are names, costs
    itself: of an open one that took in the lines behind it these are read again.
    """
    csv.field_size_limit(MAX_DOCUMENT_BYTES)
    lines = Lines(io.TextIOWrapper(stream, encoding, newline=""))
    names: list[str] | None = None
    number = 0
    while True:
        lines.begin_row()
        try:
            row = next(csv.reader(lines, delimiter=SEPARATORS[form], strict=True), None)
        except UnicodeError as error:
            yield number, Refusal("bad_encoding", in_words(error))
            return
        except csv.Error as error:
            yield number, Refusal("bad_row", in_words(error), lines.read[0][:_SHOWN])
            number += 1
            lines.read_again_but_the_first()
            continue
        if row is None:
            return

        if names is None:
            names = row
            twice = [name for name in names if name and names.count(name) > 1]
            if twice:
                yield number, Refusal("unknown_format", f"two columns are named {twice[0]}")
                return
        elif row and len(row) != len(names):
            values = "1 value" if len(row) == 1 else f"{len(row)} values"
            why = f"{values}, {len(names)} columns"
            yield number, Refusal("bad_row", why, lines.read[0][:_SHOWN])
            number += 1
        elif row:
            yield number, dict(zip(names, row))
            number += 1


class Lines:
    """The lines of a text, some of which may be read again; without a byte order mark."""

    def __init__(self, text: IO[str]) -> None:
        self.text = text
        self.read: list[str] = []
        self._waiting: deque[str] = deque()
        self._is_first = True

    def begin_row(self) -> None:
        """Forget the lines of the last row."""
        self.read.clear()

    def read_again_but_the_first(self) -> None:
        """Give the other lines of this row again."""
        self._waiting.extendleft(reversed(self.read[1:]))

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        line = self._waiting.popleft() if self._waiting else next(self.text)
        if self._is_first:
            line = line.removeprefix("\ufeff")
            self._is_first = False
        self.read.append(line)
        return line


def json_values(stream: IO[bytes], encoding: str) -> Iterator[tuple[int, Fields | Refusal]]:
    """(number, fields) of the objects of a JSON array, or of objects one after the other, on as
    many lines as they like. Memory is that of one object."""
    decoder = json.JSONDecoder()
    text = io.TextIOWrapper(stream, encoding)
    held = text.read(_BLOCK).removeprefix("\ufeff").lstrip()
    is_array = held.startswith("[")
    held = held[is_array:]
    number = 0
    while True:
        held = held.lstrip(" \t\r\n,")
        if is_array and held.startswith("]"):
            return
        try:
            value, end = decoder.raw_decode(held) if held else (None, 0)
        except RecursionError as error:
            yield number, Refusal("bad_json", in_words(error), held[:1000])
            return
        except ValueError as error:
            end, problem = 0, in_words(error)

        # A number at the end of what is held may go on; an object that is whole cannot.
        if not end:
            block = text.read(max(_BLOCK, len(held)))
            if not block:
                if held:
                    yield number, Refusal("bad_json", problem, held[:1000])
                return
            if len(held) + len(block) > 2 * MAX_DOCUMENT_BYTES:
                yield number, Refusal("too_large", f"over {MAX_DOCUMENT_BYTES} bytes")
                return
            held += block
            continue

        if isinstance(value, dict):
            yield number, value
        else:
            yield number, Refusal("bad_json", "not an object", held[: min(end, 1000)])
        number += 1
        held = held[end:]


def is_one_json_per_line(line: bytes) -> bool:
    """Whether the first line of a file is an object of its own."""
    try:
        return isinstance(json.loads(line.removeprefix(b"\xef\xbb\xbf")), dict)
    except (ValueError, RecursionError):
        return False


def columns_of(schema: pa.Schema, wanted: list[str]) -> list[str]:
    """Those of the wanted fields that a table has; a nested one by the path of its parts."""
    found = []
    for name in wanted:
        top = name.split(".")[0]
        if name in schema.names or (top in schema.names and pa.types.is_nested(_type(schema, top))):
            found.append(name)
    return list(dict.fromkeys(found))


def _type(schema: pa.Schema, name: str) -> pa.DataType:
    return schema.field(name).type


def arrow_batches(file: pa.NativeFile) -> Iterator[tuple[pa.Schema, Iterator[pa.RecordBatch]]]:
    """The schema and the batches of an Arrow file, or of a stream as `datasets` writes it."""
    try:
        reader = pa.ipc.open_file(file)
    except pa.ArrowInvalid:
        file.seek(0)
        stream = pa.ipc.open_stream(file)
        yield stream.schema, iter(stream)
        return
    yield reader.schema, (reader.get_batch(index) for index in range(reader.num_record_batches))


def open_table(stream: pa.NativeFile) -> pq.ParquetFile:
    """A Parquet file that is read page by page: a row group may be larger than memory."""
    return pq.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False)
