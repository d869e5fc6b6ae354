"""How many samples a device computes at once, measured; a batch that does not fit is halved."""

import gc
from collections.abc import Callable

import torch

from shards.errors import UserError
from trainer.checkpoint import State

# The share of the free memory that a micro-batch may take: rows differ in length, and a compiled
# step and the libraries need some memory of their own.
SAFE = 0.85

# Bytes of a parameter that come after the first update: two moments in fp32.
MOMENT_BYTES = 8


class TooLargeError(Exception):
    """A rank has no memory for its micro-batch. All ranks raise it together, before an update;
    `state` is that before the batch."""

    def __init__(self, state: State) -> None:
        super().__init__("no memory for a micro-batch")
        self.state = state


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device had no room; torch has a kind of error of its own for a GPU alone."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def fitting(share: int, most: int, free: int, peak: Callable[[int], int]) -> int:
    """The largest divisor of a rank's `share` of the batch that is at most `most` and fits into
    `free` bytes, at least 1. `peak` measures the bytes that a micro-batch of so many samples takes
    beside what is there already."""
    sizes = [size for size in range(1, min(share, most) + 1) if share % size == 0]
    if len(sizes) == 1:
        return 1

    one, two = peak(1), peak(2)
    each = max(two - one, 1)
    fixed = max(one - each, 0)
    fits = int((SAFE * free - fixed) // each)
    return max(size for size in sizes if size <= max(fits, 1))


def halved(share: int, micro: int) -> int:
    """The next smaller micro-batch: the largest divisor of `share` that is at most half of `micro`.
    Raises `UserError` (exit 3) when there is none."""
    if micro == 1:
        raise UserError(
            "the device has no memory for a single sample",
            "use a smaller --data.length, a smaller model or another device",
            3,
        )
    return max(size for size in range(1, micro // 2 + 1) if share % size == 0)


def free_bytes(device: torch.device, parameters: int) -> int:
    """What is left on a GPU for the gradients and the activations, once `parameters` have their
    moments."""
    empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    return free - MOMENT_BYTES * parameters


def peak_of(device: torch.device, work: Callable[[], None]) -> int:
    """The bytes of a GPU that some work takes at most, beside what is there already."""
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    work()
    return torch.cuda.max_memory_allocated(device) - before


def empty_cache() -> None:
    """Give back the memory of what is no longer used."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
