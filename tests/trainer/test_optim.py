"""The groups of the optimizer, its schedule and the scale of the loss."""

import pytest
import torch
from trainer_fixtures import batch

from trainer.config import ModelConfig, OptimConfig
from trainer.models.names import WORDS
from trainer.models.pretraining import build
from trainer.objectives.cross_entropy import cross_entropy_sum
from trainer.optim import LossScale, decays, flatten_gradients, learning_rate, make_adamw

SHAPE = ModelConfig(layers=3, hidden=64, intermediate=160, heads=4, positions=48, vocab_size=1003)


def test_decay_groups() -> None:
    model = build(SHAPE, 0)
    flatten_gradients(model)
    every = make_adamw(model, OptimConfig(decay="all"))
    assert [group["weight_decay"] for group in every.param_groups] == [0.01]
    split = make_adamw(model, OptimConfig(decay="matrices"))
    assert [group["weight_decay"] for group in split.param_groups] == [0.01, 0.0]
    assert sum(len(group["params"]) for group in split.param_groups) == len(
        every.param_groups[0]["params"]
    )
    assert not decays("masked.norm.weight", OptimConfig(decay="matrices")) and decays(
        WORDS, OptimConfig(decay="matrices")
    )


def test_gradients_are_views_of_one_buffer() -> None:
    model = build(SHAPE, 0)
    flat = flatten_gradients(model)
    cross_entropy_sum(model(*batch(SHAPE)[:1], torch.arange(5)), torch.arange(5)).backward()
    norm = torch.sqrt(
        sum(
            parameter.grad.double().square().sum()
            for parameter in model.parameters()
            if parameter.requires_grad
        )
    )  # type: ignore[union-attr, arg-type, misc]
    assert (
        torch.allclose(torch.linalg.vector_norm(flat, dtype=torch.float64), norm)
        and float(norm) > 0
    )


def test_schedule() -> None:
    config = OptimConfig(lr=1.0, warmup_steps=10)
    rates = [learning_rate(step, 100, config) for step in range(100)]
    assert rates[0] == 0.1 and rates[9] == 1.0 and rates[10] == 1.0
    assert rates[99] == pytest.approx(1 / 90) and rates[55] == 0.5
    assert learning_rate(0, 10, OptimConfig(lr=1.0, warmup_steps=0)) == 1.0


def test_loss_scale() -> None:
    scale = LossScale(window=3)
    assert scale.after(False).scale == 64.0
    for _ in range(3):
        scale = scale.after(True)
    assert scale.scale == 256.0 and scale.good == 0
