"""`corpus status`: how far a build is, as lines or JSON."""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.commands.arguments import HomeFolder
from pipelines.wording import print_json
from shards.errors import in_command

if TYPE_CHECKING:
    from pipelines.look.status import Status

BY_SLICE = ("ingest", "exact", "near", "tokenize")
"""Stages whose work is every slice; the others do it for some slices, or for all at once."""


def status(home: HomeFolder, /, json: bool = False) -> int:
    """Show how far a build is.

    Args:
        json: Print one JSON object.
    """
    from pipelines.home.layout import open_home
    from pipelines.look.status import status as look_up

    figures = look_up(*open_home(home, for_reading=True))
    if json:
        print_json(figures)
        return 0
    for line in _lines(figures, home):
        print(line)
    return 0


def _lines(figures: "Status", home: str) -> Iterator[str]:
    for stage, count in figures.done.items():
        whole = f" of {figures.slices} slices" if stage in BY_SLICE else ""
        yield f"{stage:10} {count}{whole}"

    for note in figures.set_aside:
        place = f", at or after record {note.record}" if note.record else ""
        yield f"set aside: {note.stage} {note.source}/{note.slice}: {note.why}{place}"
        if note.trace:
            yield f"  its traceback: corpus status {in_command(home)} --json"

    for reason, count in figures.safety_net.items():
        yield (
            f"safety net: {count} rejected by {reason}, a limit that another machine might not "
            f"reach: corpus show {in_command(home)} --rejects --reason {reason}"
        )

    yield from _state(figures, home)


def _state(figures: "Status", home: str) -> Iterator[str]:
    """Whether the build runs, has ended or was stopped."""
    from pipelines.home.layout import Home
    from pipelines.progress.display import lines

    # of a remote home there is no snapshot: only who holds its lock is known
    if figures.running:
        yield from lines(figures.running, shutil.get_terminal_size().columns)
        return
    if figures.at_work:
        yield f"running: {figures.at_work}"
        return
    if figures.stopped:
        yield f"stopped: {figures.stopped}"
    if figures.remedy:  # the same command would be stopped again
        yield f"not complete: {figures.remedy}"
    elif figures.complete:
        yield "complete: the shards and their manifest are written"
    else:
        yield f"not complete: run {Home(home).build_command}"
