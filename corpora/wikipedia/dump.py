"""MediaWiki dumps as pages: a file, or a range of one, cut into `<page>` elements without parsing
the XML around them.

In a text every `<` is escaped, so `<page` stands only where a page begins. A page that has no end
before the next one begins is reported as lost. A page belongs to the range in which it begins, and
is read to its end beyond the range. Its position is

    in .xml, and in inflated .gz .xz .zst    the offset of `<page`
    in .bz2, of one stream or of many        the offset of the bzip2 block in which it begins,
                                             plus its number among the pages of that block

So no position depends on how a file is cut, and no index of a multistream dump is needed. Memory is
that of one page.
"""

import codecs
import html
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from corpora.document import MAX_DOCUMENT_BYTES, Part, Refusal, Reject
from corpora.inputs.bzip2_blocks import Block, read_blocks
from corpora.inputs.streams import open_inflated
from shards.storage import files

_HEAD_BYTES = 1_000_000

_WINDOW = 1 << 20

_COMPRESSIONS = {b"BZh": ".bz2", b"\x1f\x8b\x08": ".gz", b"\xfd7z": ".xz", b"\x28\xb5\x2f": ".zst"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a dump says before its first page.

    `wiki`: its database name (enwiki); `language`: the dump's own code; `base`: the address of its
    main page; `namespaces`: number and name of each; `declares`: it has a document type, which is
    never read.
    """

    is_dump: bool
    encoding: str
    wiki: str | None = None
    language: str | None = None
    base: str | None = None
    namespaces: tuple[tuple[int, str], ...] = ()
    declares: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RawPage:
    """The bytes of one `<page>` element, in the encoding of the dump."""

    position: int
    content: bytes


def compression_of(address: str) -> str:
    """One of .bz2, .gz, .xz, .zst, or "", by the first bytes: a dump's name may end in anything.
    Raises OSError."""
    with files.open_input(address) as stream:
        return _COMPRESSIONS.get(bytes(stream.read(3)), "")


def read_head(address: str, compression: str) -> Head:
    """The head of a dump, from its first megabyte at most. Raises the errors of the decoders for
    damage."""
    raw = _read_beginning(address, compression)
    encoding = _encoding(raw)
    text = raw[:_HEAD_BYTES].decode(encoding, "replace")
    head, page, _ = text.partition("<page")
    root = re.search(r"<mediawiki\b([^>]{0,2000})", head)
    language = re.search(r"xml:lang\s*=\s*[\"']([\w-]{1,30})", root[1]) if root else None
    namespaces = re.findall(r"<namespace\s+key=\"(-?\d{1,9})\"[^>/]{0,200}>([^<]{1,200})<", head)
    return Head(
        # A damaged head cannot be recognised, so such a file counts as a dump with damage.
        is_dump=bool(root or page or (compression and not raw)),
        encoding=encoding,
        wiki=_element(head, "dbname"),
        language=language[1] if language else None,
        base=_element(head, "base"),
        namespaces=tuple((int(key), html.unescape(name)) for key, name in namespaces),
        declares="<!DOCTYPE" in head or "<!ENTITY" in head,
    )


def _read_beginning(address: str, compression: str) -> bytes:
    """The first bytes of a dump, with the end of its head if that is in the first megabyte."""
    raw = b""
    in_place = compression in ("", ".bz2")
    with files.open_input(address) if in_place else open_inflated(address, compression) as stream:
        for block in read_blocks(stream) if compression == ".bz2" else _windows(stream, 0):
            raw += block.data or b""
            # in UTF-16 there is a zero byte beside every letter
            ended = b"</siteinfo" in raw.replace(b"\0", b"")
            if ended or len(raw) >= _HEAD_BYTES or block.data is None:
                break
    return raw


def _element(head: str, name: str) -> str | None:
    match = re.search(rf"<{name}>([^<]{{1,2000}})</{name}>", head)
    return html.unescape(match[1]).strip() if match else None


def _encoding(raw: bytes) -> str:
    """The encoding by the first bytes, then by the declaration; UTF-8 if there is none."""
    if raw[:2] == b"\xff\xfe" or raw[:2] == b"<\0":
        return "utf-16-le"
    if raw[:2] == b"\xfe\xff" or raw[:2] == b"\0<":
        return "utf-16-be"
    declared = re.match(
        rb"(?:\xef\xbb\xbf)?\s*<\?xml[^>]{0,200}encoding\s*=\s*[\"']([\w.-]{1,40})", raw
    )
    try:
        name = codecs.lookup(declared[1].decode("ascii")).name if declared else "utf-8"
        return name if "<page".encode(name) == b"<page" else "utf-8"
    except (LookupError, UnicodeError):
        return "utf-8"


def read_pages(part: Part, compression: str, encoding: str) -> Iterator[RawPage | Reject]:
    """The pages that begin in a part of a dump, in order, and a reject in place of each lost one.

    A file of .gz, .xz or .zst cannot be divided: its first part yields all pages. Raises the errors
    of its decoder for damage.
    """
    if compression not in ("", ".bz2"):
        if part.start:
            return
        splitter = _Splitter(part.path, None, encoding, exact=True)
        with open_inflated(part.address, compression) as stream:
            yield from splitter.split(_windows(stream, 0))
        return

    splitter = _Splitter(part.path, part.stop, encoding, exact=not compression)
    with files.open_input(part.address) as stream:
        if compression:
            yield from splitter.split(read_blocks(stream, part.start))
        else:
            stream.seek(part.start)
            yield from splitter.split(_windows(stream, part.start))


def _windows(stream: IO[bytes], offset: int) -> Iterator[Block]:
    # A buffered reader would lose what was inflated before damage.
    reader = stream.raw if isinstance(stream, io.BufferedReader) else stream
    while True:
        data = bytes(reader.read(_WINDOW) or b"")
        if not data:
            return
        yield Block(offset=offset, size=len(data), data=data)
        offset += len(data)


class _Splitter:
    """Cuts the blocks of a dump into pages, and holds what is open between two blocks. `exact`: the
    blocks are the bytes of the file themselves, and positions are offsets."""

    def __init__(self, path: str, stop: int | None, encoding: str, exact: bool) -> None:
        self._path = path
        self._stop = stop
        self._encoding = encoding
        self._exact = exact
        self._opening = "<page".encode(encoding)
        self._closing = "</page>".encode(encoding)
        self._after_name = tuple(character.encode(encoding) for character in " \t\r\n>/")

        # The open page: its position, and whether it has passed the limit. `_rest` holds its bytes
        # so far, of one too large only the last; without an open page, a possible part of a tag.
        self._page: int | None = None
        self._too_large = False
        self._rest = b""

        # The block in which the last page began, the number of pages that began there, and the
        # block before the current one.
        self._owner = self._earlier = Block(offset=-1, size=0, data=b"")
        self._number = 0
        self._stopped = False

    def split(self, blocks: Iterator[Block]) -> Iterator[RawPage | Reject]:
        """The pages of the blocks, to the last one that begins before `stop`."""
        for block in blocks:
            if block.data is None:
                yield from self._skip(block)
            else:
                yield from self._pages(block, block.data)
                self._earlier = block
            if self._stopped or (self._page is None and self._is_beyond(block.offset)):
                return
        if self._page is not None:
            yield from self._lose("truncated", "the dump ends inside of the page", self._rest)

    def _is_beyond(self, offset: int) -> bool:
        return self._stop is not None and offset >= self._stop

    def _skip(self, block: Block) -> Iterator[RawPage | Reject]:
        """Report a block that cannot be read, and the open page."""
        reason = "truncated" if block.cut else "damaged"
        if self._page is not None:
            yield from self._lose(reason, "the end of the page cannot be read", self._rest)
        self._rest = b""
        if not self._is_beyond(block.offset):
            what = "the file ends inside of a block" if block.cut else "a block cannot be read"
            detail = f"{what}: {block.size:,} bytes, with the pages in them"
            yield Refusal(reason, detail).at(self._path, block.offset)

    def _pages(self, block: Block, content: bytes) -> Iterator[RawPage | Reject]:
        """The pages that end in a block."""
        data = self._rest + content
        border = len(self._rest)  # the block begins here
        at = 0  # the open page begins here, or the search for the next one
        while True:
            if self._page is None:
                at = self._find_opening(data, at)
                if at < 0:
                    return
                if not self._open(block, at - border):
                    self._stopped = True
                    return

            end = data.find(self._closing, max(at, border - len(self._closing)))
            next_page = self._find_next_page(data, at, border, end)
            if next_page >= 0:
                start = data[at:next_page]
                yield from self._lose("truncated", "the next page begins before its end", start)
                at = next_page
            elif end < 0:
                self._too_large = self._too_large or len(data) - at > MAX_DOCUMENT_BYTES
                self._rest = data[-2 * len(self._closing) :] if self._too_large else data[at:]
                return
            else:
                end += len(self._closing)
                yield from self._finish(data, at, end)
                at = end

    def _find_opening(self, data: bytes, at: int) -> int:
        """The place of the next `<page` tag; -1 if there is none, and then what may be the
        beginning of one is kept."""
        while True:
            at = data.find(self._opening, at)
            if at < 0:
                self._rest = data[-len(self._opening) + 1 :]
                return -1
            name_end = at + len(self._opening)
            if len(data) < name_end + len(self._after_name[0]):
                self._rest = data[at:]
                return -1
            if data.startswith(self._after_name, name_end):
                return at
            at = name_end

    def _open(self, block: Block, at: int) -> bool:
        """Begin a page at this place of the block, which is negative for one that begins in the
        block before. False for a page that belongs to the next part."""
        begins_in = block if at >= 0 else self._earlier
        if begins_in is not self._owner:
            self._owner = begins_in
            self._number = 0
        offset = block.offset + at if self._exact else self._owner.offset
        if self._is_beyond(offset):
            return False
        self._page = offset if self._exact else offset + self._number
        self._number += 1
        return True

    def _find_next_page(self, data: bytes, at: int, border: int, end: int) -> int:
        """The place of a `<page` tag before the end of the open page, -1 if there is none. What was
        searched with an earlier block is not searched again."""
        # The rest of a page that is too large does not begin with its own tag.
        behind_tag = at if self._too_large else at + len(self._opening)
        unsearched = border - len(self._opening) - len(self._after_name[0])
        stop = end if end >= 0 else len(data)
        place = data.find(self._opening, max(behind_tag, unsearched), stop)
        while place >= 0 and not data.startswith(self._after_name, place + len(self._opening)):
            place = data.find(self._opening, place + 1, stop)
        return place

    def _finish(self, data: bytes, at: int, end: int) -> tuple[RawPage | Reject, ...]:
        if self._too_large or end - at > MAX_DOCUMENT_BYTES:
            return self._lose("too_large", f"over {MAX_DOCUMENT_BYTES} bytes", b"")
        assert self._page is not None
        return self._close(RawPage(position=self._page, content=data[at:end]))

    def _lose(self, reason: str, detail: str, start: bytes) -> tuple[RawPage | Reject, ...]:
        """Close the open page as lost. `start`: its bytes, of which the beginning is kept."""
        assert self._page is not None
        text = start[:4000].decode(self._encoding, "replace")
        return self._close(Refusal(reason, detail, text).at(self._path, self._page))

    def _close(self, outcome: RawPage | Reject) -> tuple[RawPage | Reject, ...]:
        """The outcome of the open page. Numbered positions must not reach the next block, whose
        offset is this one's plus its bytes: a hostile block may hold that many pages."""
        self._page = None
        self._too_large = False
        if self._exact or self._number < self._owner.size:
            return (outcome,)
        if self._number > self._owner.size:
            return ()
        detail = "more pages than bytes in a block: the rest of them is passed over"
        return (Refusal("damaged", detail).at(self._path, outcome.position),)
