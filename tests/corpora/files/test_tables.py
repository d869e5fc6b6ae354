"""Tables, JSON of every form, Arrow, nested fields, long windows of zstd, and dates."""

import datetime
import gzip
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from corpora.document import Document, Reject
from corpora.files import source as files_source
from corpora.files import tables
from corpora.files.source import NOT_UNDERSTOOD, FilesOptions
from corpora.files.tables import csv_rows, field_of, json_values
from corpora.inputs import zstd
from corpora.text.dates import parse_date, parse_moment

ROWS = [
    {"text": f"Row {n}: é, “quoted”,\nsecond line", "meta": {"url": f"https://x/{n}"}, "n": n}
    for n in range(200)
]
TEXTS = [row["text"] for row in ROWS]


def records(folder: Path, **options: Any) -> list[Document | Reject]:
    chosen = FilesOptions(input=(str(folder / "*"),), **options)  # type: ignore[arg-type]
    found: list[Document | Reject] = []
    for piece in files_source.slices(chosen):
        found += files_source.read(chosen, piece)
    return found


LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.ndjson", LINES),
        ("a.json", LINES),
        ("a.json.gz", gzip.compress(LINES)),
        ("a.json", json.dumps(ROWS).encode()),
        ("b.json", b"\xef\xbb\xbf" + json.dumps(ROWS, indent=2).encode()),
        ("c.json", "\n".join(json.dumps(row, indent=1) for row in ROWS).encode()),
    ],
)
def test_json_of_every_form(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    found = records(tmp_path, url_field="meta.url", id_field="n")
    assert [record.text for record in found] == TEXTS
    assert [record.url for record in found] == [f"https://x/{n}" for n in range(200)]
    assert [record.extra["id"] for record in found if isinstance(record, Document)] == [*range(200)]


def test_one_object_on_one_line_and_what_is_no_object(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"text": "alone"}')
    (tmp_path / "b.json").write_text('[{"text": "one"}, 5, {"text": "two"}, {"text": ')
    (tmp_path / "c.json").write_text("")
    found = records(tmp_path)
    told = [record.text if isinstance(record, Document) else record.reason for record in found]
    assert told == ["alone", "one", "bad_json", "two", "bad_json", "empty"]
    assert [record.position for record in found] == [0, 0, 1, 2, 3, 0]


@pytest.mark.parametrize(("ending", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_tables_of_text(ending: str, separator: str, tmp_path: Path) -> None:
    rows = [f'"{row["text"]}"{separator}{row["n"]}\r\n' for row in ROWS]
    header = f"\ufefftext{separator}n\r\n"
    (tmp_path / f"a{ending}").write_bytes((header + "".join(rows)).encode())
    found = records(tmp_path, id_field="n")
    assert [record.text for record in found] == TEXTS
    assert [record.position for record in found] == [*range(200)]
    assert isinstance(found[7], Document) and found[7].extra == {"id": "7"}


def test_a_table_with_a_bad_byte_gives_what_comes_before(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,n\n" + b"fine,1\n" * 9000 + b"caf\xe9,2\n")
    found = records(tmp_path)
    assert isinstance(found[-1], Reject) and found[-1].reason == "bad_encoding"
    assert len(found) > 7000 and {record.text for record in found[:-1]} == {"fine"}


def rows_of(content: bytes, ending: str = ".csv") -> list[Any]:
    import io

    found = csv_rows(io.BytesIO(content), ending, "utf-8")
    shown: list[Any] = []
    for number, row in found:
        shown.append((number, row if isinstance(row, dict) else (row.reason, row.detail)))
    return shown


def test_a_bad_row_costs_itself() -> None:
    """Nothing of a row is dropped in silence, and no row behind it."""
    content = b'id,text\n1,"a, b"\n2\n3,a,b\n\n4,"open\n5,"fine"\n6,"x"y\n7,last\n8,"end\n9,z\n'
    assert rows_of(content) == [
        (0, {"id": "1", "text": "a, b"}),
        (1, ("bad_row", "1 value, 2 columns")),
        (2, ("bad_row", "3 values, 2 columns")),
        (3, ("bad_row", "there is more after the closing quotation mark of a value")),
        (4, {"id": "5", "text": "fine"}),
        (5, ("bad_row", "there is more after the closing quotation mark of a value")),
        (6, {"id": "7", "text": "last"}),
        (7, ("bad_row", "a quotation mark is open to the end of the file")),
        (8, {"id": "9", "text": "z"}),
    ]


def test_a_header_with_a_mark_in_quotes_and_one_with_a_name_twice() -> None:
    assert rows_of('\ufeff"text"\tn\na\t1\n'.encode(), ".tsv") == [(0, {"text": "a", "n": "1"})]
    twice = (0, ("unknown_format", "two columns are named text"))
    assert rows_of(b"text,n,text\na,1,b\n") == [twice]
    assert rows_of(b"text,,\na,1,2\n") == [(0, {"text": "a", "": "2"})]
    assert rows_of(b"") == [] == rows_of(b"text,n\n")


@pytest.mark.parametrize("line", [b'"""a,1\n', b'"a,1\n', b'"a\n', b'""a,1\n', b'a,"1\n'])
def test_bad_rows_take_linear_time(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines behind a bad row are read again, but few of them and never many times."""
    given = 0
    take = tables.Lines.__next__

    def counted(lines: tables.Lines) -> str:
        nonlocal given
        given += 1
        return take(lines)

    monkeypatch.setattr(tables.Lines, "__next__", counted)
    found = rows_of(b"text,n\n" + line * 5001 + b"z,9\n")
    assert found[-1] == (len(found) - 1, {"text": "z", "n": "9"}) or "end of data" in str(found)
    assert given <= 3 * 5003


def test_arrow_files_and_streams(tmp_path: Path) -> None:
    table = pa.Table.from_pylist(ROWS)
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as out:
        with pa.ipc.new_file(out, table.schema) as writer:
            writer.write_table(table, max_chunksize=70)
    with pa.OSFile(str(tmp_path / "b.arrow"), "wb") as out:
        with pa.ipc.new_stream(out, table.schema) as stream:
            stream.write_table(table, max_chunksize=70)
    found = records(tmp_path, url_field="meta.url")
    assert [record.text for record in found] == TEXTS * 2
    assert [record.position for record in found] == [*range(200)] * 2
    assert [record.url for record in found] == [f"https://x/{n}" for n in range(200)] * 2


def test_nested_columns_of_parquet_and_a_format_that_the_name_does_not_tell(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "part-0")
    found = records(tmp_path, format="parquet", text_field="text", url_field="meta.url")
    assert [record.url for record in found] == [f"https://x/{n}" for n in range(200)]
    (tmp_path / "part-0").write_bytes(LINES)
    assert [record.text for record in records(tmp_path, format="jsonl", slice_bytes=500)] == TEXTS
    (tmp_path / "part-0").unlink()
    (tmp_path / "a.md").write_text("# Title\n\nText")
    assert [record.text for record in records(tmp_path)] == ["# Title\n\nText"]


@pytest.mark.parametrize("window_log", [10, 26, 27, 28, 31])
@pytest.mark.parametrize("told_size", [True, False])
def test_zstd_with_long_windows(window_log: int, told_size: bool, tmp_path: Path) -> None:
    """The beginning of a file tells whether Arrow's decoder will do."""
    settings = zstandard.ZstdCompressionParameters(
        window_log=window_log, enable_ldm=True, write_content_size=told_size
    )
    compressor = zstandard.ZstdCompressor(compression_params=settings)
    content = compressor.compress(LINES)
    if not told_size:
        writer = compressor.compressobj()
        content = writer.compress(LINES) + writer.flush()
        assert zstd.has_long_window(content[:18]) == (window_log > 27)
    (tmp_path / "a.jsonl.zst").write_bytes(content)
    assert [record.text for record in records(tmp_path)] == TEXTS


@pytest.mark.parametrize(
    ("value", "date"),
    [
        ("2019-04-25", (2019, 4, 25)),
        ("2019-04-25T10:00:00Z", (2019, 4, 25)),
        ("20190425", (2019, 4, 25)),
        ("20190425101112", None),
        ("2019/4/5", (2019, 4, 5)),
        ("Thu, 25 Apr 2019 10:00:00 GMT", (2019, 4, 25)),
        ("1556150400", (2019, 4, 25)),
        (1556150400, (2019, 4, 25)),
        (1556150400123, (2019, 4, 25)),
        (datetime.datetime(2019, 4, 25, 23), (2019, 4, 25)),
        ("2019-W17-4", None),
        ("2019-115", None),
        ("2019-02-30", None),
        ("25.04.2019", None),
        ("yesterday", None),
    ],
)
def test_dates_alike_on_every_python(value: object, date: tuple[int, int, int] | None) -> None:
    assert parse_date(value) == (datetime.date(*date) if date else None)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2020-01-02T03:04:05Z", (2020, 1, 2, 3, 4, 5)),
        ("2020-01-02 03:04:05.678", (2020, 1, 2, 3, 4, 5)),
        ("2020-01-02T03:04:05+02:00", (2020, 1, 2, 1, 4, 5)),
        ("2020-01-02T03:04", (2020, 1, 2, 3, 4, 0)),
        ("2020-01-02", (2020, 1, 2, 0, 0, 0)),
        ("Thu, 02 Jan 2020 03:04:05 -0100", (2020, 1, 2, 4, 4, 5)),
        (1577934245, (2020, 1, 2, 3, 4, 5)),
        ("soon", None),
    ],
)
def test_moments(value: object, moment: tuple[int, ...] | None) -> None:
    found = parse_moment(value)
    assert (found and found.timetuple()[:6]) == moment
    assert found is None or found.tzinfo == datetime.timezone.utc


@given(text=st.text(max_size=30) | st.from_regex(r"\d{4}[-/]?\d\d[-/]?\d\d.{0,12}"))
def test_no_date_fails(text: str) -> None:
    parse_date(text)
    parse_moment(text)


def test_dates_that_are_not_understood_are_counted(tmp_path: Path) -> None:
    rows = [{"text": "a", "d": "2019/04/25"}, {"text": "b", "d": "once"}, {"text": "c", "d": None}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = records(tmp_path, date_field="d")
    marks = [record.marks for record in found if isinstance(record, Document)]
    assert marks == [(), (NOT_UNDERSTOOD,), ()]


def test_fields_of_objects() -> None:
    fields = {"a.b": 1, "a": {"b": 2, "c": {"d": 3}}}
    assert [field_of(fields, name) for name in ("a.b", "a.c.d", "a.x", "b.c", None)] == [
        1,
        3,
        None,
        None,
        None,
    ]


@given(
    values=st.lists(
        st.dictionaries(st.text(max_size=5), st.text(max_size=40) | st.integers()), max_size=6
    ),
    array=st.booleans(),
    indent=st.sampled_from([None, 0, 3]),
)
def test_values_of_json_one_after_the_other(
    values: list[Any], array: bool, indent: int | None
) -> None:
    import io

    text = json.dumps(values, indent=indent)
    if not array:
        text = "\n".join(json.dumps(value, indent=indent) for value in values)
    found = list(json_values(io.BytesIO(text.encode()), "utf-8"))
    assert found == list(enumerate(values))


def test_the_rows_of_a_table_equal_those_of_the_module_csv() -> None:
    import io

    draw = random.Random(0)
    rows = [[draw.choice(["a", 'b"', "c,", "d\ne", ""]) for _ in range(3)] for _ in range(50)]
    quoted = ['"' + '","'.join(cell.replace('"', '""') for cell in row) + '"' for row in rows]
    content = ("x,y,z\n" + "\n".join(quoted)).encode()
    found = [fields for _, fields in csv_rows(io.BytesIO(content), ".csv", "utf-8")]
    assert found == [dict(zip("xyz", row)) for row in rows]
