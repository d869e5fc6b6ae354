"""Dropout: torch's own on a GPU, where it is compiled into its neighbours; on a CPU one that draws
16 bits for each number instead of a whole float, which takes a quarter of the time.

The chance is rounded to 1/65,536, and what is kept is scaled by exactly what the rounded chance
leaves, so that the mean stays. Everything is drawn from torch's default generator: the CPU's draws
take a seed from it, so that the backward pass can draw the same again.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LEVELS = 1 << 16


def threshold(dropout: float) -> int:
    """The draws of 16 bits, from -32,768 on, below which a number is dropped."""
    return round(dropout * LEVELS) - LEVELS // 2


def keep_scale(dropout: float) -> float:
    """The factor of what is kept."""
    return LEVELS / (LEVELS - round(dropout * LEVELS))


def new_seed(device: torch.device) -> Tensor:
    """A seed of 62 bits from the default generator, (1,) int64."""
    return torch.randint(0, 1 << 62, (1,), dtype=torch.int64, device=device)


def draw_drops(shape: torch.Size, dropout: float, generator: torch.Generator) -> Tensor:
    """True where a number is dropped."""
    count = shape.numel()
    words = torch.empty(-(-count // 4), dtype=torch.int64)
    words.random_(-(2**63), None, generator=generator)
    return words.view(torch.int16)[:count].view(shape) < threshold(dropout)


@torch.library.custom_op("corpusmill::dropout", mutates_args=())
def dropout_forward(x: Tensor, seed: Tensor, dropout: float) -> Tensor:
    """`x` with some numbers dropped and the others scaled; its own backward pass too."""
    generator = torch.Generator().manual_seed(int(seed))
    drops = draw_drops(x.shape, dropout, generator)
    return x.masked_fill(drops, 0.0).mul_(keep_scale(dropout))


@dropout_forward.register_fake
def _(x: Tensor, seed: Tensor, dropout: float) -> Tensor:
    return torch.empty_like(x)


def keep_inputs(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """What the backward pass needs."""
    _, seed, ctx.dropout = inputs
    ctx.save_for_backward(seed)


def go_back(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients of the inputs, for torch."""
    (seed,) = ctx.saved_tensors
    return torch.ops.corpusmill.dropout(gradient, seed, ctx.dropout), None, None


dropout_forward.register_autograd(go_back, setup_context=keep_inputs)


def drop(x: Tensor, dropout: float) -> Tensor:
    """`x` with dropout at this chance."""
    if not dropout:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, dropout)
    dropped: Tensor = torch.ops.corpusmill.dropout(x, new_seed(x.device), dropout)
    return dropped
