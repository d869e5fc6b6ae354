"""The layout of a home: the folder, local or on an object store, that holds one build.

    recipe.toml  survey/  documents/  rejects/  attributes/  summaries/  tokenizer/  work/  shards/

Most folders have one folder per source, with one file per slice in it. The summary of a slice is
written last and marks the slice as done for as long as its fingerprint is the wanted one. Every
stage finds its input by the summaries of an earlier stage, never by listing files. Everything in
`work` can be restored by a build.
"""

import dataclasses
from dataclasses import dataclass
from typing import Protocol

from pipelines.recipe import Recipe, digest_of, parse_recipe, recipe_text
from shards.config import to_dict
from shards.errors import UserError, in_command
from shards.storage import files

# Passes whose summaries are read elsewhere too; each is the name of a folder in `summaries`.

SURVEY = "survey"

CONCLUSION = "conclusion"
"""One task per surveyed source, of this name."""

INGEST = "ingest"

RULES = "rules"

EXACT = "exact"

PASSAGES = "passages"

NEAR = "near"

HOSTS = "hosts"

EMIT = "emit"
"""No pass, but a reason: documents of sources that are compared with and not emitted."""

TOKENIZER = "tokenizer"

TOKENIZE = "tokenize"

SHARDS = "shards"

FOLDERS = ("survey", "documents", "rejects", "attributes", "summaries")
"""The folders of a home that stages write to, besides `tokenizer`, `work` and `shards`."""

FORGOTTEN_LIST = "forgotten.txt"
"""The file with everything that a home has forgotten (`corpora.quality.forgotten`)."""

FORGETTING = "forgetting.txt"
"""The file that tells that the list has grown, and documents on it may still be there."""

RECIPE_MARK = "# As built by corpusmill: this folder is a home.\n"
"""The first line of a home's recipe.toml. A recipe that a user wrote does not have it."""


@dataclass(frozen=True)
class Home:
    """Addresses below one folder, local or on an object store."""

    root: str

    @property
    def quoted(self) -> str:
        """The root as a printed command holds it."""
        return in_command(self.root)

    @property
    def build_command(self) -> str:
        """The command that builds this home by its own recipe."""
        return f"corpus build {in_command(self.file('recipe.toml'))} --home {self.quoted}"

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
        """The attributes that a stage gave to the documents of a slice, row by row."""
        return self.file("attributes", stage, source, f"{slice_name}.parquet")

    def survey(self, source: str, name: str) -> str:
        """The notes of a slice's first reading."""
        return self.file(SURVEY, source, f"{name}.parquet")

    def conclusion(self, source: str, form: str) -> str:
        """The result of a source's first reading; `form` is the file's extension."""
        return self.file(SURVEY, source, f"{CONCLUSION}.{form}")

    def summary(self, stage: str, source: str, slice_name: str) -> str:
        """The summary that marks a slice as done."""
        return self.file("summaries", stage, source, f"{slice_name}.json")

    def work(self, stage: str, source: str, name: str) -> str:
        """A file that a later stage needs and that a build can restore."""
        return self.file("work", stage, source, name)


def open_home(root: str, for_reading: bool = False) -> tuple[Home, Recipe]:
    """Open a home that a build made: its addresses and its recipe.

    `for_reading` is passed to `parse_recipe`. Raises `UserError` when there is no home, when a
    newer version wrote it, or when its recipe is damaged.
    """
    home = Home(root)
    address = home.file("recipe.toml")
    try:
        content = files.read_bytes(address)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise UserError(
            f"{root}: no home here (no recipe.toml)",
            f"build one: corpus build RECIPE --home {home.quoted}",
        ) from None

    try:
        return home, parse_recipe(content.decode(), address, root, for_reading)
    except UnicodeDecodeError:
        raise UserError(f"{address}: not UTF-8", _restore_recipe(root)) from None
    except UserError as error:
        # A newer format is not damage, and a user's own recipe is not ours to restore.
        if " is not one this version reads" in error.what or not is_home(root):
            raise
        hint = f"{error.hint}; {_restore_recipe(root)}" if error.hint else _restore_recipe(root)
        raise UserError(error.what, hint) from None


def _restore_recipe(root: str) -> str:
    return (
        "it is the home's copy of the recipe; restore it from your own: "
        f"corpus build RECIPE --home {Home(root).quoted} --yes"
    )


class HomeTask(Protocol):
    """A task, as far as it tells its home: the root, and the `recipe_key` it was planned by."""

    @property
    def home(self) -> str: ...
    @property
    def recipe(self) -> str: ...


_last_recipe: dict[tuple[str, str], Recipe] = {}
"""(root of a home, `recipe_key`) -> the recipe that this process read last."""


def task_home(task: HomeTask) -> tuple[Home, Recipe]:
    """`open_home` for a task; a process reads a recipe once for all tasks planned by it."""
    recipe = _last_recipe.get((task.home, task.recipe))
    if recipe is not None:
        return Home(task.home), recipe

    home, recipe = open_home(task.home)
    # A recipe that changed after the plan is not kept: the next task may be of either.
    if recipe_key(recipe) == task.recipe:
        _last_recipe.clear()
        _last_recipe[task.home, task.recipe] = recipe
    return home, recipe


def recipe_key(recipe: Recipe) -> str:
    """A digest that differs between any two recipes, whichever setting differs."""
    return digest_of(to_dict(recipe))[:16]


def write_recipe(home: Home, recipe: Recipe) -> None:
    """Keep the recipe as built, with every default written out. What it forgets is in the list of
    the home, wherever that lies."""
    if recipe.forget:
        recipe = dataclasses.replace(recipe, forget=(FORGOTTEN_LIST,))
    files.write_bytes(home.file("recipe.toml"), (RECIPE_MARK + recipe_text(recipe)).encode())


def is_home(root: str) -> bool:
    """True for a folder whose recipe.toml a build wrote, also where that file is damaged or gone:
    summaries and documents beside each other tell a home too."""
    try:
        content = files.read_bytes(Home(root).file("recipe.toml"))
    except (FileNotFoundError, IsADirectoryError):
        content = b""
    except NotADirectoryError:
        return False
    if content.startswith(RECIPE_MARK.encode()):
        return True
    folders = {address.rsplit("/", 1)[-1] for address in files.list_folders(root)}
    return {"summaries", "documents"} <= folders
