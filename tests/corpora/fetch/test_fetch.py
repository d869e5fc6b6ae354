"""`corpus fetch` against a server on loopback with the layout of the real sites, which misbehaves
in every way that a server can."""

import gzip
import hashlib
import json
import os
import pty
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from realdata import DATA, data_file
from web_site import (
    Site,
    broken,
    claiming,
    in_place,
    redirect,
    serve,
    stalled,
    status,
    trickling,
    unmeasured,
)

from corpora.fetch import download as downloads
from corpora.fetch import listings
from corpora.fetch.listings import place, url_list
from corpora.fetch.partial_file import Partial
from pipelines.commands import fetch_display
from shards.errors import UserError
from shards.storage import http

ROOT = Path(__file__).resolve().parents[3]
Corpus = Callable[..., tuple[int, str, str]]
MONTHS = ("2016/09", "2017/11", "2018/03", "2019/02")
QUICK = ("--retry-s", "0.001", "--timeout-s", "0.25", "--attempts", "4")
ERROR_PAGE = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access '
    b"Denied</Message></Error>"
)


@pytest.fixture(scope="module")
def news() -> dict[str, bytes]:
    """Path -> bytes of a bucket: one archive of some hundred kB a month, and the listings."""
    found = {}
    if data_file("cc-news/crawl-data"):
        for path in sorted((DATA / "cc-news" / "crawl-data").rglob("*.gz")):
            found[str(path.relative_to(DATA / "cc-news"))] = path.read_bytes()
        return found
    for number, month in enumerate(MONTHS):
        name = f"CC-NEWS-{month.replace('/', '')}08141502-{number:05}.warc.gz"
        key = f"crawl-data/CC-NEWS/{month}/{name}"
        found[key] = gzip.compress(random.Random(number).randbytes(600_000), 1)
        found[f"crawl-data/CC-NEWS/{month}/warc.paths.gz"] = gzip.compress(f"{key}\n".encode())
    return found


@pytest.fixture
def site(news: dict[str, bytes]) -> Iterator[Site]:
    with serve(dict(news)) as site:
        yield site


def archive(site: Site, month: str = "2016/09") -> str:
    return next(path for path in site.files if f"/{month}/" in path and path.endswith(".warc.gz"))


def one_month(site: Site, folder: Path, month: str = "2016-09") -> list[object]:
    return [
        "fetch",
        "cc-news",
        folder,
        "--base",
        site.url,
        "--start",
        month,
        "--end",
        month,
        *QUICK,
    ]


