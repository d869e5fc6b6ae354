"""Attention on a CPU: plain matrix products, one sequence after the other, so that the scores of
one stay in the processor's cache; neighbours of the same length go together while they fit.

The backward pass computes the scores again instead of keeping them (12 x 512 x 512 numbers of a
sequence and layer would be 12 MB), and draws the same dropout again. A compiled step calls both
passes as operators of torch, which it takes as they are; a plain step calls them directly, which is
quicker.

Shape letters: N tokens, n sequences, h heads, D width of a head, L tokens of a sequence, c
sequences of a block.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.models.dropout import Context, draw_drops, keep_scale, new_seed

# The scores that a block may have: 16 MB in fp32.
MOST_SCORES = 1 << 22


@dataclass(frozen=True)
class Block:
    """Neighbours of one length: `count` sequences of `length` tokens from token `start` on."""

    start: int
    count: int
    length: int

    @property
    def rows(self) -> slice:
        """Their tokens in the line."""
        return slice(self.start, self.start + self.count * self.length)


def blocks(ends: list[int], heads: int) -> Iterator[Block]:
    """The blocks of a line whose sequences end at these tokens, the first of which is 0."""
    block = Block(0, 0, 0)
    for start, end in zip(ends, ends[1:]):
        length = end - start
        scores = (block.count + 1) * heads * length * length
        if length == block.length and scores <= MOST_SCORES:
            block = Block(block.start, block.count + 1, length)
            continue
        if block.count:
            yield block
        block = Block(start, 1, length)
    if block.count:
        yield block


def heads_of(lines: Tensor, block: Block) -> Tensor:
    """The rows (c * L, h, D) of a block as (c * h, L, D); a view where the block is one
    sequence."""
    part = lines[block.rows]
    if block.count == 1:
        return part.transpose(0, 1)
    h, D = part.shape[1:]
    return part.reshape(block.count, block.length, h, D).transpose(1, 2).flatten(0, 1)


def put_heads(lines: Tensor, block: Block, values: Tensor) -> None:
    """Write (c * h, L, D) into the rows of a block; the reverse of `heads_of`."""
    h, D = lines.shape[1:]
    apart = values.view(block.count, h, block.length, D).transpose(1, 2)
    lines[block.rows].view(block.count, block.length, h, D).copy_(apart)


def shares_of(q: Tensor, k: Tensor) -> Tensor:
    """The attention weights (c * h, L, L): softmax of the scaled products."""
    scores = q.new_empty((q.shape[0], q.shape[1], k.shape[1]))
    scale = q.shape[-1] ** -0.5
    torch.baddbmm(scores, q, k.transpose(1, 2), beta=0, alpha=scale, out=scores)
    return torch.softmax(scores, -1)


def mix(qkv: Tensor, ends: Tensor, seed: Tensor, dropout: float) -> Tensor:
    """(N, 3, h, D) -> (N, h, D); the dropout is drawn from `seed`."""
    q, k, v = qkv.unbind(1)
    out = torch.empty_like(q, memory_format=torch.contiguous_format)
    generator = torch.Generator().manual_seed(int(seed))

    for block in blocks(ends.tolist(), q.shape[1]):
        shares = shares_of(heads_of(q, block), heads_of(k, block))
        if dropout:
            shares.masked_fill_(draw_drops(shares.shape, dropout, generator), 0.0)
        put_heads(out, block, torch.bmm(shares, heads_of(v, block)))
    return out.mul_(keep_scale(dropout)) if dropout else out


def mix_back(gradient: Tensor, qkv: Tensor, ends: Tensor, seed: Tensor, dropout: float) -> Tensor:
    """The gradient (N, 3, h, D) of `qkv`, given that of the mix (N, h, D)."""
    q, k, v = qkv.unbind(1)
    found = torch.empty_like(qkv, memory_format=torch.contiguous_format)
    of_q, of_k, of_v = found.unbind(1)
    generator = torch.Generator().manual_seed(int(seed))
    scale = q.shape[-1] ** -0.5
    if dropout:
        gradient = gradient * keep_scale(dropout)

    for block in blocks(ends.tolist(), q.shape[1]):
        query = heads_of(q, block)
        key = heads_of(k, block)
        mixed = heads_of(gradient, block)
        shares = shares_of(query, key)
        of_shares = torch.bmm(mixed, heads_of(v, block).transpose(1, 2))

        kept = shares
        if dropout:
            drops = draw_drops(shares.shape, dropout, generator)
            kept = shares.masked_fill(drops, 0.0)
            of_shares.masked_fill_(drops, 0.0)
        put_heads(of_v, block, torch.bmm(kept.transpose(1, 2), mixed))

        scores = torch._softmax_backward_data(of_shares, shares, -1, shares.dtype)
        put_heads(of_q, block, torch.bmm(scores, key).mul_(scale))
        put_heads(of_k, block, torch.bmm(scores.transpose(1, 2), query).mul_(scale))
    return found


class Mix(torch.autograd.Function):
    """`mix` with its backward pass, for a plain step."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Context, qkv: Tensor, ends: Tensor, seed: Tensor, dropout: float
    ) -> Tensor:
        keep_inputs(ctx, (qkv, ends, seed, dropout), qkv)
        return mix(qkv, ends, seed, dropout)

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Context, gradient: Tensor
    ) -> tuple[Tensor | None, ...]:
        qkv, ends, seed = ctx.saved_tensors
        return mix_back(gradient, qkv, ends, seed, ctx.dropout), None, None, None


def keep_inputs(ctx: Context, inputs: tuple[Tensor, Tensor, Tensor, float], output: Tensor) -> None:
    """What the backward pass needs."""
    qkv, ends, seed, ctx.dropout = inputs
    ctx.save_for_backward(qkv, ends, seed)


# --- the same as operators of torch, for a compiled step

mix_operator = torch.library.custom_op("corpusmill::mix", mix, mutates_args=())

mix_back_operator = torch.library.custom_op("corpusmill::mix_back", mix_back, mutates_args=())


@mix_operator.register_fake
def _(qkv: Tensor, ends: Tensor, seed: Tensor, dropout: float) -> Tensor:
    N, _, h, D = qkv.shape
    return qkv.new_empty((N, h, D))


@mix_back_operator.register_fake
def _(gradient: Tensor, qkv: Tensor, ends: Tensor, seed: Tensor, dropout: float) -> Tensor:
    return torch.empty_like(qkv, memory_format=torch.contiguous_format)


def operator_back(ctx: Context, gradient: Tensor) -> tuple[Tensor | None, ...]:
    """The gradients of the inputs of the operator."""
    qkv, ends, seed = ctx.saved_tensors
    return mix_back_operator(gradient, qkv, ends, seed, ctx.dropout), None, None, None


mix_operator.register_autograd(operator_back, setup_context=keep_inputs)


def block_attention(qkv: Tensor, ends: Tensor, dropout: float) -> Tensor:
    """Queries, keys and values (N, 3, h, D) -> their mix (N, h, D), see `attention.attend`."""
    seed = new_seed(qkv.device) if dropout else torch.zeros(1, dtype=torch.int64)
    if torch.compiler.is_compiling():
        mixed: Tensor = mix_operator(qkv, ends, seed, dropout)
        return mixed
    mixed = Mix.apply(qkv, ends, seed, dropout)  # type: ignore[no-untyped-call]
    return mixed
