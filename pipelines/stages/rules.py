"""Stage `rules`: the measures that the rules of quality read (`corpora.quality.rules`), stored
beside the documents of a slice.

Texts are measured once, whatever the thresholds. Which documents are removed, and by which rule,
`pipelines.home.decisions` works out from the measures whenever it is asked, so that a changed
threshold reads no text again. Memory is one row group.
"""

import datetime
import importlib
import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from corpora.document import Document
from corpora.quality.exclusions import LIST_MEASURES, Lists, read_lists
from corpora.quality.rules import (
    MEASURES,
    OPT_OUTS,
    RECORD_MEASURES,
    TEST_SET_NGRAMS,
    TOKENS,
    RulesConfig,
    asked,
    is_measured,
)
from pipelines.home.decisions import removed_by_rule, removing_stages
from pipelines.home.documents import row_groups
from pipelines.home.fingerprints import fingerprint, package_versions
from pipelines.home.layout import INGEST, RULES, Home, recipe_key
from pipelines.home.summaries import SliceTask, bulk, ordered_slices, prune, summaries
from pipelines.home.test_sets import TEST_SET_MARK, TEST_SETS
from pipelines.progress.ticks import tick
from pipelines.recipe import Recipe
from pipelines.stages.accounts import check, listed, sums, total
from pipelines.stages.given_tokenizer import given_digest, load_vocabulary
from pipelines.stages.idle_rules import idle_rules
from pipelines.stages.job import Job
from pipelines.stages.stage import Pass, Result, Stage
from shards.errors import UserError
from shards.storage import files

if TYPE_CHECKING:  # numba is not loaded where no test set is asked for
    from corpora.contamination.passages import Passages

VERSION = 2

COLUMNS = ("english", *RECORD_MEASURES[1:], *LIST_MEASURES, *MEASURES)
"""The measures that every text gets, in the order of the file."""

OwnFunction = Callable[[Document], Any]
"""A rule of the user's own: gives a number, or true to remove the document."""


def plan(home: Home, recipe: Recipe) -> list[SliceTask]:
    """Every ingested slice of the sources that have rules, in order.

    Raises `UserError`: a list or function that cannot be read.
    """
    from corpora.quality.measures import VERSION as MEASURES_VERSION

    settings = {}
    for name, options in recipe.sources.items():
        if is_measured(options.rules):
            settings[name] = _settings(options.rules, recipe.tokenizer.path)
            if recipe.tokenizer.lowercase and counts_tokens(options.rules):
                settings[name]["lowercase"] = True

    slices = [summary for summary in ordered_slices(home, recipe) if summary.source in settings]
    wanted = {(summary.source, summary.slice) for summary in slices}
    prune(home, RULES, wanted, (f"attributes/{RULES}",))

    key = recipe_key(recipe)
    tasks = []
    for summary in slices:
        wanted_now = fingerprint(
            stage=[VERSION, MEASURES_VERSION],
            settings=settings[summary.source],
            documents=summary.output,
        )
        task = SliceTask(home=home.root, recipe=key, ingested=summary, fingerprint=wanted_now)
        tasks.append(task)
    return tasks


def check_rules(rules: RulesConfig, vocabulary: str | None) -> None:
    """Raise `UserError` for a list that cannot be read, a function that cannot be imported, and
    tokens that are to be counted without a given vocabulary."""
    _settings(rules, vocabulary)


def _settings(rules: RulesConfig, vocabulary: str | None) -> dict[str, Any]:
    """The part of the rules that decides measures; thresholds do not."""
    functions = {}
    for rule, _ in asked(rules):
        if rule.own:
            own_function(rule.name)  # raises where there is none
            module = importlib.import_module(rule.name.partition(":")[0])
            path = getattr(module, "__file__", None)
            functions[rule.name] = files.digest(path) if path else ""

    # Their normalizer folds the text that is hashed, and encodes the text whose tokens are counted.
    needs_tokenizers = rules.exclude_hashes or counts_tokens(rules)
    settings: dict[str, Any] = {
        "c4_line_words": rules.c4_line_words,
        "lists": read_lists(rules).digest(),
        "functions": functions,
        "packages": package_versions("tokenizers") if needs_tokenizers else {},
    }
    if counts_opt_outs(rules):
        settings["opt_outs"] = True
    if counts_tokens(rules):
        settings["vocabulary"] = _vocabulary_digest(vocabulary)
    check_test_sets(rules)
    if rules.test_sets:
        settings["test_sets"] = _test_sets_digest(rules.test_sets, rules.test_set_words)
    return settings


