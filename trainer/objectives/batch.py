"""What the objectives read of a micro-batch, as tensors on the device.

Shape letters: B rows, T tokens, S sequences in a row, M places of masked tokens.
"""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """All int64. `ids` (B, T); `lengths` (B, S) the tokens of each sequence, 0 beyond the last;
    `places`, `labels` (M,) the flat places of masked tokens and their true ids, IGNORED beyond.

    Pairs have `next` (B, S), the class of each sequence: 0 its second part follows the first, 1 it
    is from another document, IGNORED beyond. Spans have `left`, `right` (M,), the flat places of
    the tokens beside the span of each masked token, and `offset` (M,), its position in the span
    counted from 1, 0 where there is none.
    """

    ids: Tensor
    lengths: Tensor
    places: Tensor
    labels: Tensor
    next: Tensor | None = None
    left: Tensor | None = None
    right: Tensor | None = None
    offset: Tensor | None = None
