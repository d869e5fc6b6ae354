"""What a killed build left behind: temporary files, and with `work` all that the next build could make again."""

from collections.abc import Iterator

from pyarrow import fs as pafs

from pipelines.home import open_home
from shards import files


def clean(home_root: str, work: bool, lock: bool, dry_run: bool) -> Iterator[str]:
    """Addresses of what goes, and unless `dry_run` their removal. Raises `UserError` where there is no home."""
    home, _ = open_home(home_root)
    file_system, root = files.resolve(home_root)
    for info in sorted(file_system.get_file_info(pafs.FileSelector(root, recursive=True)), key=lambda info: info.path):
        if info.type == pafs.FileType.File and info.base_name.startswith(files.TEMPORARY):
            yield info.path
            if not dry_run:
                file_system.delete_file(info.path)
    if work and files.exists(home.file("work")):
        yield home.file("work")
        if not dry_run:
            files.remove(home.file("work"))
    if lock and files.is_remote(home_root) and files.exists(home.file("lock")):
        yield home.file("lock")
        if not dry_run:
            files.remove(home.file("lock"))
