"""Wikipedia dumps to shards with `corpus build`: exact accounts, the same bytes however it is cut
and run, its recipe in the package."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from dumps import head, multistream, page, prose
from realdata import DATA, data_file

Corpus = Callable[..., tuple[int, str, str]]

RECIPE = """
[sources.wiki]
kind = "wikipedia"
input = {inputs}
[tokenizer]
vocab_size = 300
[shards]
valid_fraction = 0.02
[dedup]
max_removed = 1.0
"""


def write_recipe(folder: Path, inputs: list[str]) -> Path:
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(inputs=json.dumps(inputs)))
    return path


def digests(home: Path) -> dict[str, str]:
    return {
        path.name: hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in sorted((home / "shards").iterdir())
    }


def rows(home: Path, kind: str, columns: list[str]) -> list[dict[str, Any]]:
    return [
        row
        for path in sorted((home / kind).rglob("*.parquet"))
        for row in pq.read_table(path, columns=columns).to_pylist()
    ]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dumps: 40 pages as multistream, of which one is a redirect and one short; of the second 5
    are the same pages again."""
    folder = tmp_path_factory.mktemp("wiki")
    pages = [page(number, f"P{number}", prose(number)) for number in range(38)] + [
        page(38, "R", "#REDIRECT [[P1]]", redirect="P1"),
        page(39, "S", "short"),
    ]
    (folder / "enwiki-20181220-pages-articles-multistream.xml.bz2").write_bytes(
        multistream(head(), pages, a_stream=7)[0]
    )
    (folder / "enwiki-20190101-pages-articles.xml").write_text(
        head()
        + "".join(page(number, f"P{number}", prose(number)) for number in range(33, 48))
        + "</mediawiki>"
    )
    return folder


