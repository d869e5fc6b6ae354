"""The kernel that counts the tokens of one byte, beside plain Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages.token_kernels import count_marked

DOCUMENTS = st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=8)


@given(documents=DOCUMENTS, marked=st.sets(st.integers(0, 9)), wide=st.booleans())
def test_marked_tokens_of_each_document(
    documents: list[list[int]], marked: set[int], wide: bool
) -> None:
    tokens = np.array(sum(documents, []), np.uint32 if wide else np.uint16)
    ends = np.cumsum([0, *map(len, documents)]).astype(np.int64)
    is_marked = np.isin(np.arange(10), list(marked))
    counts = np.full(len(documents), -1, np.int64)

    count_marked(tokens, ends, is_marked, counts)

    expected = [sum(token in marked for token in document) for document in documents]
    assert counts.tolist() == expected
