"""The source cc_news without a pipeline: what becomes of each record, rows 13, 15 to 17, 21 and 22
of the list of defects, and hostile neighbours."""

import dataclasses
import datetime
import gzip
import json
import logging
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import archives
import hostile
import pytest
import trafilatura
from realdata import DATA, ROOT, data_file

from corpora.cc_news.source import CcNewsOptions, in_runs, missing_months, source
from corpora.document import Document, NotPage, Outcome, Reject
from corpora.guard import Guard
from corpora.text.charset import decode_page
from shards.config import from_dict, setting_of
from shards.errors import UserError


def read(*inputs: Path, **settings: Any) -> list[Outcome]:
    options = CcNewsOptions(input=tuple(map(str, inputs)), **settings)
    return [
        record for piece in source().slices(options) for record in source().read(options, piece)
    ]


def write(folder: Path, name: str, records: Sequence[bytes]) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(archives.members(*records))
    return path


def reasons(outcomes: Sequence[Outcome]) -> Counter[str]:
    return Counter(outcome.reason for outcome in outcomes if isinstance(outcome, Reject))


def kinds(outcomes: Sequence[Outcome]) -> Counter[str]:
    return Counter(outcome.kind for outcome in outcomes if isinstance(outcome, NotPage))


def documents(outcomes: Sequence[Outcome]) -> list[Document]:
    return [outcome for outcome in outcomes if isinstance(outcome, Document)]


def test_a_document_and_its_columns(tmp_path: Path) -> None:
    head = (
        '<link rel="canonical" href="http://other.example/"><meta name="date" content="2018-03-29">'
    )
    path = write(
        tmp_path,
        "a.warc.gz",
        [
            archives.record("warcinfo", b"x"),
            archives.response(
                archives.page(archives.english(1), head, "Title"),
                "https://example.com/1?utm_source=x",
            ),
        ],
    )
    info, document = read(path)
    assert info == NotPage(kind="warcinfo", path="a.warc.gz", position=0)
    assert isinstance(document, Document)
    assert document.path == "a.warc.gz" and document.position == len(
        archives.members(archives.record("warcinfo", b"x"))
    )
    assert (document.url, document.title, document.language) == (
        "https://example.com/1?utm_source=x",
        "Title",
        "en",
    )
    assert document.date == datetime.date(2018, 3, 29) and document.crawled == datetime.datetime(
        2018, 3, 30, 10, 10, 24, tzinfo=datetime.timezone.utc
    )
    assert (
        document.text == archives.english(1)
        and document.digest is not None
        and len(document.digest) == 32
    )
    assert document.extra == {
        **{
            "host": "example.com",
            "domain": "example.com",
            "canonical": "http://other.example/",
            "charset": "utf-8",
            "evidence": "ascii",
        }
    }


def test_every_record_has_an_outcome(tmp_path: Path) -> None:
    """Rows 15, 16 and 17: each is one document or one reject with its name."""
    good = archives.page(archives.english(1))
    cases: list[tuple[bytes, str | None]] = [
        (archives.record("invented", b"x", "http://a/"), "other_record"),
        (archives.response(good, status="HTTP/1.1 404 Not Found"), "http_4xx"),
        (archives.response(good, status="HTTP/1.1 301 Moved"), "http_3xx"),
        (archives.response(good, status="HTTP/1.1 503 Busy"), "http_5xx"),
        (archives.response(good, status="HTTP/1.1 206 Partial"), "http_2xx"),
        (
            archives.response(b"%PDF-1.4 " + bytes(300), headers="Content-Type: application/pdf"),
            "not_html",
        ),
        (archives.response(b"%PDF-1.4 " + bytes(300)), "binary"),
        (archives.response(b"<rss version='2.0'><channel></channel></rss>"), "feed"),
        (archives.response(b""), "empty"),
        (archives.response(archives.page("short")), "too_short"),
        (
            archives.record("response", b"192.0.2.1", "ftp://example.com/", content_type="x/y"),
            "not_http",
        ),
        (
            archives.response(
                b"\x28\xb5\x2f\xfd" + bytes(99),
                headers="Content-Type: text/html\nContent-Encoding: zstd",
            ),
            "unsupported_encoding",
        ),
        (archives.response(good, headers=""), None),
        (archives.response(good, status="HTTP/1.1200 OK"), None),
        (archives.response(good, headers="Content-Type: text/html\nX-Caf\xe9: \xff"), None),
        (archives.response(good, headers="Content-Type: text/html\nContent-Length: 17"), None),
    ]
    outcomes = read(write(tmp_path, "a.warc.gz", [record for record, _ in cases]))
    assert [outcome.reason if isinstance(outcome, Reject) else None for outcome in outcomes] == [
        reason for _, reason in cases
    ]
    assert (
        next(
            outcome.detail
            for outcome in outcomes
            if isinstance(outcome, Reject) and outcome.reason == "http_4xx"
        )
        == "404"
    )


