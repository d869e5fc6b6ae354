"""Wikitext: from the articles of a dump to prose, MB of wikitext per second and core, beside
mwparserfromhell's own `strip_code`.

    python benchmarks/bench_wikipedia.py [--rounds N]

On the articles of the enwiki excerpt of the test data, redirects left out. `whole path` is what the
source wikipedia does: bzip2, pages, XML, prose, the parser in a child (parent and child take turns,
so that together they use one core). `strip_code` leaves file names, categories, references and
headings in the text and loses what templates say; its work is the tree that it makes.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import mwparserfromhell

from benchmarks.common import Variant, compare
from corpora.document import Part
from corpora.wikipedia.dump import RawPage, read_pages
from corpora.wikipedia.page import _Fields
from corpora.wikipedia.source import CUT_SECTIONS, WikipediaOptions, read, slices
from corpora.wikipedia.wikitext import Style, read_prose

DATA = Path(
    os.environ.get("CORPUSMILL_TEST_DATA", Path(__file__).parent.parent.parent / "shared" / "data")
)
DUMP = DATA / "wikipedia" / "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if not DUMP.exists():
        sys.exit(f"error: {DUMP} is not there\nhint: set CORPUSMILL_TEST_DATA")
    texts = articles(DUMP)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    print(f"{len(texts)} articles, {megabytes:.1f} MB of wikitext")
    style = Style(cut_sections=frozenset(CUT_SECTIONS))
    options = WikipediaOptions(input=(str(DUMP),))
    variants = [
        Variant(
            name="prose", work=megabytes, run=lambda: [read_prose(text, style) for text in texts]
        ),
        Variant(
            name="whole path",
            work=megabytes,
            run=lambda: [list(read(options, piece)) for piece in slices(options)],
        ),
        Variant(
            name="strip_code",
            work=megabytes,
            run=lambda: [mwparserfromhell.parse(text).strip_code() for text in texts],
        ),
    ]
    compare(
        "wikipedia",
        "MB of wikitext per second, one core",
        variants,
        rounds=arguments.rounds,
        packages=["mwparserfromhell"],
    )


def articles(path: Path) -> list[str]:
    """The wikitext of the pages that lead nowhere else."""
    found = []
    for page in read_pages(
        Part(address=str(path), path=path.name, size=path.stat().st_size), ".bz2", "utf-8"
    ):
        assert isinstance(page, RawPage)
        fields = _Fields()
        fields.read(page.content.decode())
        if fields.redirect is None:
            found.append(fields.get("revision/text"))
    return found


if __name__ == "__main__":
    main()
