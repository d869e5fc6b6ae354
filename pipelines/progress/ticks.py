"""Ticks: how far a slice is, in a small file that the child maps into memory and writes as it goes.

A tick costs about a microsecond, and the last one survives the child's death: a slice that kills
its child is reported with the record it had reached. The file holds three whole numbers (records,
bytes, position), a path that ends with NUL, and the peak of memory at its end. A reader may see a
tick half written, which a display can bear.
"""

import mmap
import os
import struct
import tempfile
from dataclasses import dataclass

from shards.storage import files

_FIELDS = struct.Struct("<QQq")

_PEAK = struct.Struct("<Q")

_SIZE = 1024

_tick_map: mmap.mmap | None = None


@dataclass(frozen=True)
class Tick:
    """How far a slice is.

    `records`, `done`: records and bytes of input so far; `path`, `position`: the record it has
    reached, or a `note` at -1; `peak`: bytes of memory the slice took at most, with its parser's;
    0 until it ends.
    """

    records: int = 0
    done: int = 0
    position: int = 0
    path: str = ""
    peak: int = 0

    @property
    def at(self) -> str:
        """The record that the slice has reached, or what it does."""
        if self.path and self.position >= 0:
            return f"{self.path} @ {self.position}"
        return self.path


def new_tick_file(home_root: str) -> str:
    """Create a tick file for one try of one slice, on this machine; returns its path.

    Below a local home, where a sweep removes the files of a killed build.
    """
    folder = None
    if not files.is_remote(home_root):
        folder = os.path.abspath(files.join(home_root, "work"))
        os.makedirs(folder, exist_ok=True)
    descriptor, path = tempfile.mkstemp(prefix=f"{files.TEMPORARY}tick-", dir=folder)
    os.ftruncate(descriptor, _SIZE)  # the size that the child maps
    os.close(descriptor)
    return path


def open_ticks(path: str | None) -> None:
    """Let `tick` write to this file from now on; None: nowhere. Called in the child."""
    global _tick_map
    if path is None:
        _tick_map = None
        return
    with open(path, "r+b") as stream:
        _tick_map = mmap.mmap(stream.fileno(), _SIZE)


def tick(records: int, done: int, path: str = "", position: int = 0) -> None:
    """Write how far the running slice is; costs about a microsecond."""
    if _tick_map is not None:
        # a path too long is cut: what matters is that the file keeps its size
        name = path.encode("utf-8", "replace")[: _SIZE - _FIELDS.size - _PEAK.size - 2]
        _FIELDS.pack_into(_tick_map, 0, records, done, position)
        _tick_map[_FIELDS.size : _FIELDS.size + len(name) + 1] = name + b"\0"


def note(text: str) -> None:
    """Write what the slice does, in place of the record that it has reached; its position is -1."""
    if _tick_map is not None:
        records, done, _ = _FIELDS.unpack_from(_tick_map)
        _FIELDS.pack_into(_tick_map, 0, records, done, -1)
        content = text.encode()
        _tick_map[_FIELDS.size : _FIELDS.size + len(content) + 1] = content + b"\0"


def tell_peak(peak: int) -> None:
    """Write how much memory the slice took, in bytes."""
    if _tick_map is not None:
        _PEAK.pack_into(_tick_map, _SIZE - _PEAK.size, peak)


def read_tick(path: str) -> Tick:
    """The last tick in the file; an empty one when there is no file."""
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except FileNotFoundError:
        return Tick()
    # the file is created before it gets its size
    if len(content) < _FIELDS.size:
        return Tick()

    records, done, position = _FIELDS.unpack_from(content)
    name = content[_FIELDS.size : -_PEAK.size].split(b"\0", 1)[0]
    peak = _PEAK.unpack_from(content, len(content) - _PEAK.size)[0]
    return Tick(records, done, position, name.decode("utf-8", "replace"), peak)
