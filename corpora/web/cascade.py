"""The text of a page by the cheapest way that loses none of it.

    cascade     trafilatura's fast mode; its default mode, which asks two more extractors, where an
                estimate of the page's main text is much longer than what the fast mode found; the
                text of the estimate, where even the default mode found less than half of its prose
    fast        the fast mode alone
    default     the default mode for every page

The estimate is resiliparse's main text: 2 ms a page, and wrong about which lines are text, but
hardly ever about how much there is. docs/corpora.md has the figures of all three on six
sets of pages.
"""

from collections.abc import Callable

from lxml.html import HtmlElement
from resiliparse.extract.html2text import extract_plain_text

from corpora.web import fast_trafilatura
from corpora.web.page import PageSettings

ENOUGH = 0.7
"""Share of the estimate that the fast mode must have found. On six sets of pages every share from
.5 to .8 is better than either mode alone; more asks the default mode more often for nothing."""

ASKED_CHARACTERS = 6_000
"""A longer text of the fast mode is believed without an estimate: on the six sets of pages none of
those was worth the default mode."""

PROSE_ENOUGH = 0.5
"""Share of the prose of resiliparse's text that the default mode must have found; below it that
text is taken. On the six sets .4 to .5 lose nothing, and more takes lists of comments."""

PROSE_CHARACTERS = 60
"""Characters of the shortest line of prose."""

SENTENCE_ENDS = '.!?…”"»)。'

MOST_ELEMENTS = 20_000
"""Elements of the largest page that the default mode is asked for: its extractors take seconds for
more. Real pages have up to 16,000."""


def main_text(
    tree: HtmlElement,
    source: str,
    parse_again: Callable[[], HtmlElement | None],
    url: str | None,
    settings: PageSettings,
) -> str:
    """The text of a parsed page, "" when there is none. The tree is used up; `parse_again` makes
    another one of the same `source`."""

    def begin(page: HtmlElement) -> fast_trafilatura.Extraction:
        return fast_trafilatura.Extraction(
            page, url=url, precision=settings.precision, accelerated=settings.accelerated
        )

    extraction = begin(tree)
    if settings.extraction == "default":
        return extraction.text(fast=False).strip()
    text = extraction.text(fast=True).strip()
    if settings.extraction == "fast":
        return text

    if len(text) >= ASKED_CHARACTERS or source.count("<") - source.count("</") > MOST_ELEMENTS:
        return text
    # It takes no lone surrogates.
    whole = source.encode("utf-8", "replace").decode()
    estimate = resiliparse_text(whole, comments=True)
    if len(text) >= ENOUGH * len(estimate):
        return text

    if not extraction.is_shared:
        again = parse_again()
        if again is None:
            return text
        extraction = begin(again)
    text = extraction.text(fast=False).strip()
    if len(text) >= PROSE_ENOUGH * prose_size(estimate):
        return text
    other = resiliparse_text(whole, comments=False)
    return other if len(text) < PROSE_ENOUGH * prose_size(other) else text


def resiliparse_text(source: str, comments: bool) -> str:
    """resiliparse's main text of a page."""
    found = extract_plain_text(source, main_content=True, alt_texts=False, comments=comments)
    return str(found).strip()


def prose_size(text: str) -> int:
    """Characters of the lines that read as whole sentences: lists of other pages have few."""
    size = 0
    for line in text.splitlines():
        line = line.strip()
        if len(line) >= PROSE_CHARACTERS and line[-1] in SENTENCE_ENDS:
            size += len(line)
    return size
