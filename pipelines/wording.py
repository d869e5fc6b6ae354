"""TODO-DOC pipelines/wording.py."""

import json as jsonlib
import sys
from collections.abc import Iterator
from typing import Any


def duration(seconds: float | None) -> str:
    """`3 h 05 min`, `4 min`, `12 s`; `?` for None."""
    if seconds is None:
        return "?"
    if seconds >= 3600:
        return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"
    return f"{int(seconds) // 60} min" if seconds >= 120 else f"{int(seconds)} s"


def amount(size: float) -> str:
    """Bytes in decimal units: `1.2 GB`."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 999.5 or unit == "TB":
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError


def several(count: int, noun: str) -> str:
    """`1 file`, `2,000 files`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def number(value: float | None) -> str:
    """A whole number with thousands separators; a dash for what is not known."""
    return "–" if value is None else f"{value:,}"


def decimal(value: float | None, digits: int = 2) -> str:
    """A number with some digits; a dash for what is not known."""
    return "–" if value is None else f"{value:,.{digits}f}"


def share(part: float | None, whole: float | None) -> str:
    """A percentage that never says 0 % of something, nor 100 % of less than all."""
    if part is None or not whole:
        return "–"
    percent = 100 * part / whole
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.9 < percent < 100:
        return ">99.9 %"
    return f"{percent:.1f} %"


def say(line: str) -> None:
    """A line about the progress."""
    print(line, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    print(jsonlib.dumps(value, ensure_ascii=False, indent=1))


def table_lines(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """The lines of a table: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:])),
            ]
        ).rstrip()


def print_table(rows: list[tuple[str, ...]]) -> None:
    for line in table_lines(rows):
        print(line)
