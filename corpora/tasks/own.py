"""A task of the user's own: JSON lines, TSV or Parquet with a text or a pair of texts, and a label
or a number.

The labels of such a task are those of its training file: numbers in their order, other words in
the order of their characters. A label that a later file has besides is an error.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.tasks.catalogue import Columns, Task
from corpora.tasks.examples import Example
from corpora.tasks.faults import Read, fault
from corpora.tasks.glue import read_label
from corpora.tasks.json_files import json_lines
from corpora.tasks.tables import rows

FORMATS = ".jsonl, .ndjson, .json (one object a line), .tsv or .parquet"

BATCH = 4096
"""Rows of a Parquet file that are read at a time."""

TEXT_FLAG, PAIR_FLAG, LABEL_FLAG, ID_FLAG = (
    "--text-column",
    "--pair-column",
    "--label-column",
    "--id-column",
)
"""The flags that name the columns, for the hints of errors."""


def own_columns(text: str = "", pair: str = "", label: str = "label", id: str = "") -> Columns:
    """The columns of a task of the user's own, by their names in the file. Where no text is named,
    none is read: to score, labels are enough."""
    return Columns(
        first=(text,) if text else (),
        second=(pair,) if pair else (),
        label=(label,),
        id=(id,) if id else (),
    )


def own_task(name: str, train: Path, columns: Columns, numbers: bool = False) -> Task:
    """A task whose labels are those of its training file, or which rates by numbers. Raises
    `UserError` for a file that cannot be read, a missing column and a single label."""
    if numbers:
        return Task(
            name=name,
            title=name,
            kind="regression",
            metrics=("pearson", "spearmanr"),
            main="pearson",
            columns=columns,
            own=True,
        )

    found = set()
    for place, record in records(train):
        found.add(spelled(train, place, record, columns.label[0], LABEL_FLAG))
    if len(found) < 2:
        many = f"the one label {found.pop()!r}" if found else "no label"
        hint = f"name the column of the labels with {LABEL_FLAG}, or add --numbers for a regression"
        raise fault(train, "", f"{many}, but a task needs two", hint)
    return Task(
        name=name,
        title=name,
        kind="classification",
        metrics=("accuracy", *(["f1"] if len(found) == 2 else []), "matthews_correlation"),
        main="accuracy",
        labels=tuple(sorted(found, key=_label_order)),
        columns=columns,
        own=True,
    )


def _label_order(label: str) -> tuple[int, int, str]:
    whole = label.removeprefix("-")
    if whole.isascii() and whole.isdecimal():
        return 0, int(label), label
    return 1, 0, label


def read_own(task: Task, path: Path, split: str) -> Read[Example]:
    """The examples of a file. Raises `UserError`, with file and line, for a missing column and a
    label that the task does not have."""
    columns = task.columns
    assert columns is not None
    label_column = columns.label[0]
    examples: list[Example] = []
    text, pair = [names[0] if names else "" for names in (columns.first, columns.second)]
    for place, record in records(path):
        label = None
        if split != "test" or record.get(label_column) is not None:
            written = spelled(path, place, record, label_column, LABEL_FLAG)
            label = read_label(task, written, path, place)
        examples.append(
            Example(
                id=spelled(path, place, record, columns.id[0], ID_FLAG)
                if columns.id
                else str(len(examples)),
                first=text_of(path, place, record, text, TEXT_FLAG) if text else "",
                second=text_of(path, place, record, pair, PAIR_FLAG) if pair else None,
                label=label,
            )
        )
    if not examples:
        raise fault(path, "", "no rows", "give a file with examples")
    return Read(tuple(examples))


def text_of(path: Path, place: str, record: dict[str, object], column: str, flag: str) -> str:
    """The text of a column. Raises `UserError` for a missing column and for no text; its hint names
    the `flag` that names the column."""
    value = _value(path, place, record, column, flag)
    if not isinstance(value, str):
        what = f"column {column!r} holds {value!r}, not a text"
        raise fault(path, place, what, f"mend the row, or name another column with {flag}")
    return value


def spelled(path: Path, place: str, record: dict[str, object], column: str, flag: str) -> str:
    """A label or an id as text: numbers and booleans as JSON spells them. Raises `UserError`, see
    `text_of`."""
    value = _value(path, place, record, column, flag)
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        kind = "an id" if flag == ID_FLAG else "a label"
        what = f"column {column!r} holds {value!r}, not {kind}"
        raise fault(path, place, what, f"mend the row, or name another column with {flag}")
    return str(value)


def _value(path: Path, place: str, record: dict[str, object], column: str, flag: str) -> object:
    if column not in record:
        known = ", ".join(sorted(record)[:20])
        hint = f"name the column with {flag}: the file has {known}"
        raise fault(path, place, f"no column {column!r}", hint)
    return record[column]


# --- the three formats


def records(path: Path) -> Iterator[tuple[str, dict[str, object]]]:
    """The place of each row, for messages, and its values by column. Raises `UserError` for a file
    that is none of the formats."""
    kind = path.suffix.lower()
    if kind in (".jsonl", ".ndjson", ".json"):
        for number, row in json_lines(path):
            yield f"line {number}", row
    elif kind == ".tsv":
        yield from _table_records(path)
    elif kind == ".parquet":
        yield from _parquet_records(path)
    else:
        raise fault(path, "", f"the name does not end in {FORMATS}", "rename or convert the file")


def _table_records(path: Path) -> Iterator[tuple[str, dict[str, object]]]:
    header: list[str] = []
    for number, fields in rows(path):
        if not header:
            header = fields
            continue
        if len(fields) != len(header):
            what = f"{len(fields)} columns, but the first line names {len(header)}"
            raise fault(path, f"line {number}", what, "mend the row")
        yield f"line {number}", dict(zip(header, fields))


def _parquet_records(path: Path) -> Iterator[tuple[str, dict[str, object]]]:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
    except (OSError, pa.ArrowException) as error:
        what = f"not a Parquet file that can be read ({str(error).splitlines()[0]})"
        raise fault(path, "", what, "check the file") from None
