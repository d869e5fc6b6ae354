"""The verdicts of the quality rules: which rule removes each document of a slice.

The stage `rules` stores measures, not verdicts. The verdicts are worked out from the measures and
the thresholds of the recipe whenever they are needed, so a changed threshold reads no document
again. Working them out reads, for each slice, the columns that the rules in force compare. A
process keeps the verdicts of the last 16 slices, and what they amount to of the last 100,000.
"""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from corpora.quality.rules import Rule, RulesConfig, asked, first_to_fire, measured
from corpora.text.language_codes import is_english
from pipelines.home.documents import not_run, read_attributes
from pipelines.home.layout import RULES, Home
from pipelines.home.summaries import Read, Summary, summary_reader
from pipelines.recipe import Recipe
from shards.errors import UserError


@dataclass(frozen=True)
class Basis:
    """Everything that the verdicts over a slice depend on; the key of the caches below.

    `documents` and `measures` are digests of files. `english` says whether documents of unknown
    language count as English.
    """

    home: Home
    source: str
    slice: str
    documents: str
    measures: str
    config: RulesConfig
    english: bool


class Outcome(NamedTuple):
    """What the verdicts over a slice amount to.

    `kept` is a digest that tells which documents the rules keep. `removed` counts the documents
    that each rule removes, by its place in `asked(rules)`; rules at the end that remove none are
    left out.
    """

    kept: str
    removed: tuple[int, ...]


def rule_verdicts(home: Home, recipe: Recipe, ingested: Summary) -> NDArray[np.int16]:
    """(D,) for each document of an ingested slice the place in `asked(rules)` of the first rule
    that removes it, or -1. The array is read-only.

    Raises `UserError` when the slice is not measured.
    """
    return _verdicts(_basis(home, recipe, ingested, summary_reader(home)))


def rule_outcome(
    home: Home, recipe: Recipe, ingested: Summary, read: Read | None = None
) -> Outcome:
    """What the verdicts over an ingested slice amount to.

    `read` looks up summaries; pass `bulk` when asking about many slices. Raises `UserError` when
    the slice is not measured.
    """
    return _outcome(_basis(home, recipe, ingested, read or summary_reader(home)))


def kept_digest(home: Home, recipe: Recipe, ingested: Summary, read: Read) -> str | None:
    """A digest that tells which documents of a slice the rules keep; None when the slice is not
    measured, or not for these rules."""
    try:
        return rule_outcome(home, recipe, ingested, read).kept
    except UserError as error:
        if error.exit_code == 3:  # the machine's fault: nothing is known of the measures
            raise
        return None


def rule_values(home: Home, ingested: Summary, rule: Rule) -> NDArray[np.float64]:
    """(D,) the values that a rule compares with its threshold."""
    table = _measures(home, ingested, ["id", *rule.columns()])
    # `english` decides only which documents the rule applies to, which is not asked here.
    values, _ = measured(rule, _arrays(table), english=True)
    return values


def rule_ids(home: Home, ingested: Summary) -> pa.ChunkedArray:
    """(D,) the ids that are stored beside the measures."""
    return _measures(home, ingested, ["id"]).column("id")


def _measures(home: Home, ingested: Summary, columns: Sequence[str]) -> pa.Table:
    return read_attributes(home, RULES, ingested.source, ingested.slice, ingested.output, columns)


def _basis(home: Home, recipe: Recipe, ingested: Summary, read: Read) -> Basis:
    options = recipe.sources[ingested.source]
    measures = read(RULES, ingested.source, ingested.slice)
    if measures is None:
        raise not_run(home, ingested.source, ingested.slice)
    return Basis(
        home=home,
        source=ingested.source,
        slice=ingested.slice,
        documents=ingested.output,
        measures=measures.output,
        config=options.rules,
        english=is_english(options.told),
    )


@functools.lru_cache(maxsize=100_000)
def _outcome(basis: Basis) -> Outcome:
    # An outcome is small, so that those of many slices can be kept, as plans need them.
    verdict = _verdicts(basis)
    kept = hashlib.blake2b((verdict < 0).tobytes(), digest_size=16).hexdigest()
    removed = np.bincount(verdict[verdict >= 0])
    return Outcome(kept, tuple(removed.tolist()))


@functools.lru_cache(maxsize=16)
def _verdicts(basis: Basis) -> NDArray[np.int16]:
    rules = asked(basis.config)
    columns = ["id"]
    for rule, _ in rules:
        columns += [name for name in rule.columns() if name not in columns]

    table = read_attributes(basis.home, RULES, basis.source, basis.slice, basis.documents, columns)
    verdict = first_to_fire(rules, _arrays(table), basis.english)
    verdict.flags.writeable = False
    return verdict


def _arrays(table: pa.Table) -> dict[str, NDArray[np.generic]]:
    return {name: table.column(name).to_numpy() for name in table.column_names}
