"""The masks of words and spans equal their independent twins, and keep what they promise."""

import os

import mask_twins as twins
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.masking.spans import length_thresholds, mask_spans, span_length
from trainer.masking.words import find_words, mask_words

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "200"))
SETTINGS = settings(max_examples=EXAMPLES, deadline=None)

# A vocabulary of 61: five special ids, and ordinary ones that begin words, end them, or neither.
SIZE, MASK_ID = 61, 60
SPECIALS = [0, 1, 2, 3, 60]
TABLE = [4 if i in SPECIALS else i % 4 for i in range(SIZE)]

keys = st.integers(0, 2**64 - 1)
rates = st.sampled_from([0.15, 0.3, 0.9, 0.01])


@st.composite
def rows(draw: st.DrawFn) -> list[int]:
    """A row as the formats make it: <s> at its start, </s> at its end, some between."""
    inside = draw(st.lists(st.integers(2, SIZE - 2), max_size=120))
    return [0, *inside, 2]


def begins_of(row: list[int], key: int) -> list[int]:
    return [int((key >> (i % 64)) & 1 and i % 3 == 0) for i in range(len(row))]


@given(rows(), keys, rates)
@SETTINGS
def test_words_equal_twin(row: list[int], key: int, rate: float) -> None:
    begins = begins_of(row, key)
    array, scratch = np.array(row), np.empty((3, len(row)), np.int64)
    places, labels = np.empty(len(row), np.int64), np.empty(len(row), np.int64)
    count = mask_words(
        array,
        len(row),
        np.uint64(key),
        rate,
        SIZE,
        np.array(SPECIALS),
        MASK_ID,
        np.array(TABLE, np.uint8),
        np.array(begins, np.uint8),
        scratch,
        places,
        labels,
    )
    assert (
        array.tolist(),
        places[:count].tolist(),
        labels[:count].tolist(),
    ) == twins.mask_words(row, key, rate, TABLE, begins, MASK_ID)

    words = twins.words_of(row, TABLE, begins)
    hidden = set(places[:count].tolist())
    assert all(set(word) <= hidden or not set(word) & hidden for word in words)
    assert not {row[place] for place in hidden} & set(SPECIALS)
    assert count <= int(rate * sum(map(len, words)) + 0.5)


@given(rows(), keys, rates)
@SETTINGS
def test_spans_equal_twin(row: list[int], key: int, rate: float) -> None:
    begins = begins_of(row, key)
    array, scratch = np.array(row), np.empty((3, len(row)), np.int64)
    most = len(row)
    out = [np.empty(most, np.int64) for _ in range(5)]
    count = mask_spans(
        array,
        len(row),
        np.uint64(key),
        rate,
        SIZE,
        np.array(SPECIALS),
        MASK_ID,
        np.array(TABLE, np.uint8),
        np.array(begins, np.uint8),
        length_thresholds(0.2, 10),
        scratch,
        *out,
    )
    places, labels, left, right, offset = (values[:count].tolist() for values in out)
    wanted, beside = twins.mask_spans(row, key, rate, TABLE, begins, MASK_ID)
    assert (array.tolist(), places, labels) == wanted
    assert list(zip(left, right, offset)) == beside

    # Whole words, no special id, the tokens beside a span not hidden, one fate for each span.
    words = twins.words_of(row, TABLE, begins)
    hidden = set(places)
    assert len(hidden) == count <= int(rate * sum(map(len, words)) + 0.5)
    assert all(set(word) <= hidden or not set(word) & hidden for word in words)
    assert not {row[place] for place in hidden} & set(SPECIALS)
    assert not (set(left) | set(right)) & hidden
    assert all(a < place < b and place == a + k for place, (a, b, k) in zip(places, beside))


def test_words_by_hand() -> None:
    """A word begins after a special id, at a sentence's start, at a token that starts one, and
    after one that ends one."""
    table = np.array([4, 0, 1, 2, 0, 0, 0, 0], np.uint8)
    row = np.array([0, 5, 6, 2, 7, 3, 4, 0, 4, 5, 6])
    begins = np.zeros(11, np.uint8)
    begins[9] = 1
    first, after = np.empty(11, np.int64), np.empty(11, np.int64)
    count = find_words(row, 11, table, begins, first, after)
    assert list(zip(first[:count].tolist(), after[:count].tolist())) == [
        (1, 3),
        (3, 6),
        (6, 7),
        (8, 9),
        (9, 11),
    ]


@pytest.mark.parametrize(("p", "most", "mean"), [(0.2, 10, 3.797), (0.5, 4, 1.733)])
def test_drawn_lengths_are_geometric(p: float, most: int, mean: float) -> None:
    """Over every 2^16th draw of 32 bits: no sampling error but that of the grid."""
    thresholds = length_thresholds(p, most)
    bits = np.arange(2**16, dtype=np.uint64) << np.uint64(48)
    lengths = np.array([span_length(value, thresholds) for value in bits])
    shares = np.bincount(lengths, minlength=most + 1)[1:] / len(bits)
    wanted = p * (1 - p) ** np.arange(most)
    wanted /= wanted.sum()
    assert np.abs(shares - wanted).max() < 1e-4
    assert abs(lengths.mean() - mean) < 1e-3
