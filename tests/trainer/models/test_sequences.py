"""A row of several sequences: each attends to itself alone and counts its own positions."""

import torch

from trainer.config import ModelConfig
from trainer.models.roberta import MaskedLM, build

SHAPE = ModelConfig(layers=2, hidden=32, intermediate=64, heads=2, positions=24, vocab_size=50)

LENGTHS = [[9, 6, 4], [24, 0, 0], [3, 3, 0]]


def rows() -> tuple[torch.Tensor, torch.Tensor]:
    """Ids (3, 24) that end in padding, and lengths (3, 3)."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(4, 49, (3, 24), generator=generator)
    for row, sizes in zip(ids, LENGTHS):
        row[sum(sizes) :] = SHAPE.pad_id
    return ids, torch.tensor(LENGTHS)


def logits(model: MaskedLM, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """(B, T, V): the logits of every place."""
    places = torch.arange(ids.numel())
    with torch.no_grad():
        return model(ids, lengths, places).view(*ids.shape, -1)[..., : SHAPE.vocab_size]


def test_each_sequence_is_as_if_it_were_alone() -> None:
    model = build(SHAPE, 0).double().eval()
    ids, lengths = rows()
    together = logits(model, ids, lengths)
    for row, sizes in enumerate(LENGTHS):
        start = 0
        for size in sizes:
            if not size:
                continue
            alone = ids[row : row + 1, start : start + size]
            wanted = logits(model, alone, torch.tensor([[size]]))[0]
            assert torch.allclose(together[row, start : start + size], wanted, atol=1e-12)
            start += size


def test_changing_one_sequence_changes_no_other() -> None:
    model = build(SHAPE, 0).eval()
    ids, lengths = rows()
    before = logits(model, ids, lengths)
    changed = ids.clone()
    changed[0, 9:15] = 7  # the second sequence of the first row
    after = logits(model, changed, lengths)
    same = (before == after).all(-1)
    assert same[0, :9].all() and same[0, 15:19].all() and same[1].all() and same[2, :6].all()
    assert not same[0, 9:15].any()


def test_gradients_are_finite_where_a_row_has_padding() -> None:
    model = build(SHAPE, 0).train()
    ids, lengths = rows()
    places = torch.tensor([1, 10, 16, 30, 50])
    model(ids, lengths, places)[:, : SHAPE.vocab_size].sum().backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)
