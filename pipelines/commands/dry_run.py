"""`--dry-run`: what a build would read, what its recipe expects of it, and what it will take."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from pipelines.commands.estimate import Estimate, estimate, lines, load_of
from pipelines.commands.flags import Run, refuse_workers
from pipelines.wording import amount, print_json, say, several, table_lines
from shards.errors import UserError

if TYPE_CHECKING:
    from corpora.document import Slice, SourceOptions
    from pipelines.recipe import ExpectedConfig, Recipe

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, kw_only=True)
class Size:
    """The size of a source's input as far as it is known before reading."""

    files: int
    slices: int
    bytes: int

    def __str__(self) -> str:
        return (
            f"{several(self.files, 'file')}, {several(self.bytes, 'byte')}, "
            f"in {several(self.slices, 'slice')}"
        )


@dataclass(frozen=True, kw_only=True)
class Reckoned:
    """What a source is expected to give and take, for its whole input and for the input at hand.

    `expected_bytes`, `expected_share`, `expected_hours`: text, share of all sources' text and
    core-hours for the whole input; `input_bytes`: at hand; `text_bytes`, `share`, `core_hours`: in
    proportion to it. None where the recipe does not tell enough; of a share, for any source.
    """

    expected_bytes: int | None
    expected_share: float | None
    expected_hours: float | None
    input_bytes: int
    text_bytes: int | None
    share: float | None
    core_hours: float | None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a build would read of a source; `survey`: in its first reading, if it is read twice."""

    size: Size
    survey: Size | None = None
    expected: "ExpectedConfig | None" = None
    reckoned: Reckoned | None = None

    def as_json(self) -> object:
        """The size on the first level; what is not known is left out."""
        from shards.config import to_dict

        row = {"files": self.size.files, "slices": self.size.slices, "bytes": self.size.bytes}
        others = {
            "survey": self.survey,
            "expected": to_dict(self.expected) if self.expected else None,
            "reckoned": self.reckoned,
        }
        return row | {name: value for name, value in others.items() if value is not None}


def print_plan(recipe: "Recipe", run: Run) -> int:
    """Print what a build would read and take, and its settings as TOML or JSON.

    Lines about the sources are on stderr: what a changed recipe redoes, the sizes, what the recipe
    expects, how the sources at hand would mix, and an estimate for the cores at hand. A source with
    expected figures may be missing. Raises `UserError`, which names all inputs that are missing,
    and for a vocabulary, a list or a function that is.
    """
    from pipelines.recipe import recipe_text
    from shards.config import to_dict

    refuse_workers(run.workers)
    _warn_of_folder(run.home)
    _say_changes(recipe, run)
    slices = _all_slices(recipe)
    refuse_missing(recipe)

    readings = {name: _reading(recipe, name, slices[name]) for name in recipe.sources}
    _say_what_is_new(recipe, run, slices)
    # figures of the whole input are scaled to the input at hand
    if recipe.expected:
        reckoned = reckon(recipe, {name: reading.size.bytes for name, reading in readings.items()})
        if len(recipe.sources) > 1:
            for line in table_lines(rows(reckoned)):
                say(line)
        # in the JSON only where the recipe expects something
        for name in recipe.expected:
            readings[name] = replace(readings[name], reckoned=reckoned[name])

    found = _estimate(recipe, run, slices)
    if run.json:
        plan = {"sources": readings, "estimate": found, "recipe": to_dict(recipe)}
        print_json({"schema_version": 1, **plan})
    else:
        print(recipe_text(recipe, brief=not run.verbose), end="", flush=True)
    for line in lines(found):
        say(line)
    return 0


def _estimate(recipe: "Recipe", run: Run, slices: "dict[str, list[Slice]]") -> Estimate:
    """What the build takes, for the cores that it would use."""
    from pipelines.engines.children import default_workers

    loads = []
    for name in recipe.sources:
        expected = (recipe.expected or {}).get(name)
        loads.append(load_of(recipe, name, slices[name], expected))
    workers = default_workers() if run.workers is None else run.workers
    return estimate(recipe, loads, max(1, workers))


def _warn_of_folder(home: str) -> None:
    """Tell that a build would refuse to write into a folder."""
    from pipelines.adopt import refuse_foreign

    try:
        if home:
            refuse_foreign(home)
    except UserError as error:
        say(f"warning: {error.what}: the build will be refused; {error.hint}")


def _say_changes(recipe: "Recipe", run: Run) -> None:
    """Tell what the recipe changes in a home that is there."""
    from pipelines.adopt import changes
    from pipelines.home.layout import Home, open_home
    from shards.storage import files

    if files.exists(Home(run.home).file("recipe.toml")):
        for line in changes(open_home(run.home)[1], recipe):
            say(line)


def _say_what_is_new(recipe: "Recipe", run: Run, slices: "dict[str, list[Slice]]") -> None:
    """Tell how much of the input a home has not read yet."""
    from pipelines.home.layout import INGEST, Home
    from pipelines.home.summaries import summaries
    from pipelines.stages.source_tasks import keep_cuts
    from shards.storage import files

    home = Home(run.home)
    if not files.exists(home.file("recipe.toml")):
        return
    for name in recipe.sources:
        ingested = summaries(home, INGEST, name)
        known = {summary.slice for summary in ingested}
        pieces = keep_cuts(slices[name], ingested)
        new = [piece for piece in pieces if piece.name not in known]
        size = sum(piece.bytes for piece in new)
        parts = {part.path for piece in new for part in piece.parts}
        gone = len(known - {piece.name for piece in pieces})
        line = f"{name}: new to this home: {several(len(parts), 'file')}, {amount(size)}"
        say(
            line
            + (f"; {several(gone, 'slice')} with files that changed or are gone" if gone else "")
        )


def _reading(recipe: "Recipe", name: str, slices: "list[Slice]") -> Reading:
    """Tell and return what a build would read of a source."""
    from corpora.sources import survey_of

    options = recipe.sources[name]
    expected = (recipe.expected or {}).get(name)
    survey = survey_of(options)
    survey_slices = survey.slices if survey else None

    reading = Reading(size=_size(slices), expected=expected)
    say(f"{name}: {reading.size}")

    if survey and (slices or (survey_slices and expected is None)):
        surveyed = list(survey_slices(options)) if survey_slices else slices
        reading = replace(reading, survey=_size(surveyed))
        say(f"{name}: survey (first reading): {reading.survey}")
    if expected is not None:
        say(f"{name}: expected of the whole input: {_expectation(expected)}")
    return reading


# --- what is there, and what is missing


def _all_slices(recipe: "Recipe") -> "dict[str, list[Slice]]":
    """The slices of every source; none of one that may be missing, which is told.

    Raises `UserError`, which names the missing inputs of all others.
    """
    slices: dict[str, list[Slice]] = {}
    errors: list[UserError] = []
    for name in recipe.sources:
        try:
            slices[name] = _slices(recipe, name)
        except UserError as error:
            errors.append(error)

    if errors:
        whats = "; ".join(error.what for error in errors)
        raise UserError(whats, errors[0].hint, errors[0].exit_code)
    return slices


def _slices(recipe: "Recipe", name: str) -> "list[Slice]":
    from corpora.sources import load_source, survey_of

    options = recipe.sources[name]
    survey = survey_of(options)
    try:
        return list(load_source(options.kind).slices(options))
    except UserError as error:
        missing = _missing(options)
        what = ", ".join(missing) + ": no file matches" if len(missing) > 1 else error.what

        # a recipe of large corpora can be read before they are downloaded
        has_expected = name in (recipe.expected or {})
        if not has_expected and (survey is None or survey.slices is None):
            raise UserError(what, error.hint, error.exit_code) from None
        say(f"{name}: no input yet: {what}")
        return []


def _missing(options: "SourceOptions") -> list[str]:
    """The inputs of a source, and the other files that it reads, that are not there."""
    from dataclasses import fields

    from corpora.inputs import lists
    from shards.config import setting_of
    from shards.storage.glob import glob

    patterns: list[str] = []
    for field in fields(options):
        value = getattr(options, field.name)
        if setting_of(field).place and value:
            patterns += [value] if isinstance(value, str) else value

    missing = []
    for pattern in patterns:
        try:
            found = lists.named(pattern[1:]) if pattern.startswith("@") else glob(pattern)
        except (UserError, OSError):
            found = []
        if not found:
            missing.append(pattern)
    return missing


def refuse_missing(recipe: "Recipe") -> None:
    """Raise `UserError` (exit 2) where a vocabulary, a list of addresses, a test set or a function
    that the recipe names is missing or cannot be used."""
    from corpora.quality.exclusions import read_lists
    from corpora.quality.rules import asked
    from pipelines.stages.given_tokenizer import given_digest, load_given
    from pipelines.stages.rules import check_test_sets, own_function

    if recipe.tokenizer.path:
        given_digest(recipe.tokenizer.path)
        load_given(recipe.tokenizer.path)
    for options in recipe.sources.values():
        read_lists(options.rules)
        check_test_sets(options.rules)
        for rule, _ in asked(options.rules):
            if rule.own:
                own_function(rule.name)


def _size(slices: "list[Slice]") -> Size:
    parts = itertools.chain.from_iterable(piece.parts for piece in slices)
    paths = {part.path for part in parts}  # a file may be cut into several slices
    size = sum(piece.bytes for piece in slices)
    return Size(files=len(paths), slices=len(slices), bytes=size)


def _expectation(expected: "ExpectedConfig") -> str:
    parts = []
    if expected.input_bytes is not None:
        parts.append(f"{expected.input_bytes:,} bytes of input")
    if expected.documents is not None:
        parts.append(f"about {expected.documents:,} documents")
    if expected.text_bytes is not None:
        parts.append(f"{expected.text_bytes:,} bytes of text")
    if expected.core_hours is not None:
        parts.append(f"{expected.core_hours:,.3g} core-hours of ingest")
    note = f" ({expected.note})" if expected.note else ""
    return ", ".join(parts) + note


def reckon(recipe: "Recipe", at_hand: dict[str, int]) -> dict[str, Reckoned]:
    """What each source is expected to give and take; `at_hand`: bytes of input by source."""
    expected = {name: (recipe.expected or {}).get(name) for name in recipe.sources}
    whole_texts = {name: table.text_bytes if table else None for name, table in expected.items()}
    texts: dict[str, int | None] = {}
    hours: dict[str, float | None] = {}
    for name, table in expected.items():
        texts[name] = None
        hours[name] = None
        if table and table.input_bytes:
            part = at_hand[name] / table.input_bytes
            if table.text_bytes:
                texts[name] = round(table.text_bytes * part)
            if table.core_hours:
                hours[name] = round(table.core_hours * part, 3)

    whole_shares = _shares(whole_texts)
    shares = _shares(texts)
    return {
        name: Reckoned(
            expected_bytes=whole_texts[name],
            expected_share=whole_shares[name],
            expected_hours=table.core_hours if table else None,
            input_bytes=at_hand[name],
            text_bytes=texts[name],
            share=shares[name],
            core_hours=hours[name],
        )
        for name, table in expected.items()
    }


def _shares(parts: dict[str, int | None]) -> dict[str, float | None]:
    """Each part's share of their sum, with six digits; None for all where one is not known."""
    total = _sum(parts.values())
    if not total:
        return dict.fromkeys(parts)
    return {name: round((part or 0) / total, 6) for name, part in parts.items()}


