"""Files of predictions, of this trainer and of any other system.

- `.json`: an object from ids to predictions (as SQuAD's), or a list in the order of the data;
- `.jsonl`: objects with `id` (or `index`, `idx`) and `prediction` (or `label`);
- `.tsv`: a column `index` (or `id`) and a column `prediction`, as the GLUE server wants them;
- any other name, and a `.tsv` of one column: one prediction a line, in the order of the data.

Ids that are the numbers of the rows, from 0, mean the rows, unless the data has ids that are the
same.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpora.tasks.faults import fault
from corpora.tasks.json_files import json_lines, load_json
from corpora.tasks.tables import place_of, rows

IDS = ("id", "index", "idx")

GIVEN = ("prediction", "label")


@dataclass(frozen=True, slots=True)
class Given:
    """A prediction as it is written, and where."""

    text: str
    place: str


@dataclass(frozen=True)
class Predictions:
    """The predictions of a file by id, or by the number of their row where it has no ids."""

    path: Path
    by_id: Mapping[str, Given]
    in_order: bool

    def texts(self) -> dict[str, str]:
        """Predictions as texts by id."""
        return {name: given.text for name, given in self.by_id.items()}


def read_predictions(path: Path) -> Predictions:
    """The predictions of a file. Raises `UserError` that names file and line."""
    if path.suffix == ".json":
        return _from_json(path)
    if path.suffix in (".jsonl", ".ndjson"):
        return _from_json_lines(path)
    return _from_rows(path)


def _from_json(path: Path) -> Predictions:
    content = load_json(path, 'write an object {"ID": prediction}, or a list')
    found: dict[str, Given] = {}
    if isinstance(content, dict):
        for name, value in content.items():
            found[name] = Given(_spelled(path, f"{name!r}", value), f"{name!r}")
    elif isinstance(content, list):
        for n, value in enumerate(content):
            found[str(n)] = Given(_spelled(path, f"item {n}", value), f"item {n}")
    else:
        raise fault(path, "", "neither an object nor a list", "give predictions by their ids")
    return Predictions(path, found, isinstance(content, list))


def _from_json_lines(path: Path) -> Predictions:
    found: dict[str, Given] = {}
    for number, row in json_lines(path):
        place = f"line {number}"
        names = [name for name in IDS if name in row]
        values = [name for name in GIVEN if name in row]
        if not names or not values:
            raise fault(
                path, place, "no id or no prediction", 'expected {"id": …, "prediction": …}'
            )
        _add(path, found, _spelled(path, place, row[names[0]]), row[values[0]], place)
    return Predictions(path, found, False)


def _from_rows(path: Path) -> Predictions:
    found: dict[str, Given] = {}
    id_column = value_column = None
    for number, fields in rows(path):
        place = f"line {number}"
        if number == 1 and place_of(GIVEN, fields) is not None:
            id_column = place_of(IDS, fields)
            value_column = place_of(GIVEN, fields)
            continue

        if value_column is None:
            if len(fields) != 1:
                hint = "begin a file of two columns with the line: index<TAB>prediction"
                raise fault(path, place, f"{len(fields)} columns without their names", hint)
            found[str(len(found))] = Given(fields[0], place)
            continue
        if len(fields) <= max(value_column, id_column or 0):
            raise fault(path, place, "too few columns", "mend the row")
        name = str(len(found)) if id_column is None else fields[id_column]
        _add(path, found, name, fields[value_column], place)
    return Predictions(path, found, id_column is None)


def _add(path: Path, found: dict[str, Given], name: str, value: object, place: str) -> None:
    if name in found:
        what = f"a second prediction for {name!r}, after that of {found[name].place}"
        raise fault(path, place, what, "leave one of them out")
    found[name] = Given(_spelled(path, place, value), place)


def _spelled(path: Path, place: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise fault(path, place, f"{value!r} is not a prediction", "give a text or a number")


def align(predictions: Predictions, ids: Sequence[str]) -> list[Given | None]:
    """The prediction of each row of the data, None where there is none. Raises `UserError` for
    predictions without ids that are not as many as the rows."""
    given = predictions.by_id
    numbers = [str(n) for n in range(len(ids))]
    if predictions.in_order and len(given) != len(ids):
        what = f"{len(given)} predictions for {len(ids)} rows"
        raise fault(predictions.path, "", what, "give one for each row of the data, in its order")

    by_number = given.keys() == set(numbers) and given.keys() != set(ids)
    names = numbers if predictions.in_order or by_number else ids
    return [given.get(name) for name in names]
