"""Pages that a header's spelling, an address or scripts must not lose, and the time of every
pattern that reads a page's bytes."""

import datetime
import time

import archives
import pytest

from corpora.document import Refusal
from corpora.text.charset import decode_page
from corpora.text.language import detect_language
from corpora.text.urls import canonical_url
from corpora.web.extract import extract_page
from corpora.web.page import Page, PageSettings, lightened, refuse, refuse_tags

CRAWLED = datetime.datetime(2019, 2, 3, tzinfo=datetime.timezone.utc)

ARTICLE = archives.page(archives.english(1, 6))


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html charset=iso-8859-1",
        "text/html,text/html",
        "*/*, text/html",
        "'text/html'",
        "HTML",
        "unknown",
        "text/xml",
        "application/x-httpd-php",
        "text/html; charset=utf-8, */*",
    ],
)
def test_types_as_browsers_read_them(content_type: str) -> None:
    assert isinstance(extract_page(ARTICLE, content_type=content_type), Page)


@pytest.mark.parametrize(
    "content_type", ["text/css", "image/png", "application/json", "text/plain"]
)
def test_types_that_are_never_a_page(content_type: str) -> None:
    outcome = extract_page(ARTICLE, content_type=content_type)
    assert isinstance(outcome, Refusal) and outcome.reason == "not_html"


@pytest.mark.parametrize("url", ["https://a.org/D3.js", "http://a.org/x.xml", "https://blog.mov"])
def test_addresses_decide_nothing_about_a_page(url: str) -> None:
    assert isinstance(extract_page(ARTICLE, content_type="text/html", url=url), Page)


def test_scripts_styles_and_pictures_do_not_count() -> None:
    inside = (
        "<script>"
        + "<b>" * 400_000
        + "</script><STYLE>"
        + "p {}" * 100_000
        + "</STYLE>"
        + '<img src="data:image/png;base64,'
        + "QUJD" * 200_000
        + '"><!-- '
        + "<i>" * 9000
        + " -->"
    )
    content = ARTICLE.replace(b"</body>", inside.encode() + b"</body>")
    outcome = extract_page(content)
    assert isinstance(outcome, Page) and outcome.text == archives.english(1, 6)
    assert len(lightened(content.decode())) < 10_000


def test_structured_data_stays() -> None:
    data = '<script type="application/ld+json">{"articleBody": "x"}</script>'
    page = f"<html>{data}{'<script>1</script>' * 20_000}</html>"
    assert data in lightened(page) and len(lightened(page)) < len(page)


UNITS = (
    "<!--",
    "<meta ",
    "<meta charset=",
    "<script>",
    "<script ",
    "<p ",
    "<p>",
    "<a '",
    '<a "',
    "=data:,",
    '="[',
    "<html ",
    "<html lang=",
    "\x1b$B",
    "~{",
    "+AAA",
    "&#1",
    "published ",
    "<?xml ",
    "<!DOCTYPE rss",
    '"datePublished" ',
    "class='cookie",
    "\x1b(I",
    "<svg ",
    "</",
    "\u00e2",
    "<time>",
    "data:a",
)


