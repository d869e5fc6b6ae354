"""The recipe: every setting says what it affects, and what follows from that."""

import dataclasses

import pytest

from corpora.document import SourceDedup, SourceOptions
from corpora.quality.rules import RulesConfig
from corpora.sources import KINDS, load_source
from pipelines.recipe import (
    DedupConfig,
    ExpectedConfig,
    Recipe,
    ShardsConfig,
    TokenizerConfig,
    setting_at,
    with_absolute_paths,
)
from pipelines.stages.table import STAGES
from shards.config import Setting

TABLES = [
    Recipe,
    DedupConfig,
    TokenizerConfig,
    ShardsConfig,
    ExpectedConfig,
    SourceOptions,
    SourceDedup,
    RulesConfig,
    *(load_source(kind).options for kind in KINDS),
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_every_setting_says_what_it_affects(table: type) -> None:
    for field in dataclasses.fields(table):
        assert isinstance(field.metadata.get("setting"), Setting), field.name


def test_what_settings_affect_are_stages() -> None:
    stages = {stage.name for stage in STAGES}
    for table in TABLES:
        for field in dataclasses.fields(table):
            assert field.metadata["setting"].affects in {"nothing", *stages}


def test_a_setting_is_found_by_its_key() -> None:
    options = load_source("wikipedia").options(input=("x",), own_templates={"a": "b"})
    recipe = Recipe(sources={"wiki": options})
    assert setting_at(recipe, "seed") == Setting("tokenizer")
    assert setting_at(recipe, "dedup.max_removed") == Setting("nothing")
    assert setting_at(recipe, "sources.wiki.input") == Setting("ingest", place=True)
    assert setting_at(recipe, "sources.wiki.slice_bytes") == Setting("nothing")
    assert setting_at(recipe, "sources.wiki.dedup.threshold") == Setting("near")
    assert setting_at(recipe, "sources.wiki.rules.exclude_urls") == Setting("rules", place=True)
    assert setting_at(recipe, "sources.wiki.rules.min_words") == Setting("rules")
    assert setting_at(recipe, "sources.wiki.own_templates.a") == Setting("ingest")


def test_places_are_relative_to_the_recipe() -> None:
    options = load_source("stories").options(
        input=("in/*",), questions=("q.txt",), rules=RulesConfig(exclude_urls=("bad.txt",))
    )
    found = with_absolute_paths(options, "/recipes")
    assert found.input == ("/recipes/in/*",)
    assert found.questions == ("/recipes/q.txt",)  # type: ignore[attr-defined]
    assert found.rules.exclude_urls == ("/recipes/bad.txt",)