def files_below(folder: Path) -> dict[str, bytes]:
    """Path -> bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def of_month(news: dict[str, bytes], *months: str) -> dict[str, bytes]:
    return {
        path: content
        for path, content in news.items()
        if any(f"/{month}/" in path for month in months)
    }


# what is fetched


def test_the_papers_window_names_the_months_that_are_missing_and_a_second_run_fetches_nothing(
    site: Site, news: dict[str, bytes], tmp_path: Path, corpus: Corpus
) -> None:
    command = ["fetch", "cc-news", tmp_path, "--base", site.url, *QUICK, "--json"]
    code, out, err = corpus(*command)
    assert code == 1, err
    figures = json.loads(out)
    assert (figures["expected"], figures["there"], figures["fetched"]) == (4, 4, 4)
    lost = [entry["why"] for entry in figures["missing"]]
    assert len(lost) == 30 - 4 and lost[0] == "2016/10: no listing: HTTP 404 Not Found"
    assert err.splitlines()[-2:] == [
        f"error: {tmp_path}: 26 listings could not be fetched",
        "hint: some hours and days have no archive, but every month has: "
        "check --start, --end and --base",
    ]
    assert files_below(tmp_path) == of_month(news, *MONTHS)
    archives = {
        path: content
        for path, content in of_month(news, *MONTHS).items()
        if path.endswith(".warc.gz")
    }
    assert figures["bytes"] == sum(map(len, archives.values())) and figures["groups"] == {
        month: {"expected": 1, "there": 1} for month in MONTHS
    }
    sent = dict(site.sent)
    code, out, _ = corpus(*command)
    assert code == 1 and json.loads(out)["fetched"] == json.loads(out)["bytes"] == 0
    assert all(site.sent[path] == sent[path] for path in archives)
    assert len(site.agents) == 1 and next(iter(site.agents)).startswith("corpusmill/")


def test_a_whole_window_is_exit_0_and_limit_takes_the_first(
    site: Site, tmp_path: Path, corpus: Corpus
) -> None:
    key = archive(site)
    second = key.replace("-00000", "-00001")
    site.files[second] = site.files[key]
    site.files["crawl-data/CC-NEWS/2016/09/warc.paths.gz"] = gzip.compress(
        f"{key}\n{second}\n{key}\n".encode()
    )
    code, out, err = corpus(*one_month(site, tmp_path), "--limit", "1")
    assert (code, out) == (
        0,
        f"1 of 1 files are there, 1 fetched now, {len(site.files[key]) / 1e6:.1f} MB received\n",
    ), err
    code, out, _ = corpus(*one_month(site, tmp_path))
    assert code == 0 and out.startswith("2 of 2 files are there, 1 fetched now")


def test_a_dry_run_writes_nothing_and_counts(
    site: Site, news: dict[str, bytes], tmp_path: Path, corpus: Corpus
) -> None:
    folder = tmp_path / "new"
    command = ["fetch", "cc-news", folder, "--base", site.url, *QUICK, "--dry-run"]
    code, out, _ = corpus(*command, "--json")
    figures = json.loads(out)
    assert code == 1 and not folder.exists()
    assert figures["bytes_missing"] == sum(
        len(content)
        for path, content in of_month(news, *MONTHS).items()
        if path.endswith(".warc.gz")
    )
    assert figures["bytes_exact"] and figures["hours"] == pytest.approx(
        figures["bytes_missing"] / figures["bytes_per_s"] / 3600
    )
    code, out, _ = corpus(*command)
    assert "2017/11: 1 file, 0 there\n" in out and "4 of 4 files to fetch, 4.6 MB\n" in out.replace(
        "2.4 MB", "4.6 MB"
    )
    assert (
        "under a minute at " in out and "missing: 2016/10: no listing: HTTP 404 Not Found\n" in out
    )


def test_sizes_of_many_files_are_estimated_from_a_sample(site: Site) -> None:
    items = [
        listings.Item(address=f"{site.url}/many/{number}", path=f"many/{number}")
        for number in range(100)
    ]
    site.files |= {f"many/{number}": bytes(number) for number in range(100)}
    assert downloads.expected_bytes(items, http.PATIENCE) == (
        4800,
        False,
    )  # every fourth: 0, 4, ..., 96
    assert sum(method == "HEAD" for method, _, _ in site.requests) == 25


@pytest.fixture
def dumps() -> Iterator[Site]:
    """The layout of the dumps, from the real excerpt of a small wiki."""
    real = data_file("wikipedia/smallwiki-part-even-multistream.xml.bz2")
    dump = real.read_bytes() if real else b"BZh9" + random.Random(5).randbytes(200_000)
    index = (
        (DATA / "wikipedia/smallwiki-part-even-multistream-index.txt.bz2").read_bytes()
        if real
        else b"BZh9" + bytes(900)
    )
    prefix = "ltgwiki/20181220/ltgwiki-20181220-"
    files = {
        f"{prefix}pages-articles-multistream.xml.bz2": dump,
        f"{prefix}pages-articles-multistream-index.txt.bz2": index,
        f"{prefix}pages-articles1.xml-p1p99.bz2": dump,
        f"{prefix}pages-articles10.xml-p100p200.bz2": index,
        f"{prefix}pages-articles2.xml-p100p200.bz2": index,
        f"{prefix}stub-articles.xml.gz": b"not asked for",
    }
    sums = "".join(
        f"{hashlib.sha1(content).hexdigest()}  {path.rsplit('/', 1)[1]}\n"
        for path, content in files.items()
    )
    files |= {
        f"{prefix}sha1sums.txt": sums.encode(),
        "ltgwiki/latest/ltgwiki-latest-sha1sums.txt": sums.encode(),
    }
    with serve(files) as site:
        yield site


def test_a_dump_with_its_index_checked_by_its_sums(
    dumps: Site, tmp_path: Path, corpus: Corpus
) -> None:
    code, out, err = corpus(
        "fetch",
        "wikipedia",
        tmp_path,
        "--wiki",
        "ltg",
        "--base",
        dumps.url,
        "--contact",
        "me@example.org",
        *QUICK,
    )
    assert code == 0, err
    assert "the latest dump of ltgwiki is 20181220" in err
    names = [
        "ltgwiki-20181220-pages-articles-multistream-index.txt.bz2",
        "ltgwiki-20181220-pages-articles-multistream.xml.bz2",
    ]
    assert files_below(tmp_path) == {
        f"ltgwiki/20181220/{name}": dumps.files[f"ltgwiki/20181220/{name}"] for name in names
    }
    assert all("(me@example.org)" in agent for agent in dumps.agents)
    wrong = tmp_path / "ltgwiki/20181220" / names[0]
    wrong.write_bytes(wrong.read_bytes()[:-1])
    code, out, err = corpus(
        "fetch",
        "wikipedia",
        tmp_path,
        "--wiki",
        "ltgwiki",
        "--date",
        "20181220",
        "--base",
        dumps.url,
        *QUICK,
        "--check",
    )
    assert (
        code == 0
        and "1 fetched now" in out
        and f"{names[0]}: differs from the server's file" in err
    )
    assert wrong.read_bytes() == dumps.files[f"ltgwiki/20181220/{names[0]}"]


def test_the_parts_of_a_dump_in_their_order(dumps: Site) -> None:
    read = lambda address: http.read_bytes(address, 1 << 20)  # noqa: E731
    wanted = listings.wikipedia("ltg", "20181220", "plain-parts", dumps.url, read)
    assert [item.path.rsplit("articles", 1)[1] for item in wanted.items] == [
        "1.xml-p1p99.bz2",
        "2.xml-p100p200.bz2",
        "10.xml-p100p200.bz2",
    ]
    with pytest.raises(UserError, match="no plain files") as refusal:
        listings.wikipedia("ltg", "20181220", "plain", dumps.url, read)
    assert refusal.value.hint == "--files multistream"
    flat = listings.wikipedia("ltg", "20181220", "plain-parts", dumps.url + "/{wiki}/{date}", read)
    assert flat.items == wanted.items


def test_a_dump_that_is_not_there(dumps: Site, tmp_path: Path, corpus: Corpus) -> None:
    code, _, err = corpus(
        "fetch",
        "wikipedia",
        tmp_path,
        "--wiki",
        "ltg",
        "--date",
        "20010101",
        "--base",
        dumps.url,
        *QUICK,
    )
    assert code == 2
    assert (
        err.splitlines()[0] == f"error: {dumps.url}/ltgwiki/20010101: no such dump"
        and "take a later --date or latest" in err
        and "https://archive.org/" in err
    )


def test_a_mirror_without_sums_is_asked_for_the_usual_names(
    dumps: Site, tmp_path: Path, corpus: Corpus
) -> None:
    name = "ltgwiki-20181220-pages-articles-multistream.xml.bz2"
    flat = {
        path.rsplit("/", 1)[1]: content
        for path, content in dumps.files.items()
        if "multistream" in path
    }
    dumps.files = {"ltgwiki-20181220/": b"a folder"} | {
        f"ltgwiki-20181220/{name}": content for name, content in flat.items()
    }
    command = [
        "fetch",
        "wikipedia",
        tmp_path,
        "--wiki",
        "ltg",
        "--date",
        "20181220",
        "--base",
        dumps.url + "/{wiki}-{date}",
        *QUICK,
    ]
    code, _, err = corpus(*command)
    assert code == 0 and "no checksums are published here" in err
    assert (
        files_below(tmp_path)
        == {f"ltgwiki/20181220/{name}": content for name, content in flat.items()}
        and name in flat
    )
    code, _, err = corpus(*command, "--files", "plain-parts")
    assert code == 2 and "the names of the parts are not known" in err


def test_a_wrong_checksum_is_tried_again_once_and_never_kept(
    dumps: Site, tmp_path: Path, corpus: Corpus
) -> None:
    name = "ltgwiki/20181220/ltgwiki-20181220-pages-articles-multistream.xml.bz2"
    good = dumps.files[name]
    bad = good[:-1] + bytes([good[-1] ^ 1])
    dumps.faults[name] = [in_place(bad)]
    command = [
        "fetch",
        "wikipedia",
        tmp_path,
        "--wiki",
        "ltg",
        "--date",
        "20181220",
        "--base",
        dumps.url,
        *QUICK,
    ]
    code, _, err = corpus(*command)
    assert code == 0 and "its checksum is sha1:" in err and (tmp_path / name).read_bytes() == good
    (tmp_path / name).unlink()
    dumps.for_good[name] = in_place(bad)
    code, out, err = corpus(*command)
    assert (
        code == 1
        and ", twice\n" in out
        and list(files_below(tmp_path))
        == [name.replace("multistream.xml", "multistream-index.txt")]
    )


def test_a_list_of_addresses(site: Site, tmp_path: Path, corpus: Corpus) -> None:
    site.files["a b/x?.txt"] = b"one"
    site.files["gone"] = b""
    digest = hashlib.sha256(b"one").hexdigest()
    (tmp_path / "list").write_text(
        f"# mine\n\n{site.url}/a%20b/x%3F.txt sha256:{digest}\n{site.url}/{archive(site)}\n"
        f"{site.url}/nowhere\n"
    )
    code, out, err = corpus("fetch", "urls", tmp_path / "list", tmp_path / "to", *QUICK)
    host = site.url.removeprefix("http://").replace(":", "_")
    assert code == 1 and f"missing: {host}/nowhere: HTTP 404 Not Found\n" in out
    assert err.endswith(
        f"error: {tmp_path / 'to'}: 1 file could not be fetched\n"
        "hint: run the same command again to try them again\n"
    )
    assert files_below(tmp_path / "to") == {
        f"{host}/a b/x%3F.txt": b"one",
        f"{host}/{archive(site)}": site.files[archive(site)],
    }


def test_a_listing_of_the_bucket_is_a_list_too(site: Site) -> None:
    wanted = url_list(f"{site.url}/crawl-data/CC-NEWS/2016/09/warc.paths.gz")
    assert [item.address for item in wanted.items] == [f"{site.url}/{archive(site)}"]


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("https://h.org/a/b.gz", "h.org/a/b.gz"),
        ("https://u:p@h.org:80/../../etc/passwd", "h.org_80/etc/passwd"),
        ("https://h.org/%2e%2e/%2e%2e/x", "h.org/x"),
        ("https://h.org/a%2F..%2Fb", "h.org/a/b"),
        ("https://h.org", "h.org/index.html"),
        ("https://h.org/a/", "h.org/a/index.html"),
        ("https://h.org/f?x=a/b*", "h.org/f%3Fx=a%2Fb%2A"),
        ("https://h.org/.htaccess", "h.org/%2Ehtaccess"),
        ("https://h.org/a%00b", "h.org/a%00b"),
    ],
)
def test_the_place_of_an_address_is_below_the_folder(address: str, path: str) -> None:
    assert place(address) == path


@given(st.text(), st.text(alphabet="./%2eEfF\\:@a?#*[]\0", max_size=40))
def test_no_address_leaves_the_folder(anything: str, nasty: str) -> None:
    for address in (
        f"http://{anything}",
        f"http://h/{anything}",
        f"http://{nasty}",
        f"https://h/{nasty}",
    ):
        try:
            path = place(address)
        except ValueError:
            continue
        names = path.split("/")
        assert (
            os.path.normpath(path) == path and not path.startswith(("/", "..")) and "\0" not in path
        )
        assert all(
            name and not name.startswith(".") and len(name.encode()) <= 210 for name in names
        )


def test_a_listing_that_would_leave_the_folder(site: Site, tmp_path: Path, corpus: Corpus) -> None:
    key = archive(site)
    evil = [
        "crawl-data/CC-NEWS/2016/09/../../../../evil.warc.gz",
        "/etc/x.warc.gz",
        "crawl-data/CC-NEWS/2016/10/x.warc.gz",
    ]
    site.files["crawl-data/CC-NEWS/2016/09/warc.paths.gz"] = gzip.compress(
        "\n".join([key, *evil]).encode()
    )
    code, out, _ = corpus(*one_month(site, tmp_path))
    assert (
        code == 1
        and "missing: 2016/09: 3 of 4 lines of its listing name no archive of the month, such as "
        in out
    )
    assert set(files_below(tmp_path)) == {key, "crawl-data/CC-NEWS/2016/09/warc.paths.gz"}


@pytest.mark.parametrize(
    "content",
    [ERROR_PAGE, b"", gzip.compress(b"x" * 1000)[:-9], gzip.compress(b"")],
    ids=["page", "nothing", "cut", "empty"],
)
def test_a_listing_that_is_none(content: bytes, site: Site, tmp_path: Path, corpus: Corpus) -> None:
    site.files["crawl-data/CC-NEWS/2016/09/warc.paths.gz"] = content
    code, out, err = corpus(*one_month(site, tmp_path))
    assert (
        code == 1
        and "missing: 2016/09: " in out
        and ("is no listing" in out or "its listing is empty" in out)
    ), (out, err)


# what servers do


@pytest.mark.parametrize(
    "faults",
    [
        [broken(300_000)],
        [broken(0), broken(1), broken(2)],
        [stalled(200_000)],
        [trickling],
        [status(503, {"Retry-After": "0"}), status(429, {"Retry-After": "0"}), status(500)],
        [status(503, {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"})],
        [status(503, {"Retry-After": "soon"})],
        [in_place(b"<Error><Code>SlowDown</Code></Error>")],
        [unmeasured],
        [claiming(100)],
    ],
    ids=[
        "breaks",
        "breaks at once",
        "stalls",
        "trickles",
        "busy",
        "busy until a date",
        "busy for nonsense",
        "busy as a page",
        "no length",
        "too short a length",
    ],
)
def test_a_fault_that_passes(
    faults: list[object], site: Site, tmp_path: Path, corpus: Corpus
) -> None:
    key = archive(site)
    site.faults[key] = list(faults)  # type: ignore[arg-type]
    code, _, err = corpus(*one_month(site, tmp_path))
    assert code == 0, err
    assert (tmp_path / key).read_bytes() == site.files[key]
    assert not any(".tmp-" in name for name in files_below(tmp_path))


def test_a_break_costs_only_what_was_not_received(
    site: Site, tmp_path: Path, corpus: Corpus
) -> None:
    key = archive(site)
    site.faults[key] = [broken(300_000), broken(200_000)]
    code, _, err = corpus(*one_month(site, tmp_path))
    assert code == 0, err
    assert site.gets(key) == ["bytes=0-", "bytes=300000-", "bytes=500000-"]
    assert site.sent[key] == len(site.files[key])


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (status(404), "HTTP 404 Not Found"),
        (status(403), "HTTP 403 Forbidden"),
        (status(451), "HTTP 451 Unavailable For Legal Reasons"),
        (status(503), "HTTP 503 Service Unavailable (4 tries)"),
        (status(503, {"Retry-After": "99999"}), "it asks to wait for"),
        (broken(0), "ended at 0 of"),
        (stalled(0), "stalled: no byte for 0.25 s (4 tries)"),
        (
            in_place(ERROR_PAGE),
            (
                'no .gz file: it begins with \'<?xml version="1.0" encoding="UTF-8"?> '
                "<Error><Code>AccessDenied</Code>"
            ),
        ),
        (in_place(b""), "no .gz file: it begins with nothing: it is empty"),
        (redirect("ftp://elsewhere.example/x"), "not an address that can be asked"),
    ],
    ids=[
        "gone",
        "forbidden",
        "law",
        "busy",
        "busy for a day",
        "nothing",
        "silence",
        "error page",
        "empty",
        "other scheme",
    ],
)
def test_a_fault_that_stays_is_named_and_the_other_file_comes(
    fault: object, why: str, site: Site, tmp_path: Path, corpus: Corpus
) -> None:
    key = archive(site)
    other = key.replace("-00000", "-00001")
    site.files[other] = site.files[key]
    site.files["crawl-data/CC-NEWS/2016/09/warc.paths.gz"] = gzip.compress(
        f"{key}\n{other}\n".encode()
    )
    site.for_good[key] = fault  # type: ignore[assignment]
    code, out, err = corpus(*one_month(site, tmp_path))
    assert code == 1, err
    [line] = [line for line in out.splitlines() if line.startswith("missing: ")]
    assert line.startswith(f"missing: {key}: ") and why in line
    assert not (tmp_path / key).exists() and (tmp_path / other).read_bytes() == site.files[other]
    assert (
        "Traceback" not in err
        and err.splitlines()[-2] == f"error: {tmp_path}: 1 file could not be fetched"
    )
    del site.for_good[key]
    assert corpus(*one_month(site, tmp_path))[0] == 0
    assert (tmp_path / key).read_bytes() == site.files[key]


def test_redirects_lead_to_the_file_or_in_circles(
    site: Site, tmp_path: Path, corpus: Corpus
) -> None:
    key = archive(site)
    site.files["moved.warc.gz"] = site.files[key]
    site.for_good[key] = redirect("/moved.warc.gz")
    assert (
        corpus(*one_month(site, tmp_path))[0] == 0
        and (tmp_path / key).read_bytes() == site.files[key]
    )
    (tmp_path / key).unlink()
    site.for_good |= {key: redirect("/circle"), "circle": redirect(f"/{key}")}
    code, out, _ = corpus(*one_month(site, tmp_path))
    assert code == 1 and "redirects in circles, or more than 10 of them" in out


def test_a_server_that_claims_more_than_it_has(site: Site, tmp_path: Path, corpus: Corpus) -> None:
    key = archive(site)
    size = len(site.files[key])
    site.for_good[key] = claiming(size + 1000)
    site.heads = False  # or that would tell
    code, out, _ = corpus(*one_month(site, tmp_path))
    assert code == 1 and f"ended at {size:,} of {size + 1000:,} bytes (4 tries)" in out
    assert (
        not (tmp_path / key).exists() and size <= site.sent[key] <= size + 2
    )  # each further try asked for what was missing; two bytes to learn the size


@pytest.mark.parametrize("etags", [True, False], ids=["etag", "size alone"])
def test_a_file_that_changes_between_two_tries_begins_again(
    etags: bool, site: Site, tmp_path: Path, corpus: Corpus
) -> None:
    key = archive(site)
    site.etags = etags
    old = site.files[key]
    new = old[:400_000] + b"\0" + old[400_000:]

    def change(handler, content):  # type: ignore[no-untyped-def]
        handler.whole(content, sent=300_000)
        site.files[key] = new

    site.faults[key] = [change]
    code, _, err = corpus(*one_month(site, tmp_path))
    assert code == 0 and (tmp_path / key).read_bytes() == new and "it begins again" in err


def test_a_file_that_is_another_each_time_is_given_up(
    site: Site, tmp_path: Path, corpus: Corpus
) -> None:
    key = archive(site)
    count = iter(range(1000))

    def change(handler, content):  # type: ignore[no-untyped-def]
        site.files[key] = content + bytes([next(count)])
        handler.whole(site.files[key], sent=100_000)

    site.for_good[key] = change
    code, out, _ = corpus(*one_month(site, tmp_path))
    assert code == 1 and "differs at each request" in out


def test_a_server_without_ranges_begins_again(site: Site, tmp_path: Path, corpus: Corpus) -> None:
    key = archive(site)
    site.ranges = False
    site.faults[key] = [broken(100_000), broken(200_000)]
    code, _, err = corpus(*one_month(site, tmp_path))
    assert code == 0 and (tmp_path / key).read_bytes() == site.files[key]
    assert site.sent[key] == 300_000 + len(site.files[key])


def test_a_busy_server_is_obeyed_by_all_connections(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retry-After counts for whoever asks next; the clock is not waited for."""
    waits: list[float] = []
    run = downloads._Run(str(tmp_path), http.Patience(first_wait_s=0.001), downloads.Watcher())
    monkeypatch.setattr(
        run.stop,
        "wait",
        lambda seconds: waits.append(seconds) or (seconds and setattr(run, "_pause_until", 0.0)),
    )
    paused: list[float] = []
    pause = run._pause
    monkeypatch.setattr(run, "_pause", lambda seconds: paused.append(seconds) or pause(seconds))
    key = archive(site)
    site.faults[key] = [status(429, {"Retry-After": "120"})]
    run._one(listings.Item(address=f"{site.url}/{key}", path=key))
    assert run.outcome.failed == {} and max(waits) == 120.0 and paused == [120.0]
    run._pause(300)
    waits.clear()
    run._wait(0)
    assert waits[0] == 0 and 299 < waits[1] <= 300


