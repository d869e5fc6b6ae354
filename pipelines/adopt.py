"""How a recipe becomes that of a home: what it changes is said, and asked about when much would be
redone."""

from collections.abc import Callable, Iterator

from pipelines.home.layout import INGEST, TOKENIZER, Home, is_home, open_home, write_recipe
from pipelines.home.set_aside import slices_aside
from pipelines.home.summaries import summaries
from pipelines.recipe import Recipe, flat, in_effect, recipe_digest, said, setting_at
from pipelines.stages import ingest, rules
from pipelines.stages.accounts import total
from pipelines.stages.given_tokenizer import load_given
from pipelines.stages.job import Say
from pipelines.stages.table import STAGES
from shards.config import to_dict
from shards.errors import UserError
from shards.storage import files

MUCH_BYTES = 1_000_000_000
"""A changed recipe that redoes work over more text than this is asked about."""


def adopt_recipe(
    home_root: str, recipe: Recipe, confirm: Callable[[list[str]], bool], say: Say
) -> None:
    """Make `recipe` that of the home, which may be new.

    Says what it changes, and asks where much would be redone. Raises `UserError` (exit 2) when the
    answer is no, when the folder holds something else, and for what can be known before hours of
    ingest: a list, a function or a vocabulary that cannot be read, a package that is missing.
    """
    home = Home(home_root)
    refuse_foreign(home_root)
    changed = list(_changes_of_home(home_root, recipe)) if is_home(home_root) else []
    for line in changed:
        say(line)

    size = total(summaries(home, INGEST), "bytes") if changed else 0
    if size > MUCH_BYTES and not confirm(changed):
        raise UserError(
            f"{home_root}: was built with another recipe",
            "add --yes to redo what changed, or choose another home",
        )

    # What can be known now is checked now, not after hours of ingest.
    for options in recipe.sources.values():
        rules.check_rules(options.rules, recipe.tokenizer.path)
        if options.ftfy:
            ingest.ftfy_fix()
    if recipe.tokenizer.path:
        load_given(recipe.tokenizer.path)

    write_recipe(home, recipe)


def _changes_of_home(home_root: str, recipe: Recipe) -> Iterator[str]:
    """`changes` from the home's recipe. One that cannot be read is replaced, unless its format is
    newer."""
    try:
        _, old = open_home(home_root)
    except UserError as error:
        if "is not one this version reads" in error.what:
            raise
        yield f"changed: {error.what}; the recipe is replaced, and what that changes is redone"
        return
    yield from changes(old, recipe)


def refuse_foreign(home_root: str) -> None:
    """Raise `UserError` for a folder that is not a home and not empty."""
    if is_home(home_root):
        return
    if files.exists(home_root) and not files.is_folder(home_root):
        raise UserError(f"{home_root}: a file exists there", "name a folder")

    lock = Home(home_root).file("lock")
    if files.list_folders(home_root) or set(files.list_files(home_root)) - {lock}:
        raise UserError(f"{home_root}: not empty and not a home", "name a new folder")


def forget_untouched(home: Home) -> None:
    """Remove what a build that was refused before its first slice wrote into a new home.

    A home in which slices were set aside stays: it tells why, and the same command tries again.
    """
    if not files.list_folders(home.file("summaries")) and not slices_aside(home):
        for name in ("recipe.toml", "work", "documents", "rejects", "survey"):
            files.remove(home.file(name))


def changes(old: Recipe, new: Recipe) -> Iterator[str]:
    """What is different, one line each, with the stages that it redoes; nothing for settings that
    change no byte."""
    if recipe_digest(old) == recipe_digest(new) and old.tokenizer.path == new.tokenizer.path:
        return

    for name in old.sources:
        if name not in new.sources:
            yield f"changed: source {name} is gone; {_redone('exact', new)}"
    for name in new.sources:
        if name not in old.sources:
            yield f"changed: source {name} is new: it is ingested; {_redone('exact', new)}"

    before, after = dict(flat(to_dict(old))), dict(flat(to_dict(new)))
    # A threshold that is new may have been that of a profile.
    here, there = in_effect(old), in_effect(new)
    for key in sorted(before.keys() | after.keys()):
        if here.get(key) != there.get(key) and _is_said(key, old, new):
            yield f"changed: {_change(key, here, there)}; {_redone_by(key, new)}"


def _is_said(key: str, old: Recipe, new: Recipe) -> bool:
    """Whether a changed setting gets a line of its own."""
    table, *names = key.split(".")
    if table == "sources" and not (names[0] in old.sources and names[0] in new.sources):
        return False
    if key == "dedup.priority":  # follows from the sources, which have lines of their own
        return False
    # A vocabulary has no other setting that tells it from another.
    return setting_at(new, key).decides or key == "tokenizer.path"


def _change(key: str, before: dict[str, object], after: dict[str, object]) -> str:
    return f"{key} from {said(before.get(key))} to {said(after.get(key))}"


def _redone_by(key: str, recipe: Recipe) -> str:
    """The stages that a changed setting redoes, and of which source."""
    first = setting_at(recipe, key).affects
    table, *names = key.split(".")
    one_source = table == "sources" and first == "ingest"
    return _redone(first, recipe, f" of {names[0]}" if one_source else "")


def _redone(first: str, recipe: Recipe, of_source: str = "") -> str:
    """The stages from `first` on that the recipe asks for."""
    names = [stage.name for stage in STAGES]
    redone = [stage.name for stage in STAGES[names.index(first) :] if stage.wanted(recipe)]
    if recipe.tokenizer.path and first != TOKENIZER and TOKENIZER in redone:
        redone.remove(TOKENIZER)  # a given vocabulary depends on no text
    redone[0] += of_source
    return f"redone: {', '.join(redone)}, where their input changes"
