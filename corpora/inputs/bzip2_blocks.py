"""bzip2 files read by blocks, from any place in them. So a dump of one stream can be divided like a
dump of many.

A block (at most 900 kB of data before its own run-length step) begins with a magic of 48 bits at
any bit of the file. It can be decoded alone, as `bzip2recover` does: its bits are put between a
header and a footer that holds the block's own checksum. So a reader may begin anywhere, a damaged
block costs only that block, and the borders of streams do not matter. A magic that stands in the
data by chance (once in 2**48 bits) is noticed, since the block before it does not decode, and is
skipped.
"""

import bz2
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

_BLOCK = 0x314159265359
"""The magic of a block: the digits of pi."""

_END = 0x177245385090
"""The magic at the end of a stream: the digits of its square root."""

_MAGIC_BITS = 48

_CHECKSUM_BITS = 32

_WINDOW = 1 << 20

MAX_BLOCK_BYTES = 4_000_000
"""A block without an end within so many compressed bytes is given up; the largest real one has
little more than 900,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block that begins at byte `offset` of the file and takes `size` bytes of it. `data`: the
    inflated bytes, None if they cannot be decoded. `cut`: the file ends inside the block."""

    offset: int
    size: int
    data: bytes | None
    cut: bool = False


def read_blocks(stream: IO[bytes], start: int = 0) -> Iterator[Block]:
    """The blocks of a seekable file that begin at byte `start` or later, in order. Memory is some
    MB, whatever the file holds."""
    scanner = _Scanner(stream, start)
    while True:
        begin = scanner.next_block()
        if begin is None:
            return
        end, data, cut = _decode(scanner, begin)
        scanner.drop_before(end)
        size = (end + 7) // 8 - begin // 8
        yield Block(offset=begin // 8, size=max(size, 1), data=data, cut=cut)


def _decode(scanner: "_Scanner", begin: int) -> tuple[int, bytes | None, bool]:
    """(bit at which the block ends, its data, whether the file ends before the block does)."""
    # The block ends at the next magic, or at the one after it if the first stands there by chance.
    for number in (0, 1):
        end = scanner.magic_after(begin, number)
        if end is None:
            break
        try:
            return end, bz2.decompress(_alone(*scanner.bits(begin, end))), False
        except (OSError, ValueError):
            continue

    end = scanner.magic_after(begin, 0)
    if end is not None:
        return end, None, False
    return scanner.last_bit(), None, scanner.ended


def _alone(bits: int, length: int) -> bytes:
    """A stream of one block: header, the block's `length` bits, footer."""
    footer_bits = _MAGIC_BITS + _CHECKSUM_BITS
    checksum = 0
    if length >= footer_bits:  # the block's checksum follows its magic
        checksum = bits >> (length - footer_bits) & (1 << _CHECKSUM_BITS) - 1

    # A stream's checksum is that of its only block.
    bits = bits << footer_bits | _END << _CHECKSUM_BITS | checksum
    length += footer_bits
    return b"BZh9" + (bits << -length % 8).to_bytes((length + 7) // 8, "big")


class _Scanner:
    """A window over the file and the magics found in it. All places are numbers of bits from the
    beginning of the file."""

    def __init__(self, stream: IO[bytes], start: int) -> None:
        stream.seek(start)
        self._stream = stream
        self._base = start
        self._buffer = b""
        self._magics: deque[tuple[int, bool]] = deque()  # (bit, whether it begins a block)
        self.ended = False

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
            # The last 7 bytes may hold the beginning of a magic.
            self.drop_before((self._base + max(len(self._buffer) - 7, 0)) * 8)
            self._fill()

    def magic_after(self, begin: int, number: int) -> int | None:
        """The bit of the magic that follows the one at `begin` (`number` 1: of the second that
        follows); None if there is none within `MAX_BLOCK_BYTES`."""
        while True:
            later = [bit for bit, _ in self._magics if bit > begin]
            if len(later) > number:
                return later[number]
            if self.ended or len(self._buffer) > MAX_BLOCK_BYTES:
                return None
            self._fill()

    def bits(self, begin: int, end: int) -> tuple[int, int]:
        """The bits [begin, end) of the file as one number, and how many they are."""
        first = begin // 8 - self._base
        last = (end + 7) // 8 - self._base
        number = int.from_bytes(self._buffer[first:last], "big") >> -end % 8
        return number & (1 << end - begin) - 1, end - begin

    def last_bit(self) -> int:
        """The bit at which the window ends."""
        return (self._base + len(self._buffer)) * 8

    def drop_before(self, bit: int) -> None:
        """Move the window on, so that it begins at a bit."""
        while self._magics and self._magics[0][0] < bit:
            self._magics.popleft()
        self._buffer = self._buffer[bit // 8 - self._base :]
        self._base = bit // 8

    def _fill(self) -> None:
        """Read on, and find the magics that end in the new bytes."""
        seen = max(len(self._buffer) - 7, 0)
        last = self._magics[-1][0] if self._magics else self._base * 8 - 1
        piece = self._stream.read(_WINDOW)
        self.ended = not piece
        self._buffer += piece

        begin = (self._base + seen) * 8
        data = self._buffer[seen:] if seen else self._buffer
        magics = [(begin + bit, True) for bit in _find(data, _BLOCK)]
        magics += [(begin + bit, False) for bit in _find(data, _END)]
        self._magics.extend(item for item in sorted(magics) if item[0] > last)


def _find(data: bytes, magic: int) -> Iterator[int]:
    """The bits at which `magic` stands in `data`.

    At each of the 8 shifts 5 or 6 of its bytes are whole: these are searched for, and the bits to
    both sides are compared.
    """
    for shift in range(8):
        pattern = (magic << (8 - shift) % 8).to_bytes(7 if shift else 6, "big")
        whole = pattern[1:6] if shift else pattern
        lead = 1 if shift else 0
        at = data.find(whole, lead)
        while at >= 0:
            first = at - lead
            if not shift or _edges_match(data, first, shift, pattern):
                yield first * 8 + shift
            at = data.find(whole, at + 1)


def _edges_match(data: bytes, first: int, shift: int, pattern: bytes) -> bool:
    if len(data) <= first + 6:
        return False
    head = data[first] & (0xFF >> shift)
    tail = data[first + 6] & (0xFF << (8 - shift) & 0xFF)
    return head == pattern[0] and tail == pattern[6]
