"""From a command line to the options of a command, which are a frozen dataclass.

Each field is a flag, and the docstring below the field is its help. A field that is itself a
dataclass is a group of flags: those of a recipe's table `optim` begin with `--optim.`. A wrong flag
or value is a `UserError`, like a wrong key of a recipe. `--help` lists the common options
with the first sentence of each, `--help-all` lists all of them.
"""

import argparse
import contextlib
import dataclasses
import re
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar

from shards.errors import UserError, nearest

Options = TypeVar("Options")

Default = TypeVar("Default")

# The recipe's settings that `--help` lists; `--help-all` lists the others too.
COMMON_SETTINGS = (
    "steps",
    "epochs",
    "batch",
    "micro_batch",
    "keep_best",
    "data.format",
    "data.length",
    "optim.lr",
)

COLUMNS = 100


# --- how a command declares its options


@dataclass(frozen=True)
class Flag:
    """How a field is shown: the name of its value, the heading that it stands under, whether
    `--help` lists it, and whether it is an argument without a flag."""

    value: str = ""
    group: str = "options"
    common: bool = True
    positional: bool = False


def flag(
    default: Default,
    value: str = "",
    group: str = "options",
    common: bool = True,
    positional: bool = False,
) -> Default:
    """A field of an options dataclass; `value` is what the help calls its value, such as DIR."""
    metadata = {"flag": Flag(value, group, common, positional)}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Member:
    """A field of the options or of a table in them: its dotted `key` as in a recipe (empty for a
    table whose flags have no prefix), its type without None, default and help."""

    key: str
    kind: object
    default: object
    help: str
    shown: Flag
    in_recipe: bool

    @property
    def is_switch(self) -> bool:
        """Whether it is true or false, and so takes no value."""
        return self.kind is bool

    @property
    def flags(self) -> list[str]:
        """What a user writes: `--optim.lr`; for a switch of the recipe, which may be on or off in
        its file, `--data.sentence-eos` and `--data.no-sentence-eos`."""
        name = self.key.replace("_", "-")
        if not (self.is_switch and self.in_recipe):
            return [f"--{name}"]
        table, dot, last = name.rpartition(".")
        return [f"--{name}", f"--{table}{dot}no-{last}"]


# --- reading the arguments


def parse(
    kind: type[Options], command: str, arguments: list[str], default: Options | None = None
) -> Options:
    """The options of a command; `default` overrides the defaults of the dataclass.

    Prints the help and raises `SystemExit` for `--help` and `--help-all`. Raises `UserError` for an
    unknown flag, a missing value and a value of the wrong type.
    """
    base = kind() if default is None else default
    members = list(members_of(base))
    whole = "--help-all" in arguments
    parser = make_parser(kind, command, members, whole)

    if whole or {"-h", "--help"} & set(arguments):
        parser.print_help()
        raise SystemExit(0)

    found, unknown = parser.parse_known_intermixed_args([with_dashes(word) for word in arguments])
    refuse_unknown(unknown, members, parser.prog)

    given: dict[str, object] = {}
    for member in members:
        value = getattr(found, member.key)
        if value is not None:
            given[member.key] = convert(member, value)
    return typing.cast(Options, replace(base, given))


def with_dashes(word: str) -> str:
    """A flag with its underscores as dashes, so that `--micro_batch` is a flag too."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value


def refuse_unknown(unknown: list[str], members: list[Member], prog: str) -> None:
    """Raise `UserError` for an argument that the command does not know; the hint names the nearest
    flag."""
    if not unknown:
        return

    name = unknown[0].partition("=")[0]
    if not name.startswith("-"):
        raise UserError(f"{unknown[0]}: unexpected argument", f"{prog} --help")

    hint = nearest(name, [text for member in members for text in member.flags])
    if hint.startswith("known: "):
        hint = f"{prog} --help-all lists the options"
    raise UserError(f"{name}: no such option", hint)


def convert(member: Member, value: object) -> object:
    """The text of a flag, or the texts of one that may be repeated, as the type of its field."""
    if member.is_switch:
        return value
    if isinstance(value, list):
        inner = typing.get_args(member.kind)[0]
        return tuple(read_value(member, inner, text) for text in value)
    return read_value(member, member.kind, str(value))


def read_value(member: Member, kind: object, text: str) -> object:
    """A text as `kind`. Raises `UserError` naming the flag."""
    name = member.shown.value if member.shown.positional else member.flags[0]
    if typing.get_origin(kind) is Literal:
        choices = {str(choice): choice for choice in typing.get_args(kind)}
        if text not in choices:
            known = ", ".join(choices)
            raise UserError(f"{name}: {text!r} is not one of {known}", nearest(text, choices))
        return choices[text]

    words = {int: "a whole number", float: "a number"}
    if kind not in (int, float):
        return text
    try:
        return whole_number(text) if kind is int else float(text)
    except ValueError:
        example = f"{name} 100" if kind is int else f"{name} 0.5"
        fault = f"{name}: {text!r} is not {words[typing.cast(type, kind)]}"
        raise UserError(fault, f"for example {example}") from None


def whole_number(text: str) -> int:
    """`3000`, `3_000` or `3e3`. Raises `ValueError` for anything else."""
    with contextlib.suppress(ValueError):
        return int(text.replace("_", ""))
    number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def replace(base: object, given: dict[str, object], prefix: str = "") -> object:
    """`base` with the values that were given, by dotted key, also in the tables in it."""
    changed = {}
    for field in dataclasses.fields(typing.cast(Any, base)):
        value = getattr(base, field.name)
        if dataclasses.is_dataclass(value):
            inner = table_prefix(field, prefix)
            changed[field.name] = replace(value, given, inner)
        elif prefix + field.name in given:
            changed[field.name] = given[prefix + field.name]
    return dataclasses.replace(typing.cast(Any, base), **changed)


# --- from a dataclass to a parser


class Parser(argparse.ArgumentParser):
    """argparse, with errors as `UserError`."""

    def error(self, message: str) -> NoReturn:
        """Raise `UserError` for what argparse itself refuses: a flag without its value."""
        text = message.removeprefix("argument ").replace("expected one argument", "needs a value")
        text = re.sub("ignored explicit argument (.*)", r"takes no value, not \1", text)
        flags, colon, rest = text.partition(": ")
        first = flags.split("/")[0]
        raise UserError(f"{first}{colon}{rest}", f"{self.prog} --help")


class Switch(argparse.Action):
    """A flag without a value: the first of its names turns it on, the other off."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, option_string == self.option_strings[0])


