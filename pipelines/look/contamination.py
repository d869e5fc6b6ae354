"""Passages of test sets in the documents of a home, by task and document."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from corpora.contamination.passages import Passages, read_passages, search
from corpora.contamination.test_sets import find_test_files
from pipelines.home.decisions import decided, kept_rows
from pipelines.home.documents import row_groups
from pipelines.home.layout import INGEST, Home
from pipelines.home.summaries import Summary, summaries
from pipelines.recipe import Recipe
from pipelines.wording import several
from shards.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Contaminated:
    """A document and what it holds of one task: at how many of its words passages begin, the
    examples that have one, and the first passage. `kept`: None where that is not decided yet."""

    source: str
    id: str
    task: str
    kept: bool | None
    ngrams: int
    examples: list[str]
    first: str
    words: str


@dataclass(frozen=True, kw_only=True)
class TaskFigures:
    """The figures of one task.

    `examples`: those of its test sets of which a text is long enough to be looked for; `found`:
    those of them that have a passage in a document; `documents`: the documents that hold one, and
    `kept`, those of them that are not removed.
    """

    examples: int
    found: int
    documents: int
    kept: int


@dataclass(frozen=True, kw_only=True)
class Contamination:
    """The passages of test sets in a home; `files`: those that were read, each after its task;
    documents in the order of the home."""

    schema_version: int = 1
    files: list[str]
    words: int
    searched: int
    passages: int
    tasks: dict[str, TaskFigures]
    documents: list[Contaminated]


def contamination(
    home: Home,
    recipe: Recipe,
    against: tuple[str, ...],
    words: int,
    workers: int,
    tell: Callable[[str], None],
) -> Contamination:
    """Look for passages of the test sets in every document of a home.

    Slices are searched by several threads at once, and put together in the order of the home.
    Memory is one row group for each thread, and the passages. Raises `UserError`.
    """
    passages = read_passages(against, words)
    if not passages.count:
        what = f"{', '.join(against)}: no text has enough words to be looked for"
        raise UserError(what, "name the folders of the published files")
    files = [f"{file.task.name} {file.path}" for file in find_test_files(against)]
    looked_for = f"{passages.count:,} passages of {len(passages.texts):,} texts"
    tell(f"looking for {looked_for} in {several(len(files), 'file')}")

    slices: list[Summary] = []
    for name in recipe.sources:
        slices += summaries(home, INGEST, name)
    documents: list[Contaminated] = []
    # Threads, for the kernels run without the interpreter's lock and share one table of passages.
    with ThreadPoolExecutor(workers) as pool:
        searched = pool.map(lambda piece: list(_slice(home, recipe, piece, passages)), slices)
        for found in searched:
            documents += found
    return Contamination(
        files=files,
        words=passages.words,
        searched=sum(piece.counts["documents"] for piece in slices),
        passages=passages.count,
        tasks=dict(_by_task(passages, documents)),
        documents=documents,
    )


def _slice(
    home: Home, recipe: Recipe, piece: Summary, passages: Passages
) -> Iterator[Contaminated]:
    """What the documents of a slice hold."""
    is_decided = decided(home, recipe, piece)
    kept = kept_rows(home, recipe, piece) if is_decided else np.zeros(0, np.bool_)
    for first_row, table in row_groups(home, piece, ["id", "text"]):
        ids = table.column("id").to_pylist()
        for row, text in enumerate(table.column("text")):
            for task, hits in search(passages, text.as_py()).items():
                yield Contaminated(
                    source=piece.source,
                    id=ids[row],
                    task=task,
                    kept=bool(kept[first_row + row]) if is_decided else None,
                    ngrams=len(hits.begins),
                    examples=list(hits.examples),
                    first=hits.first,
                    words=hits.words,
                )


def _by_task(
    passages: Passages, documents: list[Contaminated]
) -> Iterator[tuple[str, TaskFigures]]:
    """The figures of each task, in the order of the test sets."""
    # A text that is too short to be looked for holds no passage.
    examples: dict[str, set[str]] = {}
    for number in np.unique(passages.holders).tolist():
        text = passages.texts[number]
        examples.setdefault(text.task, set()).update(text.examples)

    for task, known in examples.items():
        rows = [document for document in documents if document.task == task]
        yield (
            task,
            TaskFigures(
                examples=len(known),
                found=len(set().union(*(row.examples for row in rows))),
                documents=len(rows),
                # Nothing is removed before every stage has decided.
                kept=sum(row.kept is not False for row in rows),
            ),
        )
