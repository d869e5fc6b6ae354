"""Submissions of Reddit: which links are wanted (rows 39 and 40 of the list of defects), and lines
as no one should write them."""

import bz2
import csv
import gzip
import io
import json
import lzma
from pathlib import Path
from typing import Any

import pytest
import zstandard
from realdata import data_file

from corpora.document import NotPage, Part, Reject
from corpora.openwebtext import submissions
from corpora.openwebtext.excluded_links import EXCLUDED_DOMAINS, EXCLUDED_EXTENSIONS, chosen
from corpora.openwebtext.submissions import Link, Outcome, Wanted

WANTED = Wanted(domains=EXCLUDED_DOMAINS, extensions=EXCLUDED_EXTENSIONS)


def submission(**fields: Any) -> dict[str, Any]:
    return {
        "url": "http://example.com/article",
        "score": 3,
        "over_18": False,
        "is_self": False,
        "author": "someone",
        "title": "A title",
    } | fields


def found(
    folder: Path, content: bytes, name: str = "RS_2015-01", wanted: Wanted = WANTED, **part: Any
) -> list[Outcome]:
    (folder / name).write_bytes(content)
    return list(
        submissions.read_part(
            wanted, Part(address=str(folder / name), path=name, size=len(content), **part)
        )
    )


def told(records: list[Outcome]) -> list[str]:
    words = []
    for record in records:
        if isinstance(record, NotPage):
            words.append(f"no page: {record.kind}")
        else:
            words.append(record.reason if isinstance(record, Reject) else "link")
    return words


def one(folder: Path, wanted: Wanted = WANTED, **fields: Any) -> str:
    (record,) = found(folder, json.dumps(submission(**fields)).encode(), wanted=wanted)
    return told([record])[0]


def test_row_39(tmp_path: Path) -> None:
    """The boundary of the score, over_18, deleted, a broken line: the first is kept, the rest is
    counted."""
    lines = [
        json.dumps(submission()),
        json.dumps(submission(score=2)),
        json.dumps(submission(over_18=True)),
        json.dumps(submission(author="[deleted]")),
        '{"url": "http://example.com/broken", "score": 5',
    ]
    assert told(found(tmp_path, "\n".join(lines).encode())) == [
        "link",
        "low_score",
        "over_18",
        "deleted",
        "bad_json",
    ]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"score": "7"}, "link"),
        ({"score": 3.9}, "link"),
        ({"score": 2.9}, "low_score"),
        ({"score": "3e0"}, "link"),
        ({"score": None}, "bad_score"),
        ({"score": True}, "bad_score"),
        ({"score": "many"}, "bad_score"),
        ({"score": float("nan")}, "bad_score"),
        ({"score": 10**400}, "bad_score"),
        ({"score": 10**12}, "bad_score"),
        ({"score": [5]}, "bad_score"),
        ({"score": -4}, "low_score"),
        ({"over_18": "true"}, "over_18"),
        ({"over_18": 1}, "over_18"),
        ({"over_18": None}, "link"),
        ({"over_18": "False"}, "link"),
        ({"is_self": True}, "self_post"),
        ({"is_self": "True"}, "self_post"),
        ({"domain": "self.books"}, "self_post"),
        ({"url": None}, "no_url"),
        ({"url": ""}, "no_url"),
        ({"url": 5}, "no_url"),
        ({"url": "[deleted]"}, "deleted"),
        ({"title": "[deleted by user]"}, "deleted"),
        ({"removed_by_category": "moderator"}, "deleted"),
        ({"removed_by_category": None}, "link"),
        ({"url": "http://a.b"}, "link"),
        ({"url": "http://ab"}, "short_url"),
        ({"url": "http://abcdef"}, "bad_url"),
        ({"url": "ftp://example.com/a"}, "bad_url"),
        ({"url": "magnet:?xt=urn:btih:abc"}, "bad_url"),
        ({"url": "/r/books/comments/1/x/"}, "bad_url"),
        ({"url": "http://[::1/broken"}, "bad_url"),
        ({"url": "http://example.com:99999/x"}, "bad_url"),
        ({"url": "http://example.com/a\nb"}, "bad_url"),
        ({"url": "http://example.com/\ud800"}, "bad_url"),
        ({"url": "http://example.com/" + "a" * 5000}, "bad_url"),
        ({"url": "http://example.com/a b"}, "link"),
        ({"url": "http://example.com/photo.JPG"}, "excluded_extension"),
        ({"url": "http://example.com/paper.pdf?download=1"}, "excluded_extension"),
        ({"url": "http://example.com/page.html?image=a.jpg"}, "link"),
        ({"url": "http://example.com/a.b/c"}, "link"),
        ({"url": "https://www.youtube.com/watch?v=x"}, "excluded_domain"),
        ({"url": "http://de.wikipedia.org/wiki/Rom"}, "excluded_domain"),
        ({"url": "http://i.imgur.com/abcdef"}, "excluded_domain"),
        ({"url": "http://notimgur.com/abcdef"}, "link"),
        ({"url": "https://np.reddit.com/r/books/comments/1/x/"}, "excluded_domain"),
    ],
    ids=repr,
)
def test_which_links_are_wanted(fields: dict[str, Any], reason: str, tmp_path: Path) -> None:
    assert one(tmp_path, **fields) == reason


