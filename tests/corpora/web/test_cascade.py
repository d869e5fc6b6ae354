"""Which extractor gives the text of a page: by what each of them finds."""

from typing import Any

import archives
import pytest

from corpora.web import cascade, extract, fast_trafilatura
from corpora.web.page import Page, PageSettings

SENTENCE = "The ferry across the sound was cancelled on Friday, because the wind had turned north."


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("", 0),
        (SENTENCE, len(SENTENCE)),
        (f"  {SENTENCE}\n\n{SENTENCE}  ", 2 * len(SENTENCE)),
        (SENTENCE[:-1], 0),  # no end of a sentence
        ("It rained.", 0),  # short
        ("渡" * 59 + "。", 60),
        ("x" * 58 + ".", 0),
    ],
)
def test_prose_is_whole_sentences(text: str, size: int) -> None:
    assert cascade.prose_size(text) == size


def found(
    monkeypatch: pytest.MonkeyPatch, fast: int, default: int, estimate: str, other: str
) -> tuple[str, list[str]]:
    """The text of a page of which the two modes find so many characters, and what was asked."""
    asked: list[str] = []

    def text(self: Any, fast_mode: bool) -> str:
        asked.append("fast" if fast_mode else "default")
        return "f" * fast if fast_mode else "d" * default

    def resiliparse(source: str, comments: bool) -> str:
        asked.append("estimate" if comments else "other")
        return estimate if comments else other

    monkeypatch.setattr(fast_trafilatura.Extraction, "text", lambda self, fast: text(self, fast))
    monkeypatch.setattr(cascade, "resiliparse_text", resiliparse)
    page = extract.extract_page(archives.page("<p>x</p>"), settings=PageSettings(min_characters=1))
    assert isinstance(page, Page)
    return page.text, asked


PROSE = "\n".join([SENTENCE] * 10)
ROWS = "\n".join(["A title of another page"] * 40)


@pytest.mark.parametrize(
    ("fast", "default", "estimate", "other", "text", "asked"),
    [
        (6000, 0, PROSE, PROSE, "f", ["fast"]),  # long enough
        (650, 0, PROSE, PROSE, "f", ["fast", "estimate"]),  # of 869 characters
        (600, 700, PROSE, PROSE, "d", ["fast", "estimate", "default"]),
        (10, 430, PROSE, PROSE, "d", ["fast", "estimate", "default"]),  # half of 860 of prose
        (10, 429, PROSE, PROSE, "T", ["fast", "estimate", "default", "other"]),
        (10, 429, PROSE, ROWS, "d", ["fast", "estimate", "default", "other"]),  # comments only
        (10, 20, ROWS, PROSE, "d", ["fast", "estimate", "default"]),  # a list of pages
        (10, 0, PROSE, PROSE, "T", ["fast", "estimate", "default", "other"]),
    ],
)
def test_the_next_extractor_is_asked_where_text_was_lost(
    monkeypatch: pytest.MonkeyPatch,
    fast: int,
    default: int,
    estimate: str,
    other: str,
    text: str,
    asked: list[str],
) -> None:
    assert len(SENTENCE) == 86
    first, order = found(monkeypatch, fast, default, estimate, other)
    assert (first[0], order) == (text, asked)
