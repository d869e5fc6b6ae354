"""A home built by running the passes of the stages one after the other, without Beam: seconds less
per test."""

import dataclasses
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

from pipelines.home.forgotten import keep_lists
from pipelines.home.layout import Home, open_home, write_recipe
from pipelines.home.summaries import Summary
from pipelines.look.cards import write_shards_card
from pipelines.recipe import load_recipe
from pipelines.stages.forget import complete_forgetting
from pipelines.stages.job import Job, Say
from pipelines.stages.stage import Exchange, Pass, run_task
from pipelines.stages.table import STAGES

LAST = {"ingest": "ingest", "dedup": "hosts", "shards": "tokenize"}
"""The last stage that `until` asks for."""


def plain_build(recipe: Path, root: Path | str, until: str = "shards") -> str:
    """Build `root` from a recipe's file, up to and with a stage: ingest, dedup, or shards."""
    home = Home(str(root))
    wanted = load_recipe(str(recipe))
    forget = keep_lists(home, wanted.forget)
    write_recipe(home, dataclasses.replace(wanted, forget=forget))
    complete_forgetting(job_of(root, say=quiet))
    for stage in STAGES:
        if stage.wanted(open_home(home.root)[1]):
            for step in stage.passes:
                run_step(step, home.root)
        if stage.name == LAST[until]:
            break

    if until == "shards":
        write_shards_card(home, open_home(home.root)[1])
    return home.root


def run_step(
    step: Pass[Any] | Exchange[Any],
    root: str,
    draw: random.Random | None = None,
    twice: bool = False,
) -> list[Summary]:
    """Do all tasks of one pass here and now; their summaries.

    The tasks come in their order, or in one that `draw` gives; with `twice` each is done again at
    once, as an engine may do it.
    """
    home, recipe = open_home(root)
    tasks = step.plan(home, recipe)
    if isinstance(step, Exchange):
        return exchange(step, tasks, draw)

    found = []
    for task in _drawn(tasks, draw):
        found.append(run_task(step, task))
        if twice:
            run_task(step, task)
    return step.finish(home, recipe) if step.finish else found


def exchange(
    step: Exchange[Any], tasks: list[Any], draw: random.Random | None = None
) -> list[Summary]:
    """What the shuffles of an engine do, with dictionaries; `draw` gives the order of tasks,
    partitions and blocks."""
    partitions: dict[int, list[bytes]] = defaultdict(list)
    asked: dict[int, list[bytes]] = defaultdict(list)
    answers: dict[int, list[bytes]] = defaultdict(list)

    for task in _drawn(tasks, draw):
        for partition, block in step.blocks(task):
            partitions[partition].append(block)

    for partition in _drawn(sorted(partitions), draw):
        for index, block in step.decide(_drawn(partitions[partition], draw)):
            asked[index].append(block)

    for task in _drawn(tasks, draw):
        for index, block in step.answer(task, _drawn(asked[step.index(task)], draw)):
            answers[index].append(block)

    return [step.apply(task, _drawn(answers[step.index(task)], draw)) for task in tasks]


def _drawn(items: list[Any], draw: random.Random | None) -> list[Any]:
    return draw.sample(items, len(items)) if draw else items


def quiet(_: str) -> None:
    """Says nothing."""


def job_of(
    root: Path | str, workers: int = 0, say: Say = print, beam_arguments: tuple[str, ...] = ()
) -> Job:
    """What a command makes for a run over a home that holds a recipe."""
    home, recipe = open_home(str(root))
    return Job(home, recipe, workers, beam_arguments, say)
