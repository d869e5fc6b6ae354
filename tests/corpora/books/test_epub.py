"""EPUB by its spine: the rules one by one, real books by eye and number, and hostile ones. Rows 43
and 44 of the list of defects."""

import functools
import io
import random
import struct
import zipfile
from typing import Any

import pytest
from epubs import CONTAINER, epub, package, page, zipped
from realdata import data_file

from corpora.books.epub import Epub, read_epub
from corpora.document import Refusal
from corpora.guard import Guard

FONT = "http://www.idpf.org/2008/embedding"
ENCRYPTION = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" '
    'xmlns:e="http://www.w3.org/2001/04/xmlenc#">{}</encryption>'
)
DATA = '<e:EncryptedData><e:EncryptionMethod Algorithm="{}"/></e:EncryptedData>'


def items(content: bytes, **settings: Any) -> tuple[str, ...]:
    book = read_epub(content, **settings)
    assert isinstance(book, Epub), book
    return book.items


def reason(content: bytes) -> str:
    book = read_epub(content)
    assert isinstance(book, Refusal), book
    return book.reason


def text(body: str, **settings: Any) -> str:
    return "\n\n".join(items(epub({"a.xhtml": body}), **settings))


def test_the_spine_and_nothing_else_gives_the_order_each_item_once() -> None:
    """Rows 43 and 44: three entries with fragments, and another order, in the NCX; EPUB 3 without
    one is the same."""
    points = (
        "".join(
            f'<navPoint><content src="a.xhtml#part{number}"/></navPoint>' for number in range(3)
        )
        + '<navPoint><content src="b.xhtml"/></navPoint>'
    )
    ncx = {"OEBPS/toc.ncx": f"<ncx><navMap>{points}</navMap></ncx>"}
    pages = {
        "b.xhtml": "<p>Second.</p>",
        "a.xhtml": "<h1>First</h1><p>Three parts.</p>",
        "c.xhtml": "<p>Not linear.</p>",
    }
    for files in ({}, ncx):
        book = epub(
            pages,
            spine=["a.xhtml", "b.xhtml", "a.xhtml", "c.xhtml"],
            files=files,
            linear={"c.xhtml": "no"},
        )
        assert items(book) == ("First\n\nThree parts.", "Second.")


def test_missing_items_are_counted_and_other_kinds_passed_over() -> None:
    manifest = (
        '<item id="gone" href="gone.xhtml" media-type="application/xhtml+xml"/><item id="picture" '
        'href="p.jpg" media-type="image/jpeg"/>'
    )
    opf = package(["a.xhtml"], manifest=manifest).replace(
        "</spine>",
        '<itemref idref="gone"/><itemref idref="nowhere"/><itemref idref="picture"/></spine>',
    )
    book = read_epub(epub({"a.xhtml": "<p>Here.</p>"}, files={"OEBPS/book.opf": opf}))
    assert isinstance(book, Epub) and book.items == ("Here.",) and book.missing == 2


@pytest.mark.parametrize(
    ("href", "name"),
    [
        ("a%20b.xhtml", "OEBPS/a b.xhtml"),
        ("../text/a.xhtml", "text/a.xhtml"),
        ("A.XHTML", "OEBPS/a.xhtml"),
        ("./x/../a.xhtml#top", "OEBPS/a.xhtml"),
        ("caf%C3%A9.xhtml", "OEBPS/café.xhtml"),
        ("t\\a.xhtml", "OEBPS/t/a.xhtml"),
    ],
)
def test_paths_are_relative_decoded_and_in_any_case(href: str, name: str) -> None:
    opf = package([href])
    assert items(
        zipped(
            {
                "META-INF/container.xml": CONTAINER.format("OEBPS/book.opf"),
                "OEBPS/book.opf": opf,
                name: page("<p>Found.</p>"),
            }
        )
    ) == ("Found.",)


