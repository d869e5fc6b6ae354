"""Masking single tokens, anew in each epoch (RoBERTa paper, section 3.1: dynamic masking).

Three styles: `exact` masks a fixed share of the tokens that are not special; `bernoulli` each of
them with the same chance; `fairseq` repeats what fairseq does, so that perplexities can be compared
with those in its papers. All chance comes from one key per sample, so the masks of a sample do not
depend on the batch it is in. The twin in plain Python is in `tests/helpers/trainer_twins.py`.
"""

import numpy as np

from trainer.chance import LOW32, REPLACEMENTS, below, draw
from trainer.jit import Int, Int64, jit

# The label of a place that holds no masked token; torch's cross entropy leaves it out.
IGNORED = -100

# The styles as numbers.
EXACT, FAIRSEQ, BERNOULLI = range(3)


@jit
def mask(
    row: Int64, length: Int, key: np.uint64, rate: float, style: Int, vocab_size: Int,
    specials: Int64, mask_id: Int, scratch: Int64, places: Int64, labels: Int64,
) -> Int:  # fmt: skip
    """Hide tokens of `row[:length]` in place and return how many.

    `row` (L,) ids; `specials` all special ids, rising; `scratch` (L,) is overwritten. `places` and
    `labels` (K,) receive the places in the row and the true ids of the hidden tokens.

    EXACT chooses floor(rate * candidates + 0.5) tokens by a partial Fisher-Yates shuffle; the
    candidates are the ids that are not special. BERNOULLI takes each candidate with chance `rate`
    and stops at K of them. Of the chosen ones 80 % become `mask_id`, 10 % a random id that is not
    special, and 10 % stay. With FAIRSEQ every id is a candidate, the count is floor(rate * length +
    u) for a uniform u, and random ids are from [4, vocab_size).
    """
    candidates = 0
    for i in range(length):
        special = False
        for j in range(len(specials)):
            special |= row[i] == specials[j]
        if style == FAIRSEQ or not special:
            scratch[candidates] = i
            candidates += 1

    if style == BERNOULLI:
        count = np.int64(0)
        for i in range(candidates):
            # 53 bits over 2^53: a uniform float64 in [0, 1).
            chance = np.float64(draw(key, i) >> np.uint64(11)) / 9007199254740992.0
            if chance < rate and count < len(places):
                scratch[count] = scratch[i]
                count += 1
    else:
        rounding = 0.5
        if style == FAIRSEQ:
            rounding = np.float64(draw(key, REPLACEMENTS - 1) >> np.uint64(11)) / 9007199254740992.0
        count = np.int64(rate * candidates + rounding)

    for j in range(count):
        if style != BERNOULLI:
            other = j + below(draw(key, j), candidates - j)
            scratch[j], scratch[other] = scratch[other], scratch[j]
        place = scratch[j]
        places[j] = place
        labels[j] = row[place]

        # One draw serves twice: its upper half decides what happens, its lower half the random id.
        bits = draw(key, REPLACEMENTS + j)
        fate = np.float64(bits >> np.uint64(32)) / 4294967296.0
        if fate < 0.8:
            row[place] = mask_id
        elif fate < 0.9:
            low = (bits & LOW32) << np.uint64(32)
            if style == FAIRSEQ:
                row[place] = 4 + below(low, vocab_size - 4)
            else:
                row[place] = ordinary_id(low, vocab_size, specials)

    return count


@jit
def ordinary_id(bits: np.uint64, vocab_size: Int, specials: Int64) -> Int:
    """A random id that is not special."""
    drawn = below(bits, vocab_size - len(specials))
    # Count over the ids that are not special: step past each special id on the way.
    for k in range(len(specials)):
        if drawn >= specials[k]:
            drawn += 1
    return drawn
