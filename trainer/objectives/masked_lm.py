"""MLM, the masked language model (BERT paper, section 3.1): predict the masked tokens."""

from torch import Tensor

from trainer.config import ModelConfig
from trainer.models.pretraining import PretrainingModel
from trainer.objectives.batch import Batch


def labels(batch: Batch, config: ModelConfig) -> Tensor:
    """The true ids (M,) of the masked tokens, IGNORED beyond them."""
    return batch.labels


def logits(model: PretrainingModel, hidden: Tensor, batch: Batch) -> Tensor:
    """Logits (M, V rounded up) from the hidden states (N, H)."""
    return model.masked_logits(hidden, batch.places)
