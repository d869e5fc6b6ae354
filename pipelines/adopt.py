"""TODO-DOC pipelines/adopt.py."""

from collections.abc import Callable, Iterator

from corpora.document import LATER_FIELDS, LOCATION_FIELDS
from pipelines.home import layout as homes
from pipelines.home.layout import INGEST, Home, open_home, write_recipe
from pipelines.home.summaries import summaries
from pipelines.recipe import LIST_FIELDS, Recipe, flat, recipe_digest, said
from pipelines.stages import ingest, rules
from pipelines.stages.given_tokenizer import load_given
from pipelines.stages.job import Say
from shards.config import to_dict
from shards.errors import UserError
from shards.storage import files

MUCH_BYTES = 1_000_000_000
"""A changed recipe that redoes work over more text than this is asked about."""


def adopt_recipe(
    home_root: str, recipe: Recipe, confirm: Callable[[list[str]], bool], say: Say
) -> None:
    """Make `recipe` the home's. What it changes in a home that is there is said first, and asked
    about when much would be redone. Raises `UserError` (exit 2) when the answer is no, and when the
    folder holds something else."""
    home = Home(home_root)
    refuse_foreign(home_root)
    if homes.is_home(home_root):
        try:
            changed = list(changes(open_home(home_root)[1], recipe))
        except UserError as error:  # a newer format is not written over
            if "is not one this version reads" in error.what:
                raise
            changed = [
                f"changed: {error.what}; it is written again, and what its settings change is redone"
            ]
        if changed:
            for line in changed:
                say(line)
            size = sum(summary.counts["bytes"] for summary in summaries(home, INGEST))
            if size > MUCH_BYTES and not confirm(changed):
                raise UserError(
                    f"{home_root}: was built by another recipe",
                    "--yes to go on, or name another home",
                )
    for options in recipe.sources.values():
        rules.check_rules(options.rules, recipe.tokenizer.path)  # now, not after hours of ingest
        if options.ftfy:
            ingest.ftfy_fix()
    if recipe.tokenizer.path:
        load_given(recipe.tokenizer.path)  # now, not after hours of ingest
    write_recipe(home, recipe)


def refuse_foreign(home_root: str) -> None:
    """Raise `UserError` for a folder that holds something and is no home."""
    if homes.is_home(home_root):
        return
    if files.exists(home_root) and not files.is_folder(home_root):
        raise UserError(f"{home_root}: a file exists there", "name a folder")
    if files.list_folders(home_root) or set(files.list_files(home_root)) - {
        Home(home_root).file("lock")
    }:
        raise UserError(f"{home_root}: not empty and not a home", "name a new folder")


def forget_untouched(home: Home) -> None:
    """Remove what a build that was refused before its first slice laid into a new home."""
    if not files.list_folders(home.file("summaries")):
        for name in ("recipe.toml", "work"):
            files.remove(home.file(name))


def changes(old: Recipe, new: Recipe) -> Iterator[str]:
    """What is different, a line each, with the stages that it redoes; nothing for settings that
    change no byte."""
    if recipe_digest(old) == recipe_digest(new) and old.tokenizer.path == new.tokenizer.path:
        return
    before, after = dict(flat(to_dict(old))), dict(flat(to_dict(new)))
    for name in [name for name in old.sources if name not in new.sources]:
        yield f"changed: source {name} is gone; {_redone('dedup', new)}"
    for name in [name for name in new.sources if name not in old.sources]:
        yield f"changed: source {name} is new: it is ingested; {_redone('dedup', new)}"
    for key in sorted(before.keys() | after.keys()):
        parts = key.split(".")
        if parts[0] == "expected":
            continue
        places = tuple(f".{name}" for name in (*LOCATION_FIELDS, *LIST_FIELDS))
        own = (
            new.sources[parts[1]].place_fields
            if parts[0] == "sources" and parts[1] in new.sources
            else ()
        )
        if (
            before.get(key) == after.get(key)
            or key.endswith(places)
            or parts[2:] in [[name] for name in own]
            or key in ("dedup.max_removed", "dedup.priority")
        ):
            continue
        if parts[0] == "sources" and not (parts[1] in old.sources and parts[1] in new.sources):
            continue
        later = parts[0] == "sources" and len(parts) > 2 and parts[2] in LATER_FIELDS
        first = (
            "dedup"
            if later
            else {
                "sources": "ingest",
                "limit": "ingest",
                "dedup": "dedup",
                "tokenizer": "tokenizer",
                "shards": "tokenize",
                "seed": "tokenizer",
            }[parts[0]]
        )
        of = f" of {parts[1]}" if first == "ingest" and parts[0] == "sources" else ""
        yield f"changed: {key} from {said(before.get(key))} to {said(after.get(key))}; {_redone(first, new, of)}"


def _redone(first: str, recipe: Recipe, of: str = "") -> str:
    order = ["ingest", "dedup", "tokenizer", "tokenize"]
    rest = order[order.index(first) :]
    if first != "tokenizer" and recipe.tokenizer.path:
        rest.remove("tokenizer")
    return f"redone: {', '.join(rest)}{of}, where their input changes"
