"""From sample numbers to masked micro-batches: one fused kernel, and the object that calls it.

The kernel reads the memory-mapped shards by their addresses, since a split has any number of them.
It trusts the index (`formats.index` checks it once) and returns a status for damage that the index
cannot see. Cost: tens of millions of tokens a second on one core, some hundred times what a GPU
trains on, so that one thread suffices. Twins in plain Python are in
`tests/helpers/trainer_twins.py`.
"""

import ctypes
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numba import carray  # type: ignore[attr-defined]
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

from shards.errors import UserError, in_command
from shards.manifest import shards_directory
from shards.storage import files
from trainer.chance import MASK, make_key
from trainer.config import MaskingConfig
from trainer.data.samples import Data
from trainer.data.special_ids import special_ids
from trainer.formats.full_sentences import TOO_LARGE, unpack
from trainer.formats.rows import unpack_row
from trainer.jit import Int, Int64, jit
from trainer.masking.spans import length_thresholds, mask_spans
from trainer.masking.tokens import BERNOULLI, EXACT, FAIRSEQ, IGNORED, mask
from trainer.masking.word_starts import word_ends, word_starts
from trainer.masking.words import ENDS, STARTS, mask_words
from trainer.masking.words import SPECIAL as SPECIAL_ID

STYLES = {"exact": EXACT, "fairseq": FAIRSEQ, "bernoulli": BERNOULLI}

# What is masked, as numbers; NOTHING for samples as they are.
NOTHING, TOKENS, WORDS, SPANS = range(4)
UNITS = {"token": TOKENS, "word": WORDS, "span": SPANS}

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

    def pointer(address: Int) -> ctypes.c_void_p:
        """The same for kernels that run as plain Python (NUMBA_DISABLE_JIT=1)."""
        return ctypes.c_void_p(int(address))

else:

    @intrinsic
    def pointer(
        typing_context: object, address: types.Type
    ) -> tuple[object, Callable[..., object]]:
        """An integer as a pointer, for `carray`."""

        def generate(
            context: object, builder: Any, signature: object, arguments: list[object]
        ) -> object:
            return builder.inttoptr(arguments[0], cgutils.voidptr_t)

        return types.voidptr(address), generate


