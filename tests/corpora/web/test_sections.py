"""Pages that are no articles: what they say of themselves, their lines, and when those are the
text."""

import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.web import sections
from corpora.web.extract import extract_page
from corpora.web.page import Page, PageSettings
from corpora.web.sections import declared, lost, page_lines, takes_all

SENTENCE = "We repair the engines of small boats and of ferries at every harbour of the sound."


def tree(body: str, head: str = "") -> lxml.html.HtmlElement:
    return lxml.html.document_fromstring(
        f"<html><head><title>T</title>{head}</head><body>{body}</body></html>"
    )


@pytest.mark.parametrize(
    ("head", "body", "said"),
    [
        ("", "<p>x</p>", ""),
        ('<meta property="og:type" content="website">', "", "website"),
        ('<meta property="og:type" content="product">', "", ""),
        ('<meta property="og:type" content="Article">', "", "article"),
        ('<meta name="article:published_time" content="2020-01-02">', "", "article"),
        ('<script type="application/ld+json">{"@type": "NewsArticle"}</script>', "", "article"),
        ('<script type="application/ld+json">{"@type":["BlogPosting"]}</script>', "", "article"),
        ('<script type="application/ld+json">{"@type":"Product"}</script>', "", ""),
        ('<script>var x = {"@type":"NewsArticle"}</script>', "", ""),
        ("", '<div itemprop="articleBody">x</div>', "article"),
        (
            '<meta property="og:type" content="website">',
            '<i itemprop="datePublished">x</i>',
            "article",
        ),
    ],
)
def test_what_a_page_says_that_it_is(head: str, body: str, said: str) -> None:
    assert declared(tree(body, head)) == said


def texts(body: str) -> list[str]:
    return [line.text for line in page_lines(tree(body))]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("a<br>b", ["a", "b"]),
        ("<p>a <b>b</b>c</p>d<p>e</p>", ["a bc", "d", "e"]),
        ("<ul><li>a<li>b<ul><li>c</ul>d</ul>", ["a", "b", "c", "d"]),
        ("<p>a</p><p>b</p><p>a</p>", ["a", "b"]),  # a text once, where it stands first
        ("a<script>b</script>c<!-- d -->e", ["a c e"]),
        ("<p>a<button>b</button></p>", ["a"]),
        ("<main><p>long</p></main><p>b</p>", ["long"]),
        ("<main><p>a</p></main><p>much longer</p>", ["a", "much longer"]),
        ('<div role="main"><p>a</p></div>b', ["a"]),
    ],
)
def test_the_lines_of_a_page(body: str, lines: list[str]) -> None:
    assert texts(body) == lines


@pytest.mark.parametrize(
    "part",
    [
        "<nav>{}</nav>",
        "<footer>{}</footer>",
        '<div role="navigation">{}</div>',
        '<div class="site-nav x">{}</div>',
        '<ul id="Menu">{}</ul>',
        "<div hidden>{}</div>",
        '<div style="display: none">{}</div>',
        '<div class="cookie-notice"><div><p>{}</p></div></div>',
        '<div class="menu"><div class="menu">{}</div></div>',
    ],
)
def test_the_frame_of_a_site_is_left_out_unless_it_holds_the_page(part: str) -> None:
    frame = part.format("x" * 30)
    assert texts(f"<p>{'a' * 71}</p>{frame}<p>b</p>") == ["a" * 71, "b"]
    assert texts(f"<p>{'a' * 69}</p>{frame}<p>b</p>") == ["a" * 69, "x" * 30, "b"]


def test_names_that_only_hold_such_a_word_are_no_frame() -> None:
    part = '<div class="navigator menuhin unshared">x</div>'
    assert texts(f"<p>{SENTENCE}</p>{part}") == [SENTENCE, "x"]


def many_parts(count: int, head: str) -> str:
    """A page of a service: headings of 30 characters, and a sentence under each."""
    parts = [
        f"<div><h3>{number:030}</h3><p>{number} {SENTENCE}</p></div>" for number in range(count)
    ]
    return f"<html><head><title>T</title>{head}</head><body>{''.join(parts)}</body></html>"


def test_all_parts_are_taken_where_little_prose_was_found() -> None:
    lines = page_lines(lxml.html.document_fromstring(many_parts(10, "")))
    assert len(lines) == 20
    prose = "\n".join(line.text for line in lines[1::2])
    five = "\n".join(line.text for line in lines[1:10:2])
    assert not lost(five, lines) and lost(five[:-10], lines) and not lost("", [])
    # Little prose in short lines; one long line is believed.
    assert takes_all("short", lines, False) and not takes_all("x" * 100, lines, False)
    assert not takes_all(prose, lines, False) and takes_all(prose, lines, True)
    assert not takes_all("short", lines[:12], False)


def test_headings_tell_a_page_of_many_parts() -> None:
    lines = [sections.Line(SENTENCE, "p", False)] * 12
    above = sections.Line("h" * 75, "h2", False)  # of 1,059 characters
    below = sections.Line("h" * 74, "h2", False)
    text = "\n".join([SENTENCE] * 12)
    assert takes_all(text, [*lines, above], True) and not takes_all(text, [*lines, below], True)
    assert not takes_all("x" * 130 + "\n" + text.replace("\n", " "), [*lines, above], True)


def test_a_page_of_many_parts_is_read_whole() -> None:
    """The page of a service; as an article it is left to the extractor."""
    website = '<meta property="og:type" content="website">'
    settings = PageSettings(min_characters=1)
    page = extract_page(many_parts(20, website).encode(), settings=settings)
    assert isinstance(page, Page)
    assert page.text.splitlines()[-2:] == [f"{19:030}", f"19 {SENTENCE}"]
    assert len(page.text.splitlines()) == 40


@given(st.lists(st.sampled_from("<div> </div> <nav> </nav> <main> <p> a b <br> </p> <li>".split())))
def test_lines_are_the_words_of_the_page_in_their_order(pieces: list[str]) -> None:
    """Slow twin: what lxml gives as text, without the frame; no word twice, none foreign."""
    page = tree(" ".join(pieces))
    words = page.find("body").text_content().split()
    lines = [line.text for line in page_lines(page)]
    assert len(lines) == len(set(lines))
    assert set(" ".join(lines).split()) <= set(words)


def test_parts_inside_each_other_are_walked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 300 parts with the name of a frame, one in the other, each is looked at once."""
    asked: list[str] = []
    is_frame = sections._is_frame

    def counted(part: lxml.html.HtmlElement) -> bool:
        asked.append(part.tag)
        return is_frame(part)

    monkeypatch.setattr(sections, "_is_frame", counted)
    body = f"{'<div class=menu>' * 200}x{'</div>' * 200}<p>yyy</p>"
    assert texts(body) == ["yyy"]
    assert len(asked) == 201
