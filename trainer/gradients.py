"""The forward and backward passes of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.chance import DROPOUT, make_key
from trainer.checkpoint import State
from trainer.fit import is_out_of_memory
from trainer.stop import StopFlag
from trainer.training import HostBatch, Micro, Source, Training


@dataclass(frozen=True)
class Counts:
    """What all ranks have in a batch: `names`, those of `Training.count`, and `totals`, float64 on
    the device, in the same order."""

    names: tuple[str, ...]
    totals: Tensor


@dataclass(frozen=True)
class Sums:
    """This rank's part of a batch: `losses`, the sum of each loss in nats, float64 on the device;
    whether every micro-batch was computed; and whether one did not fit into the memory."""

    losses: Tensor
    is_whole: bool = True
    is_too_large: bool = False


def count(training: Training, batches: Sequence[HostBatch]) -> Counts:
    """What all ranks have in a batch.

    It is known before the first forward pass, so each loss is divided at once by its own count,
    and no micro-batch or rank weighs more than another.
    """
    # On the host, where the micro-batches still are: the device need not be waited for.
    rows = []
    for buffer in batches:
        found = training.count(buffer)
        tokens = int(found["tokens"])
        rows.append({**found, "computed": tokens + -tokens % training.line_step})
    values = [list(row.values()) for row in rows]

    totals = send(torch.tensor(values, dtype=torch.float64).sum(0), training.world.device)
    training.world.sum(totals, "count the labels of a batch")
    return Counts(tuple(rows[0]), totals)


def add_up_gradients(
    training: Training,
    state: State,
    batches: list[Micro],
    counts: Counts,
    loader: Source[Micro],
    stop: StopFlag,
) -> Sums:
    """Run the forward and backward pass of each micro-batch of this rank, so that its gradients are
    its part of those of the whole batch, times `loss_scale`. A rank that is to stop leaves out the
    rest, and so does one without memory for a micro-batch."""
    device = training.world.device
    known = len(training.weights)
    training.gradients.clear()
    sums = torch.zeros(known, dtype=torch.float64, device=device)
    weights = torch.tensor(list(training.weights.values()), dtype=torch.float64)
    factors = send(weights, device) * loss_scale(training, state)
    factors = factors / counts.totals[:known].clamp(min=1.0)
    half = second_half(training)

    for number, buffer in enumerate(batches):
        if stop.wanted():
            return Sums(sums, is_whole=False)
        batch = to_device(buffer, loader, training)
        if number == half:
            training.gradients.begin_half()
        if number == len(batches) - 1:
            training.gradients.expect_last()

        seed_dropout(training, state, number)
        try:
            sums += backward(training, batch, factors)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            return Sums(sums, is_whole=False, is_too_large=True)

        if device.type == "cpu":
            loader.release(buffer)

    return Sums(sums)


def second_half(training: Training) -> int | None:
    """The micro-batch at which the second half of a batch is added up apart, None where it is not.
    Two micro-batches are added up as two ranks do anyway."""
    accumulation = training.share.accumulation
    apart = training.halves and training.world.ranks == 1
    return accumulation // 2 if apart and accumulation > 2 and accumulation % 2 == 0 else None


def try_out(training: Training, state: State, loader: Source[Micro]) -> None:
    """The forward and backward pass of a micro-batch whose gradients are not used, without the
    compiler, which would make a function for its size."""
    training.gradients.clear()
    batch = to_device(loader.next(), loader, training)
    seed_dropout(training, state, 0)
    factors = torch.zeros(len(training.weights), device=training.world.device)
    with torch.compiler.set_stance("force_eager"):
        backward(training, batch, factors)


def backward(training: Training, batch: object, factors: Tensor) -> Tensor:
    """The forward and backward pass of a micro-batch; return the sum of each loss, unscaled."""

    def once() -> Tensor:
        with training.autocast:
            found = torch.stack(list(training.losses(batch).values()))
        (found * factors.to(found.dtype)).sum().backward()  # type: ignore[no-untyped-call]
        return found.detach()

    return training.losses.retry(once)


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A small tensor on the device, without a wait for what the device still does."""
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def to_device(buffer: Micro, loader: Source[Micro], training: Training) -> object:
    """A micro-batch on the device. A GPU copies from pinned memory while it computes, and the
    buffer is given back for the time after the copy; on a CPU the tensors are the buffer."""
    device = training.world.device
    batch = buffer.to(device, training.line_step)
    if device.type == "cpu":
        return batch

    # The thread that waits for a blocking event sleeps; another one would keep a core busy.
    copied = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    copied.record()
    loader.release(buffer, copied)
    return batch


def seed_dropout(training: Training, state: State, number: int) -> None:
    """Key the dropout of this rank's micro-batch `number`. torch's dropout takes no generator, so
    the default one is seeded anew for each micro-batch."""
    place = training.world.rank * training.share.accumulation + number
    key = make_key(training.recipe.seed, DROPOUT, state.batches, place)
    torch.manual_seed(int(key) >> 1)


def loss_scale(training: Training, state: State) -> float:
    """The factor of the loss that keeps fp16 gradients in range, 1 in other precisions.

    A micro-batch has but its share of the whole batch's mean, so it is scaled up by their number.
    """
    if training.recipe.precision != "fp16":
        return 1.0
    return state.scale * training.share.accumulation * training.world.ranks
