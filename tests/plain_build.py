"""A home built by calling the stages' plain functions one after the other, without Beam: seconds
less a test."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.home import layout
from pipelines.home.decisions import removing_stages
from pipelines.home.layout import Home, write_recipe
from pipelines.look.cards import write_shards_card
from pipelines.recipe import load_recipe
from pipelines.stages import exact, ingest, rules, shards, survey, tokenize, train_tokenizer
from pipelines.stages.near import pairs, scores, signatures
from pipelines.stages.near.attributes import apply, plan_apply
from pipelines.stages.near.candidates import gather, plan_candidates

NEAR: list[tuple[Callable[[str], list[Any]], Callable[[Any], Any]]] = [
    (signatures.plan, signatures.process),
    (pairs.plan_pairs, pairs.propose),
    (plan_candidates, gather),
    (scores.plan_scores, scores.score),
    (plan_apply, apply),
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
        for slice_task in rules.plan(str(root)):
            rules.process(slice_task)
        _exact(str(root))
        for plan, process in NEAR if load_recipe(str(recipe)).dedup.near else ():
            for step in plan(str(root)):
                process(step)
    if until == "shards":
        for sample in train_tokenizer.plan(str(root)):
            train_tokenizer.process(sample)
        train_tokenizer.train(str(root))
        for document in tokenize.plan(str(root)):
            tokenize.process(document)
        for piece in shards.plan(str(root)):
            shards.process(piece)
        shards.write_shards_manifest(str(root))
        write_shards_card(*layout.open_home(str(root)))
    return str(root)


def _exact(root: str) -> None:
    if "exact" not in removing_stages(layout.open_home(root)[1]):
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
