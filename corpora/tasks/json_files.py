"""JSON files and JSON lines, and the fields of their objects. Every function raises `UserError`
that names the file and the place in it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar, cast

from corpora.tasks.faults import decode, fault, read_bytes

Kind = TypeVar("Kind")

LINES = "write one JSON object a line"

_MARK = b"\xef\xbb\xbf"


def load_json(path: Path, hint: str = "") -> object:
    """The content of a JSON file; `hint` is for one that is none."""
    try:
        return cast(object, json.loads(read_bytes(path).decode("utf-8-sig")))
    except UnicodeDecodeError:
        raise fault(path, "", "not UTF-8", "convert the file to UTF-8") from None
    except json.JSONDecodeError as error:
        raise fault(path, f"line {error.lineno}", f"not JSON ({error.msg})", hint) from None
    except RecursionError:
        raise fault(path, "", "not JSON (nested too deeply)", hint) from None


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    """The number of each line, from 1, and its object; empty lines are left out."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if number == 1:
                    line = line.removeprefix(_MARK)
                if line.strip():
                    yield number, _object(path, number, line)
    except OSError as error:
        raise fault(path, "", f"cannot be read ({error.strerror})", "check the path") from None


def _object(path: Path, number: int, line: bytes) -> dict[str, object]:
    try:
        value = json.loads(decode(path, line, number))
    except json.JSONDecodeError as error:
        raise fault(path, f"line {number}", f"not JSON ({error.msg})", LINES) from None
    except RecursionError:
        raise fault(path, f"line {number}", "not JSON (nested too deeply)", LINES) from None
    if not isinstance(value, dict):
        raise fault(path, f"line {number}", "not a JSON object", LINES)
    return value


def has(value: object, name: str) -> bool:
    """Whether a value of JSON is an object that has a field."""
    return isinstance(value, dict) and name in value


def text_field(path: Path, place: str, value: object, name: str) -> str:
    """A field that is a text."""
    return _field(path, place, value, name, str)


def whole_field(path: Path, place: str, value: object, name: str) -> int:
    """A field that is a whole number."""
    found = _field(path, place, value, name, int)
    if isinstance(found, bool):
        raise fault(path, place, f"{name!r} is of the wrong type")
    return found


def bool_field(path: Path, place: str, value: object, name: str) -> bool:
    """A field that is true or false."""
    return _field(path, place, value, name, bool)


def list_field(path: Path, place: str, value: object, name: str) -> list[object]:
    """A field that is a list."""
    return _field(path, place, value, name, list)


def _field(path: Path, place: str, value: object, name: str, kind: type[Kind]) -> Kind:
    if not isinstance(value, dict) or name not in value:
        raise fault(path, place, f"no {name!r}")
    found = value[name]
    if not isinstance(found, kind):
        raise fault(path, place, f"{name!r} is of the wrong type")
    return found
