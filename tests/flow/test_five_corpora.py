"""The paper's five corpora in one home by one command: exact tallies, and of a text in several
corpora the one of the highest priority."""

import json
from collections.abc import Callable
from pathlib import Path

import looked
import pytest
from five_corpora import CORPORA, equal_text, near_text, write
from looked import stats
from plain_build import plain_build
from realdata import data_file

Corpus = Callable[..., tuple[int, str, str]]


def planted_overlap() -> dict[str, dict[str, dict[str, int]]]:
    """One equal and one nearly equal text of each corpus for each of a higher priority."""
    rows = {name: dict.fromkeys(CORPORA[:place], 1) for place, name in enumerate(CORPORA) if place}
    return {"exact": rows, "near": {name: dict(row) for name, row in rows.items()}}


def kept_texts(home: str) -> dict[str, list[str]]:
    return {
        name: [record["text"] for record in looked.documents(home, name, removed=False)]
        for name in CORPORA
    }


def test_of_a_text_in_several_corpora_one_survives(tmp_path: Path) -> None:
    """Row 58, for texts that are equal and for such that are nearly so; runs everywhere."""
    home = plain_build(write(tmp_path, with_data=False), tmp_path / "home")
    found = stats(home)
    for place, name in enumerate(CORPORA):
        row = found["sources"][name]
        assert (
            row["records"],
            row["documents"],
            row["removed"]["exact"],
            row["removed"]["near"],
        ) == (2 * place + 2, 2 * place + 2, place, place), name
    assert kept_texts(home) == {
        name: [equal_text(place), near_text(place, name)] for place, name in enumerate(CORPORA)
    }
    assert found["overlap"] == planted_overlap()
    assert {name: row["kept"] for name, row in found["shares"].items()} == dict.fromkeys(
        CORPORA, 0.2
    )


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
    "stories": {"language": 18, "not_selected": 19},
    "cc-news": {"language": 18},
}
NOT_PAGES = {
    "stories": {"request": 48, "warcinfo": 1},
    "cc-news": {"request": 48, "warcinfo": 1},
}


def test_all_of_them_by_one_command(tmp_path: Path, corpus: Corpus) -> None:
    """By hand: 206 pages of the excerpt of Wikipedia, 15 raw files of Project Gutenberg with three
    second editions, 130 texts of the release of which 3 are there twice, and one archive of news:
    30 of its pages are English, and the 11 best of them are stories too; besides, what is
    planted."""
    if data_file("books/gutenberg_raw.tar.xz") is None:
        pytest.skip("needs the test data")
    code, _, err = corpus("build", write(tmp_path), "--home", tmp_path / "home", "--workers", 2)
    assert code == 0, err
    found = json.loads(corpus("stats", tmp_path / "home", "--json")[1])
    assert list(found["sources"]) == list(reversed(CORPORA))
    rows = {
        name: (row["records"], row["documents"], row["removed"], row["kept"])
        for name, row in found["sources"].items()
    }
    assert {
        name: (
            *row[:2],
            tuple(row[2].get(stage, 0) for stage in ("rules", "exact", "near")),
            row[3],
        )
        for name, row in rows.items()
    } == TALLIES
    assert {name: row["rejects"] for name, row in found["sources"].items()} == REJECTS
    assert NOT_PAGES == {
        name: row["not_pages"] for name, row in found["sources"].items() if "not_pages" in row
    }
    assert found["sources"]["stories"]["survey"]["chosen"] == 19
    expected = planted_overlap()
    expected["exact"]["cc-news"]["stories"] += 11
    expected["exact"]["openwebtext"]["openwebtext"] = 3
    expected["near"]["books"]["books"] = 3
    assert found["overlap"] == expected
    total = found["total"]
    for key in ("documents", "kept", "bytes", "tokens"):
        assert {name: row[key] for name, row in found["shares"].items()} == {
            name: round(row[key] / total[key], 6) for name, row in found["sources"].items()
        }
    kept = kept_texts(str(tmp_path / "home"))
    for place, name in enumerate(CORPORA):
        assert equal_text(place) in kept[name] and near_text(place, name) in kept[name]
        assert not any(equal_text(place) in kept[other] for other in CORPORA if other != name)
    code, out, _ = corpus("stats", tmp_path / "home")
    assert code == 0 and "from cc-news, kept in stories" in out and "share of" in out
    status = json.loads(corpus("status", tmp_path / "home", "--json")[1])
    assert status["complete"] and corpus("verify", tmp_path / "home")[0] == 0
    print(out)


