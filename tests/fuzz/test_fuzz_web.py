"""Hostile bytes into the readers of web archives: nothing crashes, nothing is lost without a word,
and the neighbours of a fault survive.

`make fuzz`; CORPUSMILL_FUZZ multiplies the number of examples, and above 1 they are new ones each
time.
"""

import gzip
import io
import os
import random
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import archives
import brotli
import hostile
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpora.document import Refusal
from corpora.text.charset import codec_of, decode_page
from corpora.text.urls import canonical_url, domain_of, host_of
from corpora.web import gzip_members, warc
from corpora.web.extract import extract_page
from corpora.web.http_body import decode_body
from corpora.web.page import MAX_PAGE_BYTES, Page, PageSettings
from corpora.web.warc import Damage, Record

EFFORT = float(os.environ.get("CORPUSMILL_FUZZ", "1"))
RECORDS = archives.articles(4) + [
    archives.record("warcinfo", b"software: x"),
    archives.record("request", b"GET / HTTP/1.1", "http://example.com/r"),
]
MEMBERS = [archives.members(record) for record in RECORDS]


def fuzz(examples: int) -> Callable[[Any], Any]:
    """So many examples, the same ones each time unless more are asked for."""
    return settings(
        max_examples=max(1, int(examples * EFFORT)),
        derandomize=EFFORT <= 1,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def read(content: bytes) -> list[Record | Damage]:
    return list(warc.read_archive(io.BytesIO(content)))


def test_each_generator_reaches_what_it_is_for() -> None:
    """The fuzzers' own inputs, unharmed, are pages and records: they do not bounce off the first
    check."""
    assert [item.kind for item in read(b"".join(MEMBERS)) if isinstance(item, Record)] == [
        "response"
    ] * 4 + ["warcinfo", "request"]
    assert isinstance(extract_page(archives.page(archives.english(1))), Page)


# --- archives ---

damage = st.one_of(
    st.tuples(st.just("flip"), st.floats(0, 1, exclude_max=True), st.integers(1, 255)),
    st.tuples(st.just("cut"), st.floats(0, 1, exclude_max=True), st.integers(1, 400)),
    st.tuples(
        st.just("insert"),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=60) | st.just(gzip_members.MAGIC) | st.just(b"WARC/1.0\r\n"),
    ),
)


def damaged(content: bytes, harm: tuple[str, float, Any]) -> bytes:
    kind, place, what = harm
    at = int(place * len(content))
    if kind == "flip":
        return content[:at] + bytes([content[at] ^ what]) + content[at + 1 :]
    return (
        content[:at] + content[at + what :] if kind == "cut" else content[:at] + what + content[at:]
    )


@fuzz(120)
@given(st.lists(damage, min_size=1, max_size=3))
def test_damage_inside_one_member_leaves_the_others(harms: list[tuple[str, float, Any]]) -> None:
    """A member is harmed, whatever way: those before it are whole, and those after it are found
    again."""
    harmed = MEMBERS[2]
    for harm in harms:
        harmed = damaged(harmed, harm) or b"\x00"
    items = read(MEMBERS[0] + MEMBERS[1] + harmed + MEMBERS[3] + MEMBERS[4])
    found = [
        (item.url, item.body)
        for item in items
        if isinstance(item, Record) and item.kind == "response"
    ]
    whole = [
        (f"http://example.com/{number}", archives.page(archives.english(number)))
        for number in range(4)
    ]
    assert found[:2] == whole[:2] and found[-1] == whole[3]
    assert [item.kind for item in items if isinstance(item, Record)][-1] == "warcinfo"
    if harmed != MEMBERS[2] and whole[2] not in found:
        assert any(isinstance(item, Damage) or item.cut for item in items) or len(found) > 3, (
            "what is lost is named"
        )


@fuzz(100)
@given(st.lists(damage, min_size=1, max_size=6), st.booleans())
def test_any_damage_anywhere_ends_and_every_position_is_in_the_file(
    harms: list[tuple[str, float, Any]], plain: bool
) -> None:
    content = b"".join(RECORDS) if plain else b"".join(MEMBERS)
    for harm in harms:
        content = damaged(content, harm)
    items = read(content)
    positions = [item.position for item in items]
    assert positions == sorted(set(positions)) and all(
        0 <= position <= len(content) for position in positions
    )
    most = len(content) if plain else 1032 * len(content)  # what deflate can make of it
    assert all(0 <= item.skipped <= most for item in items if isinstance(item, Damage))


