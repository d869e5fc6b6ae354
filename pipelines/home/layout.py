"""The home: where everything of a build lies, what counts as done, and what a slice left behind.

    recipe.toml  survey/  documents/  rejects/  attributes/  summaries/  tokenizer/  work/  shards/

A slice's summary is written last and means done, for as long as its fingerprint is the one wanted.
Every later stage finds its input by the summaries of the earlier one, never by listing files.
"""

from dataclasses import dataclass
from typing import Any

from pipelines.recipe import Recipe, digest_of, parse_recipe, recipe_text
from shards.config import to_dict
from shards.errors import UserError
from shards.storage import files

# Folders of summaries that are read by others than the pass that writes them.

SURVEY = "survey"

CONCLUSION = "conclusion"
"""One task per surveyed source, of this name."""

INGEST = "ingest"

RULES = "rules"

EXACT = "exact"

NEAR = "near"

TOKENIZER = "tokenizer"

TOKENIZE = "tokenize"

SHARDS = "shards"

RECIPE_MARK = "# As built by corpusmill: this folder is a home.\n"


@dataclass(frozen=True)
class Home:
    """Addresses below one folder, local or on an object store."""

    root: str

    def file(self, *names: str) -> str:
        """The address of a file in the home."""
        return files.join(self.root, *names)

    def documents(self, source: str, slice_name: str) -> str:
        """The documents of a slice."""
        return self.file("documents", source, f"{slice_name}.parquet")

    def rejects(self, source: str, slice_name: str) -> str:
        """The rejects of a slice."""
        return self.file("rejects", source, f"{slice_name}.parquet")

    def attributes(self, stage: str, source: str, slice_name: str) -> str:
        """What a stage found out about each document of a slice, row by row."""
        return self.file("attributes", stage, source, f"{slice_name}.parquet")

    def survey(self, source: str, name: str) -> str:
        """What the first reading of a slice noted."""
        return self.file(SURVEY, source, f"{name}.parquet")

    def conclusion(self, source: str, form: str) -> str:
        """What the first reading came to."""
        return self.file(SURVEY, source, f"{CONCLUSION}.{form}")

    def summary(self, stage: str, source: str, slice_name: str) -> str:
        """The summary that makes a slice done."""
        return self.file("summaries", stage, source, f"{slice_name}.json")

    def work(self, stage: str, source: str, name: str) -> str:
        """A file that a later stage needs and that can be made again."""
        return self.file("work", stage, source, name)


def open_home(root: str, for_reading: bool = False) -> tuple[Home, Recipe]:
    """A home that a build made, and its recipe; `for_reading` as in `parse_recipe`. Raises
    `UserError` where there is none, or one of a newer format."""
    home = Home(root)
    try:
        content = files.read_bytes(home.file("recipe.toml"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise UserError(
            f"{root}: no home here (no recipe.toml)",
            f"build one: corpus build RECIPE --home {root}",
        ) from None
    try:
        return home, parse_recipe(content.decode(), home.file("recipe.toml"), root, for_reading)
    except UnicodeDecodeError:
        what, hint = f"{home.file('recipe.toml')}: not UTF-8", ""
    except UserError as error:
        what, hint = error.what, error.hint
        if " is not one this version reads" in what or not is_home(root):
            raise
    again = f"it is the home's copy: corpus build RECIPE --home {root} --yes, with your own recipe, writes it again"
    raise UserError(what, f"{hint}; {again}" if hint else again)


_held: dict[tuple[str, str], Recipe] = {}


def task_home(task: Any) -> tuple[Home, Recipe]:
    """`open_home` for a task: a process reads the recipe once for all tasks that were planned by
    it."""
    held = _held.get((task.home, task.recipe))
    if held is not None:
        return Home(task.home), held
    home, recipe = open_home(task.home)
    if recipe_key(recipe) == task.recipe:
        _held.clear()
        _held[task.home, task.recipe] = recipe
    return home, recipe


def recipe_key(recipe: Recipe) -> str:
    """What tells a recipe from any other, whatever setting differs."""
    return digest_of(to_dict(recipe))[:16]


def write_recipe(home: Home, recipe: Recipe) -> None:
    """Keep the recipe as built, every default written out. Its first line tells it from a recipe
    that a user wrote."""
    files.write_bytes(home.file("recipe.toml"), (RECIPE_MARK + recipe_text(recipe)).encode())


def is_home(root: str) -> bool:
    """True for a folder whose recipe.toml a build wrote."""
    try:
        return files.read_bytes(Home(root).file("recipe.toml")).startswith(RECIPE_MARK.encode())
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
