"""Stage `rules`: the measures that the rules of quality read (`corpora.quality.rules`), beside the
documents of a slice.

Measured once; thresholds are no part of it. Which documents go, and by which rule,
`home.rule_verdicts` reckons from the measures whenever it is asked, so a changed threshold reads no
text again. Memory is one row group.
"""

import datetime
import importlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.document import Document
from corpora.quality.exclusions import LIST_MEASURES, Lists, read_lists
from corpora.quality.rules import MEASURES, RECORD_MEASURES, TOKENS, RulesConfig, asked
from pipelines.home.fingerprints import fingerprint, package_versions
from pipelines.home.layout import open_home, recipe_key, task_home
from pipelines.home.summaries import (
    SliceTask,
    Summary,
    done,
    ordered_slices,
    prune,
    slice_summary,
    write_summary,
)
from pipelines.progress.ticks import tick
from shards.errors import UserError
from shards.storage import files

STAGE = "rules"

VERSION = 1

COLUMNS = ("english", *RECORD_MEASURES[1:], *LIST_MEASURES, *MEASURES)


@dataclass(frozen=True, kw_only=True)
class Task(SliceTask):
    """One ingested slice to measure."""

    fingerprint: str
    stage: str = STAGE


def plan(home_root: str) -> list[Task]:
    """Every ingested slice of the sources that have rules, in order. Raises `UserError`: a list or
    function that cannot be read."""
    from corpora.quality.measures import VERSION as MEASURES_VERSION

    home, recipe = open_home(home_root)
    version = [VERSION, MEASURES_VERSION]
    settings = {
        name: _settings(options.rules, recipe.tokenizer.path)
        for name, options in recipe.sources.items()
        if asked(options.rules)
    }
    slices = [summary for summary in ordered_slices(home, recipe) if summary.source in settings]
    prune(
        home,
        STAGE,
        {(summary.source, summary.slice) for summary in slices},
        (f"attributes/{STAGE}",),
    )
    key = recipe_key(recipe)
    return [
        Task(
            home=home_root,
            recipe=key,
            ingested=summary,
            fingerprint=fingerprint(
                stage=version, settings=settings[summary.source], documents=summary.output
            ),
        )
        for summary in slices
    ]


def check(rules: RulesConfig, vocabulary: str | None) -> None:
    """Raises `UserError` for a list that cannot be read, a function that cannot be imported, and
    tokens to be counted without a given vocabulary."""
    _settings(rules, vocabulary)


def _settings(rules: RulesConfig, vocabulary: str | None) -> dict[str, Any]:
    """What of the rules decides measures; the thresholds do not."""
    own = [(rule.name, own_function(rule.name)) for rule, _ in asked(rules) if rule.own]
    modules = {
        name: getattr(importlib.import_module(name.partition(":")[0]), "__file__", None)
        for name, _ in own
    }
    return {
        "c4_line_words": rules.c4_line_words,
        "lists": read_lists(rules).digest(),
        "functions": {name: files.digest(path) if path else "" for name, path in modules.items()},
        "packages": package_versions("tokenizers")
        if rules.exclude_hashes or counts_tokens(rules)
        else {},
        **({"vocabulary": _vocabulary_digest(vocabulary)} if counts_tokens(rules) else {}),
    }


def counts_tokens(rules: RulesConfig) -> bool:
    """Whether a rule reads the number of tokens."""
    return any(rule.measure == TOKENS for rule, _ in asked(rules))


def _vocabulary_digest(path: str | None) -> str:
    if path is None:
        raise UserError(
            "rules: min_tokens: there is no vocabulary before it is known which texts are kept",
            "give one: [tokenizer] path; or set min_words",
        )
    from pipelines.stages.given_tokenizer import given_digest

    return given_digest(path)


def own_function(name: str) -> Callable[[Document], Any]:
    """The user's `module:function`. Raises `UserError`."""
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # the user's code may raise anything
        raise UserError(
            f"rules: {name}: {type(error).__name__}: {error}",
            "name an importable module:function; docs/corpora.md shows one",
        ) from None
    if not callable(function):
        raise UserError(
            f"rules: {name}: is no function",
            "it takes a corpora.document.Document and returns a number, or true to remove it",
        )
    return function  # type: ignore[no-any-return]


