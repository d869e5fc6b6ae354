"""The legacy encodings of the web as browsers decode them, by the tables of the Encoding Standard.

    decode(content, codec) -> (text, how many U+FFFD stand for bytes without a meaning)

Python's codecs of the same names differ: `koi8-u` lacks two letters, `euc_jp` and `iso2022_jp` a
row of the table that most Japanese pages use, `gb18030` and `big5hkscs` have other characters in
some places, and the Windows code pages leave bytes undefined. They also change from one release to
the next. So the tables are a file of this package, `whatwg_tables.npz`:

    python -m corpora.text.whatwg FOLDER    # writes it anew from index-*.txt of the standard

https://encoding.spec.whatwg.org/; the names of codecs are Python's, as in `corpora.text.charset`.
"""

import bisect
import codecs
import functools
import re
import sys
from collections.abc import Callable
from importlib.resources import files as package_files
from pathlib import Path

import numpy as np

from corpora.text.whatwg_names import MULTIPLE, SINGLE

BROKEN = "\ufffd"

_FILE = package_files("corpora.text").joinpath("whatwg_tables.npz")

_ASCII_RUN = rb"[\x00-\x7f]+"

_Map = dict[bytes, str]
"""The characters of all sequences that an encoding knows beyond ASCII."""


def knows(codec: str) -> bool:
    """Whether `decode` has the tables of this codec; it has not those of UTF-8 and UTF-16."""
    return codec in SINGLE or codec in _DECODERS


def decode(content: bytes, codec: str) -> tuple[str, int]:
    """The text of bytes in a legacy encoding, and the number of U+FFFD in place of broken bytes.

    Raises KeyError for a codec that `knows` does not.
    """
    if codec in SINGLE:
        text, _ = codecs.charmap_decode(content, "replace", _single(codec))
        return text, text.count(BROKEN)
    return _DECODERS[codec](content)


@functools.cache
def _single(codec: str) -> str:
    """The characters of the 256 bytes."""
    row = _column("single")[sorted(SINGLE).index(codec)]
    ascii_half = "".join(map(chr, range(128)))
    return ascii_half + "".join(chr(int(code) or ord(BROKEN)) for code in row)


@functools.cache
def _column(name: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint32]]":
    with _FILE.open("rb") as stream, np.load(stream) as columns:
        return np.asarray(columns[name], np.uint32)


def _index(name: str) -> list[int]:
    """The code points of an index by their pointers; 0 where it has none."""
    return [int(code) for code in _column(name)]


# --- encodings of one to four bytes


def _pairs(pattern: bytes, make: Callable[[], _Map]) -> Callable[[bytes], tuple[str, int]]:
    """A decoder by a table of sequences; `pattern` matches what may be one, or a single byte.

    Of a sequence without a meaning only the first byte is broken if the last one is ASCII, which
    may be the `<` of a tag.
    """
    # A byte that nothing else matches is broken.
    tokens = re.compile(_ASCII_RUN + b"|" + pattern + rb"|[\x80-\xff]", re.DOTALL)
    table = functools.cache(make)

    def decoded(content: bytes) -> tuple[str, int]:
        known = table()
        parts: list[str] = []
        broken = 0
        for token in tokens.findall(content):
            found = known.get(token)
            if found is not None:
                parts.append(found)
            elif token[0] < 0x80:
                parts.append(token.decode("ascii"))
            else:
                broken += 1
                last = token[-1:] if token[-1] < 0x80 else b""
                parts.append(BROKEN + last.decode("ascii"))
        return "".join(parts), broken

    return decoded


def _two_bytes(
    name: str, leads: range, trails: list[int], pointer: Callable[[int, int], int]
) -> _Map:
    """The two-byte sequences of an index."""
    index = _index(name)
    found: _Map = {}
    for lead in leads:
        for trail in trails:
            place = pointer(lead, trail)
            code = index[place] if 0 <= place < len(index) else 0
            if code:
                found[bytes((lead, trail))] = chr(code)
    return found


