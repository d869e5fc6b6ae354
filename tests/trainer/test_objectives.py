"""Objectives: their losses against plain twins, their counts, and what they refuse."""

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from trainer.config import ModelConfig, ObjectiveConfig
from trainer.models.pretraining import PretrainingModel, build, published_state
from trainer.objectives import losses, span_boundary
from trainer.objectives.batch import Batch
from trainer.objectives.losses import Losses

IGNORED = -100

SHAPE = ModelConfig(
    family="bert",
    layers=2,
    hidden=32,
    intermediate=64,
    heads=2,
    positions=20,
    vocab_size=101,
    pad_id=0,
    end_id=3,
    dropout=0.0,
    attention_dropout=0.0,
    layer_norm_eps=1e-12,
    span_head=True,
    span_targets=3,
)


def spans() -> Batch:
    """Two rows of 20 tokens: spans of four tokens at 3 and of two at 30, one token without a span,
    and three places that hold nothing."""
    ids = torch.randint(4, 100, (2, 20), generator=torch.Generator().manual_seed(0))
    places = [3, 4, 5, 6, 30, 31, 15, 0, 0, 0]
    return Batch(
        ids=ids,
        lengths=torch.tensor([[20], [20]]),
        places=torch.tensor(places),
        labels=torch.tensor([10, 11, 12, 13, 14, 15, 16, IGNORED, IGNORED, IGNORED]),
        left=torch.tensor([2, 2, 2, 2, 29, 29, 0, 0, 0, 0]),
        right=torch.tensor([7, 7, 7, 7, 32, 32, 0, 0, 0, 0]),
        offset=torch.tensor([1, 2, 3, 4, 1, 2, 0, 0, 0, 0]),
    )


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = x - x.mean()
    return centred / torch.sqrt((centred * centred).mean() + 1e-12) * weight + bias


def gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1.0 + torch.erf(x / 2.0**0.5))


def plain_span_loss(model: PretrainingModel, batch: Batch) -> tuple[Tensor, int]:
    """The span boundary objective token by token, from the weights by their published names."""
    state = {name: tensor.clone() for name, tensor in published_state(model).items()}
    head = "cls.pair_target_predictions."
    mlp = head + "mlp_layer_norm."
    words = state["bert.embeddings.word_embeddings.weight"]
    hidden = model.encoder(batch.ids, batch.lengths).reshape(-1, SHAPE.hidden)

    total = torch.zeros((), dtype=hidden.dtype)
    count = 0
    for left, right, offset, label in zip(batch.left, batch.right, batch.offset, batch.labels):
        if not 1 <= offset <= SHAPE.span_targets:
            continue
        position = state[head + "position_embeddings.weight"][offset - 1]
        x = torch.cat([hidden[left], hidden[right], position])
        for number in ("1", "2"):
            weight, bias = (state[f"{mlp}linear{number}.{kind}"] for kind in ("weight", "bias"))
            x = gelu(weight @ x + bias)
            weight, bias = (state[f"{mlp}layer_norm{number}.{kind}"] for kind in ("weight", "bias"))
            x = layer_norm(x, weight, bias)
        logits = words @ x + state[head + "bias"]
        total = total + torch.logsumexp(logits, 0) - logits[label]
        count += 1
    return total, count


def test_span_boundary_equals_a_plain_twin() -> None:
    model = build(SHAPE, 0).double()
    with torch.no_grad():
        for parameter in model.span.parameters():  # type: ignore[union-attr]
            parameter.add_(torch.randn(parameter.shape, dtype=torch.float64) * 0.1)
    batch = spans()
    wanted, count = plain_span_loss(model, batch)
    found = Losses(model, ("mlm", "sbo"), pairs=False)(batch)["sbo"]
    assert abs(float((found - wanted).detach())) < 1e-10
    assert losses.count(batch, "sbo", SHAPE) == count == 5
    # The fourth token of the first span is past the three positions of the head.
    assert span_boundary.dropped(batch, SHAPE) == 1


def test_span_boundary_gradients_equal_those_of_the_twin() -> None:
    """The twin reads clones of the weights, so the comparison is of the encoder's gradient."""
    model = build(SHAPE, 0).double()
    batch = spans()
    query = model.encoder.layers[0].qkv.weight
    gradients = []
    for loss in (plain_span_loss(model, batch)[0], Losses(model, ("sbo",), False)(batch)["sbo"]):
        gradients.append(torch.autograd.grad(loss, query)[0])
    assert float(gradients[0].abs().max()) > 1e-8
    assert float((gradients[0] - gradients[1]).abs().max()) < 1e-12


def test_a_sum_has_the_names_and_weights_that_are_on() -> None:
    config = ObjectiveConfig(nsp=True, nsp_weight=0.5)
    assert losses.weights(config) == {"mlm": 1.0, "nsp": 0.5}
    assert losses.weights(ObjectiveConfig(mlm=False, sbo=True)) == {"sbo": 1.0}


def test_pairs_are_counted_where_there_are_any() -> None:
    model = build(dataclasses.replace(SHAPE, next_head=True, span_head=False), 0).double()
    batch = spans()._replace(
        lengths=torch.tensor([[8, 12, 0], [20, 0, 0]]),
        next=torch.tensor([[0, 1, IGNORED], [IGNORED, IGNORED, IGNORED]]),
    )
    assert losses.count(batch, "nsp", SHAPE) == 2
    found = Losses(model, ("nsp",), pairs=True)(batch)["nsp"]

    hidden = model.encoder(batch.ids, batch.lengths, True)
    logits = model.next(hidden[0, [0, 8]])  # type: ignore[misc]
    shares = torch.log_softmax(logits, -1)
    assert abs(float((found + shares[0, 0] + shares[1, 1]).detach())) < 1e-12


@pytest.mark.parametrize("name, more", [("mlm", {}), ("nsp", {"next_head": True}), ("sbo", {})])
def test_a_model_learns_a_batch_by_each_objective(name: str, more: dict[str, Any]) -> None:
    """A hundred updates on one batch: the loss of the objective falls below a twentieth."""
    model = build(dataclasses.replace(SHAPE, **more), 0)
    batch = spans()._replace(
        lengths=torch.tensor([[8, 12], [9, 11]]), next=torch.tensor([[0, 1], [1, 0]])
    )
    objective = Losses(model, (name,), pairs=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    found = []
    for _ in range(100):
        loss = objective(batch)[name] / losses.count(batch, name, SHAPE)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(float(loss.detach()))
    assert found[-1] < 0.05 * found[0], (found[0], found[-1])
