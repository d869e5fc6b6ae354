"""The language that a recipe names: what it removes, and where it is said."""

import bz2
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import looked
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plain_build import plain_build

from corpora.books.source import BooksOptions
from corpora.cc_news.source import CcNewsOptions
from corpora.document import SourceOptions
from corpora.files.source import FilesOptions
from corpora.openwebtext.source import OpenWebTextOptions
from corpora.stories.source import StoriesOptions
from corpora.wikipedia.source import WikipediaOptions
from pipelines.look.cards import export_card
from pipelines.recipe import parse_recipe
from shards.errors import UserError

Corpus = Callable[..., tuple[int, str, str]]

EN = "The council of the town met again to talk about the bridge and about those who live near it. "
LV = "Pilsētas dome atkal sanāca, lai runātu par tiltu un cilvēkiem, kas dzīvo tā tuvumā. "
TH = "สภาเมืองประชุมอีกครั้งเพื่อพูดคุยเกี่ยวกับสะพานและผู้คนที่อาศัยอยู่ใกล้สะพานนั้น "
FIGURES = "\n".join(f"{year} {year * 37} {year * 41}" for year in range(1950, 1990))

REST = "[tokenizer]\nvocab_size = 300\n[dedup]\nexact = false\nnear = false\n"

PAGE = "<html><body><article><h1>The bridge</h1>{}</article></body></html>"

