"""The source `books`: layouts, archives in archives, what is refused and why, languages, exact
tallies of the test data."""

import bz2
import gzip
import io
import lzma
import tarfile
import textwrap
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from epubs import epub, tarred, zipped
from realdata import DATA, data_file

from corpora.books.epub import MAX_EPUB_BYTES
from corpora.books.notices import trim_items, trim_text
from corpora.books.source import BooksOptions, majority, read, slices
from corpora.document import Document, Reject
from corpora.inputs import archives

BOOK = (
    "The first line of a book.\n\nAnd a second paragraph, which is in English as everybody can "
    "see who reads it."
)
GERMAN = (
    "Es war einmal ein König, der hatte drei Töchter, und die jüngste war so schön, daß die "
    "Sonne selber sich verwunderte. "
) * 40
ENGLISH = (
    "Once upon a time there was a king who had three daughters, and the youngest was so "
    "beautiful that the sun itself wondered at her. "
) * 40


def records(folder: Path, **options: Any) -> list[Document | Reject]:
    settings = BooksOptions(input=(str(folder),), **options)
    return [record for piece in slices(settings) for record in read(settings, piece)]


def outcome(found: list[Document | Reject]) -> Counter[str]:
    return Counter(
        "document" if isinstance(record, Document) else record.reason for record in found
    )


def documents(found: list[Document | Reject]) -> list[Document]:
    return [record for record in found if isinstance(record, Document)]


