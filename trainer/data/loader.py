"""TODO-DOC trainer/data/loader.py."""

import queue
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from trainer.data.gather import Masker
from trainer.data.order import Order


@dataclass
class MicroBatch:
    """B samples of length L: `ids` (B, L), `places` and `labels` (B * K,), all int64; `masked`
    labels count, `tokens` are no padding."""

    ids: torch.Tensor
    places: torch.Tensor
    labels: torch.Tensor
    lengths: torch.Tensor
    masked: int = 0
    tokens: int = 0
    copied: "torch.cuda.Event | None" = None


def make_buffer(samples: int, length: int, most: int, pinned: bool) -> MicroBatch:
    """An empty micro-batch; pinned memory is what a GPU can copy from while it computes."""
    shapes = ((samples, length), (samples * most,), (samples * most,), (samples,))
    ids, places, labels, lengths = (
        torch.zeros(shape, dtype=torch.int64, pin_memory=pinned) for shape in shapes
    )
    return MicroBatch(ids, places, labels, lengths)


class Loader:
    """Micro-batches of one rank in training order, made by one thread in a ring of buffers.

    Batch s is places [s * batch, (s + 1) * batch); rank r takes the r-th part, in micro-batches of
    `micro` samples. `waited` adds up the seconds in which nothing was ready.
    """

    def __init__(
        self,
        masker: Masker,
        order: Order,
        batch: int,
        micro: int,
        rank: int,
        ranks: int,
        first: int,
        ahead: int = 4,
        pinned: bool = False,
    ) -> None:
        self.masker, self.order = masker, order
        self.batch, self.micro, self.rank, self.ranks, self.first = batch, micro, rank, ranks, first
        self.waited = 0.0
        self._ready: queue.Queue[MicroBatch | BaseException] = queue.Queue()
        self._free: queue.Queue[MicroBatch | None] = queue.Queue()
        for _ in range(ahead):
            self._free.put(make_buffer(micro, masker.data.length, masker.most, pinned))
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for place in self._places():
                buffer = self._free.get()
                if buffer is None:
                    return
                if buffer.copied is not None:
                    buffer.copied.synchronize()
                epochs, samples = self.order.samples(place, self.micro)
                arrays = (
                    buffer.ids.numpy(),
                    buffer.places.numpy().reshape(self.micro, -1),
                    buffer.labels.numpy().reshape(self.micro, -1),
                    buffer.lengths.numpy(),
                )
                buffer.masked = self.masker.fill(epochs, samples, *arrays)
                buffer.tokens = int(arrays[3].sum())
                self._ready.put(buffer)
        except BaseException as error:  # handed to the training thread, which raises it
            self._ready.put(error)

    def _places(self) -> Iterator[int]:
        share, batch = self.batch // self.ranks, self.first
        while True:
            start = batch * self.batch + self.rank * share
            yield from range(start, start + share, self.micro)
            batch += 1

    def next(self) -> MicroBatch:
        """The next micro-batch; give it back by `release` when it is no longer read."""
        start = time.perf_counter()
        item = self._ready.get()
        self.waited += time.perf_counter() - start
        if isinstance(item, BaseException):
            raise item
        return item

    def release(self, buffer: MicroBatch, copied: "torch.cuda.Event | None" = None) -> None:
        """Let the thread fill this buffer again, once `copied` has happened."""
        buffer.copied = copied
        self._free.put(buffer)

    def close(self) -> None:
        """End the thread."""
        self._free.put(None)
        self._thread.join(timeout=10)
