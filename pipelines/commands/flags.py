"""The flags of `corpus build` and `ingest`: every key of a recipe is one, so their parser is made
from the recipe; and what is no flag of ours must be one of Beam's.
"""

import dataclasses
import inspect
import os
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pipelines.commands.recipes import packaged_recipes
from shards.errors import UserError, nearest

if TYPE_CHECKING:
    from pipelines.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Run:
    """What is not in the recipe."""

    home: str = ""
    """The folder of the build; made if it is not there. Only --dry-run needs none."""
    workers: int | None = None
    """Child processes; default one a core, and on a cluster one for each of its Python workers. 0:
    none, all in this process."""
    dry_run: bool = False
    """Only say what would be done; prints the whole recipe."""
    yes: bool = False
    """Do not ask before redoing work that a changed recipe makes stale."""
    json: bool = False
    """Print the result as one JSON object."""


def parse_with_recipe(
    name: str, text: str, arguments: list[str]
) -> "tuple[Recipe, Run, list[str]]":
    """The recipe that a command line names, with its flags laid over it; what is not in a recipe;
    Beam's options.

    `name`, `text`: of the command, for `--help`. Raises `UserError`: no recipe, a wrong key or
    value, an unknown option.
    """
    import tyro

    from pipelines.recipe import Recipe, complete, load_recipe, with_absolute_paths

    path = _recipe_argument(arguments)
    if path is None and not {"-h", "--help"} & set(arguments):
        raise UserError(
            "no recipe named",
            f"corpus {name} RECIPE.toml --home DIR; recipes in the package: {', '.join(packaged_recipes())}",
        )
    recipe = Recipe(sources={}) if path is None else load_recipe(path, packaged_recipes())
    kinds = {key: type(options) for key, options in recipe.sources.items()}
    sources = typing.TypedDict("Sources", kinds)  # type: ignore[misc]  # takes any name
    fields = [
        (field.name, field.type, getattr(recipe, field.name))
        for field in dataclasses.fields(Recipe)
        if field.name not in ("sources", "format", "expected")
    ]
    helps = {
        "seed": "Of every draw: the tokenizer's sample, the validation split.",
        "limit": "Only the first N records of each source, for a first look.",
    }
    Arguments = dataclasses.make_dataclass(
        "Arguments",
        [
            (
                "recipe",
                Annotated[
                    tyro.conf.Positional[str],
                    tyro.conf.arg(
                        metavar="RECIPE",
                        help="A .toml file, or the name of a recipe in the package.",
                    ),
                ],
            ),
            ("run", tyro.conf.OmitArgPrefixes[Run]),
            *(
                (
                    key,
                    Annotated[kind, tyro.conf.arg(help=helps.get(key))],
                    dataclasses.field(default=value),
                )
                for key, kind, value in fields
            ),
            ("sources", sources, dataclasses.field(default_factory=lambda: dict(recipe.sources))),
        ],
        frozen=True,
    )
    Arguments.__doc__ = text
    try:
        parsed: Any
        parsed, beam_arguments = tyro.cli(
            Arguments,
            args=arguments,
            prog=f"corpus {name}",
            return_unknown_args=True,
            config=(tyro.conf.FlagCreatePairsOff,),
        )
    except ValueError as error:
        raise UserError(str(error), f"corpus {name} --help") from None
    refuse_unknown(Arguments, name, beam_arguments)
    changed = dataclasses.replace(
        recipe,
        **{key: getattr(parsed, key) for key, _, _ in fields},
        sources={
            key: with_absolute_paths(parsed.sources[key], os.getcwd()) for key in recipe.sources
        },
    )
    return complete(changed, os.getcwd()), parsed.run, beam_arguments


def _recipe_argument(arguments: list[str]) -> str | None:
    """The first argument that is neither a flag nor the value of one: the parser itself is made
    from the recipe."""
    switches = {"--dry-run", "--yes", "--json"}
    for before, argument in zip(["", *arguments], arguments):
        value_of_flag = (
            before.startswith("--")
            and "=" not in before
            and before not in switches
            and not before.rpartition(".")[2].startswith("no-")
        )
        if not argument.startswith("-") and not value_of_flag:
            return argument
    return None


def refuse_unknown(command: Any, name: str, unknown: list[str]) -> None:
    """Raise `UserError` for what neither we nor Beam know, with the nearest of both: Beam only
    drops it with a warning."""
    if not unknown:
        return
    quiet_beam()
    from pipelines.engines.options import known_options

    ours, known = set(_flags(command)), known_options()
    for index, argument in enumerate(unknown):
        option = argument.split("=", 1)[0]
        if not option.startswith("-") and (index == 0 or not unknown[index - 1].startswith("-")):
            raise UserError(f"{argument}: not understood", f"corpus {name} --help")
        if option.startswith("-") and option not in known:
            raise UserError(
                f"{option}: neither corpus nor Beam has this option", nearest(option, ours | known)
            )


def _flags(command: Any, prefix: str = "") -> Iterator[str]:
    """The flags that tyro makes of a dataclass, tables and all, of the sources by name, or of a
    function's parameters."""
    if typing.is_typeddict(command):
        for key, kind in command.__annotations__.items():
            yield from _flags(kind, f"{prefix}{key}.".replace("_", "-"))
        return
    if not dataclasses.is_dataclass(command):
        yield from (f"--{name.replace('_', '-')}" for name in inspect.signature(command).parameters)
        return
    for field in dataclasses.fields(command):
        kind = (
            Run
            if field.name == "run"
            else typing.get_args(field.type)[0]
            if typing.get_origin(field.type) is Annotated
            else field.type
        )
        name = f"{prefix}{field.name}".replace("_", "-")
        if dataclasses.is_dataclass(kind) or typing.is_typeddict(kind):
            yield from _flags(kind, "" if kind is Run else f"{name}.")
        elif field.default is True:
            head, dot, tail = name.rpartition(".")
            yield f"--{head}{dot}no-{tail}"
        else:
            yield f"--{name}"


def quiet_beam() -> None:
    """Beam logs the trace of every error that we report in one line; a bug's still comes with the
    exception."""
    import logging

    logging.getLogger().setLevel(logging.CRITICAL)
    logging.getLogger("corpora").setLevel(logging.WARNING)  # what a source has to say is no noise
