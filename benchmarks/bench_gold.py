"""How good the texts of pages are: precision, recall and F1 against gold, beside stock trafilatura,
datatrove and resiliparse.

    python benchmarks/bench_gold.py [--peers PYTHON]

By the rules in `benchmarks/gold.py`: of pages with a known body the mean shares of its runs of four
words (the scorer of article-extraction-benchmark), of the others the snippets found. `ours` is what
the sources give, gate and minimum length aside. datatrove and resiliparse need an environment of
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

from benchmarks.common import RESULTS, machine
from benchmarks.gold import DATA, SETS, GoldPage, Score, gold_pages, score
from benchmarks.web_peers import HOW_TO_MAKE_ONE, Peers
from corpora.text.normalise import normalise
from corpora.web.extract import extract_page
from corpora.web.page import PAGE_PACKAGES, Page, PageSettings

PEERS = ("datatrove", "datatrove without fallback", "resiliparse")


def ours(page: GoldPage) -> str:
    settings = PageSettings(min_characters=1)
    outcome = extract_page(page.content, content_type=page.content_type, settings=settings)
    return normalise(outcome.text) if isinstance(outcome, Page) else ""  # as `ingest` writes it


def stock(page: GoldPage, fast: bool) -> str:
    return trafilatura.extract(page.content, fast=fast, include_comments=False) or ""


OWN: dict[str, Callable[[GoldPage], str]] = {
    "ours": ours,
    "trafilatura fast": lambda page: stock(page, True),
    "trafilatura": lambda page: stock(page, False),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--peers",
        metavar="PYTHON",
        help="interpreter of an environment with datatrove and resiliparse",
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
    for name, pages in sets.items():
        for tool, extract in OWN.items():
            start = time.process_time()
            texts = [extract(page) for page in pages]
            seconds[tool] = seconds.get(tool, 0) + time.process_time() - start
            rows.setdefault(tool, {})[name] = score(pages, texts)
        for tool in PEERS if peers else ():
            texts, taken = peers.texts(tool, [page.content for page in pages])
            seconds[tool] = seconds.get(tool, 0) + taken
            rows.setdefault(tool, {})[name] = score(pages, texts)
    if peers:
        peers.close()
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


def line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
