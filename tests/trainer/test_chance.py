"""Keyed draws equal their twins; order is a bijection that cannot be told from chance."""

import numpy as np
import pytest
import trainer_twins as twins
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer import chance
from trainer.chance import below, make_key, mix, order, permute, sides

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
    order(positions, np.array([n]), seed, stream, epochs, indices)
    assert list(zip(epochs.tolist(), indices.tolist())) == [
        twins.order(int(position), n, seed, stream) for position in positions
    ]


def whole_epoch(n: int, seed: int, epoch: int = 0) -> np.ndarray:
    positions = np.arange(epoch * n, (epoch + 1) * n)
    epochs, indices = np.empty(n, np.int64), np.empty(n, np.int64)
    order(positions, np.array([n]), seed, 0, epochs, indices)
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
