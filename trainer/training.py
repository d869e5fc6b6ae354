"""What stays the same from step to step: the model, its data and its settings, whatever it is
trained for. `trainer/steps.py` takes the steps."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

from trainer.all_reduce import Gradients
from trainer.checkpoint import State
from trainer.compiled import Step
from trainer.config import Recipe
from trainer.data.loader import Share
from trainer.display import Display
from trainer.log import Log
from trainer.ranks import World


class HostBatch(Protocol):
    """A micro-batch on the host."""

    def to(self, device: torch.device, step: int = 1) -> object:
        """The tensors that the losses read, on the device; their line is filled up with padding to
        a multiple of `step` tokens."""


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
    losses: Step
    """The model and its objectives: a batch -> the sum of each loss in nats, by name."""
    weights: dict[str, float]
    """The weight of each loss, by name."""
    line_step: int
    """The line of a micro-batch is filled up with padding to a multiple of so many tokens."""
    optimizer: torch.optim.AdamW
    gradients: Gradients
    """Those of the trained parameters."""
    halves: bool = False
    """Whether one rank adds up the gradients of each half of its micro-batches by itself, and then
    the two, as two ranks do: the same sums to the bit."""
    autocast: AbstractContextManager[None]
    count: Callable[[Any], dict[str, float]]
    """What a micro-batch has: first the labels of each loss in the order of `weights`, then
    `tokens`, those without padding, and whatever else is to be added up."""
    epochs: Callable[[int], float]
    """How often the data has been seen after so many batches."""
    validate: Callable[[State], State]
    """Scores the model and logs that; the state that it returns knows the best step."""
    save: Callable[[State], None]
    """Begins to write a checkpoint on rank 0, while the others wait."""
    is_old: Callable[[], bool]
    """On rank 0, whether the last checkpoint is older than `save_minutes`; else False."""
    log: Log | None
    """None except on rank 0."""
    display: Display