def test_what_settings_take(tmp_path: Path) -> None:
    assert (
        one(tmp_path, Wanted(over_18=True, deleted=True), over_18=True, author="[deleted]")
        == "link"
    )
    assert one(tmp_path, Wanted(min_score=None), score=-5) == "link"
    assert one(tmp_path, Wanted(min_score=10), score=9) == "low_score"
    assert one(tmp_path, Wanted(min_url_characters=40)) == "short_url"
    assert (
        one(tmp_path, Wanted(domains=chosen(("builtin", "Example.com"), EXCLUDED_DOMAINS)))
        == "excluded_domain"
    )
    assert (
        one(
            tmp_path,
            Wanted(domains=chosen(("other.com",), EXCLUDED_DOMAINS)),
            url="http://imgur.com/gallery",
        )
        == "link"
    )
    assert (
        one(
            tmp_path,
            Wanted(extensions=chosen((), EXCLUDED_EXTENSIONS)),
            url="http://example.com/a.pdf",
        )
        == "link"
    )


def test_old_dumps_lack_fields(tmp_path: Path) -> None:
    """Those of 2005 to 2010 have no is_self or over_18 everywhere; some had votes in the place of a
    score."""
    record = {"url": "http://example.com/article", "ups": 9, "downs": 2}
    (link,) = found(tmp_path, json.dumps(record).encode())
    assert isinstance(link, Link) and link.score == 7
    assert told(found(tmp_path, json.dumps({"url": "http://example.com/article"}).encode())) == [
        "bad_score"
    ]


def test_escapes_of_the_interface_are_undone_and_no_others(tmp_path: Path) -> None:
    (link,) = found(
        tmp_path,
        json.dumps(submission(url=" http://example.com/x?a=1&amp;copy=2&amp;b=%26lt; ")).encode(),
    )
    assert isinstance(link, Link) and link.url == "http://example.com/x?a=1&copy=2&b=%26lt;"


def test_row_40(tmp_path: Path) -> None:
    """Spellings of one address have one key."""
    spellings = [
        "http://example.com/story?id=1",
        "https://example.com/story?id=1",
        "http://www.example.com/story?id=1",
        "http://example.com/story/?id=1",
        "http://example.com/story?id=1#comments",
        "http://example.com/story?id=1&amp;utm_source=reddit.com",
        "http://example.com/story?utm_medium=x&amp;id=1",
        "http://EXAMPLE.com:80/story?id=1",
        "http://example.com./story?id=1&amp;fbclid=abc",
        "http://example.com//a/../story?id=1",
    ]
    links = found(
        tmp_path, "\n".join(json.dumps(submission(url=url)) for url in spellings).encode()
    )
    assert {link.key for link in links if isinstance(link, Link)} == {
        "example.com/story?id=1"
    } and told(links) == ["link"] * 10


