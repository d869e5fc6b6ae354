"""Which share of the documents of a source is kept, by the value of one of their fields."""

import json

import pyarrow as pa

from corpora.document import SourceOptions
from corpora.text.urls import host_of

EXTRA = "extra."


def share_columns(options: SourceOptions) -> list[str]:
    """The column of the documents that decides their shares, if any does."""
    if options.keep_by is None:
        return []
    if options.keep_by.startswith(EXTRA):
        return ["extra"]
    return ["url" if options.keep_by == "host" else options.keep_by]


def shares_of(options: SourceOptions, table: pa.Table) -> list[float]:
    """The share of each document of a table with the columns of `share_columns`."""
    if options.keep_by is None:
        return [options.keep] * table.num_rows

    (column,) = share_columns(options)
    values = [_value(options.keep_by, held) for held in table.column(column).to_pylist()]
    return [options.keep_shares.get(value, options.keep) for value in values]


def _value(field: str, held: object) -> str:
    """The value of a field as `keep_shares` names it; "" where there is none."""
    if held is None:
        return ""
    if field == "host":
        return host_of(str(held))
    if not field.startswith(EXTRA):
        return str(held)

    value = json.loads(str(held)).get(field.removeprefix(EXTRA))
    # As JSON has it: true, 3, 0.5.
    return value if isinstance(value, str) else json.dumps(value)
