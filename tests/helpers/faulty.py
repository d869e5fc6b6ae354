"""A user's source with a fault: it reads text files, and does what a file FAULT beside them says
when it meets `bad.txt`."""

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

from corpora.document import Document, Reject, Slice, Source, SourceOptions
from corpora.inputs.find import find, group
from shards.storage import files


def source() -> Source:
    return Source(
        options=SourceOptions,
        slices=lambda options: group(find(options.input), options.slice_bytes),
        read=read,
    )


def read(options: SourceOptions, piece: Slice) -> Iterator[Document | Reject]:
    for part in piece.parts:
        fault = Path(part.address).parent.parent / "FAULT"
        if part.path == "bad.txt" and fault.exists():
            fail(fault.read_text())
        yield Document(path=part.path, position=0, text=files.read_bytes(part.address).decode())


def fail(how: str) -> None:
    if how == "segfault":
        ctypes.string_at(0)
    elif how == "memory":
        held = []
        while True:
            held.append(bytearray(50_000_000))
    elif how == "hang":
        re.match(r"(a+)+$", "a" * 60 + "b")  # hours, in C, with the interpreter's lock
    elif how == "raise":
        raise ZeroDivisionError("a bug in the user's own source")
