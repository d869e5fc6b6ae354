"""The help of a command: its arguments and flags with their meaning, in the order of use.

It is made from what also gives the flags: the signature and docstring of a command's function, and
the dataclasses of its tables. tyro reads the same to parse them, and is not needed here.
"""

import dataclasses
import inspect
import shutil
import textwrap
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

HELP_FLAGS = frozenset(("-h", "--help"))
HELP_ALL = "--help-all"

NAMES_OF_VALUES = {
    "home": "DIR",
    "folder": "DIR",
    "out": "PATH",
    "path": "PATH",
    "source": "NAME",
    "reason": "NAME",
    "base": "URL",
    "start": "YYYY-MM",
    "end": "YYYY-MM",
}
"""What the help calls the value of a flag, by the flag's last word; the others go by their type."""

WIDTH = 100
"""Columns at most; fewer in a narrower terminal."""

COLUMN = 26
"""Columns for the flags; the meaning of a longer one begins on the next line."""


@dataclass(frozen=True)
class Option:
    """An argument or a flag. `key`: the field or parameter it sets, with dots for tables."""

    key: str
    flags: str
    text: str
    default: str = ""


@dataclass(frozen=True)
class Section:
    """Options that belong together, and a word on all of them."""

    title: str
    options: tuple[Option, ...]
    note: str = ""


def wants_help(arguments: list[str]) -> bool:
    """Whether a command line asks for help instead of work."""
    return bool({*HELP_FLAGS, HELP_ALL} & set(arguments))


def usage(command: str, sections: list[Section]) -> str:
    """How a command is called: its arguments by name, then its options."""
    arguments, options = sections
    names = [option.flags for option in arguments.options]
    return " ".join([command, *names, *(["[OPTIONS]"] if options.options else [])])


def shortened(section: Section) -> Section:
    """A section with only the first sentence on each option."""
    options = [
        dataclasses.replace(option, text=f"{option.text.partition('. ')[0].rstrip('.')}.")
        for option in section.options
    ]
    return dataclasses.replace(section, options=tuple(options))


def page(how: str, text: str, sections: Iterable[Section], note: str = "") -> str:
    """The whole help of a command."""
    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
    lines = [*_wrapped(f"usage: {how}", width, "", " " * 7), ""]
    for paragraph in text.split("\n\n"):
        lines += [*_wrapped(paragraph, width), ""]

    for section in sections:
        if not section.options:
            continue
        lines += _wrapped(f"{section.title}:{' ' if section.note else ''}{section.note}", width)
        for option in section.options:
            lines += _lines_of(option, width)
        lines.append("")

    lines += _wrapped(note, width) if note else []
    return "\n".join(lines).rstrip()


def _lines_of(option: Option, width: int) -> Iterator[str]:
    """An option in two columns."""
    meaning = option.text + (f" (default: {option.default})" if option.default else "")
    indent = " " * COLUMN
    first = f"  {option.flags}".ljust(COLUMN)
    if len(option.flags) + 4 > COLUMN:
        yield first.rstrip()
        first = indent
    yield from _wrapped(meaning, width, first, indent) or [first.rstrip()]


