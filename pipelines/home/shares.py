"""Which share of the documents of a source is kept, and how often each is in the training shards,
by the value of one of their fields."""

import json

import pyarrow as pa

from corpora.document import SourceOptions
from corpora.text.urls import host_of
from pipelines.chance import CHANCES, chance

EXTRA = "extra."


def share_columns(field: str | None) -> list[str]:
    """The column of the documents that holds a field of `keep_by` or `repeat_by`, if one is
    asked for."""
    if field is None:
        return []
    if field.startswith(EXTRA):
        return ["extra"]
    return ["url" if field == "host" else field]


def shares_of(options: SourceOptions, table: pa.Table) -> list[float]:
    """The share of each document of a table with the columns of `share_columns`."""
    return _by_value(options.keep_by, options.keep_shares, options.keep, table)


def copies_of(options: SourceOptions, seed: int, table: pa.Table) -> list[int]:
    """How often each document of a table with its id and the columns of `share_columns` is in the
    training shards: as often as the whole part of its number says, and once more where its draw is
    below the rest."""
    copies = []
    times_of = _by_value(options.repeat_by, options.repeats, options.repeat, table)
    for identity, times in zip(table.column("id").to_pylist(), times_of):
        is_once_more = chance(seed, "repeat", identity) < int(times % 1 * CHANCES)
        copies.append(int(times) + is_once_more)
    return copies


def _by_value(
    field: str | None, by_value: dict[str, float], default: float, table: pa.Table
) -> list[float]:
    """The number of each document: that of the value of its field, or the default."""
    if field is None:
        return [default] * table.num_rows

    (column,) = share_columns(field)
    values = [_value(field, held) for held in table.column(column).to_pylist()]
    return [by_value.get(value, default) for value in values]


def _value(field: str, held: object) -> str:
    """The value of a field as `keep_shares` and `repeats` name it; "" where there is none."""
    if held is None:
        return ""
    if field == "host":
        return host_of(str(held))
    if not field.startswith(EXTRA):
        return str(held)

    value = json.loads(str(held)).get(field.removeprefix(EXTRA))
    # As JSON has it: true, 3, 0.5.
    return value if isinstance(value, str) else json.dumps(value)
