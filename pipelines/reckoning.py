"""What the inputs at hand will give, reckoned from what the recipe expects of the whole: for
`--dry-run`."""

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.progress import amount
from pipelines.recipe import Recipe


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
