"""Recall of stage `near` against all pairs of documents, on five kinds of documents.

    python benchmarks/bench_recall.py [--template N]

`news`: pieces of novels of 300 words, a third of them crawled again with another date and banner;
`templates`: pages of 200 words made from one template, four fifths of which differ from it in nine
words and the later ones in one; `reuters`: the 4,638 stories of Reuters; `signatures`: posts of 5
to 40 words above one of 20 signatures of 60 words; `near-empty`: one to 12 words.

Printed are, of all pairs: how many are alike to 0.8, how many documents a pass over all pairs would
remove, how many the stage removes, and how many pairs of kept documents are alike to 0.8 (missed).
Then the kept documents are compared again, which should remove nothing. `--template` makes a
template of N pages, to see that the time is linear.
"""

import argparse
import html
import logging
import random
import re
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.bench_near import make_home
from benchmarks.bench_shards import DATA
from pipelines.home.decisions import twins
from pipelines.home.layout import Home, open_home
from pipelines.home.summaries import ordered_slices
from pipelines.stages.near import kernels
from pipelines.stages.near.stage import STAGE
from pipelines.stages.near.word_table import word_table
from pipelines.stages.stage import run_task

THRESHOLD = 800_000_000

SYLLABLES = [first + second for first in "bdfgklmnprstvz" for second in "aeiou"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--template", type=int, nargs="*")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)

    if arguments.template:
        for count in arguments.template:
            removed, seconds = near(templates(count))
            print(f"template of {count:,} pages: {sum(removed):,} removed, {seconds:.1f} s of CPU")
        return

    print("| kind | documents | pairs | to be removed | removed | missed pairs | removed again |")
    print("|---|---|---|---|---|---|---|")
    kinds = {
        "news": news(1500),
        "templates": templates(3000),
        "reuters": reuters(),
        "signatures": signatures(1500),
        "near-empty": near_empty(1500),
    }
    for name, texts in kinds.items():
        removed, _ = near(texts)
        kept = [text for text, gone in zip(texts, removed) if not gone]
        again, _ = near(kept)
        pairs, wanted = all_pairs(texts)
        missed, _ = all_pairs(kept)
        row = (len(texts), pairs, wanted, sum(removed), missed, sum(again))
        print(f"| {name} | {' | '.join(f'{number:,}' for number in row)} |", flush=True)


def near(texts: list[str]) -> tuple[list[bool], float]:
    """Which documents the stage removes, and its seconds of CPU."""
    with tempfile.TemporaryDirectory() as folder:
        slices = [texts[begin : begin + 1000] for begin in range(0, len(texts), 1000)]
        home = make_home(str(Path(folder) / "home"), slices)
        begin = time.process_time()
        run(home)
        seconds = time.process_time() - begin
        opened, recipe = open_home(home.root)
        removed: list[bool] = []
        for summary in ordered_slices(opened, recipe):
            table = twins(opened, "near", summary)
            removed += table.column("twin").is_valid().to_pylist()
        return removed, seconds


def run(home: Home) -> None:
    """The stage in this process."""
    for step in STAGE.passes:
        for task in step.plan(*open_home(home.root)):  # type: ignore[union-attr]
            run_task(step, task)  # type: ignore[arg-type]


def all_pairs(texts: list[str]) -> tuple[int, int]:
    """How many pairs are alike to 0.8, and how many documents go when each is compared with all
    earlier ones that stay."""
    sets = [np.unique(shingles(text)) for text in texts]
    holds = [number for number, own in enumerate(sets) if len(own)]
    flat = np.concatenate([sets[number] for number in holds] or [np.zeros(0, np.uint64)])
    ends = np.cumsum([0, *(len(sets[number]) for number in holds)]).astype(np.int64)
    gone = np.zeros(len(holds), np.bool_)
    pairs = 0
    for later in range(1, len(holds)):
        numbers = np.stack([np.full(later, later), np.arange(later)], 1)
        found = np.empty((later, 3), np.int64)
        kernels.similarities(flat, ends, flat, ends, numbers, (THRESHOLD, THRESHOLD), found)
        is_alike = found[:, 0] >= THRESHOLD
        pairs += int(is_alike.sum())
        gone[later] = bool((is_alike & ~gone[:later]).any())
    return pairs, int(gone.sum())


def shingles(text: str) -> NDArray[np.uint64]:
    """The hashes of a text's shingles of five words."""
    content = np.frombuffer(text.encode(), np.uint8)
    found: NDArray[np.uint64] = kernels.shingles_of(content, 5, word_table())
    return found


def novel_words() -> list[str]:
    """The words of one novel after the other."""
    words: list[str] = []
    with tarfile.open(DATA / "books/english_novels.tar.xz") as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            if file:
                words += file.read().decode("utf-8", "replace").split()
    return words


def news(count: int) -> list[str]:
    """Stories, a third of them again with another date and banner."""
    words, draw = novel_words(), random.Random(1)
    texts = []
    for number in range(count * 3 // 4):
        story = words[number * 300 : number * 300 + 300]
        for again in range(1 + (number % 3 == 0)):
            head = f"Updated {draw.randrange(1, 29)} May 201{again} by our staff{draw.randrange(9)}"
            texts.append(f"{head}\n{' '.join(story)}\nSubscribe{again} to edition{again} now")
    return texts


def templates(count: int) -> list[str]:
    """Pages of one template: far ones, then near ones."""
    draw = random.Random(5)

    def word() -> str:
        return "".join(draw.choice(SYLLABLES) for _ in range(3))

    form = [word() for _ in range(200)]
    texts = []
    for number in range(count):
        page = form[:]
        for place in draw.sample(range(200), 9 if number < count * 4 // 5 else 1):
            page[place] = f"{word()}{number}"
        texts.append(" ".join(page))
    return texts


def reuters() -> list[str]:
    """The stories of Reuters."""
    stories: list[str] = []
    with tarfile.open(DATA / "dedup/reuters21578_part.tar.xz") as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member) if member.name.endswith(".sgm") else None
            if file:
                text = file.read().decode("latin-1")
                stories += map(html.unescape, re.findall(r"<BODY>(.*?)</BODY>", text, re.DOTALL))
    return stories


def signatures(count: int) -> list[str]:
    """Posts above long signatures."""
    words, draw = novel_words(), random.Random(2)
    marks = [" ".join(words[n * 60 : n * 60 + 60]) for n in range(20)]
    texts = []
    for _ in range(count):
        begin, length = draw.randrange(10_000, 500_000), draw.randrange(5, 41)
        texts.append(f"{' '.join(words[begin : begin + length])}\n--\n{draw.choice(marks)}")
    return texts


def near_empty(count: int) -> list[str]:
    """Texts of one to 12 words of a few hundred."""
    words, draw = novel_words()[:300], random.Random(3)
    texts = []
    for _ in range(count):
        begin = draw.randrange(280)
        texts.append(" ".join(words[begin : begin + draw.randrange(1, 13)]))
    return texts


if __name__ == "__main__":
    main()