def test_nobody_is_hammered(site: Site, tmp_path: Path, corpus: Corpus) -> None:
    """A server that refuses ten files in a row is not asked for the rest."""
    keys = [f"crawl-data/CC-NEWS/2016/09/x-{number}.warc.gz" for number in range(40)]
    site.files["crawl-data/CC-NEWS/2016/09/warc.paths.gz"] = gzip.compress("\n".join(keys).encode())
    for key in keys:
        site.files[key], site.for_good[key] = b"\x1f\x8b", status(403)
    code, out, err = corpus(*one_month(site, tmp_path), "--connections", "1", "--json")
    why = [entry["why"] for entry in json.loads(out)["missing"]]
    assert code == 1 and why == ["HTTP 403 Forbidden"] * 10 + ["not tried"] * 30
    assert sum(method == "GET" and path in keys for method, path, _ in site.requests) == 10
    assert "stopped: 10 files in a row failed" in err and "--contact" in err


def test_addresses_that_are_gone_do_not_stop_a_list(
    site: Site, tmp_path: Path, corpus: Corpus
) -> None:
    (tmp_path / "list").write_text(
        "".join(f"{site.url}/gone/{number}\n" for number in range(15))
        + f"{site.url}/{archive(site)}\n"
    )
    code, out, _ = corpus("fetch", "urls", tmp_path / "list", tmp_path / "to", *QUICK)
    assert code == 1 and out.startswith("1 of 16 files are there")