@pytest.mark.parametrize("unit", UNITS)
def test_time_is_linear_in_what_is_never_closed(unit: str) -> None:
    """A megabyte of openers, in each step that reads bytes or text before the parser."""
    content = (unit * (1_000_000 // len(unit.encode()))).encode()
    start = time.process_time()
    refuse(content, "text/html")
    decoded = decode_page(content)
    if decoded is not None:
        refuse_tags(lightened(decoded.text))
    assert time.process_time() - start < 4


@pytest.mark.parametrize(
    ("head", "body", "wanted"),
    [
        (
            '<meta name="date" content="2019-02-01"><meta name="pubdate" content="2018-07-09">',
            "",
            9,
        ),
        (
            '<script type="application/ld+json">[{"@type": "Organization", "datePublished": '
            '"2010-01-01"}, {"@graph": [{"@type": "BlogPosting", "datePublished": "2018-07-08"}]}]'
            "</script>",
            "",
            8,
        ),
        (
            "",
            '<time datetime="2019-02-02">now</time><time class="entry-date" datetime="2018-07-07">',
            7,
        ),
        ("", '<p>Posted on July 6, 2018</p><time datetime="2018-12-12">Christmas</time>', 6),
    ],
)
def test_the_day_of_the_article_goes_first(head: str, body: str, wanted: int) -> None:
    content = archives.page(archives.english(1), head).replace(b"<body>", f"<body>{body}".encode())
    outcome = extract_page(content, crawled=CRAWLED)
    assert isinstance(outcome, Page) and outcome.date == datetime.date(2018, 7, wanted)


def test_the_title_counts_wherever_the_parser_put_it() -> None:
    content = ARTICLE.replace(b"<head>", b"<head><div>x</div>")
    outcome = extract_page(content)
    assert isinstance(outcome, Page) and outcome.title == "A page"


@pytest.mark.parametrize("lang", ["en", "EN-us"])
def test_a_consent_layer_does_not_decide(lang: str) -> None:
    """In paragraphs of French, before an English article with and without paragraphs."""
    french = (
        "Nous utilisons des traceurs pour mesurer la fr\u00e9quentation de ce site et adapter. "
    )
    layer = f'<div id="gdpr-consent">{f"<p>{french * 2}</p>" * 12}</div>'
    for article in (
        "".join(f"<p>{archives.english(number, 3)}</p>" for number in range(12)),
        "<br>".join(archives.english(number, 3) for number in range(12)),
    ):
        page = f'<html lang="{lang}"><body>{layer}<article><div>{article}</div></article></body>'
        outcome = extract_page(page.encode(), settings=PageSettings(language="en"))
        assert isinstance(outcome, Page) and outcome.language == "en"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (
            "\u5e02\u8b70\u6703\u6c7a\u5b9a\u91cd\u5efa\u820a\u6e2f\u53e3\u7684\u5927\u6a4b" * 4,
            "zh-tw",
        ),
        (
            "\u5e02\u8bae\u4f1a\u51b3\u5b9a\u91cd\u5efa\u65e7\u6e2f\u53e3\u7684\u5927\u6865" * 4,
            "zh-cn",
        ),
        (
            "\u10e5\u10d0\u10da\u10d0\u10e5\u10d8\u10e1 \u10e1\u10d0\u10d1\u10ed\u10dd\u10db " * 9,
            "ka",
        ),
        ("\u1218\u1295\u130d\u1235\u1275 \u12a0\u12f2\u1235 \u12a0\u1260\u1263 " * 9, "am"),
    ],
)
def test_scripts_decide_where_langdetect_cannot(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_names_of_hosts_are_those_of_browsers() -> None:
    key = canonical_url("http://fu\u00dfball.example/x")
    assert key == "xn--fuball-cta.example/x" != canonical_url("http://fussball.example/x")
    assert canonical_url("http://\U0001f600.example/") == "xn--e28h.example"


@pytest.mark.parametrize(
    ("content", "label", "text", "charset"),
    [
        (
            b"caf\xc3\xa9 d\xc3\xa9j\xc3\xa0 \xc3\xa9t\xc3\xa9 \xe2\x80 x",
            "latin1",
            "caf\u00e9",
            "utf-8",
        ),
        (b"caf\xc3\xa9 \xc3x \xed\xa0\xbd\xed\xb8\x80", "utf-8", "\U0001f600", "utf-8"),
        (b"it\xe2\x80 s", "utf-8", "\ufffd", "utf-8"),
        (b"caf\xe9", "utf-8", "caf\u00e9", "cp1252"),
        (b"\x1b$B-!F|\x1b(B", "", "\u2460\u65e5", "iso2022_jp"),
    ],
)
def test_nearly_valid_utf8(content: bytes, label: str, text: str, charset: str) -> None:
    found = decode_page(b"<p>" + content, f"text/html; charset={label}")
    assert found is not None and text in found.text and found.charset == charset


@pytest.mark.parametrize(
    ("content", "label"),
    [
        (b"<p>~{<:Ky2;VF~} ~{1{~}", "hz-gb-2312"),
        (b"<p>+ZeVnLIqe- and +MEIwRDBG-", "utf-7"),
        (b"<p>\x1b$)C\x0e!!\x0f", "iso-2022-kr"),
        (b"<p>" + b"~{<:Ky2;VF~} " * 6, ""),
        ("<p>\u65e7\u6e2f".encode("shift_jis") * 9, ""),
    ],
)
def test_what_is_no_text(content: bytes, label: str) -> None:
    assert decode_page(content, f"text/html; charset={label}") is None


def test_a_page_without_a_declaration_is_read_as_those_of_its_country() -> None:
    content = "<p>\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440</p>".encode("cp1251")
    assert decode_page(content) is None
    found = decode_page(content, url="http://a.ru/x")
    assert found is not None and (found.charset, found.evidence) == ("cp1251", "place")
    found = decode_page(b'<html lang="bg">' + content)
    assert found is not None and found.charset == "cp1251"
