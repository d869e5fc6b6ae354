"""`corpus stats` over several sources: shares, and in which source the kept twins of what went
lie."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from looked import figures, stats
from plain_build import plain_build

from pipelines.home.layout import Home
from pipelines.home.summaries import summaries, write_summary
from pipelines.wording import table_lines

Corpus = Callable[..., tuple[int, str, str]]


def words(number: int, count: int = 120) -> list[str]:
    return [f"word{number}x{place}" for place in range(count)]


def changed(text: list[str]) -> str:
    return " ".join([*text[:60], "another", *text[61:]])


def write(folder: Path, texts: dict[str, list[str]], priority: list[str], more: str = "") -> Path:
    """A recipe of a source for each name."""
    folder.mkdir(exist_ok=True)
    for name, of_source in texts.items():
        (folder / f"{name}.jsonl").write_text(
            "".join(json.dumps({"text": text}) + "\n" for text in of_source)
        )
    tables = "".join(
        f'[sources.{name}]\nkind = "files"\ninput = "{folder}/{name}.jsonl"\n' for name in texts
    )
    path = folder / "recipe.toml"
    path.write_text(
        f"{tables}[dedup]\nmax_removed = 1.0\npriority = {json.dumps(priority)}\n"
        f"{more}[tokenizer]\nvocab_size = 300\n"
    )
    return path


TEXTS = {
    "news": [" ".join(words(n)) for n in range(6)]
    + [changed(words(n)) for n in (10, 11, 0)]
    + [" ".join(words(12))],
    "wiki": [" ".join(words(n)) for n in (10, 11, 12, 13)],
    "books": [" ".join(words(n)) for n in (0, 1, 20)]
    + [" ".join(words(20)).upper(), changed(words(13))],
}
"""By priority wiki, books, news. Of news 0, 1 go for books and 12 for wiki (equal); 10 and 11 for
wiki and the changed 0 for books (near). Of books the second 20 goes for the first (equal), the
changed 13 for wiki (near)."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("stats")
    return plain_build(write(folder, TEXTS, ["wiki", "books", "news"]), folder / "home")


OVERLAP = {
    "exact": {"news": {"wiki": 1, "books": 2}, "books": {"books": 1}},
    "near": {"news": {"wiki": 2, "books": 1}, "books": {"wiki": 1}},
}


def test_overlap_and_shares(home: str) -> None:
    found = stats(home)
    assert found["overlap"] == OVERLAP
    for stage, rows in OVERLAP.items():
        for name, figures_of in found["sources"].items():
            assert figures_of["removed"][stage] == sum(rows.get(name, {}).values())
    assert [found["sources"][name]["kept"] for name in ("news", "wiki", "books")] == [4, 4, 3]
    assert found["shares"]["news"]["documents"] == round(10 / 19, 6) and found["shares"]["wiki"][
        "kept"
    ] == round(4 / 11, 6)
    for key in ("documents", "kept", "bytes", "tokens"):
        parts = {name: row[key] / found["total"][key] for name, row in found["sources"].items()}
        assert {name: row[key] for name, row in found["shares"].items()} == {
            name: round(part, 6) for name, part in parts.items()
        }


def test_the_tables(home: str, corpus: Corpus) -> None:
    code, out, _ = corpus("stats", home)
    assert code == 0
    tables = [
        [re.split(r" {2,}", line) for line in block.splitlines()]
        for block in out.strip().split("\n\n")
    ]
    assert [table[0][0] for table in tables] == [
        "source",
        "share of total",
        "removed documents",
        "vocabulary",
        "ids of the vocabulary",
        "longest entries",
        "dropped",
    ]
    assert tables[1][0][1:] == ["documents", "kept", "bytes", "tokens"]
    assert tables[1][1][:3] == ["news", "52.6 %", "36.4 %"]
    assert tables[2] == [
        ["removed documents", "exact", "near"],
        ["from news, kept in wiki", "1", "2"],
        ["from news, kept in books", "2", "1"],
        ["from books, kept in wiki", "0", "1"],
        ["from books, kept in books", "1", "0"],
    ]


def test_the_report_has_the_same(home: str) -> None:
    found = figures(home)["overlap"]
    assert found["stages"] == OVERLAP and found["removed"] == {
        "news": {"wiki": 3, "books": 3},
        "books": {"books": 1, "wiki": 1},
    }
    assert (found["counted"], found["of"]) == (8, 8)


def test_one_source_has_neither_table(tmp_path: Path, corpus: Corpus) -> None:
    home = plain_build(write(tmp_path, {"one": ["a text", "A  text"]}, ["one"]), tmp_path / "home")
    assert json.loads(corpus("stats", home, "--json")[1])["overlap"] == {
        "exact": {"one": {"one": 1}},
        "near": {},
    }
    out = corpus("stats", home)[1]
    assert "share of total" not in out and "removed documents" not in out


def test_what_is_not_counted_yet_is_null(tmp_path: Path, corpus: Corpus) -> None:
    recipe = write(tmp_path, TEXTS, ["wiki", "books", "news"])
    home = plain_build(recipe, tmp_path / "home", "ingest")
    found = stats(home)
    assert found["overlap"] == {"exact": None, "near": None}
    assert found["shares"]["news"] == {
        "documents": round(10 / 19, 6),
        "kept": None,
        "bytes": None,
        "tokens": None,
    }
    assert "removed documents" not in corpus("stats", home)[1]
    plain_build(recipe, tmp_path / "home", "dedup")
    assert stats(home)["overlap"] == OVERLAP and stats(home)["shares"]["news"]["kept"] is None


def test_a_home_whose_summaries_do_not_say(home: str, tmp_path: Path, corpus: Corpus) -> None:
    """As an earlier version wrote them: not known, and said so; the report too."""
    import dataclasses
    import shutil

    other = Home(str(tmp_path / "home"))
    shutil.copytree(home, other.root)
    for summary in summaries(other, "exact"):
        write_summary(other, dataclasses.replace(summary, twins_in={}))
    assert stats(other.root)["overlap"] == {"exact": None, "near": OVERLAP["near"]}
    found: dict[str, Any] = figures(other.root)["overlap"]
    assert found["stages"]["exact"] is None and (found["counted"], found["of"]) == (4, 8)
    assert corpus("report", other.root)[0] == 0
    assert "4 of 8 are not counted yet" in Path(other.root, "report.html").read_text("utf-8")


def test_table_lines() -> None:
    assert list(table_lines([("a", "bb"), ("ccc", "1")])) == ["a    bb", "ccc   1"]


def test_status_of_a_damaged_summary(corpus: Corpus, tmp_path: Path) -> None:
    """Documents that no summary of ingest counts any more are no reason to divide by zero."""
    home = plain_build(write(tmp_path / "in", TEXTS, ["wiki", "books", "news"]), tmp_path / "home")
    for path in (Path(home) / "summaries" / "ingest" / "news").iterdir():
        path.write_text("{")
    code, out, err = corpus("status", home)
    assert code == 0 and "Traceback" not in err
    assert "not complete" in out
