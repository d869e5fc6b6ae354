"""AdamW over one flat gradient, the learning rate, and the loss scale of fp16.

The gradients of all parameters are views of one buffer. So a rank adds up its micro-batches without
a copy, ranks meet in one all-reduce per step, in the same order of additions every time
(DistributedDataParallel rebuilds its buckets after the first step, so a resumed run would add in
another order than one never killed), and the norm is one reduction.
"""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainer.config import OptimConfig

# Every view begins at a multiple of this many elements, which is 256 bytes.
ALIGNMENT = 64


def flatten_gradients(model: nn.Module) -> Tensor:
    """Make the gradient of every trained parameter a view of one zeroed buffer; return the buffer,
    (P,) in the parameters' dtype, P their number with padding."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    sizes = [-(-parameter.numel() // ALIGNMENT) * ALIGNMENT for parameter in parameters]
    flat = torch.zeros(sum(sizes), dtype=parameters[0].dtype, device=parameters[0].device)

    for parameter, part in zip(parameters, torch.split(flat, sizes), strict=True):
        parameter.grad = part[: parameter.numel()].view_as(parameter)
    return flat


def decays(name: str, config: OptimConfig) -> bool:
    """Whether weight decay acts on the parameter of this name.

    `all`: always, as fairseq trained RoBERTa; `matrices`: not on biases and LayerNorm, as BERT.
    """
    is_vector = name.endswith("bias") or "LayerNorm" in name or "layer_norm" in name
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

    groups: list[dict[str, object]] = [{"params": decayed, "weight_decay": config.weight_decay}]
    if others:
        groups.append({"params": others, "weight_decay": 0.0})
    return torch.optim.AdamW(
        groups, lr=config.lr, betas=(config.beta1, config.beta2), eps=config.eps, fused=True
    )


def learning_rate(step: int, steps: int, config: OptimConfig) -> float:
    """The learning rate of update `step` (counted from 0): up to `lr` in equal parts during the
    warmup, then along a straight line that reaches 0 at `steps`."""
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
