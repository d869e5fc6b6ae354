"""A source of one document per file, which knows no language: a user's own kind."""

from collections.abc import Iterator

from corpora.document import Document, Reject, Slice, Source, SourceOptions
from corpora.inputs.find import find, group


def source() -> Source:
    """Each file is one document: its own name, a hundred times."""
    return Source(options=SourceOptions, slices=slices, read=read)


def slices(options: SourceOptions) -> Iterator[Slice]:
    return group(find(options.input), options.slice_bytes)


def read(options: SourceOptions, piece: Slice) -> Iterator[Document | Reject]:
    for part in piece.parts:
        yield Document(path=part.path, position=0, text=f"{part.path} " * 100)
