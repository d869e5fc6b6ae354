"""Hostile bytes into the readers of books: nothing raises, nothing is written, every record has a
reason, and the neighbours survive.

`make fuzz`; CORPUSMILL_FUZZ multiplies the number of examples, and above 1 they are new ones each
time.
"""

import gzip
import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from epubs import epub, page, tarred, zipped
from hypothesis import given
from hypothesis import strategies as st

from corpora.books import source
from corpora.books.epub import Epub, read_epub
from corpora.books.gutenberg import strip
from corpora.books.notices import trim_text
from corpora.books.source import BooksOptions
from corpora.books.unwrap import unwrap
from corpora.document import Document, Part, Refusal, Reject, Slice
from corpora.inputs.archives import Member, tar_members

BOOK = b"A book of one line, which is in English, as everybody can see."
WHOLE = epub(
    {"a.xhtml": "<h1>One</h1><p>word &amp; word</p>" * 20, "b.xhtml": "<p>more</p>"},
    metadata="<dc:title>T</dc:title><dc:language>en</dc:language>",
)
ARCHIVES = {
    "a.tar": tarred({f"{number}.txt": BOOK for number in range(4)}),
    "a.tar.gz": gzip.compress(tarred({"0.txt": BOOK, "1.epub": WHOLE})),
    "a.zip": zipped(
        {"0.txt": BOOK, "1.txt.gz": gzip.compress(BOOK), "2.tar": tarred({"x.txt": BOOK})}
    ),
    "a.epub": WHOLE,
    "a.txt": BOOK,
}
MARKUP = """<p> </p> <p/> <div> </div> <br/> <br> <a href="#1"> </a> <sup> </sup> <span class="dropcap"> </span> <section epub:type="titlepage"> </section> <nav epub:type="toc"> </nav> <pre> </pre> <td> <!-- -->
<![CDATA[ ]]> <!DOCTYPE x [ ]> <!ENTITY e "x"> &e; &amp; &nbsp; &#0; &#55296; < > & " ' text I \u00ad \x0b \x00 é 字 <?x ?> <script> </script> <title> </title> <title/> <x:y> xmlns:x="y" hidden=""> <body> </html>""".split(
    " "
)
BODY = st.lists(st.sampled_from(MARKUP), max_size=50).map(" ".join)
LINES = st.sampled_from(
    """*** START OF THE PROJECT GUTENBERG EBOOK X ***|*** END OF THE PROJECT GUTENBERG EBOOK X ***|*** START OF|***|*END*THE SMALL PRINT! X*END*|***START**THE SMALL PRINT!**|The Project Gutenberg Etext of X, by Y
End of Project Gutenberg's X|Produced by A. Person|[Illustration]|Title: X|  more|Author:|a line of the book, as long as lines are in books that someone has wrapped||A line|  indented|ISBN 123|About the author""".replace(
        "\n", "|"
    ).split("|")
)


class InThisProcess:
    """The parser without its child: what it raises is seen."""

    def call(self, *arguments: Any, **settings: Any) -> Any:
        return read_epub(*arguments, **settings)


@pytest.fixture(autouse=True, scope="module")
def no_child() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("corpora.books.source.shared_guard", lambda _: InThisProcess())
        yield


def records(folder: Path, name: str, content: bytes) -> list[Document | Reject]:
    (folder / name).write_bytes(content)
    part = Part(address=str(folder / name), path=name, size=len(content))
    found = list(source.read(BooksOptions(input=("x",)), Slice(parts=(part,))))
    (folder / name).unlink()
    assert not list(folder.iterdir())
    positions = [record.position for record in found]
    assert positions == sorted(set(positions)) and all(position >= 0 for position in positions)
    return found


def harmed(draw: random.Random, content: bytes) -> bytes:
    """Some bytes changed, a piece cut out or doubled, the end missing."""
    held = bytearray(content)
    for _ in range(draw.randrange(1, 5)):
        at = draw.randrange(len(held))
        how = draw.randrange(5)
        if how < 2:
            held[at] = draw.choice(
                (0, 0xFF, draw.randrange(256), held[at] ^ 1 << draw.randrange(8))
            )
        elif how == 2:
            del held[at : at + draw.randrange(600)]
        elif how == 3:
            held[at:at] = held[at : at + draw.randrange(600)]
        else:
            held[at : at + 4] = draw.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f"))
        if not held:
            return b""
    return bytes(held[: draw.randrange(1, len(held) + 1)] if draw.random() < 0.2 else held)