LAYOUTS: dict[str, bytes] = {
    "book.txt": BOOK.encode(),
    "book.txt.gz": gzip.compress(BOOK.encode()),
    "book.TXT.bz2": bz2.compress(BOOK.encode()),
    "book.epub.txt": BOOK.encode(),
    "book.epub": epub({"a.xhtml": "".join(f"<p>{block}</p>" for block in BOOK.split("\n\n"))}),
    "11-0.zip": zipped({"11/11-0.txt": BOOK}),
    "all.tar": tarred({"a/b/book.txt": BOOK.encode()}),
    "all.tar.gz": gzip.compress(tarred({"book.txt": BOOK.encode()})),
    "all.tgz": gzip.compress(tarred({"book.txt": BOOK.encode()})),
    "all.tar.xz": lzma.compress(tarred({"book.txt.gz": gzip.compress(BOOK.encode())})),
    "all.tar.zst": pa.compress(
        tarred({"book.txt.xz": lzma.compress(BOOK.encode())}), "zstd", asbytes=True
    ),
    "mirror.tar": tarred({"1/1/11.zip": zipped({"11.txt": BOOK})}),
    "txt-files.tar.zip": zipped({"txt-files.tar": tarred({"book.txt": BOOK.encode()})}),
    "books.zip": zipped(
        {"book.epub": epub({"a.xhtml": "".join(f"<p>{block}</p>" for block in BOOK.split("\n\n"))})}
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_book(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(LAYOUTS[name])
    (found,) = records(tmp_path)
    assert (
        isinstance(found, Document)
        and found.text == BOOK
        and found.path == name
        and found.language == "en"
    )
    assert found.extra["format"] == ("epub" if name in ("book.epub", "books.zip") else "txt")


def test_positions_go_up_through_archives_in_archives(tmp_path: Path) -> None:
    inner = tarred({f"{number}.txt": f"Book {number}".encode() for number in range(3)})
    pair = zipped({"x.txt": "Book x", "y.jpg": "?"})
    (tmp_path / "a.tar").write_bytes(
        tarred({"0.txt": b"Book", "in.tar": inner, "2.zip": pair, "3.txt": b"Book"})
    )
    found = records(tmp_path)
    assert outcome(found) == {"document": 6, "unknown_format": 1}
    last = 11776 + 512 + (len(pair) + 511) // 512 * 512
    assert [record.position for record in found] == [0, 1024, 1025, 1026, 11776, 11777, last]
    assert [record.extra["member"] for record in documents(found)] == [
        "0.txt",
        "in.tar/0.txt",
        "in.tar/1.txt",
        "in.tar/2.txt",
        "2.zip/x.txt",
        "3.txt",
    ]


def bad_tar() -> bytes:
    kinds = {
        "link": tarfile.SYMTYPE,
        "hard": tarfile.LNKTYPE,
        "device": tarfile.CHRTYPE,
        "pipe": tarfile.FIFOTYPE,
        "folder": tarfile.DIRTYPE,
    }
    infos = []
    for name, kind in kinds.items():
        info = tarfile.TarInfo(f"../../{name}.txt")
        info.type, info.linkname, info.size = kind, "/etc/passwd", 0
        infos.append(info)
    return tarred(
        {"../../out.txt": BOOK.encode(), "/etc/out.txt": BOOK.encode(), "._x.txt": b"\0\5"}, infos
    )


def test_links_devices_and_names_that_climb_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.tar").write_bytes(bad_tar())
    found = records(tmp_path / "in")
    assert outcome(found) == {"not_a_file": 4, "document": 2, "unknown_format": 1}
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["bad.tar", "in"]


def long_header(kind: bytes, size: int) -> bytes:
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.builds
def test_bombs_of_every_format(tmp_path: Path) -> None:
    zeros = bytes(150_000_000)
    nothing = b" " * 60_000_000
    (tmp_path / "a.tar.xz").write_bytes(
        lzma.compress(tarred({"big.bin": zeros, "after.txt": BOOK.encode()}), preset=0)
    )
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(nothing, 1))
    (tmp_path / "c.zip").write_bytes(zipped({"bomb.txt": nothing, "after.txt": BOOK}))
    (tmp_path / "d.epub").write_bytes(epub({"a.xhtml": " " * 30_000_000}))
    (tmp_path / "e.tar.gz").write_bytes(
        gzip.compress(long_header(tarfile.GNUTYPE_LONGNAME, 140_000_000) + zeros, 1)
    )
    (tmp_path / "f.tar.gz").write_bytes(
        gzip.compress(long_header(tarfile.XHDTYPE, 140_000_000) + zeros, 1)
    )
    nested = tarred({"book.txt": BOOK.encode()})
    for number in range(6):
        nested = tarred({f"{number}.tar": nested})
    (tmp_path / "g.tar").write_bytes(nested)
    (tmp_path / "h.txt").write_text(BOOK)
    found = [(record.path, getattr(record, "reason", "document")) for record in records(tmp_path)]
    assert found == [
        ("a.tar.xz", "unknown_format"),
        ("a.tar.xz", "bomb"),
        ("b.txt.gz", "too_large"),
        ("c.zip", "bomb"),
        ("c.zip", "document"),
        ("d.epub", "bomb"),
        ("e.tar.gz", "bomb"),
        ("f.tar.gz", "bomb"),
        ("g.tar", "too_deep"),
        ("h.txt", "document"),
    ]


def test_damage_costs_what_is_damaged(tmp_path: Path) -> None:
    whole = tarred({f"{number}.txt": BOOK.encode() for number in range(5)})
    (tmp_path / "a.tar").write_bytes(whole[: 3 * 1024 + 600])
    (tmp_path / "b.tar").write_bytes(whole[: 2 * 1024] + b"noise" * 300 + whole[2 * 1024 :])
    members = zipped({f"{number}.txt": BOOK * 9 for number in range(3)})
    with zipfile.ZipFile(io.BytesIO(members)) as archive:
        at = archive.getinfo("1.txt").header_offset + 40
    (tmp_path / "c.zip").write_bytes(
        members[:at] + bytes(byte ^ 0xFF for byte in members[at : at + 4]) + members[at + 4 :]
    )
    (tmp_path / "d.zip").write_bytes(members[: len(members) // 2])
    (tmp_path / "e.epub").write_bytes(b"no zip")
    (tmp_path / "f.tar.gz").write_bytes(gzip.compress(whole)[:-60])
    (tmp_path / "g.txt").write_bytes(b"a\0" * 500)
    (tmp_path / "h.tar").write_bytes(b"")
    (tmp_path / "i.txt").write_bytes(b"")
    (tmp_path / "j.pdf").write_bytes(b"%PDF")
    found = records(tmp_path)
    by_path: dict[str, list[str]] = {}
    for record in found:
        by_path.setdefault(record.path, []).append(getattr(record, "reason", "document"))
    assert by_path["a.tar"] == ["document"] * 3 + ["truncated"]
    assert by_path["b.tar"] == ["document"] * 2 + ["damaged"]
    assert by_path["c.zip"] == ["document", "damaged", "document"]
    assert by_path["d.zip"] == ["damaged"] and by_path["e.epub"] == ["damaged"]
    assert by_path["f.tar.gz"][-1] == "truncated" and set(by_path["f.tar.gz"][:-1]) <= {"document"}
    assert (by_path["g.txt"], by_path["i.txt"], by_path["j.pdf"]) == (
        ["binary"],
        ["empty"],
        ["unknown_format"],
    )
    assert "h.tar" not in by_path


def test_long_names_and_pax_headers(tmp_path: Path) -> None:
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w", format=form) as archive:
            for name in ("x" * 60 + "/" + "y" * 60 + ".txt", "é.txt"):
                info = tarfile.TarInfo(name)
                info.size = len(BOOK)
                archive.addfile(info, io.BytesIO(BOOK.encode()))
        (tmp_path / "a.tar").write_bytes(held.getvalue())
        assert [document.extra["member"] for document in documents(records(tmp_path))] == [
            "x" * 60 + "/" + "y" * 60 + ".txt",
            "é.txt",
        ]


def test_a_name_without_end_is_cut(tmp_path: Path) -> None:
    """tarfile would read it whole, whatever its size."""
    (tmp_path / "a.tar").write_bytes(
        long_header(tarfile.GNUTYPE_LONGNAME, 1_000_000)
        + b"x" * 1_000_000
        + bytes(448)
        + tarred({"a.txt": BOOK.encode()})
    )
    (found,) = records(tmp_path)
    assert isinstance(found, Reject) and found.reason == "unknown_format"
    (member,) = archives.tar_members(io.BytesIO((tmp_path / "a.tar").read_bytes()))
    assert len(member.name) == 65_536


@pytest.mark.parametrize(
    ("content", "charset"),
    [
        ("café".encode(), "utf-8"),
        ("\ufeffcafé".encode(), "utf-8"),
        ("Character set encoding: ISO-8859-1\n\ncafé".encode("latin-1"), "cp1252"),
        ("“café”".encode("cp1252"), "cp1252"),
        ("Character set encoding: ISO-8859-2\n\ncafé łódź".encode("iso8859-2"), "iso8859-2"),
        ("café".encode("utf-16"), "utf-16-le"),
    ],
)
def test_encodings(content: bytes, charset: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    (found,) = documents(records(tmp_path))
    assert "café" in found.text and "\ufeff" not in found.text and found.extra["charset"] == charset


def test_line_ends_and_wraps(tmp_path: Path) -> None:
    paragraphs = [(ENGLISH[: 700 + number]).rstrip() for number in range(3)]
    (tmp_path / "a.txt").write_bytes(
        "\r\n\r\n".join(
            textwrap.fill(text, 72).replace("\n", "\r\n") for text in paragraphs
        ).encode()
    )
    assert documents(records(tmp_path))[0].text == "\n\n".join(paragraphs)
    assert documents(records(tmp_path, unwrap=False))[0].text.count("\n") > 20


def test_words_and_languages_decide_by_their_settings(tmp_path: Path) -> None:
    (tmp_path / "de.txt").write_text(GERMAN)
    (tmp_path / "en.txt").write_text(ENGLISH)
    (tmp_path / "says-de.epub").write_bytes(
        epub({"a.xhtml": f"<p>{ENGLISH}</p>"}, metadata="<dc:language>deu</dc:language>")
    )
    (tmp_path / "says-en.epub").write_bytes(
        epub({"a.xhtml": f"<p>{GERMAN}</p>"}, metadata="<dc:language>en-US</dc:language>")
    )
    (tmp_path / "short.txt").write_text(BOOK)

    def kept(**options: Any) -> list[str]:
        return [document.path for document in documents(records(tmp_path, **options))]

    assert kept(language="en") == ["en.txt", "short.txt"]
    assert kept(language="en", language_by="text") == ["en.txt", "says-de.epub", "short.txt"]
    assert kept(language="en", language_by="metadata") == ["en.txt", "says-en.epub", "short.txt"]
    assert kept(language="de", min_words=100) == ["de.txt"]
    assert kept(min_words=100) == ["de.txt", "en.txt", "says-de.epub", "says-en.epub"]
    assert kept(max_words=100) == ["short.txt"]
    assert [document.language for document in documents(records(tmp_path))] == [
        "de",
        "en",
        "en",
        "de",
        "en",
    ]
    details = {
        record.path: (record.reason, record.detail)
        for record in records(tmp_path, language="en", min_words=100)
        if isinstance(record, Reject)
    }
    assert details["says-en.epub"] == ("language", "the text: de") and details["says-de.epub"] == (
        "language",
        "it says: de",
    )
    assert details["short.txt"] == ("too_short", "21 words")


def test_windows_take_the_majority() -> None:
    third = ENGLISH[:4000]
    assert majority(third + third + GERMAN[:4000], "any", 3) == "en"
    assert majority(third[:2000] + GERMAN[:4000] + GERMAN[:4000], "any", 3) == "de"
    assert majority("", "any", 3) == "und"
    french = (
        "Il était une fois un roi qui avait trois filles, et la plus jeune était si belle que "
        "le soleil lui-même s'en étonnait. "
    ) * 34
    assert majority(third + french[:4000] + GERMAN[:4000], "any", 3) == "und"


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_words": -1},
        {"max_words": -1},
        {"min_words": 5, "max_words": 4},
        {"language_windows": 0},
    ],
)
def test_wrong_options(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(reversed(wrong)))):
        BooksOptions(input=("x",), **wrong)  # type: ignore[arg-type]


def test_notices_go_as_whole_short_blocks_at_either_end() -> None:
    chapter = "\n\n".join(
        (
            f"Paragraph {number} of a story that is told at some length, and in which nobody says "
            "a word about rights."
        )
        for number in range(100)
    )
    front = (
        "A TITLE\n\nBy Somebody\n\nCopyright 2012. All rights reserved.\n\nSmashwords Edition, "
        "License Notes\n\nThis ebook is licensed for your personal enjoyment only.\n\nFor my "
        "mother"
    )
    back = "THE END\n\nAbout the author\n\nShe lives in a house.\n\nConnect with her at example.org"
    assert (
        trim_text(f"{front}\n\n{chapter}\n\n{back}").texts[0]
        == f"A TITLE\n\nBy Somebody\n\nFor my mother\n\n{chapter}\n\nTHE END"
    )
    assert trim_text(chapter).texts[0] == chapter
    inside = chapter.replace("Paragraph 50 of", "All rights reserved, ISBN 12345, 50 of")
    assert trim_text(inside).texts[0] == inside
    spoken = (
        f"{chapter}\n\nHe could not connect with the ball. About the author of the letter he said "
        "nothing."
    )
    assert trim_text(spoken).texts[0] == spoken
    items = [
        "Copyright. ISBN 978-3",
        "For my mother",
        *[chapter] * 8,
        "Other books by this author\n\nOne",
        "Thank you for reading!",
    ]
    assert trim_items(items) == (items[1:10], [items[0], *items[10:]])
    assert trim_items(["All rights reserved"]) == (["All rights reserved"], [])
    long = "All rights reserved. " + "word " * 2000
    assert trim_items([long, chapter]) == ([long, chapter], [])


def test_gutenberg_in_an_epub_goes_too(tmp_path: Path) -> None:
    head = (
        "<div>The Project Gutenberg eBook of X</div><p>Title: X</p><div>*** START OF THE PROJECT "
        "GUTENBERG EBOOK X ***</div>"
    )
    foot = (
        "<div>*** END OF THE PROJECT GUTENBERG EBOOK X ***</div><p>Updated editions will replace "
        "the previous one.</p>"
    )
    (tmp_path / "a.epub").write_bytes(
        epub(
            {
                "h.xhtml": head,
                "a.xhtml": "<p>Produced by A. Person</p><h1>X</h1><p>The book.</p>",
                "f.xhtml": foot,
            }
        )
    )
    (found,) = documents(records(tmp_path))
    assert found.text == "X\n\nThe book." and found.extra["markers"] == "pair"


def test_a_book_is_the_same_whatever_the_slices(tmp_path: Path) -> None:
    for name, content in LAYOUTS.items():
        (tmp_path / name).write_bytes(content)
    assert (
        records(tmp_path) == records(tmp_path, slice_bytes=1) == records(tmp_path, slice_bytes=3000)
    )


def test_the_limits_are_those_of_the_design() -> None:
    assert (archives.MAX_RATIO, MAX_EPUB_BYTES) == (200, 200_000_000)


@pytest.mark.builds
def test_tallies_of_the_test_data() -> None:
    if data_file("books") is None:
        pytest.skip("no test data: books")
    found = records(DATA / "books")
    assert outcome(found) == {"document": 43}
    by_path = Counter(record.path for record in found)
    assert by_path["english_novels.tar.xz"] == 24 and by_path["gutenberg_raw.tar.xz"] == 15
    assert Counter(document.language for document in documents(found)) == {
        "en": 42,
        "la": 1,
    }  # the one is Lorem ipsum
    assert Counter(document.extra.get("markers") for document in documents(found)) == {
        None: 28,
        "pair": 14,
        "small_print": 1,
    }


def test_a_book_with_missing_parts_is_marked(tmp_path: Path) -> None:
    """In the accounts of the build, not in its own row alone."""
    whole = {"a.xhtml": f"<p>{BOOK}</p>", "b.xhtml": f"<p>{GERMAN}</p>"}
    (tmp_path / "a.epub").write_bytes(epub(whole))
    (tmp_path / "b.epub").write_bytes(
        epub({"a.xhtml": whole["a.xhtml"]}, spine=["a.xhtml", "b.xhtml"])
    )
    found = documents(records(tmp_path))
    assert [(record.extra.get("missing"), record.marks) for record in found] == [
        (None, ()),
        (1, ("missing_parts",)),
    ]


def test_a_pdf_named_as_text_is_no_book(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(
        b"%PDF-1.4\n1 0 obj <</Type/Catalog>> endobj\n" + ENGLISH.encode()
    )
    (tmp_path / "b.txt").write_text("The form %PDF- begins every such file.\n" + ENGLISH)
    assert outcome(records(tmp_path)) == {"binary": 1, "document": 1}