def test_records_that_are_no_responses_are_neither_documents_nor_rejects(tmp_path: Path) -> None:
    types = (
        "warcinfo",
        "request",
        "Revisit",
        "METADATA",
        "resource",
        "conversion",
        "continuation",
    )
    lookups = [
        archives.record("response", b"192.0.2.1 a", address, content_type="text/dns")
        for address in ("dns:a.example", "<DNS:a.example>")
    ]
    records = [archives.record(kind, b"x", "http://a/") for kind in types]
    page = archives.response(archives.page(archives.english(1)))
    path = write(tmp_path, "a.warc.gz", [*records, page, *lookups, page])

    outcomes = read(path)
    assert [type(outcome) for outcome in outcomes] == [
        *[NotPage] * 7,
        Document,
        *[NotPage] * 2,
        Document,
    ]
    assert kinds(outcomes) == Counter([kind.lower() for kind in types] + ["dns"] * 2)
    # each record of a file has a place, and the order is that of the file
    places = [outcome.position for outcome in outcomes]
    assert places == sorted(set(places))


def test_a_body_cut_by_the_crawler_is_kept_and_marked(tmp_path: Path) -> None:
    """Rows 13 and 14: 1,048,576 bytes that end inside a character, and nothing in the record that
    says so."""
    start = archives.page(archives.english(1, 20)).replace(b"</p>", b" ")
    body = start + b" " * ((1_048_576 - len(start)) % 2 + 1) + "é".encode() * 600_000
    body = body[:1_048_576]
    assert body.endswith(b"\xc3")
    (document,) = read(write(tmp_path, "a.warc.gz", [archives.response(body)]))
    assert isinstance(document, Document), document
    assert (
        document.extra["truncated"] == "crawler"
        and document.extra["charset"] == "utf-8"
        and "\ufffd" not in document.text
    )


def test_the_window_is_by_the_day_of_the_crawl(tmp_path: Path) -> None:
    days = ("2016-08-31", "2016-09-01", "2019-02-28", "2019-03-01")
    path = write(
        tmp_path,
        "a.warc.gz",
        [
            archives.response(archives.page(archives.english(i)), date=f"{day}T23:59:59Z")
            for i, day in enumerate(days)
        ],
    )
    assert len(documents(read(path))) == 4
    outcomes = read(path, start="2016-09-01", end="2019-03-01")
    assert [
        document.crawled.date().isoformat() for document in documents(outcomes) if document.crawled
    ] == ["2016-09-01", "2019-02-28"]
    assert reasons(outcomes) == {"outside_window": 2}
    assert len(documents(read(path, end="2016-09-01"))) == 1


