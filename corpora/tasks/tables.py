"""The published tables: TSV without quoting.

A quotation mark is a letter like any other, and only a line feed ends a row: some texts hold other
characters that Python takes for line ends. A carriage return before the line feed and a byte order
mark before the first name are no part of the texts.
"""

from collections.abc import Iterator
from pathlib import Path

from corpora.tasks.faults import decode, fault

_MARK = b"\xef\xbb\xbf"


def rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The number of each line, from 1, and its fields. Empty lines at the end are no rows. Raises
    `UserError` for a file that cannot be read, for bytes that are not UTF-8, and for an empty line
    before a row."""
    empty = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if number == 1:
                    line = line.removeprefix(_MARK)
                line = line.removesuffix(b"\n").removesuffix(b"\r")
                if not line:
                    empty = empty or number
                    continue

                if empty:
                    raise fault(path, f"line {empty}", "an empty line", "remove the line")
                yield number, decode(path, line, number).split("\t")
    except OSError as error:
        raise fault(path, "", f"cannot be read ({error.strerror})", "check the path") from None


def place_of(names: tuple[str, ...], header: list[str]) -> int | None:
    """The place of the first of these columns that a table has."""
    for name in names:
        if name in header:
            return header.index(name)
    return None
