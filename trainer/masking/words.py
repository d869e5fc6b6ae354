"""Masking whole words: all tokens of a word or none (BERT's whole word masking).

The budget is that of single tokens, floor(rate * candidates + 0.5). Words are taken in random order
and one that would exceed the budget is passed over, so that a row mostly has the budget exactly and
never more. As in BERT's code the 80/10/10 is drawn for each token. The twin in plain Python is in
`tests/helpers/mask_twins.py`.
"""

import numpy as np
from numpy.typing import NDArray

from trainer.chance import LOW32, REPLACEMENTS, below, draw
from trainer.jit import Int, Int64, jit
from trainer.masking.tokens import ordinary_id

# What a table of the vocabulary says of each id, as bits: a token of it begins a word wherever it
# stands; the token after it begins one, whatever it is; it is special.
STARTS, ENDS, SPECIAL = 1, 2, 4


@jit
def find_words(
    row: Int64, length: Int, table: NDArray[np.uint8], begins: NDArray[np.uint8],
    first: Int64, after: Int64,
) -> Int:  # fmt: skip
    """Return the number of words W of `row[:length]`, and write where each begins and ends.

    `table` (V,) as the bits above; `begins` (L,) 1 where a sentence begins. Word w is
    `row[first[w]:after[w]]`. Special ids are in no word, and end the one before them; after one of
    them, and where a sentence begins, a word begins. Two words are neighbours where
    `after[w] == first[w + 1]`.
    """
    words = np.int64(0)
    starts = np.int64(1)

    # Whether a token begins a word is as good as random, so that a branch would be guessed wrong
    # half of the time: `first[words]` is written for every token and counted where a word begins.
    for i in range(length):
        bits = np.int64(table[row[i]])
        if bits & SPECIAL:
            starts = np.int64(1)
            continue
        first[words] = i
        words += np.int64((starts | bits & STARTS | begins[i]) != 0)
        after[words - 1] = i + 1
        starts = bits & ENDS

    return words


@jit
def mask_words(
    row: Int64, length: Int, key: np.uint64, rate: float, vocab_size: Int, specials: Int64,
    mask_id: Int, table: NDArray[np.uint8], begins: NDArray[np.uint8], scratch: Int64,
    places: Int64, labels: Int64,
) -> Int:  # fmt: skip
    """Hide whole words of `row[:length]` in place and return how many tokens.

    As `tokens.mask`, with the words of `find_words`; `scratch` (3, L) is overwritten.
    """
    first, after, order = scratch[0], scratch[1], scratch[2]
    words = find_words(row, length, table, begins, first, after)
    candidates = 0
    for w in range(words):
        order[w] = w
        candidates += after[w] - first[w]
    budget = np.int64(rate * candidates + 0.5)

    count = np.int64(0)
    for j in range(words):
        if count == budget:
            break
        other = j + below(draw(key, j), words - j)
        order[j], order[other] = order[other], order[j]
        w = order[j]
        if count + after[w] - first[w] > budget:
            continue

        for place in range(first[w], after[w]):
            places[count] = place
            labels[count] = row[place]
            bits = draw(key, REPLACEMENTS + count)
            fate = np.float64(bits >> np.uint64(32)) / 4294967296.0
            if fate < 0.8:
                row[place] = mask_id
            elif fate < 0.9:
                low = (bits & LOW32) << np.uint64(32)
                row[place] = ordinary_id(low, vocab_size, specials)
            count += 1

    return count
