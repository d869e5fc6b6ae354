"""Numbers, durations, tables and JSON as people and programs read them.

Used by commands, reports and the progress display alike, so that a figure looks the same
everywhere. Imports nothing heavy.
"""

import dataclasses
import json as jsonlib
import sys
from collections.abc import Iterator, Mapping
from typing import Protocol, runtime_checkable

from corpora.quality.reasons import ARCHIVE_KINDS

IF_ANY = {"json": "if any"}
"""Metadata of a dataclass field that `json_value` leaves out when it is empty or None."""


def duration(seconds: float | None) -> str:
    """`3 h 05 min`, `4 min`, `12 s`; `?` for None."""
    if seconds is None:
        return "?"
    if seconds >= 3600:
        return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"
    return f"{int(seconds) // 60} min" if seconds >= 120 else f"{int(seconds)} s"


def amount(size: float) -> str:
    """Bytes in decimal units: `1.2 GB`."""
    # 999.5 would be printed as 1000: it belongs to the next unit
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def several(count: int, noun: str) -> str:
    """`1 file`, `2,000 files`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def apart(not_pages: Mapping[str, int]) -> str:
    """`31 records are no responses: 29 request, 1 revisit, 1 warcinfo`."""
    count = sum(not_pages.values())
    noun = "response" if not_pages.keys() <= ARCHIVE_KINDS.keys() else "page"
    named = sorted(not_pages.items(), key=lambda item: (-item[1], item[0]))
    kinds = ", ".join(f"{number:,} {kind}" for kind, number in named)
    verb = f"is no {noun}" if count == 1 else f"are no {noun}s"
    return f"{several(count, 'record')} {verb}: {kinds}"


def number(value: float | None, unknown: str = "–") -> str:
    """A number with thousands separators; a dash when it is not known."""
    return unknown if value is None else f"{value:,}"


def decimal(value: float | None, digits: int = 2) -> str:
    """A number with a fixed number of decimals; a dash when it is not known."""
    return "–" if value is None else f"{value:,.{digits}f}"


def share(part: float | None, whole: float | None) -> str:
    """A percentage that is 0 % only for nothing and 100 % only for everything."""
    if part is None or not whole:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.9 < percent < 100:
        return ">99.9 %"
    return f"{percent:.1f} %"


def say(line: str) -> None:
    """Print a line of progress on stderr."""
    # flushed: whoever watches a log should see the line when it is written
    print(line, file=sys.stderr, flush=True)


@runtime_checkable
class HasJson(Protocol):
    """A value whose JSON differs from its fields."""

    def as_json(self) -> object:
        """The value as JSON types."""


def json_value(value: object) -> object:
    """Dataclasses, mappings and sequences as JSON types.

    A field that is None becomes null, unless its metadata is `IF_ANY`.
    """
    # first, since such a value is a dataclass too
    if isinstance(value, HasJson):
        return json_value(value.as_json())
    if dataclasses.is_dataclass(value):
        row: dict[str, object] = {}
        for field in dataclasses.fields(value):
            item = getattr(value, field.name)
            if item or field.metadata != IF_ANY:
                row[field.name] = json_value(item)
        return row
    if isinstance(value, Mapping):
        return {key: json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_value(item) for item in value]
    return value


def print_json(value: object) -> None:
    """Print a value as one JSON object, indented."""
    print(printable(jsonlib.dumps(json_value(value), ensure_ascii=False, indent=1)))


def printable(text: str) -> str:
    """Text that a terminal and a pipe can take: half of a surrogate pair as its escape, which in
    JSON stands for the same."""
    # the name of a file may hold such halves too
    return text.encode("utf-8", "backslashreplace").decode()


def table_lines(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """The lines of a table: the first column aligned left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        first = row[0].ljust(widths[0])
        others = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        yield "  ".join([first, *others]).rstrip()


def print_table(rows: list[tuple[str, ...]]) -> None:
    """Print a table on stdout."""
    for line in table_lines(rows):
        print(line)
