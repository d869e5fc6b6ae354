"""From a command line to a command's arguments.

Every key of a recipe is a flag of `corpus build`, `ingest` and `urls`: their parser is made from
the recipe that the command line names. The other commands take the flags that their signature or
dataclass declares. An option that is not ours must be one of Beam's.
"""

import dataclasses
import inspect
import os
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from pipelines.commands.arguments import HomeFolder
from pipelines.commands.help import (
    HELP_ALL,
    Option,
    Section,
    options_of_table,
    page,
    sections_of_function,
    shortened,
    tables_in,
    usage,
    wants_help,
)
from pipelines.commands.mistakes import plain_mistakes
from pipelines.commands.recipes import packaged_recipes
from shards.errors import UserError, nearest

if TYPE_CHECKING:
    from pipelines.recipe import Recipe

Command = Callable[..., int]

COMMON = (
    "limit",
    "dedup.near",
    "dedup.threshold",
    "tokenizer.vocab_size",
    "tokenizer.path",
    "shards.valid_fraction",
)
"""The keys of a recipe that `corpus build --help` lists; `--help-all` lists every key."""

ONLY_OF_BUILD = ("retrain",)
"""Flags of a run that `corpus ingest` and `corpus urls` refuse: they train no vocabulary."""

RECIPE_HELP = "A .toml file, or a name that `corpus recipes` lists."

BEAM_TOO = "Options of Apache Beam, such as --runner=SparkRunner, are passed on."


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
    retrain: bool = False
    """Train the vocabulary again. Without it a build keeps the vocabulary of the home when
    documents were added."""
    reread: bool = False
    """Read all inputs again, also those that look as they did."""
    yes: bool = False
    """Redo what a changed recipe makes stale unasked."""
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


def refuse_workers(workers: int | None) -> None:
    """Raise `UserError` for a number of workers below 0."""
    if workers is not None and workers < 0:
        raise UserError(
            f"--workers {workers}: less than 0",
            "use 0 to work in this process, or N for N child processes",
        )


def call_with_recipe(name: str, command: Command, arguments: list[str]) -> int:
    """Run `command(recipe, run, beam_arguments)`."""
    if wants_help(arguments):
        print(_help_with_recipe(name, _summary(command), arguments))
        return 0
    recipe, run, beam_arguments = parse_with_recipe(name, arguments)
    return command(recipe, run, beam_arguments)


def call_with_home(name: str, command: Command, arguments: list[str]) -> int:
    """Run `command(flags, beam_arguments)`."""
    sections = sections_of_function(home_flags)
    if wants_help(arguments):
        shown = page(usage(f"corpus {name}", sections), _summary(command), sections, BEAM_TOO)
        print(shown)
        return 0

    ours = flag_names(sections)
    with plain_mistakes(f"corpus {name}", ours):
        flags, beam_arguments = tyro.cli(
            home_flags, args=arguments, return_unknown_args=True, add_help=False
        )
    refuse_unknown(ours, name, beam_arguments)
    return command(flags, beam_arguments)


def call_with_flags(name: str, command: Command, arguments: list[str]) -> int:
    """Run a command whose parameters are its flags."""
    sections = sections_of_function(command)
    if wants_help(arguments):
        print(page(usage(f"corpus {name}", sections), _summary(command), sections))
        return 0

    with plain_mistakes(f"corpus {name}", flag_names(sections)):
        return tyro.cli(
            command,
            args=arguments,
            add_help=False,
            config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
        )


def call_with_arguments(name: str, command: Command, arguments: list[str]) -> int:
    """Run a command that reads its arguments itself."""
    return command(arguments)


def _summary(command: Command) -> str:
    """What a command does: its docstring up to the list of its parameters."""
    return (inspect.getdoc(command) or "").partition("\n\nArgs:")[0]


def _help_with_recipe(name: str, text: str, arguments: list[str]) -> str:
    """The help of a command that takes a recipe.

    It lists the flags of the run and the keys that are set most often; with `--help-all` every key,
    and those of the sources of the recipe that the command line names.
    """
    from pipelines.recipe import Recipe, load_recipe

    how = f"corpus {name} RECIPE --home DIR [OPTIONS]"
    named = Section("arguments", (Option("recipe", "RECIPE", RECIPE_HELP),))
    run = Section("the build", tuple(options_of_table(Run)))
    if name != "build":
        kept = tuple(option for option in run.options if option.key not in ONLY_OF_BUILD)
        run = Section("the build", kept)
    path = _recipe_argument(arguments)
    recipe = Recipe(sources={}) if path is None else load_recipe(path, packaged_recipes())
    keys = list(_sections_of_recipe(recipe))
    if HELP_ALL in arguments:
        note = BEAM_TOO
        if path is None:
            note = f"With RECIPE, also the keys of its sources are listed. {BEAM_TOO}"
        return page(how, text, [named, run, *keys], note)

    common = COMMON if name == "build" else ("limit",)
    options = [option for section in keys for option in section.options if option.key in common]
    options.sort(key=lambda option: common.index(option.key))
    often = Section("keys of the recipe that are often set", tuple(options))
    note = f"Every key of the recipe is a flag: --help-all lists them. {BEAM_TOO}"
    return page(how, text, [named, shortened(run), shortened(often)], note)


