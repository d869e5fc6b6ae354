"""Bodies by their content: rows 1 to 5 of the list of defects."""

import gzip
import sys
import zlib

import archives
import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from corpora.web.http_body import Body, decode_body

LIMIT = 2_000_000
PAGE = archives.page(archives.english(1, 400))


def chunked(content: bytes, size: int = 1000) -> bytes:
    return (
        b"".join(
            b"%x\r\n%s\r\n" % (len(part), part)
            for part in (content[i : i + size] for i in range(0, len(content), size))
        )
        + b"0\r\n\r\n"
    )


def raw_deflate(content: bytes) -> bytes:
    engine = zlib.compressobj(wbits=-15)
    return engine.compress(content) + engine.flush()


@pytest.mark.parametrize(
    "headers",
    [
        {"content-encoding": "gzip"},
        {"content-encoding": "deflate"},
        {"content-encoding": "br"},
        {"transfer-encoding": "chunked"},
        {"transfer-encoding": "chunked", "content-encoding": "gzip"},
        {"content-length": "7"},
        {"content-length": "99999999"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "body", [PAGE, b"abc\r\n" + PAGE, b"0\r\n\r\n" + PAGE], ids=["page", "abc", "0"]
)
def test_headers_that_lie(headers: dict[str, str], body: bytes) -> None:
    """Rows 1, 2 and 5: the body is plain whatever the headers say, and its first line stays, though
    it reads like the size of a chunk."""
    assert decode_body(body, headers, LIMIT) == Body(content=body)


@pytest.mark.parametrize(
    ("stored", "headers"),
    [
        (gzip.compress(PAGE), {"content-encoding": "gzip"}),
        (gzip.compress(PAGE), {}),
        (gzip.compress(PAGE), {"content-encoding": "x-gzip"}),
        (gzip.compress(gzip.compress(PAGE)), {"content-encoding": "gzip, gzip"}),
        (gzip.compress(PAGE[:99]) + gzip.compress(PAGE[99:]), {"content-encoding": "gzip"}),
        (gzip.compress(PAGE) + bytes(64), {"content-encoding": "gzip"}),
        (zlib.compress(PAGE), {"content-encoding": "deflate"}),
        (raw_deflate(PAGE), {"content-encoding": "deflate"}),
        (brotli.compress(PAGE), {"content-encoding": "br"}),
        (chunked(PAGE), {"transfer-encoding": "chunked"}),
        (chunked(PAGE), {}),
        (chunked(PAGE).replace(b"\r\n", b"\n"), {"transfer-encoding": "chunked"}),
        (
            chunked(gzip.compress(PAGE)),
            {"transfer-encoding": "chunked", "content-encoding": "gzip"},
        ),
        (
            chunked(brotli.compress(PAGE)),
            {"transfer-encoding": "chunked", "content-encoding": "br"},
        ),
        (b"\r\n" + PAGE, {}),
    ],
    ids=[
        "gzip",
        "unsaid",
        "x-gzip",
        "twice",
        "members",
        "padded",
        "zlib",
        "raw",
        "br",
        "chunks",
        "chunks unsaid",
        "lf",
        "chunks+gzip",
        "chunks+br",
        "crlf",
    ],
)
def test_true_encodings(stored: bytes, headers: dict[str, str]) -> None:
    """Row 3."""
    assert decode_body(stored, headers, LIMIT) == Body(content=PAGE)


def test_what_cannot_be_undone_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Row 3, without brotli, and zstd."""
    assert (
        decode_body(
            b"\x28\xb5\x2f\xfd" + bytes(99), {"content-encoding": "zstd"}, LIMIT
        ).unsupported
        == "zstd"
    )
    monkeypatch.setitem(sys.modules, "brotli", None)
    assert decode_body(brotli.compress(PAGE), {"content-encoding": "br"}, LIMIT).unsupported == "br"
    assert decode_body(PAGE, {"content-encoding": "br"}, LIMIT) == Body(content=PAGE)


@pytest.mark.parametrize(
    "encode", [gzip.compress, zlib.compress, brotli.compress, raw_deflate, chunked]
)
def test_a_cut_body_keeps_its_beginning(encode: object) -> None:
    """Row 4."""
    stored = encode(PAGE)  # type: ignore[operator]
    name = {"compress": "br", "raw_deflate": "deflate", "chunked": "", "decompress": ""}.get(
        encode.__name__, ""
    )  # type: ignore[attr-defined]
    found = decode_body(
        stored[: int(len(stored) * 0.6)],
        {"content-encoding": name, "transfer-encoding": "chunked"},
        LIMIT,
    )
    assert found.cut and PAGE.startswith(found.content) and len(found.content) > 200


def test_chunks_that_break() -> None:
    """After one whole chunk the header is believed; what follows the break stays as it is."""
    found = decode_body(b"5\r\nhello\r\nworld" + PAGE, {"transfer-encoding": "chunked"}, LIMIT)
    assert found.content == b"helloworld" + PAGE


def test_a_bomb_is_inflated_to_the_limit_and_no_further() -> None:
    zeros = b"<html>" + bytes(200_000_000)
    for stored, encoding in (
        (gzip.compress(zeros, 1), "gzip"),
        (brotli.compress(zeros, quality=0), "br"),
        (gzip.compress(gzip.compress(zeros, 1)), "gzip"),
    ):
        assert decode_body(stored, {"content-encoding": encoding}, LIMIT) == Body(
            content=zeros[: LIMIT + 1]
        )


@given(
    st.binary(max_size=300),
    st.sampled_from(["", "gzip", "br", "deflate", "br, gzip"]),
    st.sampled_from(["", "chunked"]),
)
def test_any_bytes_give_an_answer(stored: bytes, encoding: str, transfer: str) -> None:
    found = decode_body(stored, {"content-encoding": encoding, "transfer-encoding": transfer}, 1000)
    assert len(found.content) <= 1001


def test_a_wrong_check_costs_nothing() -> None:
    """CRC and length of gzip, Adler of zlib: browsers look at none."""
    stored = gzip.compress(PAGE)
    for place in (-1, -4, -5, -8):
        harmed = bytearray(stored)
        harmed[place] ^= 0x40
        assert decode_body(bytes(harmed), {}, LIMIT) == Body(content=PAGE)
    harmed = bytearray(zlib.compress(PAGE))
    harmed[-2] ^= 1
    assert decode_body(bytes(harmed), {"content-encoding": "deflate"}, LIMIT).content == PAGE


def test_a_body_whose_sum_and_length_are_wrong_is_cut() -> None:
    """Damage may leave bits that mean something else: other text, up to an end that both checks
    of gzip belie."""
    stored = bytearray(gzip.compress(PAGE))
    stored[-8] ^= 1
    stored[-4] ^= 1
    assert decode_body(bytes(stored), {}, LIMIT) == Body(content=PAGE, cut=True)


def test_a_damaged_body_keeps_what_is_before() -> None:
    """Also where the whole body is inflated in one call."""
    text = b"<html><body>" + b"".join(b"<p>%d paragraph" % number for number in range(4000))
    for encode in (gzip.compress, zlib.compress):
        stored = bytearray(encode(text))
        at = len(stored) * 3 // 4
        stored[at : at + 5] = b"\xff\x00\xff\x00\xff"
        found = decode_body(bytes(stored), {"content-encoding": "gzip"}, LIMIT * 99)
        assert found.cut and len(found.content) > len(text) // 2
        assert text.startswith(found.content[: len(text) // 2])


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("window", [9, 12, 15])
def test_every_header_of_zlib(level: int, window: int) -> None:
    engine = zlib.compressobj(level, zlib.DEFLATED, window)
    content = PAGE * 3
    stored = engine.compress(content) + engine.flush()
    if stored[:64].isascii():
        pytest.skip("nothing is compressed at this level")
    assert decode_body(stored, {"content-encoding": "deflate"}, LIMIT * 9).content == content


def test_zstd() -> None:
    """One frame, several, with padding, cut, damaged, and a bomb."""
    encode = zstandard.ZstdCompressor(level=3).compress
    long_page = PAGE + b"".join(b"<p>%d" % number for number in range(30_000))
    assert decode_body(encode(PAGE), {"content-encoding": "zstd"}, LIMIT) == Body(content=PAGE)
    assert decode_body(encode(PAGE), {}, LIMIT) == Body(content=PAGE)
    two = encode(PAGE[:99]) + encode(PAGE[99:]) + bytes(9)
    assert decode_body(two, {}, LIMIT) == Body(content=PAGE)
    cut = decode_body(encode(long_page)[:-2000], {}, 10**7)
    assert cut.cut and long_page.startswith(cut.content)
    zeros = b"<html>" + bytes(200_000_000)
    assert decode_body(encode(zeros), {}, LIMIT) == Body(content=zeros[: LIMIT + 1])
