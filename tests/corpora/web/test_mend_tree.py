"""Bare text, times and quotations in sentences: what an extraction would lose or glue."""

import lxml.html
import pytest

from corpora.web import mend_tree

LEAD = (
    "The ferry across the sound was cancelled on Friday night, because the wind had turned north."
)


def mended(body: str) -> str:
    tree = lxml.html.fromstring(f"<html><body>{body}</body></html>")
    mend_tree.mend(tree)
    return lxml.html.tostring(tree.find("body"), encoding="unicode")


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (f"{LEAD}<p>More.</p>", f"<p>{LEAD}</p><p>More.</p>"),
        (f"<div><b>PORT</b> - {LEAD}<p>More.</p></div>", f"<p><b>PORT</b> - {LEAD}</p>"),
        (f"<font>{LEAD}<p>More.</p></font>", f"<div><p>{LEAD}</p><p>More.</p></div>"),
        (f"<h2>Head</h2>{LEAD}<p>More.</p>", f"<h2>Head</h2><p>{LEAD}</p><p>More.</p>"),
        (f"<div>{LEAD}<div>{LEAD}</div></div>", f"<div><p>{LEAD}</p><div>{LEAD}</div></div>"),
        ("<p>On <time>1 May</time> it rained.</p>", "<p>On <span>1 May</span> it rained.</p>"),
        ("<p>She said <q>no</q> twice.</p>", "<p>She said <span>no</span> twice.</p>"),
    ],
)
def test_what_is_mended(body: str, wanted: str) -> None:
    assert wanted in mended(body)


@pytest.mark.parametrize(
    "body",
    [
        "Menu<p>Text.</p>",  # a short run
        f"<div>{LEAD}</div>",  # no paragraph beside it
        f"<p>Text.</p><hr>{LEAD}",  # behind other blocks
        "<p>By A. Writer, <time>1 May</time></p>",
        "<p><time>1 May</time> - </p>",
        f"<ul><li>{LEAD}</li></ul>",
    ],
)
def test_what_stays(body: str) -> None:
    tree = lxml.html.fromstring(f"<html><body>{body}</body></html>")
    before = lxml.html.tostring(tree.find("body"), encoding="unicode")
    assert mended(body) == before
