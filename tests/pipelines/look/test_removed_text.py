"""`corpus show --removed-text`: what was removed from inside documents, and nothing else."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from plain_build import plain_build

from corpora.books.gutenberg import strip

Corpus = Callable[..., tuple[int, str, str]]

STORY = "The king rode out at night, and the queen stayed at home with her books and cats. " * 30

NOTICE = "Copyright © 2010 by A. Writer. All rights reserved."

HEADER = "The Project Gutenberg eBook of The King\n\nTitle: The King\nAuthor: A. Writer\n\n"
START = "*** START OF THE PROJECT GUTENBERG EBOOK THE KING ***"
END = "*** END OF THE PROJECT GUTENBERG EBOOK THE KING ***"
LICENCE = "Updated editions will replace the previous one.\n" * 40

BANNER = "We use cookies to make this site better for all who read it."

RECIPE = """
[sources.books]
kind = "books"
input = "books/*.txt"
[sources.pages]
kind = "files"
input = "pages.jsonl"
id_field = "n"
[sources.pages.dedup]
passages = "remove"
[dedup]
near = false
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("lost")
    (folder / "books").mkdir()
    (folder / "books" / "a-plain.txt").write_text(f"A tale.\n\n{STORY}\n")
    (folder / "books" / "b-noticed.txt").write_text(f"{NOTICE}\n\nAnother tale.\n\n{STORY}\n")
    (folder / "books" / "c-project.txt").write_text(
        f"{HEADER}{START}\n\nThe first line.\n\n{STORY}\n\n{END}\n\n{LICENCE}"
    )
    pages = [
        {"n": 1, "text": f"{BANNER}\nThe bridge was closed for a day by the council."},
        {"n": 2, "text": f"{BANNER}\nA cat was found on the roof of the town hall."},
    ]
    (folder / "pages.jsonl").write_text("".join(json.dumps(page) + "\n" for page in pages))
    (folder / "recipe.toml").write_text(RECIPE)
    return plain_build(folder / "recipe.toml", folder / "home", "dedup")


def test_only_documents_that_lost_something_are_shown(home: str, corpus: Corpus) -> None:
    code, out, _ = corpus("show", home, "--removed-text", "--n", 9, "--json")
    assert code == 0
    found = {
        record["path"].rpartition("/")[2] + str(record["extra"].get("id", "")): record[
            "removed_text"
        ]
        for record in json.loads(out)["records"]
    }
    assert list(found) == ["b-noticed.txt", "c-project.txt", "pages.jsonl2"]
    assert found["b-noticed.txt"] == [
        {"what": "notices", "characters": len(NOTICE), "text": NOTICE}
    ]
    assert found["pages.jsonl2"] == [{"what": "passage", "characters": len(BANNER), "text": BANNER}]

    (project,) = found["c-project.txt"]
    assert project["what"] == "boilerplate"
    # All of header and licence, with the blank lines around the book.
    assert project["characters"] == len(f"{HEADER}{START}\n\n") + len(f"\n\n{END}\n\n{LICENCE}")
    head, _, tail = project["text"].partition(f"\n\n{END}")
    assert head == f"{HEADER}{START}"
    licence = f"{END}\n\n{LICENCE}".strip()
    assert f"{END}{tail}" == f"{licence[:500]}\n[...]\n{licence[-500:]}"


def test_it_is_printed_in_place_of_the_text(home: str, corpus: Corpus) -> None:
    code, out, _ = corpus("show", home, "--removed-text", "--source", "pages")
    assert code == 0
    assert f"removed passage, {len(BANNER)} characters:\n{BANNER}" in out
    assert "A cat was found" not in out

    # Beside the text they would only be in the way.
    _, plain, _ = corpus("show", home, "--source", "books", "--n", 9)
    assert "A tale." in plain and NOTICE not in plain and "'trimmed': 51" in plain


def test_rejects_have_no_removed_text(home: str, corpus: Corpus) -> None:
    code, _, err = corpus("show", home, "--rejects", "--removed-text")
    assert (code, err) == (
        2,
        "error: --rejects and --removed-text exclude each other\nhint: give only one of them\n",
    )


def test_a_home_without_such_documents(home: str, tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "a.txt").write_text("One line of a text that loses nothing.")
    (tmp_path / "recipe.toml").write_text('[sources.mine]\nkind = "files"\ninput = "*.txt"\n')
    plain = plain_build(tmp_path / "recipe.toml", tmp_path / "home", "ingest")
    code, out, err = corpus("show", plain, "--removed-text")
    assert (code, out) == (0, "") and "no such record" in err


def test_the_pieces_around_two_books() -> None:
    two = f"{HEADER}{START}\n\nOne.\n\n{END}\n\nBetween.\n\n" * 2
    pieces = strip(two).pieces
    header = f"{HEADER}{START}"
    end = f"{END}\n\nBetween."
    assert pieces == (header, f"{end}\n\n{header}", end)