@fuzz(100)
@given(st.binary(max_size=600), st.booleans())
def test_arbitrary_bytes_are_no_archive_or_named(content: bytes, squeezed: bool) -> None:
    content = gzip.compress(content, mtime=0) if squeezed else content
    assert all(isinstance(item, (Record, Damage)) for item in read(content))


_field = st.text(st.characters(codec="latin-1", exclude_categories=()), max_size=40).map(
    lambda text: text.encode("latin-1")
)


@fuzz(150)
@given(
    st.lists(st.tuples(_field, _field), max_size=5),
    _field,
    st.integers(-5, 500),
    st.binary(max_size=200),
)
def test_headers_of_any_bytes_are_read_or_named(
    headers: list[tuple[bytes, bytes]], status: bytes, length: int, body: bytes
) -> None:
    block = (
        b"HTTP/1.1 "
        + status
        + b"\r\n"
        + b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        + b"\r\n"
        + body
    )
    record = archives.record(
        "response",
        block,
        "http://a/",
        content_type="application/http; msgtype=response",
        length=max(0, len(block) + length - 250),
    )
    items = read(archives.members(record, RECORDS[0]))
    assert (
        items[-1] == read(MEMBERS[0])[0]
        or getattr(items[-1], "url", None) == "http://example.com/0"
    )


# --- bodies ---

_encode: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, mtime=0),
    "zlib": zlib.compress,
    "chunked": lambda body: (
        b"".join(
            b"%x\r\n%s\r\n" % (len(body[i : i + 97]), body[i : i + 97])
            for i in range(0, len(body), 97)
        )
        + b"0\r\n\r\n"
    ),
    "br": lambda body: brotli.compress(body, quality=1),
}


@fuzz(150)
@given(
    st.integers(0, 50),
    st.lists(st.sampled_from(["gzip", "zlib", "chunked"]), max_size=2),
    st.sampled_from(["", "gzip", "br", "deflate"]),
    st.booleans(),
)
def test_a_body_comes_out_of_what_it_was_wrapped_in(
    number: int, wraps: list[str], claimed: str, chunked: bool
) -> None:
    """Whatever the headers say beside it."""
    page = archives.page(archives.english(number))
    stored = page
    for wrap in wraps:
        stored = _encode[wrap](stored)
    headers = {"content-encoding": claimed} | ({"transfer-encoding": "chunked"} if chunked else {})
    found = decode_body(stored, headers, MAX_PAGE_BYTES)
    assert found.content == page and not found.cut and not found.unsupported


@fuzz(150)
@given(
    st.integers(0, 9),
    st.lists(st.sampled_from(sorted(_encode)), max_size=3),
    st.lists(damage, max_size=3),
    st.sampled_from(["", "gzip", "br", "deflate"]),
)
def test_a_harmed_body_gives_no_more_than_the_limit(
    number: int, wraps: list[str], harms: list[tuple[str, float, Any]], claimed: str
) -> None:
    stored = archives.page(archives.english(number))
    for wrap in wraps:
        stored = _encode[wrap](stored)
    for harm in harms:
        stored = damaged(stored, harm) or b"\x00"
    for limit in (100, MAX_PAGE_BYTES):
        found = decode_body(
            stored, {"content-encoding": claimed, "transfer-encoding": "chunked"}, limit
        )
        assert len(found.content) <= limit + 1


@pytest.mark.parametrize("name", ["gzip", "zlib", "br"])
def test_bombs_of_every_encoding_stop_at_the_limit(name: str) -> None:
    bomb = _encode[name](_encode[name](bytes(60_000_000)) if name != "br" else bytes(60_000_000))
    start = time.process_time()
    found = decode_body(bomb, {"content-encoding": name}, MAX_PAGE_BYTES)
    assert len(found.content) <= MAX_PAGE_BYTES + 1 and time.process_time() - start < 5


# --- charsets ---

TEXTS = {
    "cp1252": "“Naïve” – café, €5",
    "cp1250": "Příliš žluťoučký kůň úpěl",
    "cp1251": "Съешь же ещё этих мягких булок",
    "koi8-r": "Съешь же ещё этих мягких булок",
    "iso8859-2": "Zażółć gęślą jaźń",
    "shift_jis": "日本語の新聞記事です",
    "euc-jp": "日本語の新聞記事です",
    "gb18030": "中文新闻报道",
    "big5": "中文新聞報導",
    "euc-kr": "한국어 신문 기사",
    "utf-8": "Größe, café, 日本",
    "cp1253": "Ελληνική εφημερίδα",
    "cp1255": "עיתון בעברית",
    "cp1256": "صحيفة عربية",
}


