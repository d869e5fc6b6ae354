"""The paper's five corpora in one home by one command: exact tallies, and of a text in several corpora the one of the highest priority."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from five_corpora import CORPORA, write
from realdata import data_file

Corpus = Callable[..., tuple[int, str, str]]


def planted_overlap() -> dict[str, dict[str, dict[str, int]]]:
    """One equal and one nearly equal text of each corpus for each of a higher priority."""
    rows = {name: dict.fromkeys(reversed(CORPORA[:place]), 1) for place, name in enumerate(CORPORA) if place}
    return {"exact": rows, "near": rows}


def test_of_a_text_in_several_corpora_one_survives(tmp_path: Path, corpus: Corpus) -> None:
    """Row 58, for texts that are equal and for such that are nearly so; runs everywhere."""
    code, _, err = corpus("build", write(tmp_path, with_data=False), "--home", tmp_path / "home", "--workers", 0)
    assert code == 0, err
    found = json.loads(corpus("stats", tmp_path / "home", "--json")[1])
    for place, name in enumerate(CORPORA):
        row = found["sources"][name]
        assert (row["records"], row["documents"], row["kept"]) == (2 * place + 2, 2 * place + 2, 2), name
    assert found["overlap"] == planted_overlap()
    assert {name: row["kept"] for name, row in found["shares"].items()} == dict.fromkeys(reversed(CORPORA), round(1 / len(CORPORA), 6))


def test_all_of_them_by_one_command(tmp_path: Path, corpus: Corpus) -> None:
    if data_file("books/gutenberg_raw.tar.xz") is None:
        pytest.skip("needs the test data")
    code, _, err = corpus("build", write(tmp_path), "--home", tmp_path / "home", "--workers", 2)
    assert code == 0, err
    found = json.loads(corpus("stats", tmp_path / "home", "--json")[1])
    print(json.dumps(found, indent=1))