@pytest.mark.parametrize(
    "href",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1:9/a.xhtml",
        "..",
        "%2e%2e/%2e%2e/etc/passwd",
        "a\0b",
    ],
)
def test_paths_that_climb_out_are_missing(href: str) -> None:
    opf = package(
        ["a.xhtml"],
        manifest=f'<item id="out" href="{href}" media-type="application/xhtml+xml"/>'.replace(
            "\0", "&#0;"
        ),
    )
    opf = opf.replace("</spine>", '<itemref idref="out"/></spine>')
    book = read_epub(
        epub(
            {"a.xhtml": "<p>In.</p>"},
            files={
                "OEBPS/book.opf": opf,
                "../../etc/passwd": page("<p>out</p>"),
                "/etc/passwd": page("<p>out</p>"),
            },
        )
    )
    assert isinstance(book, Epub) and book.items == ("In.",) and book.missing == 1


def test_navigation_and_what_guide_or_landmarks_name_is_passed_over() -> None:
    pages = {
        f"{name}.xhtml": f"<p>{name} text</p>"
        for name in (
            "cover",
            "title",
            "copy",
            "nav",
            "contents",
            "dedication",
            "one",
            "index",
            "landmark",
        )
    }
    guide = "".join(
        f'<reference type="{kind}" href="{name}.xhtml{end}"/>'
        for kind, name, end in (
            ("cover", "cover", ""),
            ("title-page", "title", ""),
            ("copyright-page", "copy", ""),
            ("toc", "contents", ""),
            ("toc", "one", "#toc"),
            ("index", "index", ""),
            ("dedication", "dedication", ""),
        )
    )
    nav = page(
        '<nav epub:type="toc"><a href="one.xhtml">One</a></nav><nav epub:type="landmarks"><a '
        'epub:type="copyright-page" href="landmark.xhtml">x</a></nav>'
    )
    opf = package(list(pages), guide=guide).replace(
        'id="nav.xhtml"', 'id="nav.xhtml" properties="scripted nav"'
    )
    assert items(epub(pages, files={"OEBPS/book.opf": opf, "OEBPS/nav.xhtml": nav})) == (
        "dedication text",
        "one text",
    )


def test_a_book_in_one_item_is_the_book_whatever_the_guide_calls_it() -> None:
    pages = {"book.xhtml": "<p>" + "word " * 10_000 + "</p>"}
    assert len(items(epub(pages, guide='<reference type="cover" href="book.xhtml"/>'))) == 1


def test_parts_of_an_item_that_are_no_text_go_and_a_dedication_stays() -> None:
    body = (
        '<section epub:type="titlepage"><h1>Title</h1><p epub:type="dedication">For '
        "<i>her</i></p><p>Publisher</p></section>"
        '<nav epub:type="toc"><ol><li>One</li></ol></nav><section '
        'epub:type="copyright-page">(c)</section>'
        '<p>One<a epub:type="noteref" href="#n1">1</a> word<sup><a '
        'href="#n2">[2]</a></sup><span epub:type="pagebreak" title="7">7</span>.<span '
        'class="lnum">10</span></p>'
        '<script>x</script><aside epub:type="footnote" id="n1">A note.</aside><p '
        'hidden="hidden">hidden</p><p><ruby>字<rt>zi</rt></ruby></p>'
    )
    assert text(body) == "For her\n\nOne word.\n\nA note.\n\n字"
    assert text(body, footnotes=False) == "For her\n\nOne word.\n\n字"


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("<p>One</p><p>two</p>", "One\n\ntwo"),
        ("<div>One</div><div>two</div>", "One\ntwo"),
        ("<p>One<br/>two<br/><br/>three</p>", "One\ntwo\n\nthree"),
        ("<p>  One\n\t two </p>", "One two"),
        ("<p>O<b>n</b>e <i> two</i></p>", "One two"),
        ("<ul><li>One</li><li>two</li></ul>", "One\ntwo"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"),
        ("<pre>a  b\n  c</pre>", "a  b\n  c"),
        ('<p><span class="dropcap">A</span>lice was</p>', "Alice was"),
        ('<p><span class="dropcap">I</span> was</p>', "I was"),
        ('<div class="drop-cap">“A</div><p>lice was</p>', "“Alice was"),
        ('<p class="initial">It was long.</p><p>So</p>', "It was long.\n\nSo"),
        (
            (
                '<p><img class="dropcap" alt="A" src="a.png"/>lice <img alt="a picture" '
                'src="b.png"/>was</p>'
            ),
            "Alice was",
        ),
        (
            "<p>hy\xadphen&shy;ated&nbsp;caf&eacute; &amp;&lt;&unknown;&#8212;</p>",
            "hyphenated\xa0café &<—",
        ),
        ("<p><![CDATA[a < b]]><!-- no --><?no?></p>", "a < b"),
        ("<p>One<p>two<br>three &copy; x", "One\n\ntwo\nthree © x"),
        ('<a id="x"/><title/><p>Kept</p><span/><p>whole<br></p>', "Kept\n\nwhole"),
        ("<p>A\x0bB</p>", "AB"),
    ],
)
def test_blocks_lines_drop_caps_and_entities(body: str, wanted: str) -> None:
    assert text(body) == wanted


