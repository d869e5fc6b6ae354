"""What is said of damaged bytes: words of our own, for what the readers of each format raise."""

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora.inputs.complaints import in_words

TEXT = b"some text of a file, and more of it\n" * 200


def zipped(content: bytes = TEXT) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("a.txt", content)
    return held.getvalue()


def unzip(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.read("a.txt")


def parquet() -> bytes:
    held = io.BytesIO()
    pq.write_table(pa.table({"text": ["a b c d"] * 1000}), held)
    return held.getvalue()


def arrow() -> bytes:
    held = io.BytesIO()
    table = pa.table({"text": ["hello"] * 500})
    with pa.ipc.new_file(held, table.schema) as writer:
        writer.write_table(table)
    return held.getvalue()


def changed(content: bytes, at: int, count: int = 1) -> bytes:
    flipped = bytes(byte ^ 0x5A for byte in content[at : at + count])
    return content[:at] + flipped + content[at + count :]


def read_parquet(content: bytes) -> None:
    pq.read_table(io.BytesIO(content))


def read_arrow(content: bytes) -> None:
    pa.ipc.open_file(pa.py_buffer(content)).read_all()


def read_table(content: bytes) -> None:
    list(csv.reader(io.StringIO(content.decode()), strict=True))


CASES: list[tuple[Callable[[bytes], object], bytes, str]] = [
    (gzip.decompress, gzip.compress(TEXT)[:-9], "the file ends before its data does"),
    (gzip.decompress, changed(gzip.compress(TEXT), -6), "its checksum is wrong"),
    (gzip.decompress, TEXT, "not compressed as its name says: it begins with other bytes"),
    (bz2.decompress, TEXT, "the compressed data is not valid"),
    (lzma.decompress, TEXT, "the compressed data is not valid (input format not supported"),
    (unzip, TEXT, "not a ZIP archive, or one that is cut: its list of files is missing"),
    (unzip, zipped()[:100], "not a ZIP archive, or one that is cut: its list of files is missing"),
    (unzip, changed(zipped(), 60), "the checksum of a file in the archive is wrong"),
    (unzip, changed(zipped(), 0), "the header of a file in the archive is damaged"),
    (read_parquet, TEXT, "not a Parquet file, or one that is cut: its footer is missing"),
    (read_parquet, parquet()[:-20], "not a Parquet file, or one that is cut"),
    (read_arrow, TEXT, "not an Arrow file, or one that is cut"),
    (read_arrow, arrow()[:-30], "not an Arrow file, or one that is cut"),
    (read_table, b'a,b\n"open,1\n', "a quotation mark is open to the end of the file"),
    (read_table, b'a,b\n"shut"x,1\n', "there is more after the closing quotation mark of a value"),
    (bytes.decode, b"caf\xe9 au lait", "not valid utf-8: the byte 0xe9 at 3"),
    (json.loads, b'{"a": }', "not valid JSON at character 7: a value is missing"),
    (json.loads, b"[" * 100_000, "lists or objects are nested too deeply"),
]


@pytest.mark.parametrize(("read", "content", "words"), CASES)
def test_what_is_said_of_bad_bytes(
    read: Callable[[bytes], object], content: bytes, words: str
) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        read(content)
    said = in_words(caught.value)
    assert said.startswith(words)
    assert not re.search(r"Error|Invalid|Exception|codec|object at 0x|\n", said)


@pytest.mark.parametrize("number", range(0, 60, 4))
def test_no_damage_is_told_in_the_names_of_classes(number: int, tmp_path: Path) -> None:
    """Wherever the bytes are changed, one line without Python's names."""
    for content, read in ((parquet(), read_parquet), (arrow(), read_arrow), (zipped(), unzip)):
        at = len(content) * number // 60
        try:
            read(changed(content, at, 12))
        except Exception as error:  # whatever a parser raises
            said = in_words(error)
            assert said and "\n" not in said and "Error" not in said and len(said) <= 200