@jit
def fill(
    samples: Int64, epochs: Int64, seed: Int, starts: Int64, table: Int64, wide: bool,
    in_rows: bool, sentence_eos: bool, special: Int64, vocab_size: Int,
    unit: Int, rate: float, style: Int, static: Int, kinds: NDArray[np.uint8],
    thresholds: NDArray[np.uint64], scratch: Int64, begins: NDArray[np.uint8],
    ids: Int64, lengths: Int64, classes: Int64, places: Int64, labels: Int64,
    left: Int64, right: Int64, offset: Int64,
) -> Int:  # fmt: skip
    """Gather and mask B samples; return the number of masked tokens, or a status below 0.

    `samples`, `epochs` (B,). The data: epoch e uses plan e % Q; `starts` (Q, N + 1) the first
    sample of each of N shards; `table` (Q, N, 10) the row that `samples.Member` makes for each;
    `wide` whether tokens are uint32; `in_rows` whether the index is one of `formats.rows`;
    `special` as `special_ids` gives them.

    The masks: `unit` one of NOTHING to SPANS; `static` 0, or the epochs after which masks come
    again; `kinds` (V,) as `masking.words` reads it, and `thresholds` as `masking.spans` does, both
    only for words and spans. `scratch` (3, L) and `begins` (L,) are overwritten.

    Written is what `Buffers` holds: `classes` are its `next`.
    """
    total: Int = 0
    width = ids.shape[1]
    bos, pad, eos, mask_id = special[0], special[1], special[2], special[4]
    specials = special[5:]

    for i in range(len(samples)):
        plan = epochs[i] % len(starts)
        shard = np.searchsorted(starts[plan], samples[i], side="right") - 1
        local = samples[i] - starts[plan, shard]
        count_here = starts[plan, shard + 1] - starts[plan, shard]
        where = table[plan, shard]
        sentences = carray(pointer(where[1]), (where[7],), np.uint32)
        row = ids[i]

        # The calls differ in the type of the tokens, which numba must know when it compiles.
        if in_rows:
            rows = carray(pointer(where[4]), (count_here + 1,), np.uint32)
            parts = carray(pointer(where[5]), (where[9], 5), np.uint32)
            classes[i, :] = IGNORED
            if wide:
                n = unpack_row(
                    carray(pointer(where[0]), (where[6],), np.uint32), sentences, rows, parts,
                    local, sentence_eos, bos, eos, vocab_size, row, begins, lengths[i], classes[i],
                )  # fmt: skip
            else:
                n = unpack_row(
                    carray(pointer(where[0]), (where[6],), np.uint16), sentences, rows, parts,
                    local, sentence_eos, bos, eos, vocab_size, row, begins, lengths[i], classes[i],
                )  # fmt: skip
        else:
            ends = carray(pointer(where[2]), (where[8],), np.int64)
            index = carray(pointer(where[3]), (count_here + 1, 4), np.int64)
            if wide:
                n = unpack(
                    carray(pointer(where[0]), (where[6],), np.uint32), sentences, ends, index,
                    local, sentence_eos, bos, eos, vocab_size, row, begins,
                )  # fmt: skip
            else:
                n = unpack(
                    carray(pointer(where[0]), (where[6],), np.uint16), sentences, ends, index,
                    local, sentence_eos, bos, eos, vocab_size, row, begins,
                )  # fmt: skip
            lengths[i, 0] = n
        if n < 0:
            return n
        row[n:] = pad

        count: Int = 0
        key = make_key(seed, MASK, epochs[i] % static if static else epochs[i], samples[i])
        if unit == TOKENS:
            count = mask(
                row, n, key, rate, style, vocab_size, specials, mask_id,
                scratch[0], places[i], labels[i],
            )  # fmt: skip
        elif unit == WORDS:
            count = mask_words(
                row, n, key, rate, vocab_size, specials, mask_id, kinds, begins,
                scratch, places[i], labels[i],
            )  # fmt: skip
        elif unit == SPANS:
            count = mask_spans(
                row, n, key, rate, vocab_size, specials, mask_id, kinds, begins, thresholds,
                scratch, places[i], labels[i], left[i], right[i], offset[i],
            )  # fmt: skip
            left[i, :count] += i * width
            right[i, :count] += i * width
            left[i, count:] = 0
            right[i, count:] = 0
            offset[i, count:] = 0

        places[i, :count] += i * width
        places[i, count:] = 0
        labels[i, count:] = IGNORED
        total += count

    return total


@dataclass(frozen=True)
class Buffers:
    """Room for B samples of L places, all int64. Places are flat in the batch.

    `ids` (B, L), padded. `lengths` (B, S): the tokens of each sequence of a row, then 0. `next` (B,
    S): of each pair the class 0 where B follows A and 1 where it is random, else IGNORED; (B, 0)
    where the format has no pairs. `places`, `labels` (B, K): the masked tokens and their true ids,
    the rest of a row 0 and IGNORED. `left`, `right`, `offset` (B, K): the places just outside the
    span of each masked token and its place in the span, counted from 1, the rest 0; (B, 0) where
    spans are not masked.
    """

    ids: Int64
    lengths: Int64
    next: Int64
    places: Int64
    labels: Int64
    left: Int64
    right: Int64
    offset: Int64