def check_test_sets(rules: RulesConfig) -> None:
    """Raise `UserError` for a rule that needs test sets where none is named, and for test sets that
    are not there."""
    from corpora.contamination.test_sets import find_test_files

    if rules.max_test_set_ngrams is not None and not rules.test_sets:
        raise UserError(
            "rules: max_test_set_ngrams: needs test_sets",
            'name folders of test sets: test_sets = ["glue_data"]',
        )
    find_test_files(rules.test_sets)


def _test_sets_digest(test_sets: tuple[str, ...], words: int) -> list[str | int]:
    """What decides which passages are looked for."""
    from corpora.contamination.passages import VERSION as PASSAGES_VERSION
    from corpora.contamination.test_sets import digest_of_texts, find_test_files, read_texts

    texts = read_texts(find_test_files(test_sets))
    return [PASSAGES_VERSION, words, digest_of_texts(texts)]


def counts_tokens(rules: RulesConfig) -> bool:
    """Whether a rule reads the number of tokens."""
    return any(rule.measure == TOKENS for rule, _ in asked(rules))


def counts_opt_outs(rules: RulesConfig) -> bool:
    """Whether a rule reads the number of opt-outs."""
    return any(rule.measure == OPT_OUTS for rule, _ in asked(rules))


def _vocabulary_digest(path: str | None) -> str:
    if path is None:
        raise UserError(
            "rules: min_tokens: a vocabulary is trained only after the rules have removed texts",
            "give one: [tokenizer] path; or set min_words",
        )
    return given_digest(path)


def own_function(name: str) -> OwnFunction:
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
            f"rules: {name}: is not a function",
            "it takes a corpora.document.Document and returns a number, or true to remove it",
        )
    return function  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Measuring:
    """What the documents of one source are measured with."""

    rules: RulesConfig
    lists: Lists
    functions: dict[str, OwnFunction]
    tokenizer: Tokenizer | None
    passages: "Passages | None"

    def schema(self, documents: str) -> pa.Schema:
        """Columns of the attributes of a slice whose documents' file has this digest."""
        fields = [pa.field("id", pa.string(), nullable=False)]
        fields += [pa.field(name, pa.int64(), nullable=False) for name in COLUMNS]
        if self.tokenizer:
            fields.append(pa.field(TOKENS, pa.int64(), nullable=False))
        if counts_opt_outs(self.rules):
            fields.append(pa.field(OPT_OUTS, pa.int64(), nullable=False))
        if self.passages:
            fields.append(pa.field(TEST_SET_NGRAMS, pa.int64(), nullable=False))
            fields.append(pa.field(TEST_SETS, pa.string()))
        fields += [pa.field(name, pa.float64(), nullable=False) for name in self.functions]
        return pa.schema(fields).with_metadata({"corpusmill.documents": documents})


def measuring(recipe: Recipe, source: str) -> Measuring:
    """What the documents of a source are measured with. Raises `UserError`."""
    rules = recipe.sources[source].rules
    functions = {rule.name: own_function(rule.name) for rule, _ in asked(rules) if rule.own}
    tokenizer = None
    if counts_tokens(rules):
        tokenizer = load_vocabulary(recipe.tokenizer)
    passages = None
    # Made once per process, whatever the number of its slices.
    if rules.test_sets:
        from corpora.contamination.passages import read_passages

        passages = read_passages(rules.test_sets, rules.test_set_words)
    return Measuring(rules, read_lists(rules), functions, tokenizer, passages)


def attributes_address(home: Home, recipe: Recipe, task: SliceTask) -> str:
    """Where the measures of a slice are stored."""
    return home.attributes(RULES, task.source, task.name)


