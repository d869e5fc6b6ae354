"""NSP, next sentence prediction (BERT paper, section 3.1): does the second part of a pair follow
the first one in its document, or is it from another document?"""

from torch import Tensor

from trainer.config import ModelConfig
from trainer.models.pretraining import PretrainingModel
from trainer.objectives.batch import Batch


def labels(batch: Batch, config: ModelConfig) -> Tensor:
    """The class (B * S,) of each pair: 0 follows, 1 is random, IGNORED where there is no pair."""
    assert batch.next is not None  # `config.check_objective` asks for a format of pairs
    return batch.next.reshape(-1)


def logits(model: PretrainingModel, hidden: Tensor, batch: Batch) -> Tensor:
    """Logits (B * S, 2) from the hidden states (N, H)."""
    assert batch.layout is not None  # `Losses.forward` makes one
    return model.next_logits(hidden, batch.layout.first)
