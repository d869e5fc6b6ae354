"""What the encoder works out from ids and lengths: the place, the type and the reach of each token.

A row holds up to S sequences, one after the other from its first token, then padding. Each sequence
has positions of its own and attends to itself alone, so a change of one changes no other. Shape
letters: B rows, T tokens, S sequences.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """`places` (B, T) int64 count from 0 in each sequence, and `real` (B, T) bool is False for
    padding, whose places mean nothing. `types` (B, T) int64 are 0 and 1. `keep`, (B, 1, 1, T) or
    (B, 1, T, T) bool, is True where attention may look."""

    places: Tensor
    real: Tensor
    types: Tensor
    keep: Tensor


def lay_out(ids_BT: Tensor, lengths_BS: Tensor, end_id: int, pairs: bool) -> Layout:
    """The layout of rows whose sequences have these lengths (0 beyond the last).

    With `pairs` a sequence is `<s> A </s> B </s>`, and its type is 0 up to the first `end_id` and 1
    after it; without, every type is 0.
    """
    B, T = ids_BT.shape
    S = lengths_BS.shape[1]
    ends_BS = lengths_BS.cumsum(1)
    number_BT = torch.arange(T, device=ids_BT.device).expand(B, T)

    # The sequence of each token: how many have ended at or before it. Padding gets S.
    ended_BTS = number_BT[:, :, None] >= ends_BS[:, None, :]
    sequence_BT = ended_BTS.sum(2)
    real_BT = sequence_BT < S

    starts_BT = F.pad(ends_BS - lengths_BS, (0, 1)).gather(1, sequence_BT)
    types_BT = torch.zeros_like(ids_BT)
    if pairs:
        types_BT = second_parts(ids_BT == end_id, starts_BT) * real_BT

    # Rows of one sequence need no square of T x T: what is not padding may be looked at.
    keep = real_BT[:, None, None, :]
    if S > 1:
        keep = (sequence_BT[:, :, None] == sequence_BT[:, None, :])[:, None]
    return Layout(number_BT - starts_BT, real_BT, types_BT, keep)


def second_parts(is_end_BT: Tensor, starts_BT: Tensor) -> Tensor:
    """1 for the tokens after the first end of their sequence, else 0, (B, T) int64; `starts_BT` is
    where the sequence of each token begins."""
    ends = is_end_BT.long()
    before_BT = ends.cumsum(1) - ends
    return (before_BT > before_BT.gather(1, starts_BT)).long()


def first_places(lengths_BS: Tensor, length: int) -> Tensor:
    """The flat place (B * S,) of the first token of each sequence in rows of `length` tokens; some
    place of the row for a sequence that is not there."""
    starts_BS = lengths_BS.cumsum(1) - lengths_BS
    rows = torch.arange(len(lengths_BS), device=lengths_BS.device)[:, None] * length
    return (rows + starts_BS.clamp(max=length - 1)).reshape(-1)
