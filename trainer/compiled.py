"""The forward pass and the losses as one compiled function that returns the sums of the losses.

What is compiled has fixed shapes but for the line of tokens and its number of sequences, which are
marked as dynamic; so one compilation serves every micro-batch. Validation calls the model as it is.
A run that was not asked to compile (`compile = "auto"`) goes on without where the compiler fails.
"""

import importlib.util
import os
import shutil
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch._dynamo.exc import TorchDynamoException

from shards.errors import UserError
from trainer.models.layout import Layout
from trainer.objectives.batch import Batch


def why_not(device_type: str) -> str:
    """Why `compile = "auto"` does not compile on a device; empty where it does."""
    if device_type != "cuda":
        return "it is no GPU"
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed"
    compiler = os.environ.get("CC", "")
    if not any(shutil.which(name) for name in (compiler, "gcc", "clang", "cc") if name):
        return "there is no C compiler, which triton needs"
    return ""


def mark(layout: Layout) -> None:
    """Tell the compiler which sizes change from one micro-batch to the next."""
    for tensor in (layout.source, layout.places, layout.starts, layout.ends):
        torch._dynamo.maybe_mark_dynamic(tensor, 0)


class Step:
    """The losses of a micro-batch, compiled where that is asked for or worth it.

    `mode` is the setting `compile`; `say` is told when a run goes on without the compiler.
    """

    def __init__(
        self, losses: nn.Module, mode: str, device: torch.device, say: Callable[[str], None]
    ) -> None:
        self.losses = losses
        self.mode = mode
        self.say = say
        self.is_compiled = mode == "on"
        if mode == "auto" and device.type == "cuda":
            reason = why_not(device.type)
            self.is_compiled = not reason
            if reason:
                say(f"note: the step is not compiled, which is slower: {reason}")
        if self.is_compiled:
            losses.compile()

    def __call__(self, batch: object) -> dict[str, Tensor]:
        """The sum of each loss in nats, by name."""
        if self.is_compiled and isinstance(batch, Batch) and batch.layout is not None:
            mark(batch.layout)
        found: dict[str, Tensor] = self.losses(batch)
        return found

    def retry(self, work: Callable[[], Tensor]) -> Tensor:
        """Do work that calls this; once more without the compiler when that fails. Raises
        `UserError` (exit 3) where the compiler was asked for."""
        try:
            return work()
        except TorchDynamoException as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            if self.mode == "on":
                raise UserError(
                    f"the step cannot be compiled: {reason}", "use --compile off", 3
                ) from None
            self.say(f"note: the step is not compiled, since the compiler failed: {reason}")
            self.is_compiled = False
            self.losses._compiled_call_impl = None
            return work()
