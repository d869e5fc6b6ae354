"""Micro-batches in training order, made by one background thread that stays a few ahead.

The kernels release the GIL, so one thread keeps up with any GPU; there are no worker processes, and
no order that depends on them. Buffers are allocated once and used in a ring: a micro-batch belongs
to the training thread from `next` until `release`.
"""

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from trainer.data.gather import Buffers, Masker
from trainer.data.order import Order
from trainer.objectives.batch import Batch


@dataclass(frozen=True)
class Share:
    """One rank's part of every batch: `batch` samples in all, `micro` at once on a device."""

    batch: int
    micro: int
    rank: int = 0
    ranks: int = 1

    @property
    def part(self) -> int:
        """Samples that a rank computes in one step."""
        return self.batch // self.ranks

    @property
    def accumulation(self) -> int:
        """Micro-batches that a rank computes in one step."""
        return self.part // self.micro

    def places(self, first: int) -> Iterator[int]:
        """Where in the endless order each micro-batch begins, from batch `first` on, for ever.

        Batch s is the places [s * batch, (s + 1) * batch), and rank r takes the r-th part of it.
        """
        part = self.batch // self.ranks
        batch = first
        while True:
            start = batch * self.batch + self.rank * part
            yield from range(start, start + part, self.micro)
            batch += 1


@dataclass
class MicroBatch:
    """B samples of T tokens, all int64, as `gather.Buffers` describes them: `ids` (B, T), `lengths`
    and `next` (B, S), the others flat (B * K,); `next` (B, 0) and `left`, `right`, `offset` (0,)
    where the format or the masks have none.

    `masked` counts the labels, `tokens` what is not padding. `copied` is recorded on the GPU's
    stream when the tensors have been copied and the buffer may be filled again. `began` and `ready`
    are the times at which the thread began to fill it and had filled it.
    """

    ids: torch.Tensor
    lengths: torch.Tensor
    next: torch.Tensor
    places: torch.Tensor
    labels: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor
    offset: torch.Tensor
    masked: int = 0
    tokens: int = 0
    copied: "torch.cuda.Event | None" = None
    began: float = 0.0
    ready: float = 0.0

    def batch(self) -> Batch:
        """The tensors that the objectives read."""
        found = Batch(self.ids, self.lengths, self.places, self.labels)
        if self.next.numel():
            found = found._replace(next=self.next)
        if self.offset.numel():
            found = found._replace(left=self.left, right=self.right, offset=self.offset)
        return found

    def to(self, device: torch.device, step: int = 1) -> Batch:
        """The same tensors on the device with their layout (see `layout.lay_out` for `step`); on a
        CPU those of the buffer."""
        batch = self.batch().laid_out(step)
        if device.type == "cpu" or batch.layout is None:
            return batch

        moved: dict[str, torch.Tensor] = {}
        for name, tensor in batch._asdict().items():
            if isinstance(tensor, torch.Tensor):
                moved[name] = tensor.to(device, non_blocking=True)
        return Batch(**moved, layout=batch.layout.to(device))


# The tensors that hold one number per masked token, and are flat for the model.
PER_MASK = ("places", "labels", "left", "right", "offset")


def make_buffer(masker: Masker, samples: int, pinned: bool) -> MicroBatch:
    """An empty micro-batch; a GPU can copy from pinned memory while it computes."""
    tensors: dict[str, Any] = {}
    for name, shape in masker.shapes(samples).items():
        tensor = torch.zeros(shape, dtype=torch.int64, pin_memory=pinned)
        tensors[name] = tensor.view(-1) if name in PER_MASK else tensor
    return MicroBatch(**tensors)


def arrays_of(buffer: MicroBatch, masker: Masker, samples: int) -> Buffers:
    """The memory of a micro-batch as the kernel fills it."""
    arrays = {}
    for name, shape in masker.shapes(samples).items():
        tensor: torch.Tensor = getattr(buffer, name)
        arrays[name] = tensor.numpy().reshape(shape)
    return Buffers(**arrays)


class Loader:
    """The micro-batches of one rank from batch `first` on, made by a thread in a ring of buffers.

    `device` is the GPU that copies from the buffers, if one does. `waited` is the sum of the
    seconds in which the training thread waited while a micro-batch was being filled. Where a GPU is
    behind the host, both threads wait for it to give buffers back, and that is not counted.
    """

    def __init__(
        self,
        masker: Masker,
        order: Order,
        share: Share,
        first: int,
        ahead: int = 4,
        device: torch.device | None = None,
    ) -> None:
        self.masker = masker
        self.order = order
        self.share = share
        self.device = device if device is not None and device.type == "cuda" else None
        self.waited = 0.0

        self._ready: queue.Queue[MicroBatch | BaseException] = queue.Queue()
        self._free: queue.Queue[MicroBatch | None] = queue.Queue()
        for _ in range(ahead):
            self._free.put(make_buffer(masker, share.micro, self.device is not None))

        self._thread = threading.Thread(target=self._run, args=[first], name="loader", daemon=True)
        self._thread.start()

    def _run(self, first: int) -> None:
        try:
            # A thread begins on GPU 0, and its first call there would take half a gigabyte of it.
            if self.device is not None:
                torch.cuda.set_device(self.device)
            for place in self.share.places(first):
                buffer = self._free.get()
                if buffer is None:
                    return
                if buffer.copied is not None:
                    buffer.copied.synchronize()
                buffer.began = time.perf_counter()
                self._fill(buffer, place)
                buffer.ready = time.perf_counter()
                self._ready.put(buffer)
        except BaseException as error:  # handed to the training thread, which raises it
            self._ready.put(error)

    def _fill(self, buffer: MicroBatch, place: int) -> None:
        """Fill a buffer with the micro-batch that begins at `place`."""
        micro = self.share.micro
        arrays = arrays_of(buffer, self.masker, micro)
        epochs, samples = self.order.samples(place, micro)
        self.masker.data.refuse_cut(epochs, samples)
        buffer.masked = self.masker.fill(epochs, samples, arrays)
        buffer.tokens = int(arrays.lengths.sum())

    def next(self) -> MicroBatch:
        """The next micro-batch. Raises what the thread could not handle, such as `UserError`."""
        start = time.perf_counter()
        item = self._ready.get()
        if isinstance(item, BaseException):
            raise item

        self.waited += max(0.0, item.ready - max(start, item.began))
        return item

    def release(self, buffer: MicroBatch, copied: "torch.cuda.Event | None" = None) -> None:
        """Let the thread fill this buffer again, once `copied` has happened."""
        buffer.copied = copied
        self._free.put(buffer)

    def close(self) -> None:
        """End the thread."""
        self._free.put(None)
        self._thread.join(timeout=10)
