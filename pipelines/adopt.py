"""How a recipe becomes that of a home: what it changes is said, and asked about when much would be
redone."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator

import shards
from corpora.document import Slice, document_id
from corpora.text import mojibake
from pipelines.chance import CHANCES, chance
from pipelines.home.documents import row_groups
from pipelines.home.forgotten import keep_lists
from pipelines.home.layout import (
    FOLDERS,
    FORGETTING,
    FORGOTTEN_LIST,
    INGEST,
    TOKENIZER,
    Home,
    is_home,
    open_home,
    write_recipe,
)
from pipelines.home.set_aside import slices_aside
from pipelines.home.summaries import Summary, summaries
from pipelines.recipe import Recipe, flat, in_effect, recipe_digest, said, setting_at
from pipelines.stages import rules
from pipelines.stages.accounts import total
from pipelines.stages.given_tokenizer import check_vocabulary
from pipelines.stages.job import Say
from pipelines.stages.source_tasks import keep_cuts
from pipelines.stages.table import STAGES
from pipelines.wording import several
from shards.config import to_dict
from shards.errors import UserError
from shards.storage import files

MUCH_BYTES = 1_000_000_000
"""A changed recipe that redoes work over more text than this is asked about."""


def adopt_recipe(
    home_root: str,
    recipe: Recipe,
    slices: Callable[[str], list[Slice]],
    confirm: Callable[[list[str]], bool],
    say: Say,
) -> None:
    """Make `recipe` that of the home, which may be new. `slices` lists those of a source.

    Says what it changes, and asks where much would be redone, where documents would get other ids,
    and where a source would be removed. Raises `UserError` (exit 2) when the answer is no, when the
    folder holds something else, and for what can be known before hours of ingest: a list, a
    function or a vocabulary that cannot be read, a package that is missing.
    """
    home = Home(home_root)
    refuse_foreign(home_root)
    if is_home(home_root):
        old = _recipe_of_home(home_root, say)
        changed = [] if old is None else list(changes(old, recipe))
        lost = list(_changed_ids(home, old, recipe, slices))
        for line in [*changed, *lost]:
            say(line)

        size = total(summaries(home, INGEST), "bytes") if changed or old is None else 0
        if lost and not confirm(lost):
            raise UserError(
                f"{home_root}: documents would be removed or get other ids",
                "add --yes to go on, or choose another home",
            )
        if not lost and size > MUCH_BYTES and not confirm(changed):
            raise UserError(
                f"{home_root}: was built with another recipe",
                "add --yes to redo what changed, or choose another home",
            )

    # What can be known now is checked now, not after hours of ingest.
    for options in recipe.sources.values():
        rules.check_rules(options.rules, recipe.tokenizer.path)
        if options.ftfy:
            mojibake.mender()
    check_vocabulary(recipe)

    forget = keep_lists(home, recipe.forget)
    write_recipe(home, dataclasses.replace(recipe, forget=forget))


def _recipe_of_home(home_root: str, say: Say) -> Recipe | None:
    """The home's recipe. None for one that cannot be read, which is said; it is replaced.

    Raises `UserError` where its format is newer.
    """
    try:
        return open_home(home_root)[1]
    except UserError as error:
        if "is not one this version reads" in error.what:
            raise
        say(f"changed: {error.what}; the recipe is replaced, and what that changes is redone")
        return None


# --- ids


def _changed_ids(
    home: Home, old: Recipe | None, recipe: Recipe, slices: Callable[[str], list[Slice]]
) -> Iterator[str]:
    """A line for each source whose documents are lost or get other ids, and what that does to the
    validation split.

    An id is made of the source's name, the name of the file and the position in it.
    """
    ingested: dict[str, list[Summary]] = {}
    for summary in summaries(home, INGEST):
        ingested.setdefault(summary.source, []).append(summary)

    for name, found in ingested.items():
        documents = several(total(found, "documents"), "document")
        if name not in recipe.sources:
            yield f"removed: {documents} of source {name}"
            continue

        why = _other_records(name, old, recipe)
        if not why:
            yield from _other_names(home, recipe, found, slices(name))
            continue

        yield f"changed: {why}, so its {documents} get other ids and are ingested again"
        held_out = len(_validation_ids(home, name))
        if held_out:
            trained_on = round(held_out * (1 - recipe.shards.valid_fraction))
            yield _drawn_again(name, held_out, f"about {trained_on:,}")


def _drawn_again(source: str, held_out: int, trained_on: str) -> str:
    return (
        f"changed: {several(held_out, 'validation document')} of {source} are drawn again: "
        f"{trained_on} of them become training documents"
    )


def _other_records(name: str, old: Recipe | None, recipe: Recipe) -> str:
    """Why the records of a source are at other positions; "" where they are not."""
    if old is None or name not in old.sources:
        return ""
    before, after = old.sources[name], recipe.sources[name]
    for setting in ("kind", "document"):
        was, is_now = getattr(before, setting, None), getattr(after, setting, None)
        if was != is_now:
            return f"sources.{name}.{setting} from {said(was)} to {said(is_now)}"
    return ""


def _other_names(
    home: Home, recipe: Recipe, ingested: list[Summary], slices: list[Slice]
) -> Iterator[str]:
    """Tells of files that are named otherwise than when they were ingested, since the recipe or
    their folders changed. Reads the ids of slices that no longer exist, and no others."""
    source = ingested[0].source
    planned = keep_cuts(slices, ingested)
    stays = {piece.name for piece in planned}
    changed = [summary for summary in ingested if summary.slice not in stays]
    if not changed:
        return

    # By the last part of a name: only the folders before it come and go.
    read_already = {summary.slice for summary in ingested}
    names = {part.path for piece in slices for part in piece.parts}
    new_names: dict[str, str] = {}
    for piece in planned:
        if piece.name not in read_already:
            for part in piece.parts:
                new_names[part.path.rpartition("/")[2]] = part.path

    example: tuple[str, str] | None = None
    validated = _validation_ids(home, source)
    threshold = recipe.shards.valid_fraction * CHANCES
    documents = held_out = trained_on = 0
    for path, position, identity in _places(home, changed):
        new = new_names.get(path.rpartition("/")[2])
        if path in names or new is None:
            continue
        example = example or (path, new)
        documents += 1
        if identity in validated:
            held_out += 1
            other = document_id(source, new, position)
            trained_on += chance(recipe.seed, "valid", other) >= threshold

    if example is None:
        return
    yield (
        f"changed: files of {source} have other names ({example[0]} is now {example[1]}), so "
        f"{several(documents, 'document')} get other ids and are ingested again"
    )
    if held_out:
        yield _drawn_again(source, held_out, f"{trained_on:,}")


def _places(home: Home, ingested: list[Summary]) -> Iterator[tuple[str, int, str]]:
    """Path, position and id of every document of these slices; none of a damaged file."""
    columns = ("path", "position", "id")
    for summary in ingested:
        with contextlib.suppress(UserError):
            for _, rows in row_groups(home, summary, columns):
                yield from zip(*(rows.column(name).to_pylist() for name in columns))


def _validation_ids(home: Home, source: str) -> set[str]:
    """The ids of the documents of a source that the home's shards hold out; empty without
    shards."""
    try:
        opened = shards.open(home.file("shards"), "valid", source)
    except UserError:
        return set()
    return {identity for shard in opened for identity in shard.ids.to_pylist()}


def refuse_foreign(home_root: str) -> None:
    """Raise `UserError` for a folder that is not a home and not empty."""
    if is_home(home_root):
        return
    if files.exists(home_root) and not files.is_folder(home_root):
        raise UserError(f"{home_root}: a file exists there", "name a folder")

    # What a build that was killed at its very beginning leaves.
    ours = {Home(home_root).file(name) for name in ("lock", FORGOTTEN_LIST, FORGETTING)}
    if files.list_folders(home_root) or set(files.list_files(home_root)) - ours:
        raise UserError(f"{home_root}: not empty and not a home", "name a new folder")


def forget_untouched(home: Home) -> None:
    """Remove what a build that was refused before its first slice wrote into a new home.

    A home with a slice that was set aside stays: `corpus status` explains it, and the same command
    tries the slice again.
    """
    # A summary or a note means that a slice was at least tried.
    if files.list_folders(home.file("summaries")) or slices_aside(home):
        return
    for name in ("recipe.toml", FORGOTTEN_LIST, FORGETTING, "work", *FOLDERS):
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

    yield from _moved_between_splits(old, new)
    before, after = dict(flat(to_dict(old))), dict(flat(to_dict(new)))
    # A threshold that is new may have been that of a profile.
    here, there = in_effect(old), in_effect(new)
    for key in sorted(before.keys() | after.keys()):
        if here.get(key) != there.get(key) and _is_said(key, old, new):
            yield f"changed: {_change(key, here, there)}; {_redone_by(key, new)}"


def _moved_between_splits(old: Recipe, new: Recipe) -> Iterator[str]:
    """Says where settings make training documents of validation documents."""
    before, after = old.shards.valid_fraction, new.shards.valid_fraction
    if old.seed != new.seed:
        yield "changed: seed: the validation documents are drawn again; most become training ones"
    elif after < before:
        yield (
            f"changed: shards.valid_fraction: about {1 - after / before:.0%} of the validation "
            "documents become training documents"
        )


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
