"""From a command line to a command's arguments.

Every key of a recipe is a flag of `corpus build`, `ingest` and `urls`: their parser is made from
the recipe that the command line names. The other commands take the flags that their signature or
dataclass declares. An option that is not ours must be one of Beam's.
"""

import dataclasses
import inspect
import os
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from pipelines.commands.arguments import HomeFolder
from pipelines.commands.recipes import packaged_recipes
from shards.errors import UserError, nearest

if TYPE_CHECKING:
    from docstring_parser import Docstring, DocstringStyle

    from pipelines.recipe import Recipe

Command = Callable[..., int]


@dataclass(frozen=True, kw_only=True)
class Run:
    """How to run the build. These flags are not part of the recipe."""

    home: str = ""
    """The folder of the build, created if missing. Required unless --dry-run is given."""
    workers: int | None = None
    """Number of child processes; 0 does all work in this process. Default: one per core; on a
    cluster, one per Python worker of the engine."""
    dry_run: bool = False
    """Only print what would be read, what a build will take, and the settings that are no
    defaults."""
    verbose: bool = False
    """With --dry-run: print every setting, the defaults too."""
    yes: bool = False
    """Do not ask for confirmation before redoing work that a changed recipe makes stale."""
    json: bool = False
    """Print the result as one JSON object."""


@dataclass(frozen=True)
class HomeFlags:
    """The arguments of a command that runs one stage on a home."""

    home: str
    workers: int | None = None


def home_flags(home: HomeFolder, /, workers: int | None = None) -> HomeFlags:
    """Bind the arguments of a command that runs one stage on a home.

    Args:
        workers: Number of child processes; 0 does all work in this process. Default: one per core;
            on a cluster, one per Python worker of the engine.
    """
    return HomeFlags(home, workers)


def call_with_recipe(name: str, command: Command, arguments: list[str]) -> int:
    """Run `command(recipe, run, beam_arguments)`."""
    recipe, run, beam_arguments = parse_with_recipe(name, _summary(command), arguments)
    return command(recipe, run, beam_arguments)


def call_with_home(name: str, command: Command, arguments: list[str]) -> int:
    """Run `command(flags, beam_arguments)`."""
    with whole_help():
        flags, beam_arguments = tyro.cli(
            home_flags,
            args=arguments,
            prog=f"corpus {name}",
            description=_summary(command),
            return_unknown_args=True,
        )
    refuse_unknown(_parameters(home_flags), name, beam_arguments)
    return command(flags, beam_arguments)


def call_with_flags(name: str, command: Command, arguments: list[str]) -> int:
    """Run a command whose parameters are its flags."""
    with whole_help():
        return tyro.cli(
            command,
            args=arguments,
            prog=f"corpus {name}",
            config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
        )


def call_with_arguments(name: str, command: Command, arguments: list[str]) -> int:
    """Run a command that reads its arguments itself."""
    return command(arguments)


def _summary(command: Command) -> str:
    return inspect.getdoc(command) or ""


def parse_with_recipe(
    name: str, text: str, arguments: list[str]
) -> "tuple[Recipe, Run, list[str]]":
    """Read the recipe that a command line names and apply the flags for its keys.

    `name`, `text`: of the command, for `--help`. Returns the recipe, the flags that are no keys of
    it, and Beam's options. Raises `UserError`: no recipe, a wrong key or value, an unknown option.
    """
    from pipelines.recipe import Recipe, complete, load_recipe, with_absolute_paths

    path = _recipe_argument(arguments)
    if path is None and not {"-h", "--help"} & set(arguments):
        raise UserError(
            "no recipe named",
            f"corpus {name} RECIPE.toml --home DIR; "
            f"recipes in the package: {', '.join(packaged_recipes())}",
        )

    recipe = Recipe(sources={}) if path is None else load_recipe(path, packaged_recipes())
    parser, keys = _parser_of(recipe)
    parsed: object
    try:
        with whole_help():
            parsed, beam_arguments = tyro.cli(
                parser,
                args=arguments,
                prog=f"corpus {name}",
                description=text,
                return_unknown_args=True,
            )
    except ValueError as error:
        raise UserError(str(error), f"corpus {name} --help") from None
    refuse_unknown(_fields(parser), name, beam_arguments)

    # the class was made above: its fields have no names that mypy could know
    values = vars(parsed)
    sources = {
        source: with_absolute_paths(values["sources"][source], os.getcwd())
        for source in recipe.sources
    }
    changed = dataclasses.replace(recipe, **{key: values[key] for key in keys}, sources=sources)
    return complete(changed, os.getcwd()), values["run"], beam_arguments


