"""Dumps to pages: what becomes of every page, wherever the file is cut, whatever its encoding,
however it is damaged."""

import bz2
import gzip
import json
import lzma
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from dumps import END, head, multistream, page, prose
from realdata import data_file

from corpora.document import Document, Part, Reject, Slice
from corpora.inputs.bzip2_blocks import read_blocks
from corpora.wikipedia.dump import read_head
from corpora.wikipedia.page import MAX_WIKITEXT_BYTES, extract_page
from corpora.wikipedia.source import WikipediaOptions, page_url, read, slices
from corpora.wikipedia.wikitext import Style


class InThisProcess:
    """The guard without its child."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        return extract_page(*args, **kwargs)


@pytest.fixture(autouse=True)
def no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("corpora.wikipedia.source.shared_guard", lambda function: InThisProcess())


def records(*inputs: Path, **settings: Any) -> list[Document | Reject]:
    """Every record of some dumps, in order."""
    options = WikipediaOptions(input=tuple(map(str, inputs)), **settings)
    found = [record for piece in slices(options) for record in read(options, piece)]
    keys = [(record.path, record.position) for record in found]
    assert keys == sorted(set(keys))
    return found


def tally(found: list[Document | Reject]) -> dict[str, int]:
    return dict(
        Counter("document" if isinstance(record, Document) else record.reason for record in found)
    )


def titles(found: list[Document | Reject]) -> list[str | None]:
    return [record.title for record in found if isinstance(record, Document)]


def write(folder: Path, *pages: str, name: str = "dump.xml", **settings: Any) -> Path:
    path = folder / name
    path.write_text(head(**settings) + "".join(pages) + END, "utf-8")
    return path


def test_every_page_is_a_document_or_a_reject_with_a_reason(tmp_path: Path) -> None:
    """Rows 49 and 50 of the list of defects, and the rest of the table."""
    path = write(
        tmp_path,
        page(1, "Mission: Impossible & more", prose(1)),
        page(2, "Redirect by tag", "#REDIRECT [[A]]", redirect="A"),
        page(3, "Redirect by text", " \n#redirect: [[A]]"),
        page(4, "Redirect in German", "#WEITERLEITUNG [[A]]"),
        page(5, "Talk:A", prose(5), namespace=1),
        page(6, "Mercury", "'''Mercury''' may be:\n* a\n{{disambig|geo}}\n" + prose(6)),
        page(7, "John Smith", prose(7) + "{{hndis|Smith, John}}"),
        page(8, "Mercury (disambiguation)", prose(8)),
        page(9, "Smith", prose(9) + "{{Surname}}"),
        page(
            10,
            "Not one",
            prose(10)
            + (
                " [[Mercury]]{{disambiguation needed|date=May 2018}}{{about||others|A "
                "(disambiguation)}}"
            ),
        ),
        page(11, "List of things", prose(11) + "\n* a\n* b"),
        page(12, "Empty", ""),
        page(13, "Deleted", "", attributes=' deleted="deleted"'),
        page(14, "Module", "return {}", model="Scribunto"),
        page(15, "Short", "Too short."),
        page(16, "Only a list", "* a\n* b"),
        page(17, "Large", "x" * (MAX_WIKITEXT_BYTES + 1)),
        page(18, "Deep", "{{small|" * 40 + "x" + "}}" * 40),
        page(19, "Last", prose(19)),
    )
    found = records(path)
    reasons = [record.reason if isinstance(record, Reject) else "" for record in found]
    assert reasons == [
        *("", "redirect", "redirect", "redirect", "namespace", "disambiguation", "disambiguation", "disambiguation", "disambiguation", "", ""),
        *("empty", "empty", "not_wikitext", "too_short", "empty", "too_large", "too_deep", ""),
    ]  # fmt: skip
    first = found[0]
    assert isinstance(first, Document)
    assert (first.text, first.title) == (prose(1), "Mission: Impossible & more")
    assert first.url == "https://en.wikipedia.org/wiki/Mission:_Impossible_%26_more"
    assert (
        first.date is not None
        and first.date.isoformat() == "2018-12-02"
        and first.crawled is None
        and first.language == "en"
    )
    assert first.extra == {"page_id": 1, "revision_id": 1001, "wiki": "enwiki"}
    assert (
        tally(records(path, disambiguation=True, namespaces=(0, 1), min_words=0))["document"] == 10
    )
    rejects = [record for record in found if isinstance(record, Reject)]
    assert [(reject.url or "").rpartition("/")[2] for reject in rejects[:4]] == [
        "Redirect_by_tag",
        "Redirect_by_text",
        "Redirect_in_German",
        "Talk:A",
    ]


@pytest.mark.parametrize(
    "form", ["xml", "xml.bz2", "multistream.xml.bz2", "xml.gz", "xml.xz", "bz2"]
)
@pytest.mark.builds
def test_every_form_of_a_dump_and_any_cut_of_it_gives_the_same(form: str, tmp_path: Path) -> None:
    pages = [page(number, f"Page: {number}", prose(number)) for number in range(300)]
    text = (head() + "".join(pages) + END).encode()
    path = tmp_path / f"enwiki-20181220-pages-articles.{form}"
    if form == "multistream.xml.bz2":
        path.write_bytes(multistream(head(), pages)[0])
    else:
        path.write_bytes(
            {
                "xml": lambda: text,
                "xml.gz": lambda: gzip.compress(text),
                "xml.xz": lambda: lzma.compress(text),
            }.get(form, lambda: bz2.compress(text, 1))()
        )
    found = records(path)
    assert titles(found) == [f"Page: {number}" for number in range(300)]
    assert isinstance(found[0], Document) and found[0].extra["dump"] == "2018-12-20"
    for slice_bytes in (1_000_000, 20_000, 777):
        assert records(path, slice_bytes=slice_bytes) == found
    if form.startswith(
        "xml.bz2"
    ):  # a stream of several blocks is cut: not all pages begin in one slice
        options = WikipediaOptions(input=(str(path),), slice_bytes=777)
        assert sum(any(True for _ in read(options, piece)) for piece in slices(options)) > 1


def test_index_of_a_multistream_dump(tmp_path: Path) -> None:
    """Row 53: the page that the index names stands in the stream at its offset, colons in its title
    or not, in the last block too."""
    pages = [
        page(number, title, prose(number))
        for number, title in enumerate(
            ["A", "Star Trek: Voyager: x", "C", "D: e", "2001: A Space Odyssey"]
        )
    ]
    content, streams = multistream(head(), pages, a_stream=2)
    path = tmp_path / "enwiki-20181220-pages-articles-multistream.xml.bz2"
    path.write_bytes(content)
    index = "".join(
        f"{offset}:{number}:{title}\n"
        for (offset, _), group in zip(
            streams,
            (
                [(0, "A"), (1, "Star Trek: Voyager: x")],
                [(2, "C"), (3, "D: e")],
                [(4, "2001: A Space Odyssey")],
            ),
        )
        for number, title in group
    )
    (tmp_path / "enwiki-20181220-pages-articles-multistream-index.txt.bz2").write_bytes(
        bz2.compress(index.encode())
    )
    found = records(tmp_path)
    assert len(streams) == 3 and [record.path for record in found] == [path.name] * 5
    check_index(found, index)


def check_index(found: list[Document | Reject], index: str) -> None:
    """Each page lies between the offset of its stream and the next one's."""
    entries = [line.split(":", 2) for line in index.splitlines()]
    assert len(entries) == len(found)
    edges = sorted({int(offset) for offset, _, _ in entries})
    for (offset, number, title), record in zip(entries, found):
        later = [edge for edge in edges if edge > int(offset)]
        assert int(offset) <= record.position and (not later or record.position < later[0])
        if isinstance(record, Document):
            assert (record.title, record.extra["page_id"]) == (title, int(number))


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1251"]
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_encodings_and_line_ends(encoding: str, line_end: str, tmp_path: Path) -> None:
    declaration = '<?xml version="1.0" encoding="windows-1251"?>' if encoding == "cp1251" else ""
    texts = ["Проза [[Файл:А.jpg|мини|б]] и ещё слова.", "Вторая\n\nстраница [[Категория:В]]."]
    text = (
        declaration
        + head(language="ru", file="Файл", category="Категория")
        + "".join(page(number, f"Т{number}", text) for number, text in enumerate(texts))
        + END
    )
    for name, content in (
        ("a.xml", text.replace("\n", line_end).encode(encoding)),
        ("b.xml.bz2", bz2.compress(text.replace("\n", line_end).encode(encoding))),
    ):
        (tmp_path / name).write_bytes(content)
        found = records(tmp_path / name, min_words=1)
        assert [record.text for record in found if isinstance(record, Document)] == [
            "Проза и ещё слова.",
            "Вторая\n\nстраница.",
        ]
        assert (
            titles(found) == ["Т0", "Т1"]
            and isinstance(found[0], Document)
            and found[0].language == "ru"
        )
        assert found == records(tmp_path / name, min_words=1, slice_bytes=301)


