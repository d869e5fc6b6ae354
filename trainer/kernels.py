"""The numba kernels between shards and batches: keyed chance, order, packing, gathering, masking.

They call each other, so they share one file (numba's cache watches only a function's own file).
Arrays in, arrays out; status codes instead of exceptions; serial and `nogil`, so that the loader's
thread runs beside the training step. Each has an independent twin in plain Python in
`tests/trainer/trainer_twins.py`.

Chance is counter-based: `draw(key, counter)` is SplitMix64 by position, and keys are made by
drawing from keys: `draw(draw(draw(mix(seed), purpose), epoch), index)`. Nothing depends on what was
drawn before.
"""

import ctypes
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba import carray  # type: ignore[attr-defined]
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

F = TypeVar("F", bound=Callable[..., Any])
Int64 = NDArray[np.int64]
Int = int | np.int64

# Purposes: the first thing a key is drawn for.
ORDER, MASK, DROPOUT, WEIGHTS, MIX = range(1, 6)

# below it a real shuffle: a Feistel walk over so few indices can be told from chance
# (docs/trainer.md)
SHUFFLED_BELOW = 10_000
ROUNDS = 8
REPLACEMENTS = 1 << 32  # counters of the replacements, far from those of the selection
IGNORED = -100  # label of a place that holds no masked token; torch's cross entropy leaves it out
TOO_LARGE, CORRUPT = (
    -1,
    -2,
)  # status: an id beyond the vocabulary; lengths that do not fit the tokens

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
LOW32 = np.uint64(0xFFFFFFFF)


def jit(function: F) -> F:
    """Compile, with a cache on disk where one can be written (numba refuses at import where none
    can)."""
    try:
        return cast(F, numba.njit(cache=True, nogil=True)(function))
    except RuntimeError:
        return cast(F, numba.njit(nogil=True)(function))


@jit
def mix(x: np.uint64) -> np.uint64:
    """SplitMix64's finalizer: a bijection of 64 bits."""
    x = np.uint64(x)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@jit
def draw(key: np.uint64, counter: Int) -> np.uint64:
    """64 bits of chance: a pure function of key and counter."""
    return mix(np.uint64(key) + (np.uint64(counter) + np.uint64(1)) * GOLDEN)


@jit
def make_key(seed: Int, purpose: Int, epoch: Int, index: Int) -> np.uint64:
    """The key of one draw's purpose: (seed, purpose, epoch, index)."""
    return draw(draw(draw(mix(np.uint64(seed)), purpose), epoch), index)


