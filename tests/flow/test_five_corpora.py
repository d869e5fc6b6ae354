"""The paper's five corpora in one home by one command: exact tallies, and of a text in several corpora the one of the highest priority."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from five_corpora import CORPORA, equal_text, near_text, write
from plain_build import plain_build
from realdata import data_file

from pipelines import show
from pipelines.stats import stats

Corpus = Callable[..., tuple[int, str, str]]


def planted_overlap() -> dict[str, dict[str, dict[str, int]]]:
    """One equal and one nearly equal text of each corpus for each of a higher priority."""
    rows = {name: dict.fromkeys(CORPORA[:place], 1) for place, name in enumerate(CORPORA) if place}
    return {"exact": rows, "near": {name: dict(row) for name, row in rows.items()}}


def kept_texts(home: str) -> dict[str, list[str]]:
    return {name: [record["text"] for record in show.documents(home, name, removed=False)] for name in CORPORA}


def test_of_a_text_in_several_corpora_one_survives(tmp_path: Path) -> None:
    """Row 58, for texts that are equal and for such that are nearly so; runs everywhere."""
    home = plain_build(write(tmp_path, with_data=False), tmp_path / "home")
    found = stats(home)
    for place, name in enumerate(CORPORA):
        row = found["sources"][name]
        assert (row["records"], row["documents"], row["removed"]["exact"], row["removed"]["near"]) == (2 * place + 2, 2 * place + 2, place, place), name
    assert kept_texts(home) == {name: [equal_text(place), near_text(place, name)] for place, name in enumerate(CORPORA)}
    assert found["overlap"] == planted_overlap()
    assert {name: row["kept"] for name, row in found["shares"].items()} == dict.fromkeys(CORPORA, 0.2)


TALLIES = {  # records, documents, removed by rules, exact and near, kept
    "wikipedia": (208, 99, (0, 0, 0), 99),
    "books": (19, 19, (0, 1, 4), 14),
    "openwebtext": (136, 136, (15, 5, 2), 114),
    "stories": (105, 19, (0, 3, 3), 13),
    "cc-news": (107, 40, (0, 15, 4), 21),
}
REJECTS = {
    "wikipedia": {"disambiguation": 8, "empty": 1, "namespace": 1, "redirect": 99},
    "books": {},
    "openwebtext": {},
    "stories": {"language": 18, "not_selected": 19, "request": 48, "warcinfo": 1},
    "cc-news": {"language": 18, "request": 48, "warcinfo": 1},
}


def test_all_of_them_by_one_command(tmp_path: Path, corpus: Corpus) -> None:
    """By hand: 206 pages of the excerpt of Wikipedia, 15 raw files of Project Gutenberg with three second editions, 130 texts of the release
    of which 3 are there twice, and one archive of news: 30 of its pages are English, and the 11 best of them are stories too; besides, what is planted."""
    if data_file("books/gutenberg_raw.tar.xz") is None:
        pytest.skip("needs the test data")
    code, _, err = corpus("build", write(tmp_path), "--home", tmp_path / "home", "--workers", 2)
    assert code == 0, err
    found = json.loads(corpus("stats", tmp_path / "home", "--json")[1])
    assert list(found["sources"]) == list(reversed(CORPORA))
    rows = {name: (row["records"], row["documents"], row["removed"], row["kept"]) for name, row in found["sources"].items()}
    assert {name: (*row[:2], tuple(row[2].get(stage, 0) for stage in ("rules", "exact", "near")), row[3]) for name, row in rows.items()} == TALLIES
    assert {name: row["rejects"] for name, row in found["sources"].items()} == REJECTS
    assert found["sources"]["stories"]["survey"]["chosen"] == 19
    expected = planted_overlap()
    expected["exact"]["cc-news"]["stories"] += 11
    expected["exact"]["openwebtext"]["openwebtext"] = 3
    expected["near"]["books"]["books"] = 3
    assert found["overlap"] == expected
    total = found["total"]
    for key in ("documents", "kept", "bytes", "tokens"):
        assert {name: row[key] for name, row in found["shares"].items()} == {name: round(row[key] / total[key], 6) for name, row in found["sources"].items()}
    kept = kept_texts(str(tmp_path / "home"))
    for place, name in enumerate(CORPORA):
        assert equal_text(place) in kept[name] and near_text(place, name) in kept[name]
        assert not any(equal_text(place) in kept[other] for other in CORPORA if other != name)
    code, out, _ = corpus("stats", tmp_path / "home")
    assert code == 0 and "cc-news, twin in stories" in out and "share of" in out
    status = json.loads(corpus("status", tmp_path / "home", "--json")[1])
    assert status["complete"] and corpus("verify", tmp_path / "home")[0] == 0
    print(out)
