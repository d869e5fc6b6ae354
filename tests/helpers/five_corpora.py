"""The paper's five corpora, small: real ones of the test data, and texts planted in several of
them."""

import json
import lzma
from collections.abc import Callable
from pathlib import Path

import archives
import dumps
import epubs
from realdata import DATA

CORPORA = ("wikipedia", "books", "openwebtext", "stories", "cc-news")
"""By priority: of copies in several the first one's stays."""
INPUTS = {
    "wikipedia": "wikipedia/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
    "books": "books/gutenberg_raw.tar.xz",
    "openwebtext": "openwebtext/openwebtext/*.xz",
    "stories": "cc-news/crawl-data/CC-NEWS/2016/09/*.warc.gz",
    "cc-news": "cc-news/crawl-data/CC-NEWS/2016/09/*.warc.gz",
}
"""Of the test data. Stories are chosen from the same archive that the news are of, so that each
chosen one is there twice."""
QUESTIONS = (
    "The trophy does not fit in the brown suitcase because it is too big.",
    "The man could not lift his son because he was so weak.",
    "Joan made sure to thank Susan for all the help she had given.",
)
"""In every planted text, so that it is among the best."""
TABLES = {
    "wikipedia": 'kind = "wikipedia"\n',
    "books": 'kind = "books"\nmin_words = 100\n',
    "openwebtext": 'kind = "openwebtext"\n',
    "stories": 'kind = "stories"\nquestions = "questions.txt"\ntop_fraction = {fraction}\n',
    "cc-news": 'kind = "cc_news"\nstart = "2016-09-01"\nend = "2019-03-01"\n',
}


def equal_text(number: int) -> str:
    """A text of some 250 words for each number."""
    return " ".join([archives.english(5000 + number, 18), *QUESTIONS])


def near_text(number: int, corpus: str) -> str:
    """The same for each number, but for a word of the corpus' own."""
    words = [*archives.english(6000 + number, 18).split(), *" ".join(QUESTIONS).split()]
    words[60] = corpus.replace("-", "")
    return " ".join(words)


def planted(corpus: str) -> list[str]:
    """The texts planted in a corpus: number k stands, equal and nearly so, in the corpus of
    priority k and in all after it."""
    numbers = range(CORPORA.index(corpus) + 1)
    return [text for number in numbers for text in (equal_text(number), near_text(number, corpus))]


def _wikipedia(folder: Path, texts: list[str]) -> str:
    pages = "".join(
        dumps.page(number + 1, f"Planted {number}", text) for number, text in enumerate(texts)
    )
    (folder / "planted-20181220-pages-articles.xml").write_text(dumps.head() + pages + dumps.END)
    return "*.xml"


def _books(folder: Path, texts: list[str]) -> str:
    for number, text in enumerate(texts):
        (folder / f"{number:02d}.txt").write_text(text)
    return "*.txt"


def _release(folder: Path, texts: list[str]) -> str:
    members = {
        f"{number:07d}-{number:032x}.txt": text.encode() for number, text in enumerate(texts)
    }
    (folder / "urlsf_subset99-1_data.xz").write_bytes(lzma.compress(epubs.tarred(members)))
    return "*.xz"


def _stories(folder: Path, texts: list[str]) -> str:
    records = (
        archives.record(
            "conversion",
            text.encode(),
            f"http://stories.example/{number}",
            content_type="text/plain",
        )
        for number, text in enumerate(texts)
    )
    (folder / "planted.warc.wet.gz").write_bytes(archives.members(*records))
    return "*.wet.gz"


def _news(folder: Path, texts: list[str]) -> str:
    pages = (
        archives.response(archives.page(text), f"http://planted.example/{number}")
        for number, text in enumerate(texts)
    )
    (folder / "planted.warc.gz").write_bytes(archives.members(*pages))
    return "*.warc.gz"


PLANT: dict[str, Callable[[Path, list[str]], str]] = {
    "wikipedia": _wikipedia,
    "books": _books,
    "openwebtext": _release,
    "stories": _stories,
    "cc-news": _news,
}


def write(folder: Path, with_data: bool = True) -> Path:
    """The recipe, its tables in another order than the priority's; with or without the real
    inputs."""
    tables = ""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "questions.txt").write_text("\n".join(QUESTIONS) + "\n")
    for name in reversed(CORPORA):
        (folder / name).mkdir(parents=True)
        inputs = [str(folder / name / PLANT[name](folder / name, planted(name)))]
        inputs += [str(DATA / INPUTS[name])] if with_data else []
        tables += (
            f'[sources.{name}]\nlanguage = "en"\ninput = {json.dumps(inputs)}\n'
            f"{TABLES[name].format(fraction=0.5 if with_data else 1.0)}"
        )
    path = folder / "recipe.toml"
    path.write_text(
        f"{tables}[dedup]\npriority = {json.dumps(CORPORA)}\nmax_removed = 0.9\n[tokenizer]\n"
        "vocab_size = 1000\nsample_bytes = 200000\n"
    )
    return path