@pytest.mark.parametrize("version", [3, 8, 10, 11])
def test_versions_of_the_format(version: int, tmp_path: Path) -> None:
    text = (
        head(version=version)
        + page(1, "A", prose(1))
        + page(2, "B", "")
        + page(3, "C", prose(3))
        + END
    )
    if version == 3:  # no namespaces, models or origins yet
        text = text.replace("    <ns>0</ns>\n", "").replace("      <model>wikitext</model>\n", "")
    (tmp_path / "a.xml").write_text(text)
    assert tally(records(tmp_path / "a.xml")) == {"document": 2, "empty": 1}


def test_a_dump_that_ends_anywhere_is_read_to_the_break(tmp_path: Path) -> None:
    pages = [page(number, f"P{number}", prose(number)) for number in range(20)]
    text = (head() + "".join(pages) + END).encode()
    starts = [text.index(f"<title>P{number}<".encode()) for number in range(20)]
    for cut in (
        *range(1, 2000, 97),
        *(starts[number] - 12 + shift for number in (5, 19) for shift in (0, 3, 8, 200)),
        len(text) - 12,
    ):
        (tmp_path / "a.xml").write_bytes(text[:cut])
        found = records(tmp_path / "a.xml")
        begun = text[:cut].count(b"<page>")
        whole = text[:cut].count(b"</page>")
        expected = {
            key: count
            for key, count in {"document": whole, "truncated": begun - whole}.items()
            if count
        }
        assert tally(found) == (
            expected or ({} if b"<mediawiki" in text[:cut] else {"not_a_dump": 1})
        ), cut
        assert titles(found) == [f"P{number}" for number in range(whole)]
        assert records(tmp_path / "a.xml", slice_bytes=500) == found


