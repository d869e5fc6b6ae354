"""Rows that hold several sequences, each of parts of documents: how they are joined and read.

The index of a shard has two arrays: `parts` (P, 5) uint32 and `rows` (N + 1,) uint32, so that row i
holds the parts `parts[rows[i]:rows[i + 1]]`. A part is a stretch of tokens of one document: its
first token, its number of tokens, the sentence that it begins in, how many tokens of that sentence
are before it, and its kind. A part of kind BEGINS begins a sequence, `<s> … </s>`; one of kind
FOLLOWS or RANDOM is the B of a pair and continues it, `… </s>`. Twins in plain Python are in
`tests/helpers/format_twins.py`.
"""

import numpy as np
from numpy.typing import NDArray

from trainer.formats.full_sentences import CORRUPT, TOO_LARGE, Tokens
from trainer.jit import Int, Int64, jit

Parts = NDArray[np.uint32]

Begins = NDArray[np.uint8]

# The kinds of parts. The class that next sentence prediction learns is kind - FOLLOWS.
BEGINS, FOLLOWS, RANDOM = range(3)


@jit
def join(sizes: Int64, length: Int, row_of: Int64) -> Int:
    """Put sequences of `sizes` (Q,) tokens into rows of `length`; return the number of rows.

    The longest sequence first, each into the row whose room it fills best ("best fit decreasing",
    Johnson 1974): what it leaves empty is mostly less than one short sequence a row. `row_of` (Q,)
    receives the row of each sequence; rows are numbered by their first sequence. Every size is at
    most `length`. Cost: about 50 ns a sequence.
    """
    # A counting sort by falling size; sequences of one size stay in their order.
    firsts = np.zeros(length + 2, np.int64)
    for q in range(len(sizes)):
        firsts[length - sizes[q] + 1] += 1
    for k in range(length + 1):
        firsts[k + 1] += firsts[k]
    falling = np.empty(len(sizes), np.int64)
    for q in range(len(sizes)):
        k = length - sizes[q]
        falling[firsts[k]] = q
        firsts[k] += 1

    # Rows with the same room form a stack: `top` by room, `under` by row.
    top = np.full(length + 1, -1, np.int64)
    under = np.empty(len(sizes), np.int64)
    count = np.int64(0)
    for place in range(len(sizes)):
        q = falling[place]
        room = sizes[q]
        while room <= length and top[room] < 0:
            room += 1
        if room > length:
            row = count
            room = np.int64(length)
            count += 1
        else:
            row = top[room]
            top[room] = under[row]
        row_of[q] = row
        room -= sizes[q]
        under[row] = top[room]
        top[room] = row

    number = np.full(count, -1, np.int64)
    known = np.int64(0)
    for q in range(len(sizes)):
        row = row_of[q]
        if number[row] < 0:
            number[row] = known
            known += 1
        row_of[q] = number[row]
    return count


@jit
def unpack_row(
    tokens: Tokens, sentences: NDArray[np.uint32], rows: Parts, parts: Parts, i: Int,
    sentence_eos: bool, bos: Int, eos: Int, vocab_size: Int, row: Int64, begins: Begins,
    lengths: Int64, classes: Int64,
) -> Int:  # fmt: skip
    """Write row i of a shard into `row` (T,) and return its length, or a status below 0.

    `tokens` and `sentences` are the shard's. `begins` (T,) receives 1 where a sentence begins, else
    0; `lengths` (S,) the tokens of each sequence, then 0; `classes` (S,) of each pair 0 where B
    follows A and 1 where it is random, the rest is left as it is; (0,) where there are no pairs.
    """
    begins[:] = 0
    lengths[:] = 0
    n = np.int64(0)
    sequence = np.int64(-1)

    for p in range(rows[i], rows[i + 1]):
        token = np.int64(parts[p, 0])
        left: Int = np.int64(parts[p, 1])
        s = np.int64(parts[p, 2])
        skip = np.int64(parts[p, 3])
        kind = np.int64(parts[p, 4])

        begin = n
        if kind == BEGINS:
            sequence += 1
            if sequence >= len(lengths) or n >= len(row):
                return CORRUPT
            row[n] = bos
            n += 1
        else:
            classes[sequence] = kind - FOLLOWS

        while left > 0:
            if s >= len(sentences):
                return CORRUPT
            take = min(np.int64(sentences[s]) - skip, left)
            if take < 0 or n + take >= len(row) or token + take > len(tokens):
                return CORRUPT
            if take:
                begins[n] = 1
            for j in range(take):
                value = np.int64(tokens[token + j])
                if value >= vocab_size:
                    return TOO_LARGE
                row[n + j] = value
            n += take
            if take and sentence_eos:
                row[n] = eos
                n += 1
            token += take
            left -= take
            s += 1
            skip = np.int64(0)

        if not sentence_eos:
            if n >= len(row):
                return CORRUPT
            row[n] = eos
            n += 1
        lengths[sequence] += n - begin

    return n
