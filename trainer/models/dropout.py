"""Dropout: torch's own on a GPU, where it is compiled into its neighbours; on a CPU one that draws
16 bits for each number instead of a whole float, which takes a quarter of the time.

The chance is rounded to 1/65,536, and what is kept is scaled by exactly what the rounded chance
leaves, so that the mean stays. Everything is drawn from torch's default generator: the CPU's draws
take a seed from it, so that the backward pass can draw the same again.
"""

from typing import Protocol

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


def drop_some(x: Tensor, seed: Tensor, dropout: float) -> Tensor:
    """`x` with some numbers dropped and the others scaled; its own backward pass too."""
    generator = torch.Generator().manual_seed(int(seed))
    drops = draw_drops(x.shape, dropout, generator)
    return x.masked_fill(drops, 0.0).mul_(keep_scale(dropout))


class Context(Protocol):
    """What torch keeps from a forward pass to its backward pass, here also the `dropout`."""

    dropout: float
    saved_tensors: tuple[Tensor, ...]

    def save_for_backward(self, *tensors: Tensor) -> None:
        """Keep tensors as `saved_tensors`."""


class Drop(torch.autograd.Function):
    """`drop_some` with its backward pass, for a plain step."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Context, x: Tensor, seed: Tensor, dropout: float
    ) -> Tensor:
        keep_inputs(ctx, (x, seed, dropout), x)
        return drop_some(x, seed, dropout)

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Context, gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        (seed,) = ctx.saved_tensors
        return drop_some(gradient, seed, ctx.dropout), None, None


def keep_inputs(ctx: Context, inputs: tuple[Tensor, Tensor, float], output: Tensor) -> None:
    """What the backward pass needs."""
    _, seed, ctx.dropout = inputs
    ctx.save_for_backward(seed)


# --- the same as an operator of torch, for a compiled step

drop_operator = torch.library.custom_op("corpusmill::drop", drop_some, mutates_args=())


@drop_operator.register_fake
def _(x: Tensor, seed: Tensor, dropout: float) -> Tensor:
    return torch.empty_like(x)


def operator_back(ctx: Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients of the inputs of the operator."""
    (seed,) = ctx.saved_tensors
    return drop_operator(gradient, seed, ctx.dropout), None, None


drop_operator.register_autograd(operator_back, setup_context=keep_inputs)


def drop(x: Tensor, dropout: float) -> Tensor:
    """`x` with dropout at this chance."""
    if not dropout:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, dropout)
    seed = new_seed(x.device)
    if torch.compiler.is_compiling():
        dropped: Tensor = drop_operator(x, seed, dropout)
        return dropped
    dropped = Drop.apply(x, seed, dropout)  # type: ignore[no-untyped-call]
    return dropped
