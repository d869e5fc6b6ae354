"""How good the texts of pages are: precision, recall and F1 against gold, beside stock trafilatura,
resiliparse, datatrove and rs-trafilatura.

    python benchmarks/bench_gold.py [--peers PYTHON]

By the rules in `benchmarks/gold.py`: of pages with a known body the mean shares of its runs of four
words (the scorer of article-extraction-benchmark), of WCXB the F1 of words, of the others the
snippets found. `ours` is what
the sources give, gate and minimum length aside. datatrove and rs-trafilatura need an environment of
their own: the head of `benchmarks/web_peers.py` says how to make it.
"""

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import trafilatura
from resiliparse.extract.html2text import extract_plain_text

from benchmarks.common import RESULTS, machine
from benchmarks.gold import DATA, SETS, GoldPage, Score, gold_pages, score
from benchmarks.web_peers import HOW_TO_MAKE_ONE, Peers
from corpora.text.charset import decode_page
from corpora.text.normalise import normalise
from corpora.web.extract import extract_page
from corpora.web.page import PAGE_PACKAGES, Extraction, Page, PageSettings

PEERS = ("datatrove", "datatrove without fallback", "rs-trafilatura")


def ours(page: GoldPage, extraction: Extraction = "cascade") -> str:
    settings = PageSettings(min_characters=1, extraction=extraction)
    outcome = extract_page(page.content, content_type=page.content_type, settings=settings)
    return normalise(outcome.text) if isinstance(outcome, Page) else ""  # as `ingest` writes it


def stock(page: GoldPage, fast: bool) -> str:
    return trafilatura.extract(page.content, fast=fast, include_comments=False) or ""


def resiliparse(page: GoldPage) -> str:
    decoded = decode_page(page.content, page.content_type)
    return extract_plain_text(decoded.text, main_content=True) if decoded else ""


OWN: dict[str, Callable[[GoldPage], str]] = {
    "ours": ours,
    "ours, fast": lambda page: ours(page, "fast"),
    "trafilatura fast": lambda page: stock(page, True),
    "trafilatura": lambda page: stock(page, False),
    "resiliparse": resiliparse,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--peers",
        metavar="PYTHON",
        help="interpreter of an environment with datatrove and rs-trafilatura",
    )
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    sets = {name: pages for name in SETS if (pages := gold_pages(name))}
    if not sets:
        sys.exit(f"error: no gold in {DATA}\nhint: set CORPUSMILL_TEST_DATA")
    peers = Peers(arguments.peers) if arguments.peers else None
    if peers is None:
        print(
            f"skipped: {', '.join(PEERS)}; they need an environment of their own:\n    "
            f"{HOW_TO_MAKE_ONE}"
        )
    rows: dict[str, dict[str, Score]] = {}
    seconds: dict[str, float] = {}
    kept: dict[tuple[str, str], list[str]] = {}
    for name, pages in sets.items():
        for tool, extract in OWN.items():
            start = time.process_time()
            texts = [extract(page) for page in pages]
            seconds[tool] = seconds.get(tool, 0) + time.process_time() - start
            rows.setdefault(tool, {})[name] = score(pages, texts)
            kept[tool, name] = texts
        for tool in PEERS if peers else ():
            texts, taken = peers.texts(tool, [page.content for page in pages])
            seconds[tool] = seconds.get(tool, 0) + taken
            rows.setdefault(tool, {})[name] = score(pages, texts)
            kept[tool, name] = texts
    if peers:
        peers.close()
    show_kinds(sets, kept)
    show(rows, {name: len(pages) for name, pages in sets.items()}, seconds)
    RESULTS.mkdir(exist_ok=True)
    scores = {
        tool: {
            name: {"precision": one.precision, "recall": one.recall, "f1": one.f1}
            for name, one in row.items()
        }
        for tool, row in rows.items()
    }
    (RESULTS / "gold.json").write_text(
        json.dumps({"name": "gold", "machine": machine(PAGE_PACKAGES), "scores": scores}, indent=1)
        + "\n"
    )


def show(
    rows: dict[str, dict[str, Score]], sizes: dict[str, int], seconds: dict[str, float]
) -> None:
    """A table for the README: precision / recall / F1 of each set, and ms of CPU a page."""
    count = sum(sizes.values())
    print(line(["", *(f"{name} ({size})" for name, size in sizes.items()), "ms a page"]))
    print(line(["---"] * (len(sizes) + 2)))
    for tool, row in rows.items():
        cells = [
            f"{one.precision:.3f} / {one.recall:.3f} / **{one.f1:.3f}**" for one in row.values()
        ]
        print(line([tool, *cells, f"{1000 * seconds[tool] / count:.1f}"]))


def show_kinds(sets: dict[str, list[GoldPage]], texts: dict[tuple[str, str], list[str]]) -> None:
    """A table for docs/corpora.md: F1 by the type of the page, of the sets that have types."""
    for name, pages in sets.items():
        kinds = sorted({page.kind for page in pages if page.kind})
        if not kinds:
            continue
        counts = [sum(page.kind == kind for page in pages) for kind in kinds]
        print(line([name, *(f"{kind} ({count})" for kind, count in zip(kinds, counts))]))
        print(line(["---"] * (len(kinds) + 1)))
        for tool in [tool for tool, of in texts if of == name]:
            print(line([tool, *_of_kinds(pages, texts[tool, name], kinds)]))


def _of_kinds(pages: list[GoldPage], texts: list[str], kinds: list[str]) -> list[str]:
    cells = []
    for kind in kinds:
        places = [place for place, page in enumerate(pages) if page.kind == kind]
        of_kind = score([pages[place] for place in places], [texts[place] for place in places])
        cells.append(f"{of_kind.f1:.3f}")
    return cells


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
