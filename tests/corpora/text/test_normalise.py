"""Normalisation, and the folding for exact dedup, the same on every interpreter."""

import hashlib
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.text.normalise import (
    casefold,
    exact_digest,
    mend_odd_lines,
    normalise,
    normalise_lines,
)
from corpora.text.plain_lines import find_odd_lines, plain_characters

TEXTS = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from(
            "a \t\r\n\x00\x0b\x85\xa0\xad\u0301\u200b\u200c\u200d\u2028\u3000\ufeff\ud800é"
        ),
    )
)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("a\r\nb\rc\nd", "a\nb\nc\nd"),
        ("a\x0bb\x0cc\u2028d\u2029e", "a\nb\nc\nd\ne"),
        ("it\x92s \x93so\x94 \x96 5 \x80\x85", "it\u2019s \u201cso\u201d \u2013 5 \u20ac\u2026"),
        ("the five \x81\x8d\x8f\x90\x9dmean nothing", "the five mean nothing"),
        ("a\xa0b\u2009c\u202fd\u3000e", "a b c d e"),
        (
            "zero\u200bwidth soft\xadhyphen \ufeffbom word\u2060joiner",
            "zerowidth softhyphen bom wordjoiner",
        ),
        ("nul\x00bell\x07del\x7fc1\x9d", "nulbelldelc1"),
        ("half \ud83d surrogate", "half  surrogate"),
        ("tab\tstays", "tab\tstays"),
        ("e\u0301", "\xe9"),
        ("e\u200b\u0301", "\xe9"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("joi\u200cner", "joiner"),
        ("\U0001f469\u200d\U0001f469", "\U0001f469\u200d\U0001f469"),
        # A virama and a joiner are one letter, at the end of a word and of a text.
        ("\u0d05\u0d35\u0d33\u0d4d\u200d, x", "\u0d05\u0d35\u0d33\u0d4d\u200d, x"),
        ("\u09b9\u09a0\u09be\u09a4\u09cd\u200d", "\u09b9\u09a0\u09be\u09a4\u09cd\u200d"),
        ("\u0d33\u0d4d\u200d\u200d.", "\u0d33\u0d4d\u200d."),
        ("\u0645\u06cc\u200c.", "\u0645\u06cc."),
        ("PDF\u200c\u0647\u0627 7\u200c\u062a\u0627", "PDF\u200c\u0647\u0627 7\u200c\u062a\u0627"),
        ("PDF\u200d\u0647\u0627", "PDF\u0647\u0627"),
        # The flag of Wales, and tags that belong to no flag.
        (
            "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f!",
            "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f!",
        ),
        ("\U0001f3f4\U000e0067! a\U000e0041\U000e007f", "\U0001f3f4! a"),
        ("\n \t text \n", "text"),
        ("\u200b\xa0\n", ""),
    ],
)
def test_normalise(raw: str, clean: str) -> None:
    assert normalise(raw) == clean


@given(TEXTS)
def test_normalised_text_is_clean_and_stays(text: str) -> None:
    clean = normalise(text)
    clean.encode()
    assert normalise(clean) == clean
    assert unicodedata.is_normalized("NFC", clean) or unicodedata.unidata_version < "16"
    assert not set(clean) & set("\r\x00\x0b\x85\xa0\xad\u200b\u2028\u3000\ufeff")
    assert clean == clean.strip()


def test_folding_is_that_of_unicode_13_on_every_interpreter() -> None:
    state = hashlib.blake2b(digest_size=8)
    for number in range(0x110000):
        if not 0xD800 <= number < 0xE000:
            state.update(casefold(chr(number)).encode())
    assert state.hexdigest() == "48e9720d0732aa1c"


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        ("Some  Text\nhere", "some text here", True),
        ("STRASSE", "straße", True),
        ("Ωδός", "ΩΔΌΣ", True),
        ("some text.", "some text", False),
        ("12 texts", "13 texts", False),
    ],
)
def test_equal_but_for_case_and_white_space(left: str, right: str, equal: bool) -> None:
    assert (exact_digest(normalise(left)) == exact_digest(normalise(right))) is equal


# --- only lines that are not plain are looked at

PLAIN = [chr(point) for point in np.flatnonzero(plain_characters()).tolist()]

LINES = st.lists(
    st.one_of(
        st.text(st.sampled_from(PLAIN), max_size=8),
        st.text(
            st.sampled_from("ab é\xa0\u0301\u200b\u200c\u200d\u3000\ud800\U0001f3f4"), max_size=4
        ),
        st.text(st.characters(blacklist_characters="\r\x0b\x0c\u2028\u2029"), max_size=4),
    ),
    max_size=12,
)


@given(LINES, st.sampled_from(["", "\n", "\n\n"]))
def test_lines_that_are_not_plain_are_mended_alone(lines: list[str], between: str) -> None:
    text = between.join(lines)
    assert mend_odd_lines(text) == normalise_lines(text)


def test_runs_of_odd_lines() -> None:
    """Neighbours are one run; more runs than there is room for are counted."""
    content = np.frombuffer("a\n\xa0\nb\xa0c\n\nd\n\xa0".encode(), np.uint8)
    spans = np.full(8, -1, np.int64)
    assert find_odd_lines(content, plain_characters(), spans) == 4
    assert spans.tolist() == [2, 9, 13, 15, -1, -1, -1, -1]

    few = np.full(2, -1, np.int64)
    assert find_odd_lines(content, plain_characters(), few) == 4
    assert few.tolist() == [2, 9]


def test_a_text_with_many_runs_of_odd_lines() -> None:
    text = "plain\n\xa0odd\n" * 1000 + "end"
    assert mend_odd_lines(text) == "plain\n odd\n" * 1000 + "end"


def test_plain_characters_are_never_changed() -> None:
    """Neither alone nor between others, by the expressions and by Unicode's tables."""
    for letter in PLAIN:
        assert unicodedata.combining(letter) == 0, hex(ord(letter))
        assert unicodedata.is_normalized("NFC", letter), hex(ord(letter))
    text = "".join(PLAIN)
    assert normalise_lines(text) == text
    assert normalise_lines(text[::-1]) == text[::-1]


def test_no_plain_character_combines_with_one_before_it() -> None:
    """Nothing composes with it: it is the second part of no canonical decomposition."""
    seconds = set()
    for point in range(0x110000):
        parts = unicodedata.decomposition(chr(point)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            seconds.add(chr(int(parts[1], 16)))
    jamo = {chr(point) for point in range(0x1161, 0x11C3)}
    assert not (seconds | jamo) & set(PLAIN)


@pytest.mark.parametrize("character", "\r\x0b\x0c\u2028\u2029\x00\x1f\x7f")
def test_a_long_text_with_one_odd_character(character: str) -> None:
    """As the same text in short pieces."""
    lines = [f"A line of words, é, number {number}." for number in range(50)]
    lines[20] += f"{character}more"
    expected = normalise("\n".join(lines[:21]))
    assert normalise("\n".join(lines)) == "\n".join([expected, *lines[21:]])
