"""TODO-DOC pipelines/commands/clean.py."""

from contextlib import nullcontext


def clean(home: str, /, work: bool = False, lock: bool = False, dry_run: bool = False) -> int:
    """HOME: remove what a killed build left behind.

    Args:
        home: The folder of a build.
        work: Also remove work/, which the next build would make again.
        lock: Also remove the lock of a build that has ended, on an object store.
        dry_run: Only say what would go.
    """
    from pipelines.home.layout import open_home
    from pipelines.home.lock import locked
    from pipelines.home.sweep import clean as sweep

    with nullcontext() if dry_run or lock else locked(open_home(home, for_reading=True)[0]):
        for address in sweep(home, work, lock, dry_run):
            print(address)
    return 0
