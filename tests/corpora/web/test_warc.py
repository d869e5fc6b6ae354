"""Archives whole, damaged and strange: rows 6 to 12 and 15 of the list of defects, and every file
of the test data."""

import csv
import gzip
import io
import random
import resource
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import archives
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from realdata import DATA, data_file

from corpora.web import gzip_members, warc
from corpora.web.warc import Damage, Record


def read(content: bytes) -> list[Record | Damage]:
    return list(warc.read_archive(io.BytesIO(content)))


def urls(items: Iterable[Record | Damage]) -> list[str | None]:
    return [item.url for item in items if isinstance(item, Record)]


def damage(items: Iterable[Record | Damage]) -> list[tuple[str, int]]:
    return [(item.reason, item.skipped) for item in items if isinstance(item, Damage)]


FIVE = archives.articles(5)
FIVE_URLS = [f"http://example.com/{number}" for number in range(5)]


def test_a_member_a_record() -> None:
    items = read(archives.members(*FIVE))
    assert urls(items) == FIVE_URLS and not damage(items)
    offsets = [len(archives.members(*FIVE[:count])) for count in range(5)]
    assert [item.position for item in items] == offsets
    first = items[0]
    assert isinstance(first, Record)
    assert (first.kind, first.status, first.content_type, first.cut) == (
        "response",
        200,
        "text/html",
        "",
    )
    assert first.crawled is not None and first.crawled.isoformat() == "2018-03-30T10:10:24+00:00"
    assert first.body == archives.page(archives.english(0))


def test_damage_in_a_member_costs_its_record_alone() -> None:
    """Row 6."""
    pieces = [archives.members(one) for one in FIVE]
    bad = bytearray(pieces[1])
    bad[len(bad) // 2] ^= 0x10
    items = read(pieces[0] + bytes(bad) + b"".join(pieces[2:]))
    assert urls(items) == [FIVE_URLS[0], *FIVE_URLS[2:]]
    assert damage(items) == [("damaged", len(bad))]
    lost = items[1]
    assert (
        isinstance(lost, Damage)
        and lost.position == len(pieces[0])
        and f"{len(bad):,} bytes skipped" in lost.detail
    )


def test_wrong_checksum_is_damage() -> None:
    pieces = [archives.members(one) for one in FIVE]
    items = read(pieces[0] + pieces[1][:-8] + bytes(4) + pieces[1][-4:] + pieces[2])
    assert urls(items) == [FIVE_URLS[0], FIVE_URLS[2]]
    assert damage(items) == [("damaged", len(pieces[1]))]


def test_file_cut_at_its_end() -> None:
    """Row 7."""
    whole = archives.members(*FIVE)
    last = len(archives.members(FIVE[4]))
    items = read(whole[: len(whole) - last + int(last * 0.6)])
    assert urls(items) == FIVE_URLS and not damage(items)
    cut = items[4]
    assert (
        isinstance(cut, Record)
        and cut.cut == "file"
        and archives.page(archives.english(4)).startswith(cut.body)
        and len(cut.body) > 100
    )
    assert all(isinstance(item, Record) and not item.cut for item in items[:4])


@pytest.mark.parametrize(
    "garbage",
    [bytes(512), b"garbage" * 99, gzip_members.MAGIC * 50, b"\n\n"],
    ids=["nul", "text", "magic", "line ends"],
)
def test_garbage_between_members(garbage: bytes) -> None:
    """Row 8."""
    pieces = [archives.members(one) for one in FIVE]
    items = read(pieces[0] + garbage + b"".join(pieces[1:]))
    assert urls(items) == FIVE_URLS
    assert damage(items) == [("garbage", len(garbage))]


def test_magic_bytes_inside_compressed_data_fool_nobody() -> None:
    """Row 9: after damage the next member is one that inflates to a record, not the next three
    bytes that look like one."""
    inner = gzip.compress(b"not a record at all " * 20, mtime=0)
    planted = archives.response(
        b"<html>" + gzip_members.MAGIC * 9 + inner + b"</html>", "http://example.com/planted"
    )
    stored = gzip.compress(
        planted, 0, mtime=0
    )  # stored as it is, so that the planted bytes stand in the file
    bad = stored[:40] + b"\xff" + stored[41:]
    assert inner in bad
    items = read(archives.members(FIVE[0]) + bad + archives.members(FIVE[1]))
    assert urls(items) == FIVE_URLS[:2]
    assert damage(items) == [("damaged", len(bad))]


def test_one_member_for_all_and_no_compression() -> None:
    """Row 10: the whole file in one member, or plain."""
    for content in (
        b"".join(FIVE),
        gzip.compress(b"".join(FIVE), mtime=0),
        gzip.compress(b"".join(FIVE[:2])) + archives.members(*FIVE[2:]),
    ):
        items = read(content)
        assert urls(items) == FIVE_URLS and not damage(items)
        positions = [item.position for item in items]
        assert positions == sorted(set(positions))


def test_members_that_cut_records_anywhere() -> None:
    whole = b"".join(FIVE)
    items = read(
        b"".join(gzip.compress(whole[start : start + 300]) for start in range(0, len(whole), 300))
    )
    assert urls(items) == FIVE_URLS and not damage(items)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\x28\xb5\x2f\xfd" + bytes(50), "zstd"),
        (b"PK\x03\x04" + bytes(50), "zip"),
        (b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "<?xml"),
        (gzip.compress(b"<?xml version='1.0'?><Error/>"), "WARC or ARC was expected"),
        (bytes(5000), "WARC or ARC was expected"),
    ],
    ids=["zst", "zip", "error page", "gzip of no archive", "nul"],
)
def test_what_is_no_archive_is_refused_by_name(content: bytes, word: str) -> None:
    """Rows 10 and 11."""
    (item,) = read(content)
    assert isinstance(item, Damage) and item.reason == "not_an_archive" and word in item.detail


