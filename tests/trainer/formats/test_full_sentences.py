"""The packing of sentences equals its independent twin and loses nothing."""

import numpy as np
import pytest
import trainer_twins as twins
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.formats.full_sentences import pack, unpack

SETTINGS = settings(max_examples=60, deadline=None)
keys = st.integers(0, 2**64 - 1)
seeds = st.integers(0, 2**63 - 1)


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
        row, begins = np.zeros(length, np.int64), np.zeros(length, np.uint8)
        n = unpack(tokens, sizes, ends, index, i, sentence_eos, 0, 2, 65_000, row, begins)
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