@pytest.mark.parametrize("name", ARCHIVES)
def test_the_generators_reach_what_they_are_for(name: str, tmp_path: Path) -> None:
    found = records(tmp_path, name, ARCHIVES[name])
    assert all(isinstance(record, Document) for record in found) and len(found) == {
        "a.tar": 4,
        "a.tar.gz": 2,
        "a.zip": 3,
    }.get(name, 1)


@given(st.randoms(use_true_random=False), st.sampled_from(sorted(ARCHIVES)))
def test_harmed_files_are_documents_and_rejects(
    tmp_path_factory: pytest.TempPathFactory, draw: random.Random, name: str
) -> None:
    folder = tmp_path_factory.mktemp("harmed")
    for record in records(folder, name, harmed(draw, ARCHIVES[name])):
        assert isinstance(record, (Document, Reject))


@given(st.randoms(use_true_random=False))
def test_a_harmed_member_costs_its_neighbours_nothing(
    tmp_path_factory: pytest.TempPathFactory, draw: random.Random
) -> None:
    content = tarred(
        {
            "0.txt": BOOK,
            "1.epub": harmed(draw, WHOLE),
            "2.zip": harmed(draw, ARCHIVES["a.zip"]),
            "3.txt": BOOK,
        }
    )
    found = records(tmp_path_factory.mktemp("member"), "a.tar", content)
    for first_or_last in (found[0], found[-1]):
        assert isinstance(first_or_last, Document) and first_or_last.text == BOOK.decode()


@given(st.binary(max_size=2000), st.sampled_from(sorted(ARCHIVES)))
def test_noise_is_no_book(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    records(tmp_path_factory.mktemp("noise"), name, content)


@given(BODY | st.text(max_size=200))
def test_any_body_is_text_without_tags(body: str) -> None:
    for content in (
        epub({"a.xhtml": body}),
        epub({"a.xhtml": ""}, files={"OEBPS/a.xhtml": body.encode("utf-8", "replace")}),
    ):
        found = read_epub(content)
        assert isinstance(found, (Epub, Refusal))
        if isinstance(found, Epub) and "CDATA" not in body:
            assert not any(
                tag in text for text in found.items for tag in ("<p>", "<div>", "<script>", "</")
            )


@given(BODY | st.text(max_size=200))
def test_any_package_is_a_book_or_a_reject(body: str) -> None:
    opf = (
        '<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="a" href="a.xhtml" '
        f'media-type="text/html"/>{body}</manifest><spine><itemref idref="a"/></spine></package>'
    )
    for content in (
        epub({"a.xhtml": "<p>x</p>"}, files={"OEBPS/book.opf": opf}),
        epub({"a.xhtml": "<p>x</p>"}, files={"META-INF/container.xml": page(body)}),
    ):
        assert isinstance(read_epub(content), (Epub, Refusal))


@given(st.lists(LINES | st.text(max_size=80), max_size=60).map("\n".join))
def test_any_text_is_stripped_unwrapped_and_trimmed(text: str) -> None:
    book = strip(text)
    # of several books in one file the texts follow each other
    assert all(block in text for block in book.text.split("\n\n"))
    trim_text(unwrap(book.text))
    if book.markers is None:
        assert book.text == text
    elif book.markers == "one":
        assert len(book.text) >= 0.75 * len(text) - 2000  # a fifth, and credits behind the header


@given(st.binary(max_size=3000))
def test_any_tar_gives_members_or_an_error_of_its_own(content: bytes) -> None:
    def members(stream: io.BytesIO) -> Iterator[Member]:
        try:
            yield from tar_members(stream)
        except (OSError, EOFError):
            return

    assert all(member.offset >= 0 for member in members(io.BytesIO(content)))
