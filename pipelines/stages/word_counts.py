"""The words of all text and how often each occurs, as byte-level BPE counts them.

Counts are 64 bits wide. Those of a slice are one Arrow file; any number of them add up to the same
table, whatever the slices are. Memory is that of the distinct words: their bytes and some 32 bytes
each.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from tokenizers import Regex, pre_tokenizers

from pipelines.stages import bpe_kernels as kernels

ENDLESS_WORD = re.compile(r"\w{2000,}|[^\w\s]{2000,}|[^\S\n]{2000,}")
"""Base64, rulers of signs, blanks: a trainer's work is the square of a word's length (a word of 1
MB takes hours), and there is nothing to learn from them."""

ENDLESS = 2000

SCHEMA = pa.schema([("word", pa.large_binary()), ("count", pa.int64())])

LAST_POINT = 0x40000
"""Beyond it there are no letters, numbers and spaces."""

ROWS = 1_000_000
"""Words in one record batch."""


@lru_cache(maxsize=1)
def character_kinds() -> NDArray[np.uint8]:
    """(0x110000,) the kind of every code point in GPT-2's pattern, by the tables of `tokenizers`,
    which decide about its own words."""
    kinds = np.zeros(0x110000, np.uint8)
    points = np.array([*range(0xD800), *range(0xE000, LAST_POINT)])
    everything = "".join(map(chr, points))
    classes = [(kernels.LETTER, r"\p{L}+"), (kernels.NUMBER, r"\p{N}+"), (kernels.SPACE, r"\s+")]
    for kind, pattern in classes:
        is_kind = np.ones(len(points), np.bool_)
        # What is removed of this kind leaves gaps between the pieces.
        split = pre_tokenizers.Split(Regex(pattern), "removed")
        for _, (begin, end) in split.pre_tokenize_str(everything):
            is_kind[begin:end] = False
        kinds[points[is_kind]] = kind
    return kinds


@dataclass
class WordCounts:
    """A table of words that grows."""

    slots: NDArray[np.int64] = field(default_factory=lambda: np.full(1 << 16, -1, np.int64))
    pool: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(1 << 19, np.uint8))
    ends: NDArray[np.int64] = field(default_factory=lambda: np.zeros((1 << 15) + 2, np.int64))
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros((1 << 15) + 1, np.int64))
    used: kernels.Int = 0
    left_out: int = 0

    def add_texts(self, texts: pa.LargeStringArray) -> None:
        """Count the words of normalised texts, line by line. Endless words are left out."""
        buffers = texts.buffers()
        if not len(texts) or buffers[2] is None:
            return
        offsets = np.frombuffer(buffers[1], np.int64)[texts.offset :][: len(texts) + 1]
        values = np.frombuffer(buffers[2], np.uint8)
        for begin, end in zip(offsets.tolist(), offsets[1:].tolist()):
            if kernels.has_endless_run(values, begin, end, ENDLESS):
                text, left_out = ENDLESS_WORD.subn(" ", values[begin:end].tobytes().decode())
                self.left_out += left_out
                mended = np.frombuffer(text.encode(), np.uint8)
                self._count(mended, 0, len(mended))
            else:
                self._count(values, begin, end)

    def _count(self, values: NDArray[np.uint8], begin: kernels.Int, end: int) -> None:
        while True:
            begin, self.used = kernels.count_words(
                values,
                begin,
                end,
                character_kinds(),
                self.slots,
                self.pool,
                self.ends,
                self.counts,
                self.used,
            )
            if begin == end:
                return
            self._grow(int(end - begin))

    def add_batch(self, batch: pa.RecordBatch) -> None:
        """Add counted words, of `SCHEMA`."""
        words = batch.column(0)
        if not len(words):
            return
        ends = np.frombuffer(words.buffers()[1], np.int64)[words.offset :][: len(words) + 1]
        values = np.frombuffer(words.buffers()[2] or b"\0", np.uint8)
        counts = batch.column(1).to_numpy()
        first: kernels.Int = 0
        while True:
            first, self.used = kernels.add_counts(
                values,
                ends,
                counts,
                first,
                self.slots,
                self.pool,
                self.ends,
                self.counts,
                self.used,
            )
            if first == len(counts):
                return
            self._grow(int(ends[-1] - ends[first]))

    def _grow(self, wanted: int) -> None:
        """Make room for as many words again, and for a word of the wanted size."""
        room = 2 * len(self.counts)
        if 2 * (self.used + 1) > len(self.slots) or self.used + 2 > len(self.ends):
            self.counts = np.resize(self.counts, room)
            self.ends = np.resize(self.ends, room + 1)
            # A word's slot depends on how many there are, so all are entered anew.
            self.slots = np.full(2 * len(self.slots), -1, np.int64)
            kernels.fill(self.slots, self.pool, self.ends, self.used)
        else:
            more = min(wanted, len(self.pool)) + 64
            self.pool = np.concatenate([self.pool, np.zeros(len(self.pool) + more, np.uint8)])

    def batches(self) -> Iterable[pa.RecordBatch]:
        """The counted words in the order of their bytes."""
        ends = pa.py_buffer(self.ends[: self.used + 1])
        words = pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), self.used, [None, ends, pa.py_buffer(self.pool)]
        )
        order = pc.sort_indices(words)
        counts = pa.array(self.counts[: self.used])
        for begin in range(0, self.used, ROWS):
            rows = order.slice(begin, ROWS)
            yield pa.record_batch([words.take(rows), counts.take(rows)], schema=SCHEMA)