DUMP = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="{language}">
<siteinfo><dbname>w</dbname></siteinfo>
<page><title>Tilts</title><ns>0</ns><id>1</id><revision><id>2</id>
<text xml:space="preserve">{text}</text></revision></page></mediawiki>"""


def write_mixed(folder: Path) -> None:
    """One English, one Latvian and one Thai document of each format, and a table of figures."""
    folder.mkdir()
    for name, text in (("en", EN), ("lv", LV), ("th", TH)):
        (folder / f"{name}.txt").write_text(text * 4)
        (folder / f"{name}.txt.gz").write_bytes(gzip.compress((text * 5).encode()))
        page = PAGE.format("".join(f"<p>{text * 3} {number}</p>" for number in range(9)))
        (folder / f"{name}.html").write_text(page)
    lines = [{"text": text * 2} for text in (EN, LV, TH)]
    (folder / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    pq.write_table(pa.table({"text": [EN * 6, LV * 6, TH * 6]}), folder / "a.parquet")
    (folder / "figures.txt").write_text(FIGURES)


def built(folder: Path, keys: str, kind: str = "files", until: str = "dedup") -> str:
    recipe = folder / "recipe.toml"
    recipe.write_text(f'[sources.mine]\nkind = "{kind}"\ninput = "in/*"\n{keys}\n{REST}')
    return plain_build(recipe, folder / "home", until)


def front_matter(card: str) -> list[str]:
    found = re.search(r"^language:\n((?:- .*\n)+)", card, re.MULTILINE)
    return re.findall(r'"(.*)"', found[1]) if found else []


def card_of_export(home: str) -> list[str]:
    return front_matter(export_card(looked.gathered(home), "parquet"))


def test_every_format_is_filtered(tmp_path: Path) -> None:
    """Not web pages alone. A table of figures is in no other language."""
    write_mixed(tmp_path / "in")
    home = built(tmp_path, 'language = "en"')

    kept = {(record["path"], record["language"]) for record in looked.documents(home)}
    names = {"en.txt", "en.txt.gz", "en.html", "a.jsonl", "a.parquet"}
    assert kept == {*((name, "en") for name in names), ("figures.txt", "und")}
    (row,) = looked.stats(home)["sources"].values()
    assert (row["records"], row["documents"], row["rejects"]) == (16, 6, {"language": 10})
    refused = {(record["path"], record["detail"]) for record in looked.rejects(home)}
    assert {("lv.txt", "lv"), ("th.txt.gz", "th"), ("lv.html", "lv")} < refused
    assert card_of_export(home) == ["en"]


def test_any_language_keeps_all_and_the_card_names_none(tmp_path: Path) -> None:
    """The card would say `en` of texts whose language nobody knows."""
    write_mixed(tmp_path / "in")
    home = built(tmp_path, "")
    assert len(list(looked.documents(home))) == 16
    languages = {row["language"]: row["kept"] for row in looked.figures(home)["languages"]}
    assert languages == {None: 13, "en": 1, "lv": 1, "th": 1}
    assert card_of_export(home) == []


def test_a_label_is_in_documents_cards_and_reports(tmp_path: Path) -> None:
    write_mixed(tmp_path / "in")
    home = built(tmp_path, 'label = "ltg"', until="shards")
    assert {record["language"] for record in looked.documents(home)} == {"ltg"}
    assert {row["language"]: row["kept"] for row in looked.figures(home)["languages"]} == {
        "ltg": 16
    }
    assert card_of_export(home) == ["ltg"]
    assert front_matter((Path(home) / "shards" / "README.md").read_text()) == ["ltg"]


def test_a_label_beside_a_filter(tmp_path: Path) -> None:
    write_mixed(tmp_path / "in")
    home = built(tmp_path, 'language = "lv"\nlabel = "lv-LV"')
    found = {(record["path"], record["language"]) for record in looked.documents(home)}
    names = {"lv.txt", "lv.txt.gz", "lv.html", "a.jsonl", "a.parquet", "figures.txt"}
    assert found == {(name, "lv-LV") for name in names}


EU = "Hiriko kontseilua berriro bildu zen zubiaz eta haren ondoan bizi den jendeaz hitz egiteko. "


@pytest.mark.parametrize("wanted", ["eu", "nb"])
def test_languages_that_langdetect_does_not_know(wanted: str, tmp_path: Path) -> None:
    """Nor by this name. Of pages too, which langdetect would take for Spanish."""
    own = (
        EU
        if wanted == "eu"
        else "Byrådet møttes igjen for å snakke om brua og om dem som bor der. "
    )
    (tmp_path / "in").mkdir()
    for name, text in (("own", own), ("en", EN), ("lv", LV)):
        (tmp_path / "in" / f"{name}.txt").write_text(text * 4)
        page = PAGE.format("".join(f"<p>{text * 3} {number}</p>" for number in range(9)))
        (tmp_path / "in" / f"{name}.html").write_text(page)
    home = built(tmp_path, f'language = "{wanted}"')
    kept = {(record["path"], record["language"]) for record in looked.documents(home)}
    assert kept == {("own.txt", wanted), ("own.html", wanted)}


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_a_field_tells_the_language(form: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    rows = [
        {"text": "first", "lang": "en"},
        {"text": "second", "lang": "de"},
        {"text": "third", "lang": "en-US"},
        {"text": "fourth", "lang": None},
        {"text": EN, "lang": "ltg"},
        {"text": LV, "lang": "English"},
        {"text": LV * 2, "lang": None},
    ]
    if form == "jsonl":
        (tmp_path / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in" / "a.parquet")

    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "in").symlink_to(tmp_path / "in")
    every = built(tmp_path / "all", 'language_field = "lang"')
    found = [record.get("language") for record in looked.documents(every)]
    assert found == ["en", "de", "en", None, "ltg", "en", None]

    english = built(tmp_path, 'language_field = "lang"\nlanguage = "en"')
    texts = [record["text"] for record in looked.documents(english)]
    assert texts == ["first", "third", "fourth", LV.strip()]
    assert [record["detail"] for record in looked.rejects(english)] == ["de", "ltg", "lv"]


@pytest.mark.parametrize(
    ("dumped", "keys", "found"),
    [
        ("ltg", "", "ltg"),
        ("ltg", 'language = "ltg"', "ltg"),
        ("eu", 'language = "eu"', "eu"),
        ("", 'language = "ltg"', "ltg"),
        ("lv", 'label = "ltg"', "ltg"),
        ("zh", "", "zh-cn"),
    ],
)
def test_a_dump_of_any_language(dumped: str, keys: str, found: str, tmp_path: Path) -> None:
    """Nothing is filtered by it, so that no detector need know it."""
    (tmp_path / "in").mkdir()
    dump = DUMP.format(language=dumped, text=LV * 8)
    (tmp_path / "in" / "w.xml.bz2").write_bytes(bz2.compress(dump.encode()))
    home = built(tmp_path, keys, "wikipedia", until="shards")
    assert [record["language"] for record in looked.documents(home)] == [found]
    assert card_of_export(home) == [found.partition("-")[0]]


def test_a_source_of_your_own_is_taken_to_be_in_the_language(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("page")
    for language in ("en", "ltg"):
        folder = tmp_path / language
        folder.mkdir()
        (folder / "in").symlink_to(tmp_path / "in")
        home = built(folder, f'language = "{language}"', "one_text:source")
        assert [record["language"] for record in looked.documents(home)] == [language]


PLACES = {"input": ("x",)}


@pytest.mark.parametrize(
    "kind", [CcNewsOptions, BooksOptions, StoriesOptions, FilesOptions, OpenWebTextOptions]
)
def test_a_language_that_cannot_be_told_apart_has_a_remedy(kind: type[SourceOptions]) -> None:
    more: dict[str, Any] = {"source": "reddit"} if kind is OpenWebTextOptions else {}
    with pytest.raises(ValueError, match="'ltg' is not known") as caught:
        kind(**PLACES, language="ltg", **more)
    hint = getattr(caught.value, "hint", "")
    assert hint.startswith('"any" keeps all languages, and label = "ltg" names yours')


@pytest.mark.parametrize("kind", [WikipediaOptions, OpenWebTextOptions, SourceOptions])
def test_where_nothing_is_filtered_any_code_is_taken(kind: type[SourceOptions]) -> None:
    more = {"kind": "own:source"} if kind is SourceOptions else {}
    for code in ("ltg", "eu", "sr-Latn", "any"):
        assert kind(**PLACES, language=code, **more).told == code
    for wrong in ("latgalian", "l", "ltg_", "e n", ""):
        with pytest.raises(ValueError, match="is not the code of a language"):
            kind(**PLACES, language=wrong, **more)


@pytest.mark.parametrize("label", ["Latgalian", "any", "", "en GB"])
def test_a_label_is_a_code(label: str) -> None:
    with pytest.raises(ValueError, match="is not the code of a language"):
        FilesOptions(**PLACES, label=label)


def test_a_flag_has_the_same_remedy(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "recipe.toml").write_text('[sources.news]\nkind = "cc_news"\ninput = "x"\n')
    flags = ("--sources.news.language", "ltg")
    code, _, err = corpus("build", tmp_path / "recipe.toml", "--dry-run", *flags)
    assert code == 2 and "sources.news: language: 'ltg' is not known" in err
    assert 'hint: "any" keeps all languages, and label = "ltg" names yours' in err


def test_a_recipe_names_the_key_and_the_remedy(tmp_path: Path) -> None:
    text = '[sources.news]\nkind = "cc_news"\ninput = "x"\nlanguage = "ltg"'
    with pytest.raises(UserError) as caught:
        parse_recipe(text, "recipe.toml", str(tmp_path))
    assert caught.value.what.startswith("recipe.toml: sources.news.language: 'ltg' is not known")
    assert '"any" keeps all languages' in caught.value.hint
