"""TODO-DOC trainer/formats/full_sentences.py."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.jit import Int, Int64, jit

TOO_LARGE, CORRUPT = (
    -1,
    -2,
)  # status: an id beyond the vocabulary; lengths that do not fit the tokens

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
