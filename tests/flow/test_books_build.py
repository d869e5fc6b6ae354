"""Books end to end from the test data: exact tallies, editions that go, the same bytes however it
is run. Row 48 of the list of defects."""

import json
import random
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import looked
import pytest
from epubs import epub, tarred, zipped
from realdata import DATA, data_file

from shards.manifest import read_manifest

Corpus = Callable[..., tuple[int, str, str]]

RECIPE = """
[sources.books]
kind = "books"
input = {inputs}
language = "en"
min_words = 500
[tokenizer]
vocab_size = 2000
sample_bytes = 200000
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if data_file("books") is None:
        pytest.skip("no test data: books")
    folder = tmp_path_factory.mktemp("books_build")
    (folder / "more").mkdir()
    with_drm = epub({"a.xhtml": "<p>x</p>"}, files={"META-INF/encryption.xml": "<encryption/>"})
    bomb = epub({"a.xhtml": " " * 30_000_000})
    for name, content in {
        "drm.epub": with_drm,
        "bomb.epub": bomb,
        "cut.epub": bomb[:200],
        "short.txt": b"Too short.",
    }.items():
        (folder / "more" / name).write_bytes(content)
    alice = data_file("books/epub/alice.epub")
    assert alice is not None
    (folder / "more" / "the same by another name.epub").write_bytes(alice.read_bytes())
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(inputs=json.dumps([f"{DATA}/books/**", f"{folder}/more/*"])))
    return path


@pytest.fixture(scope="module")
def home(recipe: Path) -> Path:
    from pipelines.cli import main

    assert (
        main(["build", str(recipe), "--home", str(recipe.parent / "home"), "--workers", "0"]) == 0
    )
    return recipe.parent / "home"


def shards(home: Path) -> list[Any]:
    return [(entry.file, entry.digest) for entry in read_manifest(str(home / "shards")).shards]


def test_exact_tallies(home: Path, corpus: Corpus) -> None:
    figures = json.loads(corpus("stats", home, "--json")[1])["sources"]["books"]
    assert figures["records"] == 48
    assert figures["rejects"] == {
        "bomb": 1,
        "damaged": 1,
        "encrypted": 1,
        "language": 1,
        "too_short": 1,
    }
    assert (figures["documents"], figures["removed"], figures["kept"]) == (
        43,
        {"exact": 1, "near": 3},
        39,
    )


def test_one_of_each_book_survives(home: Path) -> None:
    """The same file by another name is an exact copy; pg11, pg84 and pg1342 are there in two
    editions."""
    removed = list(looked.documents(str(home), "books", removed=True))
    assert [record["stage"] for record in removed].count("exact") == 1
    near = {
        json.loads(record["extra"])["member"]
        if isinstance(record["extra"], str)
        else record["extra"]["member"]
        for record in removed
        if record["stage"] == "near"
    }
    assert near == {
        "gutenberg_raw/pg11_alice30_1994.txt",
        "gutenberg_raw/pg1342_2025.txt",
        "gutenberg_raw/pg84_2025.txt",
    }


@pytest.mark.parametrize(
    "flags",
    [["--workers", 2, "--sources.books.slice-bytes", 1000]],
    ids=["2 workers, small slices"],
)
def test_the_same_bytes(flags: list[object], tmp_path: Path, corpus: Corpus) -> None:
    """Also of books that are generated, so that this runs everywhere."""
    draw = random.Random(0)
    words = [f"word{draw.randrange(500)}" for _ in range(30_000)]
    (tmp_path / "in").mkdir()
    for number in range(6):
        chapters = {
            f"{chapter}.xhtml": (
                f"<p>{' '.join(words[3000 * number + 700 * chapter :][:700])} and so they went "
                "home, said she.</p>"
            )
            for chapter in range(3)
        }
        (tmp_path / "in" / f"{number}.epub").write_bytes(epub(chapters))
    members = {
        f"{number}.txt": textwrap.fill(" ".join(words[20_000 + 1000 * number :][:600]), 72).encode()
        for number in range(5)
    }
    (tmp_path / "in" / "books.tar").write_bytes(
        tarred({**members, "drm.epub": b"no zip", "a.zip": zipped({"x.txt": "short"})})
    )
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        RECIPE.format(inputs='"in/**"')
        .replace('language = "en"', 'language = "any"')
        .replace("vocab_size = 2000", "vocab_size = 300")
    )
    for name, given in (("one", ["--workers", 0]), ("other", flags)):
        code, _, err = corpus("build", recipe, "--home", tmp_path / name, *given)
        assert code == 0, err
    assert shards(tmp_path / "one") == shards(tmp_path / "other")
    figures = json.loads(corpus("stats", tmp_path / "one", "--json")[1])["sources"]["books"]
    assert (figures["records"], figures["rejects"], figures["kept"]) == (
        13,
        {"damaged": 1, "too_short": 1},
        11,
    )
