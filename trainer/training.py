"""What stays the same from step to step: the model, its data and its settings, whatever it is
trained for. `trainer/steps.py` takes the steps."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from trainer.checkpoint import State
from trainer.config import Recipe
from trainer.data.loader import Share
from trainer.display import Display
from trainer.log import Log
from trainer.ranks import World


class HostBatch(Protocol):
    """A micro-batch on the host."""

    def to(self, device: torch.device) -> object:
        """The tensors that the losses read, on the device."""


Micro = TypeVar("Micro", bound=HostBatch)


class Source(Protocol[Micro]):
    """Where micro-batches come from, in order. `waited` is the sum of the seconds in which the
    steps waited for one."""

    waited: float

    def next(self) -> Micro:
        """The next micro-batch, which belongs to the steps until it is released."""

    def release(self, buffer: Micro, copied: "torch.cuda.Event | None" = None) -> None:
        """Give a micro-batch back, once `copied` has happened."""


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
    count: Callable[[Any], dict[str, float]]
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