@jit
def below(bits: np.uint64, n: Int) -> Int:
    """A number in [0, n) from the upper 32 bits, n <= 2^32; the bias is below n / 2^32."""
    return np.int64(((np.uint64(bits) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


# --- order
# --------------------------------------------------------------------------------------------------------


@jit
def shuffle(n: Int, key: np.uint64) -> Int64:
    """A keyed Fisher-Yates shuffle of 0..n-1."""
    table = np.arange(n)
    for i in range(n - 1, 0, -1):
        j = below(draw(key, i), i + 1)
        table[i], table[j] = table[j], table[i]
    return table


@jit
def sides(n: Int) -> tuple[Int, Int]:
    """a = ceil(sqrt(n)), b = ceil(n / a): the two radices of the Feistel walk."""
    a = np.int64(np.sqrt(n))
    while a * a < n:
        a += 1
    while (a - 1) * (a - 1) >= n and a > 1:
        a -= 1
    return a, (n + a - 1) // a


@jit
def permute(x: Int, n: Int, a: Int, b: Int, key: np.uint64) -> Int:
    """Where x of [0, n) goes: a Feistel network over the mixed radix (a, b), walked again while it
    lands at n or above."""
    while True:
        left, right = x // b, x % b
        for i in range(ROUNDS):
            if i % 2 == 0:
                left = (left + below(mix(draw(key, i) + np.uint64(right)), a)) % a
            else:
                right = (right + below(mix(draw(key, i) + np.uint64(left)), b)) % b
        x = left * b + right
        if x < n:
            return x


@jit
def order(positions: Int64, n: Int, seed: Int, stream: Int, epochs: Int64, indices: Int64) -> None:
    """For each place in the endless order of n samples: its epoch and its sample, each sample once
    an epoch.

    `positions` (P,) >= 0, rising. `stream` tells orders of one seed apart (one for each source when
    they are mixed).
    """
    a, b = sides(n)
    current = np.int64(-1)
    key = np.uint64(0)
    table: Int64 = np.arange(0)
    for i in range(len(positions)):
        epoch, place = positions[i] // n, positions[i] % n
        if epoch != current:
            current = epoch
            key = make_key(seed, ORDER, epoch, stream)
            if n < SHUFFLED_BELOW:
                table = shuffle(n, key)
        epochs[i] = epoch
        indices[i] = table[place] if n < SHUFFLED_BELOW else permute(place, n, a, b, key)


# --- packing
# ------------------------------------------------------------------------------------------------------


@jit
def pack(
    sentences: NDArray[np.uint32], ends: Int64, length: Int, sentence_eos: bool, out: Int64
) -> Int:
    """FULL-SENTENCES: how many samples of `length` the sentences make, and where each begins.

    `sentences` (S,) lengths in tokens; `ends` (D + 1,) offsets of the documents into them. `out` (N
    + 1, 4) int64, or (0, 4) to count only: token, sentence, document and tokens already used of
    that sentence; the last row is the end. A sentence stays whole; one longer than length - 2 is
    cut into pieces of that size, each alone, and what is left of it is packed like a sentence. A
    separator is counted where a document begins inside a sample.
    """
    eos = np.int64(1) if sentence_eos else np.int64(0)
    room, piece = length - 2 + eos, np.int64(length - 2)
    count, used, token, document, last = (
        np.int64(0),
        np.int64(0),
        np.int64(0),
        np.int64(0),
        np.int64(0),
    )
    for s in range(len(sentences)):
        while ends[document + 1] <= s:
            document += 1
        rest, skip = np.int64(sentences[s]), np.int64(0)
        if rest == 0:
            continue
        while rest > piece:
            if len(out):
                out[count, 0], out[count, 1], out[count, 2], out[count, 3] = (
                    token,
                    s,
                    document,
                    skip,
                )
            count += 1
            used = room
            token, skip, rest = token + piece, skip + piece, rest - piece
        separator = np.int64(1) if document != last else np.int64(0)
        if used == 0 or used + separator + rest + eos > room:
            if len(out):
                out[count, 0], out[count, 1], out[count, 2], out[count, 3] = (
                    token,
                    s,
                    document,
                    skip,
                )
            count += 1
            used = rest + eos
        else:
            used += separator + rest + eos
        token, last = token + rest, document
    if len(out):
        out[count, 0], out[count, 1], out[count, 2], out[count, 3] = (
            token,
            len(sentences),
            len(ends) - 1,
            0,
        )
    return count


@jit
def unpack(
    tokens: NDArray[Any],
    sentences: NDArray[np.uint32],
    ends: Int64,
    index: Int64,
    i: Int,
    sentence_eos: bool,
    bos: Int,
    eos: Int,
    vocab_size: Int,
    row: Int64,
) -> Int:
    """Write sample i of a shard into `row` (L,) and return its length, or a status below 0.

    `index` as `pack` wrote it. <s> s1 </s> s2 </s> </s> t1 </s> with `sentence_eos`, else <s> s1 s2
    </s> t1 </s>.
    """
    token, s, document, skip = index[i, 0], index[i, 1], index[i, 2], index[i, 3]
    stop = index[i + 1, 0]
    row[0] = bos
    n, last = 1, document
    while token < stop:
        if s >= len(sentences) or stop > len(tokens):
            return CORRUPT
        while ends[document + 1] <= s:
            document += 1
        take = min(np.int64(sentences[s]) - skip, stop - token)
        separator = document != last
        if n + separator + take + 1 > len(row):
            return CORRUPT
        if separator and take:
            row[n] = eos
            n += 1
        for j in range(take):
            value = np.int64(tokens[token + j])
            if value >= vocab_size:
                return TOO_LARGE
            row[n + j] = value
        n += take
        if take:
            last = document
            if sentence_eos:
                row[n] = eos
                n += 1
        token, s, skip = token + take, s + 1, 0
    if not sentence_eos:
        row[n] = eos
        n += 1
    return n


# --- masking
# ------------------------------------------------------------------------------------------------------


@jit
def mask(
    row: Int64,
    length: Int,
    key: np.uint64,
    rate: float,
    fairseq: bool,
    vocab_size: Int,
    specials: Int64,
    mask_id: Int,
    scratch: Int64,
    places: Int64,
    labels: Int64,
) -> Int:
    """Hide tokens of `row[:length]` in place; returns how many (paper, section 3.1).

    Exactly floor(rate * candidates + 0.5) are chosen, by a partial Fisher-Yates shuffle; candidates
    are the ids not in `specials` (rising). Of the chosen 80 % become `mask_id`, 10 % a random id
    that is not special, 10 % stay. `places` and `labels` receive the places in the row and the true
    ids; `scratch` has room for a row. `fairseq`: every id is a candidate, the count is floor(rate *
    length + u), random ids are from [4, vocab_size).
    """
    candidates = 0
    for i in range(length):
        special = False
        for j in range(len(specials)):
            special |= row[i] == specials[j]
        if fairseq or not special:
            scratch[candidates] = i
            candidates += 1
    rounding = 0.5
    if fairseq:
        rounding = np.float64(draw(key, REPLACEMENTS - 1) >> np.uint64(11)) / 9007199254740992.0
    count = np.int64(rate * candidates + rounding)
    for j in range(count):
        other = j + below(draw(key, j), candidates - j)
        scratch[j], scratch[other] = scratch[other], scratch[j]
        place = scratch[j]
        places[j], labels[j] = place, row[place]
        bits = draw(key, REPLACEMENTS + j)
        fate = np.float64(bits >> np.uint64(32)) / 4294967296.0
        if fate < 0.8:
            row[place] = mask_id
        elif fate < 0.9:
            low = (bits & LOW32) << np.uint64(32)
            if fairseq:
                row[place] = 4 + below(low, vocab_size - 4)
            else:
                drawn = below(low, vocab_size - len(specials))
                for k in range(len(specials)):
                    if drawn >= specials[k]:
                        drawn += 1
                row[place] = drawn
    return count


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
