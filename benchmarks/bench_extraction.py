"""Pages per second a core on the way from a web archive to text, by stage, and beside the usual way.

    python benchmarks/bench_extraction.py [ARCHIVE ...] [--rounds 5] [--language en] [--json FILE]

The archives of the test data are the default (real pages; CORPUSMILL_TEST_DATA), but for the damaged one, of which the usual
way would read less than half. Every round takes each page through each
variant, one after the other in one process, so that what else the machine does falls on all of them; CPU time is counted.

    ours       corpora.warc, body, charset, gate, one parse, head, trafilatura fast, langdetect, in this process
    guarded    the same in the child, as the source cc_news does it (CPU time of both processes)
    usual      warcio's iterator, trafilatura.extract(fast, no comments) on the bytes, langdetect.detect on its text
"""

import argparse
import contextlib
import hashlib
import io
import json
import logging
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import langdetect
import trafilatura
from warcio.archiveiterator import ArchiveIterator

from corpora import html, members
from corpora.body import decode_body
from corpora.charset import decode_page
from corpora.guard import Guard
from corpora.language import ANY, certainly_not, detect_language
from corpora.page import MAX_PAGE_BYTES, MIN_CHARACTERS, Page, refuse, refuse_tags
from corpora.warc import Damage, Record, read_archive

