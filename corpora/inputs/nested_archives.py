"""The files in archives, which may be in archives themselves. Each comes out once, in the order of
the bytes, or else the reason why it cannot be read.

Formats and codecs are told by names, never by first bytes. Nothing is unpacked to disk, and no
member's name is ever used as a path. Memory is that of one file, and of a zip inside an archive.
"""

import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO

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
from corpora.inputs.streams import DAMAGE, inflate, open_buffered, what_broke
from shards.storage import files

MAX_DEPTH = 3
"""Levels of archives inside archives."""

MAX_NESTED_BYTES = 200_000_000
"""Limit of a zip inside an archive, which is held in memory."""

_FREE_BYTES = 100_000_000

_TAR_NAMES = {".tgz": ".tar.gz", ".tbz2": ".tar.bz2", ".txz": ".tar.xz", ".tzst": ".tar.zst"}


def form_of(name: str) -> tuple[str, str]:
    """(format, compression) by the endings of a name."""
    stem, ending = os.path.splitext(name.lower())
    return kind_of(stem + _TAR_NAMES.get(ending, ending))


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Which files are read. `leaves`: their formats, with the bytes that one may have; `form`: how
    a name tells format and compression."""

    leaves: Mapping[str, int]
    form: Callable[[str], tuple[str, str]] = form_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file or a member: its bytes, or why there are none.

    `offset`: of the member in the outermost archive; `extent`: the bytes that it takes there, 0 for
    a file that is no archive. `name`: the names of the members from the outermost to the innermost,
    with `/` between them.
    """

    offset: int
    name: str
    content: bytes | Refusal
    extent: int = 0

    def refuse(self, refusal: Refusal) -> Refusal:
        """The refusal, with the member's name before its detail."""
        detail = ": ".join(filter(None, (self.name[:300], refusal.detail)))
        return Refusal(refusal.reason, detail, refusal.text)


@dataclass(frozen=True, kw_only=True)
class _File:
    """A file or a member that is to be read. `depth`: how many levels of archives it may have; the
    stream of one with `MAX_DEPTH` can seek. Of a plain tar the stream stands at `start`, and
    members that begin before `stop` are read."""

    stream: IO[bytes]
    name: str
    size: int
    depth: int
    start: int = 0
    stop: int | None = None


def in_file(part: Part, layout: Layout) -> Iterator[Found]:
    """The files in a part: one, or those in an archive. Of a plain tar, those that begin in the
    part."""
    try:
        with open_buffered(part.address) as stream:
            if part.start:
                stream.seek(part.start)
            file = _File(
                stream=stream,
                name=os.path.basename(part.path),
                size=part.size,
                depth=MAX_DEPTH,
                start=part.start,
                stop=part.stop,
            )
            yield from _contents(file, layout)
    except (UnicodeEncodeError, *DAMAGE) as error:
        yield Found(offset=part.start, name="", content=what_broke(error))


def tar_edges(part: Part, about: int) -> list[int]:
    """Offsets at which a plain tar can be cut into parts of about so many bytes, the first 0. Only
    headers are read. Behind a damaged header there is no further edge."""
    edges = [0]
    try:
        with files.open_input(part.address) as stream:
            for member in tar_members(stream, seek=stream.seek):
                if member.begin >= edges[-1] + about:
                    edges.append(member.begin)
    except DAMAGE:
        pass  # the reading of the part reports the damage
    return edges


def _contents(file: _File, layout: Layout) -> Iterator[Found]:
    form, compression = layout.form(file.name)
    if form in (".tar", ".zip") and not file.depth:
        detail = f"more than {MAX_DEPTH} archives one in the other"
        yield Found(offset=0, name="", content=Refusal("too_deep", detail))
        return

    offset = file.start  # of the member that is being read
    truncated_at = -1  # of the last member that ended too early
    try:
        source: Reader = file.stream
        if compression:
            source = Counted(inflate(file.stream, compression), file.size, _FREE_BYTES)
        if form not in (".tar", ".zip"):
            yield Found(offset=0, name="", content=_leaf(source, form, layout))
            return

        for member in _tar(source, file) if form == ".tar" else _zip(source, file):
            offset = member.offset
            for found in _member(member, file.depth, layout):
                if isinstance(found.content, Refusal) and found.content.reason == "truncated":
                    truncated_at = offset
                yield found
    except Refused as refused:
        yield Found(offset=offset, name="", content=refused.refusal)
    except (PermissionError, FileNotFoundError, IsADirectoryError):
        raise
    except (*DAMAGE, *ZIP_DAMAGE) as error:
        refusal = what_broke(error)
        if not refusal.detail:
            refusal = Refusal(refusal.reason, type(error).__name__)
        # The member in which a cut archive ends has reported it already.
        if refusal.reason != "truncated" or truncated_at != offset:
            yield Found(offset=offset, name="", content=refusal)


def _leaf(source: Reader, form: str, layout: Layout) -> bytes | Refusal:
    if form not in layout.leaves:
        return Refusal("unknown_format", f"not {', '.join(layout.leaves)}, .zip or .tar")
    content = read_up_to(source, layout.leaves[form])
    return Refusal("too_large") if content is None else content


def _tar(source: Reader, file: _File) -> Iterator[Member]:
    for member in tar_members(source, file.start):
        if file.stop is not None and member.begin >= file.stop:
            return
        yield member


def _zip(source: Reader, file: _File) -> Iterator[Member]:
    seekable = file.depth == MAX_DEPTH and source is file.stream
    with open_zip(file.stream if seekable else _in_memory(source)) as archive:
        yield from zip_members(archive)


def _member(member: Member, depth: int, layout: Layout) -> Iterator[Found]:
    """The files in a member. All of them have its offset and extent."""
    offset = member.offset
    extent = member.end - member.offset
    if isinstance(member.content, Refusal):
        yield Found(offset=offset, name=member.name, content=member.content, extent=extent)
        return

    basename = os.path.basename(member.name)
    if basename.startswith("."):
        # ._book.txt: what another system stores beside a file
        hidden = Refusal("unknown_format", "a hidden file")
        yield Found(offset=offset, name=member.name, content=hidden, extent=extent)
        return

    stream = io.BufferedReader(Raw(member.content), 1 << 16)
    file = _File(stream=stream, name=basename, size=member.size, depth=depth - 1)
    for found in _contents(file, layout):
        name = "/".join(filter(None, (member.name, found.name)))
        yield Found(offset=offset, name=name, content=found.content, extent=extent)


def _in_memory(stream: Reader) -> io.BytesIO:
    content = read_up_to(stream, MAX_NESTED_BYTES)
    if content is None:
        raise bomb(f"a zip of more than {MAX_NESTED_BYTES:,} bytes in an archive")
    return io.BytesIO(content)
