"""Mojibake: what is counted, and what ftfy mends in a decoded page."""

import pytest

from corpora.text import mojibake

SOUND = [
    "It\u2019s \u201cso\u201d \u2013 caf\u00e9 na\u00efve, 5 \u20ac, \u00a3 3, \u00a9 2018",
    "\u00c0 la fin \u00ab tout \u00e9tait bien \u00bb, \u00e2g\u00e9 de 5 ans",
    "AMANH\u00c3\u201d \u00c2\u00bb",
    "\u041f\u0440\u0438\u0432\u0435\u0442 \u65e5\u672c\u8a9e \u0e44\u0e17\u0e22",
]


def twice(text: str, codec: str) -> str:
    """UTF-8 read in another encoding, whose undefined bytes became controls."""
    return "".join(bytes((byte,)).decode(codec, "ignore") or chr(byte) for byte in text.encode())


@pytest.mark.parametrize("codec", ["cp1252", "latin-1"])
@pytest.mark.parametrize(
    "text", ["It\u2019s", "\u201cso\u201d", "caf\u00e9", "\u00a3 3", "\U0001f600", "\u0434\u0430"]
)
def test_what_is_counted_and_mended(text: str, codec: str) -> None:
    pytest.importorskip("ftfy")
    broken = twice(text, codec)
    assert mojibake.count(broken) >= 1
    assert mojibake.mend_page(f"<p>{broken} in the sun</p>") == f"<p>{text} in the sun</p>"


@pytest.mark.parametrize("text", SOUND)
def test_sound_text_is_none(text: str) -> None:
    pytest.importorskip("ftfy")
    assert mojibake.count(text) == 0
    assert mojibake.mend_page(f"<p>{text}</p>") == f"<p>{text}</p>"