def test_metadata() -> None:
    metadata = (
        "<dc:identifier>x1</dc:identifier><dc:title>A "
        "<b>Title</b></dc:title><dc:title>Sub</dc:title><dc:creator "
        'xmlns:o="http://www.idpf.org/2007/opf" o:role="aut">A. Uthor</dc:creator>'
        '<dc:creator xmlns:o="http://www.idpf.org/2007/opf" o:role="ill">I. '
        "Ll</dc:creator><dc:creator>B. "
        "Other</dc:creator><dc:language>en-GB</dc:language><dc:date>1999-12-31</dc:date>"
    )
    book = read_epub(epub({"a.xhtml": "<p>x</p>"}, metadata=metadata))
    assert isinstance(book, Epub)
    assert (book.title, book.author, book.language, book.date, book.identifier) == (
        "A Title",
        "A. Uthor, B. Other",
        "en-GB",
        "1999-12-31",
        "x1",
    )


def test_books_with_drm_are_refused_and_obfuscated_fonts_are_not() -> None:
    def of(content: str) -> bytes:
        return epub({"a.xhtml": "<p>x</p>"}, files={"META-INF/encryption.xml": content})

    assert items(of(ENCRYPTION.format(DATA.format(FONT) * 2))) == ("x",)
    for content in (
        ENCRYPTION.format(
            DATA.format(FONT) + DATA.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")
        ),
        ENCRYPTION.format(""),
        "",
        "noise",
    ):
        assert reason(of(content)) == "encrypted"
    flagged = bytearray(epub({"a.xhtml": "<p>x</p>"}))
    for at in range(len(flagged) - 4):
        if flagged[at : at + 4] == b"PK\1\2":
            flagged[at + 8] |= 1
    assert reason(bytes(flagged)) == "encrypted"


