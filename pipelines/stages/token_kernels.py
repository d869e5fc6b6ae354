"""The numba kernel that counts tokens of a kind."""

import numpy as np
from numpy.typing import NDArray

from corpora.text.jit import jit


@jit
def count_marked(
    tokens: NDArray[np.unsignedinteger],
    ends: NDArray[np.int64],
    is_marked: NDArray[np.bool_],
    counts: NDArray[np.int64],
) -> None:
    """Write to (D,) `counts` how many of each document's tokens are marked: (T,) `tokens` of all,
    (D + 1,) `ends` offsets into them, (ids,) `is_marked`."""
    for document in range(len(counts)):
        count = np.int64(0)
        for token in tokens[ends[document] : ends[document + 1]]:
            count += is_marked[token]
        counts[document] = count