def test_lines_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "MAX_LINE_BYTES", 2000)
    good = json.dumps(submission()).encode()
    cut = json.dumps(submission(title="caf\u00e9"), ensure_ascii=False).encode()
    lines = [
        good,
        cut[: cut.index("\u00e9".encode()) + 1],  # inside a character
        bytes(40),
        good[:20] + b"\0" + good[20:],
        b"[1, 2]",
        b"[" * 1500,
        b'{"score": 1' + b"0" * 1000 + b"}",
        json.dumps(submission(title="x" * 3000)).encode(),
        b"",
        b"  ",
        b"\xef\xbb\xbf" + good,
        good + b"\r",
        b'{"url": "http://example.com/article", "score": 3',
    ]
    records = found(tmp_path, b"\n".join(lines))
    assert told(records) == [
        "link",
        "bad_encoding",
        "bad_json",
        "bad_json",
        "bad_json",
        "bad_json",
        "no_url",
        "too_large",
        "link",
        "link",
        "bad_json",
    ]
    offsets = [
        sum(len(line) + 1 for line in lines[:number])
        for number in range(len(lines))
        if lines[number].strip()
    ]
    assert [record.position for record in records] == offsets


CODECS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
LINES = b"".join(
    json.dumps(submission(url=f"http://example.com/{number}")).encode() + b"\n"
    for number in range(500)
)


@pytest.mark.parametrize("ending", CODECS)
def test_every_codec(ending: str, tmp_path: Path) -> None:
    plain = found(tmp_path, LINES, "RS_2011-01")
    assert (
        len(plain) == 500 and found(tmp_path, CODECS[ending](LINES), f"RS_2011-01{ending}") == plain
    )
    assert found(tmp_path, CODECS[ending](LINES), f"RS_2011-01.jsonl{ending}") == plain


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz", ".zst"])
def test_cut_and_damaged_dumps(ending: str, tmp_path: Path) -> None:
    content = CODECS[ending](LINES)
    cut = found(tmp_path, content[: len(content) - 30], f"RS{ending}")
    assert (
        isinstance(cut[-1], Reject)
        and cut[-1].reason == "truncated"
        and set(told(cut[:-1])) <= {"link"}
    )
    damaged = found(tmp_path, content[:4] + b"\xff" * 40 + content[44:], f"RS{ending}")
    assert isinstance(damaged[-1], Reject) and damaged[-1].reason in ("damaged", "truncated")
    assert (
        told(found(tmp_path, content + b"\x01garbage after it", f"RS{ending}"))[:500]
        == ["link"] * 500
    )


def test_a_window_of_2_gb(tmp_path: Path) -> None:
    """As the dumps have it since 2018: `zstd --long=31`. Arrow's decoder refuses it."""
    settings = zstandard.ZstdCompressionParameters(
        window_log=31, enable_ldm=False, compression_level=1, write_content_size=False
    )
    held = io.BytesIO()
    with zstandard.ZstdCompressor(compression_params=settings).stream_writer(
        held, closefd=False
    ) as writer:
        writer.write(LINES)
    content = held.getvalue()
    assert zstandard.get_frame_parameters(content).window_size == 1 << 31
    assert told(found(tmp_path, content, "RS_2018-11.zst")) == ["link"] * 500
    two_frames = content + content + zstandard.ZstdCompressor().compress(b"")
    assert told(found(tmp_path, two_frames, "RS_2018-11.zst")) == ["link"] * 1000
    wide = zstandard.ZstdCompressionParameters(window_log=27, write_content_size=False)
    assert (
        told(
            found(
                tmp_path,
                zstandard.ZstdCompressor(compression_params=wide).compress(LINES),
                "RS.zst",
            )
        )
        == ["link"] * 500
    )


def test_a_zst_bomb_costs_little_memory(tmp_path: Path) -> None:
    """300 MB without a line end is one line over the limit."""
    compressor = zstandard.ZstdCompressor().compressobj()
    content = (
        b"".join([compressor.compress(b"x" * 1_000_000) for _ in range(300)])
        + compressor.compress(b"\n" + LINES)
        + compressor.flush()
    )
    assert len(content) < 1_000_000
    assert told(found(tmp_path, content, "RS.zst")) == ["too_large"] + ["link"] * 500


def table(rows: list[list[Any]], **settings: Any) -> bytes:
    held = io.StringIO()
    csv.writer(held, **settings).writerows(rows)
    return held.getvalue().encode()


