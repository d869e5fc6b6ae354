"""What stays the same from step to step: the model, its data and its settings, whatever it is
trained for. `trainer/steps.py` takes the steps."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from trainer.checkpoint import State
from trainer.config import Recipe
from trainer.data.loader import MicroBatch, Share
from trainer.display import Display
from trainer.log import Log
from trainer.ranks import World


@dataclass(frozen=True, kw_only=True)
class Training:
    """Everything that stays the same from step to step, on one rank."""

    folder: Path
    """The run."""
    recipe: Recipe
    world: World
    share: Share
    losses: nn.Module
    """The model and its objectives: a batch -> the sum of each loss in nats, by name."""
    weights: dict[str, float]
    """The weight of each loss, by name."""
    optimizer: torch.optim.AdamW
    gradient: Tensor
    """The flat gradient of the model."""
    autocast: AbstractContextManager[None]
    count: Callable[[MicroBatch], dict[str, float]]
    """What a micro-batch has: first the labels of each loss in the order of `weights`, then
    `tokens`, those without padding, and whatever else is to be added up."""
    epochs: Callable[[int], float]
    """How often the data has been seen after so many batches."""
    validate: Callable[[State], State]
    """Scores the model and logs that; the state that it returns knows the best step."""
    save: Callable[[State], None]
    """Writes a checkpoint on rank 0, while the others wait."""
    log: Log | None
    """None except on rank 0."""
    display: Display
