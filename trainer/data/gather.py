"""The numba kernels between shards and batches: keyed chance, order, packing, gathering, masking.

They call each other, so they share one file (numba's cache watches only a function's own file).
Arrays in, arrays out; status codes instead of exceptions; serial and `nogil`, so that the loader's
thread runs beside the training step. Each has an independent twin in plain Python in
`tests/helpers/trainer_twins.py`.

Chance is counter-based: `draw(key, counter)` is SplitMix64 by position, and keys are made by
drawing from keys: `draw(draw(draw(mix(seed), purpose), epoch), index)`. Nothing depends on what was
drawn before.
"""

import ctypes
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
from trainer.formats.full_sentences import TOO_LARGE, unpack
from trainer.jit import Int, Int64, jit
from trainer.masking.tokens import IGNORED, mask

# --- a batch
# ------------------------------------------------------------------------------------------------------

if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]

    def _pointer(address: int) -> Any:
        return ctypes.c_void_p(int(address))

else:

    @intrinsic
    def _pointer(typing_context: Any, address: Any) -> Any:
        """An integer as a pointer: the shards of a split are any number of memory maps, named by
        their addresses."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], cgutils.voidptr_t)

        return types.voidptr(address), generate


@jit
def fill(
    samples: Int64, epochs: Int64, seed: Int, starts: Int64, table: Int64, wide: bool, sentence_eos: bool, special: Int64, vocab_size: Int,
    rate: float, fairseq: bool, scratch: Int64, ids: Int64, places: Int64, labels: Int64, lengths: Int64,
) -> Int:  # fmt: skip
    """Gather and mask a micro-batch of B samples into buffers; returns the number of masked tokens,
    or a status below 0.

    `samples`, `epochs` (B,); `starts` (N + 1,) first sample of each shard; `table` (N, 7) per shard
    the addresses of tokens, sentences, document ends and index, and the counts of tokens, sentences
    and document ends; `special`: the ids of <s>, <pad>, </s>, <unk>, <mask>, then all special ids
    rising. Out: `ids` (B, L), `places` and `labels` (B, K): flat places in the batch of the masked
    tokens and their ids, the rest of a row 0 and IGNORED; `lengths` (B,) tokens without padding.
    `rate` 0 masks nothing.
    """
    total: Int = 0
    width = ids.shape[1]
    bos, pad, eos, mask_id = special[0], special[1], special[2], special[4]
    for i in range(len(samples)):
        shard = np.searchsorted(starts, samples[i], side="right") - 1
        local = samples[i] - starts[shard]
        row = ids[i]
        sentences = carray(_pointer(table[shard, 1]), (table[shard, 5],), np.uint32)
        ends = carray(_pointer(table[shard, 2]), (table[shard, 6],), np.int64)
        index = carray(
            _pointer(table[shard, 3]), (starts[shard + 1] - starts[shard] + 1, 4), np.int64
        )
        if wide:
            tokens32 = carray(_pointer(table[shard, 0]), (table[shard, 4],), np.uint32)
            n = unpack(
                tokens32, sentences, ends, index, local, sentence_eos, bos, eos, vocab_size, row
            )
        else:
            tokens16 = carray(_pointer(table[shard, 0]), (table[shard, 4],), np.uint16)
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
                row,
                n,
                key,
                rate,
                fairseq,
                vocab_size,
                special[5:],
                mask_id,
                scratch,
                places[i],
                labels[i],
            )
        for j in range(count):
            places[i, j] += i * width
        places[i, count:] = 0
        labels[i, count:] = IGNORED
        total += count
    return total


@dataclass(frozen=True)
class Masker:
    """Gathers and masks: the fused kernel with all that does not change from batch to batch."""

    data: Data
    masking: MaskingConfig
    seed: int

    @property
    def most(self) -> int:
        """K: the most masked tokens a sample can have, the width of `places` and `labels`."""
        if self.masking.style == "fairseq":
            return int(self.masking.rate * self.data.length) + 1
        return max(1, int(self.masking.rate * (self.data.length - 2) + 0.5))

    def special(self) -> Int64:
        """The special ids in the order <s>, <pad>, </s>, <unk>, <mask>, then all of them rising."""
        ids = self.data.tokenizer.special
        named = [ids[name] for name in ("<s>", "<pad>", "</s>", "<unk>", "<mask>")]
        return np.array(named + sorted(set(ids.values())), np.int64)

    def fill(
        self,
        epochs: Int64,
        samples: Int64,
        ids: Int64,
        places: Int64,
        labels: Int64,
        lengths: Int64,
    ) -> int:
        """Fill the buffers, see `kernels.fill`; returns the number of masked tokens. Raises
        `UserError` on damaged shards."""
        data = self.data
        scratch = np.empty(data.length, np.int64)
        status = fill(
            samples, epochs, self.seed, data.starts, data.table, data.wide, data.sentence_eos, self.special(), data.tokenizer.vocab_size,
            self.masking.rate, self.masking.style == "fairseq", scratch, ids, places, labels, lengths,
        )  # fmt: skip
        if status < 0:
            what = (
                "an id beyond the vocabulary"
                if status == TOO_LARGE
                else "sentence lengths that do not fit the tokens"
            )
            raise UserError(
                f"{', '.join(data.directories)}: {what}", f"corpus verify {data.directories[0]}", 1
            )
        return int(status)
