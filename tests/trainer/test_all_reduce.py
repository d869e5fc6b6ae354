"""Gradients: taken as they are on one rank; on several, added up in fixed slices that begin in the
backward pass."""

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from trainer.all_reduce import ALIGNMENT, Gradients, Slice, make_slices
from trainer.ranks import World

ALONE = World(0, 1, 0, torch.device("cpu"))


class Work:
    """A sum that is under way; it doubles, as if another rank had the same."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def wait(self) -> None:
        self.tensor.mul_(2.0)


@dataclasses.dataclass(frozen=True)
class Two(World):
    """The first of two ranks, without the second: notes what is summed and when."""

    seen: list[Any] = dataclasses.field(default_factory=list)

    def begin_sum(self, tensor: Tensor) -> Any:
        self.seen.append(tensor.numel())
        return Work(tensor)


def two() -> Two:
    return Two(0, 2, 0, torch.device("cpu"))


def model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 4))


def run_backward(network: nn.Sequential) -> None:
    network(torch.ones(3, 8)).square().sum().backward()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(1, 100))
def test_slices_cover_the_buffer_from_its_end(sizes: list[int], least: int) -> None:
    found = make_slices(sizes, least)
    assert found[0].stop == sum(sizes) and found[-1].start == 0
    for one, after in zip(found, found[1:]):
        assert one.start == after.stop and one.stop - one.start >= least
    members = [member for part in found for member in part.members]
    assert members == list(range(len(sizes)))[::-1]
    for part in found:
        assert part.stop - part.start == sum(sizes[member] for member in part.members)


def test_slices_of_a_known_buffer() -> None:
    found = make_slices([64, 128, 64], 100)
    assert found == [Slice(64, 256, (2, 1)), Slice(0, 64, (0,))]


def test_two_ranks_have_the_gradients_of_one_summed() -> None:
    plain, shared = model(), model()
    alone, together = Gradients(plain, ALONE), Gradients(shared, two(), least=ALIGNMENT)
    for gradients, network in ((alone, plain), (together, shared)):
        gradients.clear()
        run_backward(network)
        gradients.expect_last()
        run_backward(network)
        gradients.meet()
    for one, other in zip(alone.tensors(), together.tensors(), strict=True):
        assert torch.equal(one * 2, other)
    assert float(together.norm()) == pytest.approx(2 * float(alone.norm()), rel=1e-6)
    squares = [float(tensor.double().square().sum()) for tensor in alone.tensors()]
    assert float(alone.norm()) == pytest.approx(sum(squares) ** 0.5, rel=1e-6)

    alone.scale(0.5)
    for one, other in zip(alone.tensors(), together.tensors(), strict=True):
        assert torch.equal(one * 4, other)


def test_slices_begin_in_the_last_backward_pass_alone() -> None:
    world = two()
    network = model()
    gradients = Gradients(network, world, least=ALIGNMENT)
    gradients.clear()
    run_backward(network)
    assert not world.seen
    gradients.expect_last()
    run_backward(network)
    # The bias and the weight of the last layer, then those of the first; each fills one slice.
    assert world.seen == [64, 64, 64, 128]
    gradients.meet()
    assert world.seen == [64, 64, 64, 128]


def test_a_rank_that_stops_early_takes_part_in_every_slice() -> None:
    world = two()
    network = model()
    gradients = Gradients(network, world, least=ALIGNMENT)
    gradients.clear()
    gradients.meet()
    assert world.seen == [64, 64, 64, 128]
    assert not any(tensor.any() for tensor in gradients.tensors())


def test_an_unused_weight_has_a_gradient_of_zeros_and_waits_for_the_end() -> None:
    world = two()
    network = model()
    network.append(nn.Linear(4, 4))
    gradients = Gradients(network, world, least=ALIGNMENT)
    gradients.clear()
    gradients.expect_last()
    network[:3](torch.ones(3, 8)).sum().backward()
    # The unused layer comes first, so no slice could begin before.
    assert world.seen == []
    gradients.meet()
    assert world.seen == [64, 64, 64, 64, 64, 128]

    alone = Gradients(network, ALONE)
    alone.clear()
    network[:3](torch.ones(3, 8)).sum().backward()
    alone.meet()
    assert len(alone.tensors()) == 6 and not alone.tensors()[-1].any()
