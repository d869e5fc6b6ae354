"""TODO-DOC trainer/ranks.py."""

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
    """This process among its ranks (`torchrun` sets them by environment variables)."""

    rank: int
    ranks: int
    local_rank: int
    device: torch.device

    def sum(self, tensor: Tensor) -> None:
        """Add a tensor up over all ranks, in place."""
        if self.ranks > 1:
            dist.all_reduce(tensor)

    def agree(self, work: Callable[[], T]) -> T:
        """Do what a `UserError` can end on all ranks or on none: where it ends one, it alone says
        why, and all end."""
        error, result = None, None
        try:
            result = work()
        except UserError as caught:
            error = caught
        if self.ranks > 1:
            codes: list[int | None] = [None] * self.ranks
            dist.all_gather_object(codes, None if error is None else error.exit_code)
            if error is None and any(code is not None for code in codes):
                raise SystemExit(max(code or 0 for code in codes))
        if error is not None:
            raise error
        return cast(T, result)


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one. Raises `UserError` (exit 3) when CUDA is asked for and is
    not there."""
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
    if local >= torch.cuda.device_count():
        raise UserError(
            f"rank {local} of this host has no GPU: there are {torch.cuda.device_count()}",
            f"torchrun --nproc-per-node {torch.cuda.device_count()}",
            3,
        )
    return torch.device("cuda", local)


@contextlib.contextmanager
def join(device: torch.device) -> Iterator[World]:
    """Meet the other ranks: nccl on GPUs, gloo on CPUs; nothing is set up for one process."""
    rank, ranks, local = (
        int(os.environ.get(name, default))
        for name, default in (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))
    )
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if ranks > 1:
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            device_id=device if device.type == "cuda" else None,
        )
    try:
        yield World(rank, ranks, local, device)
    except RuntimeError as error:
        if ranks > 1 and re.search("gloo|nccl|connection", str(error), re.IGNORECASE):
            raise UserError(
                f"the connection to the other ranks was lost: {str(error).splitlines()[0]}",
                "see what the other ranks said, then go on with --resume",
                1,
            ) from None
        raise
    # Only here: after an error the other ranks may never come to it, and it would wait for them.
    if ranks > 1:
        dist.destroy_process_group()
