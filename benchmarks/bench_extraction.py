"""Pages: the accelerated extraction beside trafilatura as it is, and the whole path from archive to
kept text beside the usual ones.

    python benchmarks/bench_extraction.py [--rounds N] [--only texts|path] [--without SET]
        [--peers PYTHON]

`texts`: parsing and extraction of every page with a known text, in turn page by page, fast and
default; the texts must be equal. What is remembered of attributes is forgotten before each round.
`path`: the same pages, but one of more than 2 MB (the news crawl stores no more than 1 MB), as one
.warc.gz a set, about a third of them English; each variant reads all, wants English, and names what
it keeps.

    ours              the source cc_news, extractor in its child, isal where installed, text to
                      Parquet
    stock             warcio, trafilatura.extract(fast, no comments) on each body, langdetect on
                      1,000 characters, Parquet; no gate
    datatrove         its WARC reader and Trafilatura extractor as configured (precision, fallback,
                      deduplication); no language step
    without fallback  the same, no_fallback and no deduplication

The last two run with --peers (the head of `benchmarks/web_peers.py` says how to make that
environment). Ratios are of CPU seconds, children included, which other work on the machine touches
least; rates by the clock stand beside them.
"""

import argparse
import contextlib
import functools
import gc
import io
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import langdetect
import pyarrow as pa
import pyarrow.parquet as pq
import trafilatura
from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from benchmarks.common import RESULTS, machine, spread
from benchmarks.gold import DATA, SETS, GoldPage, gold_pages
from benchmarks.web_peers import HOW_TO_MAKE_ONE, Peers
from corpora.cc_news.source import CcNewsOptions, source
from corpora.document import Document
from corpora.guard import shared_guard
from corpora.text.charset import decode_page
from corpora.web import extract, fast_trafilatura
from corpora.web.page import MAX_PAGE_BYTES, MIN_CHARACTERS, PAGE_PACKAGES, refuse

