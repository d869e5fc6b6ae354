"""AdamW over one flat gradient, the schedule, and the loss scale of fp16.

The gradients of all parameters are views of one buffer. So a rank sums its micro-batches with no
copy, ranks meet in one all-reduce a step, in the same order of additions every time
(DistributedDataParallel rebuilds its buckets after the first step, so a resumed run would add in
another order than one never killed), and the norm is one reduction.
"""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.config import OptimConfig

_ALIGN = 64  # elements; every view begins at a multiple of 256 bytes


def flatten_gradients(model: nn.Module) -> Tensor:
    """Give every trained parameter a gradient that is a view of one zeroed fp32 buffer; returns the
    buffer."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    sizes = [-(-parameter.numel() // _ALIGN) * _ALIGN for parameter in parameters]
    flat = torch.zeros(sum(sizes), dtype=parameters[0].dtype, device=parameters[0].device)
    for parameter, part in zip(parameters, torch.split(flat, sizes), strict=True):
        parameter.grad = part[: parameter.numel()].view_as(parameter)
    return flat


def decays(name: str, config: OptimConfig) -> bool:
    """Does weight decay act on this parameter? `all`: yes (fairseq's RoBERTa); `matrices`: not on
    biases and LayerNorm (BERT)."""
    return config.decay == "all" or not (
        name.endswith("bias") or "LayerNorm" in name or "layer_norm" in name
    )


def make_adamw(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """torch's AdamW (eps after the bias correction; fairseq adds it before, which differs in the
    first 100 steps only)."""
    named = [
        (name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad
    ]
    groups = [
        {
            "params": [parameter for name, parameter in named if decays(name, config)],
            "weight_decay": config.weight_decay,
        },
        {
            "params": [parameter for name, parameter in named if not decays(name, config)],
            "weight_decay": 0.0,
        },
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.eps,
        fused=True,
    )


def learning_rate(step: int, steps: int, config: OptimConfig) -> float:
    """The rate of update `step` (from 0): rising by lr / warmup to lr, then a straight line that
    reaches 0 at `steps`."""
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    return config.lr * (steps - step) / (steps - config.warmup_steps)


@dataclass(frozen=True, kw_only=True)
class LossScale:
    """Dynamic loss scale of fp16 as fairseq's: from 2^7, halved on overflow, doubled after a window
    without one."""

    scale: float = 128.0
    good: int = 0
    window: int = 2000
    floor: float = 1e-4

    def after(self, finite: bool) -> "LossScale":
        """The scale for the next step."""
        if not finite:
            return dataclasses.replace(self, scale=self.scale / 2, good=0)
        if self.good + 1 >= self.window:
            return dataclasses.replace(self, scale=self.scale * 2, good=0)
        return dataclasses.replace(self, good=self.good + 1)