def test_tables(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["title", "url", "score", "over_18"],
        ["A, with a comma", "http://example.com/1", 5, "False"],
        ['Two\nlines and a " mark', "http://example.com/2", "6.0", ""],
        ["Not for all", "http://example.com/3", 7, "True"],
        ["Low", "http://example.com/4", 1, "False"],
    ]
    records = found(tmp_path, table(rows), "RS.csv")
    assert told(records) == ["link", "link", "over_18", "low_score"]
    assert [(record.url, record.score) for record in records if isinstance(record, Link)] == [
        ("http://example.com/1", 5),
        ("http://example.com/2", 6),
    ]
    assert told(found(tmp_path, table(rows, delimiter="\t"), "RS.tsv")) == told(records)
    assert told(found(tmp_path, gzip.compress(table(rows)), "RS.csv.gz")) == told(records)


def test_tables_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "MAX_ROW_LINES", 5)
    monkeypatch.setattr(submissions, "MAX_LINE_BYTES", 2000)
    assert told(found(tmp_path, b"a,b\n1,2\n", "RS.csv")) == ["unknown_format"]
    assert found(tmp_path, b"", "RS.csv") == []
    good = b"http://example.com/1,5\n"
    lines = [
        b"\xef\xbb\xbfURL,Score\n",
        good,
        b'"http://example.com/open,5\n',
        *[good] * 8,
        b"http://example.com/1\n",
        b"caf\xe9,5\n",
    ]
    lines += [b"x" * 3000 + b"\n", good[:5] + b"\0" + good[5:], b"\n", b'"a"b,5\n', good]
    expected = [
        "link",
        "bad_csv",
        *["link"] * 8,
        "bad_csv",
        "bad_encoding",
        "too_large",
        "link",
        "bad_csv",
        "link",
    ]
    assert told(found(tmp_path, b"".join(lines), "RS.csv")) == expected
    assert told(found(tmp_path, b'url,score\n"http://example.com/1,5', "RS.csv")) == ["bad_csv"]


def test_lists_of_addresses(tmp_path: Path) -> None:
    content = b"# a list\nhttp://example.com/1\n\nhttp://imgur.com/2\nnothing at all\n"
    records = found(tmp_path, content, "urls.txt")
    assert told(records) == ["no page: comment", "link", "excluded_domain", "bad_url"]
    assert isinstance(records[1], Link) and records[1].score is None


def test_ranges_of_a_plain_dump_are_its_lines_once(tmp_path: Path) -> None:
    whole = found(tmp_path, LINES, "RS")
    for size in (1, 557, 4000, len(LINES)):
        edges = (
            [*range(0, len(LINES), size), len(LINES)] if size > 1 else [0, 1, 2, 500, len(LINES)]
        )
        parts = [
            record
            for start, stop in zip(edges, edges[1:])
            for record in found(tmp_path, LINES, "RS", start=start, stop=stop)
        ]
        assert parts == whole


def test_the_real_dump_against_a_count_by_hand() -> None:
    """Every submission of July 2005, by five lines that know nothing of ours but the two lists."""
    path = data_file("openwebtext/reddit/RS_v2_2005-07.xz")
    if path is None:
        pytest.skip("no test data: openwebtext/reddit")
    records = list(
        submissions.read_part(
            WANTED, Part(address=str(path), path=path.name, size=path.stat().st_size)
        )
    )
    assert len(records) == 1079
    wanted = 0
    for line in lzma.open(path):
        row = json.loads(line)
        host = (
            row["url"].split("/")[2].lower()
            if row["url"].startswith(("http://", "https://"))
            else ""
        )
        domains = {".".join(host.split(".")[i:]) for i in range(host.count(".") + 1)}
        ending = row["url"].split("?")[0].split("#")[0].rsplit("/", 1)[-1].rpartition(".")
        bad = (
            not host
            or domains & EXCLUDED_DOMAINS
            or (ending[1] and ending[2].lower() in EXCLUDED_EXTENSIONS)
        )
        wanted += row["score"] >= 3 and row["author"] != "[deleted]" and not bad
    assert told(records).count("link") == wanted
    counts = {reason: told(records).count(reason) for reason in sorted(set(told(records)))}
    assert counts == {
        "deleted": 13,
        "excluded_domain": 4,
        "excluded_extension": 6,
        "link": 741,
        "low_score": 315,
    }
