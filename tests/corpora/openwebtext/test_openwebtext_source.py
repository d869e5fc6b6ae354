"""The source `openwebtext`: its settings, and the records of archives against a list."""

import io
import json
from pathlib import Path
from typing import Any

import archives
import pytest

from corpora.document import Document, Findings, NotPage, Outcome, Reject
from corpora.openwebtext import link_list
from corpora.openwebtext.source import (
    OpenWebTextOptions,
    conclude,
    look,
    read,
    slices,
    source,
    submission_slices,
)
from corpora.sources import load_source, survey_of
from pipelines.recipe import parse_recipe
from shards.errors import UserError

RECIPE = """
[sources.owt]
kind = "openwebtext"
input = "x"
{}
"""


def options(text: str) -> OpenWebTextOptions:
    found = parse_recipe(RECIPE.format(text), "r", "/").sources["owt"]
    assert isinstance(found, OpenWebTextOptions)
    return found


def test_the_order_of_the_rules_is_its_makers() -> None:
    """Near-copies at 0.5 before short texts; the release not with itself. Each can be set alone."""
    release = options("")
    assert (release.dedup.threshold, release.dedup.before_rules, release.scope) == (
        0.5,
        True,
        "others",
    )
    assert release.rules.profile == "openwebtext"
    rebuilt = options('source = "reddit"')
    assert (rebuilt.dedup.threshold, rebuilt.dedup.before_rules, rebuilt.scope) == (
        0.5,
        True,
        "across",
    )
    again = options('[sources.owt.dedup]\nscope = "across"')
    assert (again.dedup.threshold, again.dedup.before_rules, again.scope) == (0.5, True, "across")
    higher = options("[sources.owt.dedup]\nthreshold = 0.9\nbefore_rules = false")
    assert (higher.dedup.threshold, higher.dedup.before_rules, higher.scope) == (
        0.9,
        False,
        "others",
    )


def test_only_submissions_are_read_first() -> None:
    assert (
        survey_of(options("")) is None
        and survey_of(options('source = "reddit"')) == load_source("openwebtext").survey
    )
    assert options('source = "reddit"\npages = "p/*.warc.gz"').pages == ("/p/*.warc.gz",)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('pages = "p"', 'pages: the release holds its texts; set source = "reddit"'),
        ('source = "redit"', "is not one of 'release', 'reddit'"),
        ("min_url_characters = 0", "min_url_characters: 0 is less than 1"),
        ('score_of = "karma"', "is not one of 'submission', 'url'"),
    ],
)
def test_wrong_settings(text: str, what: str) -> None:
    with pytest.raises(UserError) as caught:
        options(text)
    assert what in caught.value.what


def listed(
    folder: Path, rows: list[dict[str, Any]], **settings: Any
) -> tuple[OpenWebTextOptions, str, list[str]]:
    """The options, the address of the list, and the reasons of the submissions."""
    (folder / "RS").write_text("".join(json.dumps(row) + "\n" for row in rows))
    chosen = OpenWebTextOptions(
        source="reddit", input=(str(folder / "RS"),), pages=(str(folder / "*.warc"),), **settings
    )
    notes = [note for piece in submission_slices(chosen) for note in look(chosen, piece)]
    import pyarrow as pa
    import pyarrow.parquet as pq

    kept = [note.values for note in notes if note.values]
    table = pa.table(
        [pa.array(column, field.type) for column, field in zip(zip(*kept), link_list.NOTE_SCHEMA)],
        schema=link_list.NOTE_SCHEMA,
    )
    pq.write_table(table, folder / "notes.parquet")
    held = io.BytesIO()
    conclude(chosen, [str(folder / "notes.parquet")], held, lambda _: None)
    (folder / "list.arrow").write_bytes(held.getvalue())
    return chosen, str(folder / "list.arrow"), [note.reason for note in notes]


def test_records_against_the_list(tmp_path: Path) -> None:
    rows = [
        {"url": "http://a.example/story", "score": 3},
        {"url": "https://www.a.example/story/", "score": 9},
        {"url": "http://b.example/", "score": 2},
    ]
    chosen, address, reasons = listed(tmp_path, rows)
    assert reasons == ["", "", "low_score"]
    text = archives.english(1)
    records = [
        archives.record("warcinfo", b"x"),
        archives.response(archives.page(text), "http://a.example/story?utm_source=x"),
        archives.response(archives.page(text), "http://b.example/"),
        archives.response(b"", "http://a.example/story", status="HTTP/1.1 301 Moved"),
        archives.record("request", b"GET / HTTP/1.1", "http://a.example/story"),
        archives.record("response", b"no http", "http://b.example/x"),
        archives.record("response", b"HTTP/1.1 200 OK\r\n\r\n<p>no address"),
    ]
    (tmp_path / "a.warc").write_bytes(b"".join(records))
    (piece,) = slices(chosen)
    found = list(read(chosen, piece, Findings(conclusion=address)))
    kinds = [told(record) for record in found]
    assert kinds == [
        "no page: warcinfo",
        "document",
        "not_listed",
        "http_3xx",
        "no page: request",
        "not_listed",
        "not_listed",
    ]
    assert isinstance(found[1], Document) and (
        found[1].extra["score"],
        found[1].extra["submissions"],
    ) == (9, 2)
    assert all(record.text == "" for record in found if isinstance(record, Reject))


def told(record: Outcome) -> str:
    if isinstance(record, Reject):
        return record.reason
    return f"no page: {record.kind}" if isinstance(record, NotPage) else "document"


def test_an_archive_that_is_gone_and_a_dump_that_is(tmp_path: Path) -> None:
    chosen, address, _ = listed(tmp_path, [{"url": "http://a.example/story", "score": 3}])
    (tmp_path / "a.warc").write_bytes(b"x")
    (piece,) = slices(chosen)
    (dump,) = submission_slices(chosen)
    (tmp_path / "a.warc").unlink()
    (tmp_path / "RS").unlink()
    (found,) = read(chosen, piece, Findings(conclusion=address))
    assert isinstance(found, Reject) and found.reason == "unreadable"
    assert [(note.reason, note.values) for note in look(chosen, dump)] == [("unreadable", None)]


def test_without_pages_the_hint_is_the_list(tmp_path: Path) -> None:
    (tmp_path / "RS").write_text("")
    with pytest.raises(UserError, match="pages: no archive is named") as caught:
        list(slices(OpenWebTextOptions(source="reddit", input=(str(tmp_path / "RS"),))))
    assert "corpus urls" in caught.value.hint


def test_notes_are_20_bytes_and_strings() -> None:
    assert (
        sum(field.type.bit_width for field in link_list.NOTE_SCHEMA if field.name != "url") == 160
    )
    assert source().survey is not None
