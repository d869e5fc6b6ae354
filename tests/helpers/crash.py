"""The states that a loss of power may leave behind: file operations are recorded, and every state
that a file system with a journal may show after it is made anew.

The model: what an `fsync` of a file has written is on the disk; a new name, a rename, a removal or
a new folder is on the disk for sure once the folder that it is in was flushed, and before that it
may be there or not, whatever was done later. A folder that is not there holds no files. A file that
was not flushed may be whole, empty, or cut.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shards.storage import files


@dataclass(frozen=True)
class Put:
    """A file appears under its name, or replaces the one that had it."""

    path: str
    content: bytes
    flushed: bool


@dataclass(frozen=True)
class PutFolder:
    """A folder with files appears; `flushed` tells that all its files and their names were."""

    path: str
    content: tuple[tuple[str, bytes], ...]
    flushed: bool


@dataclass(frozen=True)
class MakeFolder:
    """A new folder appears, with nothing in it yet."""

    path: str


@dataclass(frozen=True)
class Grow:
    """A file that has a name, and to which something was appended, is flushed."""

    path: str
    content: bytes


@dataclass(frozen=True)
class Remove:
    """A file, or a folder with all in it, goes."""

    path: str


@dataclass(frozen=True)
class Flush:
    """A folder is flushed: all that was done to its names is on the disk."""

    path: str


Event = Put | PutFolder | MakeFolder | Grow | Remove | Flush

State = dict[str, bytes]
"""The files below a folder, by relative path."""


class Recorder:
    """Records what is done to the files below `root` while the block runs."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root = os.path.realpath(root)
        self.events: list[Event] = []
        self.flushed: set[str] = set()
        for name, function in {
            "replace": self.replace,
            "rename": self.replace,
            "fsync": self.fsync,
            "unlink": self.unlink,
            "mkdir": self.mkdir,
        }.items():
            patch.setattr(os, name, self.beside(getattr(os, name), function))
        patch.setattr(files, "remove", self.beside(files.remove, self.removed))
        patch.setattr(shutil, "rmtree", self.beside(shutil.rmtree, self.removed))

    def beside(
        self, original: Callable[..., Any], record: Callable[..., None]
    ) -> Callable[..., Any]:
        """The original function, and the record of what it does."""

        def both(*arguments: Any, **named: Any) -> Any:
            # Before: a file that is renamed or removed is no longer there afterwards.
            record(*arguments)
            return original(*arguments, **named)

        return both

    def relative(self, path: Any) -> str | None:
        """The path below the root, None for one that is elsewhere or temporary."""
        whole = os.path.realpath(os.fspath(path).removeprefix("file://"))
        if not whole.startswith(self.root + os.sep):
            return None
        return os.path.relpath(whole, self.root)

    def replace(self, source: Any, target: Any) -> None:
        """A rename of a file or of a folder; one to a temporary name removes what had a name."""
        path = self.relative(target)
        if path is None:
            return
        if is_temporary(path):
            self.unlink(source)
            return

        if not os.path.isdir(source):
            flushed = os.path.realpath(source) in self.flushed
            self.events.append(Put(path, Path(source).read_bytes(), flushed))
            return

        inner = sorted(each for each in Path(source).rglob("*") if each.is_file())
        content = tuple((str(each.relative_to(source)), each.read_bytes()) for each in inner)
        needed = {os.path.realpath(each) for each in [source, *inner]}
        self.events.append(PutFolder(path, content, needed <= self.flushed))

    def fsync(self, descriptor: int) -> None:
        """A flush of a file or a folder."""
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        self.flushed.add(path)
        relative = os.path.relpath(path, self.root)
        if path != self.root and self.relative(path) is None:
            return
        if os.path.isdir(path):
            self.events.append(Flush(relative))
        elif not any(is_temporary(part) for part in relative.split(os.sep)):
            self.events.append(Grow(relative, Path(path).read_bytes()))

    def mkdir(self, path: Any, *rest: Any) -> None:
        """A new folder; what is in a temporary one is told by its rename."""
        relative = self.relative(path)
        if relative is None or any(is_temporary(part) for part in relative.split(os.sep)):
            return
        if not os.path.exists(path):
            self.events.append(MakeFolder(relative))

    def unlink(self, path: Any, *rest: Any) -> None:
        """The removal of a file that had its final name."""
        relative = self.relative(path) if isinstance(path, (str, os.PathLike)) else None
        if relative is not None and not is_temporary(relative):
            self.events.append(Remove(relative))

    def removed(self, path: Any, *rest: Any) -> None:
        """The removal of a file or a folder."""
        relative = self.relative(path)
        if relative is None or is_temporary(relative):
            return
        if os.path.exists(os.path.join(self.root, relative)):
            self.events.append(Remove(relative))