def test_empty_files_have_no_records() -> None:
    """Row 12."""
    assert read(b"") == [] and read(gzip.compress(b"")) == []


def test_empty_members_are_passed_over() -> None:
    items = read(
        gzip.compress(b"")
        + archives.members(FIVE[0])
        + gzip.compress(b"") * 2
        + archives.members(FIVE[1])
        + gzip.compress(b"")
    )
    assert urls(items) == FIVE_URLS[:2] and not damage(items)


def test_content_length_of_the_record() -> None:
    """Too long: the record ends where the next one begins, and is marked. Too short: what is left
    over is counted."""
    long = archives.response(archives.page("x"), "http://long/", length=9_999_999)
    for content in (long + FIVE[0], archives.members(long, FIVE[0]), gzip.compress(long + FIVE[0])):
        items = read(content)
        assert urls(items) == ["http://long/", FIVE_URLS[0]]
        assert (
            isinstance(items[0], Record)
            and items[0].cut == "record"
            and archives.page("x") in items[0].body
        )
    short = archives.response(archives.page("x" * 200), "http://short/", length=100)
    for content in (short + FIVE[0], archives.members(short, FIVE[0])):
        items = read(content)
        assert urls(items) == ["http://short/", FIVE_URLS[0]]
        assert [reason for reason, _ in damage(items)] == ["garbage"]


