"""Where the tokens of a micro-batch are once its padding is gone, worked out from lengths alone.

A row holds up to S sequences, one after the other from its first token, then padding. The encoder
computes the real tokens only: those of all rows in one line of N tokens, sequence after sequence.
Each sequence has positions of its own and attends to itself alone, so a change of one changes no
other. `lay_out` runs on the host, before the tensors are moved to the device.

A line that is compiled grows in steps (`grid`), so that few shapes occur. What fills it up are
sequences of padding, which nothing reads. Shape letters: B rows, T tokens in a row, S sequences in
a row, N tokens in the line, n sequences in the line, M places.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# A compiled micro-batch has at most about this many different lengths of its line.
GRID_STEPS = 32

# The lengths are multiples of this, which matrix products on a GPU like.
GRID_UNIT = 64


class Layout(NamedTuple):
    """`source` (N,) int64 is where each token of the line is in the rows laid flat (B * T);
    `places` (N,) int64 count from 0 in each sequence, -1 for padding; `starts` (N,) int64 is where
    in the line the sequence of each token begins.

    `ends` (n + 1,) int32 are the cumulative lengths of the sequences, from 0. `before` (B,) int64
    is the padding before each row. `first` (B * S,) int64 is where in the line each sequence of the
    rows begins, some token for a sequence that is not there.
    """

    source: Tensor
    places: Tensor
    starts: Tensor
    ends: Tensor
    before: Tensor
    first: Tensor

    def pack(self, places_M: Tensor, length: int) -> Tensor:
        """Where in the line the tokens at flat places of the rows are, (M,) int64; some token for
        a place that is padding. `length` is T."""
        packed = places_M - self.before[places_M // length]
        return packed.clamp(max=self.source.shape[0] - 1)

    def to(self, device: torch.device) -> "Layout":
        """The same on a device; a GPU copies it while it computes."""
        if device.type == "cpu":
            return self
        moved = (tensor.pin_memory().to(device, non_blocking=True) for tensor in self)
        return Layout(*moved)


def lay_out(lengths_BS: Tensor, length: int, step: int = 1) -> Layout:
    """The layout of rows of `length` tokens whose sequences have these lengths (int64 on the CPU, 0
    beyond the last). The line is filled up with padding to a multiple of `step` tokens."""
    lengths = lengths_BS.numpy()
    real = lengths.sum(1)
    padding = length - real
    before = np.cumsum(padding) - padding

    flat = lengths.reshape(-1)
    first = np.cumsum(flat) - flat
    total = int(real.sum())
    fill = -total % step
    sizes = np.append(flat[flat > 0], np.array(fill_up(fill, length), dtype=np.int64))
    ends = np.append(0, np.cumsum(sizes))

    starts = np.repeat(ends[:-1], sizes)
    places = np.arange(total + fill) - starts
    places[total:] = -1
    source = np.zeros(total + fill, dtype=np.int64)
    source[:total] = np.arange(total) + np.repeat(before, real)

    last = max(total + fill - 1, 0)
    return Layout(
        source=torch.from_numpy(source),
        places=torch.from_numpy(places),
        starts=torch.from_numpy(starts),
        ends=torch.from_numpy(ends.astype(np.int32)),
        before=torch.from_numpy(before),
        first=torch.from_numpy(first.clip(max=last)),
    )


def fill_up(tokens: int, length: int) -> list[int]:
    """The lengths of sequences of padding, `tokens` together, none longer than a row."""
    whole, rest = divmod(tokens, length)
    return [length] * whole + [rest] * (rest > 0)


def grid(rows: int, length: int) -> int:
    """The step in which the line of a compiled micro-batch of so many rows grows, in tokens."""
    units = rows * length // (GRID_STEPS * GRID_UNIT)
    return max(units, 1) * GRID_UNIT


def whole_rows(ids_BT: Tensor, pad_id: int) -> Tensor:
    """The lengths (B, 1) of rows that hold one sequence each, int64 on the CPU."""
    return (ids_BT != pad_id).sum(1, keepdim=True).cpu()


def second_parts(is_end_N: Tensor, starts_N: Tensor) -> Tensor:
    """1 for the tokens after the first end of their sequence, else 0, (N,) int64; `starts_N` is
    where the sequence of each token begins."""
    ends = is_end_N.long()
    before_N = ends.cumsum(0) - ends
    return (before_N > before_N[starts_N]).long()