@dataclass(frozen=True)
class Masker:
    """The fused kernel with all that does not change from batch to batch.

    Raises `UserError` when words or spans are to be masked and the vocabulary does not tell where
    words begin.
    """

    data: Data
    masking: MaskingConfig
    seed: int

    def __post_init__(self) -> None:
        self.kinds  # noqa: B018  (raises what is wrong before the loader's thread would)

    @property
    def most_masked(self) -> int:
        """K: the most masked tokens that a sample can have."""
        rate = self.masking.rate
        candidates = self.data.length - 2
        if self.masking.style == "fairseq":
            return int(rate * self.data.length) + 1
        if self.masking.style == "bernoulli":
            # Six standard deviations above the mean: more come once in a billion samples.
            spread = math.sqrt(rate * (1 - rate) * candidates)
            return min(candidates, math.ceil(rate * candidates + 6 * spread))
        return max(1, int(rate * candidates + 0.5))

    @property
    def unit(self) -> int:
        """What is masked, as a number."""
        return UNITS[self.masking.unit] if self.masking.rate > 0 else NOTHING

    @functools.cached_property
    def kinds(self) -> NDArray[np.uint8]:
        """(V,) what the vocabulary says of each id, (0,) where single tokens are masked."""
        if self.unit in (NOTHING, TOKENS):
            return np.zeros(0, np.uint8)
        return word_kinds(self.data)

    @functools.cached_property
    def thresholds(self) -> NDArray[np.uint64]:
        """Of the lengths of spans, as `masking.spans` reads them."""
        return length_thresholds(self.masking.span_p, self.masking.span_words)

    @functools.cached_property
    def special(self) -> Int64:
        """`special_ids` of the data."""
        return special_ids(self.data.tokenizer)

    def shapes(self, count: int) -> dict[str, tuple[int, int]]:
        """The shapes of the buffers for `count` samples."""
        most = self.most_masked
        spans = most if self.unit == SPANS else 0
        pairs = self.data.most_sequences if self.data.form.has_pairs else 0
        return {
            "ids": (count, self.data.length),
            "lengths": (count, self.data.most_sequences),
            "next": (count, pairs),
            "places": (count, most),
            "labels": (count, most),
            "left": (count, spans),
            "right": (count, spans),
            "offset": (count, spans),
        }

    def buffers(self, count: int) -> Buffers:
        """Buffers for `count` samples, not filled."""
        shapes = self.shapes(count)
        return Buffers(**{name: np.empty(shape, np.int64) for name, shape in shapes.items()})

    def fill(self, epochs: Int64, samples: Int64, buffers: Buffers) -> int:
        """Gather and mask `samples` (B,) of `epochs` (B,) into `buffers`, as `fill` describes it.

        Returns the number of masked tokens. Raises `UserError` when the shards are damaged.
        """
        data = self.data
        masking = self.masking
        scratch = np.empty((3, data.length), np.int64)
        begins = np.empty(data.length, np.uint8)
        in_rows = data.form.name != "full-sentences"
        status = fill(
            samples, epochs, self.seed, data.starts, data.table, data.wide,
            in_rows, data.sentence_eos and not data.form.has_pairs,
            self.special, data.tokenizer.vocab_size,
            self.unit, masking.rate, STYLES[masking.style], masking.static, self.kinds,
            self.thresholds, scratch, begins,
            buffers.ids, buffers.lengths, buffers.next, buffers.places, buffers.labels,
            buffers.left, buffers.right, buffers.offset,
        )  # fmt: skip
        if status >= 0:
            return int(status)

        fault = "sentence lengths that do not fit the tokens"
        if status == TOO_LARGE:
            fault = "an id beyond the vocabulary"
        raise UserError(
            f"{', '.join(data.directories)}: {fault}",
            f"run corpus verify {in_command(data.directories[0])}, "
            "then build or copy the shards again",
            1,
        )


def word_kinds(data: Data) -> NDArray[np.uint8]:
    """(V,) what the vocabulary says of each id, as `masking.words` reads it.

    Raises `UserError` when the vocabulary does not tell where words begin.
    """
    path = f"{shards_directory(data.directories[0])}/tokenizer.json"
    content = files.read_bytes(path)
    starts = word_starts(content)
    ends = word_ends(content)

    # `fill` refuses ids beyond the vocabulary's size, so the table needs none of them.
    kinds = np.full(max(data.tokenizer.vocab_size, len(starts)), STARTS, np.uint8)
    kinds[: len(starts)] = starts * STARTS + ends * ENDS
    kinds[data.tokenizer.reserved] = SPECIAL_ID
    return kinds