def test_strange_headers() -> None:
    """Row 17: LF only, non-UTF-8 headers, a status without a blank or a reason; no Content-Length;
    a header without an end."""
    body = archives.page("x")
    cases = {
        "HTTP/1.1200 OK": 200,
        "HTTP/1.1 200": 200,
        "HTTP/1.0 404 Not Found": 404,
        "HTTP/2 200": 200,
        "http/1.1 200 ok": 200,
        "HTTP/1.1 nonsense": None,
    }
    for status, wanted in cases.items():
        (item,) = read(
            archives.members(
                archives.response(
                    body,
                    status=status,
                    headers="Content-Type: text/html\nX-Caf\xe9: \xff\nno colon here",
                )
            )
        )
        assert isinstance(item, Record) and item.status == wanted, status
        assert wanted is None or item.body == body
    block = b"HTTP/1.1 200 OK\nContent-Type: text/html\n\n" + body
    (item,) = read(
        archives.members(
            archives.record("response", block, "http://example.com/").replace(b"\r\n", b"\n")
        )
    )
    assert isinstance(item, Record) and item.status == 200 and item.body == body
    without = archives.response(body).split(b"Content-Length")[0] + b"\r\n" + body
    assert urls(read(archives.members(without, FIVE[0]))) == ["http://example.com/", FIVE_URLS[0]]
    endless = b"WARC/1.0\r\nWARC-Type: response\r\n" + b"X-Header: yes\r\n" * 100_000
    items = read(archives.members(FIVE[0], endless, FIVE[1]))
    assert urls(items) == FIVE_URLS[:2] and [reason for reason, _ in damage(items)] == ["truncated"]


def test_two_heads_and_empty_lines_before_the_body() -> None:
    body = archives.page("x")
    head = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n\r\n\n"
    (item,) = read(archives.members(archives.record("response", head + body, "http://a/")))
    assert isinstance(item, Record) and (item.status, item.content_type, item.body) == (
        200,
        "text/html",
        body,
    )


def test_an_address_that_is_not_http_still_has_http_headers() -> None:
    (item,) = read(archives.members(archives.response(b"<p>", "hard://:x")))
    assert isinstance(item, Record) and item.status == 200 and item.url == "hard://:x"


def test_arc() -> None:
    body = archives.page(archives.english(1))
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    version = b"1 0 Maker\nURL IP-address Archive-date Content-type Archive-length\n\n"
    head = b"filedesc://x.arc 0.0.0.0 20080430204825 text/plain %d\n" % len(version) + version
    line = b"http://example.com/a b 10.0.0.1 20080430204826 text/html %d\n" % len(block)
    one = line + block + b"\n"
    for content in (head + one + one, archives.members(head, one, one)):
        items = read(content)
        assert [item.kind for item in items if isinstance(item, Record)] == [
            "warcinfo",
            "response",
            "response",
        ]
        last = items[-1]
        assert (
            isinstance(last, Record)
            and last.body == body
            and last.crawled is not None
            and last.crawled.year == 2008
        )


@given(st.data())
def test_a_broken_archive_ends_and_keeps_what_is_before_and_after(data: st.DataObject) -> None:
    """Whatever happens to the third member, the others are delivered, once, in order; with isal the
    same as without."""
    pieces = [archives.members(one) for one in FIVE]
    bad = bytearray(pieces[2])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(3, len(bad) - 1))
        match data.draw(st.sampled_from(["flip", "delete", "insert"])):
            case "flip":
                bad[at] ^= 1 << data.draw(st.integers(0, 7))
            case "delete":
                del bad[at : at + data.draw(st.integers(1, 40))]
            case _:
                bad[at:at] = data.draw(st.binary(min_size=1, max_size=40))
        if len(bad) < 10:
            break
    content = b"".join(pieces[:2]) + bytes(bad) + b"".join(pieces[3:])
    items = read(content)
    found = urls(items)
    assert found[:2] == FIVE_URLS[:2] and found[-2:] == FIVE_URLS[3:]
    positions = [item.position for item in items]
    assert positions == sorted(set(positions))
    assert read_without_isal(content) == items


def read_without_isal(content: bytes) -> list[Record | Damage]:
    engine, gzip_members._isal_engine = gzip_members._isal_engine, None
    try:
        return read(content)
    finally:
        gzip_members._isal_engine = engine


