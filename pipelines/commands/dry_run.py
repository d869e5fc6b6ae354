"""TODO-DOC pipelines/commands/dry_run.py."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipelines.commands.flags import Run
from pipelines.recipe import Recipe
from pipelines.wording import amount, print_json, say, table_lines
from shards.errors import UserError

if TYPE_CHECKING:
    from corpora.document import Slice
    from pipelines.recipe import ExpectedConfig, Recipe


def print_plan(recipe: "Recipe", run: Run) -> int:
    """What a build would read, a line a source, what the recipe says of the whole, of several
    sources as a table with the share of each beside that of the inputs at hand, and the whole
    recipe as TOML that can be fed back. A source with expected figures need not be there yet."""
    from corpora.sources import load_source, survey_of
    from pipelines.adopt import changes
    from pipelines.home.layout import Home, open_home
    from pipelines.recipe import recipe_text

    pass
    from shards.config import to_dict
    from shards.storage import files

    if files.exists(Home(run.home).file("recipe.toml")):
        for line in changes(open_home(run.home)[1], recipe):
            say(line)
    reading: dict[str, dict[str, Any]] = {}
    for name, options in recipe.sources.items():
        expected = (recipe.expected or {}).get(name)
        survey = survey_of(options)
        own_slices = survey.slices if survey else None
        try:
            slices = list(load_source(options.kind).slices(options))
        except UserError as error:
            if expected is None and own_slices is None:
                raise
            say(f"{name}: not there yet: {error.what}")
            slices = []
        reading[name] = _size_of(slices)
        say(f"{name}: {_said(reading[name])}")
        if survey and (slices or (own_slices and expected is None)):
            reading[name]["survey"] = _size_of(list(own_slices(options)) if own_slices else slices)
            say(f"{name}: first read: {_said(reading[name]['survey'])}")
        if expected is not None:
            reading[name]["expected"] = to_dict(expected)
            say(f"{name}: expected of the whole: {_expectation(expected)}")
    reckoned = reckon(recipe, {name: figures["bytes"] for name, figures in reading.items()})
    if recipe.expected and len(recipe.sources) > 1:
        for line in table_lines(rows(reckoned)):
            say(line)
    for name in recipe.expected or ():
        reading[name]["reckoned"] = asdict(reckoned[name])
    if run.json:
        print_json({"schema_version": 1, "sources": reading, "recipe": to_dict(recipe)})
    else:
        print(recipe_text(recipe), end="")
    return 0


def _size_of(slices: "list[Slice]") -> dict[str, Any]:
    return {
        "files": len({part.path for piece in slices for part in piece.parts}),
        "slices": len(slices),
        "bytes": sum(piece.bytes for piece in slices),
    }


def _said(size: dict[str, Any]) -> str:
    from pipelines.wording import several

    return f"{several(size['files'], 'file')}, {several(size['bytes'], 'byte')}, in {several(size['slices'], 'slice')}"


def _expectation(expected: "ExpectedConfig") -> str:
    figures = (
        (expected.input_bytes, "{:,} bytes of input"),
        (expected.documents, "about {:,} documents"),
        (expected.text_bytes, "{:,} bytes of text"),
        (expected.core_hours, "{:,.3g} core-hours of ingest"),
    )
    said = ", ".join(pattern.format(figure) for figure, pattern in figures if figure is not None)
    return said + (f" ({expected.note})" if expected.note else "")


@dataclass(frozen=True, kw_only=True)
class Reckoned:
    """Of one source. `expected_bytes`: of the whole's text, and its share of that of all sources;
    `input_bytes`: at hand; `text_bytes`, `core_hours`: what those give and take, in proportion.
    None where the recipe does not say enough; a share where that is so of any source."""

    expected_bytes: int | None
    expected_share: float | None
    expected_hours: float | None
    input_bytes: int
    text_bytes: int | None
    share: float | None
    core_hours: float | None


def reckon(recipe: Recipe, at_hand: dict[str, int]) -> dict[str, Reckoned]:
    """Source -> what is expected of it beside what its bytes at hand give."""
    expected = {name: (recipe.expected or {}).get(name) for name in recipe.sources}
    whole = {name: table.text_bytes if table else None for name, table in expected.items()}
    texts: dict[str, int | None] = {}
    hours: dict[str, float | None] = {}
    for name, table in expected.items():
        part = at_hand[name] / table.input_bytes if table and table.input_bytes else None
        texts[name] = (
            round(table.text_bytes * part)
            if table and table.text_bytes and part is not None
            else None
        )
        hours[name] = (
            round(table.core_hours * part, 3)
            if table and table.core_hours and part is not None
            else None
        )
    whole_shares, shares = _shares(whole), _shares(texts)
    return {
        name: Reckoned(
            expected_bytes=whole[name],
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
    known = [part for part in parts.values() if part is not None]
    total = sum(known)
    if len(known) < len(parts) or not total:
        return dict.fromkeys(parts)
    return {name: round((part or 0) / total, 6) for name, part in parts.items()}


def rows(found: dict[str, Reckoned]) -> list[tuple[str, ...]]:
    """A table for people: the whole on the left, what is at hand on the right."""
    head = (
        "source",
        "text of the whole",
        "share",
        "core-hours",
        "input at hand",
        "text it gives",
        "share",
        "core-hours",
    )
    lines = [
        (
            name,
            _known(row.expected_bytes, amount),
            _percent(row.expected_share),
            _known(row.expected_hours, _hours),
            amount(row.input_bytes),
            _known(row.text_bytes, amount),
            _percent(row.share),
            _known(row.core_hours, _hours),
        )
        for name, row in found.items()
    ]
    sums = [
        [getattr(row, key) for row in found.values()]
        for key in ("expected_bytes", "expected_hours", "input_bytes", "text_bytes", "core_hours")
    ]
    text, hours, size, gives, takes = (None if None in column else sum(column) for column in sums)
    total = (
        "total",
        _known(text, amount),
        "",
        _known(hours, _hours),
        amount(size or 0),
        _known(gives, amount),
        "",
        _known(takes, _hours),
    )
    return [head, *lines, total]


def _known(value: float | None, form: Callable[[float], str]) -> str:
    return "-" if value is None else form(value)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f} %"


def _hours(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"
