"""DOC-SENTENCES (RoBERTa paper, section 4.2): whole sentences of one document, up to a length.

A sequence is `<s> s1 </s> s2 </s>` with `sentence_eos`, else `<s> s1 s2 </s>`. Sentences fill
sequences greedily; a sequence ends with its document, and the short ones share a row
(`rows.join`), which is how a batch always holds about the same number of tokens. A sentence longer
than length - 2 is cut as in FULL-SENTENCES, so every token is used exactly once an epoch.
"""

import numpy as np
from numpy.typing import NDArray

from trainer.formats.rows import BEGINS, Parts
from trainer.jit import Int, Int64, jit


@jit
def cut(
    sentences: NDArray[np.uint32], ends: Int64, length: Int, sentence_eos: bool,
    parts: Parts, sizes: Int64,
) -> Int:  # fmt: skip
    """Return how many sequences of at most `length` tokens the documents are cut into.

    `sentences` (S,) lengths in tokens; `ends` (D + 1,) offsets of the documents into them. `parts`
    (Q, 5) receives a part for each sequence as `rows` describes it, and `sizes` (Q,) its tokens
    with `<s>` and `</s>`; both are empty to count only.
    """
    eos = np.int64(1) if sentence_eos else np.int64(0)
    # `room` is for everything after <s>; without `sentence_eos` the last </s> is set aside here.
    room = length - 2 + eos
    piece = np.int64(length - 2)
    count = np.int64(0)
    token = np.int64(0)

    for document in range(len(ends) - 1):
        used = room  # the document before is closed
        for s in range(ends[document], ends[document + 1]):
            rest = np.int64(sentences[s])
            skip = np.int64(0)
            while rest > 0:
                take = min(rest, piece)
                # A sentence that was cut begins anew, and the next one only after its last piece.
                if rest > piece or skip > 0 or used + take + eos > room:
                    used = np.int64(0)
                    if len(parts):
                        parts[count, 0] = token
                        parts[count, 1] = 0
                        parts[count, 2] = s
                        parts[count, 3] = skip
                        parts[count, 4] = BEGINS
                        sizes[count] = 2 - eos
                    count += 1
                if len(parts):
                    parts[count - 1, 1] += take
                    sizes[count - 1] += take + eos
                used = room if rest > piece else used + take + eos
                token += take
                skip += take
                rest -= take

    return count