def test_an_address_below_another(site: Site, tmp_path: Path, corpus: Corpus) -> None:
    site.files |= {"a": b"one", "a/b": b"two", "c": b"three"}
    (tmp_path / "list").write_text("".join(f"{site.url}/{name}\n" for name in ("a", "a/b", "c")))
    code, out, _ = corpus(
        "fetch", "urls", tmp_path / "list", tmp_path / "to", *QUICK, "--connections", "1"
    )
    assert (
        code == 1
        and out.startswith("2 of 3 files are there")
        and "/a: would have to be a file and a folder\n" in out
    )


def test_no_server_at_all(tmp_path: Path, corpus: Corpus) -> None:
    with serve({}) as site:
        pass
    code, out, err = corpus(*one_month(site, tmp_path))
    assert code == 3 and err.splitlines()[-2:] == [
        f"error: {site.url}/crawl-data/CC-NEWS/2016/09/warc.paths.gz: Connection refused (4 tries)",
        "hint: check the network; run the same command again to resume",
    ]


# what befalls us


def begin(site: Site, folder: Path, *more: str) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-m",
        "pipelines.cli",
        *map(str, one_month(site, folder)),
        "--timeout-s",
        "30",
        *more,
    ]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def until(reached: Callable[[], bool]) -> None:
    """Look until it is so; fail after 20 s."""
    for _ in range(2000):
        if reached():
            return
        time.sleep(0.01)
    raise AssertionError("never reached")


