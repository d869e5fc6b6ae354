"""A home built by running the passes of the stages one after the other, without Beam: seconds less
per test."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from pipelines.build import STAGES
from pipelines.home.layout import Home, open_home, write_recipe
from pipelines.home.summaries import Summary
from pipelines.look.cards import write_shards_card
from pipelines.recipe import load_recipe
from pipelines.stages.stage import Exchange, Pass, run_task

LAST = {"ingest": "ingest", "dedup": "near", "shards": "tokenize"}
"""The last stage that `until` asks for."""


def plain_build(recipe: Path, root: Path | str, until: str = "shards") -> str:
    """Build `root` from a recipe's file, up to and with a stage: ingest, dedup, or shards."""
    home = Home(str(root))
    write_recipe(home, load_recipe(str(recipe)))
    for stage in STAGES:
        if stage.wanted(open_home(home.root)[1]):
            for step in stage.passes:
                run_step(step, home.root)
        if stage.name == LAST[until]:
            break

    if until == "shards":
        write_shards_card(home.root)
    return home.root


def run_step(step: Pass[Any] | Exchange[Any], root: str) -> list[Summary]:
    """Do all tasks of one pass here and now, in their order; their summaries."""
    home, recipe = open_home(root)
    tasks = step.plan(home, recipe)
    if isinstance(step, Exchange):
        return exchange(step, tasks)

    found = [run_task(step, task) for task in tasks]
    return step.finish(home, recipe) if step.finish else found


def exchange(step: Exchange[Any], tasks: list[Any]) -> list[Summary]:
    """What the shuffles of an engine do, with dictionaries."""
    partitions: dict[int, list[bytes]] = defaultdict(list)
    asked: dict[int, list[bytes]] = defaultdict(list)
    answers: dict[int, list[bytes]] = defaultdict(list)
    for task in tasks:
        for partition, block in step.blocks(task):
            partitions[partition].append(block)
    for blocks in partitions.values():
        for index, block in step.decide(blocks):
            asked[index].append(block)
    for task in tasks:
        for index, block in step.answer(task, asked[step.index(task)]):
            answers[index].append(block)
    return [step.apply(task, answers[step.index(task)]) for task in tasks]
