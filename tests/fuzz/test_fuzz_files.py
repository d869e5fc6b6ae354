"""Valid files of odd contents into the reader of `files`: every row becomes one document or one
reject with a reason, whatever the types of Arrow, the values of JSON and the names."""

import io
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.document import Document, Part
from corpora.files.rows import Unreadable, plain_rows, type_name
from corpora.files.source import FilesOptions, read_part
from pipelines.stages.ingest import _document_row, _normalised, _reject_row

TEXT = st.text(max_size=20)
TYPES: list[tuple[pa.DataType, Any]] = [
    (pa.string(), TEXT.map(lambda text: text.encode("utf-8", "replace").decode())),
    (pa.large_string(), st.just("large")),
    (pa.binary(), st.binary(max_size=12)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.uint64(), st.integers(0, 2**64 - 1)),
    (pa.float64(), st.floats()),
    (pa.bool_(), st.booleans()),
    (pa.null(), st.none()),
    (pa.list_(pa.string()), st.lists(st.just("a"), max_size=3)),
    (pa.struct([("text", pa.string())]), st.fixed_dictionaries({"text": st.just("a")})),
    (pa.decimal128(20, 3), st.decimals(-1000, 1000, places=3)),
    (pa.dictionary(pa.int32(), pa.string()), st.sampled_from(["a", "b"])),
    (pa.duration("s"), st.integers(0, 10**6)),
]
RAW_TYPES = [
    pa.date32(),
    pa.timestamp("ns"),
    pa.timestamp("s", "UTC"),
    pa.timestamp("us", "Nowhere/At_all"),
    pa.timestamp("ms", "+99:99"),
    pa.time64("ns"),
]
"""Types whose values are given as whole numbers, so that no value of Python stands in the way."""

FIELDS = ("text", "id", "url", "title", "date", "lang")
OPTIONS = FilesOptions(
    input=("x",),
    id_field="id",
    url_field="url",
    title_field="title",
    date_field="date",
    language_field="lang",
)


@st.composite
def columns(draw: st.DrawFn, rows: int) -> pa.Array:
    if draw(st.integers(0, 9)) == 0:  # strings that are not UTF-8
        values = [draw(st.binary(max_size=8)) for _ in range(rows)]
        return pa.array(values, pa.binary()).view(pa.string())
    if draw(st.integers(0, 3)) == 0:
        kind = draw(st.sampled_from(RAW_TYPES))
        bits = 32 if kind == pa.date32() else 64
        numbers = st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        raw = [draw(numbers) for _ in range(rows)]
        return pa.array(raw, pa.int32() if bits == 32 else pa.int64()).view(kind)
    kind, values = draw(st.sampled_from(TYPES))
    return pa.array([draw(st.none() | values) for _ in range(rows)], kind)


@st.composite
def batches(draw: st.DrawFn) -> pa.RecordBatch:
    rows = draw(st.integers(0, 4))
    names = draw(st.lists(st.sampled_from([*FIELDS, "a.b", "", "\x00"]), max_size=6))
    arrays = [draw(columns(rows)) for _ in names]
    return pa.RecordBatch.from_arrays(arrays, names=names)


def outcomes(part: Part) -> list[Any]:
    """The rows as they are stored: what ingest makes of each outcome."""
    found = []
    for record in read_part(OPTIONS, part):
        record = _normalised(record, OPTIONS)
        row = (
            _document_row("s", record) if isinstance(record, Document) else _reject_row("s", record)
        )
        for value in row:
            if isinstance(value, str):
                value.encode()
        found.append(record)
    return found


@given(batch=batches())
def test_rows_of_any_schema(batch: pa.RecordBatch) -> None:
    rows = list(plain_rows(batch))
    assert len(rows) == batch.num_rows
    for row in rows:
        assert set(row) == set(batch.schema.names)
        assert all(isinstance(type_name(value), str) for value in row.values())


@given(batch=batches())
def test_parquet_of_any_schema(
    batch: pa.RecordBatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    try:
        pq.write_table(pa.Table.from_batches([batch]), path)
    except (pa.ArrowException, ValueError):
        return  # Parquet has no such type
    part = Part(address=str(path), path="a.parquet", size=path.stat().st_size)
    found = outcomes(part)
    positions = [record.position for record in found]
    assert positions == sorted(set(positions))
    names = batch.schema.names
    if names.count("text") == 1 and len(set(names)) == len(names):
        assert len(found) == batch.num_rows


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
SURROGATES = st.text(st.characters(whitelist_categories=("Cs", "Ll")), max_size=6)


@given(
    values=st.lists(
        st.dictionaries(st.sampled_from(FIELDS), JSON | SURROGATES, max_size=6) | JSON, max_size=4
    )
)
def test_json_of_any_values(values: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("json") / "a.jsonl"
    path.write_bytes(b"".join(json.dumps(value).encode() + b"\n" for value in values))
    part = Part(address=str(path), path="a\udcff.jsonl", size=path.stat().st_size)
    # A file of no bytes is one reject.
    assert len(outcomes(part)) == max(len(values), 1)


def test_what_python_cannot_have_is_said_by_its_type() -> None:
    wrong = pa.array([b"ok", b"caf\xe9"], pa.binary()).view(pa.string())
    far = pa.array([0, 2**31 - 1], pa.int32()).view(pa.date32())
    batch = pa.RecordBatch.from_arrays([wrong, far, wrong], names=["text", "day", "text"])
    first, second = plain_rows(batch)
    assert first["text"] == "ok"
    assert second["text"] == Unreadable(
        "bad_encoding", "string: not valid utf-8: the byte 0xe9 at 3"
    )
    assert isinstance(second["day"], Unreadable) and second["day"].reason == "bad_value"
    assert second["day"].detail.startswith("date32[day]: ")
    kinds = [None, True, 1, math.nan, [1], {"a": 1}, b"x", io.BytesIO()]
    assert [type_name(kind) for kind in kinds] == [
        "null",
        "true or false",
        "a number",
        "a number",
        "a list",
        "an object",
        "bytes",
        "a value of the type BytesIO",
    ]


def test_one_bad_row_costs_one_row(tmp_path: Path) -> None:
    texts = pa.array([b"One text.", b"\xff\xfe", None, b"Another text."], pa.binary())
    dates = pa.array([17000, 2**31 - 1, 1, -(2**31)], pa.int32()).view(pa.date32())
    table = pa.table({"text": texts.view(pa.string()), "date": dates, "id": texts})
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": [["a"], ["b"]]}), tmp_path / "b.parquet")
    found = []
    for name in ("a.parquet", "b.parquet"):
        part = Part(address=str(tmp_path / name), path=name, size=1)
        found += outcomes(part)
    assert [getattr(record, "reason", record.text) for record in found] == [
        "One text.",
        "bad_encoding",
        "no_text",
        "Another text.",
        "no_text",
        "no_text",
    ]
    assert found[2].detail == "field 'text' holds null, not text"
    assert found[4].detail == "field 'text' holds a list, not text"
    assert str(found[0].date) == "2016-07-18" and found[3].date is None
    assert found[0].extra == {"id": "One text."}
