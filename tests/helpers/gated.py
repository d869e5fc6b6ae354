"""A user's source with a gate: it reads text files, and at `gate.txt` says who has reached it and
waits until a file GO is there."""

import os
import time
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
        folder = Path(part.address).parent.parent
        if part.path == "gate.txt" and (folder / "GATE").exists():
            (
                folder / f"reached-{os.getppid()}-{os.getpid()}"
            ).touch()  # the worker, and the child of its pool
            while not (folder / "GO").exists():
                time.sleep(0.05)
        yield Document(path=part.path, position=0, text=files.read_bytes(part.address).decode())
