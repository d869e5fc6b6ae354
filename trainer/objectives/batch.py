"""What the objectives read of a micro-batch, as tensors on the device.

Shape letters: B rows, T tokens, S sequences in a row, M places of masked tokens.
"""

from typing import NamedTuple

from torch import Tensor

from trainer.models.layout import Layout, lay_out


class Batch(NamedTuple):
    """All int64. `ids` (B, T); `lengths` (B, S) the tokens of each sequence, 0 beyond the last;
    `places`, `labels` (M,) the flat places of masked tokens and their true ids, IGNORED beyond.

    Pairs have `next` (B, S), the class of each sequence: 0 its second part follows the first, 1 it
    is from another document, IGNORED beyond. Spans have `left`, `right` (M,), the flat places of
    the tokens beside the span of each masked token, and `offset` (M,), its position in the span
    counted from 1, 0 where there is none. `layout` says where the tokens are without padding.
    """

    ids: Tensor
    lengths: Tensor
    places: Tensor
    labels: Tensor
    next: Tensor | None = None
    left: Tensor | None = None
    right: Tensor | None = None
    offset: Tensor | None = None
    layout: Layout | None = None

    def laid_out(self, step: int = 1) -> "Batch":
        """The batch with its layout, see `layout.lay_out`; its lengths are on the CPU."""
        return self._replace(layout=lay_out(self.lengths, self.ids.shape[1], step))

    def packed(self, layout: Layout) -> "Batch":
        """The batch with places in the line of the layout instead of the rows."""
        length = self.ids.shape[1]
        found = self._replace(places=layout.pack(self.places, length))
        if self.left is not None and self.right is not None:
            left, right = layout.pack(self.left, length), layout.pack(self.right, length)
            found = found._replace(left=left, right=right)
        return found
