"""Chance by key: the order of the samples, their masks, dropout and the first weights.

A draw is a pure function of a key and a counter (SplitMix64 by position, Steele et al. 2014), and a
key is made by drawing from keys: `draw(draw(draw(mix(seed), purpose), epoch), index)`. No generator
has a state, so nothing depends on what was drawn before, and a checkpoint stores none of it.

All numbers are 64 bits wide and wrap around. Each kernel has an independent twin in plain Python in
`tests/helpers/trainer_twins.py`.
"""

import numpy as np

from trainer.jit import Int, Int64, jit

# The purposes of draws, which are the first part of a key. Their numbers decide which samples and
# masks a seed gives, so they never change.
ORDER, MASK, DROPOUT, WEIGHTS, MIX, PAIRS, HALVES = range(1, 8)

# Fewer samples than this are really shuffled: a Feistel network over so few indices can be told
# from chance (docs/trainer.md).
SHUFFLED_BELOW = 10_000

ROUNDS = 8

# Masking draws the replacements from these counters on, far from those of the selection.
REPLACEMENTS = 1 << 32

GOLDEN = np.uint64(0x9E3779B97F4A7C15)

LOW32 = np.uint64(0xFFFFFFFF)


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
    """64 bits of chance: draw number `counter` of `key`."""
    return mix(np.uint64(key) + (np.uint64(counter) + np.uint64(1)) * GOLDEN)


@jit
def make_key(seed: Int, purpose: Int, epoch: Int, index: Int) -> np.uint64:
    """The key of everything that is drawn for one purpose, epoch and index."""
    return draw(draw(draw(mix(np.uint64(seed)), purpose), epoch), index)


@jit
def below(bits: np.uint64, n: Int) -> Int:
    """A number in [0, n) from the upper 32 bits, for n <= 2^32; the bias is below n / 2^32."""
    return np.int64(((np.uint64(bits) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


# --- the order of samples


@jit
def shuffle(n: Int, key: np.uint64) -> Int64:
    """0 to n - 1 in an order decided by `key` (Fisher-Yates), (n,) int64."""
    table = np.arange(n)

    for i in range(n - 1, 0, -1):
        j = below(draw(key, i), i + 1)
        table[i], table[j] = table[j], table[i]

    return table


@jit
def sides(n: Int) -> tuple[Int, Int]:
    """The two radices of the Feistel network: a = ceil(sqrt(n)) and b = ceil(n / a)."""
    a = np.int64(np.sqrt(n))

    # A float64 root can be off by one for a large n.
    while a * a < n:
        a += 1
    while (a - 1) * (a - 1) >= n and a > 1:
        a -= 1

    return a, (n + a - 1) // a


@jit
def permute(x: Int, n: Int, a: Int, b: Int, key: np.uint64) -> Int:
    """The image of x under a keyed permutation of [0, n), computed without a table.

    A Feistel network over the mixed radix (a, b) permutes [0, a * b). Where the result is not below
    n the network is applied again until it is ("cycle walking", Black and Rogaway 2002), which
    happens rarely since a * b exceeds n by less than a + b.
    """
    while True:
        left = x // b
        right = x % b

        for i in range(ROUNDS):
            if i % 2 == 0:
                left = (left + below(mix(draw(key, i) + np.uint64(right)), a)) % a
            else:
                right = (right + below(mix(draw(key, i) + np.uint64(left)), b)) % b

        x = left * b + right
        if x < n:
            return x


@jit
def unpermute(y: Int, n: Int, a: Int, b: Int, key: np.uint64) -> Int:
    """The x in [0, n) that `permute` sends to y: the rounds of the network undone, last first."""
    while True:
        left = y // b
        right = y % b

        for i in range(ROUNDS - 1, -1, -1):
            if i % 2 == 0:
                left = (left - below(mix(draw(key, i) + np.uint64(right)), a)) % a
            else:
                right = (right - below(mix(draw(key, i) + np.uint64(left)), b)) % b

        y = left * b + right
        if y < n:
            return y


@jit
def positions_in(samples: Int64, n: Int, seed: Int, epoch: Int, stream: Int) -> Int64:
    """Where each of `samples` (P,) stands among the n of an epoch, (P,): what `order` undoes."""
    key = make_key(seed, ORDER, epoch, stream)
    positions = np.empty(len(samples), np.int64)
    if n < SHUFFLED_BELOW:
        place_of = np.empty(n, np.int64)
        place_of[shuffle(n, key)] = np.arange(n)
        for i in range(len(samples)):
            positions[i] = place_of[samples[i]]
        return positions

    a, b = sides(n)
    for i in range(len(samples)):
        positions[i] = unpermute(samples[i], n, a, b, key)
    return positions


@jit
def order(
    positions: Int64, sizes: Int64, seed: Int, stream: Int, epochs: Int64, indices: Int64
) -> None:
    """For each position in the endless order of samples: its epoch and its sample.

    Epoch e has `sizes[e % len(sizes)]` samples and each of them occurs once in it; `sizes` (Q,) are
    at least 1. `positions` (P,) are at least 0 and rising; the results go to `epochs` and
    `indices`, both (P,). `stream` tells the orders of one seed apart: there is one for each source
    when sources are mixed.
    """
    cycle = sizes.sum()
    n = np.int64(0)
    a: Int = np.int64(0)
    b: Int = np.int64(0)
    current = np.int64(-1)
    key = np.uint64(0)
    table: Int64 = np.arange(0)

    for i in range(len(positions)):
        place = positions[i] % cycle
        plan = 0
        while place >= sizes[plan]:
            place -= sizes[plan]
            plan += 1
        epoch = positions[i] // cycle * len(sizes) + plan

        if epoch != current:
            current = epoch
            n = np.int64(sizes[plan])
            a, b = sides(n)
            key = make_key(seed, ORDER, epoch, stream)
            if n < SHUFFLED_BELOW:
                table = shuffle(n, key)

        epochs[i] = epoch
        indices[i] = table[place] if n < SHUFFLED_BELOW else permute(place, n, a, b, key)
