"""The accelerated steps give what stock trafilatura gives, to the byte: expressions, repairs, and
every page at hand in both modes."""

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import archives
import lxml.html
import pytest
import trafilatura
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml.etree import Element, SubElement, XPath
from realdata import ROOT
from trafilatura import xpaths
from trafilatura.settings import BASIC_CLEAN_XPATH
from trafilatura.utils import repair_faulty_html

from benchmarks.gold import SETS, gold_pages
from corpora.text.charset import decode_page
from corpora.web import extract, fast_trafilatura
from corpora.web.fast_trafilatura import OnePass, Unreadable
from corpora.web.page import PageSettings, lightened, refuse, refuse_tags

EXPRESSIONS = [
    *(expression for expression in xpaths.BODY_XPATH if "re:test" in expression.path),
    *xpaths.OVERALL_DISCARD_XPATH,
    *xpaths.RAW_TREE_PRUNE_XPATH,
    *xpaths.REMOVE_COMMENTS_AND_LISTS_XPATH,
    *xpaths.REMOVE_COMMENTS_XPATH,
    xpaths.PRECISION_DISCARD_XPATH[1],
    BASIC_CLEAN_XPATH,
]
WORDS = sorted(
    {
        word
        for expression in EXPRESSIONS
        for word in expression.path.replace("'", " ").replace("|", " ").replace("(?:", " ").split()
    }
)
TAGS = [
    "div",
    "section",
    "p",
    "span",
    "list",
    "item",
    "ol",
    "ul",
    "aside",
    "article",
    "main",
    "footer",
    "details",
    "h1",
    "table",
    "script",
]
NAMES = [
    "id",
    "class",
    "style",
    "role",
    "data-component",
    "data-lp-replacement-content",
    "aria-hidden",
    "itemprop",
    "href",
]

values = st.one_of(
    st.sampled_from(
        [
            "",
            "post",
            "entry",
            "true",
            "display:none",
            "main",
            "Nav",
            "x",
            "article ",
            "comments-title",
            "reply-1",
            "cookie-banner",
        ]
    ),
    st.lists(
        st.sampled_from(WORDS).filter(lambda word: word.isprintable()), min_size=1, max_size=3
    ).map(" ".join),
    st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs")), max_size=8),
)
elements = st.recursive(
    st.tuples(
        st.sampled_from(TAGS),
        st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=3),
        st.just([]),
    ),
    lambda inner: st.tuples(
        st.sampled_from(TAGS),
        st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=3),
        st.lists(inner, max_size=4),
    ),
    max_leaves=12,
)


def build(parent: Any, shape: Any) -> None:
    tag, attributes, children = shape
    element = SubElement(parent, tag)
    for name, value in attributes:
        element.set(name, value)
    for child in children:
        build(element, child)


@settings(max_examples=150, deadline=None)
@given(st.lists(elements, max_size=4))
def test_one_pass_finds_what_the_expressions_find(shapes: list[Any]) -> None:
    """By lxml itself, in its order, with each of two attributes first, alone and together."""
    tree = Element("html")
    for shape in shapes:
        build(tree, shape)
    for expression in EXPRESSIONS:
        wanted = expression(tree)
        passes = OnePass(expression, first=expression in xpaths.BODY_XPATH)
        assert (
            passes(tree)
            == passes(tree)
            == (wanted[:1] if expression in xpaths.BODY_XPATH else wanted)
        ), expression.path


def test_the_first_of_two_attributes_decides() -> None:
    tree = lxml.html.fromstring(
        "<html><body><div class='cookie' id='x'></div><div id='x' class='cookie'></div><p "
        "id='cookie' class='x'></p></body></html>"
    )
    found = OnePass(xpaths.OVERALL_DISCARD_XPATH[0])(tree)
    assert [element.tag for element in found] == [
        "div",
        "p",
    ] and found == xpaths.OVERALL_DISCARD_XPATH[0](tree)


@pytest.mark.parametrize(
    "path",
    [
        ".//div[position()>2 or @id='x']",
        ".//*[re:test(@id, '')]",
        "//div",
        ".//div[contains(@id, '')]",
    ],
)
def test_an_expression_that_cannot_be_read_is_refused(path: str) -> None:
    with pytest.raises(Unreadable):
        OnePass(XPath(path, namespaces={"re": xpaths.REGEXP_NS}))


def test_what_is_remembered_stays_small() -> None:
    passes = OnePass(xpaths.OVERALL_DISCARD_XPATH[0])
    tree = Element("html")
    for number in range(45_000):
        SubElement(tree, "div").set("class", f"x{number}")
    SubElement(tree, "div").set("class", "y" * 201 + "share")
    assert passes(tree) == xpaths.OVERALL_DISCARD_XPATH[0](tree)
    assert len(passes._single["class"].answers) <= fast_trafilatura._REMEMBERED
    assert all(len(value) <= fast_trafilatura._LONGEST for value in passes._single["class"].answers)


