"""Fuzz over XML and wikitext: nothing raises, no mark of ours and no markup is left, and every page
is accounted for. CORPUSMILL_FUZZ multiplies how many."""

import bz2
import re
import tempfile
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
from dumps import END, head, page
from hypothesis import given
from hypothesis import strategies as st

from corpora.document import Document, Refusal, Reject
from corpora.wikipedia.page import Article, extract_page
from corpora.wikipedia.source import WikipediaOptions, read, slices
from corpora.wikipedia.wikitext import Prose, Style, read_prose

MARKUP = """{{ }} {{{ }}} [[ ]] [ ] {| |} |- | || ! = == === ' '' ''' ''''' * # : ; ---- <!-- --> <nowiki> </nowiki> <nowiki/> <ref> </ref> <ref/> <math> </math> <br/> <div> </div> <table> </table> <li> <
> & &amp; &nbsp; &#91; &lt; ( ) , . ( ; ) __TOC__ -{ }- File: Category: de: http:// [http://a {{convert|1|km}} {{lang|fr|x}} {{quote| {{nowrap| {{formatnum: \\n \\n\\n \\r\\n _ ~~~~ text word é 東 \u200b \ufdd0 \ufdd1
\ufdd2 \ufdd5 \ufdef \u2028""".split()
WIKITEXT = st.lists(
    st.sampled_from([token.replace("\\n", "\n").replace("\\r", "\r") for token in MARKUP] + [" "]),
    max_size=60,
).map("".join)
EVERYTHING = Style(
    headings=True,
    lists="keep",
    tables=True,
    references=True,
    captions=True,
    categories=True,
    math=True,
    cut_sections=frozenset(["text"]),
)
_MARKS = re.compile("[\ufdd0-\ufdef]")


@given(
    WIKITEXT | st.text(max_size=300),
    st.sampled_from([Style(), EVERYTHING, Style(templates=False, language="zh")]),
)
def test_any_wikitext_gives_prose_without_markup(wikitext: str, style: Style) -> None:
    found = read_prose(wikitext, style, "Title")
    if isinstance(found, Refusal):
        assert found.reason == "too_deep"
        return
    assert isinstance(found, Prose) and not _MARKS.search(found.text)
    if (
        "nowiki" not in wikitext and "&" not in wikitext and "<math" not in wikitext
    ):  # these may say markup as text
        for markup in ("[[", "{{", "''", "<ref", "<!--", "<nowiki>"):
            assert markup not in found.text, (markup, found.text)
    assert found.text == found.text.strip() and "\n\n\n" not in found.text


@given(
    st.lists(
        st.sampled_from(["a", "b c", "{{nowrap|x}}", "[[y|z]]", "''q''", "(", ")"]), max_size=30
    )
)
def test_balanced_text_loses_nothing_but_markup(pieces: list[str]) -> None:
    """An independent and slower reading of the few things that occur."""
    found = read_prose(" ".join(pieces), Style())
    plain = " ".join(
        {"{{nowrap|x}}": "x", "[[y|z]]": "z", "''q''": "q"}.get(piece, piece) for piece in pieces
    )
    while re.search(r" ?\( +\)", plain):
        plain = re.sub(r" ?\( +\)", "", plain)
    assert isinstance(found, Prose)
    letters = re.sub(r"[ ()]", "", plain)
    assert re.sub(r"[ ()]", "", found.text) == letters


XML = st.lists(
    st.sampled_from(
        [
            "<page>",
            "</page>",
            "<title>",
            "</title>",
            "<ns>0</ns>",
            "<id>1</id>",
            "<revision>",
            "</revision>",
            "<text>",
            "</text>",
            "<text/>",
            '<redirect title="x"/>',
            "a b",
            "&lt;",
            "&x;",
            "&#0;",
            "<",
            ">",
        ]
        + [
            "<!DOCTYPE x [",
            "]>",
            '<!ENTITY x "y">',
            "<![CDATA[",
            "]]>",
            "<!--",
            "-->",
            "<?xml version='1.0'?>",
            "\x00",
            "é",
            "<x:text>",
            page(7, "T", "word " * 60),
        ]
    ),
    max_size=40,
).map("".join)


@given(XML)
def test_any_xml_is_a_page_or_a_reject(xml: str) -> None:
    found, title = extract_page(xml.encode(), encoding="utf-8", style=Style())
    assert isinstance(found, (Article, Refusal)) and (title is None or isinstance(title, str))


@given(st.binary(max_size=400), st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "cp1252"]))
def test_any_bytes_are_a_page_or_a_reject(content: bytes, encoding: str) -> None:
    found, _ = extract_page(content, encoding=encoding, style=Style())
    assert isinstance(found, (Article, Refusal))


class InThisProcess:
    def call(self, *args: Any, **kwargs: Any) -> Any:
        return extract_page(*args, **kwargs)


def records(path: Path, slice_bytes: int) -> list[Document | Reject]:
    options = WikipediaOptions(input=(str(path),), slice_bytes=slice_bytes, min_words=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("corpora.wikipedia.source.shared_guard", lambda function: InThisProcess())
        return [record for piece in slices(options) for record in read(options, piece)]


@given(
    XML,
    st.booleans(),
    st.integers(60, 900),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=3),
    st.floats(0, 1),
)
def test_any_dump_however_damaged_gives_the_same_from_any_cut(
    xml: str, compressed: bool, slice_bytes: int, flips: list[tuple[float, int]], keep: float
) -> None:
    """Bytes changed, the end cut off: every record has a position of its own, and no slice changes
    one."""
    text = (head() + page(1, "A", escape(xml)) + xml + page(2, "B", "word " * 300) + END).encode(
        "utf-8", "replace"
    )
    content = bytearray(bz2.compress(text, 1) if compressed else text)
    for place, value in flips:
        content[int(place * len(content))] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a.xml.bz2" if compressed else "a.xml")
        path.write_bytes(content[: max(1, int(len(content) * keep))] if keep < 0.9 else content)
        whole = records(path, 10_000_000)
        assert len({record.position for record in whole}) == len(whole)
        assert records(path, slice_bytes) == whole