def _sections_of_recipe(recipe: "Recipe") -> Iterator[Section]:
    """The keys of a recipe as flags, in the order in which a build uses them."""
    from pipelines.recipe import Recipe

    every = options_of_table(Recipe, values=recipe)
    own = [option for option in every if option.key in ("limit", "seed")]
    yield Section("recipe", tuple(reversed(own)))  # the one that is used more often first

    for name, source in recipe.sources.items():
        key = f"sources.{name}"
        options = options_of_table(type(source), f"{key}.", source, both=True)
        yield Section(key, tuple(options))
        yield from tables_in(type(source), f"{key}.", source)

    yield from tables_in(Recipe, "", recipe)


def flag_names(sections: Iterable[Section]) -> list[str]:
    """The flags among the options of some sections, without their values."""
    named = (option.flags.split(" ") for section in sections for option in section.options)
    words = [word.rstrip(",") for flags in named for word in flags]
    return [word for word in words if word.startswith("--")]


def parse_with_recipe(name: str, arguments: list[str]) -> "tuple[Recipe, Run, list[str]]":
    """Read the recipe that a command line names and apply the flags for its keys.

    `name`: of the command. Returns the recipe, the flags that are no keys of it, and Beam's
    options. Raises `UserError`: no recipe, a wrong key or value, an unknown option.
    """
    from pipelines.recipe import complete, load_recipe, with_absolute_paths, with_kind

    path = _recipe_argument(arguments)
    if path is None:
        raise UserError(
            "no recipe named",
            f"corpus {name} RECIPE.toml --home DIR; "
            f"recipes in the package: {', '.join(packaged_recipes())}",
        )

    recipe = load_recipe(path, packaged_recipes())
    parser, keys = _parser_of(recipe)
    ours = flag_names([Section("", tuple(options_of_table(Run))), *_sections_of_recipe(recipe)])
    parsed: object
    with plain_mistakes(f"corpus {name}", ours):
        parsed, beam_arguments = tyro.cli(
            parser, args=arguments, return_unknown_args=True, add_help=False
        )
    refuse_unknown(ours, name, beam_arguments)

    # the class was made above: its fields have no names that mypy could know
    values = vars(parsed)
    sources = {
        source: with_absolute_paths(values["sources"][source], os.getcwd())
        for source in recipe.sources
    }
    changed = dataclasses.replace(recipe, **{key: values[key] for key in keys}, sources=sources)
    changed = with_kind(changed, recipe)
    if values["run"].retrain and name != "build":
        raise UserError(
            f"--retrain: corpus {name} trains no vocabulary", "corpus build RECIPE --retrain"
        )
    return complete(changed, os.getcwd()), values["run"], beam_arguments


def _parser_of(recipe: "Recipe") -> tuple[type, list[str]]:
    """Make a dataclass whose fields are the flags for `recipe`, with its values as defaults.

    Returns it and the names of the recipe's keys among its fields, `sources` left out.
    """
    # a TypedDict, since the name of a source need not be an identifier
    kinds = {name: type(options) for name, options in recipe.sources.items()}
    sources = typing.TypedDict("Sources", kinds)  # type: ignore[misc]  # takes any name
    path = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RECIPE")]

    keys = [
        field
        for field in dataclasses.fields(recipe)
        if field.name not in ("sources", "format", "expected")
    ]
    flags = [
        (key.name, key.type, dataclasses.field(default=getattr(recipe, key.name))) for key in keys
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


def _recipe_argument(arguments: list[str]) -> str | None:
    """The first argument that is neither a flag nor the value of one.

    It must be found before parsing, since the parser is made from the recipe.
    """
    # flags without a value: what follows them may be the recipe
    switches = {"-h", "--help", HELP_ALL}
    switches |= {option.flags for option in options_of_table(Run) if " " not in option.flags}
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


def refuse_unknown(ours: Iterable[str], name: str, unknown: list[str]) -> None:
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


def quiet_beam() -> None:
    """Silence Beam's log, which repeats as a traceback every error that we report in one line.

    The traceback of a bug still comes with its exception. Warnings of `corpora` are kept.
    """
    import logging

    logging.getLogger().setLevel(logging.CRITICAL)
    logging.getLogger("corpora").setLevel(logging.WARNING)