def _wrapped(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


# --- from functions and dataclasses


def sections_of_function(function: Callable[..., object]) -> list[Section]:
    """The arguments of a function that is a command: those before `/`, and its flags."""
    hints = typing.get_type_hints(function, include_extras=True)
    texts = _texts(function)
    arguments: list[Option] = []
    flags: list[Option] = []

    for parameter in inspect.signature(function).parameters.values():
        hint = hints[parameter.name]
        kind, named, said = _annotation(hint)
        text = said or texts.get(parameter.name, "")
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            arguments.append(Option(parameter.name, named or parameter.name.upper(), text))
        elif dataclasses.is_dataclass(kind):
            flags += options_of_table(typing.cast(type, kind))
        else:
            flags.append(_option(parameter.name, kind, text, parameter.default, named))

    return [Section("arguments", tuple(arguments)), Section("options", tuple(flags))]


def sections_of_dataclass(table: type) -> list[Section]:
    """The same of a command whose arguments are the fields of a dataclass."""
    every = options_of_table(table)
    arguments = [option for option in every if not option.flags.startswith("-")]
    flags = [option for option in every if option.flags.startswith("-")]
    return [Section("arguments", tuple(arguments)), Section("options", tuple(flags))]


def options_of_table(
    table: type, prefix: str = "", values: object = None, both: bool = False
) -> list[Option]:
    """The fields of a dataclass as flags, without the tables in it.

    `prefix`: of the keys, with its dot. `values`: an object of the dataclass, whose values are then
    the defaults. `both`: a switch has a flag for each side.
    """
    hints = typing.get_type_hints(table, include_extras=True)
    texts = _texts(table)
    options = []
    for field in dataclasses.fields(table):
        kind, named, said = _annotation(hints[field.name])
        if dataclasses.is_dataclass(kind):
            continue
        text = said or texts.get(field.name, "")
        default = field.default if values is None else getattr(values, field.name)
        options.append(_option(f"{prefix}{field.name}", kind, text, default, named, both))
    return options


def tables_in(table: type, prefix: str = "", values: object = None) -> Iterator[Section]:
    """A section for each table in a dataclass, and for the tables in it."""
    hints = typing.get_type_hints(table)
    for field in dataclasses.fields(table):
        kind = hints[field.name]
        if not dataclasses.is_dataclass(kind):
            continue
        key = f"{prefix}{field.name}"
        inner = None if values is None else getattr(values, field.name)
        options = options_of_table(typing.cast(type, kind), f"{key}.", inner, both=True)
        yield Section(key, tuple(options), " ".join((kind.__doc__ or "").split()))
        yield from tables_in(typing.cast(type, kind), f"{key}.", inner)


def _option(
    key: str, kind: object, text: str, default: object, named: str, both: bool = False
) -> Option:
    if named and default in (dataclasses.MISSING, inspect.Parameter.empty):
        return Option(key, named, text)  # stands without a flag

    flag = f"--{key.replace('_', '-')}"
    if kind is bool and both:
        table, dot, switch = flag.removeprefix("--").rpartition(".")
        return Option(key, f"{flag}, --{table}{dot}no-{switch}", text, "on" if default else "off")
    if kind is bool:
        return Option(key, flag, text)

    name = named or NAMES_OF_VALUES.get(key.rpartition(".")[2], _name_of_value(kind))
    return Option(key, f"{flag} {name}", text, _default(default))


def _default(value: object) -> str:
    """A default as it would be typed; nothing where there is none."""
    nothing = (dataclasses.MISSING, inspect.Parameter.empty, None, "")
    if any(value is none or value == none for none in nothing):
        return ""
    if isinstance(value, (tuple, list)):
        return " ".join(map(str, value))
    return str(value)


def _name_of_value(kind: object) -> str:
    """What the help calls a value of this type."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        parts = [part for part in typing.get_args(kind) if part is not type(None)]
        # The words first: `all|N`.
        parts.sort(key=lambda part: typing.get_origin(typing.cast(object, part)) is not Literal)
        return "|".join(map(_name_of_value, parts))
    if origin is Literal:
        return "|".join(map(str, typing.get_args(kind)))
    if origin is tuple:
        return f"{_name_of_value(typing.get_args(kind)[0])} ..."
    if origin is dict:
        return "NAME VALUE ..."
    names = {int: "N", float: "NUMBER", bool: "True|False"}  # a switch that may also be unset
    return names.get(typing.cast(type, kind), "TEXT")


def _annotation(hint: object) -> tuple[object, str, str]:
    """The type of an annotation, and the name and help that it gives."""
    if typing.get_origin(hint) is not Annotated:
        return hint, "", ""
    kind, *notes = typing.get_args(hint)
    named = next((note.metavar for note in notes if getattr(note, "metavar", None)), "")
    said = next((note.help for note in notes if getattr(note, "help", None)), "")
    return kind, named, said


def _texts(thing: object) -> dict[str, str]:
    """The docstrings of a dataclass's fields, or of a function's parameters, on one line each."""
    import docstring_parser

    texts: dict[str, str] = {}
    # fields that a dataclass inherits are documented in its base
    for owner in reversed(thing.__mro__) if isinstance(thing, type) else [thing]:
        if owner is object:
            continue
        for parameter in docstring_parser.parse_from_object(owner).params:
            texts[parameter.arg_name] = " ".join((parameter.description or "").split())
    return texts
