"""What documents hold of test sets, as the stage `rules` stores it beside them."""

import json
from typing import TypedDict

from pipelines.home.documents import read_attributes
from pipelines.home.layout import RULES, Home
from pipelines.home.summaries import Summary
from pipelines.recipe import Recipe
from shards.errors import UserError

TEST_SETS = "test_sets"
"""The column of the measures: JSON by task, null for a document without a passage."""

TEST_SET_MARK = "with a passage of "
"""Begins the mark of documents that hold a passage of a task."""


class Held(TypedDict):
    """What a document holds of a task: at how many of its words passages begin, how many examples
    of the test set have one, the first text, and the words of its first passage."""

    ngrams: int
    examples: int
    first: str
    words: str


def held_by_row(home: Home, recipe: Recipe, ingested: Summary) -> list[dict[str, Held]]:
    """What each document of a slice holds, by task; empty where the recipe asks for no test set or
    the slice is not measured for one."""
    if not recipe.sources[ingested.source].rules.test_sets:
        return []
    try:
        table = read_attributes(
            home, RULES, ingested.source, ingested.slice, ingested.output, [TEST_SETS]
        )
    except UserError:
        return []
    return [json.loads(held) if held else {} for held in table.column(0).to_pylist()]