@pytest.fixture(scope="module")
def reference(small: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from looked import stats

    from pipelines.cli import main

    folder = tmp_path_factory.mktemp("reference")
    recipe = write_recipe(folder, [f"{small}/*"])
    assert main(["build", str(recipe), "--home", str(folder / "home"), "--workers", "0"]) == 0
    return {
        "home": folder / "home",
        "recipe": recipe,
        "digests": digests(folder / "home"),
        "stats": stats(str(folder / "home")),
    }


def test_accounts(reference: dict[str, Any]) -> None:
    figures = reference["stats"]["sources"]["wiki"]
    assert (figures["records"], figures["documents"], figures["rejects"]) == (
        55,
        53,
        {"redirect": 1, "too_short": 1},
    )
    assert (figures["removed"]["exact"], figures["kept"]) == (5, 48)
    removed = [
        row for row in rows(reference["home"], "attributes/exact", ["id", "twin"]) if row["twin"]
    ]
    paths = {row["id"]: row["path"] for row in rows(reference["home"], "documents", ["id", "path"])}
    assert {paths[row["id"]][:15] for row in removed} == {"enwiki-20190101"} and {
        paths[row["twin"]][:15] for row in removed
    } == {"enwiki-20181220"}


@pytest.mark.parametrize(
    "flags",
    [
        ["--workers", 2, "--sources.wiki.slice-bytes", 200],
        ["--workers", 0, "--sources.wiki.slice-bytes", 3000],
    ],
    ids=["2", "slices"],
)
def test_the_same_bytes_from_any_workers_and_slices(
    flags: list[object], reference: dict[str, Any], tmp_path: Path, corpus: Corpus
) -> None:
    assert corpus("build", reference["recipe"], "--home", tmp_path / "home", *flags)[0] == 0
    assert digests(tmp_path / "home") == reference["digests"]


def test_build_of_the_test_data(tmp_path: Path, corpus: Corpus) -> None:
    """Every page of the five dumps, by kind; UTF-16 and CRLF among them. The index beside them is
    passed over."""
    if data_file("wikipedia/testcorpus.xml.bz2") is None:
        pytest.skip("needs the test data")
    recipe = write_recipe(tmp_path, [f"{DATA}/wikipedia/*.bz2"])
    assert corpus("build", recipe, "--home", tmp_path / "home", "--workers", 2)[0] == 0
    code, out, _ = corpus("stats", tmp_path / "home", "--json")
    figures = json.loads(out)["sources"]["wiki"]
    assert code == 0 and figures["records"] == 206 + 1002 + 8 + 3 + 9
    assert figures["rejects"] == {
        "disambiguation": 9,
        "empty": 11,
        "namespace": 487,
        "redirect": 174,
        "too_short": 278,
    }
    assert (figures["documents"], figures["removed"], figures["kept"]) == (
        269,
        {"exact": 0, "near": 0},
        269,
    )
    assert (
        len(
            {
                row["id"]
                for kind in ("documents", "rejects")
                for row in rows(tmp_path / "home", kind, ["id"])
            }
        )
        == 1228
    )
    code, out, _ = corpus(
        "show", tmp_path / "home", "--rejects", "--reason", "disambiguation", "--json"
    )
    assert code == 0 and "Austin_(disambiguation)" in out
    shutil.rmtree(tmp_path / "home")


def test_dry_run_of_the_packaged_recipe_says_what_the_whole_takes(
    tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the dump is there, and with a part of it."""
    monkeypatch.chdir(tmp_path)
    code, out, err = corpus("build", "wikipedia-en", "--home", tmp_path / "home", "--dry-run")
    assert (
        code == 0
        and "no input yet" in err
        and "16,000,000,000 bytes of input, about 5,700,000 documents, 12,000,000,000 bytes of text"
        in err
    )
    assert "core-hours of ingest" in err and "[expected.wikipedia]" in out
    (tmp_path / "again.toml").write_text(out)
    (tmp_path / "enwiki").mkdir()
    (tmp_path / "enwiki" / "enwiki-20181220-pages-articles1.xml.bz2").write_bytes(
        multistream(head(), [page(1, "A", prose(1))])[0]
    )
    code, out, _ = corpus(
        "build", tmp_path / "again.toml", "--home", tmp_path / "home", "--dry-run", "--json"
    )
    found = json.loads(out)["sources"]["wikipedia"]
    assert (
        code == 0
        and found["files"] == 1
        and found["expected"]["documents"] == 5_700_000
        and found["expected"]["core_hours"] > 0
    )
    code, _, err = corpus(
        "build",
        "wikipedia-en",
        "--home",
        tmp_path / "home",
        "--sources.wikipedia.input",
        "nowhere/*.bz2",
    )
    assert code == 2 and "nowhere" in err and "Traceback" not in err


def test_expected_figures_change_no_byte() -> None:
    from pipelines.adopt import changes
    from pipelines.recipe import parse_recipe, recipe_digest
    from shards.errors import UserError

    plain = RECIPE.format(inputs='["x"]')
    with_figures = parse_recipe(plain + "[expected.wiki]\ndocuments = 5\n", "recipe", "/")
    assert recipe_digest(with_figures) == recipe_digest(parse_recipe(plain, "recipe", "/"))
    assert list(changes(parse_recipe(plain, "recipe", "/"), with_figures)) == []
    with pytest.raises(UserError, match="expected: no source 'wikia'"):
        parse_recipe(plain + "[expected.wikia]\ndocuments = 5\n", "recipe", "/")


def test_the_parser_runs_where_it_can_be_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that ends the parser's process costs that page."""
    from corpora.document import Document
    from corpora.guard import Guard
    from corpora.wikipedia.source import WikipediaOptions, read, slices

    path = tmp_path / "a.xml"
    path.write_text(
        head()
        + page(1, "A", prose(1))
        + page(2, "B", "crash " + prose(2))
        + page(3, "C", prose(3))
        + "</mediawiki>"
    )
    with Guard("hostile:extract_wiki_or_fail", deadline_s=20) as guard:
        monkeypatch.setattr("corpora.wikipedia.source.shared_guard", lambda function: guard)
        options = WikipediaOptions(input=(str(path),))
        found = [record for piece in slices(options) for record in read(options, piece)]
    assert [
        record.title if isinstance(record, Document) else record.reason for record in found
    ] == ["A", "crash", "C"]


def test_a_build_names_the_ten_most_frequent_dropped_templates_and_own_ones_mend_the_text(
    tmp_path: Path, corpus: Corpus
) -> None:
    """Template k of twelve is dropped 13 - k times; the eleventh and the twelfth are not named."""
    text = "\n".join(f"{{{{box {k:02d}|a|b}}}}" for k in range(1, 13) for _ in range(13 - k))
    pages = [page(1, "A", f"{prose(1)} The {{{{sum|2|3}}}} apples.\n{text}")]
    (tmp_path / "xywiki-20190101-pages-articles.xml").write_text(
        head() + "".join(pages) + "</mediawiki>"
    )
    recipe = write_recipe(tmp_path, [str(tmp_path / "*.xml")])
    code, _, said = corpus("ingest", recipe, "--home", tmp_path / "home", "--workers", "0")
    named = ", ".join(f"box {k:02d} {13 - k}" for k in range(1, 11))
    assert code == 0 and f"left out, template: {named}; all: corpus stats" in said
    assert "left out, template in a sentence: sum 1; all" in said
    (document,) = rows(tmp_path / "home", "documents", ["text"])
    assert document["text"].endswith("The apples.")

    recipe.write_text(
        recipe.read_text().replace(
            "[tokenizer]", '[sources.wiki.own_templates]\n"sum" = "{1} and {2}"\n[tokenizer]'
        )
    )
    code, _, said = corpus("ingest", recipe, "--home", tmp_path / "home", "--workers", "0", "--yes")
    assert code == 0 and "template in a sentence" not in said
    (document,) = rows(tmp_path / "home", "documents", ["text"])
    assert document["text"].endswith("The 2 and 3 apples.")
