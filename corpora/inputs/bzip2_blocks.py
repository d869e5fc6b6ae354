"""bzip2 files by blocks, from any place in them: what makes a dump of one stream as divisible as
one of many.

A block (at most 900 kB of data before its own run-length step) begins with a magic of 48 bits at
any bit of the file and can be decoded alone, as `bzip2recover` does: its bits between a header and
a footer that hold its own checksum. So a reader may begin anywhere, a damaged block costs that
block, and where a stream begins or ends does not matter. A magic that stands in the data by chance
(once in 2**48 bits) is noticed, since the block before it does not decode, and is passed over.
"""

import bz2
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

_BLOCK, _END = 0x314159265359, 0x177245385090

_MAGIC_BITS, _CHECKSUM_BITS = 48, 32

_WINDOW = 1 << 20

MAX_BLOCK_BYTES = 4_000_000
"""Compressed bytes after which a block without an end is given up; the largest real one has a
little over 900,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block that begins at byte `offset` of the file and takes `size` bytes of it. `data`:
    inflated, None where it cannot be; `cut`: the file ends inside it."""

    offset: int
    size: int
    data: bytes | None
    cut: bool = False


def read_blocks(stream: IO[bytes], start: int = 0) -> Iterator[Block]:
    """The blocks of a seekable file that begin at byte `start` or later, in order. Memory: some MB,
    whatever the file holds."""
    scanner = _Scanner(stream, start)
    while (begin := scanner.next_block()) is not None:
        end, data, cut = _decode(scanner, begin)
        scanner.drop_before(end)
        yield Block(offset=begin // 8, size=max((end + 7) // 8 - begin // 8, 1), data=data, cut=cut)


def _decode(scanner: "_Scanner", begin: int) -> tuple[int, bytes | None, bool]:
    """(bit at which the block ends, its data, whether the file ends before it does)."""
    for number in (
        0,
        1,
    ):  # the next magic, or the one behind it where that one stands there by chance
        end = scanner.magic_after(begin, number)
        if end is None:
            break
        try:
            return end, bz2.decompress(_alone(scanner.bits(begin, end))), False
        except (OSError, ValueError):
            continue
    end = scanner.magic_after(begin, 0)
    if end is not None:
        return end, None, False
    return scanner.last_bit(), None, scanner.ended


def _alone(block: tuple[int, int]) -> bytes:
    """A stream of one block: header, its bits, footer. `block`: (the bits as a number, how
    many)."""
    bits, length = block
    checksum = (
        bits >> (length - _MAGIC_BITS - _CHECKSUM_BITS) & (1 << _CHECKSUM_BITS) - 1
        if length >= _MAGIC_BITS + _CHECKSUM_BITS
        else 0
    )
    bits = bits << (_MAGIC_BITS + _CHECKSUM_BITS) | _END << _CHECKSUM_BITS | checksum
    length += _MAGIC_BITS + _CHECKSUM_BITS
    return b"BZh9" + (bits << -length % 8).to_bytes((length + 7) // 8, "big")


class _Scanner:
    """A window over the file and the magics found in it, as numbers of bits from the file's
    beginning."""

    def __init__(self, stream: IO[bytes], start: int) -> None:
        stream.seek(start)
        self._stream, self._base, self._buffer, self.ended = stream, start, b"", False
        self._magics: deque[tuple[int, bool]] = deque()

    def next_block(self) -> int | None:
        """The bit at which the first block of the window begins; None at the end of the file."""
        while True:
            while self._magics:
                bit, is_block = self._magics[0]
                if is_block:
                    self.drop_before(bit)
                    return bit
                self._magics.popleft()
            if self.ended:
                return None
            self.drop_before((self._base + max(len(self._buffer) - 7, 0)) * 8)
            self._fill()

    def magic_after(self, begin: int, number: int) -> int | None:
        """The bit of the magic that follows the one at `begin` (`number` 1: the one after that);
        None within MAX_BLOCK_BYTES."""
        while True:
            later = [bit for bit, _ in self._magics if bit > begin]
            if len(later) > number:
                return later[number]
            if self.ended or len(self._buffer) > MAX_BLOCK_BYTES:
                return None
            self._fill()

    def bits(self, begin: int, end: int) -> tuple[int, int]:
        """The bits [begin, end) of the file as a number, and how many they are."""
        first, last = begin // 8 - self._base, (end + 7) // 8 - self._base
        number = int.from_bytes(self._buffer[first:last], "big") >> -end % 8
        return number & (1 << end - begin) - 1, end - begin

    def last_bit(self) -> int:
        """Where the window ends."""
        return (self._base + len(self._buffer)) * 8

    def drop_before(self, bit: int) -> None:
        """Forget what lies before a bit."""
        while self._magics and self._magics[0][0] < bit:
            self._magics.popleft()
        self._buffer = self._buffer[bit // 8 - self._base :]
        self._base = bit // 8

    def _fill(self) -> None:
        seen = max(len(self._buffer) - 7, 0)
        last = self._magics[-1][0] if self._magics else self._base * 8 - 1
        more = self._stream.read(_WINDOW)
        self.ended = not more
        self._buffer += more
        found = sorted(
            ((self._base + seen) * 8 + bit, is_block)
            for magic, is_block in ((_BLOCK, True), (_END, False))
            for bit in _find(self._buffer[seen:] if seen else self._buffer, magic)
        )
        self._magics.extend(item for item in found if item[0] > last)


def _find(data: bytes, magic: int) -> Iterator[int]:
    """The bits at which `magic` stands in `data`. Of its bytes those that are whole at a shift are
    searched for, the rest is compared."""
    for shift in range(8):
        pattern = (magic << (8 - shift) % 8).to_bytes(7 if shift else 6, "big")
        whole = pattern[1:6] if shift else pattern
        lead = 1 if shift else 0
        at = data.find(whole, lead)
        while at >= 0:
            first = at - lead
            if not shift or (
                len(data) > first + 6
                and data[first] & (0xFF >> shift) == pattern[0]
                and data[first + 6] & (0xFF << (8 - shift) & 0xFF) == pattern[6]
            ):
                yield first * 8 + shift
            at = data.find(whole, at + 1)