def left_behind(folder: Path, key: str) -> Path:
    path = folder / key
    return path.parent / f".tmp-{path.name}"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "Ctrl-C"])
def test_a_killed_run_is_gone_on_with(
    number: signal.Signals, site: Site, tmp_path: Path, corpus: Corpus
) -> None:
    key = archive(site)
    content = site.files[key]
    site.faults[key] = [stalled(400_000)]
    process = begin(site, tmp_path)
    part = left_behind(tmp_path, key)
    until(lambda: part.exists() and part.stat().st_size == 400_000)
    code, _, err = corpus(*one_month(site, tmp_path))
    assert (
        code == 3
        and err.startswith(f"error: {tmp_path}/.fetch: process {process.pid} on ")
        and err.endswith("is at work in it\nhint: wait for it, or end it\n")
    )
    began = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130), err
    assert "Traceback" not in err and time.monotonic() - began < 10
    assert not (tmp_path / key).exists()
    site.sent.clear()
    code, out, err = corpus(*one_month(site, tmp_path))
    assert code == 0 and "of which 0.4 MB are here" in err.replace("400 kB", "0.4 MB")
    assert (tmp_path / key).read_bytes() == content
    assert site.sent[key] == len(content) - 400_000 and site.gets(key)[-1] == "bytes=400000-"
    assert set(files_below(tmp_path)) == {key, "crawl-data/CC-NEWS/2016/09/warc.paths.gz"}