def test_the_window_by_the_day_that_a_page_names_or_the_name_of_the_archive(tmp_path: Path) -> None:
    """A publication that lies after the crawl, or before 1990, is none; a page without one counts
    by its crawl, or is rejected where a date is required."""
    named = [
        "2016-08-31",
        "2016-09-01",
        "2019-02-28",
        "2019-03-01",
        "2019-05-01",
        "1989-12-31",
        None,
    ]
    heads = [f'<meta name="date" content="{day}">' if day else "" for day in named]
    responses = [
        archives.response(
            archives.page(archives.english(i), head),
            f"http://a/{i}",
            date="2019-03-01T00:00:00Z" if i != 6 else "2018-03-01T00:00:00Z",
        )
        for i, head in enumerate(heads)
    ]
    path = write(tmp_path, "2019/03/CC-NEWS-20190228235959-00001.warc.gz", responses)
    window = {"start": "2016-09-01", "end": "2019-03-01"}
    assert [str(document.date) for document in documents(read(path))] == [
        "2016-08-31",
        "2016-09-01",
        "2019-02-28",
        "2019-03-01",
        "None",
        "None",
        "None",
    ]
    by_page = read(path, date_field="publish", **window)
    assert [document.url for document in documents(by_page)] == [
        "http://a/1",
        "http://a/2",
        "http://a/6",
    ]
    assert [outcome.detail for outcome in by_page if isinstance(outcome, Reject)] == [
        "2016-08-31",
        "2019-03-01",
        "2019-03-01",
        "2019-03-01",
    ]
    assert (
        len(documents(read(path, **window))) == 1
        and len(documents(read(path, date_field="filename", **window))) == 7
    )
    assert reasons(read(path, require_date=True)) == {"undated": 3}


def test_the_title_stands_in_the_text_if_asked(tmp_path: Path) -> None:
    path = write(tmp_path, "a.warc.gz", archives.articles(1))
    (plain,), (titled,) = documents(read(path)), documents(read(path, include_title=True))
    assert titled.text == f"A page\n{plain.text}" and titled.title == plain.title == "A page"


def test_trafilaturas_switches_reach_it(tmp_path: Path) -> None:
    """`accelerated` changes nothing, not even what a home holds as done; `precision` does both."""
    box = (
        "<div class='bottom'><p>"
        + "This lot of words stands at the bottom of the page, among other things. " * 4
        + "</p></div>"
    )
    content = archives.page(archives.english(1)).replace(b"</article>", f"{box}</article>".encode())
    path = write(tmp_path, "a.warc.gz", [archives.response(content)])
    (plain,), (stock,), (precise,) = (
        documents(read(path, **flags))
        for flags in ({}, {"accelerated": False}, {"precision": True})
    )
    assert (
        plain == stock
        and "bottom of the page" in plain.text
        and "bottom of the page" not in precise.text
    )
    for extraction in ("fast", "default"):
        assert documents(read(path, extraction=extraction))[0].text == plain.text
    decides = {field.name: setting_of(field).decides for field in dataclasses.fields(CcNewsOptions)}
    assert not decides["accelerated"] and decides["precision"]


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ({"start": "2016"}, "is not a day such as 2016-09-01"),
        ({"end": "20160901"}, "is not a day such as 2016-09-01"),
        ({"end": "2016-02-30"}, "is not a day such as 2016-09-01"),
        ({"start": "2018-01-01", "end": "2018-01-01"}, "is not after start"),
        ({"min_characters": 0}, "less than 1"),
        ({"extraction": "slow"}, "extraction: 'slow' is not one of 'cascade', 'fast', 'default'"),
        ({"language": "english"}, "language: 'english' is not known: it cannot be told"),
        ({"min_chars": 3}, "unknown key"),
    ],
)
def test_wrong_settings_are_named(table: dict[str, Any], word: str) -> None:
    with pytest.raises(UserError, match=re.escape(word)):
        from_dict(CcNewsOptions, {"kind": "cc_news", "input": "x", **table}, "sources.news")


