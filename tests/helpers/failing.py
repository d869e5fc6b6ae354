"""Operations on files that fail once: every open, write, flush, rename and new folder below some
folders, each with an error of the system, and each before anything is done.

An operation is known by what it is, its file, and how often it was done to it. It fails the first
time that it is tried, and never again. So the same command, run until it succeeds, meets all of
them, each at another moment of its work.
"""

import builtins
import errno
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from shards.storage import files

ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EMFILE, errno.EINTR)

KINDS = ("open", "write", "flush", "rename", "mkdir")

Operation = tuple[str, str, int]
"""What is done, the file below its folder, and how often it was done to it before."""


class Failing:
    """Makes operations below `roots` fail while `patch` lasts; `errors` take turns.

    `failed` has those that failed, by their error, `kinds` by what they are. An operation fails
    where its number among all of its kind is a multiple of `only`.
    """

    def __init__(
        self, roots: tuple[Path, ...], patch: pytest.MonkeyPatch, only: Mapping[str, int]
    ) -> None:
        self.roots = [os.path.realpath(root) + os.sep for root in roots]
        self.met: set[Operation] = set()
        self.failed: Counter[int] = Counter()
        self.kinds: Counter[str] = Counter()
        self.tried: Counter[str] = Counter()
        self.only = only
        self.counts: Counter[tuple[str, str]] = Counter()
        patch.setattr(os, "fsync", self.before("flush", os.fsync, of_descriptor))
        for name in ("replace", "rename"):
            patch.setattr(os, name, self.before("rename", getattr(os, name), second))
        patch.setattr(os, "mkdir", self.before("mkdir", os.mkdir, first))
        patch.setattr(os, "open", self.before("open", os.open, first))
        patch.setattr(builtins, "open", self.opening(builtins.open))
        # What pathlib calls.
        patch.setattr(io, "open", self.opening(io.open))
        by_arrow = self.before("open", files._open_by_arrow, second)
        patch.setattr(files, "_open_by_arrow", by_arrow)
        patch.setattr(files, "map_file", self.before("open", files.map_file, first))

    def begin(self) -> None:
        """A command begins: the operations are counted anew."""
        self.counts.clear()

    def fail(self, what: str, path: str) -> None:
        """Raise the error of an operation that is tried for the first time."""
        whole = os.path.abspath(path)
        root = next((root for root in self.roots if whole.startswith(root)), None)
        if root is None:
            return
        name = re.sub(r"(\.tmp-.*?)-\d+-[0-9a-f]+$", r"\1", whole[len(root) :])
        self.counts[what, name] += 1
        operation = (what, name, self.counts[what, name])
        if operation in self.met:
            return

        self.met.add(operation)
        self.tried[what] += 1
        if self.tried[what] % self.only[what]:
            return
        number = ERRORS[self.failed.total() % len(ERRORS)]
        self.failed[number] += 1
        self.kinds[what] += 1
        raise OSError(number, os.strerror(number), path)

    def before(
        self, what: str, original: Callable[..., Any], path_of: Callable[..., str]
    ) -> Callable[..., Any]:
        """The original function, which may fail first."""

        def either(*arguments: Any, **named: Any) -> Any:
            self.fail(what, path_of(*arguments))
            return original(*arguments, **named)

        return either

    def opening(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """`open`, which may fail, and whose files may fail at each write."""

        def either(path: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            if not isinstance(path, (str, os.PathLike)):
                return original(path, mode, *arguments, **named)
            self.fail("open", os.fspath(path))
            stream = original(path, mode, *arguments, **named)
            if not set(mode) & set("wxa+"):
                return stream
            return FailingFile(stream, lambda: self.fail("write", os.fspath(path)))

        return either


class FailingFile:
    """A file that is open for writing, and may fail at each write."""

    def __init__(self, stream: Any, fail: Callable[[], None]) -> None:
        self._stream = stream
        self._fail = fail

    def write(self, content: Any) -> Any:
        """Write, or fail before anything is written."""
        self._fail()
        return self._stream.write(content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> "FailingFile":
        return self

    def __exit__(self, *error: Any) -> None:
        self._stream.close()

    def __iter__(self) -> Any:
        return iter(self._stream)


def first(path: Any, *_: Any) -> str:
    return os.fspath(path)


def second(_: Any, path: Any, *__: Any) -> str:
    return os.fspath(path)


def of_descriptor(descriptor: int) -> str:
    return os.readlink(f"/proc/self/fd/{descriptor}")