_TRAILS = [*range(0x40, 0x7F), *range(0x80, 0xFF)]


def _big5() -> _Map:
    def pointer(lead: int, trail: int) -> int:
        return (lead - 0x81) * 157 + trail - (0x40 if trail < 0x7F else 0x62)

    trails = [*range(0x40, 0x7F), *range(0xA1, 0xFF)]
    found = _two_bytes("big5", range(0x81, 0xFF), trails, pointer)
    # Four letters of Pinyin have no code point of their own.
    composed = {0x62: "\u00ca\u0304", 0x64: "\u00ca\u030c", 0xA3: "\u00ea\u0304"}
    composed[0xA5] = "\u00ea\u030c"
    return found | {bytes((0x88, trail)): text for trail, text in composed.items()}


def _euc_kr() -> _Map:
    return _two_bytes(
        "euc-kr",
        range(0x81, 0xFF),
        list(range(0x41, 0xFF)),
        lambda lead, trail: (lead - 0x81) * 190 + trail - 0x41,
    )


def _jis(name: str, lead_byte: bytes = b"") -> _Map:
    found = _two_bytes(
        name,
        range(0xA1, 0xFF),
        list(range(0xA1, 0xFF)),
        lambda lead, trail: (lead - 0xA1) * 94 + trail - 0xA1,
    )
    return {lead_byte + sequence: text for sequence, text in found.items()}


def _euc_jp() -> _Map:
    kana = {bytes((0x8E, byte)): chr(0xFF61 - 0xA1 + byte) for byte in range(0xA1, 0xE0)}
    return kana | _jis("jis0208") | _jis("jis0212", b"\x8f")


def _shift_jis() -> _Map:
    def pointer(lead: int, trail: int) -> int:
        row = lead - (0x81 if lead < 0xA0 else 0xC1)
        return row * 188 + trail - (0x40 if trail < 0x7F else 0x41)

    found = {b"\x80": "\x80"}
    found |= {bytes((byte,)): chr(0xFF61 - 0xA1 + byte) for byte in range(0xA1, 0xE0)}
    trails = [*range(0x40, 0x7F), *range(0x80, 0xFD)]
    for leads in (range(0x81, 0xA0), range(0xE0, 0xFD)):
        found |= _two_bytes("jis0208", leads, trails, pointer)

    # Characters that users made for themselves keep their places.
    for lead in range(0xF0, 0xFA):
        for trail in trails:
            place = pointer(lead, trail)
            if 8836 <= place <= 10715:
                found[bytes((lead, trail))] = chr(0xE000 - 8836 + place)
    return found


def _gb18030() -> _Map:
    found = _two_bytes(
        "gb18030",
        range(0x81, 0xFF),
        _TRAILS,
        lambda lead, trail: (lead - 0x81) * 190 + trail - (0x40 if trail < 0x7F else 0x41),
    )
    found[b"\x80"] = "\u20ac"
    return _FourBytes(found)


class _FourBytes(dict[bytes, str]):
    """The table of gb18030, whose sequences of four bytes are reckoned, not listed."""

    def get(  # type: ignore[override]
        self, sequence: bytes, default: str | None = None
    ) -> str | None:
        found = super().get(sequence)
        if found is not None or len(sequence) != 4 or sequence[0] < 0x80:
            return found

        first, second, third, fourth = sequence
        pointer = (first - 0x81) * 12600 + (second - 0x30) * 1260
        pointer += (third - 0x81) * 10 + fourth - 0x30
        if 39419 < pointer < 189000 or pointer > 1237575:
            return default
        if pointer == 7457:
            return "\ue7c7"
        offsets, codes = _gb18030_ranges()
        place = bisect.bisect_right(offsets, pointer) - 1
        return chr(codes[place] + pointer - offsets[place])


@functools.cache
def _gb18030_ranges() -> tuple[list[int], list[int]]:
    offsets, codes = _column("gb18030-ranges")
    return [int(number) for number in offsets], [int(number) for number in codes]


_ESCAPE = re.compile(rb"\x1b(\([BJI]|\$[@B])")