@functools.cache
def hostile() -> dict[str, tuple[bytes, str]]:
    many = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    laughs = (
        f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{many}]>'
        + page("<p>&l9;</p>").split("?>", 1)[1]
    )
    outside = (
        '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY out SYSTEM "file:///etc/passwd">]>'
        + page("<p>&out;</p>").split("?>", 1)[1]
    )
    whole = epub({"a.xhtml": "<p>word</p>" * 5000})
    draw = random.Random(0)
    wide = "<p " + " ".join(f'a{number}="1"' for number in range(100_000)) + ">x</p>"
    return {
        "bomb in the spine": (epub({"a.xhtml": "<p>" + " " * 30_000_000 + "</p>"}), "bomb"),
        "bomb beside it": (
            epub({"a.xhtml": "<p>x</p>"}, files={"p.jpg": bytes(30_000_000)}),
            "bomb",
        ),
        "bomb as package": (
            epub({"a.xhtml": "<p>x</p>"}, files={"OEBPS/book.opf": b" " * 30_000_000}),
            "bomb",
        ),
        "billion laughs": (epub({"a.xhtml": ""}, files={"OEBPS/a.xhtml": laughs}), "empty"),
        "entity of a file": (epub({"a.xhtml": ""}, files={"OEBPS/a.xhtml": outside}), "empty"),
        "laughs in the package": (
            epub({"a.xhtml": "<p>x</p>"}, files={"OEBPS/book.opf": laughs}),
            "not_epub",
        ),
        "deep": (epub({"a.xhtml": "<div>" * 3000 + "x" + "</div>" * 3000}), "too_deep"),
        "deep and open": (epub({"a.xhtml": "<div>" * 30_000 + "x"}), "too_deep"),
        "attributes": (epub({"a.xhtml": wide}), "too_many_attributes"),
        "cut": (whole[: len(whole) // 2], "damaged"),
        "empty": (b"", "damaged"),
        "no zip": (b"PK\3\4 is how it begins", "damaged"),
        "no container": (zipped({"a.txt": "x"}), "not_epub"),
        "container that climbs": (
            epub(
                {"a.xhtml": "<p>x</p>"},
                opf="OEBPS/book.opf",
                files={"META-INF/container.xml": CONTAINER.format("../../book.opf")},
            ),
            "not_epub",
        ),
        "only pictures": (epub({"a.xhtml": '<img src="p.jpg"/>'}), "empty"),
        "spine of nothing": (
            epub({}, spine=[f"{draw.random()}.xhtml" for _ in range(20_000)]),
            "empty",
        ),
    }


@pytest.mark.parametrize("name", hostile())
def test_hostile_books_are_refused_with_a_reason(name: str) -> None:
    content, wanted = hostile()[name]
    assert reason(content) == wanted


def test_tags_are_counted_over_the_whole_book(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpora.books.epub.MAX_ELEMENTS", 1000)
    pages = {
        name: "".join(f"<b>{number}</b>" for number in range(270))
        for name in ("a.xhtml", "b.xhtml")
    }
    assert reason(epub(pages)) == "too_many_elements"
    assert len(items(epub({"a.xhtml": pages["a.xhtml"]}))) == 1


def test_a_directory_beyond_its_limit_is_not_loaded() -> None:
    content = bytearray(epub({"a.xhtml": "<p>x</p>"}))
    at = content.rfind(b"PK\5\6")
    content[at + 12 : at + 16] = struct.pack("<L", 60_000_000)
    assert reason(bytes(content)) == "bomb"


def test_a_size_that_lies_is_no_way_around_the_limits() -> None:
    """The directory says 10 bytes where 30 million are."""
    content = bytearray(epub({"a.xhtml": "<p>" + " " * 30_000_000 + "</p>"}))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = archive.getinfo("OEBPS/a.xhtml").file_size
    assert content.count(struct.pack("<L", size)) == 2
    assert (
        reason(bytes(content.replace(struct.pack("<L", size), struct.pack("<L", 10)))) == "empty"
    )  # its checksum is wrong: the item is missing


def test_noise_in_a_book_never_raises() -> None:
    draw = random.Random(0)
    whole = epub({"a.xhtml": "<p>word</p>" * 500, "b.xhtml": "<p>more</p>"})
    for _ in range(300):
        content = bytearray(whole)
        for _ in range(draw.randrange(1, 6)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        assert isinstance(read_epub(bytes(content)), (Epub, Refusal))


def test_in_the_child_as_here() -> None:
    content = epub({"a.xhtml": "<p>x</p>"})
    with Guard("corpora.books.epub:read_epub") as guard:
        assert guard.call(content, footnotes=True) == read_epub(content)


REAL = {
    "alice": (
        10,
        51888,
        "Down The Rabbit-Hole",
        "what a wonderful dream it had been.",
        "Alice's Adventures in Wonderland",
        "Lewis Carroll",
    ),
    "childrens-literature.assembled": (
        1,
        292723,
        "SECTION IV FAIRY STORIES—MODERN FANTASTIC TALES",
        "The Black Brothers.",
        "Children's Literature",
        "Charles Madison Curry, Erle Elsworth Clippinger",
    ),
    "testbook1": (
        4,
        5008,
        "Introduction",
        "We hope you enjoyed the test.",
        "Epublib test book 1",
        "Joe Tester",
    ),
    "wasteland.assembled": (
        1,
        25678,
        '"Nam Sibyllam quidem Cumis ego ipse oculis meis',
        "is a feeble translation of the content of this word.",
        "The Waste Land",
        "T.S. Eliot",
    ),
}


@pytest.mark.parametrize("name", REAL)
def test_real_books(name: str) -> None:
    path = data_file(f"books/epub/{name}.epub")
    if path is None:
        pytest.skip(f"no test data: books/epub/{name}.epub")
    count, size, first, last, title, author = REAL[name]
    book = read_epub(path.read_bytes())
    assert isinstance(book, Epub)
    whole = "\n\n".join(book.items)
    assert (
        len(book.items),
        len(whole),
        whole.split("\n")[0],
        book.title,
        book.author,
        book.missing,
    ) == (count, size, first, title, author, 0)
    assert whole.endswith(last)
