"""This process among its ranks: the device, the meeting, and failing together.

`torchrun` starts one process for each device and tells it its rank by environment variables;
without them there is one rank. Ranks meet in the same order of collective calls, so an error on one
of them must end all: `World.agree` is how.
"""

import contextlib
import datetime
import os
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined, unused-ignore]
from torch.distributed.rendezvous import rendezvous

from shards.errors import UserError
from trainer.watch import Watch

T = TypeVar("T")

# Seconds that torch waits longer than `Watch`, which says in words what it waited for.
LATER = 60.0

START_AGAIN = "read the errors of the other ranks, then run the command again with --resume"


@dataclass(frozen=True)
class World:
    """One rank of `ranks`, number `local_rank` on its host, with its device. `watch` ends it when
    it waits for the others in vain."""

    rank: int
    ranks: int
    local_rank: int
    device: torch.device
    watch: Watch | None = None

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which alone writes and prints."""
        return self.rank == 0

    def waiting(self, what: str, patient: bool = True) -> AbstractContextManager[None]:
        """Note for the time of the block that this rank waits for the others to do `what`."""
        if self.watch is None or self.ranks == 1:
            return contextlib.nullcontext()
        return self.watch.waiting(what, patient)

    def sum(self, tensor: Tensor, what: str = "add up their results") -> None:
        """Add a tensor up over all ranks, in place. `what` is for the error of a rank that waits
        for the others in vain."""
        if self.ranks > 1:
            with self.waiting(what, patient=False):
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
        with self.waiting("get as far as this one"):
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
            with self.waiting("hear from rank 0"):
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
def join(device: torch.device, watch: Watch, minutes: float) -> Iterator[World]:
    """Meet the other ranks: by nccl on GPUs, by gloo on CPUs; nothing is set up for one rank.

    A rank ends when it has waited for the others longer than `minutes`. Raises `UserError` when
    they cannot meet (exit 3), or when the connection to the others is lost inside (exit 1).
    """
    world = World(
        read_number("RANK", 0),
        read_number("WORLD_SIZE", 1),
        read_number("LOCAL_RANK", 0),
        device,
        watch,
    )
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if world.ranks > 1:
        meet(world, minutes)

    try:
        yield world
    except RuntimeError as error:
        if world.ranks > 1 and re.search("gloo|nccl|connection", str(error), re.IGNORECASE):
            raise UserError(
                f"the connection to the other ranks was lost: {first_line(error)}", START_AGAIN, 1
            ) from None
        raise

    # Not in a `finally`: after an error the other ranks may never come here, and this would wait
    # for them.
    if world.ranks > 1:
        dist.destroy_process_group()


def meet(world: World, minutes: float) -> None:
    """Connect this rank with the others. Raises `UserError` (exit 3) when that fails."""
    on_gpu = world.device.type == "cuda"
    limit = datetime.timedelta(minutes=minutes, seconds=LATER)
    try:
        with world.waiting("start"):
            store, rank, ranks = next(rendezvous("env://", timeout=limit))
            store.set_timeout(limit)
            dist.init_process_group(
                "nccl" if on_gpu else "gloo",
                store=fresh_store(store, rank, ranks),
                rank=rank,
                world_size=ranks,
                device_id=world.device if on_gpu else None,
                timeout=limit,
            )
    except (RuntimeError, ValueError) as error:
        raise UserError(
            f"the {world.ranks} ranks cannot meet: {first_line(error)}",
            "start them with torchrun, or give each MASTER_ADDR, a free MASTER_PORT, RANK and "
            "WORLD_SIZE",
            3,
        ) from None


def fresh_store(store: Store, rank: int, ranks: int) -> Store:
    """A part of the store that holds nothing of an earlier start.

    After a restart torchrun gives the ranks the same store again, with the addresses of the ranks
    that are dead (pytorch#135712, #167288), and the number of restarts differs between hosts. So
    each rank leaves a word of its own, and rank 0 answers it with the name of this start, until all
    have taken that.
    """
    word = uuid.uuid4().hex
    if rank:
        store.set(f"corpusmill/word/{rank}", word)
        start = store.get(f"corpusmill/answer/{word}").decode()
        store.add(f"corpusmill/taken/{start}", 1)
        return PrefixStore(start, store)

    taken = f"corpusmill/taken/{word}"
    while store.add(taken, 0) < ranks - 1:
        for other in range(1, ranks):
            if store.check([f"corpusmill/word/{other}"]):
                heard = store.get(f"corpusmill/word/{other}").decode()
                store.set(f"corpusmill/answer/{heard}", word)
        time.sleep(0.05)
    return PrefixStore(word, store)


def read_number(name: str, default: int) -> int:
    """A number that torchrun gives by the environment. Raises `UserError` where it is none."""
    text = os.environ.get(name, str(default))
    try:
        return int(text)
    except ValueError:
        raise UserError(
            f"the environment has {name}={text}, which is no number", "start ranks with torchrun", 3
        ) from None


def first_line(error: Exception) -> str:
    """The first line of an error; those of torch go on with addresses in its code."""
    return (str(error).splitlines() or [type(error).__name__])[0]