@fuzz(100)
@given(
    st.sampled_from(sorted(TEXTS)),
    st.integers(1, 30),
    st.sampled_from(["header", "meta", "both", "lie"]),
)
def test_a_declared_charset_is_the_text(codec: str, times: int, how: str) -> None:
    """Declared by the header, by the page, by both; valid UTF-8 beats a header that lies."""
    meta = "" if how == "header" else f'<meta charset="{codec}">'
    text = f"<html><head>{meta}</head><body><p>{TEXTS[codec] * times}</p></body></html>"
    header = (
        "" if how == "meta" else "text/html; charset=" + ("iso-8859-5" if how == "lie" else codec)
    )
    if how == "lie":
        codec = "utf-8"
    found = decode_page(text.encode(codec), header)
    assert found is not None and found.text == text and found.replaced == 0


@fuzz(300)
@given(st.binary(max_size=400), st.text(max_size=30), st.booleans())
def test_any_bytes_have_a_text_or_none(content: bytes, label: str, cut: bool) -> None:
    found = decode_page(content, f"text/html; charset={label}", cut=cut)
    assert (
        found is None
        or found.text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass")
        == found.text
    )
    assert codec_of(label) is None or "".encode(str(codec_of(label))) is not None


# --- pages ---

_tag = st.sampled_from(
    (
        "html head body p div span a b i table tr td li ul ol dl dt script style br hr img form "
        "input select svg math h1 section article aside title meta base frameset iframe"
    ).split()
)
_attribute = st.sampled_from(
    [
        "",
        " class=share",
        " id='comments'",
        ' class="cookie-banner"',
        " style='display:none'",
        " a=<",
        ' b="',
        " href=//[",
        " role=nav",
        " colspan=99999999999",
        " x:y=z",
    ]
)
_piece = st.one_of(
    st.builds(lambda tag, attribute: f"<{tag}{attribute}>", _tag, _attribute),
    st.builds(lambda tag: f"</{tag}>", _tag),
    st.sampled_from(
        [
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<?xml version='1.0' encoding='utf-16'?>",
            "<!DOCTYPE html>",
            "<!DOCTYPE x [<!ENTITY a 'b'>]>",
            "&a;",
            "&#0;",
            "&#x110000;",
            "<",
            ">",
            "\x00",
            "\ufffe",
        ]
    ),
    st.integers(0, 9).map(lambda number: archives.english(number, 3)),
    st.text(max_size=20),
)


@fuzz(150)
@given(st.lists(_piece, max_size=40), st.integers(1, 300), st.sampled_from(["any", "en"]))
def test_any_markup_is_a_page_or_has_its_reason(
    pieces: list[str], times: int, language: str
) -> None:
    """And the accelerated steps give what trafilatura gives."""
    content = ("<html>" + "".join(pieces) * (1 + times // max(1, len(pieces)))).encode(
        "utf-8", "replace"
    )
    page_settings = PageSettings(language=language, min_characters=1)
    outcome = extract_page(
        content,
        content_type="text/html",
        url="http://a.example/2018/2/5/x",
        settings=page_settings,
    )
    assert isinstance(outcome, Page) or (isinstance(outcome, Refusal) and outcome.reason)
    if isinstance(outcome, Page):
        outcome.text.encode()
    assert outcome == extract_page(
        content,
        content_type="text/html",
        url="http://a.example/2018/2/5/x",
        settings=replace(page_settings, accelerated=False),
    )


@fuzz(12)
@given(st.sampled_from(sorted(hostile.pages())), st.integers(0, 2**32))
def test_hostile_pages_cut_anywhere_end_in_time(name: str, seed: int) -> None:
    stored, _ = hostile.pages()[name]
    content = decode_body(stored, {}, MAX_PAGE_BYTES).content
    content = content[: random.Random(seed).randrange(len(content))]
    start = time.process_time()
    extract_page(content, content_type="text/html")
    assert time.process_time() - start < 8


@fuzz(300)
@given(st.text(max_size=40) | st.builds(lambda text: f"http://{text}", st.text(max_size=40)))
def test_any_address_has_a_key_a_host_and_a_domain(url: str) -> None:
    assert isinstance(canonical_url(url), str)
    host, domain = host_of(url), domain_of(url)
    assert host == host_of(f"http://{host}/") or not host.isascii() or "%" in host or ":" in host
    assert domain == "" or host.endswith(domain)
