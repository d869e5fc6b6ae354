"""The text of a page by the cheapest way that loses none of it.

    cascade     trafilatura's fast mode; its default mode, which asks two more extractors, where an
                estimate of the page's main text is much longer than what the fast mode found; the
                text of the estimate, where even the default mode found less than half of its prose;
                and all parts of the page (corpora.web.sections), where it does not say that it is
                an article, and little of its prose was found, or one of many short parts
    fast        the fast mode alone
    default     the default mode for every page

The estimate is resiliparse's main text: 2 ms a page, and wrong about which lines are text, but
hardly ever about how much there is. docs/corpora.md has the figures of all three on six
sets of pages.
"""

from collections.abc import Callable

from lxml.html import HtmlElement
from resiliparse.extract.html2text import extract_plain_text

from corpora.web import fast_trafilatura, sections
from corpora.web.page import PageSettings
from corpora.web.sections import prose_size

ENOUGH = 0.7
"""Share of the estimate that the fast mode must have found. On six sets of pages every share from
.5 to .8 is better than either mode alone; more asks the default mode more often for nothing."""

ASKED_CHARACTERS = 6_000
"""A longer text of the fast mode is believed without an estimate: on the six sets of pages none of
those was worth the default mode."""

PROSE_ENOUGH = 0.5
"""Share of the prose of resiliparse's text that the default mode must have found; below it that
text is taken. On the six sets .4 to .5 lose nothing, and more takes lists of comments."""

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

    is_small = source.count("<") - source.count("</") <= MOST_ELEMENTS
    is_asked = settings.extraction == "cascade" and is_small
    said = sections.declared(tree) if is_asked else "article"
    lines = [] if said == "article" else sections.page_lines(tree)

    extraction = begin(tree)
    if settings.extraction == "default":
        return extraction.text(fast=False).strip()
    text = extraction.text(fast=True).strip()
    if not is_asked:
        return text

    text = _asked_again(text, extraction, source, lines, lambda: _again(parse_again, begin))
    if sections.takes_all(text, lines, said == "website"):
        return "\n".join(line.text for line in lines)
    return text


def _again(
    parse_again: Callable[[], HtmlElement | None],
    begin: Callable[[HtmlElement], fast_trafilatura.Extraction],
) -> fast_trafilatura.Extraction | None:
    tree = parse_again()
    return None if tree is None else begin(tree)


def _asked_again(
    text: str,
    extraction: fast_trafilatura.Extraction,
    source: str,
    lines: list[sections.Line],
    again: Callable[[], fast_trafilatura.Extraction | None],
) -> str:
    """What the fast mode found, or the default mode or resiliparse, where they found much more."""
    # It takes no lone surrogates.
    whole = source.encode("utf-8", "replace").decode()
    has_lost = sections.lost(text, lines)
    estimate = ""
    if len(text) < ASKED_CHARACTERS:
        estimate = resiliparse_text(whole, comments=True)
    if len(text) >= ENOUGH * len(estimate) and not has_lost:
        return text

    if not extraction.is_shared:
        other = again()
        if other is None:
            return text
        extraction = other
    text = extraction.text(fast=False).strip()
    if len(text) >= PROSE_ENOUGH * prose_size(estimate):
        return text
    found = resiliparse_text(whole, comments=False)
    return found if len(text) < PROSE_ENOUGH * prose_size(found) else text


def resiliparse_text(source: str, comments: bool) -> str:
    """resiliparse's main text of a page."""
    found = extract_plain_text(source, main_content=True, alt_texts=False, comments=comments)
    return str(found).strip()