def rows(reckoned: dict[str, Reckoned]) -> list[tuple[str, ...]]:
    """A table for people: the whole input on the left, the input at hand on the right."""
    table: list[tuple[str, ...]] = [
        (
            "source",
            "text of the whole input",
            "share",
            "core-hours",
            "input at hand",
            "its text",
            "share",
            "core-hours",
        )
    ]
    for name, row in reckoned.items():
        table.append(
            (
                name,
                _known(row.expected_bytes, amount),
                _known(row.expected_share, _percent),
                _known(row.expected_hours, _hours),
                amount(row.input_bytes),
                _known(row.text_bytes, amount),
                _known(row.share, _percent),
                _known(row.core_hours, _hours),
            )
        )
    every = list(reckoned.values())
    table.append(
        (
            "total",
            _known(_sum(row.expected_bytes for row in every), amount),
            "",
            _known(_sum(row.expected_hours for row in every), _hours),
            amount(sum(row.input_bytes for row in every)),
            _known(_sum(row.text_bytes for row in every), amount),
            "",
            _known(_sum(row.core_hours for row in every), _hours),
        )
    )
    return table


def _sum(values: Iterable[Number | None]) -> Number | None:
    """The sum; None where any value is not known."""
    known: list[Number] = []
    for value in values:
        if value is None:
            return None
        known.append(value)
    return sum(known)


def _known(value: float | None, form: Callable[[float], str]) -> str:
    return "-" if value is None else form(value)


def _percent(part: float) -> str:
    return f"{100 * part:.1f} %"


def _hours(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