def many_blocks(folder: Path) -> tuple[Path, bytes]:
    """A dump of one bzip2 stream with several blocks: random letters, which do not compress."""
    draw = random.Random(0)
    pages = [
        page(
            number,
            f"P{number}",
            " ".join("".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=9)) for _ in range(300)),
        )
        for number in range(120)
    ]
    content = bz2.compress((head() + "".join(pages) + END).encode(), 1)
    path = folder / "a.xml.bz2"
    path.write_bytes(content)
    return path, content


def test_a_cut_bz2_is_read_to_its_last_whole_block(tmp_path: Path) -> None:
    path, content = many_blocks(tmp_path)
    whole = records(path)
    blocks = [block.offset for block in read_blocks(path.open("rb"))]
    assert len(blocks) == 4 and tally(whole) == {"document": 120}
    path.write_bytes(content[: (blocks[2] + blocks[3]) // 2])
    found = records(path)
    documents = [record for record in found if isinstance(record, Document)]
    assert 40 < len(documents) < 70 and documents == whole[: len(documents)]
    assert [
        (record.reason, record.position)
        for record in found[len(documents) :]
        if isinstance(record, Reject)
    ] == [
        ("truncated", whole[len(documents)].position),
        ("truncated", blocks[2]),
    ]
    assert records(path, slice_bytes=10_000) == found


def test_a_damaged_block_costs_its_pages_and_is_named(tmp_path: Path) -> None:
    path, content = many_blocks(tmp_path)
    whole = records(path)
    blocks = [block.offset for block in read_blocks(path.open("rb"))]
    for at in (
        blocks[2] + 3000,
        blocks[2] + 1,
    ):  # in its data; in its magic, so that it looks like more of the block before it
        damaged = bytearray(content)
        damaged[at : at + 8] = bytes(8)
        path.write_bytes(damaged)
        found = records(path)
        documents = [record for record in found if isinstance(record, Document)]
        assert (
            all(record in whole for record in documents)
            and 55 < len(documents) < 95
            and documents[-1] == whole[-1]
        )
        assert set(tally(found)) == {"document", "damaged"} and tally(found)["damaged"] in (1, 2)
        assert records(path, slice_bytes=10_000) == found


def test_a_magic_that_stands_in_the_data_by_chance_is_passed_over(tmp_path: Path) -> None:
    """Blocks are found by 48 bits; here one more such magic is claimed inside of the second
    block."""
    path, _ = many_blocks(tmp_path)
    from corpora.inputs import bzip2_blocks

    true = list(read_blocks(path.open("rb")))
    find = bzip2_blocks._find
    false = (true[1].offset + 5000) * 8

    class Scanner(bzip2_blocks._Scanner):
        def _fill(self) -> None:
            super()._fill()
            if (
                not any(bit == false for bit, _ in self._magics)
                and self._magics
                and self._magics[0][0] < false < self.last_bit()
            ):
                self._magics = type(self._magics)(sorted([*self._magics, (false, True)]))

    assert list(find(b"\0" + bytes.fromhex("314159265359") + b"\0", 0x314159265359)) == [8]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bzip2_blocks, "_Scanner", Scanner)
        assert list(read_blocks(path.open("rb"))) == true


@pytest.mark.parametrize("shift", range(8))
def test_magics_are_found_at_every_bit(shift: int) -> None:
    from corpora.inputs.bzip2_blocks import _find

    bits = "1" * (16 + shift) + f"{0x177245385090:048b}" + "1" * 40
    bits += "0" * (-len(bits) % 8)
    assert list(_find(int(bits, 2).to_bytes(len(bits) // 8, "big"), 0x177245385090)) == [16 + shift]


def test_entities_and_bombs_are_refused(tmp_path: Path) -> None:
    """A document type is never read: no entity can be declared, none is expanded."""
    bomb = (
        '<!DOCTYPE mediawiki [<!ENTITY a "aaaaaaaaaa">'
        + "".join(
            f'<!ENTITY {name} "{f"&{before};" * 10}">'
            for before, name in zip("abcdefghi", "bcdefghij")
        )
        + "]>\n"
    )
    secret = tmp_path / "secret"
    secret.write_text("a secret")
    outside = f'<!DOCTYPE mediawiki [<!ENTITY x SYSTEM "file://{secret}">]>\n'
    good = page(1, "Good", prose(1))
    for declaration, name in ((bomb, "j"), (outside, "x")):
        path = tmp_path / "a.xml"
        path.write_text(
            declaration
            + head()
            + page(0, "Bad", prose(0)).replace("word0x0", f"&{name};")
            + good
            + END
        )
        found = records(path)
        assert tally(found) == {"document_type": 1, "entity": 1, "document": 1} and titles(
            found
        ) == ["Good"]
        assert "a secret" not in repr(found) and "aaaaaaaaaaa" not in repr(found)


def test_xml_that_is_none(tmp_path: Path) -> None:
    broken = [
        "  <page>\n<title>a</title><id>1</id>",
        page(2, "B", prose(2)).replace("</title>", "</titel>"),
        page(3, "C", prose(3)).replace("word3x0", "a\x00b"),
        page(4, "D", prose(4)).replace("word4x0", "&#xD800;"),
        page(5, "E", prose(5)).replace("<revision>", "<revision><!DOCTYPE x>"),
        "  <page>" + "<a>" * 1000 + "</a>" * 1000 + "</page>\n",
        "<pages></pages><pagex>",
        page(6, "F", prose(6)),
    ]
    path = write(tmp_path, *broken)
    found = records(path)
    assert tally(found) == {"truncated": 1, "bad_xml": 5, "document": 1} and titles(found) == ["F"]
    path.write_bytes(path.read_bytes().replace(b"word6x0", b"\xff\xfe"))
    assert tally(records(path)) == {"truncated": 1, "bad_xml": 5, "bad_encoding": 1}


def test_files_that_are_no_dumps(tmp_path: Path) -> None:
    contents = {
        "error.xml": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        "page.xml.bz2": b"<html>404</html>",
        "empty.xml": b"",
        "empty.bz2": b"",
    }
    for name, content in {
        **contents,
        "noise.bz2": b"BZh9" + random.Random(0).randbytes(5000),
        "cut.gz": gzip.compress(b"<mediawiki>" * 999)[:40],
    }.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "good.xml").write_text(head() + page(1, "A", prose(1)) + END)
    found = {
        (record.path, "" if isinstance(record, Document) else record.reason)
        for record in records(tmp_path, slice_bytes=1000)
    }
    assert found == {
        ("error.xml", "not_a_dump"),
        ("page.xml.bz2", "not_a_dump"),
        ("empty.xml", "not_a_dump"),
        ("empty.bz2", "not_a_dump"),
        ("cut.gz", "truncated"),
        ("good.xml", ""),
    }
    assert [
        record.reason
        for record in read(
            WikipediaOptions(input=("x",)),
            Slice(parts=(Part(address=str(tmp_path / "gone"), path="gone", size=9),)),
        )
        if isinstance(record, Reject)
    ] == ["unreadable"]


def test_a_page_over_the_limit_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corpora.wikipedia.dump.MAX_DOCUMENT_BYTES", 100_000)
    pages = [page(0, "A", prose(0)), page(1, "Large", "x " * 3_000_000), page(2, "B", prose(2))]
    path = write(tmp_path, *pages)
    found = records(path)
    assert tally(found) == {"document": 2, "too_large": 1} and titles(found) == ["A", "B"]
    path = tmp_path / "b.xml.bz2"
    path.write_bytes(bz2.compress((head() + "".join(pages) + END).encode()))
    assert tally(records(path)) == {"document": 2, "too_large": 1}


@pytest.mark.parametrize("unit", ["<page><title>A</title></page>", "<page>"])
def test_more_pages_than_bytes_in_a_block(unit: str, tmp_path: Path) -> None:
    path = tmp_path / "a.xml.bz2"
    content = bz2.compress((head() + unit * 25_000).encode())
    path.write_bytes(content + bz2.compress((page(1, "Z", prose(1)) + END).encode()))
    found = records(path)
    assert len(found) < len(content) + 2 and tally(found)["damaged"] == 1 and titles(found) == ["Z"]


def test_several_dumps_in_the_order_of_their_paths(tmp_path: Path) -> None:
    write(tmp_path, page(1, "A", prose(1)), name="enwiki-20180101-pages-articles1.xml-p1p9")
    write(tmp_path, page(2, "B", prose(2)), name="enwiki-20180201-pages-articles.xml")
    (tmp_path / "dewiki").mkdir()
    write(
        tmp_path / "dewiki",
        page(3, "C", prose(3)),
        name="dewiki-20180301-pages-articles.xml",
        language="de",
    )
    found = records(tmp_path / "dewiki" / "*.xml", tmp_path / "enwiki*")
    assert [
        (record.title, record.language, record.extra["dump"])
        for record in found
        if isinstance(record, Document)
    ] == [
        ("C", "de", "2018-03-01"),
        ("A", "en", "2018-01-01"),
        ("B", "en", "2018-02-01"),
    ]


def test_addresses_and_languages() -> None:
    base = "https://en.wikipedia.org/wiki/Main_Page"
    assert page_url(base, "AC/DC (Band)") == "https://en.wikipedia.org/wiki/AC/DC_(Band)"
    assert page_url(base, "What? 100% é") == "https://en.wikipedia.org/wiki/What%3F_100%25_%C3%A9"
    assert page_url(None, "A") is None and page_url(base, None) is None


@pytest.mark.parametrize(
    "settings, message",
    [({"min_words": -1}, "min_words: -1"), ({"namespaces": ()}, "namespaces: at least one")],
)
def test_wrong_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WikipediaOptions(input=("x",), **settings)


# the real dumps

ENWIKI = "wikipedia/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
SMALLWIKI = "wikipedia/smallwiki-part-even-multistream.xml.bz2"
TALLIES = {
    ENWIKI: {"redirect": 99, "document": 97, "disambiguation": 8, "namespace": 1, "empty": 1},
    SMALLWIKI: {"namespace": 484, "too_short": 266, "document": 168, "redirect": 74, "empty": 10},
    "wikipedia/tinywiki-latest-pages-articles.xml.bz2": {
        "document": 3,
        "too_short": 3,
        "redirect": 1,
        "disambiguation": 1,
    },
    "wikipedia/bgwiki-latest-pages-articles-shortened.xml.bz2": {"document": 1, "namespace": 2},
    "wikipedia/testcorpus.xml.bz2": {"too_short": 9},
}


@pytest.mark.parametrize("name", TALLIES)
@pytest.mark.builds
def test_tallies_of_the_real_dumps(name: str) -> None:
    path = data_file(name)
    if path is None:
        pytest.skip("needs the test data")
    found = records(path)
    assert tally(found) == TALLIES[name]
    if name == SMALLWIKI:
        assert records(path, slice_bytes=30_000) == found
        check_index(
            found,
            bz2.decompress(
                (path.parent / "smallwiki-part-even-multistream-index.txt.bz2").read_bytes()
            ).decode(),
        )


@pytest.mark.parametrize("name", [ENWIKI, SMALLWIKI])
@pytest.mark.builds
def test_no_markup_is_left_in_the_real_dumps(name: str) -> None:
    path = data_file(name)
    if path is None:
        pytest.skip("needs the test data")
    documents = [record for record in records(path, min_words=1) if isinstance(record, Document)]
    text = "\n".join(document.text for document in documents)
    for markup in (
        "[[",
        "]]",
        "{{",
        "}}",
        "''",
        "<ref",
        "</",
        "{|",
        "|-",
        "__",
        "==",
        "&nbsp;",
        "( )",
        "( ,",
        "( ;",
        "(,",
        "(;",
        ", )",
        "; )",
        ",,",
        "Category:People of",
        "|thumb",
        "thumb|",
    ):
        assert markup not in text, markup
    assert not any(
        line[:1] in "*#:;|!" for line in text.split("\n") if line and not line.startswith("!")
    )
    assert "  " not in text


@pytest.mark.builds
def test_what_templates_say_is_there_in_the_real_dump() -> None:
    path = data_file(ENWIKI)
    if path is None:
        pytest.skip("needs the test data")
    texts = {record.title: record.text for record in records(path) if isinstance(record, Document)}
    assert "2001: A Space Odyssey" in "".join(texts.values())
    for title, words in EXPECTED.items():
        for said in words:
            assert said in texts[title], (title, said)


@pytest.mark.builds
@pytest.mark.parametrize(
    "name, most, own, before, after",
    [
        (
            SMALLWIKI,
            {
                "nadabeigts rakstīņs": 55,
                "nūruodis": 52,
                "infoskreine latvejis nūvods": 28,
                "defaultsort:": 27,
                "commonscat": 14,
            },
            {"vol-lv": "[{1}]"},
            "Zalta kačs (African golden cat; золотая кошка; zelta kaķis)",
            "",
        ),
        (
            ENWIKI,
            {"main": 528, "cite book": 473, "sfn": 127, "see also": 117, "citation needed": 116},
            {"main": "Main article: {1}."},
            "",
            "Main article: ",
        ),
    ],
)
def test_dropped_templates_are_named_and_own_templates_mend_the_text(
    name: str, most: dict[str, int], own: dict[str, str], before: str, after: str
) -> None:
    path = data_file(name)
    if path is None:
        pytest.skip("needs the test data")

    def read(**settings: Any) -> tuple[str, Counter[str]]:
        found = [record for record in records(path, **settings) if isinstance(record, Document)]
        counts: Counter[str] = Counter()
        for document in found:
            counts.update(document.left_out)
        return "\n".join(document.text for document in found), counts

    text, counts = read()
    templates = Counter(
        {
            key.removeprefix("template: "): count
            for key, count in counts.items()
            if key.startswith("template: ")
        }
    )
    assert dict(templates.most_common(5)) == most
    mended, recounted = read(own_templates=own)
    assert mended != text
    assert all(f"template: {template}" not in recounted for template in own)
    assert after in mended and (not after or after not in text)


EXPECTED: dict[str, tuple[str, ...]] = {
    "Achilles": ("Achilles (Ancient Greek: Ἀχιλλεύς, Akhilleus) was a Greek hero",),
    "Alabama": ("At 1,300 miles, Alabama has one",),
    "Alaska": ("−80 °F in Prospect Creek",),
    "Algeria": (
        "With an area of 2,381,741 square kilometres, Algeria is",
        "160 trillion cubic feet of proven natural",
    ),
    "Alkane": ("have the general chemical formula CnH2n+2.",),
    "Anarchism": ("Anarchism is a political philosophy",),
    "Andorra": ("over 175 km of ski ground",),
    "Ayn Rand": (
        (
            "(born Alisa Zinov'yevna Rosenbaum, Russian: Али́са Зино́вьевна Розенба́ум; February "
            "2 [O.S. January 20] 1905 – March 6, 1982)"
        ),
    ),
    "Analysis of variance": ("See also Lack-of-fit sum of squares.",),
}
"""What a reader of the page sees where a template, a formula or a removal stands."""


def test_head_of_a_dump() -> None:
    path = data_file("wikipedia/bgwiki-latest-pages-articles-shortened.xml.bz2")
    if path is None:
        pytest.skip("needs the test data")
    found = read_head(str(path), ".bz2")
    assert (found.encoding, found.wiki, found.language, found.declares) == (
        "utf-16-le",
        "bgwiki",
        "bg",
        False,
    )
    assert dict(found.namespaces)[6] == "Файл" and dict(found.namespaces)[14] == "Категория"


def test_the_answer_of_the_parser_is_plain_data() -> None:
    article, title = extract_page(page(1, "A", prose(1)).encode(), encoding="utf-8", style=Style())
    assert title == "A" and json.dumps(article.text)  # type: ignore[union-attr]
