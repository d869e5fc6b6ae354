"""The source `files`: every format and compression, damage, limits, and the same records for any
slicing."""

import bz2
import gzip
import json
import lzma
import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.document import Document, Part, Reject
from corpora.files import source as files_source
from corpora.files.source import FilesOptions, read, slices
from corpora.inputs.find import find, group, kind_of
from pipelines.recipe import parse_recipe

TEXTS = [f"Text number {number} – ünïcode" for number in range(300)]
LINES = b"".join(
    json.dumps({"text": text, "key": number}, ensure_ascii=False).encode() + b"\n"
    for number, text in enumerate(TEXTS)
)
COMPRESS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: pa.compress(data, "zstd", asbytes=True),
}


def records(folder: Path, **options: Any) -> list[Document | Reject]:
    settings = FilesOptions(input=(str(folder),), **options)
    return [record for piece in slices(settings) for record in read(settings, piece)]


def outcome(found: list[Document | Reject]) -> Counter[str]:
    return Counter(
        "document" if isinstance(record, Document) else record.reason for record in found
    )


def test_one_file_has_one_name_however_it_is_spelled(tmp_path: Path) -> None:
    """Else its documents would count twice, and their ids would depend on where the recipe lies."""
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.jsonl").write_bytes(LINES)
    spellings = [
        "a.jsonl",
        "./a.jsonl",
        "deep/../a.jsonl",
        "deep/.././*.jsonl",
        str(tmp_path / "deep" / ".." / "a.jsonl"),
    ]
    recipe = parse_recipe(
        f"[sources.a]\nkind = 'files'\ninput = {spellings}\n", "recipe", str(tmp_path)
    )
    assert [part.path for part in find(recipe.sources["a"].input)] == ["a.jsonl"]
    above = parse_recipe(
        "[sources.a]\nkind = 'files'\ninput = '../a.jsonl'\n", "recipe", str(tmp_path / "deep")
    )
    assert above.sources["a"].input == (str(tmp_path / "a.jsonl"),)


@pytest.mark.parametrize("compression", COMPRESS)
def test_every_format_plain_and_compressed(compression: str, tmp_path: Path) -> None:
    table = tmp_path / "table"
    pq.write_table(pa.table({"text": TEXTS, "key": range(300)}), table, row_group_size=70)
    for name, content in {
        "a.jsonl": LINES,
        "b.parquet": table.read_bytes(),
        "c.txt": "\n".join(TEXTS).encode(),
    }.items():
        (tmp_path / "in" / (name + compression)).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / (name + compression)).write_bytes(COMPRESS[compression](content))
    found = records(tmp_path / "in", id_field="key")
    assert outcome(found) == {"document": 601}
    documents = [record for record in found if isinstance(record, Document)]
    assert [record.text for record in documents] == [*TEXTS, *TEXTS, "\n".join(TEXTS)]
    assert [record.extra for record in documents[:600]] == [
        {"id": number} for number in [*range(300), *range(300)]
    ]
    offsets = [0, *(position + 1 for position, byte in enumerate(LINES) if byte == 10)][:300]
    assert [record.position for record in documents] == [*offsets, *range(300), 0]


