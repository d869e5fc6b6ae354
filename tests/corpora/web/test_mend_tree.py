"""Bare text, times and quotations in sentences, layers of consent: what an extraction would lose,
glue or take for the text."""

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


PAGE = f"<p>{LEAD}</p>" * 4
LAYER = "<p>We and our partners store cookies. You may accept or decline them at any time.</p>"


@pytest.mark.parametrize(
    "attributes",
    [
        'id="onetrust-banner-sdk"',
        'id="didomi-host" class="x"',
        'class="top cookie-banner open"',
        'class="js-cookieNotice"',
        'class="eu-gdpr-layer"',
        'id="CybotCookiebotDialog"',
        'class="consent-modal__inner"',
    ],
)
@pytest.mark.parametrize("tag", ["div", "section", "aside"])
def test_layers_of_consent_are_removed(attributes: str, tag: str) -> None:
    assert mended(f"{PAGE}<{tag} {attributes}>{LAYER}</{tag}>end") == f"<body>{PAGE}end</body>"


def test_a_long_layer_is_told_by_its_id() -> None:
    """Beside a short page; where nothing else is left it is the page."""
    layer = f'<div id="onetrust-consent-sdk">{LAYER * 20}</div>'
    assert mended(PAGE * 2 + layer) == f"<body>{PAGE * 2}</body>"
    assert LAYER in mended(f"<p>Text.</p>{layer}")


@pytest.mark.parametrize(
    "body",
    [
        f'<div class="page cookie-banner-shown">{PAGE}</div>',  # the whole page
        f'{PAGE}<div class="cookie-recipe">{LAYER}</div>',
        f'{PAGE}<div class="cookies">{LAYER}</div>',
        f'{PAGE}<p class="cookie-banner">{LAYER}</p>',
        f'{PAGE}<div class="consentual">{LAYER}</div>',
    ],
)
def test_what_only_sounds_like_consent_stays(body: str) -> None:
    assert mended(body).count("partners") == body.count("partners")
    assert mended(body).count("ferry") == body.count("ferry")


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
