"""Attention over a line of sequences: each path against a plain masked reference, gradients too;
which kernel is chosen; and that the GPU's kernels trace with the shapes and dtypes they will get
(on tensors without data, since there may be no GPU)."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from trainer.models.attention import HAS_VARLEN, attend, choose_kernel
from trainer.models.attention_blocks import Block, blocks
from trainer.models.dropout import draw_drops, drop, keep_scale

H100 = (9, 0)

V100 = (7, 0)


def ends_of(lengths: list[int]) -> Tensor:
    return torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32)


def masked_reference(qkv: Tensor, lengths: list[int]) -> Tensor:
    """The whole line at once, with a mask that keeps the sequences apart."""
    owner = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    q, k, v = qkv.unbind(1)
    scores = torch.einsum("qhd,khd->hqk", q, k) / q.shape[-1] ** 0.5
    scores = scores.masked_fill(owner[:, None] != owner[None, :], -torch.inf)
    return torch.einsum("hqk,khd->qhd", torch.softmax(scores, -1), v)


def values_and_gradients(mixed: Tensor, qkv: Tensor) -> tuple[Tensor, Tensor]:
    weights = torch.linspace(-1, 1, mixed.numel(), dtype=mixed.dtype).view_as(mixed)
    return mixed.detach(), torch.autograd.grad((mixed * weights).sum(), qkv)[0]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=9), st.integers(0, 99))
@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_blocks_equal_a_masked_reference(
    dtype: torch.dtype, bound: float, lengths: list[int], seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    qkv = torch.randn((sum(lengths), 3, 2, 8), generator=generator, dtype=dtype)
    qkv.requires_grad_(True)
    found = values_and_gradients(attend(qkv, ends_of(lengths), 12, 0.0), qkv)
    wanted = values_and_gradients(masked_reference(qkv, lengths), qkv)
    for one, other in zip(found, wanted):
        assert float((one - other).abs().max()) < bound


def test_blocks_join_neighbours_of_one_length() -> None:
    found = list(blocks([0, 4, 8, 12, 15, 19], heads=2))
    assert found == [Block(0, 3, 4), Block(12, 1, 3), Block(15, 1, 4)]
    # 2^22 scores are the most: four sequences of 512 with two heads are half of that, nine do not
    # fit.
    many = list(blocks([512 * number for number in range(11)], heads=2))
    assert [block.count for block in many] == [8, 2]
    assert [block.start for block in many] == [0, 8 * 512]


def test_dropout_of_attention_is_the_same_forward_and_backward() -> None:
    """With dropout the mix is linear in the values, and their gradient is what was kept: so the sum
    of values times gradient is the mix itself only if both passes drop the same."""
    lengths = [5, 5, 9]
    generator = torch.Generator().manual_seed(3)
    qkv = torch.randn((19, 3, 2, 8), generator=generator, dtype=torch.float64, requires_grad=True)
    torch.manual_seed(11)
    mixed = attend(qkv, ends_of(lengths), 9, 0.5)
    gradient = torch.autograd.grad(mixed.sum(), qkv)[0]
    product = float((gradient[:, 2] * qkv[:, 2]).sum().detach())
    assert product == pytest.approx(float(mixed.sum().detach()), abs=1e-9)

    torch.manual_seed(11)
    assert torch.equal(mixed, attend(qkv, ends_of(lengths), 9, 0.5))
    assert not torch.equal(mixed, attend(qkv, ends_of(lengths), 9, 0.5))


def test_gradients_with_dropout_equal_those_of_autograd() -> None:
    """The same draws, in plain operations: one sequence is one block."""
    qkv = torch.randn((7, 3, 2, 4), dtype=torch.float64, requires_grad=True)
    torch.manual_seed(5)
    found = values_and_gradients(attend(qkv, ends_of([7]), 7, 0.3), qkv)

    torch.manual_seed(5)
    seed = int(torch.randint(0, 1 << 62, (1,)))
    drops = draw_drops(torch.Size((2, 7, 7)), 0.3, torch.Generator().manual_seed(seed))
    q, k, v = qkv.transpose(0, 2).unbind(1)
    shares = torch.softmax(q @ k.transpose(1, 2) / 2.0, -1)
    mixed = (shares.masked_fill(drops, 0.0) * keep_scale(0.3)) @ v
    wanted = values_and_gradients(mixed.transpose(0, 1), qkv)
    for one, other in zip(found, wanted):
        assert float((one - other).abs().max()) < 1e-12


@pytest.mark.parametrize("chance", [0.1, 1 / 16, 0.5])
def test_dropout_keeps_the_share_and_the_mean(chance: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(1 << 20, requires_grad=True)
    y = drop(x, chance)
    dropped = float((y == 0).double().mean())
    assert abs(dropped - chance) < 4 * (chance * (1 - chance) / (1 << 20)) ** 0.5
    assert float(y.detach().max()) == pytest.approx(1 / (1 - chance), rel=1e-4)
    y.sum().backward()  # type: ignore[no-untyped-call]
    assert torch.equal(x.grad, y.detach())


def test_kernels_by_device_dtype_and_dropout() -> None:
    bf16, fp32 = torch.bfloat16, torch.float32
    best = "varlen" if HAS_VARLEN else "flash"
    assert choose_kernel("cuda", bf16, 0.0, H100) == best
    assert choose_kernel("cuda", bf16, 0.1, H100) == "flash"
    assert choose_kernel("cuda", torch.float16, 0.1, V100) == "efficient"
    assert choose_kernel("cuda", fp32, 0.0, H100) == "efficient"
    assert choose_kernel("cpu", fp32, 0.1, (0, 0)) == "blocks"


CASES = [("varlen", torch.bfloat16, 0.0), ("flash", torch.bfloat16, 0.1)]
CASES += [("efficient", torch.float32, 0.0), ("efficient", torch.float16, 0.1)]


@pytest.mark.parametrize("kernel, dtype, dropout", CASES)
def test_kernels_of_a_gpu_trace_forward_and_backward(
    kernel: str, dtype: torch.dtype, dropout: float
) -> None:
    """torch's own rules of shape and dtype for the operators, on tensors without data: what the
    step passes to them is accepted, and a gradient of the right shape comes back."""
    if kernel == "varlen" and not HAS_VARLEN:
        pytest.skip("torch before 2.10 has no torch.nn.attention.varlen")
    with torch.device("meta"):
        qkv = torch.empty((70, 3, 4, 64), dtype=dtype, requires_grad=True)
        ends = torch.empty(6, dtype=torch.int32)
    mixed = attend(qkv, ends, 32, dropout, kernel)  # type: ignore[arg-type]
    gradient = torch.autograd.grad(mixed, qkv, torch.empty_like(mixed))[0]
    assert mixed.shape == (70, 4, 64) and mixed.dtype == dtype
    assert gradient.shape == qkv.shape and gradient.dtype == dtype
