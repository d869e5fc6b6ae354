"""Masking spans of words (SpanBERT paper, section 3.1).

The length of a span in words is geometric with p = 0.2, cut at 10 (mean 3.80); its first word is
uniform over the words of the row. It ends early at a special id, and at the budget, floor(rate *
candidates + 0.5) tokens, which a row never exceeds: the last span is given fewer words until it
fits. A span never touches another one, so the tokens beside it, which the span boundary objective
reads, are never hidden; where it would, another first word is drawn for it. After TRIES draws a
token of the budget the row is left with what it has. One 80/10/10 draw decides for a whole span;
each of its tokens has a random id of its own.

SpanBERT's code differs: it draws the first word by tokens, so that long words are favoured, cuts
the last span inside a word, and merges spans that touch. The twin in plain Python is in
`tests/helpers/mask_twins.py`.
"""

import numpy as np
from numpy.typing import NDArray

from trainer.chance import REPLACEMENTS, below, draw
from trainer.jit import Int, Int64, jit
from trainer.masking.tokens import ordinary_id
from trainer.masking.words import find_words

# The draws of a key: first words from 0, the random ids from REPLACEMENTS, and from these the
# lengths and the fates of the spans.
LENGTHS = 2 << 32
FATES = 3 << 32

TRIES = 10


def length_thresholds(p: float, most: int) -> NDArray[np.uint64]:
    """(most - 1,) rising: a length is 1 + the number of thresholds that 32 random bits reach.

    P(length = k) is proportional to p * (1 - p) ** (k - 1) for k from 1 to `most`.
    """
    shares = p * (1.0 - p) ** np.arange(most)
    below_each = np.cumsum(shares)[:-1] / shares.sum()
    thresholds: NDArray[np.uint64] = np.floor(below_each * 2.0**32).astype(np.uint64)
    return thresholds


@jit
def span_length(bits: np.uint64, thresholds: NDArray[np.uint64]) -> Int:
    """The length in words that a draw gives."""
    high = np.uint64(bits) >> np.uint64(32)
    length = np.int64(1)
    for k in range(len(thresholds)):
        if high >= thresholds[k]:
            length += 1
    return length


@jit
def mask_spans(
    row: Int64, length: Int, key: np.uint64, rate: float, vocab_size: Int, specials: Int64,
    mask_id: Int, table: NDArray[np.uint8], begins: NDArray[np.uint8],
    thresholds: NDArray[np.uint64], scratch: Int64, places: Int64, labels: Int64,
    left: Int64, right: Int64, offset: Int64,
) -> Int:  # fmt: skip
    """Hide spans of `row[:length]` in place and return how many tokens.

    As `words.mask_words`. Also written, all (K,): `left` and `right` the places just outside the
    span of each hidden token, and `offset` its place in its span, counted from 1.
    """
    first, after, taken = scratch[0], scratch[1], scratch[2]
    words = find_words(row, length, table, begins, first, after)
    candidates = 0
    for word in range(words):
        taken[word] = 0
        candidates += after[word] - first[word]
    budget = np.int64(rate * candidates + 0.5)

    count = np.int64(0)
    spans = np.int64(0)
    wanted = span_length(draw(key, LENGTHS), thresholds)

    for turn in range(TRIES * budget):
        if count == budget:
            break
        w = below(draw(key, turn), words)

        # `stop` is the first word after the span.
        stop: Int = w
        while stop < words and stop - w < wanted:
            if stop > w and after[stop - 1] != first[stop]:
                break
            if after[stop] - first[w] > budget - count:
                break
            stop += 1
        touches = stop == w
        if w > 0 and after[w - 1] == first[w]:
            touches |= taken[w - 1] == 1
        if stop < words and stop > w and after[stop - 1] == first[stop]:
            touches |= taken[stop] == 1
        for k in range(w, stop):
            touches |= taken[k] == 1
        if touches:
            continue

        taken[w:stop] = 1
        fate = np.float64(draw(key, FATES + spans) >> np.uint64(32)) / 4294967296.0
        start = first[w]
        end = after[stop - 1]
        for place in range(start, end):
            places[count] = place
            labels[count] = row[place]
            left[count] = start - 1
            right[count] = end
            offset[count] = place - start + 1
            if fate < 0.8:
                row[place] = mask_id
            elif fate < 0.9:
                row[place] = ordinary_id(draw(key, REPLACEMENTS + count), vocab_size, specials)
            count += 1
        spans += 1
        wanted = span_length(draw(key, LENGTHS + spans), thresholds)

    return count
