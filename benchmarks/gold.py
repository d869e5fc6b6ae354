"""Pages with a known text, and how an extraction is scored against it: what `bench_gold.py` prints
and `tests/corpora/web/test_gold.py` holds.

bodies     the whole article is known: shares of its runs of four words, by the rule of
           article-extraction-benchmark's scorer
words      the whole text is known, of pages of all kinds (WCXB): F1 of lower-cased words as
           multisets, the mean over pages, by the rule of its own scorer
snippets   sentences that belong to the article, and some that do not: found or not found, after
           white space is collapsed
"""

import gzip
import json
import os
import re
import statistics
import tarfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lxml.html

from corpora.web.http_body import decode_body
from corpora.web.page import MAX_PAGE_BYTES
from corpora.web.warc import Record, read_archive

DATA = Path(
    os.environ.get("CORPUSMILL_TEST_DATA", Path(__file__).parent.parent.parent / "shared" / "data")
)
SETS = (
    "article-extraction-benchmark",
    "trafilatura-eval",
    "newspaper4k",
    "readability-test-pages",
    "cc-news",
    "wcxb-dev",
)
QUICK_WCXB = 8
"""Each eighth page of WCXB, 64 of 512, is what the quick tests read."""

_TOKEN = re.compile(r"\w+")
_RUN = 4


@dataclass(frozen=True, kw_only=True)
class GoldPage:
    """`body`: the article's whole text, or None where only `wanted` and `unwanted` sentences are
    known. `words`: scored by words; `kind`: the type of the page, where the set has such."""

    name: str
    content: bytes
    content_type: str = ""
    body: str | None = None
    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    words: bool = False
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class Score:
    precision: float
    recall: float
    mean_f1: float | None = None
    """Of WCXB: the mean of the pages' own F1."""

    @property
    def f1(self) -> float:
        """The harmonic mean, or the mean over pages; 0.0 where nothing was found."""
        if self.mean_f1 is not None:
            return self.mean_f1
        return (
            2 * self.precision * self.recall / (self.precision + self.recall)
            if self.precision + self.recall
            else 0.0
        )


def gold_pages(name: str) -> list[GoldPage]:
    """The pages of one of `SETS`; none where the data is not there."""
    if name == "cc-news":
        return _of_archives() if (DATA / "cc-news" / "gold.json.gz").exists() else []
    path = DATA / "html" / f"{name}.tar.xz"
    return _READERS[name](_members(path)) if path.exists() else []


def score(pages: Sequence[GoldPage], texts: Sequence[str]) -> Score:
    """Precision and recall of the texts: means over pages with bodies, of all snippets together
    else."""
    if pages[0].words:
        return _score_words(pages, texts)
    if pages[0].body is not None:
        shares = [_shares(page.body or "", text) for page, text in zip(pages, texts)]
        precision = [right / (right + wrong) for right, wrong, _ in shares if right + wrong > 0]
        recall = [right / (right + missed) for right, _, missed in shares if right + missed > 0]
        return Score(
            precision=statistics.mean(precision or [0.0]), recall=statistics.mean(recall or [0.0])
        )
    found, wrong, missed = 0, 0, 0
    for page, text in zip(pages, texts):
        held = collapsed(text)
        hits = sum(collapsed(snippet) in held for snippet in page.wanted)
        found, missed = found + hits, missed + len(page.wanted) - hits
        wrong += sum(collapsed(snippet) in held for snippet in page.unwanted)
    return Score(precision=found / ((found + wrong) or 1), recall=found / ((found + missed) or 1))


def _score_words(pages: Sequence[GoldPage], texts: Sequence[str]) -> Score:
    """Means over pages of precision, recall and F1 of words."""
    rows = [_word_shares(page.body or "", text) for page, text in zip(pages, texts)]
    precision, recall, f1 = (statistics.mean(column) for column in zip(*rows))
    return Score(precision=precision, recall=recall, mean_f1=f1)


def _word_shares(true: str, found: str) -> tuple[float, float, float]:
    """Precision, recall and F1 of the lower-cased words of a text, as multisets."""
    of_true = Counter(_TOKEN.findall(true.lower()))
    of_found = Counter(_TOKEN.findall(found.lower()))
    if not of_true and not of_found:
        return 1.0, 1.0, 1.0
    right = (of_true & of_found).total()
    if not right:
        return 0.0, 0.0, 0.0
    precision, recall = right / of_found.total(), right / of_true.total()
    return precision, recall, 2 * precision * recall / (precision + recall)


