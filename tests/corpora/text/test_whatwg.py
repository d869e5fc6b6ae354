"""The decoders of the Encoding Standard: where they are Python's, where not, and what is broken."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.text import whatwg
from corpora.text.whatwg_names import SINGLE

MULTIPLE = ("big5hkscs", "cp949", "cp932", "euc_jp", "gb18030", "iso2022_jp")

# Bytes 80..ff that decode otherwise than by Python 3.11, or that it leaves undefined.
OTHERWISE = {"koi8-u": 2, "cp1255": 13, "cp1253": 14, "cp874": 23, "cp1258": 9, "cp1257": 10}


@pytest.mark.parametrize("codec", sorted(SINGLE))
def test_one_byte_a_character(codec: str) -> None:
    """The same as Python's codec but for the bytes that Python leaves undefined, and those of
    koi8-u."""
    different = 0
    for byte in range(256):
        text, broken = whatwg.decode(bytes((byte,)), codec)
        assert len(text) == 1 and broken == (text == "\ufffd")
        try:
            theirs = bytes((byte,)).decode(codec)
        except UnicodeDecodeError:
            theirs = "\ufffd"
        different += text != theirs
    few = OTHERWISE.get(codec, 7)
    assert different <= few and (codec not in OTHERWISE or different == few)


@pytest.mark.parametrize(
    ("codec", "stored", "text"),
    [
        ("koi8-u", b"\xae\xbe", "\u045e\u040e"),  # Belarusian short u
        ("cp1255", b"\xca", "\u05ba"),
        ("cp1252", b"\x81\x8d", "\x81\x8d"),
        ("cp1253", b"\xaa", "\ufffd"),
        ("euc_jp", b"\xad\xa1\xad\xea", "\u2460\u3231"),  # NEC's row 13
        ("euc_jp", b"\x8e\xb1\x8f\xb0\xa1", "\uff71\u4e02"),  # half-width kana; JIS X 0212
        ("euc_jp", b"\xa1\xc1", "\uff5e"),
        ("cp932", b"\x81\x60\x87\x54\xf0\x40\x80", "\uff5e\u2160\ue000\x80"),
        ("big5hkscs", b"\x87\x7a\x88\x62\xa1\x45", "\u3875\u00ca\u0304\u2027"),
        ("gb18030", b"\x80\xa2\xe3\xa3\xa0", "\u20ac\u20ac\u3000"),
        ("gb18030", b"\x90\x30\x81\x30\x81\x35\xf4\x37", "\U00010000\ue7c7"),
        ("cp949", b"\xb0\xa1\x81\x41", "\uac00\uac02"),
        ("iso2022_jp", b"\x1b$B-!\x1b(I6E\x1b(J\\~\x1b(B~", "\u2460\uff76\uff85\xa5\u203e~"),
        ("iso2022_jp", b"\x1b$@F|K\\\x1b(B", "\u65e5\u672c"),
    ],
)
def test_what_browsers_read(codec: str, stored: bytes, text: str) -> None:
    assert whatwg.decode(stored, codec) == (text, text.count("\ufffd"))


@pytest.mark.parametrize("codec", MULTIPLE[:-1])
def test_a_broken_character_costs_no_tag(codec: str) -> None:
    """A lead byte before `<` is one U+FFFD, and the tag stays."""
    assert whatwg.decode(b"a\x81<p>b\xff", codec)[0].replace("\ufffd", "") == "a<p>b"


@pytest.mark.parametrize("codec", [*MULTIPLE, *sorted(SINGLE)])
def test_ascii_is_ascii(codec: str) -> None:
    ascii_bytes = bytes(byte for byte in range(128) if byte != 0x1B)
    assert whatwg.decode(ascii_bytes, codec) == (ascii_bytes.decode(), 0)


@pytest.mark.parametrize("codec", ["big5hkscs", "cp949", "cp932", "euc_jp", "gb18030"])
@given(st.data())
def test_as_python_where_python_knows_the_character(codec: str, data: st.DataObject) -> None:
    """Text that Python encodes and decodes to itself, and that the standard has in the same place:
    all but a few signs."""
    text = data.draw(st.text(st.characters(min_codepoint=0x3041, max_codepoint=0x9FA5), max_size=9))
    stored = text.encode(codec, "ignore")
    assert whatwg.decode(stored, codec) == (stored.decode(codec), 0)


@given(st.binary(max_size=200), st.sampled_from([*MULTIPLE, *sorted(SINGLE)]))
def test_any_bytes_have_a_text(stored: bytes, codec: str) -> None:
    text, broken = whatwg.decode(stored, codec)
    assert broken == text.count("\ufffd") and len(text) <= 2 * len(stored)
    text.encode()


@pytest.mark.parametrize("codec", [*MULTIPLE, "cp1251"])
def test_time_is_linear(codec: str) -> None:
    for unit in (b"\xe4", b"\x81\x30", b"\x1b$B", b"\x8f\xa1", b"ab\xc4\xe3"):
        start = time.process_time()
        whatwg.decode(unit * (1_000_000 // len(unit)), codec)
        assert time.process_time() - start < 3