def make_parser(kind: type, command: str, members: list[Member], whole: bool) -> Parser:
    """The parser of a command; `whole` shows every option in its help."""
    prog = f"trainer {command}"
    positional = [member for member in members if member.shown.positional]
    names = "".join(f" [{argument_name(member)}]" for member in positional)

    hidden = not whole and any(not member.shown.common for member in members)
    whole = not hidden
    parser = Parser(
        prog=prog,
        usage=f"{prog}{names} [OPTIONS]",
        description=" ".join((kind.__doc__ or "").split()),
        epilog=f"{prog} --help-all lists every option." if hidden else None,
        formatter_class=formatter,
        allow_abbrev=False,
        add_help=False,
    )

    groups: dict[str, Callable[..., object]] = {}
    for member in members:
        # The few common settings of a recipe need no headings.
        group = member.shown.group if whole or not member.in_recipe else "recipe"
        if group not in groups:
            groups[group] = parser.add_argument_group(group).add_argument
        add_argument(groups[group], member, whole)
    return parser


def argument_name(member: Member) -> str:
    """An argument as the usage shows it: `ID...` where there may be several."""
    several = typing.get_origin(member.kind) is tuple
    return member.shown.value + ("..." if several else "")


def formatter(prog: str) -> argparse.HelpFormatter:
    """Lines of 100 columns, the help beside the flags."""
    return argparse.HelpFormatter(prog, max_help_position=32, width=COLUMNS)


def add_argument(add: Callable[..., object], member: Member, whole: bool) -> None:
    """Tell argparse of a member. Its value stays a text, and None where it is not given."""
    text = argparse.SUPPRESS
    if whole or member.shown.common:
        said = member.help if whole else first_sentence(member.help)
        text = (said + shown_default(member)).replace("%", "%%")

    value = member.shown.value or metavar(member.kind)
    several = typing.get_origin(member.kind) is tuple
    if member.shown.positional:
        add(member.key, nargs="*" if several else "?", metavar=value, help=text)
    elif member.is_switch:
        add(*member.flags, dest=member.key, action=Switch, nargs=0, help=text)
    elif several:
        add(*member.flags, dest=member.key, action="append", metavar=value, help=text)
    else:
        add(*member.flags, dest=member.key, metavar=value, help=text)


def first_sentence(text: str) -> str:
    """The text up to the full stop that ends its first sentence."""
    return re.split(r"(?<=[.;])\s", text)[0].rstrip(";.") + "."


def metavar(kind: object) -> str:
    """What the help calls a value: its choices, N for a whole number, X for a number."""
    if typing.get_origin(kind) is tuple:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) is Literal:
        return "|".join(map(str, typing.get_args(kind)))
    names: dict[object, str] = {int: "N", float: "X"}
    return names.get(kind, "TEXT")


def shown_default(member: Member) -> str:
    """The default as the help shows it. The options that are not of the recipe tell of theirs in
    their docstrings, but for choices."""
    is_choice = typing.get_origin(member.kind) is Literal
    if not member.in_recipe and not is_choice or member.default in ("", None, ()):
        return ""
    if member.is_switch:
        return " Default: on" if member.default else " Default: off"
    return f" Default: {member.default}"


# --- the fields


def members_of(options: object, prefix: str = "", group: str = "") -> Iterator[Member]:
    """Every field of the options, those of the tables in them included, in order."""
    cls = type(options)
    hints = typing.get_type_hints(cls)
    helps = docstrings(cls)

    for field in dataclasses.fields(typing.cast(Any, options)):
        value = getattr(options, field.name)
        kind = without_none(hints[field.name])
        if dataclasses.is_dataclass(value):
            inner = table_prefix(field, prefix)
            yield from members_of(value, inner, group_name(field, inner))
            continue
        if typing.get_origin(kind) is dict:
            continue  # weights of sources are given by --mix

        key = prefix + field.name
        own = field.metadata.get("flag")
        shown = own or Flag(group=group, common=key in COMMON_SETTINGS)
        yield Member(key, kind, value, helps.get(field.name, ""), shown, in_recipe=own is None)


def table_prefix(field: "dataclasses.Field[Any]", prefix: str) -> str:
    """What the keys of a table begin with: nothing for the recipe as a whole."""
    return prefix if field.name == "settings" else f"{prefix}{field.name}."


def group_name(field: "dataclasses.Field[Any]", prefix: str) -> str:
    """The heading of a table's flags."""
    return f"recipe, [{prefix[:-1]}]" if prefix else "recipe"


def without_none(kind: object) -> object:
    """The type X of a field that is X or None."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return kind
    inner = [item for item in typing.get_args(kind) if item is not type(None)]
    return typing.cast(object, inner[0])


def docstrings(cls: type) -> dict[str, str]:
    """The docstring below each field of a dataclass, on one line."""
    import docstring_parser

    found = {}
    for parameter in docstring_parser.parse_from_object(cls).params:
        found[parameter.arg_name] = " ".join((parameter.description or "").split())
    return found
