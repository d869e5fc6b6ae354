"""Kernels equal their independent twins; order is a bijection that cannot be told from chance."""

import numpy as np
import pytest
import trainer_twins as twins
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer import chance
from trainer.chance import below, make_key, mix, order, permute, sides
from trainer.formats.full_sentences import pack, unpack
from trainer.masking.tokens import mask

SETTINGS = settings(max_examples=60, deadline=None)
keys = st.integers(0, 2**64 - 1)
seeds = st.integers(0, 2**63 - 1)


@given(keys, st.integers(0, 2**40))
@SETTINGS
def test_draws_equal_twin(key: int, counter: int) -> None:
    assert int(mix(np.uint64(key))) == twins.mix(key)
    assert int(chance.draw(np.uint64(key), counter)) == twins.draw(key, counter)


@given(
    seeds, st.integers(0, 9), st.integers(0, 2**40), st.integers(0, 2**40), st.integers(1, 2**32)
)
@SETTINGS
def test_keys_equal_twin(seed: int, purpose: int, epoch: int, index: int, n: int) -> None:
    key = twins.make_key(seed, purpose, epoch, index)
    assert int(make_key(seed, purpose, epoch, index)) == key
    assert int(below(np.uint64(key), n)) == twins.below(key, n) < n


@given(st.integers(1, 40_000), seeds, st.integers(0, 3), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_order_equals_twin(n: int, seed: int, stream: int, first: int) -> None:
    positions = np.array([first, first + 1, first + n, first + 3 * n + 1], np.int64)
    positions.sort()
    epochs, indices = np.empty(4, np.int64), np.empty(4, np.int64)
    order(positions, n, seed, stream, epochs, indices)
    assert list(zip(epochs.tolist(), indices.tolist())) == [
        twins.order(int(position), n, seed, stream) for position in positions
    ]


def whole_epoch(n: int, seed: int, epoch: int = 0) -> np.ndarray:
    positions = np.arange(epoch * n, (epoch + 1) * n)
    epochs, indices = np.empty(n, np.int64), np.empty(n, np.int64)
    order(positions, n, seed, 0, epochs, indices)
    assert (epochs == epoch).all()
    return indices


@pytest.mark.parametrize(
    "sizes",
    [range(1, 2001, 7), (9_999, 10_000, 10_001, 16_383, 16_384, 16_385, 99_991)],
    ids=["small", "large"],
)
def test_order_is_a_bijection(sizes: range | tuple[int, ...]) -> None:
    for n in sizes:
        assert np.array_equal(np.sort(whole_epoch(n, n)), np.arange(n))


def test_feistel_is_a_bijection_at_every_small_size() -> None:
    for n in range(1, 600):
        a, b = sides(n)
        assert a * b >= n and (a * b - n) < a + b
        assert len({int(permute(x, n, a, b, np.uint64(n))) for x in range(n)}) == n


@pytest.mark.parametrize("n", [1000, 10_007])
def test_successors_are_as_rare_as_chance(n: int) -> None:
    """o[i + 1] = o[i] + 1 happens once an epoch on average in a random order (weak networks show it
    most)."""
    trials = 400 if n < 10_000 else 150
    found = sum(int((np.diff(whole_epoch(n, seed)) == 1).sum()) for seed in range(trials))
    assert abs(found / trials - (1 - 1 / n)) < 4 / np.sqrt(trials)


def test_epochs_and_seeds_differ() -> None:
    for n in (50, 20_000):
        orders = [whole_epoch(n, 0), whole_epoch(n, 0, 1), whole_epoch(n, 1)]
        assert not any(np.array_equal(a, b) for i, a in enumerate(orders) for b in orders[:i])


lengths = st.one_of(st.integers(0, 12), st.integers(0, 60))


@st.composite
def corpora(draw: st.DrawFn) -> list[list[list[int]]]:
    counter = iter(range(10, 60_000))
    return [
        [[next(counter) for _ in range(draw(lengths))] for _ in range(draw(st.integers(0, 5)))]
        for _ in range(draw(st.integers(1, 8)))
    ]


def packed(documents: list[list[list[int]]], length: int, sentence_eos: bool) -> list[list[int]]:
    sentences = [sentence for document in documents for sentence in document]
    sizes = np.array([len(sentence) for sentence in sentences], np.uint32)
    ends = np.cumsum([0, *map(len, documents)], dtype=np.int64)
    tokens = np.array([value for sentence in sentences for value in sentence], np.uint16)
    count = pack(sizes, ends, length, sentence_eos, np.zeros((0, 4), np.int64))
    index = np.zeros((count + 1, 4), np.int64)
    assert pack(sizes, ends, length, sentence_eos, index) == count
    rows = []
    for i in range(count):
        row = np.zeros(length, np.int64)
        n = unpack(tokens, sizes, ends, index, i, sentence_eos, 0, 2, 65_000, row)
        rows.append(row[:n].tolist())
    return rows


@given(corpora(), st.integers(8, 40), st.booleans())
@settings(max_examples=300, deadline=None)
def test_packing_equals_twin_and_loses_nothing(
    documents: list[list[list[int]]], length: int, sentence_eos: bool
) -> None:
    rows = packed(documents, length, sentence_eos)
    assert rows == twins.samples(documents, length, sentence_eos)
    assert [value for row in rows for value in row if value > 9] == [
        value for document in documents for sentence in document for value in sentence
    ]
    assert all(row[0] == 0 and row[-1] == 2 and len(row) <= length for row in rows)


@pytest.mark.parametrize("sentence_eos", [True, False])
def test_packing_at_the_borders(sentence_eos: bool) -> None:
    room = 14
    for first in (0, 1, room - 1, room, room + 1, 2 * room, 2 * room + 1):
        for second in (0, 1, 12, 13, 14, 15):
            documents = [
                [list(range(10, 10 + first)), list(range(100, 100 + second))],
                [[500]],
                [],
                [list(range(600, 620))],
            ]
            assert packed(documents, room + 2, sentence_eos) == twins.samples(
                documents, room + 2, sentence_eos
            )


def test_published_format_by_hand() -> None:
    documents = [[[11, 12], [13]], [[21]]]
    assert packed(documents, 16, True) == [[0, 11, 12, 2, 13, 2, 2, 21, 2]]
    assert packed(documents, 16, False) == [[0, 11, 12, 13, 2, 21, 2]]


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
