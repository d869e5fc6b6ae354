"""What decoders and parsers say of bad bytes, in words for the detail of a reject."""

import csv
import json
import lzma
import re
import zipfile
import zlib

import pyarrow as pa

_JSON = {
    "Expecting value": "a value is missing",
    "Expecting ',' delimiter": "a comma is missing",
    "Expecting ':' delimiter": "a colon is missing",
    "Expecting property name enclosed in double quotes": "a key must be in double quotes",
    "Illegal trailing comma before end of object": "a comma before the end of the object",
    "Illegal trailing comma before end of array": "a comma before the end of the list",
    "Unterminated string starting at": "a string does not end",
    "Invalid control character at": "a control character, such as a tab, in a string",
    "Invalid \\escape": "an escape that JSON does not have",
    "Invalid \\uXXXX escape": "an escape \\u without four hex digits",
    "Extra data": "there is more after the end of the value",
}
"""Words for the messages of Python's parser."""

_CSV = {
    "unexpected end of data": "a quotation mark is open to the end of the file",
    "expected after": "there is more after the closing quotation mark of a value",
    "field limit": "a value is too long",
    "line contains NUL": "a zero byte in a line",
    "new-line character": "a line end inside a value without quotation marks",
}
"""Words for the messages of Python's reader of tables."""

_ZIP = {
    "not a zip file": "not a ZIP archive, or one that is cut: its list of files is missing",
    "Bad CRC-32": "the checksum of a file in the archive is wrong",
    "Bad magic number": "the header of a file in the archive is damaged",
    "File name in directory": "the names of a file in the archive differ",
    "compression": "a file in the archive is compressed in a way that cannot be read",
    "password": "a file in the archive is encrypted",
    "encrypt": "a file in the archive is encrypted",
}
"""Words for the messages of Python's reader of ZIP archives."""

_PARTS = {
    "magic bytes": "not a Parquet file, or one that is cut: its footer is missing",
    "Parquet": "not a valid Parquet file",
    "thrift": "the Parquet file is damaged",
    "BYTE_ARRAY": "a column of the Parquet file is damaged",
    "metadata bytes": "not an Arrow file, or one that is cut",
    "Not an Arrow file": "not an Arrow file, or one that is cut",
    "flatbuffers": "the Arrow file is damaged",
    "Truncated": "the file ends before its data does",
    "CRC check": "its checksum is wrong",
    "Not a gzipped file": "not compressed as its name says: it begins with other bytes",
    "Invalid data stream": "the compressed data is not valid",
    "Unknown frame descriptor": "not compressed as its name says: it begins with other bytes",
    "ZSTD": "the compressed data is not valid",
}
"""Words for messages that contain these parts; the first that fits counts."""


def in_words(error: BaseException) -> str:
    """What is wrong with the bytes that made a decoder or a parser raise `error`."""
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return f"not valid {error.encoding}: the byte 0x{byte:02x} at {error.start:,}"
    if isinstance(error, UnicodeError):
        return f"not valid in this encoding: {error}"[:200]
    if isinstance(error, json.JSONDecodeError):
        what = next((_JSON[said] for said in _JSON if error.msg.startswith(said)), "not JSON")
        if error.pos >= len(error.doc.rstrip()):
            what = "it ends too early"
        return f"not valid JSON at character {error.pos + 1:,}: {what}"
    if isinstance(error, RecursionError):
        return "lists or objects are nested too deeply"
    if isinstance(error, EOFError):
        return "the file ends before its data does"

    said = str(error)
    if isinstance(error, (zlib.error, lzma.LZMAError)):
        # zlib says "Error -3 while decompressing data: invalid block type".
        reason = said.rpartition(": ")[2]
        return f"the compressed data is not valid ({reason[:1].lower()}{reason[1:]})"[:200]
    if isinstance(error, csv.Error):
        return _first_that_fits(_CSV, said) or f"not a row of a table ({said})"[:200]
    if isinstance(error, (zipfile.BadZipFile, NotImplementedError, RuntimeError)):
        return _first_that_fits(_ZIP, said) or f"the archive is damaged ({said})"[:200]
    if isinstance(error, (OSError, pa.ArrowException)):
        known = _first_that_fits(_PARTS, said) or getattr(error, "strerror", None)
        return known or f"the file is damaged ({_one_line(said)})"[:200]
    if "integer string conversion" in said:
        return "a number has too many digits"
    return said[:200]


def _first_that_fits(words: dict[str, str], said: str) -> str:
    """The words of the first part that a message holds; empty for none."""
    return next((words[part] for part in words if part in said), "")


def _one_line(said: str) -> str:
    """A message without its further lines, which tell of the library's own code."""
    return re.sub(r"\s+", " ", said.partition("\n")[0]).rstrip(". ")
