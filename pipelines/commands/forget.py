"""`corpus forget`: a home and its shards without some documents."""

from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from pipelines.commands.arguments import HomeFolder
from pipelines.commands.flags import HomeFlags
from pipelines.commands.work import work_on_home
from pipelines.wording import print_json, say, several
from shards.errors import UserError

if TYPE_CHECKING:
    from corpora.quality.forgotten import Forgotten
    from pipelines.stages.forget import Listed, Named
    from pipelines.stages.job import Job

MOST = 20
"""Documents of each kind that are printed; --json names all."""


def forget(
    home: HomeFolder,
    forgotten: Annotated[str, tyro.conf.arg(metavar="LIST")],
    /,
    copies: Literal["return", "forget"] = "return",
    dry_run: bool = False,
    workers: int | None = None,
    json: bool = False,
) -> int:
    """Take documents out of a home and its shards, as if they had never been read.

    The list is kept in the home, and no later build reads what is on it. What depends on nothing
    that was forgotten is not done again.

    Args:
        forgotten: A text file: one id, hash of a text, address or host per line.
        copies: What becomes of documents that were removed as duplicates of a forgotten one.
            return: one of them takes its place; forget: they are forgotten too.
        dry_run: Only print what would be forgotten.
        workers: Number of child processes; 0 does all work in this process. Default: one per core.
        json: Print one JSON object.
    """
    from corpora.quality.forgotten import read_forgotten

    entries = read_forgotten((forgotten,))
    if not entries:
        raise UserError(
            f"{forgotten}: an empty list", "write one id, hash, address or host per line"
        )

    def work(job: "Job") -> None:
        _forget(job, entries, copies == "forget", dry_run, json)

    return work_on_home(HomeFlags(home, workers), [], work)


def _forget(job: "Job", entries: "Forgotten", with_copies: bool, dry_run: bool, json: bool) -> None:
    import dataclasses

    from corpora.quality.forgotten import Forgotten
    from pipelines.home.forgotten import keep_forgotten
    from pipelines.home.layout import FORGOTTEN_LIST, open_home, write_recipe
    from pipelines.stages import forget as stage
    from pipelines.stages.forget import complete_forgetting

    complete_forgetting(job)  # of an earlier command that was killed
    home, recipe = job.home, job.recipe
    found = stage.find_listed(home, recipe, entries)
    nothing = stage.names_nothing(home, found, entries)
    ids = {document.id for document in stage.named_documents(home, found)}
    if with_copies:
        entries |= Forgotten(hashes=frozenset(stage.with_copies(home, recipe, ids)))
        found = stage.find_listed(home, recipe, entries)

    named = stage.named_documents(home, found)
    copies = stage.copies_of(home, recipe, {document.id for document in named})
    seen = stage.trained_on(home, recipe, found)
    if json:
        print_json({**_told(named, copies, found, seen), "names_nothing": nothing})
    else:
        _print(named, copies, found, seen)
        _warn(nothing)
    if dry_run:
        return

    keep_forgotten(home, entries)
    if not recipe.forget:
        write_recipe(home, dataclasses.replace(recipe, forget=(FORGOTTEN_LIST,)))
        job = dataclasses.replace(job, recipe=open_home(home.root)[1])
    again = stage.take_out(job, found)
    _redo(job, again)


def _warn(nothing: list[str]) -> None:
    """Say which lines of the list name nothing, since one of them may be mistyped."""
    if not nothing:
        return
    shown = ", ".join(nothing[:5])
    more = f" and {len(nothing) - 5:,} more" if len(nothing) > 5 else ""
    verb = "names" if len(nothing) == 1 else "name"
    say(
        f"warning: {several(len(nothing), 'line')} of the list {verb} nothing in this "
        f"home: {shown}{more}; no later build reads what they name"
    )


def _redo(job: "Job", again: bool) -> None:
    """Run the stages over what has changed."""
    from pipelines.build import ALL, check_shards, run_stages
    from pipelines.home.layout import INGEST, SURVEY
    from shards.storage import files

    if not files.exists(job.home.file("shards", "manifest.json")):
        say(f"forget: no shards yet; {job.home.build_command} goes on without these documents")
        return
    # The inputs are not needed, and need not be there any more.
    names = ALL if again else tuple(name for name in ALL if name not in (SURVEY, INGEST))
    run_stages(job, names)
    check_shards(job)


def _told(
    named: "list[Named]", copies: "list[Named]", found: "list[Listed]", seen: int | None
) -> dict[str, object]:
    removed = [copy for copy in copies if copy.twin]
    return {
        "schema_version": 1,
        "forgotten": named,
        "rejects": sum(int(listed.rejects.sum()) for listed in found),
        "slices": len(found),
        "copies": removed,
        "kept_copies": [copy.id for copy in copies if not copy.twin],
        "vocabulary_trained_on": seen,
    }


def _print(
    named: "list[Named]",
    copies: "list[Named]",
    found: "list[Listed]",
    seen: int | None,
) -> None:
    rejects = sum(int(listed.rejects.sum()) for listed in found)
    for document in named[:MOST]:
        print(f"forgotten: {document.source} {document.id} {document.url or ''}".rstrip())
    removed = [copy for copy in copies if copy.twin]
    for copy in removed[:MOST]:
        print(f"copy: {copy.source} {copy.id} was removed ({copy.kind}) for {copy.twin}")
    stay = [copy for copy in copies if not copy.twin]
    for copy in stay[:MOST]:
        print(f"stays: {copy.id}, for which a forgotten document had been removed")

    for kind, listed in (("forgotten", named), ("copies", removed), ("that stay", stay)):
        if len(listed) > MOST:
            say(f"{len(listed) - MOST:,} more {kind}: --json names all")
    say(
        f"forget: {several(len(named), 'document')} and {several(rejects, 'reject')} "
        f"in {several(len(found), 'slice')}"
    )
    if removed:
        say(
            f"forget: of {len(removed):,} that were removed as their copies, those that are no "
            "copies of others come back; --copies forget forgets them too"
        )
    if seen:
        say(
            f"forget: the vocabulary was trained on {seen:,} of these documents and stays: what it "
            "learned from them cannot be taken out; corpus build --retrain trains it again, which "
            "writes all shards anew"
        )