@pytest.mark.parametrize("compression", [name for name in COMPRESS if name])
def test_a_cut_file_gives_what_was_there(compression: str, tmp_path: Path) -> None:
    many = LINES * 40
    content = COMPRESS[compression](many)
    (tmp_path / f"a.jsonl{compression}").write_bytes(content[: len(content) * 9 // 10])
    (tmp_path / "b.jsonl").write_bytes(LINES)
    found = records(tmp_path)
    first = [record for record in found if record.path != "b.jsonl"]
    assert isinstance(first[-1], Reject) and first[-1].reason == "truncated"
    assert len(found) - len(first) == 300
    if compression in (".gz", ".xz"):  # the blocks of the other two hold all of these lines
        assert len(first) > 1000
    texts = [record.text for record in first[:-1]]
    assert texts == (TEXTS * 40)[: len(texts)]


@pytest.mark.parametrize(
    "name",
    [
        "a.jsonl.gz",
        "a.jsonl.bz2",
        "a.jsonl.xz",
        "a.jsonl.zst",
        "a.parquet",
        "a.parquet.gz",
        "a.txt.gz",
    ],
)
def test_noise_is_one_reject_and_the_next_file_is_read(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(bytes(range(1, 250)) * 20)
    (tmp_path / "b.txt").write_text("fine")
    found = records(tmp_path)
    assert outcome(found) == {"damaged": 1, "document": 1}
    assert isinstance(found[0], Reject) and found[0].detail


@pytest.mark.parametrize("document", [None, "line", "blank-line"])
def test_a_pdf_named_as_text_is_no_document(document: str | None, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"%PDF-1.4 1 0 obj <</Type/Catalog>> endobj xref")
    (tmp_path / "b.txt").write_text("Every such file begins with\n%PDF-1.4")
    found = records(tmp_path, document=document)
    assert found[0].reason == "binary"  # type: ignore[union-attr]
    assert {type(record) for record in found[1:]} == {Document}


@pytest.mark.parametrize("form", ["txt", "jsonl", "json", "csv", "tsv", "html"])
def test_an_empty_file_is_one_reject(form: str, tmp_path: Path) -> None:
    """Often what a broken download leaves."""
    (tmp_path / f"a.{form}").write_bytes(b"")
    assert outcome(records(tmp_path)) == {"empty": 1}


def test_lines_that_are_no_documents(tmp_path: Path) -> None:
    lines = [
        b'{"text": "good"}',
        b'{"text": "cut',
        b'{"body": "x"}',
        b'{"text": 3}',
        b"[1]",
        b"",
        b'{"text": "\xff"}',
        b"[" * 100_000,
        b'{"n": ' + b"9" * 5000 + b"}",
        b'{"text": "last"}',
    ]
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines))
    assert outcome(records(tmp_path)) == {
        "document": 2,
        "bad_json": 4,
        "no_text": 2,
        "bad_encoding": 1,
    }


def test_text_by_file_line_and_paragraph(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\n\n\n  \nthree\nfour")
    assert [(record.position, record.text) for record in records(tmp_path)] == [
        (0, "one\r\ntwo\n\n\n  \nthree\nfour")
    ]  # type: ignore[union-attr]
    assert [(record.position, record.text) for record in records(tmp_path, document="line")] == [
        (0, "one\r"),
        (5, "two"),
        (14, "three"),
        (20, "four"),
    ]  # type: ignore[union-attr]
    assert [
        (record.position, record.text) for record in records(tmp_path, document="blank-line")
    ] == [(0, "one\r\ntwo"), (14, "three\nfour")]  # type: ignore[union-attr]


@pytest.mark.parametrize("document", [None, "line", "blank-line"])
def test_too_large_is_a_reject_and_the_next_is_read(
    document: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_source, "MAX_DOCUMENT_BYTES", 1000)
    (tmp_path / "a.txt").write_bytes(
        b"x" * 1000
        if document is None
        else b"first\n\n"
        + b"y" * 1001
        + b"\nmore\n\n"
        + b"x" * 1000
        + b"\n\n"
        + b"z" * 5000
        + b"\n"
        + b"z" * 5000
    )
    (tmp_path / "b.txt").write_bytes(b"x" * 1001)
    found = records(tmp_path, document=document)
    expected = {
        None: {"document": 1, "too_large": 1},
        "line": {"document": 3, "too_large": 4},
        "blank-line": {"document": 2, "too_large": 3},
    }
    assert outcome(found) == expected[document]


def test_a_bomb_costs_no_memory(tmp_path: Path) -> None:
    import tracemalloc

    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(bytes(200_000_000), 1))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(bytes(100_000_000) + b"\n" + LINES, 1))
    tracemalloc.start()
    assert outcome(records(tmp_path)) == {"too_large": 2, "document": 300}
    assert (
        tracemalloc.get_traced_memory()[1] < 120_000_000
    )  # two limits of 50 MB, while a buffer grows
    tracemalloc.stop()


def test_unknown_and_unreadable_files_are_counted(tmp_path: Path) -> None:
    (tmp_path / "a.doc").write_text("x")
    (tmp_path / "b.txt").write_text("fine")
    (tmp_path / "no_ending").write_text("x")
    assert outcome(records(tmp_path)) == {"unknown_format": 2, "document": 1}
    gone = Part(address=str(tmp_path / "gone.txt"), path="gone.txt", size=1)
    assert outcome(list(files_source.read_part(FilesOptions(input=("x",)), gone))) == {
        "unreadable": 1
    }


@settings(max_examples=30)
@given(slice_bytes=st.integers(1, 20_000), document=st.sampled_from(["line", "blank-line"]))
@pytest.mark.builds
def test_no_record_depends_on_the_slicing(
    slice_bytes: int, document: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "slicing"
    if not folder.exists():
        folder.mkdir()
        (folder / "a.jsonl").write_bytes(LINES)
        (folder / "b.txt").write_bytes(b"\n".join(b"word " * (number % 7) for number in range(500)))
        pq.write_table(pa.table({"text": TEXTS}), folder / "c.parquet", row_group_size=37)
        for number in range(20):
            (folder / f"d{number}.txt").write_text(f"small {number}")
    whole = records(folder, document=document, slice_bytes=10**9)
    assert records(folder, document=document, slice_bytes=slice_bytes) == whole


def test_a_new_file_changes_one_group() -> None:
    parts = [Part(address="", path=f"{number:05d}.txt", size=1000) for number in range(2000)]
    before = {piece.name for piece in group(parts, 50_000)}
    after = {
        piece.name
        for piece in group(
            sorted(
                [*parts, Part(address="", path="01000x.txt", size=1000)], key=lambda part: part.path
            ),
            50_000,
        )
    }
    assert len(before) > 20
    assert len(before - after) == 1 and 1 <= len(after - before) <= 2


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", (".txt", "")),
        ("a.b.JSONL.GZ", (".jsonl", ".gz")),
        ("a.gz", ("", ".gz")),
        ("a", ("", "")),
        ("a.tar.xz", (".tar", ".xz")),
    ],
)
def test_kinds(name: str, kind: tuple[str, str]) -> None:
    assert kind_of(name) == kind


