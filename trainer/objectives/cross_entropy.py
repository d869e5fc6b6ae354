"""The cross entropy as a sum, never a mean.

`pretrain` divides each objective by all that it predicts, over all ranks and micro-batches: a mean
of means would weigh the tokens of sparse micro-batches more.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.masking.tokens import IGNORED


def cross_entropy_sum(logits_MV: Tensor, labels_M: Tensor) -> Tensor:
    """The sum of the cross entropies in nats over labels that are not IGNORED, a 0-dim tensor.

    Computed in fp32, or in float64 when the logits are; 0.0 where no label counts.
    """
    if logits_MV.dtype != torch.float64:
        logits_MV = logits_MV.float()
    return F.cross_entropy(logits_MV, labels_M, ignore_index=IGNORED, reduction="sum")
