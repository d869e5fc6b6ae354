"""Removes what a killed build left behind: temporary files and, on request, the folder `work` and a
stale lock.

Everything in `work` can be restored by the next build. The walk over a home takes seconds for a
million files and keeps none of their names except those it removes.
"""

import os
from collections.abc import Iterator

from pipelines.home.layout import open_home
from shards.storage import files


def clean(home_root: str, work: bool, lock: bool, dry_run: bool) -> Iterator[str]:
    """Remove leftovers and yield the address of each; with `dry_run` only yield them.

    Raises `UserError` where there is no home.
    """
    home, _ = open_home(home_root, for_reading=True)

    # An object store has no temporary files: an object appears as a whole or not at all.
    if not files.is_remote(home_root):
        for path in sorted(_temporary(os.path.abspath(home_root.removeprefix("file://")))):
            yield path
            if not dry_run:
                os.unlink(path)

    if work and files.exists(home.file("work")):
        yield home.file("work")
        if not dry_run:
            files.remove(home.file("work"))

    if lock and files.is_remote(home_root) and files.exists(home.file("lock")):
        yield home.file("lock")
        if not dry_run:
            files.remove(home.file("lock"))


def _temporary(root: str) -> Iterator[str]:
    """The paths of temporary files below a folder."""
    for folder, _, names in os.walk(root):
        for name in names:
            if name.startswith(files.TEMPORARY):
                yield os.path.join(folder, name)