WINDOW_RESPONSES = (157_000_000, 190_000_000)
"""Responses of CC-News 2016-09 to 2019-02: 63 million English articles at 2.5 crawled for each, and
4,300 files of 44,000."""
PACKAGES = ["warcio", *PAGE_PACKAGES]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run of a variant took and kept."""

    cpu: float
    wall: float
    kept: frozenset[str]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("texts", "path"))
    parser.add_argument(
        "--without",
        choices=SETS,
        action="append",
        default=[],
        metavar="SET",
        help="leave the pages of a set out, such as wcxb-dev, which hold no news",
    )
    parser.add_argument(
        "--peers", metavar="PYTHON", help="interpreter of an environment with datatrove"
    )
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    sets = {
        name: pages
        for name in SETS
        if name not in arguments.without and (pages := gold_pages(name))
    }
    if not sets:
        sys.exit(f"error: no pages in {DATA}\nhint: set CORPUSMILL_TEST_DATA")
    RESULTS.mkdir(exist_ok=True)
    if arguments.only != "path":
        texts([page for pages in sets.values() for page in pages], arguments.rounds)
    if arguments.only != "texts":
        path(sets, arguments.rounds, arguments.peers)


# --- extraction alone ---


def texts(pages: Sequence[GoldPage], rounds: int) -> None:
    decoded = [
        found.text
        for page in pages
        if refuse(page.content) is None and (found := decode_page(page.content, page.content_type))
    ]
    result: dict[str, Any] = {
        "name": "texts",
        "unit": "ms of CPU a page",
        "pages": len(decoded),
        "rounds": rounds,
        "machine": machine(PACKAGES),
        "modes": {},
    }
    print(f"texts: ms of CPU a page, {len(decoded)} pages, {rounds} rounds")
    gc.collect()
    gc.freeze()
    for mode, fast in (("fast", True), ("default", False)):
        of_rounds, differing = [], 0
        for _ in range(rounds + 1):
            fast_trafilatura.forget()
            ours, stock, differing = 0.0, 0.0, 0
            for text in decoded:
                start = time.process_time()
                mine = accelerated(text, fast)
                middle = time.process_time()
                theirs = as_it_is(text, fast)
                ours, stock = ours + middle - start, stock + time.process_time() - middle
                differing += mine != theirs
            of_rounds.append((1000 * ours / len(decoded), 1000 * stock / len(decoded)))
        ours_ms, stock_ms = (spread([one[i] for one in of_rounds[1:]]) for i in (0, 1))
        ratio = spread([stock / ours for ours, stock in of_rounds[1:]])
        result["modes"][mode] = {
            "ours": ours_ms,
            "stock": stock_ms,
            "ratio": ratio,
            "differing": differing,
        }
        print(
            f"  {mode:8} ours {ours_ms['median']:6.2f}  stock {stock_ms['median']:6.2f}   "
            f"{form(ratio)}; texts that differ: {differing}"
        )
    (RESULTS / "texts.json").write_text(json.dumps(result, indent=1) + "\n")


def accelerated(text: str, fast: bool) -> str:
    tree = extract._parse(text)
    return "" if tree is None else fast_trafilatura.extract(tree, fast=fast).strip()


def as_it_is(text: str, fast: bool) -> str:
    found = trafilatura.bare_extraction(
        text, fast=fast, include_comments=False, with_metadata=False
    )
    return (found.text or "").strip() if found is not None else ""  # type: ignore[union-attr]


# --- the whole path ---


def path(sets: dict[str, list[GoldPage]], rounds: int, python: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        sets = {
            name: [page for page in pages if len(page.content) <= MAX_PAGE_BYTES]
            for name, pages in sets.items()
        }
        count = write_archives(sets, Path(folder))
        variants: dict[str, Callable[[], Run]] = {
            "ours": functools.partial(ours, folder),
            "stock": functools.partial(stock, folder),
        }
        peers = Peers(python) if python else None
        if peers:
            for name in ("datatrove", "datatrove without fallback"):
                variants[name] = functools.partial(ask, peers, name, folder)
        runs: dict[str, list[Run]] = {name: [] for name in variants}
        for _ in range(rounds + 1):
            for name, run in variants.items():
                runs[name].append(run())
        if peers:
            peers.close()
    if not python:
        print(
            "skipped: datatrove, datatrove without fallback; they need an environment of "
            f"their own:\n    {HOW_TO_MAKE_ONE}"
        )
    show_path({name: of_rounds[1:] for name, of_rounds in runs.items()}, count, rounds)


def write_archives(sets: dict[str, list[GoldPage]], folder: Path) -> int:
    for name, pages in sets.items():
        with (folder / f"{name}.warc.gz").open("wb") as stream:
            writer = WARCWriter(stream, gzip=True)
            for number, page in enumerate(pages):
                headers = StatusAndHeaders(
                    "200 OK",
                    [("Content-Type", page.content_type or "text/html")],
                    protocol="HTTP/1.1",
                )
                dated = {"WARC-Date": "2018-03-30T10:10:24Z"}
                url = f"http://{name}.example/{number}"
                writer.write_record(
                    writer.create_warc_record(
                        url,
                        "response",
                        payload=io.BytesIO(page.content),
                        http_headers=headers,
                        warc_headers_dict=dated,
                    )
                )
    return sum(map(len, sets.values()))


def ours(folder: str) -> Run:
    options = CcNewsOptions(kind="cc_news", input=(f"{folder}/*.warc.gz",), language="en")
    guard = shared_guard("corpora.web.extract:extract_page")
    start, before = time.perf_counter(), time.process_time() + cpu_of(guard.pid)
    rows = [
        {"url": record.url, "text": record.text, "title": record.title, "date": record.date}
        for piece in source().slices(options)
        for record in source().read(options, piece)
        if isinstance(record, Document)
    ]
    write(rows)
    return Run(
        cpu=time.process_time() + cpu_of(guard.pid) - before,
        wall=time.perf_counter() - start,
        kept=frozenset(str(row["url"]) for row in rows),
    )


def stock(folder: str) -> Run:
    langdetect.DetectorFactory.seed = 0
    start, before = time.perf_counter(), time.process_time()
    rows = []
    for archive in sorted(Path(folder).iterdir()):
        with archive.open("rb") as stream:
            for record in ArchiveIterator(stream):
                if record.rec_type == "response" and record.http_headers.get_statuscode() == "200":
                    text = (
                        trafilatura.extract(
                            record.content_stream().read(), fast=True, include_comments=False
                        )
                        or ""
                    )
                    if len(text) >= MIN_CHARACTERS and langdetect.detect(text[:1000]) == "en":
                        rows.append(
                            {"url": record.rec_headers.get_header("WARC-Target-URI"), "text": text}
                        )
    write(rows)
    return Run(
        cpu=time.process_time() - before,
        wall=time.perf_counter() - start,
        kept=frozenset(str(row["url"]) for row in rows),
    )


def ask(peers: Peers, name: str, folder: str) -> Run:
    answer = peers.ask(**{"do": "path", "with": name, "folder": folder})
    return Run(cpu=answer["cpu"], wall=answer["wall"], kept=frozenset(answer["kept"]))


def write(rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), io.BytesIO(), compression="zstd")


def cpu_of(pid: int | None) -> float:
    """Seconds of CPU that a child has had, to a hundredth; 0.0 where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def show_path(runs: dict[str, list[Run]], count: int, rounds: int) -> None:
    result: dict[str, Any] = {
        "name": "path",
        "unit": "pages",
        "pages": count,
        "rounds": rounds,
        "machine": machine(PACKAGES),
        "variants": {},
    }
    print(f"path: {count} pages a run, {rounds} rounds")
    for name, of_rounds in runs.items():
        rate, clock = (
            spread([count / run.cpu for run in of_rounds]),
            spread([count / run.wall for run in of_rounds]),
        )
        ratio = spread([run.cpu / mine.cpu for run, mine in zip(of_rounds, runs["ours"])])
        by_clock = spread([run.wall / mine.wall for run, mine in zip(of_rounds, runs["ours"])])
        kept, mine_kept = of_rounds[0].kept, runs["ours"][0].kept
        result["variants"][name] = {
            "rate": rate,
            "rate_by_clock": clock,
            "ratio": ratio,
            "ratio_by_clock": by_clock,
            "kept": len(kept),
        }
        print(
            f"  {name:26} {rate['median']:6.1f} pages a second of CPU, {clock['median']:6.1f} "
            f"by the clock; ours is {form(ratio)} of it, "
            f"by the clock {form(by_clock)}; kept {len(kept)}, {len(kept - mine_kept)} that "
            f"ours does not, {len(mine_kept - kept)} that only ours does"
        )
    rate_of_ours = result["variants"]["ours"]["rate"]["median"]
    hours = [responses / rate_of_ours / 3600 for responses in WINDOW_RESPONSES]
    print(
        f"  CC-News 2016-09 to 2019-02, {WINDOW_RESPONSES[0]:,} to {WINDOW_RESPONSES[1]:,} "
        f"responses at ours: {hours[0]:,.0f} to {hours[1]:,.0f} core-hours"
    )
    (RESULTS / "path.json").write_text(json.dumps(result, indent=1) + "\n")


def form(figures: dict[str, float]) -> str:
    return f"{figures['median']:.2f}x [{figures['min']:.2f} to {figures['max']:.2f}]"


if __name__ == "__main__":
    main()
