"""The rows of an Arrow batch as plain values, whatever its columns hold: `plain_rows(batch)`.

Arrow checks neither that strings are UTF-8 nor that dates are among those that Python has, so a
whole batch may fail for one value. Values are taken one by one where that happens, and one that
Python cannot have is `Unreadable`, with its type and what is wrong with it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from corpora.inputs.complaints import in_words

_ERRORS = (ValueError, OverflowError, TypeError, LookupError, ImportError, pa.ArrowException)
"""What pyarrow raises for a value that Python cannot have: bytes that are not UTF-8, a date before
the year 1, a zone that nobody knows."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A value that Python cannot have. `reason`: bad_encoding for text, else bad_value."""

    reason: str
    detail: str


def plain_rows(batch: pa.RecordBatch) -> Iterator[dict[str, object]]:
    """The rows of a batch by the names of their columns; the first of a name counts."""
    names: dict[str, int] = {}
    for index, name in enumerate(batch.schema.names):
        names.setdefault(name, index)
    columns = {name: _values(batch.column(index)) for name, index in names.items()}
    for row in range(batch.num_rows):
        yield {name: values[row] for name, values in columns.items()}


def _values(column: pa.Array) -> list[object]:
    """The values of a column."""
    try:
        values: list[object] = column.to_pylist()
        return values
    except _ERRORS:
        return [_value(scalar) for scalar in column]


def _value(scalar: pa.Scalar) -> object:
    """One value, or why Python cannot have it."""
    try:
        return scalar.as_py()
    except UnicodeError as error:
        return Unreadable("bad_encoding", f"{scalar.type}: {in_words(error)}"[:200])
    except _ERRORS as error:
        return Unreadable("bad_value", f"{scalar.type}: {in_words(error)}"[:200])


def type_name(value: object) -> str:
    """What a value is called in the detail of a reject, in the words of JSON."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (bytes, bytearray)):
        return "bytes"
    return f"a value of the type {type(value).__name__}"