def measure(home: Home, recipe: Recipe, task: SliceTask, output: files.Output) -> Result:
    """Write the measures of a slice's documents: `id`, `COLUMNS`, and those of own functions."""
    by = measuring(recipe, task.source)
    documents = task.ingested.counts["documents"]
    schema = by.schema(task.ingested.output)
    rows = 0
    marks = Counter[str]()

    with pq.ParquetWriter(output, schema, compression="zstd") as writer:
        for first, table in row_groups(home, task.ingested):
            measured = _measured(table, by, schema)
            writer.write_table(measured)
            if by.passages:
                # Marks add up over slices, so that no statistic reads the measures again.
                for held in measured.column(TEST_SETS).to_pylist():
                    marks.update(f"{TEST_SET_MARK}{task}" for task in json.loads(held or "{}"))
            rows = first + table.num_rows
            tick(rows, task.size * rows // max(documents, 1))

    return Result(
        counts={"documents": rows},
        inputs=(task.ingested.output,),
        marks=dict(sorted(marks.items())),
    )


def _measured(table: pa.Table, by: Measuring, schema: pa.Schema) -> pa.Table:
    """The measures of the documents of one row group."""
    # They import numba, which `corpus stats` need not wait for.
    from corpora.quality.measures import measure_all, measure_record

    texts = table.column("text").to_pylist()
    urls = table.column("url").to_pylist()
    of_record = map(
        measure_record,
        table.column("language").to_pylist(),
        table.column("date").to_pylist(),
        table.column("title").to_pylist(),
        urls,
    )
    of_lists = map(
        by.lists.measure,
        table.column("id").to_pylist(),
        table.column("digest").to_pylist(),
        urls,
        texts,
    )
    measures: list[Sequence[Any]] = [*zip(*of_record), *zip(*of_lists)]
    measures += list(measure_all(texts, by.rules.c4_line_words).T)

    if by.tokenizer is not None:
        measures.append([_token_count(by.tokenizer, text) for text in texts])

    if counts_opt_outs(by.rules):
        extras = map(json.loads, table.column("extra").to_pylist())
        measures.append([len(extra.get("opt_outs", ())) for extra in extras])

    columns = [table.column("id").combine_chunks()]
    columns += [pa.array(column, pa.int64()) for column in measures]
    if by.passages is not None:
        columns += _held_passages(by.passages, texts)

    if by.functions:
        documents = [_document(row) for row in table.to_pylist()]
        for name, function in by.functions.items():
            numbers = [_number(name, function, document) for document in documents]
            columns.append(pa.array(numbers, pa.float64()))

    return pa.table(columns, schema=schema)


def _held_passages(passages: "Passages", texts: list[str]) -> list[pa.Array]:
    """Two columns: at how many words of a document passages of test sets begin, and what it holds
    of each task, as JSON; null where it holds nothing."""
    from corpora.contamination.passages import as_json, ngrams, search

    found = [search(passages, text) for text in texts]
    counts = pa.array([ngrams(held) for held in found], pa.int64())
    return [counts, pa.array([as_json(held) for held in found], pa.string())]


def _token_count(tokenizer: Tokenizer, text: str) -> int:
    return len(tokenizer.encode(text, add_special_tokens=False).ids)


def _document(row: dict[str, Any]) -> Document:
    crawled: datetime.datetime | None = row["crawled"]
    fields = {name: value for name, value in row.items() if name not in ("id", "extra", "crawled")}
    return Document(
        **fields,
        crawled=crawled and crawled.astimezone(datetime.timezone.utc),
        extra=json.loads(row["extra"]),
    )


def _number(name: str, function: OwnFunction, document: Document) -> float:
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
        raise UserError(f"{where}: {value} cannot be compared", "return a finite number", 1)
    return value


MEASURE = Pass(name=RULES, plan=plan, address=attributes_address, work=measure)


# --- the stage


def is_wanted(recipe: Recipe) -> bool:
    """True where the documents of a source are measured."""
    return any(is_measured(options.rules) for options in recipe.sources.values())


def account(job: Job) -> None:
    """Check that every document was measured, and say what each rule removes."""
    home, recipe, read = job.home, job.recipe, bulk(job.home)
    for name in recipe.sources:
        if not is_measured(recipe.sources[name].rules):
            continue

        ingested = summaries(home, INGEST, name)
        documents = total(ingested, "documents")
        found = summaries(home, RULES, name)
        check(f"{name}: documents", documents, total(found, "documents"))
        if recipe.sources[name].rules.test_sets:
            marks = sums(summary.marks for summary in found)
            held = listed(marks) if marks else ", none with a passage of a test set"
            job.say(f"rules {name}: of {documents:,} documents{held}")
        if RULES not in removing_stages(recipe, source=name):
            continue

        removed = Counter[str]()
        for summary in ingested:
            removed.update(removed_by_rule(home, recipe, summary, read))

        by_count = dict(sorted(removed.items(), key=lambda item: -item[1]))
        count = removed.total()
        job.say(f"rules {name}: {count:,} of {documents:,} documents are removed{listed(by_count)}")
        if 2 * count > documents:
            job.say(
                f"warning: {name}: the rules remove more than half; "
                f"corpus show {home.quoted} --removed --source {name}"
            )
        for line in idle_rules(home, recipe, name, ingested):
            job.say(line)


STAGE = Stage(name=RULES, transform="Measure", passes=(MEASURE,), wanted=is_wanted, account=account)
