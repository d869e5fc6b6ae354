"""Strict TOML to frozen dataclasses and back.

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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from shards.errors import UserError, nearest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")

Affects = Literal[
    "ingest", "rules", "exact", "passages", "near", "hosts", "tokenizer", "tokenize", "nothing"
]
"""The first stage whose result depends on a setting."""

TYPE_WORDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    dict: "a table",
}
"""The types of TOML in the words of an error."""


class WrongValue(ValueError):
    """A value that a dataclass of a recipe refuses, with the remedy."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


@dataclass(frozen=True)
class Setting:
    """What a setting affects.

    `affects` names the first stage whose result depends on it. A `place` says where something is
    stored: it is relative to the recipe's folder, and moving the thing changes nothing. Of a place
    with `content` the files are read whole, and a change of their content counts. A setting that
    came `later` than the first homes is left out of the digests where it has its default.
    """

    affects: Affects = "ingest"
    place: bool = False
    content: bool = False
    later: bool = False

    @property
    def decides(self) -> bool:
        """Whether a change of the value itself can change a byte of the output."""
        return self.affects != "nothing" and not self.place


def setting(
    default: T, affects: Affects, place: bool = False, content: bool = False, later: bool = False
) -> T:
    """A field of a recipe's dataclass, with its default and what it affects."""
    metadata = {"setting": Setting(affects, place, content, later)}
    return dataclasses.field(default=default, metadata=metadata)


def table(factory: Callable[[], T], affects: Affects) -> T:
    """A field that is itself a dataclass, a table in the recipe."""
    metadata = {"setting": Setting(affects)}
    return dataclasses.field(default_factory=factory, metadata=metadata)


def setting_of(field: dataclasses.Field[Any]) -> Setting:
    """What a field affects; one that does not say so is read by its source at ingest."""
    found: Setting = field.metadata.get("setting", Setting())
    return found


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """The tables of a TOML text. Raises `UserError`, which names `where`, for a syntax error."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(
            f"{where}: not valid TOML: {error}",
            "docs/reference.md lists the keys of a recipe",
        ) from None


def dump_toml(value: object) -> str:
    """TOML of a dataclass, every default written out; None is left out (TOML has no null)."""
    import tomli_w

    return tomli_w.dumps(to_dict(value))


def without_defaults(value: object, default: object = dataclasses.MISSING) -> Any:
    """A dataclass as tables that hold only the fields that differ from their defaults.

    `default` is what the dataclass is where nothing is set: a table inside a table may have other
    defaults than its dataclass.
    """
    if isinstance(value, Mapping):
        return {name: without_defaults(inner) for name, inner in value.items()}
    if not dataclasses.is_dataclass(value):
        return value

    has_other_defaults = type(default) is type(value)
    table: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        own = getattr(value, field.name)
        usual = getattr(default, field.name) if has_other_defaults else _default(field)
        if own != usual:
            table[field.name] = without_defaults(own, usual)
    return table


def _default(field: dataclasses.Field[Any]) -> object:
    """The default of a field; `MISSING` for one that is required."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def to_dict(value: object) -> Any:
    """Dataclasses and mappings as dicts, tuples as lists; fields that are None are left out."""
    if dataclasses.is_dataclass(value):
        named = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return to_dict(named)
    if isinstance(value, Mapping):
        return {name: to_dict(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [to_dict(inner) for inner in value]
    return value


def from_dict(cls: type[T], data: Mapping[str, object], where: str = "") -> T:
    """Build the dataclass `cls` from a table.

    Raises `UserError`, which names the key's path below `where`, for an unknown key, a missing key
    and a value that does not fit its field.
    """
    return typing.cast(T, _convert(cls, data, where))


def _convert(kind: Any, value: Any, path: str) -> Any:
    """`value`, read from TOML or JSON, as the type `kind` of a field."""
    if dataclasses.is_dataclass(kind):
        return _build(typing.cast(type, kind), value, path)

    origin = typing.get_origin(kind)
    arguments = typing.get_args(kind)
    if origin is typing.Literal:
        return _choice(arguments, value, path)
    if origin is typing.Union or origin is types.UnionType:
        # Of the unions only X | None and X | Literal[...] are supported, and TOML has no null: the
        # value is a word of the literal, or an X.
        inner = [argument for argument in arguments if argument is not type(None)]
        if any(isinstance(value, str) and value in typing.get_args(each) for each in inner[1:]):
            return value
        return _convert(inner[0], value, path)
    if origin is tuple:
        # One text may stand for a list of one: `input = "a.txt"`.
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list):
            raise UserError(f"{path}: {value!r} is not a list")
        return tuple(_convert(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(values))
    if origin is dict:
        _require(value, dict, path)
        return {key: _convert(arguments[1], item, f"{path}.{key}") for key, item in value.items()}

    # A user writes 1 for 1.0.
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is Any:
        return value
    return _require(value, kind, path)


def _choice(choices: tuple[object, ...], value: object, path: str) -> object:
    """A value of a Literal. True equals 1 in Python, and is no choice of a number."""
    if value not in choices or isinstance(value, bool):
        raise UserError(
            f"{path}: {value!r} is not one of {', '.join(map(repr, choices))}",
            nearest(str(value), map(str, choices)),
        )
    return value


def _require(value: T, kind: type, path: str) -> T:
    """`value`, which must be a `kind`. A bool is an int in Python, but not in TOML."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise UserError(f"{path}: {value!r} is not {TYPE_WORDS.get(kind, kind.__name__)}")
    return value


# The summary of every slice is read many times; working out the hints anew would take most of it.
_hints = functools.lru_cache(maxsize=None)(typing.get_type_hints)


def _build(cls: type, table: dict[str, object], path: str) -> object:
    """The dataclass `cls` from its table at `path`."""
    _require(table, dict, path or "the recipe")
    prefix = f"{path}." if path else ""
    fields = {field.name: field for field in dataclasses.fields(cls)}

    for key in table:
        if key not in fields:
            raise UserError(f"{prefix}{key}: unknown key", nearest(key, fields))
    for name, field in fields.items():
        if name not in table and _is_required(field):
            remedy = f"set {name} in [{path}]" if path else f"set {name}"
            raise UserError(f"{prefix}{name}: missing", remedy)

    hints = _hints(cls)
    arguments = {
        key: _field_value(fields[key], hints[key], item, prefix + key)
        for key, item in table.items()
    }
    try:
        return cls(**arguments)
    except ValueError as error:  # from the dataclass's own __post_init__, which names the key
        raise UserError(f"{prefix}{error}", getattr(error, "hint", "")) from None


def _is_required(field: dataclasses.Field[Any]) -> bool:
    """Does a field have no default?"""
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _field_value(field: dataclasses.Field[Any], kind: Any, value: Any, path: str) -> object:
    """The value of a field from the item of a table.

    A table inside a table may have other defaults than its dataclass: those of the field's factory,
    which a kind of source sets. The keys that are not given keep them.
    """
    converted = _convert(kind, value, path)
    factory = field.default_factory
    if not dataclasses.is_dataclass(kind) or factory is dataclasses.MISSING or factory is kind:
        return converted

    given = {key: getattr(converted, key) for key in value}
    try:
        return dataclasses.replace(factory(), **given)
    except ValueError as error:
        raise UserError(f"{path}.{error}") from None