starts = st.sampled_from(
    [
        "",
        "<!DOCTYPE html>",
        "<!doctype html PUBLIC 'x/y'>",
        '<!DOCTYPE html "http://a/b">\n',
        "< ! DOCTYPE a/b>",
        "<html/>\n",
        "<html lang='x' />",
        "\n\n<HTML />\n",
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    starts,
    st.text(
        st.one_of(st.characters(), st.sampled_from("\x00\x08\x0b\x1f\ufffe\uffff\ud800\n\r<>/ ")),
        max_size=60,
    ),
)
def test_repair_is_that_of_trafilatura(start: str, rest: str) -> None:
    text = start + rest
    wanted = repair_faulty_html(text, text[:50].lower()).encode("utf-8", "replace")
    assert (
        fast_trafilatura.repair(text, text[:50].lower())
        == wanted
        == fast_trafilatura.repair(text, text[:50].lower(), accelerated=False)
    )


def printable(text: str) -> str:
    """A text without what stock removes by the tables of the interpreter."""
    return "".join(char for char in text if char.isprintable() or char.isspace())


def decoded_pages(name: str) -> Iterator[tuple[str, str]]:
    pages = gold_pages(name)
    if not pages:
        pytest.skip("needs the test data")
    for page in pages:
        found = (
            decode_page(page.content, page.content_type) if refuse(page.content) is None else None
        )
        if found is not None and refuse_tags(lightened(found.text)) is None:
            yield page.name, found.text


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("cc-news", 3),
        ("newspaper4k", 1),
        ("article-extraction-benchmark", 3),
        ("readability-test-pages", 3),
        ("trafilatura-eval", 10),
        *(pytest.param(name, 1, marks=pytest.mark.long) for name in SETS),
    ],
)
@pytest.mark.parametrize(
    ("fast", "precision"),
    [(True, False), (False, False), pytest.param(True, True, marks=pytest.mark.long)],
)
@pytest.mark.builds
def test_every_page_has_the_text_of_stock_trafilatura(
    name: str, step: int, fast: bool, precision: bool
) -> None:
    """All pages at hand in the long suite, some of each set in the short one; stock parses the text
    itself."""
    for number, (page, text) in enumerate(decoded_pages(name)):
        if number % step:
            continue
        tree = extract._parse(text)
        ours = (
            "" if tree is None else fast_trafilatura.extract(tree, fast=fast, precision=precision)
        )
        stock = trafilatura.bare_extraction(
            text, fast=fast, favor_precision=precision, include_comments=False, with_metadata=False
        )
        theirs = (stock.text or "") if stock is not None else ""
        assert printable(ours) == printable(theirs), page


@pytest.mark.parametrize(
    ("name", "step"),
    [("cc-news", 6), ("wcxb-dev", 16)]
    + [pytest.param(name, 1, marks=pytest.mark.long) for name in SETS],
)
@pytest.mark.parametrize("precision", [False, pytest.param(True, marks=pytest.mark.long)])
def test_the_default_mode_behind_the_fast_one_is_the_default_mode(
    name: str, step: int, precision: bool
) -> None:
    """It takes over what the fast mode found, on the tree that the fast mode used."""
    for number, (page, text) in enumerate(decoded_pages(name)):
        tree = extract._parse(text) if number % step == 0 else None
        again = None if tree is None else extract._parse(text)
        if tree is None or again is None:
            continue
        both = fast_trafilatura.Extraction(tree, precision=precision)
        fast, default = both.text(fast=True), both.text(fast=False)
        assert fast == fast_trafilatura.extract(
            extract._parse(text), fast=True, precision=precision
        )
        alone = fast_trafilatura.extract(again, fast=False, precision=precision)
        assert default == alone, page


def test_the_switch_runs_the_package_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        fast_trafilatura, "bare_extraction", lambda *args, **kwargs: asked.append(kwargs)
    )
    content = archives.page(archives.english(1))
    extract.extract_page(content, settings=PageSettings(accelerated=False))
    # It finds nothing here, so that the cascade asks its default mode too.
    assert [one["fast"] for one in asked] == [True, False]
    assert not any(one["include_comments"] for one in asked)
    extract.extract_page(content)
    assert len(asked) == 2


def test_another_version_of_trafilatura_runs_as_it_is() -> None:
    """In a process where the installed package says that it is another, and lacks a name that we
    reach for."""
    code = """
import importlib.metadata as metadata, json, sys
true = metadata.version
metadata.version = lambda name: "2.3.2" if name == "trafilatura" else true(name)
import trafilatura.external
del trafilatura.external.justext_rescue
from corpora.web import extract, fast_trafilatura
import archives
page = extract.extract_page(archives.page(archives.english(1)))
patched = hasattr(fast_trafilatura._Steps, "lists")
print(json.dumps([fast_trafilatura.is_known(), patched, page.text]))
"""
    output = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'helpers'}"},
    ).stdout
    assert json.loads(output) == [False, False, archives.english(1)]


def test_the_package_is_untouched_beside_us() -> None:
    before = [
        *xpaths.BODY_XPATH,
        *xpaths.OVERALL_DISCARD_XPATH,
        fast_trafilatura._baseline.BASIC_CLEAN_XPATH,
    ]
    tree = extract._parse("<html><body><p>x</p></body></html>")
    fast_trafilatura.extract(tree)
    assert [
        *xpaths.BODY_XPATH,
        *xpaths.OVERALL_DISCARD_XPATH,
        fast_trafilatura._baseline.BASIC_CLEAN_XPATH,
    ] == before
    assert all(isinstance(expression, XPath) for expression in before)


def test_threads_and_order_change_nothing() -> None:
    """Extractions that meet, in any order, give the texts of one alone."""
    pages = [
        archives.page(archives.english(number), head=f'<meta name="x" content="{number}">')
        for number in range(24)
    ]
    wanted = [extract.extract_page(page) for page in pages]
    found: dict[int, Any] = {}

    def work(seed: int) -> None:
        order = list(range(len(pages)))
        random.Random(seed).shuffle(order)
        for number in order:
            found[seed * 100 + number] = extract.extract_page(pages[number])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(
        found[seed * 100 + number] == wanted[number]
        for seed in range(4)
        for number in range(len(pages))
    )
