"""AdamW, the learning rate, and the loss scale of fp16."""

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import nn

from trainer.config import OptimConfig
from trainer.models.pretraining import is_norm


def decays(name: str, config: OptimConfig) -> bool:
    """Whether weight decay acts on the parameter of this name.

    `all`: always, as fairseq trained RoBERTa; `matrices`: not on biases and LayerNorm, as BERT.
    """
    is_vector = name.endswith("bias") or is_norm(name)
    return config.decay == "all" or not is_vector


def make_adamw(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """torch's AdamW over the trained parameters, in one group that decays and one that does not.

    torch adds eps after the bias correction and fairseq before it, which makes a difference in the
    first hundred steps or so (docs/trainer.md).
    """
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            group = decayed if decays(name, config) else others
            group.append(parameter)

    groups: list[dict[str, object]] = [
        {"params": decayed, "weight_decay": config.weight_decay, "decays": True}
    ]
    if others:
        groups.append({"params": others, "weight_decay": 0.0, "decays": False})
    return torch.optim.AdamW(
        groups, lr=config.lr, betas=(config.beta1, config.beta2), eps=config.eps, fused=True
    )


def prepare_step(optimizer: torch.optim.AdamW, config: OptimConfig, step: int, rate: float) -> None:
    """Set the learning rate of update `step`, counted from 0.

    BERT's Adam corrects no moments: p -= rate * (m / (sqrt(v) + eps) + decay * p). torch divides m
    by 1 - beta1^t and v by 1 - beta2^t, so it is given numbers that undo this exactly: the rate
    times (1 - beta1^t) / sqrt(1 - beta2^t), eps over sqrt(1 - beta2^t), and a decay that keeps its
    product with the rate.
    """
    factor = 1.0
    root = 1.0
    if not config.bias_correction:
        root = math.sqrt(1.0 - config.beta2 ** (step + 1))
        factor = (1.0 - config.beta1 ** (step + 1)) / root

    for group in optimizer.param_groups:
        group["lr"] = rate * factor
        group["eps"] = config.eps / root
        group["weight_decay"] = config.weight_decay / factor if group["decays"] else 0.0


def learning_rate(step: int, steps: int, config: OptimConfig) -> float:
    """The learning rate of update `step` (counted from 0): up to `lr` in equal parts during the
    warmup, then along a straight line that reaches 0 at `steps`.

    With `schedule = "start"` as in BERT's code: the first update has rate 0, and the line falls
    from `lr` at step 0, so that the rate drops a little where the warmup ends.
    """
    # BERT's code counts the update from 0 also in the warmup.
    if config.schedule == "start":
        if step < config.warmup_steps:
            return config.lr * step / config.warmup_steps
        return config.lr * (steps - step) / steps
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    return config.lr * (steps - step) / (steps - config.warmup_steps)


@dataclass(frozen=True, kw_only=True)
class LossScale:
    """fairseq's dynamic loss scale for fp16: halved on overflow, doubled after a window without."""

    scale: float = 128.0
    """The factor of the loss."""
    good: int = 0
    """Steps since the last overflow or doubling."""
    window: int = 2000
    """Steps without an overflow after which the scale doubles."""
    floor: float = 1e-4
    """At this scale or below it, training has failed."""

    def after(self, finite: bool) -> "LossScale":
        """The scale for the next step, given whether the gradient of this one was finite."""
        if not finite:
            return dataclasses.replace(self, scale=self.scale / 2, good=0)
        if self.good + 1 >= self.window:
            return dataclasses.replace(self, scale=self.scale * 2, good=0)
        return dataclasses.replace(self, good=self.good + 1)
