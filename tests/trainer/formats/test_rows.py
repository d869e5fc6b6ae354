"""DOC-SENTENCES, SEGMENT-PAIR and SENTENCE-PAIR equal their independent twins and account for every
token."""

import os

import format_twins as twins
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.formats.doc_sentences import cut
from trainer.formats.index import Counts, Format, Index, from_array, make_index
from trainer.formats.rows import join, unpack_row

from trainer_fixtures import memory_shard  # isort: skip

EXAMPLES = int(os.environ.get("HYPOTHESIS_EXAMPLES", "150"))
SETTINGS = settings(max_examples=EXAMPLES, deadline=None)

lengths = st.one_of(st.integers(0, 12), st.integers(0, 60))

Documents = list[list[list[int]]]


@st.composite
def corpora(draw: st.DrawFn, most: int = 8) -> Documents:
    """Documents of sentences; every id is another one, so that each token can be followed."""
    counter = iter(range(10, 60_000))
    return [
        [[next(counter) for _ in range(draw(lengths))] for _ in range(draw(st.integers(0, 6)))]
        for _ in range(draw(st.integers(1, most)))
    ]


def read(documents: Documents, index: Index, form: Format) -> twins.Made:
    """All samples of an index as lists of sequences."""
    shard = memory_shard(documents)
    made = twins.Made()
    most = index.counts.most_sequences
    for i in range(index.counts.samples):
        row, begins = np.full(form.length, -9), np.zeros(form.length, np.uint8)
        sizes, classes = np.zeros(most, np.int64), np.full(most, -100)
        n = unpack_row(
            shard.tokens,
            shard.sentences,
            index.rows,
            index.parts,
            i,
            form.sentence_eos and not form.has_pairs,
            0,
            2,
            65_000,
            row,
            begins,
            sizes,
            classes,
        )
        assert n == sizes.sum() <= form.length
        count = int((sizes > 0).sum())
        assert (sizes[count:] == 0).all() and (classes[count:] == -100).all()
        made.rows.append([part.tolist() for part in np.split(row[:n], np.cumsum(sizes[:count]))])
        made.rows[-1].pop()
        if form.has_pairs:
            made.classes.append(classes[:count].tolist())
        first_tokens = {sentence[0] for doc in documents for sentence in doc if sentence}
        assert first_tokens & set(row[:n].tolist()) <= set(row[:n][begins[:n] == 1].tolist())
    return made


def used(made: twins.Made) -> list[int]:
    """The tokens of all samples that are not special."""
    return [v for row in made.rows for sequence in row for v in sequence if v > 9]


@given(corpora(), st.integers(8, 40), st.booleans())
@SETTINGS
def test_doc_sentences_equal_twin_and_lose_nothing(
    documents: Documents, length: int, eos: bool
) -> None:
    form = Format(name="doc-sentences", length=length, sentence_eos=eos)
    index = make_index(memory_shard(documents), form)
    made = read(documents, index, form)
    assert made == twins.doc_sentences(documents, length, eos)

    every = [value for document in documents for sentence in document for value in sentence]
    assert sorted(used(made)) == every
    document_of = {v: d for d, doc in enumerate(documents) for sentence in doc for v in sentence}
    for row in made.rows:
        for sequence in row:
            values = [value for value in sequence if value > 9]
            assert values == sorted(values) and len({document_of[value] for value in values}) == 1
            assert sequence[0] == 0 and sequence[-1] == 2
    assert index.counts == Counts(
        tokens=len(every),
        samples=len(made.rows),
        sequences=sum(map(len, made.rows)),
        most_sequences=max(map(len, made.rows), default=0),
        filled=sum(len(sequence) for row in made.rows for sequence in row),
    )


@given(
    corpora(12),
    st.integers(8, 40),
    st.sampled_from(["segment-pair", "sentence-pair"]),
    st.sampled_from(["paper", "bert"]),
    st.sampled_from([0.0, 0.1, 0.9]),
    st.integers(0, 9),
)
@SETTINGS
def test_pairs_equal_twin_and_account_for_every_token(
    documents: Documents, length: int, name: str, nsp: str, short: float, number: int
) -> None:
    form = Format(name=name, length=length, nsp=nsp, short_seq_prob=short)  # type: ignore[arg-type]
    shard = memory_shard(documents)
    index = make_index(shard, form, number)
    made = read(documents, index, form)
    seed = int(shard.entry.digest[:15], 16)
    assert made == dataclasses_without_counts(
        twin := twins.pairs(documents, length, name, nsp, short, seed, number)
    )
    classes = [value for row in made.classes for value in row]
    counts = index.counts
    assert (counts.trimmed, counts.dropped, counts.borrowed) == (
        twin.trimmed,
        twin.dropped,
        twin.borrowed,
    )
    assert (counts.pairs, counts.random) == (len(classes), sum(classes))
    assert counts.tokens == counts.trimmed + counts.dropped + len(used(made)) - counts.borrowed
    assert counts.filled == sum(len(sequence) for row in made.rows for sequence in row)
    if nsp == "paper":
        assert 2 * sum(classes) == len(classes)

    document_of = {v: d for d, doc in enumerate(documents) for sentence in doc for v in sentence}
    for row, kinds in zip(made.rows, made.classes):
        for sequence, kind in zip(row, kinds):
            middle = sequence.index(2)
            a, b = sequence[1:middle], sequence[middle + 1 : -1]
            assert a and b and len(sequence) <= length
            assert a == list(range(a[0], a[-1] + 1)) and b == list(range(b[0], b[-1] + 1))
            same = document_of[a[0]] == document_of[b[0]]
            assert len({document_of[value] for value in a}) == 1
            assert same or kind == 1
            assert kind == 0 or nsp == "bert" or not same
            assert kind == 1 or b[0] > a[-1]