def collapsed(text: str) -> str:
    """White space as single blanks, soft hyphens gone."""
    return " ".join(text.replace("\xad", "").split())


def _shares(true: str, found: str) -> tuple[float, float, float]:
    """Runs of four words in both texts, only in the found one, only in the true one, as shares of
    their sum: long texts weigh no more."""
    of_true, of_found = _runs(true), _runs(found)
    right = (of_true & of_found).total()
    wrong, missed = of_found.total() - right, of_true.total() - right
    total = (right + wrong + missed) or 1
    return right / total, wrong / total, missed / total


def _runs(text: str) -> Counter[tuple[str, ...]]:
    words = _TOKEN.findall(text)
    return Counter(
        tuple(words[i : i + _RUN]) for i in range(max(1, len(words) - _RUN + 1)) if words
    )


def _members(path: Path) -> dict[str, bytes]:
    """The files of an archive by the rest of their path."""
    with tarfile.open(path) as tar:
        return {
            member.name.partition("/")[2] or member.name: tar.extractfile(member).read()
            for member in tar
            if member.isfile()
        }  # type: ignore[union-attr]


def _article_extraction_benchmark(files: dict[str, bytes]) -> list[GoldPage]:
    truth = json.loads(files["ground-truth.json"])
    return [
        GoldPage(name=key, content=files[f"html/{key}.html"], body=entry["articleBody"])
        for key, entry in sorted(truth.items())
    ]


def _trafilatura_eval(files: dict[str, bytes]) -> list[GoldPage]:
    entries = json.loads(files["evaldata.json"]).values()
    return [
        GoldPage(
            name=entry["file"],
            content=files[f"html/{entry['file']}"],
            wanted=tuple(entry["with"]),
            unwanted=tuple(entry["without"]),
        )
        for entry in entries
    ]


def _newspaper4k(files: dict[str, bytes]) -> list[GoldPage]:
    names = sorted(name[5:-5] for name in files if name.endswith(".html"))
    return [
        GoldPage(
            name=name, content=files[f"html/{name}.html"], body=files[f"txt/{name}.txt"].decode()
        )
        for name in names
    ]


def _readability(files: dict[str, bytes]) -> list[GoldPage]:
    names = sorted(name.rpartition("/")[0] for name in files if name.endswith("/source.html"))
    return [
        GoldPage(
            name=name,
            content=files[f"{name}/source.html"],
            body=_text(files[f"{name}/expected.html"]),
        )
        for name in names
    ]


def _wcxb(files: dict[str, bytes]) -> list[GoldPage]:
    truth = json.loads(files["ground-truth.json"])
    return [
        GoldPage(
            name=number,
            content=files[f"{number}.html"],
            body=entry["main_content"],
            words=True,
            kind=entry["type"],
        )
        for number, entry in sorted(truth.items())
    ]


def _text(markup: bytes) -> str:
    tree = lxml.html.fromstring(markup.decode(), parser=lxml.html.HTMLParser(encoding="utf-8"))
    return " ".join(str(text) for text in tree.itertext())


def _of_archives() -> list[GoldPage]:
    entries: list[dict[str, Any]] = json.loads(
        gzip.decompress((DATA / "cc-news" / "gold.json.gz").read_bytes())
    )
    pages = []
    for name in sorted({entry["file"] for entry in entries}):
        with (DATA / "cc-news" / name).open("rb") as stream:
            records = {
                item.position: item for item in read_archive(stream) if isinstance(item, Record)
            }
        for entry in entries:
            record = records.get(entry["offset"])
            if entry["file"] == name and record is not None and entry["snippets_with"]:
                body = decode_body(record.body, record.headers, MAX_PAGE_BYTES)
                wanted, unwanted = tuple(entry["snippets_with"]), tuple(entry["snippets_without"])
                pages.append(
                    GoldPage(
                        name=entry["url"],
                        content=body.content,
                        content_type=record.content_type,
                        wanted=wanted,
                        unwanted=unwanted,
                    )
                )
    return pages


_READERS = {
    "article-extraction-benchmark": _article_extraction_benchmark,
    "trafilatura-eval": _trafilatura_eval,
    "newspaper4k": _newspaper4k,
    "readability-test-pages": _readability,
    "wcxb-dev": _wcxb,
}
