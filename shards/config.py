"""Strict TOML <-> frozen dataclasses.

An unknown key, a value of the wrong type and a missing required key are each a `UserError` that
names the path of the key; for an unknown key the hint names the nearest known one. The dataclasses
stay plain, so that tyro can read them too and flags override the recipe. Supported field types:
bool, int, float, str, Literal, X | None, tuple[X, ...], dict[str, X] and nested dataclasses.
"""

import dataclasses
import functools
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from shards.errors import UserError, nearest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises `UserError` naming `where` for a syntax error."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(
            f"{where}: not valid TOML: {error}",
            "docs/reference.md lists the keys of a recipe",
        ) from None


def dump_toml(value: Any) -> str:
    """A dataclass as TOML, with every default written out. None is left out: TOML has no null."""
    import tomli_w

    return tomli_w.dumps(to_dict(value))


def to_dict(value: Any) -> Any:
    """Dataclasses, mappings and tuples as dicts and lists. Values that are None are left out."""
    if dataclasses.is_dataclass(value):
        fields = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name: to_dict(inner) for name, inner in fields if inner is not None}
    if isinstance(value, Mapping):
        return {name: to_dict(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [to_dict(inner) for inner in value]
    return value


def from_dict(cls: type[T], data: Mapping[str, Any], where: str = "") -> T:
    """Build the dataclass `cls` from a table. Raises `UserError` naming the key that is wrong.

    `where`: the path of the table, for the error.
    """
    return typing.cast(T, _convert(cls, data, where))


def _convert(kind: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _build(typing.cast(type, kind), value, path)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        if value not in arguments or isinstance(value, bool):
            raise UserError(
                f"{path}: {value!r} is not one of {', '.join(map(repr, arguments))}",
                nearest(str(value), map(str, arguments)),
            )
        return value
    if origin is typing.Union or origin is types.UnionType:
        inner = [argument for argument in arguments if argument is not type(None)]
        return _convert(inner[0], value, path)
    if origin is tuple:
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list):
            raise UserError(f"{path}: {value!r} is not a list")
        return tuple(_convert(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(values))
    if origin is dict:
        _require(value, dict, path)
        return {key: _convert(arguments[1], item, f"{path}.{key}") for key, item in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Any:
        return value
    return _require(value, kind, path)


def _given(field: dataclasses.Field[Any], kind: Any, value: Any, path: str) -> Any:
    """The value of a field.

    The keys that a table inside a table leaves out keep the defaults of the field, which a kind of
    source may have changed.
    """
    found = _convert(kind, value, path)
    if (
        not dataclasses.is_dataclass(kind)
        or field.default_factory is dataclasses.MISSING
        or field.default_factory is kind
    ):
        return found
    try:
        return dataclasses.replace(
            field.default_factory(), **{key: getattr(found, key) for key in value}
        )
    except ValueError as error:
        raise UserError(f"{path}.{error}") from None


def _require(value: Any, kind: type, path: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        names = {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            str: "a string",
            dict: "a table",
        }
        raise UserError(f"{path}: {value!r} is not {names.get(kind, kind.__name__)}")
    return value


_hints = functools.lru_cache(maxsize=None)(typing.get_type_hints)
"""Cached, since a summary is read for every slice, many times."""


def _build(cls: type, value: Any, path: str) -> Any:
    _require(value, dict, path or "the recipe")
    prefix = f"{path}." if path else ""
    hints = _hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in value:
        if key not in fields:
            raise UserError(f"{prefix}{key}: unknown key", nearest(key, fields))
    for name, field in fields.items():
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if required and name not in value:
            raise UserError(
                f"{prefix}{name}: missing", f"set {name} in [{path}]" if path else f"set {name}"
            )
    arguments = {
        key: _given(fields[key], hints[key], item, prefix + key) for key, item in value.items()
    }
    try:
        return cls(**arguments)
    except ValueError as error:
        raise UserError(f"{prefix}{error}") from None