def is_temporary(path: str) -> bool:
    """Whether a path is one that no program reads."""
    return os.path.basename(path).startswith(files.TEMPORARY)


def apply(state: State, event: Event, size: str = "whole") -> None:
    """Do to a state what an event does; files that were not flushed get a `size`: whole, empty or
    cut, and of a folder the last file is cut."""
    if isinstance(event, Put):
        state[event.path] = event.content if event.flushed else sized(event.content, size)
    elif isinstance(event, PutFolder):
        for name, content in event.content:
            state[f"{event.path}/{name}"] = content
        if not event.flushed and size != "whole":
            state[f"{event.path}/{name}"] = sized(content, size)
    elif isinstance(event, Grow) and event.path in state:
        state[event.path] = event.content
    elif isinstance(event, Remove):
        for path in inside(state, event.path):
            del state[path]


def sized(content: bytes, size: str) -> bytes:
    """What is left of a file."""
    return {"whole": content, "empty": b"", "cut": content[: len(content) // 2]}[size]


def inside(state: State, path: str) -> list[str]:
    """A file, or the files in a folder."""
    return sorted(name for name in state if f"{name}/".startswith(f"{path}/"))


def folder_of(event: Put | PutFolder | MakeFolder | Remove) -> str:
    """The folder whose flush puts the event on the disk."""
    return os.path.dirname(event.path) or "."


def states(events: list[Event], before: State | None = None) -> Iterator[State]:
    """Every state that a crash may leave behind, each once; the last one is that of no crash.

    At each point: nothing, everything, and each single one of the operations that are not on the
    disk for sure; unflushed files whole, empty and cut in the middle; and a folder whose removal
    had just begun.
    """
    seen: set[int] = set()
    for end in range(len(events) + 1):
        for state in states_at(events[:end], before or {}):
            key = hash(frozenset(state.items()))
            if key not in seen:
                seen.add(key)
                yield state


def states_at(done: list[Event], before: State) -> Iterator[State]:
    """The states that a crash may leave behind after these operations."""
    if done and isinstance(done[-1], Remove):
        state = state_of(done[:-1], before, set(), "whole")
        for path in inside(state, done[-1].path)[:1]:
            del state[path]
        yield state

    pending = []
    flushed: set[str] = set()
    for number in range(len(done) - 1, -1, -1):
        event = done[number]
        if isinstance(event, Flush):
            flushed.add(event.path)
        elif not isinstance(event, Grow) and folder_of(event) not in flushed:
            pending.append(number)

    unsure = [event for event in done if isinstance(event, (Put, PutFolder)) and not event.flushed]
    choices: list[set[int]] = [set(pending), set(), *({number} for number in pending)]
    for kept in choices:
        for size in ("whole", "empty", "cut") if unsure else ("whole",):
            yield state_of(done, before, set(pending) - kept, size)


def state_of(done: list[Event], before: State, lost: set[int], size: str) -> State:
    """The files after these operations without the `lost` ones; unflushed files of a `size`."""
    state = dict(before)
    for number, event in enumerate(done):
        if number not in lost:
            apply(state, event, size)

    for number in lost:
        event = done[number]
        if isinstance(event, MakeFolder):
            for path in inside(state, event.path):
                del state[path]
    return state


def write_state(state: State, root: Path) -> Path:
    """A folder of these files."""
    shutil.rmtree(root, ignore_errors=True)
    for path, content in state.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return root


def read_state(root: Path) -> State:
    """The files below a folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            found[str(path.relative_to(root))] = path.read_bytes()
    return found