def dataclasses_without_counts(made: twins.Made) -> twins.Made:
    """The rows and classes alone."""
    return twins.Made(made.rows, made.classes)


@given(st.lists(st.integers(3, 40), max_size=60), st.integers(40, 50))
@SETTINGS
def test_joining_equals_twin(sizes: list[int], length: int) -> None:
    row_of = np.zeros(len(sizes), np.int64)
    count = join(np.array(sizes, np.int64), length, row_of)
    rows = [np.flatnonzero(row_of == row).tolist() for row in range(count)]
    assert rows == twins.best_fit(sizes, length)
    assert all(sum(sizes[q] for q in row) <= length for row in rows)


@pytest.mark.parametrize("eos", [True, False])
def test_cutting_at_the_borders(eos: bool) -> None:
    for first in (0, 1, 13, 14, 15, 28, 29):
        for second in (0, 1, 12, 13, 14, 15):
            documents = [
                [list(range(10, 10 + first)), list(range(100, 100 + second)), [300]],
                [[500]],
                [],
                [list(range(600, 620))],
            ]
            form = Format(name="doc-sentences", length=16, sentence_eos=eos)
            index = make_index(memory_shard(documents), form)
            assert read(documents, index, form) == twins.doc_sentences(documents, 16, eos)


def test_by_hand() -> None:
    """Two short documents share a row; a pair has one </s> after each part."""
    documents = [[[11, 12], [13]], [[21]]]
    form = Format(name="doc-sentences", length=16)
    made = read(documents, make_index(memory_shard(documents), form), form)
    assert made.rows == [[[0, 11, 12, 2, 13, 2], [0, 21, 2]]]
    form = Format(name="doc-sentences", length=16, sentence_eos=False)
    made = read(documents, make_index(memory_shard(documents), form), form)
    assert made.rows == [[[0, 11, 12, 13, 2], [0, 21, 2]]]

    documents = [[[11, 12], [13]] * 10, [[21]] * 10]
    form = Format(name="sentence-pair", length=32)
    made = read(documents, make_index(memory_shard(documents), form), form)
    followed = [s for row, c in zip(made.rows, made.classes) for s, k in zip(row, c) if k == 0]
    assert {tuple(s) for s in followed} <= {
        (0, 11, 12, 2, 13, 2),
        (0, 13, 2, 11, 12, 2),
        (0, 21, 2, 21, 2),
    }


@given(corpora(), st.sampled_from(["full-sentences", "doc-sentences", "sentence-pair"]))
@SETTINGS
def test_what_is_stored_comes_back(documents: Documents, name: str) -> None:
    form = Format(name=name, length=16)  # type: ignore[arg-type]
    index = make_index(memory_shard(documents), form)
    again = from_array(index.to_array(), form)
    assert again.counts == index.counts
    for field in ("samples", "rows", "parts"):
        assert np.array_equal(getattr(again, field), getattr(index, field))
    for cut_off in (1, 2, 9):
        with pytest.raises(ValueError):
            from_array(index.to_array()[:-cut_off], form)


@given(corpora(), st.integers(8, 40), st.booleans())
@SETTINGS
def test_full_sentences_count_what_they_fill(documents: Documents, length: int, eos: bool) -> None:
    import trainer_twins

    index = make_index(memory_shard(documents), Format(length=length, sentence_eos=eos))
    rows = trainer_twins.samples(documents, length, eos)
    assert index.counts.samples == len(rows)
    assert index.counts.filled == sum(map(len, rows))


def test_counting_alone_writes_nothing() -> None:
    sentences, ends = np.array([5, 6], np.uint32), np.array([0, 2])
    none = np.zeros((0, 5), np.uint32)
    assert cut(sentences, ends, 10, True, none, np.zeros(0, np.int64)) == 2
