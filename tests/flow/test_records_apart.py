"""Records of archives that are no responses: counted by kind in lines of their own, never among the
rejects, whatever source reads the archive, and in homes of earlier versions too."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import archives
import looked
import pyarrow.parquet as pq
import pytest

from pipelines.home.layout import Home
from pipelines.home.summaries import summaries, write_summary
from pipelines.wording import apart

Corpus = Callable[..., tuple[int, str, str]]

KINDS = {"metadata": 2, "request": 5, "revisit": 1, "warcinfo": 1}

SENTENCE = "9 records are no responses: 5 request, 2 metadata, 1 revisit, 1 warcinfo"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pages, one of them in German and one missing, and nine other records."""
    german = archives.page("Der Fluss trat über die Ufer und die Stadt lag still. " * 12)
    records = [
        archives.record("warcinfo", b"software: x"),
        *[archives.record("request", b"GET / HTTP/1.1", f"http://a.example/{n}") for n in range(5)],
        archives.record("revisit", b"x", "http://a.example/0"),
        *[archives.record("metadata", b"x", "http://a.example/1") for _ in range(2)],
        archives.response(archives.page(archives.english(1)), "http://a.example/1"),
        archives.response(archives.page(archives.english(2)), "http://a.example/2"),
        archives.response(german, "http://a.example/3"),
        archives.response(b"", "http://a.example/4", status="HTTP/1.1 404 Not Found"),
    ]
    path = tmp_path_factory.mktemp("apart") / "a.warc.gz"
    path.write_bytes(archives.members(*records))
    return path


def recipe(folder: Path, archive: Path, kind: str) -> Path:
    """A recipe that reads the archive by one kind of source."""
    (folder / "urls.txt").write_text("# listed\nhttp://a.example/1\nhttp://a.example/2\n")
    (folder / "questions.txt").write_text("What did the committee find in the old harbour?\n")
    inputs = {
        "cc_news": f'input = "{archive}"',
        "openwebtext": f'input = "urls.txt"\nsource = "reddit"\npages = "{archive}"',
        "stories": f'input = "{archive}"\nquestions = "questions.txt"\ntop_fraction = 1.0',
    }
    path = folder / f"{kind}.toml"
    path.write_text(
        f'[sources.web]\nkind = "{kind}"\n{inputs[kind]}\nlanguage = "en"\n'
        "[tokenizer]\nvocab_size = 300\n"
    )
    return path


@pytest.mark.parametrize(
    ("kind", "rejects"),
    [
        ("cc_news", {"http_4xx": 1, "language": 1}),
        ("openwebtext", {"not_listed": 2}),
        ("stories", {"http_4xx": 1, "language": 1}),
    ],
)
def test_they_are_counted_apart(
    tmp_path: Path, archive: Path, corpus: Corpus, kind: str, rejects: dict[str, int]
) -> None:
    home = tmp_path / "home"
    code, _, err = corpus("ingest", recipe(tmp_path, archive, kind), "--home", home, "--workers", 0)
    assert code == 0, err

    listed = "".join(f", {count} {reason}" for reason, count in rejects.items())
    assert f"ingest web: 4 records, 2 documents{listed}\ningest web: {SENTENCE}\n" in err
    if kind == "stories":
        assert f"survey web: {SENTENCE}\n" in err
    if kind == "openwebtext":
        assert "survey web: 2 records, 2 passed" in err
        assert "survey web: 1 record is no page: 1 comment\n" in err

    found = json.loads(corpus("stats", home, "--json")[1])
    for figures in (found["sources"]["web"], found["total"]):
        assert (figures["records"], figures["documents"]) == (13, 2)
        assert figures["rejects"] == rejects and figures["not_pages"] == KINDS

    out = corpus("stats", home)[1]
    assert out.splitlines()[1].split()[:4] == ["web", "4", "2", "2"]
    assert out.splitlines()[3] == f"web: {SENTENCE}"
    assert "rejected: request" not in out

    reasons = pq.read_table(home / "rejects" / "web").column("reason").to_pylist()
    assert sorted(reasons) == sorted(reason for reason, n in rejects.items() for _ in range(n))


def test_every_page_that_tells_of_a_home_says_so(
    tmp_path: Path, archive: Path, corpus: Corpus
) -> None:
    home = tmp_path / "home"
    code, _, err = corpus(
        "build", recipe(tmp_path, archive, "cc_news"), "--home", home, "--workers", 0
    )
    assert code == 0, err

    card = (home / "shards" / "README.md").read_text("utf-8")
    assert f"Not counted above: {SENTENCE}." in card
    assert "| web | 4 | 2 | 2 |" in card and "| rejected: language | 1 | 25.0 % |" in card

    assert corpus("report", home)[0] == 0
    page = " ".join((home / "report.html").read_text("utf-8").split())
    assert f"Not in the bar of web: {SENTENCE}." in page
    assert '<b id="records">4</b><span>records read</span>' in page
    assert '<span class="num">50.0 %</span>' in page  # of the four, not of thirteen
    assert re.search(r"Last built \d{4}-\d\d-\d\d \d\d:\d\d UTC, with corpusmill", page)

    figures = looked.figures(str(home))
    assert [row["reason"] for row in figures["reasons"]] == ["http_4xx", "language"]
    assert all(row["meaning"] for row in figures["reasons"])


def test_a_home_of_an_earlier_version_shows_the_same(
    tmp_path: Path, archive: Path, corpus: Corpus
) -> None:
    """There they were rejects, with rows of their own; so they are of a source of one's own."""
    home = tmp_path / "home"
    assert (
        corpus("ingest", recipe(tmp_path, archive, "cc_news"), "--home", home, "--workers", 0)[0]
        == 0
    )
    expected: dict[str, Any] = looked.stats(str(home))
    (summary,) = summaries(Home(str(home)), "ingest")
    old = replace(summary, rejects=summary.rejects | summary.not_pages, not_pages={})
    write_summary(Home(str(home)), old)
    assert looked.stats(str(home)) == expected

    # the same command reads the archive again, since the version of the source is another
    (path,) = (home / "summaries" / "ingest" / "web").iterdir()
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**content, "fingerprint": "of an earlier version"}))
    assert (
        corpus("ingest", recipe(tmp_path, archive, "cc_news"), "--home", home, "--workers", 0)[0]
        == 0
    )
    (again,) = summaries(Home(str(home)), "ingest")
    assert again == summary


def test_archives_without_a_response_are_named(tmp_path: Path, corpus: Corpus) -> None:
    """Such as a WET archive that is given to cc_news."""
    path = tmp_path / "a.warc.wet"
    path.write_bytes(archives.record("conversion", b"text", "http://a/", content_type="text/plain"))
    code, _, err = corpus(
        "ingest", recipe(tmp_path, path, "cc_news"), "--home", tmp_path / "home", "--workers", 0
    )
    assert code == 2
    assert "ingest web: 1 record is no response: 1 conversion\n" in err
    assert (
        'warning: web: its archives hold no response; WET archives are read by kind = "stor' in err
    )


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({"request": 29, "revisit": 1, "warcinfo": 1}, None),
        ({"warcinfo": 1}, "1 record is no response: 1 warcinfo"),
        ({"dns": 1200}, "1,200 records are no responses: 1,200 dns"),
        ({"request": 1, "mine": 1}, "2 records are no pages: 1 mine, 1 request"),
    ],
)
def test_the_sentence(counts: dict[str, int], sentence: str | None) -> None:
    expected = sentence or "31 records are no responses: 29 request, 1 revisit, 1 warcinfo"
    assert apart(counts) == expected
