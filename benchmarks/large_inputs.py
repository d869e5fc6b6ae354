"""Inputs of all five corpora in any size, of the sentences of 24 novels: what the benchmarks of a
whole home read.

A document is a draw of sentences, so that no two are near-duplicates; equal for equal numbers.
"""

import json
import random
import re
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "tests" / "helpers"))

import archives
from five_corpora import CORPORA, PLANT, QUESTIONS, TABLES

from benchmarks.bench_shards import novels

SENTENCES = 30
"""Of a document: some 3 kB."""

PART = 500
"""Documents of a file; of the books, which are a file each, those of a folder."""

HOSTS = 97
"""Over which the news are spread."""


def sentences() -> list[str]:
    """The sentences of the novels, each with 40 to 300 characters."""
    found = []
    for _, content in sorted(novels()):
        text = re.sub(r"\s+", " ", content.decode())
        found += [each for each in re.split(r"(?<=[.!?]) ", text) if 40 <= len(each) <= 300]
    return found


def write_inputs(folder: Path, megabytes: int, settings: str = "") -> Path:
    """Write some `megabytes` of text, a fifth in each corpus, and a recipe with more `settings` at
    its end; the path of the recipe."""
    pool = sentences()
    of_corpus = megabytes * 1_000_000 // len(CORPORA)
    tables = ""
    for number, corpus in enumerate(CORPORA):
        draw = random.Random(number)
        size = part = 0
        while size < of_corpus:
            texts = [" ".join(draw.choices(pool, k=SENTENCES)) for _ in range(PART)]
            plant(folder / corpus / f"part-{part:03d}", corpus, texts, part * PART)
            size += sum(map(len, texts))
            part += 1
        pattern = json.dumps(str(folder / corpus / "**" / "*"))
        table = TABLES[corpus].format(fraction=1.0)
        tables += f'[sources.{corpus}]\nlanguage = "en"\ninput = {pattern}\n{table}'

    (folder / "questions.txt").write_text("\n".join(QUESTIONS) + "\n")
    path = folder / "recipe.toml"
    path.write_text(f"{tables}[dedup]\npriority = {json.dumps(CORPORA)}\n{settings}")
    return path


def plant(folder: Path, corpus: str, texts: list[str], first: int) -> None:
    """Write the texts as files of a corpus; `first` is the number of the first one."""
    folder.mkdir(parents=True)
    if corpus not in ("cc-news", "stories"):
        PLANT[corpus](folder, texts)
        return

    # Every page has an address of its own: pages of one address are duplicates.
    numbered = list(enumerate(texts, first))
    if corpus == "stories":
        records = [
            archives.record(
                "conversion", text.encode(), address(corpus, number), content_type="text/plain"
            )
            for number, text in numbered
        ]
        (folder / "stories.warc.wet.gz").write_bytes(archives.members(*records))
        return

    pages = [
        archives.response(archives.page(text), address(corpus, number)) for number, text in numbered
    ]
    (folder / "news.warc.gz").write_bytes(archives.members(*pages))


def address(corpus: str, number: int) -> str:
    """That of a page."""
    return f"http://host{number % HOSTS}.example/{corpus}/{number}"