def process(task: Task) -> Summary:
    """Write the measures of a slice's documents: `id`, `COLUMNS`, and those of the recipe's own
    functions."""
    home, recipe = task_home(task)
    ingested, rules = task.ingested, recipe.sources[task.source].rules
    address = home.attributes(STAGE, ingested.source, ingested.slice)
    finished = done(home, STAGE, ingested.source, ingested.slice, task.fingerprint, address)
    if finished:
        return finished
    lists, functions = (
        read_lists(rules),
        {rule.name: own_function(rule.name) for rule, _ in asked(rules) if rule.own},
    )
    tokenizer = _vocabulary(recipe.tokenizer.path) if counts_tokens(rules) else None
    schema = pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            *(pa.field(name, pa.int64(), nullable=False) for name in COLUMNS),
        ]
        + ([pa.field(TOKENS, pa.int64(), nullable=False)] if tokenizer else [])
        + [pa.field(name, pa.float64(), nullable=False) for name in functions]
    ).with_metadata({"corpusmill.documents": ingested.output})
    rows = 0
    with (
        files.open_input(home.documents(ingested.source, ingested.slice)) as stream,
        files.open_output(address) as output,
    ):
        documents = pq.ParquetFile(stream)
        with pq.ParquetWriter(output, schema, compression="zstd") as writer:
            for group in range(documents.num_row_groups):
                table = documents.read_row_group(group)
                writer.write_table(_measured(table, rules, lists, functions, tokenizer, schema))
                rows += table.num_rows
                tick(rows, task.size * rows // max(documents.metadata.num_rows, 1))
    summary = slice_summary(
        STAGE, ingested, task.fingerprint, output, {"documents": rows}, (ingested.output,)
    )
    write_summary(home, summary)
    return summary


def _vocabulary(path: str | None) -> Any:
    from pipelines.stages.given_tokenizer import load_given

    assert path is not None
    return load_given(path)


def _measured(
    table: pa.Table,
    rules: RulesConfig,
    lists: Lists,
    functions: dict[str, Callable[[Document], Any]],
    tokenizer: Any,
    schema: pa.Schema,
) -> pa.Table:
    from corpora.quality.measures import (  # they import numba: not for the sake of `corpus stats`
        measure_all,
        measure_record,
    )

    texts = table.column("text").to_pylist()
    beside = [
        table.column(name).to_pylist()
        for name in ("language", "date", "title", "url", "id", "digest")
    ]
    of_record = [measure_record(*row) for row in zip(*beside[:4])]
    of_lists = [
        lists.measure(identity, digest, url, text)
        for url, identity, digest, text in zip(*beside[3:], texts)
    ]
    columns = [*zip(*of_record), *zip(*of_lists), *measure_all(texts, rules.c4_line_words).T]
    if tokenizer:
        columns.append(
            [len(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts]
        )
    own = [
        [_number(name, function, document) for document in map(_document, table.to_pylist())]
        for name, function in functions.items()
    ]
    arrays = [
        *(pa.array(column, pa.int64()) for column in columns),
        *(pa.array(column, pa.float64()) for column in own),
    ]
    return pa.table([table.column("id").combine_chunks(), *arrays], schema=schema)


def _document(row: dict[str, Any]) -> Document:
    crawled: datetime.datetime | None = row["crawled"]
    fields = {name: value for name, value in row.items() if name not in ("id", "extra", "crawled")}
    return Document(
        **fields,
        crawled=crawled and crawled.astimezone(datetime.timezone.utc),
        extra=json.loads(row["extra"]),
    )


def _number(name: str, function: Callable[[Document], Any], document: Document) -> float:
    where = f"rules: {name}: {document.path} @ {document.position}"
    try:
        value = float(function(document))
    except Exception as error:  # the user's code may raise anything
        raise UserError(
            f"{where}: {type(error).__name__}: {error}",
            "it returns a number, or true to remove the document",
            1,
        ) from None
    if not math.isfinite(value):
        raise UserError(f"{where}: {value} is not a number to compare", "return a finite one", 1)
    return value
