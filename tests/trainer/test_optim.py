"""The groups of the optimizer, its schedule and the scale of the loss."""

import pytest
import torch

from trainer.all_reduce import Gradients
from trainer.config import ModelConfig, OptimConfig
from trainer.models.names import WORDS
from trainer.models.pretraining import build
from trainer.optim import (
    LossScale,
    decays,
    learning_rate,
    make_adamw,
    prepare_step,
)
from trainer.ranks import World

SHAPE = ModelConfig(layers=3, hidden=64, intermediate=160, heads=4, positions=48, vocab_size=1003)


def test_decay_groups() -> None:
    model = build(SHAPE, 0)
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


def plain_bert_adam(
    parameters: dict[str, torch.Tensor], gradients: list[dict[str, torch.Tensor]], steps: int
) -> None:
    """BERT's optimizer, written from its description: no bias correction, eps beside the root, a
    decay that is not of biases and LayerNorm, the gradients clipped to a norm of 1, a rate that
    rises over 3 steps and decays from step 0."""
    m = {name: torch.zeros_like(value) for name, value in parameters.items()}
    v = {name: torch.zeros_like(value) for name, value in parameters.items()}
    for step, found in enumerate(gradients):
        rate = 0.05 * step / 3 if step < 3 else 0.05 * (1 - step / steps)
        norm = sum(float(value.square().sum()) for value in found.values()) ** 0.5
        for name, value in parameters.items():
            gradient = found[name] / max(norm, 1.0)
            m[name] = 0.9 * m[name] + 0.1 * gradient
            v[name] = 0.999 * v[name] + 0.001 * gradient * gradient
            update = m[name] / (v[name].sqrt() + 1e-6)
            if not ("bias" in name or "norm" in name):
                update = update + 0.01 * value
            parameters[name] = value - rate * update


def test_bert_adam_step_for_step() -> None:
    """torch's AdamW, given numbers that undo its corrections, is BERT's Adam at every step."""
    config = OptimConfig(
        lr=0.05,
        warmup_steps=3,
        beta2=0.999,
        decay="matrices",
        clip=1.0,
        bias_correction=False,
        schedule="start",
    )
    model = build(SHAPE, 0).double()
    gradients_of = Gradients(model, World(0, 1, 0, torch.device("cpu")))
    gradients_of.meet()
    optimizer = make_adamw(model, config)
    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    plain = {name: value.detach().clone() for name, value in trained.items()}

    generator = torch.Generator().manual_seed(0)
    gradients = []
    for step in range(12):
        found = {}
        for name, value in trained.items():
            noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
            found[name] = noise * 10.0 ** (-3 - step % 3)
            value.grad.copy_(found[name])  # type: ignore[union-attr]
        gradients.append(found)

        norm = float(gradients_of.norm())
        if norm > config.clip:
            gradients_of.scale(config.clip / norm)
        prepare_step(optimizer, config, step, learning_rate(step, 12, config))
        optimizer.step()

        wanted = dict(plain)
        plain_bert_adam(wanted, gradients, 12)
        for name, value in trained.items():
            assert float((value - wanted[name]).detach().abs().max()) < 1e-12, (step, name)


def test_torch_adam_is_left_as_it_is() -> None:
    config = OptimConfig(lr=0.1)
    optimizer = make_adamw(build(SHAPE, 0), config)
    prepare_step(optimizer, config, 7, 0.025)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["eps"], group["weight_decay"]) == (0.025, 1e-6, 0.01)


def test_schedule_of_bert() -> None:
    config = OptimConfig(lr=1.0, warmup_steps=10, schedule="start")
    rates = [learning_rate(step, 100, config) for step in range(100)]
    assert rates[0] == 0.0 and rates[9] == 0.9
    assert rates[10] == 0.9 and rates[50] == 0.5 and rates[99] == pytest.approx(0.01)
