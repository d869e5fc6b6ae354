"""The masking of tokens equals its independent twin."""

import numpy as np
import trainer_twins as twins
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.masking.tokens import mask

SETTINGS = settings(max_examples=60, deadline=None)
keys = st.integers(0, 2**64 - 1)
seeds = st.integers(0, 2**63 - 1)


@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=120),
    keys,
    st.sampled_from([0.15, 0.3, 0.01]),
    st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_masking_equals_twin(row: list[int], key: int, rate: float, fairseq: bool) -> None:
    specials, vocab_size, mask_id = [0, 1, 2, 3, 60], 61, 60
    array, scratch = np.array(row, np.int64), np.empty(len(row), np.int64)
    places, labels = np.empty(len(row) + 1, np.int64), np.empty(len(row) + 1, np.int64)
    count = mask(
        array,
        len(row),
        np.uint64(key),
        rate,
        fairseq,
        vocab_size,
        np.array(specials),
        mask_id,
        scratch,
        places,
        labels,
    )
    assert (array.tolist(), places[:count].tolist(), labels[:count].tolist()) == twins.mask(
        row, key, rate, fairseq, vocab_size, specials, mask_id
    )


def test_special_ids_anywhere_in_the_vocabulary() -> None:
    """A given tokenizer has its special ids where it likes; random ids still avoid all of them."""
    specials, row = [5, 6, 17, 40, 41], list(range(50)) * 20
    seen, places, labels = twins.mask(row, 3, 0.15, False, 50, specials, 17)
    array, scratch, where, what = (
        np.array(row),
        np.empty(1000, np.int64),
        np.empty(1000, np.int64),
        np.empty(1000, np.int64),
    )
    count = mask(
        array, len(row), np.uint64(3), 0.15, False, 50, np.array(specials), 17, scratch, where, what
    )
    assert (
        array.tolist() == seen
        and where[:count].tolist() == places
        and what[:count].tolist() == labels
    )
    assert count == int(0.15 * 900 + 0.5)
    drawn = [seen[place] for place in places if seen[place] != 17]
    assert not set(drawn) & set(specials) and not set(labels) & set(specials)