def test_missing_months_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Row 21: hours that are missing are normal, a month is not."""
    assert missing_months(
        [f"crawl-data/CC-NEWS/{month}/x.warc.gz" for month in ("2017/11", "2018/02", "2018/02")]
    ) == ["2017/12", "2018/01"]
    assert (
        missing_months(["2017/11/a.warc.gz", "2017/12/b.warc.gz"])
        == missing_months(["a.warc.gz"])
        == missing_months([])
        == []
    )
    two = ["x/2016/10/a.warc.gz", "x/2016/12/a.warc.gz"]
    assert missing_months(two, "2016-09-01", "2017-03-01") == [
        "2016/09",
        "2016/11",
        "2017/01",
        "2017/02",
    ]
    assert (
        missing_months(two, None, "2017-01-02") == ["2016/11", "2017/01"]
        and missing_months(["a.warc.gz"], "2016-09-01", "2017-03-01") == []
    )
    assert (
        in_runs(["2016/09", "2016/11", "2016/12", "2017/01", "2017/03"])
        == "2016/09, 2016/11 to 2017/01, 2017/03"
    )
    for month in ("2017/11", "2018/01"):
        write(tmp_path, f"{month}/a.warc.gz", archives.articles(1))
    (tmp_path / "2018/01/warc.paths.gz").write_bytes(gzip.compress(b"a listing\n"))
    with caplog.at_level(logging.WARNING):
        outcomes = read(tmp_path)
    assert "2017/12" in caplog.text and len(outcomes) == 2, "the listing is passed over"


def test_a_counter_used_again_in_another_month_makes_no_equal_ids(tmp_path: Path) -> None:
    """Row 22."""
    for month in ("2017/11", "2017/12"):
        write(tmp_path, f"{month}/CC-NEWS-00000.warc.gz", archives.articles(1))
    assert [document.path for document in documents(read(tmp_path / "**" / "*.warc.gz"))] == [
        "2017/11/CC-NEWS-00000.warc.gz",
        "2017/12/CC-NEWS-00000.warc.gz",
    ]


def test_files_that_are_no_archives_are_named_and_the_others_read(tmp_path: Path) -> None:
    """Rows 11 and 12."""
    write(tmp_path, "a.warc.gz", archives.articles(2))
    (tmp_path / "b.warc.gz").write_bytes(
        b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>"
    )
    (tmp_path / "c.warc.gz").write_bytes(b"")
    (tmp_path / "d.warc.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(99))
    write(tmp_path, "e.warc.gz", archives.articles(2, 2))
    outcomes = read(tmp_path)
    assert len(documents(outcomes)) == 4 and reasons(outcomes) == {"not_an_archive": 2}
    assert [outcome.path for outcome in outcomes if isinstance(outcome, Reject)] == [
        "b.warc.gz",
        "d.warc.zst",
    ]


def test_records_do_not_depend_on_slices(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path, f"{number}.warc.gz", archives.articles(3, 3 * number))
    wanted = read(tmp_path)
    assert len(documents(wanted)) == 18 == len(wanted)
    for size in (1, 2000, 5000):
        assert read(tmp_path, slice_bytes=size) == wanted


@pytest.mark.builds
def test_hostile_pages_among_good_ones(tmp_path: Path) -> None:
    """Each ends with its reason, and its neighbours are delivered."""
    records, wanted = [], []
    for number, (stored, reason) in enumerate(hostile.pages().values()):
        records += [
            archives.response(stored, f"http://bad.example/{number}"),
            archives.response(
                archives.page(archives.english(number)), f"http://good.example/{number}"
            ),
        ]
        wanted.append(reason)
    outcomes = read(write(tmp_path, "a.warc.gz", records))
    assert len(outcomes) == len(records)
    assert [document.text for document in documents(outcomes[1::2])] == [
        archives.english(number) for number in range(len(wanted))
    ]
    assert [
        outcome.reason if isinstance(outcome, Reject) else None for outcome in outcomes[::2]
    ] == wanted


@pytest.mark.builds
def test_pages_that_stop_the_child_cost_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 30, through the source: the child dies, hangs and runs out of memory; the page is named,
    the next one delivered."""
    pages = [
        archives.page(f"{word} " + archives.english(number))
        for number, word in enumerate(("crash", "hang", "memory"))
    ]
    path = write(
        tmp_path,
        "a.warc.gz",
        [
            archives.response(page, f"http://a/{i}")
            for pair in zip(pages, [archives.page(archives.english(9))] * 3)
            for i, page in enumerate(pair)
        ],
    )
    with Guard("hostile:extract_or_fail", deadline_s=1) as guard:
        monkeypatch.setattr("corpora.web.records.shared_guard", lambda function: guard)
        outcomes = read(path)
    assert [outcome.reason if isinstance(outcome, Reject) else None for outcome in outcomes] == [
        "crash",
        None,
        "timeout",
        None,
        "memory",
        None,
    ]
    assert [outcome.url for outcome in outcomes if isinstance(outcome, Reject)] == [
        "http://a/0"
    ] * 3