@pytest.mark.parametrize(
    "options",
    [
        {"encoding": "utf-17"},
        {"encoding": "utf-16", "document": "line"},
        {"input": ()},
        {"slice_bytes": 0},
    ],
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        FilesOptions(**{"input": ("x",), **options})


def test_other_encodings(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("naïve".encode("latin-1"))
    assert outcome(records(tmp_path)) == {"bad_encoding": 1}
    assert [record.text for record in records(tmp_path, encoding="latin-1")] == ["naïve"]


@pytest.mark.parametrize("compression", [".gz", ".xz"])
def test_a_cut_text_is_a_reject_that_says_so(compression: str, tmp_path: Path) -> None:
    """A document is the whole file: half a text would pass for all of it."""
    draw = random.Random(1)
    text = "".join(f"Line {n}: {draw.random()} and {draw.random()}\n" for n in range(20_000))
    content = COMPRESS[compression](text.encode())
    (tmp_path / f"a.txt{compression}").write_bytes(content[: len(content) * 9 // 10])
    (found,) = records(tmp_path)
    assert isinstance(found, Reject) and found.reason == "truncated"
    assert found.detail == (
        "the file ends before its data does; a document is a whole file, so that no part of it is "
        "kept"
    )
    assert found.text.startswith("Line 0: ") and len(found.text) == 1000

    by_line = records(tmp_path, document="line")
    assert len(by_line) > 10_000 and isinstance(by_line[-1], Reject)


def test_a_name_in_another_encoding_is_read(tmp_path: Path) -> None:
    for name in (b"caf\xe9.txt", b"na\xefve.jsonl", b"\xff.parquet", b"\xe4.txt.gz"):
        path = os.path.join(os.fsencode(tmp_path), name)
        with open(path, "wb") as stream:
            if name.endswith(b".jsonl"):
                stream.write(b'{"text": "line"}\n')
            elif name.endswith(b".parquet"):
                pq.write_table(pa.table({"text": ["row"]}), stream)
            else:
                stream.write(gzip.compress(b"text") if name.endswith(b".gz") else b"text")
    found = records(tmp_path)
    assert sorted(record.text for record in found) == ["line", "row", "text", "text"]
    assert {os.fsencode(record.path) for record in found} == set(os.listdir(os.fsencode(tmp_path)))


DETAILS = {
    b'{"text": "cut': "not valid JSON at character 10: a string does not end",
    b'{"text": "a" "b": 1}': "not valid JSON at character 14: a comma is missing",
    b"{'text': 1}": "not valid JSON at character 2: a key must be in double quotes",
    b'{"text": "a"': "not valid JSON at character 13: it ends too early",
    b'{"text": ': "not valid JSON at character 10: it ends too early",
    b'{"text": }': "not valid JSON at character 10: a value is missing",
    b'{"text": "a"} {}': (
        "not valid JSON at character 15: there is more after the end of the value"
    ),
    b'{"text": "a\tb"}': (
        "not valid JSON at character 12: a control character, such as a tab, in a string"
    ),
    b'{"text": "\xff"}': "not valid utf-8: the byte 0xff at 10",
    b'{"n": ' + b"9" * 5000 + b"}": "a number has too many digits",
    b"[" * 100_000: "lists or objects are nested too deeply",
    b"[1]": "not an object",
}


def test_details_are_words(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(DETAILS))
    found = records(tmp_path)
    assert [getattr(record, "detail", "") for record in found] == list(DETAILS.values())


@pytest.mark.parametrize(
    ("name", "content", "detail"),
    [
        (
            "a.jsonl.gz",
            b"plain text",
            "not compressed as its name says: it begins with other bytes",
        ),
        ("a.jsonl.bz2", b"plain text", "the compressed data is not valid"),
        ("a.parquet", b"plain text of some length", "not a Parquet file, or one that is cut"),
        ("a.txt", b"caf\xe9", "not valid utf-8: the byte 0xe9 at 3"),
    ],
)
def test_what_is_not_what_its_name_says(
    name: str, content: bytes, detail: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    (found,) = records(tmp_path)
    assert isinstance(found, Reject) and found.detail.startswith(detail)
