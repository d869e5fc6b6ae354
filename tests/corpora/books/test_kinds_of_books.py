"""Books as they come: small print behind the book, markers in other languages, two books in one
file, EPUBs with odd names, marks of notes, letters that are images, notices, wrapped Chinese."""

import unicodedata
import zipfile
from io import BytesIO

import pytest
from epubs import CONTAINER, page
from hypothesis import given
from hypothesis import strategies as st

from corpora.books.epub import Epub, read_epub
from corpora.books.gutenberg import strip
from corpora.books.notices import trim_items, trim_text
from corpora.books.typing_marks import without_italics, without_note_marks
from corpora.books.unwrap import unwrap

BODY = "\n\n".join(
    f"Line {number} of a book that is long enough to be one, and says nothing of anything."
    for number in range(60)
)

SMALL = "***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***\nWhy?\n*END THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.01.01*END*"


@pytest.mark.parametrize("paragraphs", [10, 60, 600])
def test_small_print_behind_the_book(paragraphs: int) -> None:
    body = "\n\n".join(BODY.split("\n\n")[:2] * (paragraphs // 2))
    text = (
        "Project Gutenberg's Etext of Another Book, by A. Writer\n\nCopyright laws are changing all "
        "over the world. Please check.\n\nTitle: Another Book\n\nAuthor: A. Writer\n\nRelease Date: "
        f"May, 2002  [Etext #1234]\n\nANOTHER BOOK\n\n{body}\n\nEnd of Project Gutenberg's Another "
        f"Book, by A. Writer\n\n{SMALL}\n"
    )
    book = strip(text)
    assert book.text == f"ANOTHER BOOK\n\n{body}"
    assert (book.title, book.author, book.number) == ("Another Book", "A. Writer", 1234)
    assert book.markers == "small_print" and book.removed == len(text) - len(book.text)


@pytest.mark.parametrize(
    "start, credit, words, end",
    [
        ("START OF THIS PROJECT GUTENBERG EBOOK", "Produit par Quelqu'un", "Fin du Projet Gutenberg EBook de X", "END OF THIS PROJECT GUTENBERG EBOOK"),
        ("START OF THE PROJECT GUTENBERG EBOOK", "Dieses Etext wurde von Jemand erstellt", "Ende dieses Projekt Gutenberg Etextes", "END OF THE PROJECT GUTENBERG EBOOK"),
        ("DÉBUT DU LIVRE DU PROJET GUTENBERG", "Ce livre électronique a été préparé par N.", "Fin de Project Gutenberg etext", "FIN DU LIVRE DU PROJET GUTENBERG"),
        ("START OF THE PROJECT GUTENBERG EBOOK", "Producido por Alguien", "Fin del Proyecto Gutenberg", "FIN DEL PROYECTO GUTENBERG"),
        ("START OF THE PROJECT GUTENBERG EBOOK", "Prodotto da Qualcuno", "Fine del Progetto Gutenberg", "END OF THE PROJECT GUTENBERG EBOOK"),
        ("START OF THE PROJECT GUTENBERG EBOOK", "Produzido por Alguém", "Fim do Projeto Gutenberg", "END OF THE PROJECT GUTENBERG EBOOK"),
        ("START OF THE PROJECT GUTENBERG EBOOK", "Geproduceerd door Iemand", "Einde van het Project Gutenberg", "EINDE VAN HET PROJECT GUTENBERG"),
        ("START OF THE PROJECT GUTENBERG EBOOK", "Julkaissut Projekti Lönnrot", "Project Gutenbergin e-kirjan X loppu", "END OF THE PROJECT GUTENBERG EBOOK"),
    ],
)  # fmt: skip
def test_markers_in_other_languages(start: str, credit: str, words: str, end: str) -> None:
    text = f"Project Gutenberg, X\n\n*** {start} X ***\n\n{credit}\n\n{BODY}\n\n{words}\n\n*** {end} X ***\nlicence"
    book = strip(text)
    assert book.text == BODY and book.markers == "pair"


@pytest.mark.parametrize("name", ["MÄRCHEN", "A Book of Books", "EBOOKS AND THEIR READERS"])
def test_the_marker_is_the_only_greeting(name: str) -> None:
    text = f"*** START OF THE PROJECT GUTENBERG EBOOK {name} ***\n\n{BODY}\n\n*** END OF THE PROJECT GUTENBERG EBOOK {name} ***\n"
    book = strip(text)
    assert (book.title, book.text) == (name, BODY)


def test_two_books_in_one_file() -> None:
    def one(name: str) -> str:
        return (
            f"The Project Gutenberg eBook of {name}\n\nTitle: {name}\n\n*** START OF THE PROJECT "
            f"GUTENBERG EBOOK {name} ***\n\n{name} begins.\n\n{BODY}\n\n*** END OF THE PROJECT "
            f"GUTENBERG EBOOK {name} ***\n\nUpdated editions.\n\n"
        )

    book = strip(one("First") + one("Second"))
    assert book.text == f"First begins.\n\n{BODY}\n\nSecond begins.\n\n{BODY}"
    assert book.title == "First"


def epub_of(
    files: dict[str, str], manifest: str, spine: str, container: str = "OEBPS/content.opf"
) -> Epub:
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="2.0"><metadata/>'
        f"<manifest>{manifest}</manifest><spine>{spine}</spine></package>"
    )
    held = BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("META-INF/container.xml", CONTAINER.format(container))
        archive.writestr("OEBPS/content.opf", package)
        for name, content in files.items():
            archive.writestr(f"OEBPS/{name}", content)
    found = read_epub(held.getvalue())
    assert isinstance(found, Epub), found
    return found


def item(href: str, media: str = "application/xhtml+xml", more: str = "", name: str = "a") -> str:
    return f'<item id="{name}" href="{href}" media-type="{media}" {more}/>'


@pytest.mark.parametrize(
    "name, href",
    [
        ("Ünïcode ß.xhtml", "%C3%9Cn%C3%AFcode%20%C3%9F.xhtml"),
        (unicodedata.normalize("NFD", "ångström.xhtml"), "ångström.xhtml"),
        ("ångström.xhtml", unicodedata.normalize("NFD", "ångström.xhtml")),
        ("part%20one.xhtml", "part%20one.xhtml"),
        ("part one.xhtml", "part%20one.xhtml?page=2#x"),
        ("CHAPTER.XHTML", "chapter.xhtml"),
        ("żółw.xhtml".encode().decode("cp437"), "żółw.xhtml"),
        ("./a.xhtml", "a.xhtml"),
        ("x/../a.xhtml", "a.xhtml"),
        ("a.xhtml", "/OEBPS/a.xhtml"),
        ("part one.xhtml", "part%2520one.xhtml"),
        ("глава.xhtml".encode("cp866").decode("cp437"), "глава.xhtml"),
        ("第1章.xhtml".encode("gb18030").decode("cp437"), "第1章.xhtml"),
    ],
)
def test_names_in_any_form(name: str, href: str) -> None:
    book = epub_of({name: page("<p>The text.</p>")}, item(href), '<itemref idref="a"/>')
    assert book.items == ("The text.",) and book.missing == 0


def test_fallbacks_media_types_and_containers_that_err() -> None:
    files = {
        "a.pdf": "x",
        "b.xhtml": page("<p>B.</p>"),
        "c.html": page("<p>C.</p>"),
        "d.svg": "<svg/>",
    }
    manifest = (
        item("a.pdf", "application/pdf", 'fallback="b"')
        + item("b.xhtml", name="b")
        + item("c.html", "text/xml", name="c")
        + item("d.svg", "image/svg+xml", name="d")
    )
    spine = "".join(f'<itemref idref="{name}"/>' for name in "acd")
    assert epub_of(files, manifest, spine).items == ("B.", "C.")
    assert epub_of(files, manifest, spine, container="OPS/missing.opf").items == ("B.", "C.")


@pytest.mark.parametrize(
    "body, text",
    [
        ('<p>He<a class="fnanchor" href="#f">[12]</a> said<a href="n.xhtml#n">3</a>.</p>', "He said."),
        ('<p>He<sup><a href="#f">a</a></sup> said<a href="#f"><small><sup>†</sup></small></a>.</p>', "He said."),
        ('<p><a href="#r">[3]</a> A note. <a href="#r">↑</a></p>', "A note."),
        ('<p>See chapter <a href="#c2">2</a> and <a href="#c3">the third</a>.</p>', "See chapter 2 and the third."),
        ('<p>In <a href="x.xhtml">1990</a> it was 10<sup>6</sup> or 2<sub>16</sub> m<sup>2</sup>.</p>', "In 1990 it was 10^6 or 2_16 m2."),
        ('<p><span class="x"><img src="a" alt="Drop cap W"/></span>hen the sun</p>', "When the sun"),
        ('<div><img src="a" alt="“O"/></div><p>nce upon</p>', "“Once upon"),
        ('<p><img src="a" alt="A cat"/>Text. <img src="b" alt="B"/> 12</p>', "Text. 12"),
        ('<div><img src="a" alt="Illustration: T"/></div>', ""),
        ('<p><img src="a" alt="A"/> large house. <img src="b" alt="B"/> small.</p>', "A large house. small."),
        ('<p><span class="letra"><img src="a" alt="Illustrated capital W"/></span>hen it</p>', "When it"),
        ('<p>The king <a href="#n"><sup>[ii]</sup></a>, who <a href="#m"><sup>3</sup></a> rode.</p>', "The king, who rode."),
    ],
)  # fmt: skip
def test_marks_of_notes_and_letters_that_are_images(body: str, text: str) -> None:
    book = epub_of({"a.xhtml": page(body + "<p>End.</p>")}, item("a.xhtml"), '<itemref idref="a"/>')
    assert "\n\n".join(book.items).removesuffix("End.").strip() == text


STORY = "\n\n".join(["The day went on and nobody came by until the evening."] * 8)


@pytest.mark.parametrize(
    "chapter",
    [
        f"Chapter 1\n\nA voice said: All rights reserved.\n\n{STORY}",
        f"Chapter 2\n\n“All rights reserved,” said the man.\n\n{STORY}",
        f"Also by the gate stood an oak.\n\n{STORY}",
        f"Connect with friends was her rule.\n\n{STORY}",
        f"About the author of the letter nobody knew a thing.\n\n{STORY}",
        f"“Thank you for reading!” she cried.\n\n{STORY}",
        "A poem of two lines,\nall rights reserved by none.",
    ],
)
def test_a_chapter_is_no_notice(chapter: str) -> None:
    assert trim_items([chapter, STORY, STORY]) == ([chapter, STORY, STORY], [])
    assert trim_text(f"{chapter}\n\n{STORY}").texts == [f"{chapter}\n\n{STORY}"]


def test_notices_are_kept_with_the_book_as_what_was_removed() -> None:
    notice = "Copyright © 2010 A. Writer. All rights reserved."
    kept, removed = trim_items(
        [f"A TITLE\n\nBy A. Writer, for all of her friends\n\n{notice}", STORY]
    )
    assert kept == ["A TITLE\n\nBy A. Writer, for all of her friends", STORY] and removed == [
        notice
    ]
    kept, removed = trim_items([STORY, "About the Author\n\nA. Writer lives in a house."])
    assert kept == [STORY] and removed == ["About the Author\n\nA. Writer lives in a house."]


SENTENCE = "天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往秋收冬藏閏餘成歲律呂調陽雲騰致雨露結為霜。"


@pytest.mark.parametrize("width", [18, 30, 42, 60])
def test_wrapped_chinese_is_joined_without_blanks(width: int) -> None:
    paragraph = SENTENCE * 6
    lines = [paragraph[at : at + width] for at in range(0, len(paragraph), width)]
    wrapped = "\n".join(lines)
    assert unwrap(f"{wrapped}\n\n{wrapped}") == f"{paragraph}\n\n{paragraph}"
    indented = "\n".join(["\u3000\u3000" + lines[0][:-2], *lines[1:]])
    assert unwrap(f"{indented}\n{indented}").count("\n") == 1


def test_verse_and_paragraphs_of_chinese_keep_their_lines() -> None:
    poem = "床前明月光，\n疑是地上霜。\n舉頭望明月，\n低頭思故鄉。"
    assert unwrap(poem) == poem
    prose = f"{SENTENCE}\n{SENTENCE * 2}\n{SENTENCE * 3}"
    assert unwrap(prose) == prose


@given(st.integers(15, 60), st.integers(1, 8))
def test_no_letter_of_wrapped_japanese_is_lost(width: int, times: int) -> None:
    text = "これは長い文章であり、行の終わりで折り返される。" * times
    lines = [text[at : at + width] for at in range(0, len(text), width)]
    assert unwrap("\n".join(lines)).replace("\n", "") == text


@pytest.mark.parametrize(
    "text, plain",
    [
        ("He saw _her_ and _the\nother one_.", "He saw her and the\nother one."),
        ("a_name_b, __init__, _open and 5 _ 6 _", "a_name_b, __init__, _open and 5 _ 6 _"),
        ("_One._ “_Two_,” (_three_)", "One. “Two,” (three)"),
        ("_no\n\nend_", "_no\n\nend_"),
    ],
)
def test_italics_of_plain_text(text: str, plain: str) -> None:
    assert without_italics(text) == plain


@pytest.mark.parametrize(
    "text, plain",
    [
        ("He said[1] so.[23] And [A] left [*].", "He said so. And left."),
        ("[1] The note.\n[2] Another.", "[1] The note.\n[2] Another."),
        ("x[i] and [Illustration] and [12345]", "x[i] and [Illustration] and [12345]"),
    ],
)
def test_marks_of_notes_in_plain_text(text: str, plain: str) -> None:
    assert without_note_marks(text) == plain
