"""The losses of a micro-batch by the names of their objectives, each as a sum and a count.

An objective is two functions: `labels`, what it predicts, with IGNORED where nothing is predicted,
and `logits`, the head's answer from the hidden states. The rest is the same for all of them: the
sum of the cross entropies, and how many labels there are.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from trainer.config import ModelConfig, ObjectiveConfig
from trainer.masking.tokens import IGNORED
from trainer.models.pretraining import PretrainingModel
from trainer.objectives import masked_lm, next_sentence, span_boundary
from trainer.objectives.batch import Batch
from trainer.objectives.cross_entropy import cross_entropy_sum


@dataclass(frozen=True)
class Objective:
    """What is predicted, and how."""

    labels: Callable[[Batch, ModelConfig], Tensor]
    logits: Callable[[PretrainingModel, Tensor, Batch], Tensor]


OBJECTIVES = {
    "mlm": Objective(masked_lm.labels, masked_lm.logits),
    "nsp": Objective(next_sentence.labels, next_sentence.logits),
    "sbo": Objective(span_boundary.labels, span_boundary.logits),
}


def weights(config: ObjectiveConfig) -> dict[str, float]:
    """The weights of the objectives that are on, by name."""
    return {name: getattr(config, f"{name}_weight") for name in OBJECTIVES if getattr(config, name)}


def count(batch: Batch, name: str, config: ModelConfig) -> int:
    """How many labels an objective has in a micro-batch; cheap on a CPU."""
    labels = OBJECTIVES[name].labels(batch, config)
    return int((labels != IGNORED).sum())


class Losses(nn.Module):
    """A model and its objectives: a micro-batch -> the sum of each loss in nats, 0-dim tensors.

    This is what is compiled, so that no logits leave the compiled region. With `pairs` the rows
    hold pairs, whose parts have a token type each.
    """

    def __init__(self, model: PretrainingModel, names: tuple[str, ...], pairs: bool) -> None:
        super().__init__()
        self.model = model
        self.names = names
        self.pairs = pairs

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        layout = batch.layout
        if layout is None:
            layout = self.model.encoder.lay_out(batch.ids, batch.lengths)
        hidden = self.model.encoder.line(batch.ids, layout, self.pairs)
        batch = batch.packed(layout)._replace(layout=layout)

        sums = {}
        for name in self.names:
            objective = OBJECTIVES[name]
            logits = objective.logits(self.model, hidden, batch)
            sums[name] = cross_entropy_sum(logits, objective.labels(batch, self.model.config))
        return sums
