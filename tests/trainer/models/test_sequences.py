"""Rows that hold several sequences: positions, types and reach, against a slow twin; and that a
change of one sequence changes no other."""

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.config import ModelConfig
from trainer.models.layout import lay_out, second_parts
from trainer.models.pretraining import build

END = 2

PAD = 1

SHAPE = ModelConfig(
    layers=2, hidden=32, intermediate=64, heads=2, positions=24, vocab_size=100, end_id=END
)

lengths_of_rows = st.lists(
    st.lists(st.integers(1, 9), min_size=1, max_size=5), min_size=1, max_size=4
)


def rows(lengths: list[list[int]], seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids (B, T) with ends here and there, and lengths (B, S)."""
    generator = torch.Generator().manual_seed(seed)
    most = max(len(row) for row in lengths)
    width = max(sum(row) for row in lengths) + seed % 3
    ids = torch.randint(2, 8, (len(lengths), width), generator=generator)
    table = torch.zeros((len(lengths), most), dtype=torch.int64)
    for number, row in enumerate(lengths):
        ids[number, sum(row) :] = PAD
        table[number, : len(row)] = torch.tensor(row)
    return ids, table


def twin(ids: list[int], lengths: list[int]) -> tuple[list[int], list[int], list[int]]:
    """Place, type and sequence of each token of a row that is not padding."""
    places, types, owners = [], [], []
    at = 0
    for number, length in enumerate(lengths):
        ended = False
        for place in range(length):
            places.append(place)
            types.append(int(ended))
            owners.append(number)
            ended = ended or ids[at] == END
            at += 1
    return places, types, owners


@given(lengths_of_rows, st.integers(0, 99), st.sampled_from([1, 7, 64]))
def test_layout_equals_its_twin(lengths: list[list[int]], seed: int, step: int) -> None:
    ids, table = rows(lengths, seed)
    width = ids.shape[1]
    found = lay_out(table, width, step)
    line = ids.reshape(-1)[found.source]
    types = second_parts(line == END, found.starts).tolist()

    ends, first, at = [0], [], 0
    for row, parts in enumerate(lengths):
        places, wanted, owners = twin(ids[row].tolist(), parts)
        stop = at + len(places)
        assert found.source[at:stop].tolist() == [row * width + place for place in range(stop - at)]
        assert found.places[at:stop].tolist() == places
        assert types[at:stop] == wanted
        begun = [at + owners.index(owner) for owner in owners]
        assert found.starts[at:stop].tolist() == begun
        flat = torch.arange(len(places)) + row * width
        assert found.pack(flat, width).tolist() == list(range(at, stop))
        for length in parts:
            first.append(ends[-1])
            ends.append(ends[-1] + length)
        at = stop

    # What fills the line up are sequences of padding, none longer than a row.
    total = len(line)
    assert total % step == 0 and total - at < step
    assert found.places[at:].tolist() == [-1] * (total - at)
    assert found.ends.dtype == torch.int32
    assert found.ends[: len(ends)].tolist() == ends and int(found.ends[-1]) == total
    sizes = found.ends.diff()
    assert int(sizes.min()) > 0 and int(sizes.max()) <= width
    there = (table.reshape(-1) > 0).nonzero()[:, 0]
    assert found.first[there].tolist() == first
    assert int(found.first.max()) < total


@pytest.mark.parametrize("family", ["roberta", "bert"])
def test_a_change_of_one_sequence_changes_no_other(family: Any) -> None:
    model = build(dataclasses.replace(SHAPE, family=family), 0).eval()
    lengths = torch.tensor([[7, 5, 6], [10, 14, 0]])
    ids = torch.randint(3, 99, (2, 24), generator=torch.Generator().manual_seed(0))
    ids[0, 18:] = PAD
    places = torch.arange(48)
    before = model(ids, places, lengths).reshape(2, 24, -1)

    ids[0, 7:12] = torch.tensor([50, 51, 52, 53, 54])
    after = model(ids, places, lengths).reshape(2, 24, -1)
    assert torch.equal(before[0, :7], after[0, :7]) and torch.equal(
        before[0, 12:18], after[0, 12:18]
    )
    assert torch.equal(before[1], after[1])
    assert not torch.equal(before[0, 7:12], after[0, 7:12])


@pytest.mark.parametrize("family", ["roberta", "bert"])
def test_a_sequence_among_others_is_as_alone(family: Any) -> None:
    """Each sequence of a row has the logits that it has in a row of its own."""
    model = build(dataclasses.replace(SHAPE, family=family), 0).double().eval()
    ids = torch.randint(3, 99, (1, 24), generator=torch.Generator().manual_seed(0))
    packed = model(ids, torch.arange(24), torch.tensor([[7, 5, 12, 0]]))
    for start, stop in ((0, 7), (7, 12), (12, 24)):
        alone = model(ids[:, start:stop], torch.arange(stop - start))
        assert (
            float((packed[start:stop] - alone)[:, : SHAPE.vocab_size].abs().max().detach()) < 1e-12
        )


def test_padding_is_worked_out_where_no_lengths_are_given() -> None:
    model = build(SHAPE, 0).eval()
    ids = torch.randint(3, 99, (2, 20), generator=torch.Generator().manual_seed(0))
    ids[1, 9:] = PAD
    given_lengths = model(ids, torch.arange(40), torch.tensor([[20], [9]]))
    assert torch.equal(model(ids, torch.arange(40)), given_lengths)


def test_gradients_are_finite_where_a_row_has_padding() -> None:
    model = build(SHAPE, 0).train()
    lengths = torch.tensor([[9, 6, 4], [3, 3, 0]])
    ids = torch.randint(3, 99, (2, 24), generator=torch.Generator().manual_seed(0))
    ids[0, 19:] = PAD
    ids[1, 6:] = PAD
    places = torch.tensor([1, 10, 16, 25, 29])
    model(ids, places, lengths)[:, : SHAPE.vocab_size].sum().backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
