"""Charsets by evidence: rows 14 and 23 to 27 of the list of defects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.text.charset import codec_of, decode_page

HTML = "<html><head>{}</head><body><p>{}</p></body></html>"


@pytest.mark.parametrize(
    ("content", "header", "wanted", "evidence"),
    [
        (HTML.format("", "café").encode(), "text/html; charset=iso-8859-1", "café", "utf-8"),
        (HTML.format("<meta charset=windows-1251>", "café").encode(), "", "café", "utf-8"),
        (
            HTML.format("", "it’s").encode("cp1252"),
            "text/html; charset=iso-8859-1",
            "it’s",
            "header",
        ),
        (
            HTML.format("", "it’s “so” – 5 €").encode("cp1252"),
            "text/html; charset=ISO-8859-1",
            "it’s “so” – 5 €",
            "header",
        ),
        (HTML.format('<meta charset="utf-16">', "plain").encode(), "", "plain", "ascii"),
        (
            HTML.format('<meta charset="utf8mb4">', "it’s").encode("cp1252"),
            "text/html; charset=none",
            "it’s",
            "fallback",
        ),
        (HTML.format("", "it’s").encode("cp1252"), "", "it’s", "fallback"),
        (
            HTML.format(
                '<meta http-equiv="Content-Type" content="text/html; charset=windows-1252">',
                "Straße",
            ).encode("cp1252"),
            "",
            "Straße",
            "meta",
        ),
        (
            HTML.format(
                "<!-- <meta charset=koi8-r> --><meta charset='cp1251'>", "Привет мир"
            ).encode("cp1251"),
            "",
            "Привет мир",
            "meta",
        ),
        (
            HTML.format("", "Привет мир").encode("koi8-r"),
            "text/html;charset=KOI8-R",
            "Привет мир",
            "header",
        ),
        (
            HTML.format("<meta charset=shift_jis>", "日本語のページ").encode("cp932"),
            "text/html; charset=utf-8",
            "日本語のページ",
            "meta",
        ),
        (
            HTML.format("<meta charset=gb2312>", "中文网页镕").encode("gbk"),
            "",
            "中文网页镕",
            "meta",
        ),
        (
            HTML.format("", "日本").encode("iso2022_jp"),
            "text/html; charset=iso-2022-jp",
            "日本",
            "header",
        ),
        (
            b"\xef\xbb\xbf" + HTML.format("", "é").encode(),
            "text/html; charset=iso-8859-1",
            "é",
            "bom",
        ),
        (b"\xff\xfe" + HTML.format("", "é漢").encode("utf-16-le"), "", "é漢", "bom"),
        (
            b"\xfe\xff" + HTML.format("", "é漢").encode("utf-16-be"),
            "text/html; charset=utf-8",
            "é漢",
            "bom",
        ),
        (HTML.format("", "é漢").encode("utf-16-le"), "text/html; charset=utf-16", "é漢", "header"),
        (
            b'<?xml version="1.0" encoding="iso-8859-2"?>'
            + HTML.format("", "Łódź").encode("iso8859-2"),
            "",
            "Łódź",
            "meta",
        ),
        (
            HTML.format("", "\x81\x8d\x8f").encode("latin-1"),
            "text/html; charset=windows-1252",
            "\x81\x8d\x8f",
            "header",
        ),
    ],
)
def test_evidence(content: bytes, header: str, wanted: str, evidence: str) -> None:
    """Rows 23 to 27: the right text, no byte order mark, no replacement."""
    decoded = decode_page(content, header)
    assert decoded is not None
    assert (
        f"<p>{wanted}</p>" in decoded.text
        and decoded.evidence == evidence
        and decoded.replaced == 0
    )
    assert "\ufeff" not in decoded.text


def test_a_character_cut_at_the_end_is_left_out() -> None:
    """Row 14."""
    whole = HTML.format("", "café " * 100 + "漢😀").encode()
    for end in range(whole.index("漢".encode()), len(whole)):
        decoded = decode_page(whole[:end], "text/html", cut=True)
        assert decoded is not None and decoded.charset == "utf-8" and "\ufffd" not in decoded.text


def test_a_few_bad_bytes_in_utf8_are_replaced_and_counted() -> None:
    content = (
        HTML.format("", "Zwölf große Bögen " * 200 + "{}").encode().replace(b"{}", b"\xe9 \xff")
    )
    decoded = decode_page(content, "text/html; charset=utf-8")
    assert (
        decoded is not None
        and decoded.charset == "utf-8"
        and decoded.replaced == 2
        and "Zwölf große" in decoded.text
    )


def test_a_declaration_behind_the_first_kilobyte_counts_before_the_body() -> None:
    """As on pages with long descriptions before it; a word of it in the body or in a comment is
    none."""
    meta = "<meta http-equiv='Content-Type' content='text/html; charset=iso-8859-2'>"
    for before, wanted in (
        (f"<title>{'x' * 3000}</title>{meta}", "Łódź"),
        (f"<!-- {'x' * 3000} -->{meta}", "Łódź"),
        (f"{'x' * 3000}<!-- {meta} -->", None),
    ):
        decoded = decode_page(HTML.format(before, "Łódź").encode("iso8859-2"))
        assert decoded is not None and (f"<p>{wanted}</p>" in decoded.text) == (wanted is not None)
    late = decode_page(HTML.format("x" * 3000, f"Łódź{meta}").encode("iso8859-2"))
    assert late is not None and late.evidence == "fallback"


@pytest.mark.parametrize("declared", ["", "text/html; charset=utf-8"])
def test_a_few_latin_letters_on_a_long_page_are_not_lost(declared: str) -> None:
    """Less than one in a thousand: as UTF-8 they would all be replaced, and the page would seem to
    be nearly whole."""
    content = (
        HTML.format("", "Plain text of many words. " * 500 + "f{}r, it{}s")
        .encode()
        .replace(b"f{}r, it{}s", b"f\xfcr, it\x92s")
    )
    decoded = decode_page(content, declared)
    assert (
        decoded is not None
        and decoded.text.endswith("für, it’s</p></body></html>")
        and (decoded.charset, decoded.replaced) == ("cp1252", 0)
    )


def test_latin_text_that_claims_to_be_utf8() -> None:
    content = HTML.format("<meta charset=utf-8>", "Zwölf große Bögen für die Brücke " * 20).encode(
        "cp1252"
    )
    decoded = decode_page(content, "text/html; charset=utf-8")
    assert decoded is not None and decoded.charset == "cp1252" and "Zwölf große" in decoded.text


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("Привет, это страница о погоде. " * 9, "koi8-r"),
        ("日本語のページです。" * 9, "cp932"),
        ("한국어 페이지" * 9, "cp949"),
    ],
)
def test_an_alphabet_that_nothing_declares_is_refused(text: str, codec: str) -> None:
    assert decode_page(HTML.format("", text).encode(codec)) is None


def test_labels() -> None:
    assert [
        codec_of(label)
        for label in ("UTF8", " latin1 ", "ascii", "x-sjis", "unicode", "GBK", "x-user-defined")
    ] == [
        *("utf-8", "cp1252", "cp1252", "cp932", "utf-16-le", "gb18030", "cp1252"),
    ]
    assert [
        codec_of(label) for label in ("none", "utf8mb4", "utf-7", "rot13", "idna", "base64", "")
    ] == [None] * 7


@given(
    st.binary(max_size=200),
    st.sampled_from(
        [
            "",
            "text/html; charset=utf-16",
            "text/html; charset=big5",
            "text/html; charset=iso-2022-jp",
            "text/html; charset=cp1255",
        ]
    ),
)
def test_any_bytes_give_an_answer(content: bytes, header: str) -> None:
    decoded = decode_page(content, header, cut=True)
    assert decoded is None or isinstance(decoded.text, str)
