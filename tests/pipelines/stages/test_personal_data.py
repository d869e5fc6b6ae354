"""Personal data is counted and masked before anything is stored; `keep` samples by ids."""

import json
from collections.abc import Callable
from pathlib import Path

import looked
import pyarrow.parquet as pq
from plain_build import plain_build

from pipelines.home.layout import open_home
from pipelines.look.stats import stats

TEXTS = [
    "Write to jane@example.org or to joe@example.org.",
    "Nothing of that kind in here, 2019-04-25.",
    "Call +49 30 901820, card 4111 1111 1111 1111.",
]


def build(folder: Path, keys: str, texts: list[str], tables: str = "") -> str:
    folder.mkdir(exist_ok=True)
    rows = "".join(json.dumps({"text": text, "n": n}) + "\n" for n, text in enumerate(texts))
    (folder / "a.jsonl").write_text(rows)
    (folder / "recipe.toml").write_text(
        f'[sources.a]\nkind = "files"\ninput = "a.jsonl"\nid_field = "n"\n{keys}\n'
        f"[dedup]\nmax_removed = 1.0\n[tokenizer]\nvocab_size = 300\n{tables}"
    )
    return plain_build(folder / "recipe.toml", folder / "home")


def texts_of(home: str) -> list[str]:
    (path,) = (Path(home) / "documents" / "a").iterdir()
    texts: list[str] = pq.read_table(path).column("text").to_pylist()
    return texts


def test_masked_and_counted(tmp_path: Path, corpus: Callable[..., tuple[int, str, str]]) -> None:
    home = build(tmp_path / "masked", "[sources.a.pii]\nmask = true", TEXTS)
    masks = ["Write to [mail] or to [mail].", TEXTS[1], "Call [phone], card [card]."]
    assert texts_of(home) == masks
    assert stats(*open_home(home)).total.marks == {"pii_card": 1, "pii_mail": 1, "pii_phone": 1}
    (record,) = looked.why(home, "0")
    assert record["extra"]["pii"] == {
        "counts": {"mail": 2},
        "examples": {"mail": "j***@e******.o**"},
    }

    (data,) = [
        row
        for row in json.loads(corpus("report", home, "--json")[1])["personal_data"]
        if row["kind"] == "mail"
    ]
    assert data == {"kind": "mail", "documents": 1, "examples": ["j***@e******.o**"]}
    assert corpus("report", home, "--out", tmp_path / "report.html")[0] == 0
    assert "j***@e******.o**" in (tmp_path / "report.html").read_text()
    stored = b"".join(path.read_bytes() for path in Path(home).rglob("*") if path.is_file())
    assert b"901820" not in stored


def test_counted_and_not_masked(tmp_path: Path) -> None:
    home = build(tmp_path / "counted", '[sources.a.pii]\ncount = true\nkinds = ["mail"]', TEXTS)
    assert texts_of(home) == TEXTS
    assert stats(*open_home(home)).total.marks == {"pii_mail": 1}


def test_a_share_is_kept_by_ids(tmp_path: Path) -> None:
    """Of the same documents whatever else is there, and more of them with a higher share."""
    texts = [
        f"Document {number} {number * number} of {number % 7} others." for number in range(200)
    ]
    kept = {}
    for share, count in ((0.2, 200), (0.5, 200), (0.2, 150)):
        home = build(tmp_path / f"{share}-{count}", f"keep = {share}", texts[:count])
        figures = stats(*open_home(home)).sources["a"]
        kept[share, count] = {
            record["extra"]["id"] for record in looked.documents(home, None, False)
        }
        assert figures.kept == len(kept[share, count]) == count - (figures.removed["emit"] or 0)
    assert kept[0.2, 200] < kept[0.5, 200]
    assert kept[0.2, 150] == {number for number in kept[0.2, 200] if number < 150}
    assert 25 < len(kept[0.2, 200]) < 55


MAIL = "jane.of.the.mill@example.org"


def test_nothing_in_a_home_holds_what_is_masked(tmp_path: Path) -> None:
    """Rejects, titles, and what was removed from a book are stored too, and exported or shown."""
    story = "The king rode out at night, and the queen stayed at home with her books. " * 40
    (tmp_path / "books").mkdir()
    notice = f"Copyright 2010 by J. All rights reserved. Write to {MAIL}."
    (tmp_path / "books" / "a.txt").write_text(f"{notice}\n\nA tale.\n\n{story}\n")
    (tmp_path / "books" / "b.txt").write_text(f"A short one, by {MAIL}.")
    # The beginning that a reject keeps ends inside an address.
    (tmp_path / "books" / "c.txt").write_text(f"{'word ' * 97}{MAIL} and more.")
    rows = [
        {"title": f"Mail of {MAIL}", "text": "A text of some words."},
        {"title": "T", "body": f"A row without a text, of {MAIL}."},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "recipe.toml").write_text(
        '[sources.books]\nkind = "books"\ninput = "books/*.txt"\nmin_words = 200\n'
        "pii.mask = true\n"
        '[sources.rows]\nkind = "files"\ninput = "a.jsonl"\ntitle_field = "title"\n'
        "pii.mask = true\n"
        "[tokenizer]\nvocab_size = 300\n"
    )
    home = plain_build(tmp_path / "recipe.toml", tmp_path / "home", "ingest")

    short, cut = (record["text"] for record in looked.rejects(home, "books"))
    assert short == "A short one, by [mail]."
    assert cut == ("word " * 97 + "[mail] and more.")[:-64]
    (book,) = looked.documents(home, "books")
    assert book["extra"]["trimmed_text"] == notice.replace(MAIL, "[mail]")
    assert next(looked.documents(home, "rows"))["title"] == "Mail of [mail]"
    for folder in ("documents", "rejects"):
        for path in (Path(home) / folder).rglob("*.parquet"):
            assert "jane" not in str(pq.read_table(path).drop(["path"]).to_pylist())
