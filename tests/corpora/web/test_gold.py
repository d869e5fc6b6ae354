"""Floors under the quality of extraction, by gold and the scorers of `benchmarks/gold.py`;
`benchmarks/bench_gold.py` prints the table."""

import pytest
import trafilatura

from benchmarks.gold import QUICK_WCXB, GoldPage, Score, gold_pages, score
from corpora.text.charset import decode_page
from corpora.text.normalise import normalise
from corpora.web.extract import extract_page
from corpora.web.page import Page, PageSettings, lightened, refuse, refuse_tags

pytestmark = pytest.mark.builds


def test_the_scorer_counts_runs_of_four_words() -> None:
    """By hand: 5 runs in the true text, 3 of them found, 1 foreign."""
    page = GoldPage(name="x", content=b"", body="a b c d e f g h")
    found = score([page], ["a b c d e f x"])
    assert (found.precision, found.recall, found.f1) == pytest.approx((3 / 4, 3 / 5, 2 / 3))
    assert score([page], [""]).f1 == 0.0 and score([page], ["a b c d e f g h"]).f1 == 1.0
    snippets = GoldPage(name="x", content=b"", wanted=("one  two", "three"), unwanted=("four",))
    assert score([snippets], ["one two\nfour"]) == Score(precision=1 / 2, recall=1 / 2)


def text_of(page: GoldPage) -> str:
    settings = PageSettings(min_characters=1)
    outcome = extract_page(page.content, content_type=page.content_type, settings=settings)
    return normalise(outcome.text) if isinstance(outcome, Page) else ""


@pytest.mark.parametrize(
    ("name", "floor"),
    [
        ("article-extraction-benchmark", 0.965),
        ("newspaper4k", 0.93),
        ("cc-news", 0.98),
        pytest.param("readability-test-pages", 0.95, marks=pytest.mark.long),
        pytest.param("trafilatura-eval", 0.93, marks=pytest.mark.long),
        pytest.param("wcxb-dev", 0.84, marks=pytest.mark.long),
    ],
)
def test_ours_is_no_worse_than_stock(name: str, floor: float) -> None:
    """Than the fast mode of trafilatura."""
    pages = gold_pages(name)
    if not pages:
        pytest.skip("needs the test data")
    ours = score(pages, [text_of(page) for page in pages])
    stock = score(
        pages,
        [
            trafilatura.extract(page.content, fast=True, include_comments=False) or ""
            for page in pages
        ],
    )
    assert ours.f1 >= floor and ours.f1 >= stock.f1 - 0.002, (ours, stock)


def test_no_page_of_wcxb_is_refused_for_its_size() -> None:
    """Of 512 pages of 2025 and 2026, 19 have more than two megabytes; each eighth is extracted."""
    pages = gold_pages("wcxb-dev")
    if not pages:
        pytest.skip("needs the test data")
    for page in pages:
        decoded = decode_page(page.content)
        assert refuse(page.content, "text/html") is None, page.name
        assert decoded is None or refuse_tags(lightened(decoded.text)) is None, page.name
    quick = pages[::QUICK_WCXB]
    assert score(quick, [text_of(page) for page in quick]).f1 >= 0.75
