"""FULL-SENTENCES (RoBERTa paper, section 4.2): whole sentences across documents, up to a length.

A sample is `<s> s1 </s> s2 </s> </s> t1 </s>` with `sentence_eos` (what the published checkpoints
were trained on: a second `</s>` where the next document begins), else `<s> s1 s2 </s> t1 </s>`.
Sentences fill samples greedily and are never split, but for one longer than length - 2: it is cut
into pieces of that size, each a sample of its own, and the rest of it is packed like a sentence. So
every token is used exactly once an epoch.

Packing costs about 1 ns a sentence. The twin in plain Python is in
`tests/helpers/trainer_twins.py`.
"""

import numpy as np
from numpy.typing import NDArray

from trainer.jit import Int, Int64, jit

Tokens = NDArray[np.uint16] | NDArray[np.uint32]

# What `unpack` returns for damaged shards, in place of a length: an id beyond the vocabulary;
# sentence lengths that do not fit the tokens.
TOO_LARGE = -1
CORRUPT = -2


@jit
def pack(
    sentences: NDArray[np.uint32], ends: Int64, length: Int, sentence_eos: bool, out: Int64
) -> Int:
    """Return how many samples of `length` tokens the sentences fill, and write where each begins.

    `sentences` (S,) lengths in tokens; `ends` (D + 1,) offsets of the documents into them. `out` is
    (N + 1, 4), or (0, 4) to count only. A row holds the first token, its sentence, its document and
    how many tokens of that sentence earlier samples have used; the last row is the end.
    """
    eos = np.int64(1) if sentence_eos else np.int64(0)
    # `room` is for everything after <s>; without `sentence_eos` the last </s> is set aside here.
    room = length - 2 + eos
    piece = np.int64(length - 2)

    count = np.int64(0)
    used = np.int64(0)
    token = np.int64(0)
    document = np.int64(0)
    last = np.int64(0)

    for s in range(len(sentences)):
        while ends[document + 1] <= s:
            document += 1
        rest = np.int64(sentences[s])
        skip = np.int64(0)
        if rest == 0:
            continue

        while rest > piece:
            if len(out):
                out[count, 0] = token
                out[count, 1] = s
                out[count, 2] = document
                out[count, 3] = skip
            count += 1
            used = room  # a piece stands alone, so what follows begins a new sample
            token += piece
            skip += piece
            rest -= piece

        separator = np.int64(1) if document != last else np.int64(0)
        if used == 0 or used + separator + rest + eos > room:
            if len(out):
                out[count, 0] = token
                out[count, 1] = s
                out[count, 2] = document
                out[count, 3] = skip
            count += 1
            used = rest + eos
        else:
            used += separator + rest + eos

        token += rest
        last = document

    if len(out):
        out[count, 0] = token
        out[count, 1] = len(sentences)
        out[count, 2] = len(ends) - 1
        out[count, 3] = 0
    return count


@jit
def unpack(
    tokens: Tokens, sentences: NDArray[np.uint32], ends: Int64, index: Int64, i: Int,
    sentence_eos: bool, bos: Int, eos: Int, vocab_size: Int, row: Int64, begins: NDArray[np.uint8],
) -> Int:  # fmt: skip
    """Write sample i of a shard into `row` (L,) and return its length, or a status below 0.

    `tokens` (T,) and `sentences` (S,) are the shard's; `ends` and `index` are as in `pack`.
    `begins` (L,) receives 1 where a sentence begins, else 0.
    """
    begins[:] = 0
    token = index[i, 0]
    s = index[i, 1]
    document = index[i, 2]
    skip = index[i, 3]
    stop = index[i + 1, 0]

    row[0] = bos
    n = 1
    last = document

    while token < stop:
        if s >= len(sentences) or stop > len(tokens):
            return CORRUPT
        while ends[document + 1] <= s:
            document += 1
        take = min(np.int64(sentences[s]) - skip, stop - token)
        separator = document != last
        if n + separator + take + 1 > len(row):
            return CORRUPT

        # An empty sentence writes nothing, not even the separator of its document.
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
            begins[n - take] = 1
            last = document
            if sentence_eos:
                row[n] = eos
                n += 1

        token += take
        s += 1
        skip = 0

    if not sentence_eos:
        row[n] = eos
        n += 1
    return n
