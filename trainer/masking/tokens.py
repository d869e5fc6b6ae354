"""TODO-DOC trainer/masking/tokens.py."""

import numpy as np

from trainer.chance import LOW32, REPLACEMENTS, below, draw
from trainer.jit import Int, Int64, jit

IGNORED = -100  # label of a place that holds no masked token; torch's cross entropy leaves it out

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
