"""A home built by calling the stages' plain functions one after the other, without Beam: seconds
less a test."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines import (
    exact,
    home,
    ingest,
    measure,
    near,
    near_decision,
    near_pairs,
    near_scores,
    shard,
    survey,
    tokenize,
    tokenizer,
)
from pipelines.card import write_shards_card
from pipelines.home import Home, write_recipe
from pipelines.recipe import load_recipe

NEAR: list[tuple[Callable[[str], list[Any]], Callable[[Any], Any]]] = [
    (near.plan, near.process),
    (near_pairs.plan_pairs, near_pairs.propose),
    (near_scores.plan_candidates, near_scores.gather),
    (near_scores.plan_scores, near_scores.score),
    (near_decision.plan_apply, near_decision.apply),
]


def plain_build(recipe: Path, root: Path | str, until: str = "shards") -> str:
    """Build `root` from a recipe's file, up to and with a stage: ingest, dedup, or shards."""
    write_recipe(Home(str(root)), load_recipe(str(recipe)))
    for look in survey.plan(str(root)):
        survey.process(look)
    for conclusion in survey.plan_conclusions(str(root)):
        survey.conclude(conclusion)
    for task in ingest.plan(str(root)):
        ingest.process(task)
    if until != "ingest":
        for slice_task in measure.plan(str(root)):
            measure.process(slice_task)
        _exact(str(root))
        for plan, process in NEAR if load_recipe(str(recipe)).dedup.near else ():
            for step in plan(str(root)):
                process(step)
    if until == "shards":
        for sample in tokenizer.plan(str(root)):
            tokenizer.process(sample)
        tokenizer.train(str(root))
        for document in tokenize.plan(str(root)):
            tokenize.process(document)
        for piece in shard.plan(str(root)):
            shard.process(piece)
        shard.write_shards_manifest(str(root))
        write_shards_card(str(root))
    return str(root)


def _exact(root: str) -> None:
    if "exact" not in home.removing_stages(home.open_home(root)[1]):
        return
    tasks = exact.plan(root)
    blocks = defaultdict(list)
    removals: dict[int, list[bytes]] = {task.index: [] for task in tasks}
    for task in tasks:
        exact.process(task)
        for partition, block in exact.blocks(task):
            blocks[partition].append(block)
    for packed in blocks.values():
        for twin, asked in exact.decide(packed):
            for index, removal in exact.name(tasks[twin], [asked]):
                removals[index].append(removal)
    for task in tasks:
        exact.apply(task, removals[task.index])
