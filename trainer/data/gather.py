"""From sample numbers to masked micro-batches: one fused kernel, and the object that calls it.

The kernel reads the memory-mapped shards by their addresses, since a split has any number of them.
It trusts the index (`formats.index` checks it once) and returns a status for damage that the index
cannot see. Cost: tens of millions of tokens a second on one core, some hundred times what a GPU
trains on, so that one thread suffices. Twins in plain Python are in
`tests/helpers/trainer_twins.py`.
"""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numba import carray  # type: ignore[attr-defined]
from numba.core import cgutils, types
from numba.extending import intrinsic

from shards.errors import UserError
from trainer.chance import MASK, make_key
from trainer.config import MaskingConfig
from trainer.data.samples import Data
from trainer.data.special_ids import special_ids
from trainer.formats.full_sentences import TOO_LARGE, unpack
from trainer.jit import Int, Int64, jit
from trainer.masking.tokens import IGNORED, mask

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
    sentence_eos: bool, special: Int64, vocab_size: Int, rate: float, fairseq: bool,
    scratch: Int64, ids: Int64, places: Int64, labels: Int64, lengths: Int64,
) -> Int:  # fmt: skip
    """Gather and mask B samples; return the number of masked tokens, or a status below 0.

    `samples`, `epochs` (B,); `starts` (N + 1,) the first sample of each shard; `table` (N, 7) for
    each shard the addresses of its tokens, sentences, document ends and index, then the counts of
    tokens, sentences and document ends; `wide` whether tokens are uint32; `special` as
    `special_ids` gives them; `scratch` (L,) is overwritten. `rate` 0 masks nothing.

    Written: `ids` (B, L), padded; `places` and `labels` (B, K), the flat places in the batch of the
    masked tokens and their true ids, the rest of a row 0 and IGNORED; `lengths` (B,) tokens without
    padding.
    """
    total: Int = 0
    width = ids.shape[1]
    bos, pad, eos, mask_id = special[0], special[1], special[2], special[4]

    for i in range(len(samples)):
        shard = np.searchsorted(starts, samples[i], side="right") - 1
        local = samples[i] - starts[shard]
        count_here = starts[shard + 1] - starts[shard]
        sentences = carray(pointer(table[shard, 1]), (table[shard, 5],), np.uint32)
        ends = carray(pointer(table[shard, 2]), (table[shard, 6],), np.int64)
        index = carray(pointer(table[shard, 3]), (count_here + 1, 4), np.int64)
        row = ids[i]

        # The two calls differ in the type of the tokens, which numba must know when it compiles.
        if wide:
            tokens32 = carray(pointer(table[shard, 0]), (table[shard, 4],), np.uint32)
            n = unpack(
                tokens32, sentences, ends, index, local, sentence_eos, bos, eos, vocab_size, row
            )
        else:
            tokens16 = carray(pointer(table[shard, 0]), (table[shard, 4],), np.uint16)
            n = unpack(
                tokens16, sentences, ends, index, local, sentence_eos, bos, eos, vocab_size, row
            )
        if n < 0:
            return n
        lengths[i] = n
        row[n:] = pad

        count: Int = 0
        if rate > 0:
            key = make_key(seed, MASK, epochs[i], samples[i])
            count = mask(
                row, n, key, rate, fairseq, vocab_size,
                special[5:], mask_id, scratch, places[i], labels[i],
            )  # fmt: skip
        for j in range(count):
            places[i, j] += i * width
        places[i, count:] = 0
        labels[i, count:] = IGNORED
        total += count

    return total


@dataclass(frozen=True)
class Buffers:
    """Room for B samples, all int64: `ids` (B, L), `places` and `labels` (B, K), `lengths` (B,)."""

    ids: Int64
    places: Int64
    labels: Int64
    lengths: Int64


@dataclass(frozen=True)
class Masker:
    """The fused kernel with all that does not change from batch to batch."""

    data: Data
    masking: MaskingConfig
    seed: int

    @property
    def most_masked(self) -> int:
        """K: the most masked tokens that a sample can have."""
        if self.masking.style == "fairseq":
            return int(self.masking.rate * self.data.length) + 1
        return max(1, int(self.masking.rate * (self.data.length - 2) + 0.5))

    def special(self) -> Int64:
        """`special_ids` of the data."""
        return special_ids(self.data.tokenizer)

    def buffers(self, count: int) -> Buffers:
        """Buffers for `count` samples, not filled."""
        return Buffers(
            ids=np.empty((count, self.data.length), np.int64),
            places=np.empty((count, self.most_masked), np.int64),
            labels=np.empty((count, self.most_masked), np.int64),
            lengths=np.empty(count, np.int64),
        )

    def fill(self, epochs: Int64, samples: Int64, buffers: Buffers) -> int:
        """Gather and mask `samples` (B,) of `epochs` (B,) into `buffers`, as `fill` describes it.

        Returns the number of masked tokens. Raises `UserError` when the shards are damaged.
        """
        data = self.data
        scratch = np.empty(data.length, np.int64)
        status = fill(
            samples, epochs, self.seed, data.starts, data.table, data.wide,
            data.sentence_eos, self.special(), data.tokenizer.vocab_size,
            self.masking.rate, self.masking.style == "fairseq",
            scratch, buffers.ids, buffers.places, buffers.labels, buffers.lengths,
        )  # fmt: skip
        if status >= 0:
            return int(status)

        fault = "sentence lengths that do not fit the tokens"
        if status == TOO_LARGE:
            fault = "an id beyond the vocabulary"
        raise UserError(
            f"{', '.join(data.directories)}: {fault}",
            f"run corpus verify {data.directories[0]}, then build or copy the shards again",
            1,
        )