def gold() -> list[dict[str, Any]]:
    path = data_file("cc-news/gold.json.gz")
    if path is None:
        pytest.skip("needs the test data")
    return json.loads(gzip.decompress(path.read_bytes()))  # type: ignore[no-any-return]


def collapsed(text: str) -> str:
    return " ".join(text.replace("\xad", "").split())


REASONS = {
    "non-html:pdf": "not_html",
    "non-html:rss": "not_html",
    "non-html:json": "not_html",
    "mislabelled-binary": "binary",
    "http-404": "http_4xx",
    "http-301": "http_3xx",
    "empty-body": "empty",
    "corrupt-gzip-member": "damaged",
}
"""The defects of the test data without a text, and the reason of each."""


@pytest.mark.builds
def test_gold() -> None:
    """Every record of the five archives: its text or its reason; snippets as many as stock
    trafilatura finds by hand."""
    entries = gold()
    outcomes = {
        (outcome.path, outcome.position): outcome
        for outcome in read(DATA / "cc-news" / "**" / "*.warc.gz")
    }
    found = Counter[str]()
    for entry in entries:
        outcome = outcomes[entry["file"], entry["offset"]]
        found["with"] += len(entry["snippets_with"])
        found["without"] += len(entry["snippets_without"])
        if entry["kind"] == "revisit":
            assert isinstance(outcome, NotPage) and outcome.kind == "revisit", entry
            continue
        if entry["kind"] in REASONS:
            assert isinstance(outcome, Reject) and outcome.reason == REASONS[entry["kind"]], entry
            continue
        assert isinstance(outcome, Document), (entry, outcome)
        text = collapsed(outcome.text)
        recalled = sum(collapsed(snippet) in text for snippet in entry["snippets_with"])
        assert recalled == len(entry["snippets_with"]) or entry["kind"] in (
            "clean",
            "recrawl-exact",
        ), entry
        found["ours with"] += recalled
        found["ours without"] += sum(
            collapsed(snippet) in text for snippet in entry["snippets_without"]
        )
        assert (outcome.extra.get("truncated") == "file") == (
            entry["kind"] == "truncated-last-record"
        )
    assert reasons(list(outcomes.values())) == Counter(
        REASONS[entry["kind"]] for entry in entries if entry["kind"] in REASONS
    )
    assert kinds(list(outcomes.values())) == {"request": 141, "warcinfo": 5, "revisit": 1}
    by_hand = by_hand_counts(entries)
    assert found["ours with"] >= by_hand["with"] and found["ours without"] <= by_hand["without"]
    print(
        f"snippets: {found['ours with']} of {found['with']} wanted ones, by hand "
        f"{by_hand['with']}; {found['ours without']} of {found['without']} unwanted, by hand "
        f"{by_hand['without']}"
    )
    assert found["ours with"] >= 0.97 * found["with"]


def by_hand_counts(entries: list[dict[str, Any]]) -> Counter[str]:
    """Snippets in `trafilatura.extract(fast=True, include_comments=False)` of each page, rightly
    decoded."""
    from corpora.web.http_body import decode_body
    from corpora.web.warc import Record, read_archive

    counts = Counter[str]()
    for name in sorted({entry["file"] for entry in entries}):
        with (DATA / "cc-news" / name).open("rb") as stream:
            records = {
                item.position: item for item in read_archive(stream) if isinstance(item, Record)
            }
        for entry in entries:
            record = records.get(entry["offset"])
            if entry["file"] != name or record is None or entry["kind"] in REASONS:
                continue
            decoded = decode_page(
                decode_body(record.body, record.headers, 2_000_000).content, record.content_type
            )
            assert decoded is not None
            text = collapsed(
                trafilatura.extract(decoded.text, fast=True, include_comments=False) or ""
            )
            counts["with"] += sum(collapsed(snippet) in text for snippet in entry["snippets_with"])
            counts["without"] += sum(
                collapsed(snippet) in text for snippet in entry["snippets_without"]
            )
    return counts


