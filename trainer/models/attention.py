"""Self-attention over a line of sequences, each of which attends to itself alone; no mask.

A mask would cost the fast kernels: flash attention takes none, and cuDNN refuses a dropout that is
no multiple of 1/16 (torch's aten/src/ATen/native/transformers/cuda/sdp_utils.cpp). The kernels used
here take cumulative lengths instead:

    varlen     torch's public op (torch.nn.attention.varlen): cuDNN on Hopper and Blackwell, else
               flash attention; fp16 and bf16, no dropout
    flash      flash attention with dropout, which the public op does not have: the operator that
               torch's own nested tensors call
    efficient  memory-efficient attention: fp32, and GPUs before Ampere
    blocks     plain products, sequence by sequence, on a CPU (`attention_blocks.py`)

Shape letters: N tokens, n sequences, h heads, D width of a head.
"""

from typing import Literal

import torch
from torch import Tensor

from trainer.models.attention_blocks import block_attention

try:
    from torch.nn.attention.varlen import varlen_attn

    HAS_VARLEN = True
except ImportError:  # before torch 2.10
    HAS_VARLEN = False

Kernel = Literal["varlen", "flash", "efficient", "blocks"]

# Flash attention needs an Ampere GPU (sm_80) or a later one.
FLASH_CAPABILITY = (8, 0)

# No causal mask, for the efficient kernel.
NO_MASK = 0


def choose_kernel(
    device_type: str, dtype: torch.dtype, dropout: float, capability: tuple[int, int]
) -> Kernel:
    """The kernel for tensors of this dtype on a device of this compute capability."""
    if device_type != "cuda":
        return "blocks"
    if dtype not in (torch.float16, torch.bfloat16) or capability < FLASH_CAPABILITY:
        return "efficient"
    if dropout or not HAS_VARLEN:
        return "flash"
    return "varlen"


def kernel_for(tensor: Tensor, dropout: float) -> Kernel:
    """The kernel for a tensor on its device."""
    capability = (0, 0)
    if tensor.device.type == "cuda":
        capability = torch.cuda.get_device_capability(tensor.device)
    return choose_kernel(tensor.device.type, tensor.dtype, dropout, capability)


def attend(
    qkv: Tensor, ends: Tensor, longest: int, dropout: float, kernel: Kernel | None = None
) -> Tensor:
    """Queries, keys and values `qkv` (N, 3, h, D) -> their mix (N, h, D).

    `ends` (n + 1,) int32 are the cumulative lengths of the sequences, none longer than `longest`.
    Dropout is drawn from torch's default generator.
    """
    kernel = kernel or kernel_for(qkv, dropout)
    if kernel == "blocks":
        mixed: Tensor = block_attention(qkv, ends, dropout)
        return mixed

    q, k, v = qkv.unbind(1)
    if kernel == "varlen":
        out = varlen_attn(q, k, v, ends, ends, longest, longest)
        assert isinstance(out, Tensor)  # no `return_aux`
        return out
    if kernel == "flash":
        found = torch.ops.aten._flash_attention_forward(
            q, k, v, ends, ends, longest, longest, dropout, False, False
        )
        mixed = found[0]
        return mixed

    found = torch.ops.aten._efficient_attention_forward(
        q[None], k[None], v[None], None, ends, ends, longest, longest, dropout, NO_MASK, True
    )
    mixed = found[0]
    return mixed.squeeze(0)
