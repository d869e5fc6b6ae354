"""What a home has forgotten: one list, which only grows, so that no later build brings back what is
on it.

The list is written before anything is removed, and `forgetting.txt` stands beside it until all is.
So a killed `corpus forget` is completed by the next build.
"""

from corpora.quality.forgotten import Forgotten, read_forgotten
from pipelines.home.layout import FORGETTING, FORGOTTEN_LIST, Home
from shards.storage import files


def forgotten_by(home: Home) -> Forgotten:
    """Everything that a home has forgotten. Raises `UserError` for a damaged list."""
    address = home.file(FORGOTTEN_LIST)
    return read_forgotten((address,)) if files.exists(address) else Forgotten()


def keep_forgotten(home: Home, more: Forgotten) -> bool:
    """Add entries to the list of a home; True when there are new ones."""
    before = forgotten_by(home)
    after = before | more
    if after == before:
        return False

    files.write_bytes(home.file(FORGETTING), b"corpus forget has not ended: the next build does\n")
    files.write_bytes(home.file(FORGOTTEN_LIST), after.lines().encode())
    return True


def keep_lists(home: Home, lists: tuple[str, ...]) -> tuple[str, ...]:
    """Add the lists of a recipe to that of a home; returns what its own recipe names then."""
    address = home.file(FORGOTTEN_LIST)
    others = tuple(name for name in lists if name != address)
    keep_forgotten(home, read_forgotten(others))
    return (address,) if forgotten_by(home) else ()


def is_forgetting(home: Home) -> bool:
    """Whether documents on the list may still be in the home."""
    return files.exists(home.file(FORGETTING))


def all_forgotten(home: Home) -> None:
    """Note that nothing on the list is in the home any more."""
    files.remove(home.file(FORGETTING))
