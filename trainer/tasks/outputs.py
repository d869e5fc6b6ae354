"""What a model says of the items of a split: a row of numbers for each, by batches of about one
length.

Of classes the logits; of a number the number; of a choice the logit of each option; of candidates
the score of each; of a window the logits of its tokens as the first and as the last of the answer,
and the logit of the answerable classifier, 0 without one.
"""

from contextlib import AbstractContextManager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.ranks import World
from trainer.tasks.batches import TaskBatch, by_length, make_batch
from trainer.tasks.features import Features
from trainer.tasks.model import TaskModel, options_logits

LOWEST = float(torch.finfo(torch.float32).min)


@torch.no_grad()
def outputs(
    model: TaskModel,
    features: Features,
    roles: dict[str, int],
    world: World,
    autocast: AbstractContextManager[None],
    at_once: int,
) -> NDArray[np.float64]:
    """The outputs (N, width) of all items; `at_once` items are computed together. Each rank
    computes its part, and all of them return the same."""
    model.eval()
    groups = by_length(features, at_once)
    table = torch.zeros((len(features), width_of(model, features)), dtype=torch.float64)

    for items in groups[world.rank :: world.ranks]:
        batch = make_batch(features, items, roles)
        moved = TaskBatch(*[tensor.to(world.device) for tensor in batch])
        with autocast:
            found = batch_outputs(model, moved)
        table[items, : found.shape[1]] = found.double().cpu()

    model.train()
    if world.ranks > 1:
        table = table.to(world.device)
        world.sum(table, "add up the predictions")
    return table.cpu().numpy()


def width_of(model: TaskModel, features: Features) -> int:
    """The numbers of an item."""
    if model.head.kind in ("classes", "number"):
        return model.head.classes
    if model.head.kind == "span":
        return 1 + 2 * int(features.sizes.max())
    return int(np.diff(features.items).max())


def batch_outputs(model: TaskModel, batch: TaskBatch) -> Tensor:
    """The outputs (N, width) of a micro-batch, width as its own items need."""
    hidden = model.hidden(batch)
    kind = model.head.kind
    if kind == "span":
        logits = model.span_logits(hidden, batch)[:, : int(batch.sizes.max())]
        answerable = torch.zeros(len(batch.sizes), 1, device=hidden.device)
        if model.answerable is not None:
            answerable = model.answerable_logits(hidden, batch).float()[:, None]
        # First and last beside each other, so that the columns do not depend on the width.
        return torch.cat([answerable, logits.flatten(1)], 1)
    if kind == "candidates":
        return options_logits(model.candidate_scores(hidden, batch), batch.options)

    found = model.pooled(hidden, batch).float()
    if kind == "choice":
        return options_logits(found[:, 0], batch.options)
    return found * model.head.scale
