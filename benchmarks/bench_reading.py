"""Web archives before and around the extractor: reading alone, each stage of a page's way, and what
the gates save.

    python benchmarks/bench_reading.py [--rounds N] [--language en]

On the real news pages of the test data, without its damaged archive, of which warcio would read
less than half. The stages are seconds of CPU, taken apart in this process. A gate is worth what the
pages that it drops would have cost after it; `lost`: pages of which langdetect, shown their text,
says that they are in the wanted language.
"""

import argparse
import contextlib
import hashlib
import io
import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import langdetect
from warcio.archiveiterator import ArchiveIterator

from benchmarks.common import RESULTS, Variant, compare, machine, spread
from benchmarks.gold import DATA, SETS, gold_pages
from corpora.text.charset import decode_page
from corpora.text.language import ANY, certainly_not, detect_language
from corpora.web import extract, fast_trafilatura, gzip_members
from corpora.web.http_body import decode_body
from corpora.web.page import MAX_PAGE_BYTES, MIN_CHARACTERS, PAGE_PACKAGES, refuse, refuse_tags
from corpora.web.warc import Damage, Record, read_archive

_LANG = re.compile(r"<html[^>]{0,500}?\slang\s*=\s*[\"']?([a-zA-Z]{2})")
STAGES = (
    "read",
    "body",
    "digest",
    "refuse",
    "charset",
    "tags",
    "gate",
    "parse",
    "head",
    "extract",
    "language",
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--language", default="en")
    arguments = parser.parse_args()
    contents = [path.read_bytes() for path in sorted(DATA.glob("cc-news/**/*.warc.gz"))]
    contents = [
        content
        for content in contents
        if not any(isinstance(item, Damage) for item in read_archive(io.BytesIO(content)))
    ]
    if not contents:
        sys.exit(f"error: no archive in {DATA}/cc-news\nhint: set CORPUSMILL_TEST_DATA")
    logging.disable(logging.CRITICAL)
    langdetect.DetectorFactory.seed = 0
    language = arguments.language
    count = sum(is_page(record) for content in contents for record in records(content))
    packages = ["warcio", *PAGE_PACKAGES]
    with contextlib.redirect_stderr(io.StringIO()):  # warcio reports there what it cannot inflate
        read = [
            Variant(name="isal", work=count, run=lambda: read_all(contents)),
            Variant(name="zlib", work=count, run=lambda: read_all(contents, without_isal=True)),
            Variant(name="warcio", work=count, run=lambda: read_by_warcio(contents)),
        ]
        compare(
            "archives",
            "pages per second, one core",
            read,
            rounds=arguments.rounds,
            packages=packages,
        )
    show_stages(contents, language, count, arguments.rounds, packages)
    show_gates(contents, language)


def records(content: bytes) -> Iterator[Record]:
    return (item for item in read_archive(io.BytesIO(content)) if isinstance(item, Record))


def is_page(record: Record) -> bool:
    return record.kind == "response" and record.status == 200


def read_all(contents: list[bytes], *, without_isal: bool = False) -> None:
    engine = gzip_members._isal_engine
    try:
        if without_isal:
            gzip_members._isal_engine = None
        for content in contents:
            for _ in read_archive(io.BytesIO(content)):
                pass
    finally:
        gzip_members._isal_engine = engine


def read_by_warcio(contents: list[bytes]) -> None:
    for content in contents:
        for record in ArchiveIterator(io.BytesIO(content)):
            record.content_stream().read()


def by_stage(contents: list[bytes], language: str) -> tuple[dict[str, float], int]:
    """Seconds of CPU in each stage of `extract_page` and before it, and the pages kept; written out
    as the function is."""
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
            if (
                timed(
                    "gate",
                    lambda text: certainly_not(extract._sample(text), language),
                    decoded.text,
                )
                is not None
            ):
                continue
            tree = timed("parse", extract._parse, decoded.text)
            timed("head", extract._head, tree, decoded.text, record.url, record.crawled)
            text = timed("extract", fast_trafilatura.extract, tree, url=record.url)
            if len(text) >= MIN_CHARACTERS:
                kept += (
                    timed("language", detect_language, text, language) == language
                    or language == ANY
                )
    return seconds, kept


def show_stages(
    contents: list[bytes], language: str, count: int, rounds: int, packages: list[str]
) -> None:
    """The table of stages, in ms of CPU a page of the archives (not of the pages that reach the
    stage), and its JSON."""
    by_stage(contents, language)
    taken = [by_stage(contents, language) for _ in range(rounds)]
    stages = {
        name: spread([seconds[name] / count * 1000 for seconds, _ in taken]) for name in STAGES
    }
    kept = taken[0][1]
    print(
        f"stages: ms of CPU a page, {count} pages, {kept} of them kept as {language}, "
        f"{rounds} rounds"
    )
    for name, figures in stages.items():
        print(
            f"  {name:16} {figures['median']:8.3f} [{figures['min']:.3f} to {figures['max']:.3f}]"
        )
    result = {
        "name": "stages",
        "unit": "ms of CPU a page",
        "pages": count,
        "kept": kept,
        "rounds": rounds,
        "machine": machine(packages),
        "stages": stages,
    }
    (RESULTS / "stages.json").write_text(json.dumps(result, indent=1) + "\n")


def show_gates(contents: list[bytes], language: str) -> None:
    """The table of gates on all pages of the archives and of html/: each page goes through every
    gate, whatever the others say."""
    pages = [
        (record.body, record.content_type, record.url, record.headers)
        for content in contents
        for record in records(content)
        if is_page(record)
    ]
    pages += [
        (page.content, page.content_type, None, {})
        for name in SETS
        if name != "cc-news"
        for page in gold_pages(name)
    ]
    gates = {
        name: [0, 0, 0.0, 0.0]
        for name in (
            "kind, size, first bytes",
            "charset",
            "too much markup",
            "lang of <html> alone",
            "sample and pycld2",
            "all but lang",
        )
    }
    wanted = 0
    for body, content_type, url, headers in pages:
        content = decode_body(body, headers, MAX_PAGE_BYTES).content
        start = time.process_time()
        refused = refuse(content, content_type, url)
        took = {"kind, size, first bytes": time.process_time() - start}
        drops = {"kind, size, first bytes": refused is not None}
        start = time.process_time()
        decoded = decode_page(content, content_type) if refused is None else None
        took["charset"], drops["charset"] = (
            time.process_time() - start,
            refused is None and decoded is None,
        )
        later, found = 0.0, ""
        if decoded is not None:
            for name, gate in (
                ("too much markup", lambda text: refuse_tags(text) is not None),
                (
                    "lang of <html> alone",
                    lambda text: (
                        (match := _LANG.search(text, 0, 20_000)) is not None
                        and match[1].lower() != language
                    ),
                ),
                (
                    "sample and pycld2",
                    lambda text: certainly_not(extract._sample(text), language) is not None,
                ),
            ):
                start = time.process_time()
                drops[name] = gate(decoded.text)
                took[name] = time.process_time() - start
            start = time.process_time()
            tree = None if drops["too much markup"] else extract._parse(decoded.text)
            if tree is not None:
                extract._head(tree, decoded.text, url, None)
                text = fast_trafilatura.extract(tree, url=url)
                found = detect_language(text, ANY) if len(text) >= MIN_CHARACTERS else ""
            later = time.process_time() - start
        wanted += found == language
        drops["all but lang"] = any(
            drop for name, drop in drops.items() if name != "lang of <html> alone"
        )
        took["all but lang"] = sum(
            cost for name, cost in took.items() if name != "lang of <html> alone"
        )
        for name in drops:
            gate_figures = gates[name]
            gate_figures[0] += drops[name]
            gate_figures[1] += drops[name] and found == language
            gate_figures[2] += took[name]
            gate_figures[3] += later * drops[name]
    print(
        f"gates: {len(pages)} pages, {wanted} of them wanted, {language}; ms of CPU a page of all"
    )
    for name, (dropped, lost, cost, saved) in gates.items():
        print(
            f"  {name:24} drops {dropped:4}, lost {lost:2}, costs "
            f"{1000 * cost / len(pages):6.3f}, saves {1000 * saved / len(pages):6.3f}"
        )


if __name__ == "__main__":
    main()
