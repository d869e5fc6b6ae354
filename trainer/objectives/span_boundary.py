"""SBO, the span boundary objective (SpanBERT paper, section 3.2): predict each token of a masked
span from the tokens just outside the span and the token's position in it.

A token past the positions that the head knows (`model.span_targets`) has no such loss. SpanBERT's
code drops it too (--max-pair-targets); the paper, whose spans are counted in words, names no bound.
"""

import torch
from torch import Tensor

from trainer.config import ModelConfig
from trainer.masking.tokens import IGNORED
from trainer.models.pretraining import PretrainingModel
from trainer.objectives.batch import Batch


def labels(batch: Batch, config: ModelConfig) -> Tensor:
    """The true ids (M,) of the tokens of spans, IGNORED past the known positions."""
    assert batch.offset is not None  # `config.check_objective` asks for masks of spans
    known = (batch.offset >= 1) & (batch.offset <= config.span_targets)
    return torch.where(known, batch.labels, IGNORED)


def logits(model: PretrainingModel, hidden: Tensor, batch: Batch) -> Tensor:
    """Logits (M, V rounded up) from the hidden states (N, H)."""
    assert batch.left is not None and batch.right is not None and batch.offset is not None
    return model.span_logits(hidden, batch.left, batch.right, batch.offset)


def dropped(batch: Batch, config: ModelConfig) -> int:
    """How many tokens of spans have no such loss, since they are past the known positions."""
    if batch.offset is None or not config.span_head:
        return 0
    return int((batch.offset > config.span_targets).sum())
