"""`corpus clean`: remove what a killed build left behind."""

from contextlib import nullcontext

from pipelines.commands.arguments import HomeFolder


def clean(
    home: HomeFolder, /, work: bool = False, lock: bool = False, dry_run: bool = False
) -> int:
    """Remove the temporary files of killed builds.

    Args:
        work: Also remove work/, which the next build restores as needed.
        lock: Also remove the lock that a killed build left on an object store. Make sure that no
            build is running. A local home needs no such thing: its lock ends with the build.
        dry_run: Only print what would be removed.
    """
    from pipelines.home.layout import open_home
    from pipelines.home.lock import locked
    from pipelines.home.sweep import clean as sweep
    from shards.storage.files import is_remote

    opened, _ = open_home(home, for_reading=True)
    # a dry run changes nothing, and a stale lock of an object store cannot be taken
    is_stale = lock and is_remote(home)
    with nullcontext() if dry_run or is_stale else locked(opened):
        for address in sweep(home, work, lock, dry_run):
            print(address)
    return 0
