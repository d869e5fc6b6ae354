"""Checkpoints in the background: the weights and moments are copied between two steps, and a thread
writes the copy while training goes on.

The copy has its memory once (on a GPU it is pinned, so that the copy is quick). A save waits until
the one before it is written. So at most one checkpoint is under way; a run that is killed meanwhile
resumes from the one before, as if it had been killed a little earlier.
"""

import threading
import time
from pathlib import Path

import torch
from torch import Tensor

from trainer import checkpoint
from trainer.checkpoint import Contents, State
from trainer.config import Recipe
from trainer.models.pretraining import EncoderModel


class Saver:
    """Writes the checkpoints of a run on rank 0. What goes wrong is raised by the next `save` or
    `wait`."""

    def __init__(self, run: Path, recipe: Recipe) -> None:
        self.run = run
        self.recipe = recipe
        self._last = time.monotonic()
        self._copy: Contents | None = None
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def save(self, model: EncoderModel, optimizer: torch.optim.Optimizer, state: State) -> None:
        """Copy everything and begin to write it. Raises `UserError` (exit 3) when the checkpoint
        before could not be written."""
        self.wait()
        self._last = time.monotonic()
        self._copy = copy_of(checkpoint.contents(model, optimizer), self._copy)
        self._thread = threading.Thread(
            target=self._write, args=[self._copy, state], name="checkpoint", daemon=True
        )
        self._thread.start()

    def _write(self, contents: Contents, state: State) -> None:
        try:
            checkpoint.write(self.run, contents, state, self.recipe.keep, self.recipe.keep_best)
        except BaseException as error:  # raised again in the training thread
            self._error = error

    def is_old(self) -> bool:
        """Whether the last checkpoint is older than the setting `save_minutes`."""
        minutes = self.recipe.save_minutes
        return minutes > 0 and time.monotonic() - self._last > minutes * 60

    def wait(self) -> None:
        """Wait until the last checkpoint is written. Raises `UserError` (exit 3) when it cannot
        be."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def close(self) -> None:
        """Let the last checkpoint be finished, when an error has ended the run."""
        if self._thread is not None:
            self._thread.join()


def copy_of(contents: Contents, before: Contents | None) -> Contents:
    """The same tensors on the CPU, in the memory of an earlier copy where that fits."""
    copies = []
    for number, part in enumerate(contents):
        old = {} if before is None else before[number]
        copies.append({name: copy_into(tensor, old.get(name)) for name, tensor in part.items()})
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return Contents(*copies)


def copy_into(tensor: Tensor, old: Tensor | None) -> Tensor:
    """A copy of a tensor on the CPU; that of a GPU is there after a synchronisation."""
    if old is None or old.shape != tensor.shape:
        pinned = tensor.device.type == "cuda"
        old = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=pinned)
    return old.copy_(tensor, non_blocking=True)