def test_the_display_on_a_terminal_and_in_a_log(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = archive(site)
    site.faults[key] = [status(503, {"Retry-After": "0"})]
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-m", "pipelines.cli", *map(str, one_month(site, tmp_path))]
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(theirs)
    shown = os.read(terminal, 1 << 20).decode()
    os.close(terminal)
    assert done.returncode == 0 and done.stdout.startswith("1 of 1 files are there")
    assert (
        "0 of 1 files" in shown
        and "HTTP 503 Service Unavailable; again in 0 s" in shown.replace("\r\n", "")
    )
    lines = fetch_display.Lines(3, 4_000_000, 1_000_000)
    lines.began -= 2.0
    lines.advance(listings.Item(address="a", path="a"), 1_000_000)
    monkeypatch.setattr(time, "monotonic", lambda: lines.began + 2.0)
    assert lines.line() == "fetch: 0 of 3 files, 2.0 MB of 4.0 MB, 500 kB/s, 4 s left"


@pytest.mark.parametrize(
    "note",
    [None, b"{", b"[]", b'{"address": "http://other/"}'],
    ids=["none", "cut", "a list", "of another"],
)
def test_a_part_of_unknown_origin_is_not_gone_on_with(
    note: bytes | None, site: Site, tmp_path: Path, corpus: Corpus
) -> None:
    key = archive(site)
    part = left_behind(tmp_path, key)
    part.parent.mkdir(parents=True)
    part.write_bytes(b"\x1f\x8b" + bytes(1000))
    if note is not None:
        Path(f"{part}.json").write_bytes(note)
    assert corpus(*one_month(site, tmp_path))[0] == 0
    assert (tmp_path / key).read_bytes() == site.files[key] and site.gets(key) == ["bytes=0-"]


def test_a_full_part_is_only_given_its_name(site: Site, tmp_path: Path, corpus: Corpus) -> None:
    """Killed between the last byte and the name."""
    key = archive(site)
    part = left_behind(tmp_path, key)
    part.parent.mkdir(parents=True)
    part.write_bytes(site.files[key])
    tag = '"' + hashlib.md5(site.files[key]).hexdigest() + '"'
    Path(f"{part}.json").write_text(
        json.dumps(
            {
                "address": f"{site.url}/{key}",
                "size": len(site.files[key]),
                "etag": tag,
                "modified": None,
            }
        )
    )
    assert corpus(*one_month(site, tmp_path))[0] == 0
    assert (tmp_path / key).read_bytes() == site.files[key] and site.sent[key] == 0


def test_a_full_disk_is_said_before_the_work(
    site: Site, tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    code, _, err = corpus(*one_month(site, tmp_path))
    assert code == 3 and " to fetch, 1.0 kB free\n" in err and site.gets(archive(site)) == []


def test_a_disk_that_fills_up_keeps_the_part(
    site: Site, tmp_path: Path, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = archive(site)
    write = Partial.write

    def full(self, out, piece):  # type: ignore[no-untyped-def]
        if self.have > 100_000:
            raise OSError(28, "No space left on device", self.path)
        write(self, out, piece)

    monkeypatch.setattr(Partial, "write", full)
    code, _, err = corpus(*one_month(site, tmp_path))
    assert code == 3 and err.splitlines()[-1] == "hint: make room and run the same command again"
    monkeypatch.undo()
    held = left_behind(tmp_path, key).stat().st_size
    site.sent.clear()
    assert corpus(*one_month(site, tmp_path))[0] == 0
    assert (
        held > 0
        and site.sent[key] == len(site.files[key]) - held
        and (tmp_path / key).read_bytes() == site.files[key]
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_ours(site: Site, tmp_path: Path, corpus: Corpus) -> None:
    tmp_path.chmod(0o500)
    code, _, err = corpus(*one_month(site, tmp_path / "new"))
    assert code == 3 and "name a folder that you may write to" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cc-news", "D", "--start", "2016"], "--start 2016: not a month"),
        (
            ["cc-news", "D", "--start", "2019-01", "--end", "2018-01"],
            "--start 2019-01 is after --end 2018-01",
        ),
        (["cc-news", "D", "--end", "2015-01"], "CC-News begins in 2016-08"),
        (["cc-news", "D", "--connections", "0"], "--connections 0: not above 0"),
        (["wikipedia", "D", "--wiki", "../x"], "not the name of a wiki"),
        (["wikipedia", "D", "--date", "2018-12-20"], "not the date of a dump"),
        (["urls", "nowhere.txt", "D"], "nowhere.txt: cannot be read"),
    ],
)
def test_wrong_words_are_exit_2_with_the_remedy(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    corpus: Corpus,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = corpus("fetch", *arguments)
    assert code == 2 and message in err and "hint: " in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "s3://b/k\n",
        "http://a/x\nhttp://a//x\n",
        "http://a/x md5:12\n",
        "http:///etc/x\n",
        "http://[::/x\n",
    ],
    ids=["none", "scheme", "twins", "checksum", "no host", "half a host"],
)
def test_lists_that_are_none(lines: str, tmp_path: Path) -> None:
    (tmp_path / "list").write_text(lines)
    with pytest.raises(UserError):
        url_list(str(tmp_path / "list"))
