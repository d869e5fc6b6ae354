"""Chance by key: the order of the samples, their masks, dropout and the first weights.

A draw is a pure function of a key and a counter (SplitMix64 by position, Steele et al. 2014), and a
key is made by drawing from keys: `draw(draw(draw(mix(seed), purpose), epoch), index)`. No generator
has a state, so nothing depends on what was drawn before and a checkpoint need not hold any of it.

All numbers are 64 bits wide and wrap around. Each kernel has an independent twin in plain Python in
`tests/trainer/trainer_twins.py`.
"""

import numpy as np

from trainer.jit import Int, Int64, jit

# Purposes: the first thing a key is drawn for.
ORDER, MASK, DROPOUT, WEIGHTS, MIX = range(1, 6)

# below it a real shuffle: a Feistel walk over so few indices can be told from chance
# (docs/trainer.md)
SHUFFLED_BELOW = 10_000

ROUNDS = 8

REPLACEMENTS = 1 << 32  # counters of the replacements, far from those of the selection

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
