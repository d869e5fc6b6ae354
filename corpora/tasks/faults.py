"""What every reader of tasks gives and refuses."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from shards.errors import UserError

Item = TypeVar("Item", covariant=True)


@dataclass(frozen=True)
class Read(Generic[Item]):
    """The examples of a split in the order of its files, and how many of its rows were left out or
    changed, by reason."""

    items: tuple[Item, ...]
    counts: dict[str, int] = field(default_factory=Counter)


def fault(path: Path, place: str, what: str, hint: str = "") -> UserError:
    """The error of a file: `dev.tsv, line 3: ...`."""
    where = f"{path}, {place}" if place else str(path)
    return UserError(f"{where}: {what}", hint or "give the file as it was published")


def read_bytes(path: Path) -> bytes:
    """The content of a file. Raises `UserError` when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise fault(path, "", f"cannot be read ({error.strerror})", "check the path") from None


def decode(path: Path, line: bytes, number: int) -> str:
    """A line as text. Raises `UserError` when it is not UTF-8."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise fault(path, f"line {number}", "not UTF-8", "convert the file to UTF-8") from None
