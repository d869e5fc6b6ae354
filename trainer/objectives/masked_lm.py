"""Losses as sums, never means: `loop` divides once, by the count over all ranks and
micro-batches."""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.masking.tokens import IGNORED


def masked_lm_sum(logits_MV: Tensor, labels_M: Tensor) -> Tensor:
    """Sum of the cross entropies (nats, fp32 or wider) over labels that are not IGNORED; 0.0 where
    there is none."""
    return F.cross_entropy(
        logits_MV if logits_MV.dtype == torch.float64 else logits_MV.float(),
        labels_M,
        ignore_index=IGNORED,
        reduction="sum",
    )


def hits(logits_MV: Tensor, labels_M: Tensor) -> Tensor:
    """How many masked tokens the model names, a 0-dim int64 tensor."""
    return ((logits_MV.argmax(-1) == labels_M) & (labels_M != IGNORED)).sum()