@pytest.mark.builds
def test_a_wanted_language_keeps_its_pages_and_names_the_others() -> None:
    entries = {(entry["file"], entry["offset"]): entry for entry in gold()}
    everything = {
        (outcome.path, outcome.position): outcome
        for outcome in read(DATA / "cc-news" / "**" / "*.warc.gz")
    }
    for wanted in ("en", "de"):
        for outcome in read(DATA / "cc-news" / "**" / "*.warc.gz", language=wanted):
            key = (outcome.path, outcome.position)
            any_outcome = everything[key]
            if isinstance(outcome, NotPage):
                assert outcome == any_outcome
            elif isinstance(outcome, Document):
                assert (
                    isinstance(any_outcome, Document)
                    and outcome.text == any_outcome.text
                    and any_outcome.language == wanted
                ), entries[key]
            elif isinstance(any_outcome, Document):
                assert outcome.reason == "language" and any_outcome.language != wanted, entries[key]
            else:
                assert isinstance(any_outcome, Reject)
                assert (outcome.reason, outcome.detail) == (any_outcome.reason, any_outcome.detail)


_MEMORY = """
import sys
sys.path.insert(0, "tests/helpers")
from corpora.cc_news.source import CcNewsOptions, source
options = CcNewsOptions(input=(sys.argv[1],))
marks = [int(mark) for mark in sys.argv[2].split(",")]
def rss(pid, name="VmRSS"):
    status = open(f"/proc/{pid}/status")
    return int(next(line for line in status if line.startswith(name)).split()[1])
count = 0
from corpora.guard import shared_guard
for piece in source().slices(options):
    for _ in source().read(options, piece):
        count += 1
        if count in marks:
            print(rss("self"), rss(shared_guard("corpora.web.extract:extract_page").pid))
# not getrusage: its maximum begins with that of the process that started this one
print(rss("self", "VmHWM"), rss(shared_guard("corpora.web.extract:extract_page").pid, "VmHWM"))
"""


def memory(folder: Path, marks: str) -> list[list[int]]:
    """kB of the worker and of its child after each of the marked records, then the peak of the
    worker."""
    output = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(folder), marks],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout
    return [[int(number) for number in line.split()] for line in output.splitlines()]


@pytest.mark.parametrize(
    ("pages", "first"), [(600, 300), pytest.param(5000, 500, marks=pytest.mark.long)]
)
@pytest.mark.builds
def test_memory_does_not_grow_with_pages(tmp_path: Path, pages: int, first: int) -> None:
    """Of the worker and of its child, under 20 MB from page 500 to page 5,000; fewer in the short
    run."""
    draw = random.Random(0)
    records = []
    for number in range(pages):
        rows = "".join(
            f"<div class='c{draw.randrange(999)}'>"
            f"<p>{archives.english(number * 50 + i, 3)}</p></div>"
            for i in range(draw.randrange(3, 30))
        )
        records.append(
            archives.response(f"<html><body>{rows}</body></html>".encode(), f"http://a/{number}")
        )
    write(tmp_path, "a.warc.gz", records)
    start, end, _ = memory(tmp_path, f"{first},{pages}")
    assert end[0] - start[0] < 20_000 and end[1] - start[1] < 20_000


@pytest.mark.long
def test_peak_memory_is_the_same_at_eight_times_the_archives(tmp_path: Path) -> None:
    archive = data_file("cc-news/crawl-data/CC-NEWS/2016/09/CC-NEWS-20160908141502-00000.warc.gz")
    if archive is None:
        pytest.skip("needs the test data")
    peaks = []
    for times in (1, 8):
        folder = tmp_path / str(times)
        folder.mkdir()
        (folder / "a.warc.gz").write_bytes(archive.read_bytes() * times)
        peaks.append(memory(folder, "9")[-1])
    assert peaks[1][0] < peaks[0][0] + 10_000 and peaks[1][1] < peaks[0][1] + 20_000, peaks
