"""The tables of GLUE, as GLUE publishes them and as their authors did (MRPC, MNLI, CoLA).

Columns are found by their names, since their places differ between the files of a task: the test
files have no label and begin with an index, the dev files of MNLI have four labels more. What rows
are left out is what every reader leaves out: rows of QQP with too few columns, and pairs of MNLI on
whose label people did not agree, which the authors mark with `-`.
"""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from corpora.tasks.catalogue import Columns, Task
from corpora.tasks.examples import Example
from corpora.tasks.faults import Read, fault
from corpora.tasks.tables import place_of, rows

SHORT = "rows with too few columns"

LONG = "rows with more columns than names"

NO_AGREEMENT = "pairs without an agreed label"

STSB_TOP = 5.0
"""The highest score of STS-B; the lowest is 0."""


@dataclass(frozen=True)
class Places:
    """The places of the columns in a table, None for a column that it lacks."""

    first: int
    second: int | None
    label: int | None
    id: int | None
    columns: int


def read_glue(task: Task, path: Path, split: str) -> Read[Example]:
    """The examples of a table. Raises `UserError`, with file and line, for a missing column, a row
    with too few of them and a label that the task does not have."""
    columns = task.columns
    assert columns is not None
    examples: list[Example] = []
    counts: Counter[str] = Counter()
    places = None

    for line, fields in rows(path):
        if places is None:
            places = find_places(columns, fields, path, needs_label=not split.startswith("test"))
            if not is_headless(columns, fields):
                continue

        if len(fields) < places.columns:
            if task.short_rows:
                counts[SHORT] += 1
                continue
            what = f"{len(fields)} columns, but the first line names {places.columns}"
            raise fault(path, f"line {line}", what)
        counts[LONG] += len(fields) > places.columns

        label = None
        if places.label is not None:
            written = fields[places.label]
            if written == "-" and task.name.startswith("mnli"):
                counts[NO_AGREEMENT] += 1
                continue
            label = read_label(task, written, path, f"line {line}")
        examples.append(
            Example(
                id=str(len(examples)) if places.id is None else fields[places.id],
                first=fields[places.first],
                second=None if places.second is None else fields[places.second],
                label=label,
            )
        )

    if places is None:
        raise fault(path, "", "an empty file")
    return Read(tuple(examples), +counts)


def is_headless(columns: Columns, fields: list[str]) -> bool:
    """Whether the first line of a table is a row."""
    return place_of(columns.first, fields) is None and len(fields) == len(columns.headless)


def find_places(columns: Columns, first_line: list[str], path: Path, needs_label: bool) -> Places:
    """Where the columns stand, by the first line of a table. Raises `UserError` for a missing
    one."""
    header = list(columns.headless) if is_headless(columns, first_line) else first_line
    first = place_of(columns.first, header)
    second = place_of(columns.second, header)
    label = place_of(columns.label, header)

    missing = ""
    if first is None:
        missing = columns.first[0]
    elif columns.second and second is None:
        missing = columns.second[0]
    elif needs_label and label is None:
        missing = columns.label[0]
    if missing or first is None:
        found = ", ".join(name[:40] for name in header[:20])
        raise fault(path, "line 1", f"no column {missing!r} among {found}")
    return Places(first, second, label, place_of(columns.id, header), len(header))


def read_label(task: Task, written: str, path: Path, place: str) -> int | float:
    """A label as the file spells it. Raises `UserError` for one that the task does not have."""
    if task.kind != "regression":
        if written not in task.labels:
            known = ", ".join(task.labels)
            hint = "mend the row, or train on a file with this label: --train" if task.own else ""
            raise fault(path, place, f"label {written!r} is not one of {known}", hint)
        return task.labels.index(written)

    try:
        score = float(written)
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        hint = "mend the row, or leave out --numbers" if task.own else ""
        raise fault(path, place, f"label {written!r} is not a number", hint)
    if task.name == "stsb" and not 0 <= score <= STSB_TOP:
        raise fault(path, place, f"label {written!r} is not between 0 and 5")
    return score