DATA = Path(os.environ.get("CORPUSMILL_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
STAGES = ("read", "body", "digest", "refuse", "charset", "tags", "gate", "parse", "head", "extract", "language")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archives", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--language", default="en")
    parser.add_argument("--json", type=Path, default=Path("build/bench_extraction.json"))
    arguments = parser.parse_args()
    paths = arguments.archives or sorted(DATA.glob("cc-news/**/*.warc.gz"))
    if not paths:
        parser.error(f"no archive: {DATA}/cc-news is not there; name some, or set CORPUSMILL_TEST_DATA")
    logging.disable(logging.CRITICAL)
    langdetect.DetectorFactory.seed = 0
    contents = [path.read_bytes() for path in paths]
    contents = [content for content in contents if not any(isinstance(item, Damage) for item in read_archive(io.BytesIO(content)))]
    count = sum(is_page(record) for content in contents for record in records(content))
    rounds = []
    with contextlib.redirect_stderr(io.StringIO()), Guard("corpora.html:extract_page") as guard:
        for number in range(arguments.rounds + 1):
            one = {name: run(contents, arguments.language) for name, run in variants(guard).items()}
            stages, kept = by_stage(contents, arguments.language)
            if number:  # the first round warms caches and the child
                rounds.append({"variants": one, "stages": stages, "kept": kept})
    report(arguments, count, rounds)


def records(content: bytes) -> Iterator[Record]:
    return (item for item in read_archive(io.BytesIO(content)) if isinstance(item, Record))


def is_page(record: Record) -> bool:
    return record.kind == "response" and record.status == 200


def variants(guard: Guard) -> dict[str, Callable[[list[bytes], str], float]]:
    """Name -> a run over all archives that returns its seconds of CPU."""
    return {
        "ours": lambda contents, language: cpu(lambda: ours(contents, language, html.extract_page)),
        "guarded": lambda contents, language: guarded(contents, language, guard),
        "usual": lambda contents, language: cpu(lambda: usual(contents, language)),
        "read with isal": lambda contents, _: cpu(lambda: read_all(contents, isal=True)),
        "read with zlib": lambda contents, _: cpu(lambda: read_all(contents, isal=False)),
        "read by warcio": lambda contents, _: cpu(lambda: read_by_warcio(contents)),
    }


def cpu(run: Callable[[], Any]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def ours(contents: list[bytes], language: str, extract: Callable[..., Any]) -> int:
    kept = 0
    for content in contents:
        for record in filter(is_page, records(content)):
            body = decode_body(record.body, record.headers, MAX_PAGE_BYTES).content
            hashlib.blake2b(body, digest_size=16).hexdigest()
            if refuse(body, record.content_type, record.url) is None:
                outcome = extract(body, content_type=record.content_type, url=record.url, crawled=record.crawled, language=language)
                kept += isinstance(outcome, Page)
    return kept


def guarded(contents: list[bytes], language: str, guard: Guard) -> float:
    """CPU of this process and of the child, by the kernel's account of it."""
    guard.call(b"<p>", content_type="text/html")
    before = child_seconds(guard)
    own = cpu(lambda: ours(contents, language, guard.call))
    return own + child_seconds(guard) - before


def child_seconds(guard: Guard) -> float:
    stat = Path(f"/proc/{guard.pid}/stat")
    if not stat.exists():
        return float("nan")
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def usual(contents: list[bytes], language: str) -> int:
    kept = 0
    for content in contents:
        for record in ArchiveIterator(io.BytesIO(content)):
            if record.rec_type == "response" and record.http_headers is not None and record.http_headers.get_statuscode() == "200":
                text = trafilatura.extract(record.content_stream().read(), fast=True, include_comments=False) or ""
                if len(text) >= MIN_CHARACTERS:
                    kept += langdetect.detect(text) == language or language == ANY
    return kept


def read_all(contents: list[bytes], *, isal: bool) -> None:
    engine = members._isal_engine
    try:
        if not isal:
            members._isal_engine = None
        for content in contents:
            for _ in read_archive(io.BytesIO(content)):
                pass
    finally:
        members._isal_engine = engine


def read_by_warcio(contents: list[bytes]) -> None:
    for content in contents:
        for record in ArchiveIterator(io.BytesIO(content)):
            record.content_stream().read()


def by_stage(contents: list[bytes], language: str) -> tuple[dict[str, float], int]:
    """Seconds of CPU in each stage of `extract_page` and before it, and the pages kept; written out as the function is."""
    seconds = dict.fromkeys(STAGES, 0.0)

    def timed(name: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        start = time.process_time()
        result = function(*args, **kwargs)
        seconds[name] += time.process_time() - start
        return result

    kept = 0
    for content in contents:
        stream = records(content)
        while (record := timed("read", next, stream, None)) is not None:
            if not is_page(record):
                continue
            body = timed("body", decode_body, record.body, record.headers, MAX_PAGE_BYTES).content
            timed("digest", hashlib.blake2b, body, digest_size=16)
            if timed("refuse", refuse, body, record.content_type, record.url) is not None:
                continue
            decoded = timed("charset", decode_page, body, record.content_type, cut=bool(record.cut))
            if decoded is None or timed("tags", refuse_tags, decoded.text) is not None:
                continue
            if timed("gate", lambda text: certainly_not(html._sample(text), language), decoded.text) is not None:
                continue
            tree = timed("parse", html._parse, decoded.text)
            timed("head", html._head, tree, decoded.text, record.url, record.crawled)
            extracted = timed("extract", trafilatura.bare_extraction, tree, url=record.url, fast=True, include_comments=False)
            text = extracted.text if extracted is not None else ""
            if len(text) >= MIN_CHARACTERS:
                kept += timed("language", detect_language, text, language) == language or language == ANY
    return seconds, kept


def report(arguments: argparse.Namespace, count: int, rounds: list[dict[str, Any]]) -> None:
    def spread(values: list[float]) -> dict[str, float]:
        return {"min": round(min(values), 4), "median": round(statistics.median(values), 4), "max": round(max(values), 4)}

    speeds = {name: spread([count / one["variants"][name] for one in rounds]) for name in rounds[0]["variants"]}
    ratios = {
        "ours / usual": spread([one["variants"]["usual"] / one["variants"]["ours"] for one in rounds]),
        "guarded / ours": spread([one["variants"]["ours"] / one["variants"]["guarded"] for one in rounds]),
        "isal / zlib": spread([one["variants"]["read with zlib"] / one["variants"]["read with isal"] for one in rounds]),
        "our reader, zlib / warcio": spread([one["variants"]["read by warcio"] / one["variants"]["read with zlib"] for one in rounds]),
    }
    stages = {name: spread([one["stages"][name] / count * 1000 for one in rounds]) for name in STAGES}
    print(f"{count} pages, language {arguments.language}, {rounds[0]['kept']} kept, {len(rounds)} rounds; CPU time of one core")
    print(f"\n{'pages per second a core':28} {'min':>9} {'median':>9} {'max':>9}")
    for name, speed in speeds.items():
        print(f"{name:28} {speed['min']:9.1f} {speed['median']:9.1f} {speed['max']:9.1f}")
    print(f"\n{'ratio of speeds':28}")
    for name, ratio in ratios.items():
        print(f"{name:28} {ratio['min']:9.2f} {ratio['median']:9.2f} {ratio['max']:9.2f}")
    print(f"\n{'ms a page, by stage':28}")
    for name, stage in stages.items():
        print(f"{name:28} {stage['min']:9.3f} {stage['median']:9.3f} {stage['max']:9.3f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    packages = {name: version(name) for name in ("trafilatura", "lxml", "warcio", "langdetect", "pycld2")}
    result = {"pages": count, "language": arguments.language, "kept": rounds[0]["kept"], "rounds": len(rounds), "pages_per_second": speeds, "ratios": ratios}
    result |= {
        "stage_ms": stages,
        "peak_mb": peak,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "packages": packages,
    }
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    print(f"\nwritten to {arguments.json}")


if __name__ == "__main__":
    main()
