"""Pages made to stop an extractor, and what must become of each: extraction.md, section 8, and more
of the kind.

Each is (bytes as stored, the reason of its reject; None: a document). Those that the limits do not
refuse take at most a few seconds.
"""

import functools
import gzip
import os
import time
from typing import Any

import archives

from corpora.web.page import Page

_WORDS = "some text here "


def _body(inside: str, head: str = "") -> bytes:
    return f"<!DOCTYPE html><html><head>{head}</head><body>{inside}".encode()


@functools.cache
def pages() -> dict[str, tuple[bytes, str | None]]:
    """Name -> (body as stored, reason)."""
    many = archives.english(1, 40)
    return {
        "20,000 nested div": (_body("<div>" * 20_000 + many), "too_deep"),
        "400 nested div": (_body("<div>" * 400 + f"<p>{many}</p>" + "</div>" * 400), None),
        "50 MB of p": (gzip.compress(b"<html><body>" + b"<p>x" * 12_500_000, 1), "too_large"),
        "5 MB of equal p": (_body("<p>the same text again" * 240_000), "too_many_elements"),
        "100,000 p": (_body("<p>x" * 100_000), "too_many_elements"),
        "59,000 p": (_body("".join(f"<p>{_WORDS}{i}" for i in range(59_000))), None),
        "120,000 br": (_body("<p>x" + "<br>" * 120_000), "too_many_elements"),
        "59,000 br": (_body("<p>x" + "<br>" * 59_000), "too_short"),
        "50,000 unclosed span": (_body(f"<span>{_WORDS}" * 50_000), "too_deep"),
        "29,000 nested li": (_body("<ul><li>x" * 29_000), "too_deep"),
        "59,000 a": (_body("<a>x " * 59_000), None),
        "one tag with 100,000 attributes": (
            _body("<p " + " ".join(f'a{i}="1"' for i in range(100_000)) + f">{many}</p>"),
            "too_many_attributes",
        ),
        "100,000 attributes without values": (
            _body("<p " + " ".join(f"a{i}" for i in range(100_000)) + ">"),
            "too_many_attributes",
        ),
        "100,000 attributes that hold >": (
            _body("<p " + " ".join(f'a{i}=">"' for i in range(100_000)) + ">"),
            "too_many_attributes",
        ),
        "50,000 attributes that hold <": (
            _body("<p " + " ".join(f'a{i}="<"' for i in range(50_000)) + ">"),
            "too_many_attributes",
        ),
        "10 MB in one line": (b"<html><body><p>" + b"word " * 2_000_000, "too_large"),
        "2 MB in one line": (b"<html><body><p>" + b"word " * 390_000, None),
        "a word of 1 MB": (_body(f"<p>{'QUJD' * 250_000}</p><p>{many}</p>"), None),
        "1 MB of &amp;": (_body("<p>" + "&amp;" * 200_000), None),
        "entity bomb": (
            (
                b'<!DOCTYPE html [<!ENTITY a "aaaaaaaaaa"><!ENTITY b '
                b'"&a;&a;&a;&a;&a;&a;&a;&a;">]><html><body><p>'
            )
            + b"&b;" * 90_000,
            None,
        ),
        "NUL bytes": (_body(f"<p>{many}</p>").replace(b" the ", b" the\x00 "), None),
        "UTF-16": (b"\xff\xfe" + _body(f"<p>{many}</p>").decode().encode("utf-16-le"), None),
        "open comment": (_body("<!--" + "x" * 1_900_000), "empty"),
        "CSS": (_body("", "<style>" + "a{b:c}" * 300_000), "empty"),
        "100,000 [ in JSON": (
            _body(
                f"<p>{many}</p>",
                '<script type="application/ld+json">' + "[" * 100_000 + "</script>",
            ),
            None,
        ),
        "59,000 <": (_body("<p>" + "<" * 59_000), None),
        "gzip bomb": (gzip.compress(bytes(200_000_000), 1), "too_large"),
        "table of 20,000 rows": (_body("<table>" + "<tr><td>cell" * 20_000), None),
        "wide column": (
            _body(f"<table><tr><td colspan=9000000000000000>x</table><p>{many}</p>"),
            None,
        ),
        "comments before": (
            b"<!---->" * 500 + b"<html>" + b"<!-- -->" * 50_000 + f"<p>{many}</p>".encode(),
            None,
        ),
        "open quotes": (_body('<a "' * 59_000), "empty"),
    }


def extract_or_fail(content: bytes, **_: Any) -> Page:
    """What a bad parser would do with the pages that say so."""
    if b"<p>crash" in content:
        os.abort()
    if b"<p>hang" in content:
        time.sleep(100)
    if b"<p>memory" in content:
        bytearray(10_000_000_000)
    return Page(
        text=content.decode(),
        title=None,
        date=None,
        canonical=None,
        language="en",
        charset="utf-8",
        evidence="ascii",
    )


def extract_wiki_or_fail(content: bytes, **settings: Any) -> Any:
    """The parser of wiki pages, but that it dies of those that say so."""
    from corpora.wikipedia.page import extract_page

    if b"crash" in content:
        os.abort()
    return extract_page(content, **settings)
