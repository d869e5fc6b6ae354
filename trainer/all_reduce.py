"""The gradients of a step: cleared, added up over the ranks, measured and scaled.

One rank lets each backward pass make its gradients, and the first of a step takes them as they are,
without a copy. Several ranks meet over one flat buffer of which every gradient is a view. It is
added up in fixed slices, in the same order of additions every time (DistributedDataParallel
rebuilds its buckets after the first step, so a resumed run would add in another order than one
never killed). The slices go from the last parameter to the first, as the backward pass does; each
begins as soon as the last micro-batch has finished all of its gradients and those before it have
begun. So the ranks meet while they still compute. (A compiled step hands out its gradients at its
end, all at once.)
"""

import functools
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trainer.ranks import World

# Every view begins at a multiple of this many elements, which is 256 bytes.
ALIGNMENT = 64

# The least size of a slice: 32 MB in fp32.
SLICE = 1 << 23


@dataclass(frozen=True)
class Slice:
    """A part of the flat buffer, and which parameters are in it, by their number."""

    start: int
    stop: int
    members: tuple[int, ...]


def make_slices(sizes: list[int], least: int = SLICE) -> list[Slice]:
    """Slices of at least `least` elements but for the last one, from the end of the buffer to its
    start, given the elements of each parameter."""
    found = []
    members: list[int] = []
    start = stop = sum(sizes)
    for number in range(len(sizes) - 1, -1, -1):
        start -= sizes[number]
        members.append(number)
        if stop - start >= least or number == 0:
            found.append(Slice(start, stop, tuple(members)))
            members, stop = [], start
    return found


class Gradients:
    """The gradients of the trained parameters of a model on this rank.

    For each step: `clear`; the backward passes, the last of them after `expect_last`; `meet`. Then
    every gradient is that of all ranks.
    """

    def __init__(self, model: nn.Module, world: World, least: int = SLICE) -> None:
        self.world = world
        self.parameters = [weight for weight in model.parameters() if weight.requires_grad]
        self.flat: Tensor | None = None
        self.slices: list[Slice] = []
        self._waiting: list[int] = []
        self._sums: list[dist.Work] = []
        self._begun = 0
        self._first_half: list[Tensor | None] = []

        if world.ranks > 1:
            sizes = [-(-weight.numel() // ALIGNMENT) * ALIGNMENT for weight in self.parameters]
            self.flat = self._flatten(sizes)
            self.slices = make_slices(sizes, least)
            self._listen()

    def _flatten(self, sizes: list[int]) -> Tensor:
        """Make every gradient a view of one zeroed buffer."""
        first = self.parameters[0]
        flat = torch.zeros(sum(sizes), dtype=first.dtype, device=first.device)
        parts = torch.split(flat, sizes)
        for parameter, part in zip(self.parameters, parts, strict=True):
            parameter.grad = part[: parameter.numel()].view_as(parameter)
        return flat

    def _listen(self) -> None:
        """Be told of each gradient that a backward pass has finished."""
        for number, part in enumerate(self.slices):
            for member in part.members:
                hook = functools.partial(self._finished, number)
                parameter = self.parameters[member]
                parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]

    def clear(self) -> None:
        """Begin a step."""
        self._waiting = []
        self._sums = []
        self._begun = 0
        self._first_half = []
        if self.flat is not None:
            self.flat.zero_()
            return
        for parameter in self.parameters:
            parameter.grad = None

    def begin_half(self) -> None:
        """On one rank: keep what the first half of the micro-batches gave apart until `meet`, so
        that the additions are those of two ranks. It takes memory for the gradients once more."""
        self._first_half = [parameter.grad for parameter in self.parameters]
        for parameter in self.parameters:
            parameter.grad = None

    def expect_last(self) -> None:
        """The next backward pass is the last one of this rank in the step."""
        self._waiting = [len(part.members) for part in self.slices]

    def _finished(self, number: int, _: Tensor) -> None:
        """A gradient of a slice is finished."""
        if not self._waiting:
            return
        self._waiting[number] -= 1
        while self._begun < len(self.slices) and not self._waiting[self._begun]:
            self._begin()

    def _begin(self) -> None:
        """Begin to add up the next slice over the ranks."""
        assert self.flat is not None  # there are slices only then
        part = self.slices[self._begun]
        self._sums.append(self.world.begin_sum(self.flat[part.start : part.stop]))
        self._begun += 1

    def meet(self, what: str = "add up their gradients") -> None:
        """Finish the sums over all ranks; what no loss depends on has a gradient of zeros. `what`
        is for the error of a rank that waits for the others in vain."""
        self._waiting = []
        with self.world.waiting(what, patient=False):
            while self._begun < len(self.slices):
                self._begin()
            for work in self._sums:
                work.wait()
        for parameter, first in zip(self.parameters, self._first_half):
            if first is not None:
                parameter.grad = first if parameter.grad is None else first.add_(parameter.grad)
        self._first_half = []
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)

    def tensors(self) -> list[Tensor]:
        """The gradients, in the order of the parameters."""
        return [parameter.grad for parameter in self.parameters if parameter.grad is not None]

    def norm(self) -> Tensor:
        """Their norm, a 0-dim float64 tensor: a sum of so many squares would lose digits in
        fp32."""
        norms = torch._foreach_norm(self.tensors(), 2, dtype=torch.float64)
        total: Tensor = torch.linalg.vector_norm(torch.stack(list(norms)))
        return total

    def scale(self, factor: float) -> None:
        """Multiply them all."""
        torch._foreach_mul_(self.tensors(), factor)
