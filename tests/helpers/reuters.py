"""A user's own source, as docs/sources.md describes it: the SGML of Reuters-21578, a document a
story."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from corpora.document import Document, Reject, Slice, Source, SourceOptions
from corpora.inputs.find import find, group
from shards.storage import files


@dataclass(frozen=True, kw_only=True)
class ReutersOptions(SourceOptions):
    """Options of the tests' own source."""

    kind: str = "reuters:source"
    min_characters: int = 0
    """Shorter bodies are the reject `too_short`."""


def source() -> Source:
    return Source(options=ReutersOptions, slices=slices, read=read)


def slices(options: ReutersOptions) -> Iterator[Slice]:
    return group(find(options.input), options.slice_bytes)


def read(options: ReutersOptions, piece: Slice) -> Iterator[Document | Reject]:
    for part in piece.parts:
        text = files.read_bytes(part.address).decode("latin-1")
        for story in re.finditer(r"<REUTERS.*?NEWID=\"(\d+)\".*?</REUTERS>", text, re.DOTALL):
            body = re.search(r"<BODY>(.*?)</BODY>", story.group(), re.DOTALL)
            position = story.start()
            if body is None:
                yield Reject(
                    path=part.path, position=position, reason="no_body", text=story.group()[:200]
                )
            elif len(body.group(1)) < options.min_characters:
                yield Reject(
                    path=part.path, position=position, reason="too_short", text=body.group(1)
                )
            else:
                yield Document(
                    path=part.path,
                    position=position,
                    text=html.unescape(body.group(1)),
                    language="en",
                    extra={"id": story.group(1)},
                )
