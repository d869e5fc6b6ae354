"""What decoders and parsers say of bad bytes, in words for the detail of a reject."""

import gzip
import json
import lzma
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

_PARTS = {
    "magic bytes": "not a Parquet file, or one that is cut: its footer is missing",
    "Parquet": "not a valid Parquet file",
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
    if isinstance(error, (OSError, pa.ArrowException, gzip.BadGzipFile)):
        return next((_PARTS[part] for part in _PARTS if part in said), said[:200])
    if "integer string conversion" in said:
        return "a number has too many digits"
    return said[:200]