def test_the_same_bytes_with_and_without_isal() -> None:
    pytest.importorskip("isal")
    draw = random.Random(7)
    blocks = [
        bytes(300_000),
        draw.randbytes(200_000),
        b"".join(draw.choice(FIVE) for _ in range(300)),
    ]
    whole = archives.members(
        *(archives.response(block, f"http://a/{i}") for i, block in enumerate(blocks)), *FIVE
    )
    for content in (
        whole,
        whole[:-9],
        whole[: len(whole) // 2],
        gzip.compress(b"".join(FIVE) + blocks[0], 1),
    ):
        assert read(content) == read_without_isal(content)


def test_memory_is_flat_whatever_a_record_claims() -> None:
    """A record of 400 MB in a member of 400 kB, between good ones: 8 MB of it are kept."""

    def content() -> Iterator[bytes]:
        yield archives.response(b"", length=400_000_000 + 60)[:-4]
        for _ in range(400):
            yield bytes(1_000_000)

    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as stream:
        for piece in content():
            stream.write(piece)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    items = read(archives.members(FIVE[0]) + buffer.getvalue() + archives.members(FIVE[1]))
    assert urls(items) == [FIVE_URLS[0], "http://example.com/", FIVE_URLS[1]]
    big = items[1]
    assert (
        isinstance(big, Record)
        and big.cut in ("limit", "record")
        and len(big.body) <= warc.BLOCK_LIMIT
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


# What we read beyond, or otherwise than, the warcio column of INDEX.tsv: (records, damage, why).
DIFFERENCES = {
    "warcio/example-bad-non-chunked.warc.gz": (
        6,
        {},
        "one member for all records: warcio refuses it after the first",
    ),
    "warcio/example-bad.warc.gz.bad": (
        6,
        {},
        "an empty member between records: warcio stops there",
    ),
    "warcio/example-wrong-chunks.warc.gz": (
        2,
        {},
        "members end inside records: warcio takes the second member for a record",
    ),
    "warcio/example-trunc.warc": (
        4,
        {"garbage": 1},
        "six bytes of a header at the end, which warcio passes over in silence",
    ),
    "webarchive-commons/IAH-20080430204825-00000-blackbook-truncated.arc": (
        9,
        {},
        "the file header claims too few bytes: warcio reads the version as a record",
    ),
    "webarchive-commons/link-extraction-test.warc": (
        8,
        {},
        "empty lines and a length too short between records: warcio stops at the fourth",
    ),
    "webarchive-commons/abcd.gz": (0, {"not_an_archive": 1}, "no archive"),
    "webarchive-commons/double-single-inflate-error.gz": (0, {"not_an_archive": 1}, "no archive"),
    "webarchive-commons/hi-2.gz": (0, {"not_an_archive": 1}, "no archive"),
    "webarchive-commons/hi.gz": (0, {"not_an_archive": 1}, "no archive"),
}


def test_every_file_of_the_test_data() -> None:
    """Records beside the counts that warcio 1.8.1 gives; every difference is in the table above."""
    index = data_file("warc/INDEX.tsv")
    if index is None:
        pytest.skip("needs the test data")
    for row in csv.DictReader(index.open(encoding="utf-8"), delimiter="\t"):
        with (DATA / "warc" / row["file"]).open("rb") as stream:
            items = list(warc.read_archive(stream))
        records = [item for item in items if isinstance(item, Record)]
        records_wanted, damage_wanted, _ = DIFFERENCES.get(
            row["file"], (int(row["records_warcio"]), {}, "")
        )
        assert (len(records), Counter(reason for reason, _ in damage(items))) == (
            records_wanted,
            damage_wanted,
        ), row["file"]
        if (
            row["file"] not in DIFFERENCES
        ):  # the kinds agree too; warcio's arc_header is our warcinfo
            kinds = Counter(record.kind for record in records)
            assert kinds == Counter(
                {
                    kind.replace("arc_header", "warcinfo"): int(count)
                    for kind, count in (item.split("=") for item in row["record_types"].split())
                }
            ), row["file"]


def test_the_damaged_and_the_cut_file_of_the_test_data() -> None:
    folder = data_file("cc-news/crawl-data/CC-NEWS")
    if folder is None:
        pytest.skip("needs the test data")
    items = read((Path(folder) / "2018/03/CC-NEWS-20180330101010-00055.warc.gz").read_bytes())
    assert Counter(item.kind for item in items if isinstance(item, Record)) == {
        "warcinfo": 1,
        "request": 14,
        "response": 13,
    }
    assert damage(items) == [("damaged", 19_237)]
    items = read((Path(folder) / "2019/02/CC-NEWS-20190226101344-00342.warc.gz").read_bytes())
    assert Counter(item.kind for item in items if isinstance(item, Record)) == {
        "warcinfo": 1,
        "request": 25,
        "response": 25,
    }
    assert not damage(items) and [
        item.cut for item in items if isinstance(item, Record) and item.cut
    ] == ["file"]


def zstd_archive(records: list[bytes], dictionary: bytes = b"", squeezed: bool = False) -> bytes:
    """A `.warc.zst`, a frame for each record."""
    if not dictionary:
        return b"".join(zstandard.ZstdCompressor().compress(record) for record in records)
    shared = zstandard.ZstdCompressionDict(dictionary)
    engine = zstandard.ZstdCompressor(dict_data=shared)
    stored = zstandard.ZstdCompressor().compress(dictionary) if squeezed else dictionary
    head = b"\x5d\x2a\x4d\x18" + len(stored).to_bytes(4, "little") + stored
    return head + b"".join(engine.compress(record) for record in records)


@pytest.mark.parametrize("dictionary", ["", "plain", "squeezed"])
def test_zstd_archives(dictionary: str) -> None:
    """Frame by frame, with and without the dictionary that the first frame holds; cut, and with a
    frame that is damaged."""
    shared = b"".join(FIVE)[:4000] if dictionary else b""
    content = zstd_archive(FIVE, shared, dictionary == "squeezed")
    items = read(content)
    assert urls(items) == FIVE_URLS
    assert [item.position for item in items] == list(range(5))
    assert [item.body for item in items] == [item.body for item in read(archives.members(*FIVE))]

    cut = read(content[:-20])
    assert urls(cut)[:4] == FIVE_URLS[:4]
    harmed = read(content + b"\x28\xb5\x2f\xfd" + b"\xff" * 99)
    assert urls(harmed)[:5] == FIVE_URLS
    assert isinstance(harmed[-1], Damage) and harmed[-1].reason == "damaged"


def http_record(block: bytes) -> bytes:
    kind = "application/http; msgtype=response"
    return archives.record("response", block, "http://a/", archives.DATE, content_type=kind)


def test_the_lines_of_a_content_type_are_one_value() -> None:
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=koi8-r\r\n"
        b"X-A: 1\r\nX-A: 2\r\ncontent-type: */*\r\n\r\n<p>x"
    )
    (item,) = read(http_record(head))
    assert item.content_type == "text/html; charset=koi8-r, */*" and item.headers["x-a"] == "2"


@pytest.mark.parametrize("tag", [b"<!doctype html><html>", b"  <html>", b"<p>"])
def test_a_head_without_an_empty_line_ends_at_the_first_tag(tag: bytes) -> None:
    page = tag + b"<body>a: b\r\nc: d\r\n\r\nmore"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    (item,) = read(http_record(head + page))
    assert (item.status, item.content_type, item.body) == (200, "text/html", page)


def test_a_segment_is_marked() -> None:
    record = archives.response(b"<p>first part").replace(
        b"WARC/1.0\r\n", b"WARC/1.0\r\nWARC-Segment-Number: 1\r\n"
    )
    (item,) = read(record)
    assert item.cut == "segment"


@pytest.mark.parametrize("padding", [bytes(512), b" " * 300, b"\r\n" * 50])
def test_records_behind_padding(padding: bytes) -> None:
    for join in (archives.members, lambda *records: b"".join(records)):
        content = padding.join(join(record) for record in FIVE)
        assert [item.url for item in read(content) if isinstance(item, Record)] == FIVE_URLS