def test_dry_run_of_the_packaged_recipe(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The paper's shares beside those that the inputs at hand will give, in proportion to their
    bytes; first with none, then with some of each."""
    monkeypatch.chdir(tmp_path)
    build = ("build", "roberta-160gb", "--home", tmp_path / "home", "--dry-run")
    code, out, err = corpus(*build)
    assert code == 0 and err.count("no input yet") == 5
    table = [
        line.split() for line in err.splitlines() if line.startswith(CORPORA) and ":" not in line
    ]
    assert [(row[0], " ".join(row[1:3]), " ".join(row[3:5])) for row in table] == [
        ("wikipedia", "12.0 GB", "7.4 %"),
        ("books", "4.2 GB", "2.6 %"),
        ("openwebtext", "39.8 GB", "24.4 %"),
        ("stories", "31.0 GB", "19.0 %"),
        ("cc-news", "76.0 GB", "46.6 %"),
    ]
    (tmp_path / "again.toml").write_text(out)
    sizes = {
        "enwiki/20181220/enwiki-20181220-pages-articles1.xml.bz2": 16_000,
        "books/a.txt": 4_200,
        "openwebtext/urlsf_subset00.tar.xz": 12_880,
        "crawl-data/CC-MAIN-2018-34/segments/1/wet/a.warc.wet.gz": 7_610_000,
        "crawl-data/CC-NEWS/2017/11/CC-NEWS-20171101000000-00000.warc.gz": 2_250_000,
        "questions/pdp60.txt": 0,
        "questions/wsc273.txt": 0,
    }
    for name, size in sizes.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size) if size else b"Whose book is it?\n")
    code, out, err = corpus(
        "build", tmp_path / "again.toml", "--home", tmp_path / "home", "--dry-run", "--json"
    )
    assert code == 0 and "no input yet" not in err
    found = json.loads(out)
    assert found["recipe"]["dedup"]["priority"] == list(found["sources"]) == list(CORPORA)
    reckoned = {name: row["reckoned"] for name, row in found["sources"].items()}
    assert [row["text_bytes"] for row in reckoned.values()] == [
        12_000,
        4_200,
        39_769,
        31_000,
        38_000,
    ]
    assert [row["share"] for row in reckoned.values()] == [
        round(size / 124_969, 6) for size in (12_000, 4_200, 39_769, 31_000, 38_000)
    ]
    assert sum(row["expected_share"] for row in reckoned.values()) == pytest.approx(1, abs=1e-5)
    assert [row["input_bytes"] for row in reckoned.values()] == [
        row["bytes"] for row in found["sources"].values()
    ]
    assert reckoned["stories"]["core_hours"] == round(
        found["sources"]["stories"]["expected"]["core_hours"] / 10**6, 3
    )


def test_what_cannot_be_reckoned_is_not(tmp_path: Path, corpus: Corpus) -> None:
    """A source of which the recipe expects nothing: no share can be told, of it or of the
    others."""
    (tmp_path / "a.txt").write_text("abc")
    tables = "".join(
        f'[sources.{name}]\nkind = "files"\ninput = "{tmp_path}/a.txt"\n' for name in "ab"
    )
    (tmp_path / "recipe.toml").write_text(
        f"{tables}[expected.a]\ninput_bytes = 30\ntext_bytes = 60\n"
    )
    code, out, err = corpus("build", tmp_path / "recipe.toml", "--dry-run", "--json")
    figures = json.loads(out)["sources"]
    assert code == 0 and "reckoned" not in figures["b"]
    assert figures["a"]["reckoned"] == {
        **{"expected_bytes": 60, "expected_share": None, "expected_hours": None},
        **{"input_bytes": 3, "text_bytes": 6, "share": None, "core_hours": None},
    }
    rows = [line.split() for line in err.splitlines() if line.startswith(("a ", "b ", "total "))]
    assert rows == [
        ["a", "60", "B", "-", "-", "3", "B", "6", "B", "-", "-"],
        ["b", "-", "-", "-", "3", "B", "-", "-", "-"],
        ["total", "-", "-", "6", "B", "-", "-"],
    ]