def _parser_of(recipe: "Recipe") -> tuple[type, list[str]]:
    """Make a dataclass whose fields are the flags for `recipe`, with its values as defaults.

    Returns it and the names of the recipe's keys among its fields, `sources` left out.
    """
    # a TypedDict, since the name of a source need not be an identifier
    kinds = {name: type(options) for name, options in recipe.sources.items()}
    sources = typing.TypedDict("Sources", kinds)  # type: ignore[misc]  # takes any name
    path = Annotated[
        tyro.conf.Positional[str],
        tyro.conf.arg(metavar="RECIPE", help="A .toml file, or the name of a packaged recipe."),
    ]

    keys = [
        field
        for field in dataclasses.fields(recipe)
        if field.name not in ("sources", "format", "expected")
    ]
    # tyro reads docstrings of fields from the source text, which this class does not have
    helps = {
        "seed": "Seed of every random draw: the tokenizer's sample and the validation split.",
        "limit": "Read only the first N records of each source, for a first look.",
    }
    flags = [
        (
            key.name,
            Annotated[typing.cast(type, key.type), tyro.conf.arg(help=helps.get(key.name))],
            dataclasses.field(default=getattr(recipe, key.name)),
        )
        for key in keys
    ]

    parser = dataclasses.make_dataclass(
        "Arguments",
        [
            ("recipe", path),
            # A switch of the recipe may be on or off in its file, so it has flags for both; those
            # of a run are off unless they are given.
            ("run", tyro.conf.FlagCreatePairsOff[tyro.conf.OmitArgPrefixes[Run]]),
            *flags,
            ("sources", sources, dataclasses.field(default_factory=lambda: dict(recipe.sources))),
        ],
        frozen=True,
    )
    return parser, [key.name for key in keys]


@contextmanager
def whole_help() -> Iterator[None]:
    """Let the help of a flag flow freely.

    tyro keeps the line breaks of a docstring wherever a line is indented, as all but the first of a
    field or parameter are.
    """
    import docstring_parser

    style = docstring_parser.DocstringStyle.AUTO
    parse = docstring_parser.parse
    parse_object = docstring_parser.parse_from_object

    def joined(docstring: "Docstring") -> "Docstring":
        for parameter in docstring.params:
            parameter.description = " ".join((parameter.description or "").split())
        return docstring

    def joined_text(text: str | None, style: "DocstringStyle" = style) -> "Docstring":
        return joined(parse(text, style))

    def joined_object(obj: object, style: "DocstringStyle" = style) -> "Docstring":
        return joined(parse_object(obj, style))

    docstring_parser.parse = joined_text
    docstring_parser.parse_from_object = joined_object
    try:
        yield
    finally:
        docstring_parser.parse = parse
        docstring_parser.parse_from_object = parse_object


def _recipe_argument(arguments: list[str]) -> str | None:
    """The first argument that is neither a flag nor the value of one.

    It must be found before parsing, since the parser is made from the recipe.
    """
    # flags without a value: what follows them may be the recipe
    switches = {"--dry-run", "--verbose", "--yes", "--json"}
    for before, argument in zip(["", *arguments], arguments):
        is_value_of_flag = (
            before.startswith("--")
            and "=" not in before
            and before not in switches
            and not before.rpartition(".")[2].startswith("no-")
        )
        if not argument.startswith("-") and not is_value_of_flag:
            return argument
    return None


def refuse_unknown(ours: Iterator[str], name: str, unknown: list[str]) -> None:
    """Raise `UserError` for an argument that is neither in `ours` nor an option of Beam.

    Beam itself drops such an argument with a warning. The hint names the nearest known option.
    """
    if not unknown:
        return

    quiet_beam()
    from pipelines.engines.options import known_options

    # an argument after an unknown option is taken for its value
    known = known_options()
    for before, argument in zip(["", *unknown], unknown):
        option = argument.split("=", 1)[0]
        if not option.startswith("-") and not before.startswith("-"):
            raise UserError(f"{argument}: unexpected argument", f"corpus {name} --help")
        if option.startswith("-") and option not in known:
            # Beam has hundreds of options: all of them would be no hint.
            hint = nearest(option, {*ours, *known})
            if hint.startswith("known: "):
                hint = f"corpus {name} --help lists the options"
            raise UserError(f"{option}: neither corpus nor Beam has this option", hint)


def _parameters(function: Callable[..., object]) -> Iterator[str]:
    """The flags that tyro makes of a function's parameters."""
    for name in inspect.signature(function).parameters:
        yield f"--{name.replace('_', '-')}"


def _fields(table: type, prefix: str = "") -> Iterator[str]:
    """The flags that tyro makes of a dataclass and of the tables in it."""
    # the sources: one table for each name
    if typing.is_typeddict(table):
        for key, kind in table.__annotations__.items():
            yield from _fields(kind, f"{prefix}{key}.".replace("_", "-"))
        return

    for field in dataclasses.fields(table):
        kind = _plain_type(field)
        name = f"{prefix}{field.name}".replace("_", "-")
        if kind is Run:
            yield from _fields(Run)
        elif dataclasses.is_dataclass(kind) or typing.is_typeddict(kind):
            yield from _fields(typing.cast(type, kind), f"{name}.")
        elif field.default is True:  # a switch that is on has only the flag to turn it off
            table_name, dot, switch = name.rpartition(".")
            yield f"--{table_name}{dot}no-{switch}"
        else:
            yield f"--{name}"


def _plain_type(field: "dataclasses.Field[object]") -> object:
    """The type of a field without tyro's annotation."""
    if field.name == "run":
        return Run
    if typing.get_origin(field.type) is Annotated:
        return typing.get_args(field.type)[0]
    return field.type


def quiet_beam() -> None:
    """Silence Beam's log, which repeats as a traceback every error that we report in one line.

    The traceback of a bug still comes with its exception. Warnings of `corpora` are kept.
    """
    import logging

    logging.getLogger().setLevel(logging.CRITICAL)
    logging.getLogger("corpora").setLevel(logging.WARNING)
