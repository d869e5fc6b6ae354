"""Pages: from a web archive to text, per second and core, beside the usual way; reading alone; and each stage of the path.

    python benchmarks/bench_extraction.py [--rounds N] [--language en]

On the real news pages of the test data, without its damaged archive, of which the usual way would read less than half. `in the
child` is what the source cc_news does: the extractor in a process that can be killed; parent and child take turns, so that
together they use one core. `usual`: warcio's iterator, `trafilatura.extract(fast, no comments)` on each body, langdetect on all
of its text. The stages are seconds of CPU, taken apart in this process.
"""

import argparse
import contextlib
import hashlib
import io
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import langdetect
import trafilatura
from warcio.archiveiterator import ArchiveIterator

from benchmarks.common import RESULTS, Variant, compare, machine, spread
from corpora import html, members
from corpora.body import decode_body
from corpora.charset import decode_page
from corpora.guard import Guard
from corpora.language import ANY, certainly_not, detect_language
from corpora.page import MAX_PAGE_BYTES, MIN_CHARACTERS, PAGE_PACKAGES, Page, refuse, refuse_tags
from corpora.warc import Damage, Record, read_archive

DATA = Path(os.environ.get("CORPUSMILL_TEST_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
STAGES = ("read", "body", "digest", "refuse", "charset", "tags", "gate", "parse", "head", "extract", "language")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--language", default="en")
    arguments = parser.parse_args()
    contents = [path.read_bytes() for path in sorted(DATA.glob("cc-news/**/*.warc.gz"))]
    contents = [content for content in contents if not any(isinstance(item, Damage) for item in read_archive(io.BytesIO(content)))]
    if not contents:
        sys.exit(f"error: no archive in {DATA}/cc-news\nhint: set CORPUSMILL_TEST_DATA")
    logging.disable(logging.CRITICAL)
    langdetect.DetectorFactory.seed = 0
    language = arguments.language
    count = sum(is_page(record) for content in contents for record in records(content))
    packages = ["warcio", *PAGE_PACKAGES]
    with Guard("corpora.html:extract_page") as guard, contextlib.redirect_stderr(io.StringIO()):  # warcio reports there what it cannot inflate
        extract = [
            Variant(name="in the child", work=count, run=lambda: ours(contents, language, guard.call)),
            Variant(name="in this process", work=count, run=lambda: ours(contents, language, html.extract_page)),
            Variant(name="usual", work=count, run=lambda: usual(contents, language)),
        ]
        compare("extraction", "pages per second, one core", extract, rounds=arguments.rounds, packages=packages)
        read = [
            Variant(name="isal", work=count, run=lambda: read_all(contents)),
            Variant(name="zlib", work=count, run=lambda: read_all(contents, without_isal=True)),
            Variant(name="warcio", work=count, run=lambda: read_by_warcio(contents)),
        ]
        compare("archives", "pages per second, one core", read, rounds=arguments.rounds, packages=packages)
    show_stages(contents, language, count, arguments.rounds, packages)


def records(content: bytes) -> Iterator[Record]:
    return (item for item in read_archive(io.BytesIO(content)) if isinstance(item, Record))


def is_page(record: Record) -> bool:
    return record.kind == "response" and record.status == 200


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


def usual(contents: list[bytes], language: str) -> int:
    kept = 0
    for content in contents:
        for record in ArchiveIterator(io.BytesIO(content)):
            if record.rec_type == "response" and record.http_headers is not None and record.http_headers.get_statuscode() == "200":
                text = trafilatura.extract(record.content_stream().read(), fast=True, include_comments=False) or ""
                if len(text) >= MIN_CHARACTERS:
                    kept += langdetect.detect(text) == language or language == ANY
    return kept


def read_all(contents: list[bytes], *, without_isal: bool = False) -> None:
    engine = members._isal_engine
    try:
        if without_isal:
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


def show_stages(contents: list[bytes], language: str, count: int, rounds: int, packages: list[str]) -> None:
    """The table of stages, in ms of CPU a page of the archives (not of the pages that reach the stage), and its JSON."""
    by_stage(contents, language)
    taken = [by_stage(contents, language) for _ in range(rounds)]
    stages = {name: spread([seconds[name] / count * 1000 for seconds, _ in taken]) for name in STAGES}
    kept = taken[0][1]
    print(f"stages: ms of CPU a page, {count} pages, {kept} of them kept as {language}, {rounds} rounds")
    for name, figures in stages.items():
        print(f"  {name:16} {figures['median']:8.3f} [{figures['min']:.3f} to {figures['max']:.3f}]")
    result = {"name": "stages", "unit": "ms of CPU a page", "pages": count, "kept": kept, "rounds": rounds, "machine": machine(packages), "stages": stages}
    (RESULTS / "stages.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
