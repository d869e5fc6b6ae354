"""Homes for the tests of near-deduplication: written by hand, without a build, and run step by
step."""

import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from home_slices import write_slice
from plain_build import run_step

from corpora.document import SourceDedup
from corpora.files.source import FilesOptions
from corpora.quality.rules import RulesConfig, asked
from pipelines.home.decisions import twins
from pipelines.home.layout import Home, open_home, write_recipe
from pipelines.home.summaries import summaries
from pipelines.recipe import DedupConfig, Recipe
from pipelines.stages import rules as rules_stage
from pipelines.stages.near import pairs, scores, signatures
from pipelines.stages.near import stage as near

if TYPE_CHECKING:
    import pytest

Text = tuple[str, int, int | None, str]
"""(source, path, crawled or None, text)."""


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
    has_rules = any(asked(options.rules) for options in open_home(home.root)[1].sources.values())
    passes = [*(rules_stage.STAGE.passes if has_rules else ()), *near.STAGE.passes]
    for step in passes:
        run_step(step, home.root, draw, twice)

    found = {}
    for summary in summaries(home, "ingest"):
        rows = twins(home, "near", summary).to_pylist()
        assert len(rows) == summary.counts["documents"]
        for row in rows:
            if row["twin"]:
                found[row["id"]] = (row["twin"], row["score"], row["kind"])
    return found


def propose_every_pair(patch: "pytest.MonkeyPatch") -> None:
    """Bands of one value, in which every pair meets that shares anything."""
    for module in (signatures, pairs, scores, near):
        patch.setattr(module, "band_scheme", lambda _: (256, 1))


def counts(home: Home, stage: str, key: str) -> int:
    return sum(summary.counts[key] for summary in summaries(home, stage))