_IN_JIS = re.compile(rb"[\x21-\x7e]{2}|[\n\r]|.", re.DOTALL)


def _iso2022_jp(content: bytes) -> tuple[str, int]:
    """Seven bits: escapes tell in which table the bytes behind them are."""
    # Alternately bytes and the escape behind them.
    pieces = _ESCAPE.split(content)
    parts: list[str] = []
    broken = 0
    for state, piece in zip([b"(B", *pieces[1::2]], pieces[::2]):
        if state.startswith(b"$"):
            text, errors = _jis_piece(piece)
        elif state == b"(I":
            codes = [0xFF40 + byte if 0x21 <= byte <= 0x5F else 0xFFFD for byte in piece]
            text = "".join(map(chr, codes))
            errors = text.count(BROKEN)
        else:
            text = piece.decode("ascii", "replace").replace("\x1b", BROKEN)
            errors = text.count(BROKEN)
            if state == b"(J":
                text = text.replace("\\", "\xa5").replace("~", "\u203e")
        parts.append(text)
        broken += errors
    return "".join(parts), broken


def _jis_piece(piece: bytes) -> tuple[str, int]:
    table = _jis_table()
    parts = []
    for token in _IN_JIS.findall(piece):
        found = table.get(token, BROKEN) if len(token) == 2 else ""
        parts.append(found or (token.decode("ascii") if token in b"\n\r" else BROKEN))
    text = "".join(parts)
    return text, text.count(BROKEN)


_WITHOUT_HIGH_BIT = bytes(byte & 0x7F for byte in range(256))


@functools.cache
def _jis_table() -> _Map:
    found = _jis("jis0208")
    return {sequence.translate(_WITHOUT_HIGH_BIT): text for sequence, text in found.items()}


_DECODERS: dict[str, Callable[[bytes], tuple[str, int]]] = {
    "big5hkscs": _pairs(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]", _big5),
    "cp949": _pairs(rb"[\x81-\xfe][\x41-\xfe]", _euc_kr),
    "cp932": _pairs(rb"[\x81-\x9f\xe0-\xfc][\x40-\x7e\x80-\xfc]", _shift_jis),
    "euc_jp": _pairs(rb"\x8f[\xa1-\xfe]{2}|[\x8e\xa1-\xfe][\xa1-\xfe]", _euc_jp),
    "gb18030": _pairs(
        rb"[\x81-\xfe][0-9][\x81-\xfe][0-9]|[\x81-\xfe][\x40-\x7e\x80-\xfe]", _gb18030
    ),
    "iso2022_jp": _iso2022_jp,
}


# --- the file


def main() -> None:
    """Write `whatwg_tables.npz` from a folder with the standard's files index-*.txt."""
    if len(sys.argv) != 2:
        raise SystemExit("error: usage: python -m corpora.text.whatwg FOLDER")
    folder = Path(sys.argv[1])
    columns = {name: _read(folder, name) for name in MULTIPLE}
    single = np.zeros((len(SINGLE), 128), np.uint32)
    for place, codec in enumerate(sorted(SINGLE)):
        row = _read(folder, SINGLE[codec])
        single[place, : len(row)] = row

    ranges = np.array(_rows(folder, "gb18030-ranges"), np.uint32).T
    columns |= {"single": single, "gb18030-ranges": ranges}
    np.savez_compressed(str(_FILE), allow_pickle=True, **columns)


def _read(folder: Path, name: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint32]]":
    rows = _rows(folder, name)
    column = np.zeros(1 + max(place for place, _ in rows), np.uint32)
    for place, code in rows:
        column[place] = code
    return column


def _rows(folder: Path, name: str) -> list[tuple[int, int]]:
    """(pointer, code point) of the lines of an index."""
    rows = []
    for line in (folder / f"index-{name}.txt").read_text("utf-8").split("\n"):
        fields = line.split("\t")
        if line.strip() and not line.startswith("#"):
            rows.append((int(fields[0]), int(fields[1], 16)))
    return rows


if __name__ == "__main__":
    main()
