"""The files in archives that may lie in archives: each comes out once, in the order of the bytes,
or the reason why it cannot be had.

Formats and codecs are told by names, never by first bytes. Nothing is unpacked to disk, and no
member's name is ever a path.
"""

import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from corpora.document import Part, Refusal, Refused
from corpora.inputs.archives import (
    ZIP_DAMAGE,
    Counted,
    Member,
    Raw,
    Reader,
    bomb,
    open_zip,
    read_up_to,
    tar_members,
    zip_members,
)
from corpora.inputs.find import kind_of
from corpora.inputs.streams import DAMAGE, inflate, what_broke
from shards.storage import files

MAX_DEPTH = 3
"""Archives one in the other."""

MAX_NESTED_BYTES = 200_000_000
"""Of a zip inside an archive, which is held in memory."""

_FREE_BYTES = 100_000_000

_TAR_NAMES = {".tgz": ".tar.gz", ".tbz2": ".tar.bz2", ".txz": ".tar.xz", ".tzst": ".tar.zst"}


def form_of(name: str) -> tuple[str, str]:
    """(format, compression) by the endings of a name."""
    stem, ending = os.path.splitext(name.lower())
    return kind_of(stem + _TAR_NAMES.get(ending, ending))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What is read: `leaves`, formats of files and the bytes that one may have; and how a name
    tells its format."""

    leaves: Mapping[str, int]
    form: Callable[[str], tuple[str, str]] = form_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file or a member: its bytes, or why there are none. `offset`: in the outermost archive;
    `extent`: the bytes that the outermost member takes there, 0 where there is none. `name`: of the
    members, one in the other, with `/` between them."""

    offset: int
    name: str
    content: bytes | Refusal
    extent: int = 0

    def refuse(self, refusal: Refusal) -> Refusal:
        """The refusal, with the member's name before its detail."""
        detail = ": ".join(filter(None, (self.name[:300], refusal.detail)))
        return Refusal(refusal.reason, detail, refusal.text)


def in_file(part: Part, layout: Layout) -> Iterator[Found]:
    """What is in a file; of a part of a plain tar, what lies in that part."""
    try:
        with io.BufferedReader(files.open_input(part.address), 1 << 20) as stream:  # type: ignore[type-var]
            if part.start:
                stream.seek(part.start)
            yield from _contents(
                stream,
                os.path.basename(part.path),
                part.size,
                MAX_DEPTH,
                layout,
                part.start,
                part.stop,
            )
    except (UnicodeEncodeError, *DAMAGE) as error:
        yield Found(offset=part.start, name="", content=what_broke(error))


def tar_edges(part: Part, about: int) -> list[int]:
    """Offsets at which a plain tar can be cut into parts of about so many bytes, the first 0. Only
    headers are read; where they are damaged there is no further edge."""
    edges = [0]
    try:
        with files.open_input(part.address) as stream:
            for member in tar_members(stream, seek=stream.seek):
                if member.begin >= edges[-1] + about:
                    edges.append(member.begin)
    except DAMAGE:
        pass  # reading it will name the damage
    return edges


def _contents(
    stream: Any,
    name: str,
    size: int,
    depth: int,
    layout: Layout,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[Found]:
    """The file in a stream, or those in an archive; `depth`: archives that may be one in the other.
    `stream` can seek where `depth` is `MAX_DEPTH`; of a plain tar it stands at `start`, and the
    members before `stop` are read."""
    form, compression = layout.form(name)
    offset, told = start, -1
    try:
        if form in (".tar", ".zip") and not depth:
            yield Found(
                offset=0,
                name="",
                content=Refusal("too_deep", f"more than {MAX_DEPTH} archives one in the other"),
            )
            return
        source: Reader = (
            Counted(inflate(stream, compression), size, _FREE_BYTES) if compression else stream
        )
        if form == ".tar":
            for member in tar_members(source, start):
                if stop is not None and member.begin >= stop:
                    return
                offset = member.offset
                for found in _member(member, depth, layout):
                    if isinstance(found.content, Refusal) and found.content.reason == "truncated":
                        told = offset
                    yield found
        elif form == ".zip":
            seekable = stream if depth == MAX_DEPTH and not compression else _in_memory(source)
            with open_zip(seekable) as archive:
                for member in zip_members(archive):
                    offset = member.offset
                    yield from _member(member, depth, layout)
        elif form in layout.leaves:
            content = read_up_to(source, layout.leaves[form])
            refused = Refusal("too_large") if content is None else content
            yield Found(offset=0, name="", content=refused)
        else:
            detail = f"not {', '.join(layout.leaves)}, .zip or .tar"
            yield Found(offset=0, name="", content=Refusal("unknown_format", detail))
    except Refused as refused:
        yield Found(offset=offset, name="", content=refused.refusal)
    except (PermissionError, FileNotFoundError, IsADirectoryError):
        raise
    except (*DAMAGE, *ZIP_DAMAGE) as error:
        refusal = what_broke(error)
        if not refusal.detail:
            refusal = Refusal(refusal.reason, type(error).__name__)
        # The member that a cut archive ends in has told of it already.
        if refusal.reason != "truncated" or told != offset:
            yield Found(offset=offset, name="", content=refusal)


def _member(member: Member, depth: int, layout: Layout) -> Iterator[Found]:
    name, offset, extent = member.name, member.offset, member.end - member.offset
    if isinstance(member.content, Refusal):
        yield Found(offset=offset, name=name, content=member.content, extent=extent)
    elif os.path.basename(name).startswith("."):
        # ._book.txt: what another system keeps beside a file
        hidden = Refusal("unknown_format", "a hidden file")
        yield Found(offset=offset, name=name, content=hidden, extent=extent)
    else:
        stream = io.BufferedReader(Raw(member.content), 1 << 16)
        for found in _contents(stream, os.path.basename(name), member.size, depth - 1, layout):
            inner = "/".join(filter(None, (name, found.name)))
            yield Found(
                offset=offset,
                name=inner,
                content=found.content,
                extent=extent,
            )


def _in_memory(stream: Reader) -> io.BytesIO:
    content = read_up_to(stream, MAX_NESTED_BYTES)
    if content is None:
        raise bomb(f"a zip of more than {MAX_NESTED_BYTES:,} bytes in an archive")
    return io.BytesIO(content)
