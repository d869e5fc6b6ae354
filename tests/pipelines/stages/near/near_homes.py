"""Homes for the tests of near-deduplication: written by hand, without a build, and run step by
step."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from home_slices import write_slice

from corpora.document import SourceDedup
from corpora.files.source import FilesOptions
from corpora.quality.rules import RulesConfig, asked
from pipelines.home.decisions import twins
from pipelines.home.layout import Home, open_home, write_recipe
from pipelines.home.summaries import summaries
from pipelines.recipe import DedupConfig, Recipe
from pipelines.stages import rules as stages_rules
from pipelines.stages.near import pairs, scores, signatures
from pipelines.stages.near.attributes import apply, plan_apply
from pipelines.stages.near.candidates import gather, plan_candidates

Text = tuple[str, int, int | None, str]
"""(source, path, crawled or None, text)."""

STEPS: list[tuple[Callable[[str], list[Any]], Callable[[Any], Any]]] = [
    (signatures.plan, signatures.process),
    (pairs.plan_pairs, pairs.propose),
    (plan_candidates, gather),
    (scores.plan_scores, scores.score),
    (plan_apply, apply),
]


def write_home(
    root: Path,
    documents: list[Text],
    cuts: int = 1000,
    sources: dict[str, SourceDedup] | None = None,
    rules: RulesConfig | None = None,
    **dedup: Any,
) -> Home:
    """A home whose documents are cut into slices after every `cuts` of a source; `exact` is off."""
    shutil.rmtree(root, ignore_errors=True)
    home = Home(str(root))
    sources = sources or {name: SourceDedup() for name in sorted({name for name, *_ in documents})}
    set_recipe(home, sources, rules, **dedup)
    for source in sources:
        rows = sorted(
            (
                (f"{path:06d}", position, crawled, text)
                for position, (name, path, crawled, text) in enumerate(documents)
                if name == source
            ),
            key=lambda row: row[:2],
        )
        for begin in range(0, len(rows), cuts):
            write_slice(home, source, f"{begin:04d}", rows[begin : begin + cuts])
    return home


def set_recipe(
    home: Home, sources: dict[str, SourceDedup], rules: RulesConfig | None = None, **dedup: Any
) -> None:
    options = {
        name: FilesOptions(input=("x",), dedup=own, rules=rules or RulesConfig(profile="none"))
        for name, own in sources.items()
    }
    write_recipe(
        home,
        Recipe(
            sources=options,
            dedup=DedupConfig(**{"priority": tuple(sources), "exact": False, **dedup}),
        ),
    )  # type: ignore[arg-type]


def run(
    home: Home, draw: random.Random | None = None, twice: bool = False
) -> dict[str, tuple[str, float, str]]:
    """All steps, their tasks in an order that `draw` gives; removed id -> twin, score, kind."""
    rules = any(asked(options.rules) for options in open_home(home.root)[1].sources.values())
    for plan, process in [(stages_rules.plan, stages_rules.process), *STEPS] if rules else STEPS:
        tasks = plan(home.root)
        for task in draw.sample(tasks, len(tasks)) if draw else tasks:
            process(task)
            if twice:
                process(task)
    found = {}
    for summary in summaries(home, "ingest"):
        rows = twins(home, "near", summary).to_pylist()
        assert len(rows) == summary.counts["documents"]
        found |= {
            row["id"]: (row["twin"], row["score"], row["kind"]) for row in rows if row["twin"]
        }
    return found


def counts(home: Home, stage: str, key: str) -> int:
    return sum(summary.counts[key] for summary in summaries(home, stage))
