"""This process among its ranks: the device, the meeting, and failing together.

`torchrun` starts one process for each device and tells it its rank by environment variables;
without them there is one rank. Ranks meet in the same order of collective calls, so an error on one
of them must end all: `World.agree` is how.
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from shards.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """One rank of `ranks`, number `local_rank` on its host, with its device."""

    rank: int
    ranks: int
    local_rank: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which alone writes and prints."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> None:
        """Add a tensor up over all ranks, in place."""
        if self.ranks > 1:
            dist.all_reduce(tensor)

    def begin_sum(self, tensor: Tensor) -> dist.Work:
        """Begin to add a tensor up over several ranks, in place; wait for what is returned."""
        work: dist.Work = dist.all_reduce(tensor, async_op=True)
        return work

    def agree(self, work: Callable[[], T]) -> T:
        """Do work that a `UserError` may end, on all ranks together.

        Where it ends the work of one rank, that rank raises it, and the others raise one that names
        the rank and says the same.
        """
        error: UserError | None = None
        result: T | None = None
        try:
            result = work()
        except UserError as caught:
            error = caught

        if self.ranks > 1:
            fault = None if error is None else (error.what, error.hint, error.exit_code)
            faults = self.gather(fault)
            error = self._own_error(faults)
        if error is not None:
            raise error
        return cast(T, result)

    def _own_error(self, faults: list[tuple[str, str, int] | None]) -> UserError | None:
        """What this rank raises, given what ended each rank's work (error, hint, exit code)."""
        failed = {rank: fault for rank, fault in enumerate(faults) if fault is not None}
        if not failed:
            return None

        first, (first_what, first_hint, code) = next(iter(failed.items()))
        own = failed.get(self.rank)
        if own is None:
            # The rank that failed gives the hint; where none of this host did, one line tells.
            return UserError(f"ended because rank {first} did: {first_what}", "", code)

        what, hint, code = own
        # The same mistake on every rank needs its hint only once.
        same = self.rank != first and (what, hint) == (first_what, first_hint)
        return UserError(what, "" if same else hint, code)

    def gather(self, value: T) -> list[T]:
        """The values of all ranks, by rank."""
        if self.ranks == 1:
            return [value]

        values: list[T | None] = [None] * self.ranks
        dist.all_gather_object(values, value)
        return cast(list[T], values)

    def on_rank_0(self, work: Callable[[], T]) -> T | None:
        """Do work on rank 0 while the others wait for it; None on the others. All end together, as
        in `agree`."""
        return self.agree(lambda: work() if self.is_first else None)

    def from_rank_0(self, work: Callable[[], T]) -> T:
        """Do work on rank 0, and give all ranks what it returns. All end together, as in
        `agree`."""
        answer = [self.on_rank_0(work)]
        if self.ranks > 1:
            dist.broadcast_object_list(answer, 0)
        return cast(T, answer[0])


def choose_device(name: str) -> torch.device:
    """The device for `auto`, `cpu` or `cuda`; on CUDA the GPU of this rank.

    Raises `UserError` (exit 3) when CUDA is asked for and there is none, or when this host has more
    ranks than GPUs.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "--device cuda: no GPU that torch can use",
            "check nvidia-smi and torch.version.cuda, or use --device cpu",
            3,
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu":
        return torch.device("cpu")

    local = int(os.environ.get("LOCAL_RANK", "0"))
    gpus = torch.cuda.device_count()
    if local >= gpus:
        raise UserError(
            f"rank {local} of this host has no GPU: there are {gpus}",
            f"start at most {gpus} ranks: torchrun --nproc-per-node {gpus}",
            3,
        )
    return torch.device("cuda", local)


@contextlib.contextmanager
def join(device: torch.device) -> Iterator[World]:
    """Meet the other ranks: by nccl on GPUs, by gloo on CPUs; nothing is set up for one rank.

    Raises `UserError` (exit 1) when the connection to the others is lost inside.
    """
    rank = int(os.environ.get("RANK", "0"))
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))

    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.set_device(device)
    if ranks > 1:
        dist.init_process_group("nccl" if on_gpu else "gloo", device_id=device if on_gpu else None)

    try:
        yield World(rank, ranks, local_rank, device)
    except RuntimeError as error:
        if ranks > 1 and re.search("gloo|nccl|connection", str(error), re.IGNORECASE):
            raise UserError(
                f"the connection to the other ranks was lost: {str(error).splitlines()[0]}",
                "read the errors of the other ranks, then run the command again with --resume",
                1,
            ) from None
        raise

    # Not in a `finally`: after an error the other ranks may never come here, and this would wait
    # for them.
    if ranks > 1:
        dist.destroy_process_group()
