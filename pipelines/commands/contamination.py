"""`corpus contamination`: what the documents of a home hold of test sets."""

import os
from typing import TYPE_CHECKING, Annotated

import tyro

from pipelines.commands.arguments import HomeFolder
from pipelines.wording import number, print_json, print_table, say, several
from shards.errors import UserError

if TYPE_CHECKING:
    from pipelines.look.contamination import Contamination
    from pipelines.recipe import Recipe

SHORTEST = 8
"""Words of the shortest passage that can be asked for."""


def contamination(
    home: HomeFolder,
    /,
    against: Annotated[tuple[str, ...], tyro.conf.arg(metavar="DIR ...")] = (),
    words: int = 13,
    n: int = 10,
    workers: int = 0,
    json: bool = False,
) -> int:
    """Find passages of the test sets of GLUE, SQuAD and RACE in the documents of a home.

    The development and test files in the folders are read. Nothing is changed; a recipe with
    `test_sets` keeps what is found beside the documents, and max_test_set_ngrams removes them.

    Args:
        against: Folders with the published files, or single files as TASK=FILE. Default: the
            test_sets of the recipe.
        words: Words in a row that make a passage, at least 8.
        n: The number of documents to list.
        workers: The number of threads. 0: one for each core.
        json: Print one JSON object, with all documents.
    """
    from pipelines.home.layout import open_home
    from pipelines.look.contamination import contamination as look_up

    if words < SHORTEST:
        raise UserError(f"--words {words}: less than {SHORTEST}", "13 is GPT-3's choice")
    opened, recipe = open_home(home, for_reading=True)
    against = against or _of_recipe(recipe)
    if not against:
        hint = f"corpus contamination {opened.quoted} --against DIR"
        raise UserError("--against: missing, and the recipe names no test_sets", hint)

    threads = workers or os.cpu_count() or 1
    found = look_up(opened, recipe, against, words, threads, say)
    if json:
        print_json(found)
    else:
        _print(found, n)
    return 0


def _of_recipe(recipe: "Recipe") -> tuple[str, ...]:
    """The test sets that any source of the recipe names."""
    named: dict[str, None] = {}
    for options in recipe.sources.values():
        named.update(dict.fromkeys(options.rules.test_sets))
    return tuple(named)


def _print(found: "Contamination", most: int) -> None:
    head = ("test set", "examples", "found", "documents", "kept")
    table: list[tuple[str, ...]] = [head]
    for task, figures in found.tasks.items():
        counts = (figures.examples, figures.found, figures.documents, figures.kept)
        table.append((task, *map(number, counts)))
    print_table(table)

    # Those that hold most come first; ids decide between equals, so the list is always the same.
    shown = sorted(found.documents, key=lambda row: (-row.ngrams, row.source, row.id, row.task))
    for row in shown[:most]:
        state = {True: "kept", False: "removed", None: "not decided yet"}[row.kept]
        grams = several(row.ngrams, "n-gram")
        examples = several(len(row.examples), "example")
        print(f"\n{row.source} {row.id} ({state}): {row.task}, {grams}, {examples}")
        print(f'  the first: "{row.words}" ({row.first})')
    rest = len(shown) - most
    if rest > 0:
        say(f"{several(rest, 'document')} more: --n {len(shown)}")
