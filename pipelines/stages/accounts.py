"""What stages check before and after they run: room on the disk, and that every record is somewhere
(law 4)."""

import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pipelines.home.layout import Home
from pipelines.home.summaries import Summary
from shards.errors import UserError
from shards.storage import files


def total(found: Iterable[Summary], count: str) -> int:
    """The sum of one count over summaries."""
    return sum(summary.counts[count] for summary in found)


def sums(counted: Iterable[dict[str, int]]) -> dict[str, int]:
    """The sums by key, in the order of the keys."""
    found = Counter[str]()
    for counts in counted:
        found.update(counts)
    return dict(sorted(found.items()))


def listed(counts: dict[str, int]) -> str:
    """Counts as the end of a line: `, 3 empty, 1,200 too_short`."""
    return "".join(f", {count:,} {name}" for name, count in counts.items())


def check(what: str, expected: int, found: int) -> None:
    """Raise RuntimeError where records were lost: only a bug can do that."""
    if expected != found:
        raise RuntimeError(f"{what}: {expected} went in and {found} came out: a bug in corpusmill")


def check_disk(home: Home, needed: int, reckoning: str) -> None:
    """Raise `UserError` (exit 3) where the disk cannot hold what a stage will write.

    `needed` is in bytes, `reckoning` says where that number comes from. Files of an earlier build
    count as free, since they are written over.
    """
    if files.is_remote(home.root):
        return

    free = shutil.disk_usage(home.root).free
    # An earlier build of this home is written over, so its files count as room.
    for name in ("documents", "work", "shards"):
        for path in Path(home.file(name)).rglob("*"):
            free += path.stat().st_size if path.is_file() else 0

    if needed > free:
        raise UserError(
            f"{home.root}: {free:,} bytes free, about {needed:,} needed ({reckoning})",
            "make room, or choose a home on another disk",
            3,
        )
