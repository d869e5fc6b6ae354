"""The losses of a task's micro-batch, each as a sum and a count, never a mean.

`classes`: cross entropy. `number`: squared error, in units of the scale. `choice`: cross entropy
over the options. `span`: the mean of the cross entropies of the first and the last token; with the
answerable classifier only over windows that hold an answer, and the classifier's loss is added
(RoBERTa paper, section 3.3). `candidates`: for each wrong candidate the margin ranking loss of
Kocijan et al. (2019), or cross entropy over all candidates.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.tasks.batches import TaskBatch
from trainer.tasks.features import NONE
from trainer.tasks.model import TaskModel, options_logits
from trainer.tasks.settings import RankingConfig

# The names of the two losses of a span, which are added.
TASK, ANSWERABLE = "task", "answerable"


def loss_names(model: TaskModel) -> tuple[str, ...]:
    """The losses of a model, in order."""
    return (TASK, ANSWERABLE) if model.answerable is not None else (TASK,)


def count(batch: TaskBatch, model: TaskModel) -> dict[str, int]:
    """How many labels each loss has in a micro-batch; on a CPU."""
    labels = batch.labels
    if model.head.kind == "candidates":
        wrong = (batch.options >= 0).sum(1) - 1
        return {TASK: int(wrong.clamp(min=0).sum())}
    if model.answerable is not None:
        return {TASK: int((labels[:, 2] == 1).sum()), ANSWERABLE: len(labels)}
    return {TASK: int((labels[:, 0] != NONE).sum())}


class TaskLosses(nn.Module):
    """A model and its losses: a micro-batch -> the sum of each loss, 0-dim tensors."""

    def __init__(self, model: TaskModel, ranking: RankingConfig) -> None:
        super().__init__()
        self.model = model
        self.ranking = ranking

    def forward(self, batch: TaskBatch) -> dict[str, Tensor]:
        model = self.model
        hidden = model.hidden(batch)
        first = batch.labels[:, 0]

        if model.head.kind == "number":
            found = model.pooled(hidden, batch)[:, 0].float()
            return {TASK: F.mse_loss(found, (first / model.head.scale).float(), reduction="sum")}
        if model.head.kind == "span":
            return span_losses(model, hidden, batch)
        if model.head.kind == "candidates":
            scores = options_logits(model.candidate_scores(hidden, batch), batch.options)
            return {TASK: ranking_loss(scores, batch.options >= 0, self.ranking)}

        logits = model.pooled(hidden, batch)
        if model.head.kind == "choice":
            logits = options_logits(logits[:, 0], batch.options)
        return {TASK: cross_entropies(logits, first)}


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """The sum of the cross entropies, in fp32, over the labels that are there."""
    return F.cross_entropy(logits.float(), labels.long(), ignore_index=NONE, reduction="sum")


def span_losses(model: TaskModel, hidden: Tensor, batch: TaskBatch) -> dict[str, Tensor]:
    """The loss of first and last tokens, and that of the answerable classifier where there is
    one."""
    logits = model.span_logits(hidden, batch)
    holds = batch.labels[:, 2]
    first = batch.labels[:, 0]
    last = batch.labels[:, 1]
    if model.answerable is not None:
        first = torch.where(holds == 1, first, NONE)
        last = torch.where(holds == 1, last, NONE)

    sums = cross_entropies(logits[..., 0], first) + cross_entropies(logits[..., 1], last)
    if model.answerable is None:
        return {TASK: sums / 2}
    found = model.answerable_logits(hidden, batch).float()
    binary = F.binary_cross_entropy_with_logits(found, holds.float(), reduction="sum")
    return {TASK: sums / 2, ANSWERABLE: binary}


def ranking_loss(scores: Tensor, is_there: Tensor, config: RankingConfig) -> Tensor:
    """The sum of the losses of candidates' scores (N, K), of which the first is the right one;
    those that are not `is_there` do not count."""
    right = scores[:, :1]
    is_wrong = is_there[:, 1:]
    if config.loss == "cross-entropy":
        labels = torch.zeros(len(scores), dtype=torch.long, device=scores.device)
        # Counted once for each wrong candidate, as the margins are, so that the mean is that of
        # the items.
        each = F.cross_entropy(scores, labels, reduction="none")
        return (each * is_wrong.sum(1)).sum()

    margins = (scores[:, 1:] - right + config.beta).clamp(min=0)
    return ((config.alpha * margins - right) * is_wrong).sum()
