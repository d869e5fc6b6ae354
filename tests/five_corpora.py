"""The paper's five corpora, small: real ones of the test data, and texts planted in several of them."""

import json
from collections.abc import Callable
from pathlib import Path

import archives
import dumps
from realdata import DATA

CORPORA = ("wikipedia", "books", "cc-news")
"""By priority: of copies in several the first one's stays."""
INPUTS = {
    "wikipedia": "wikipedia/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
    "books": "books/gutenberg_raw.tar.xz",
    "cc-news": "cc-news/crawl-data/CC-NEWS/2016/09/*.warc.gz",
}
"""Of the test data."""
TABLES = {
    "wikipedia": 'kind = "wikipedia"\n',
    "books": 'kind = "books"\nmin_words = 100\n',
    "cc-news": 'kind = "cc_news"\nstart = "2016-09-01"\nend = "2019-03-01"\n',
}


def equal_text(number: int) -> str:
    """A text of some 200 words for each number."""
    return archives.english(5000 + number, 18)


def near_text(number: int, corpus: str) -> str:
    """The same for each number, but for a word of the corpus' own."""
    words = archives.english(6000 + number, 18).split()
    words[60] = corpus.replace("-", "")
    return " ".join(words)


def planted(corpus: str) -> list[str]:
    """The texts planted in a corpus: number k stands, equal and nearly so, in the corpus of priority k and in all after it."""
    numbers = range(CORPORA.index(corpus) + 1)
    return [text for number in numbers for text in (equal_text(number), near_text(number, corpus))]


def _wikipedia(folder: Path, texts: list[str]) -> str:
    pages = "".join(dumps.page(number + 1, f"Planted {number}", text) for number, text in enumerate(texts))
    (folder / "planted-20181220-pages-articles.xml").write_text(dumps.head() + pages + dumps.END)
    return "*.xml"


def _books(folder: Path, texts: list[str]) -> str:
    for number, text in enumerate(texts):
        (folder / f"{number:02d}.txt").write_text(text)
    return "*.txt"


def _news(folder: Path, texts: list[str]) -> str:
    pages = (archives.response(archives.page(text), f"http://planted.example/{number}") for number, text in enumerate(texts))
    (folder / "planted.warc.gz").write_bytes(archives.members(*pages))
    return "*.warc.gz"


PLANT: dict[str, Callable[[Path, list[str]], str]] = {"wikipedia": _wikipedia, "books": _books, "cc-news": _news}


def write(folder: Path, with_data: bool = True) -> Path:
    """The recipe, its tables in another order than the priority's; with or without the real inputs."""
    tables = ""
    for name in reversed(CORPORA):
        (folder / name).mkdir(parents=True)
        inputs = [str(folder / name / PLANT[name](folder / name, planted(name)))]
        inputs += [str(DATA / INPUTS[name])] if with_data else []
        tables += f'[sources.{name}]\nlanguage = "en"\ninput = {json.dumps(inputs)}\n{TABLES[name]}'
    path = folder / "recipe.toml"
    path.write_text(f"{tables}[dedup]\npriority = {json.dumps(CORPORA)}\nmax_removed = 0.9\n[tokenizer]\nvocab_size = 1000\nsample_bytes = 200000\n")
    return path
