"""MediaWiki dumps as pages: a file, or a range of one, cut into `<page>` elements without parsing
the XML around them.

Inside of a text every `<` is escaped, so that `<page` stands only where a page begins; one that has
no end before the next begins is named as lost. A page belongs to the range in which it begins, and
is read to its end beyond it. Its position is

    in .bz2, whether of one stream or many     the offset of the bzip2 block in which it begins + its number among those of that block
    in .xml, and inflated .gz .xz .zst         the offset of `<page`

so that no position depends on how a file is cut, and no index of a multistream dump is needed.
Memory is that of one page.
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
    """What stands before the first page. `wiki`: its database name (enwiki); `language`: the dump's
    own code; `base`: the address of its main page; `namespaces`: number and name; `declares`: a
    document type stands there, which is never read."""

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
    """The head of a dump: the first megabyte at most. Raises what the decoders do on damage."""
    raw = b""
    with (
        files.open_input(address)
        if compression in ("", ".bz2")
        else open_inflated(address, compression) as stream
    ):
        for block in read_blocks(stream) if compression == ".bz2" else _windows(stream, 0):
            raw += block.data or b""
            if (
                b"</siteinfo" in raw.replace(b"\0", b"")
                or len(raw) >= _HEAD_BYTES
                or block.data is None
            ):
                break
    encoding = _encoding(raw)
    text = raw[:_HEAD_BYTES].decode(encoding, "replace")
    head, page, _ = text.partition("<page")
    root = re.search(r"<mediawiki\b([^>]{0,2000})", head)
    language = re.search(r"xml:lang\s*=\s*[\"']([\w-]{1,30})", root[1]) if root else None
    return Head(
        is_dump=bool(root or page or (compression and not raw)),  # the head may be what is damaged
        encoding=encoding,
        wiki=_element(head, "dbname"),
        language=language[1] if language else None,
        base=_element(head, "base"),
        namespaces=tuple(
            (int(key), html.unescape(name))
            for key, name in re.findall(
                r"<namespace\s+key=\"(-?\d{1,9})\"[^>/]{0,200}>([^<]{1,200})<", head
            )
        ),
        declares="<!DOCTYPE" in head or "<!ENTITY" in head,
    )


def _element(head: str, name: str) -> str | None:
    match = re.search(rf"<{name}>([^<]{{1,2000}})</{name}>", head)
    return html.unescape(match[1]).strip() if match else None


def _encoding(raw: bytes) -> str:
    """By the first bytes, then by the declaration; UTF-8 where there is none."""
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
    """The pages that begin in a part of a dump, in order; what is lost between them by its place.
    Raises what the decoders of .gz, .xz and .zst do on damage; those are read by their first part,
    whole."""
    if compression not in ("", ".bz2"):
        if part.start:
            return
        with open_inflated(part.address, compression) as stream:
            yield from _split(_windows(stream, 0), part.path, None, encoding, exact=True)
        return
    with files.open_input(part.address) as stream:
        if compression:
            blocks = read_blocks(stream, part.start)
            yield from _split(blocks, part.path, part.stop, encoding, exact=False)
            return
        stream.seek(part.start)
        blocks = _windows(stream, part.start)
        yield from _split(blocks, part.path, part.stop, encoding, exact=True)


def _windows(stream: IO[bytes], offset: int) -> Iterator[Block]:
    reader = (
        stream.raw if isinstance(stream, io.BufferedReader) else stream
    )  # what was inflated before damage comes out
    while data := bytes(reader.read(_WINDOW) or b""):
        yield Block(offset=offset, size=len(data), data=data)
        offset += len(data)


def _split(
    blocks: Iterator[Block], path: str, stop: int | None, encoding: str, exact: bool
) -> Iterator[RawPage | Reject]:
    """`exact`: the blocks are the bytes of the file themselves, and positions are offsets."""
    opening, closing = "<page".encode(encoding), "</page>".encode(encoding)
    after = tuple(character.encode(encoding) for character in " \t\r\n>/")
    held = b""  # of earlier blocks: the open page, else what may be the beginning of a tag
    position: int | None = None  # of the open page
    too_large = False
    owner = earlier = Block(
        offset=-1, size=0, data=b""
    )  # in which pages begin; and the one before this
    number = 0  # of the pages that have begun in `owner`

    def lost(position: int, reason: str, detail: str, start: bytes = b"") -> Reject:
        return Refusal(reason, detail, start.decode(encoding, "replace")).at(path, position)

    def placed(outcome: RawPage | Reject) -> tuple[RawPage | Reject, ...]:
        """No position may reach into the next block, whose offset is this one's and its bytes."""
        if exact or number < owner.size:
            return (outcome,)
        detail = "more pages than bytes in a block: the rest of them is passed over"
        return (lost(outcome.position, "damaged", detail),) if number == owner.size else ()

    for block in blocks:
        if block.data is None:
            why = "truncated" if block.cut else "damaged"
            if position is not None:
                yield from placed(
                    lost(position, why, "the end of the page cannot be read", held[:4000])
                )
            if stop is not None and block.offset >= stop:
                return
            where = "the file ends inside of a block" if block.cut else "a block cannot be read"
            yield lost(block.offset, why, f"{where}: {block.size:,} bytes, with the pages in them")
            held, position, too_large = b"", None, False
            continue
        data, border = held + block.data, len(held)
        at = 0
        while True:
            if position is None:
                at = data.find(opening, at)
                if at < 0:
                    held = data[-len(opening) + 1 :]
                    break
                if len(data) < at + len(opening) + len(after[0]):
                    held = data[at:]
                    break
                if not data.startswith(after, at + len(opening)):
                    at += len(opening)
                    continue
                begins_in = block if at >= border else earlier
                if begins_in is not owner:
                    owner, number = begins_in, 0
                place = block.offset + at - border if exact else owner.offset
                if stop is not None and place >= stop:
                    return
                position = place if exact else owner.offset + number
                number += 1
            end = data.find(closing, max(at, border - len(closing)))
            begun = (
                at if too_large else at + len(opening)
            )  # of a page that is too large only the last bytes are held
            again = _tag(
                data, opening, after, max(begun, border - len(opening) - len(after[0])), end
            )
            if again >= 0:
                yield from placed(
                    lost(
                        position,
                        "truncated",
                        "the next page begins before its end",
                        data[at:again][:4000],
                    )
                )
                at, position, too_large = again, None, False
                continue
            if end < 0:
                too_large = too_large or len(data) - at > MAX_DOCUMENT_BYTES
                held = data[-2 * len(closing) :] if too_large else data[at:]
                break
            end += len(closing)
            if too_large or end - at > MAX_DOCUMENT_BYTES:
                yield from placed(lost(position, "too_large", f"over {MAX_DOCUMENT_BYTES} bytes"))
            else:
                yield from placed(RawPage(position=position, content=data[at:end]))
            at, position, too_large = end, None, False
        earlier = block
        if position is None and stop is not None and block.offset >= stop:
            return
    if position is not None:
        yield from placed(
            lost(position, "truncated", "the dump ends inside of the page", held[:4000])
        )


def _tag(data: bytes, opening: bytes, after: tuple[bytes, ...], begin: int, end: int) -> int:
    """Where a `<page` tag stands in [begin, end), -1 if nowhere; `end` -1 is the end of the
    data."""
    at = data.find(opening, begin, end if end >= 0 else len(data))
    while at >= 0 and not data.startswith(after, at + len(opening)):
        at = data.find(opening, at + 1, end if end >= 0 else len(data))
    return at
