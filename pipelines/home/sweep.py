"""What a killed build left behind: temporary files, and with `work` all that the next build could
make again."""

import os
from collections.abc import Iterator

from pipelines.home.layout import open_home
from shards.storage import files


def clean(home_root: str, work: bool, lock: bool, dry_run: bool) -> Iterator[str]:
    """Addresses of what goes, and unless `dry_run` their removal. Raises `UserError` where there is
    no home."""
    home, _ = open_home(home_root, for_reading=True)
    if not files.is_remote(home_root):  # on an object store there are none
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
    """Walks a million files in seconds, and holds none of the others."""
    for folder, _, names in os.walk(root):
        yield from (
            os.path.join(folder, name) for name in names if name.startswith(files.TEMPORARY)
        )
