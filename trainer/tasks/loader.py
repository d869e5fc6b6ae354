"""The micro-batches of a fine-tuning run in order, made by one background thread.

It is what `trainer/data/loader.py` is for pretraining: the steps take micro-batches with `next` and
give them back with `release`. Their shapes differ, so there is no ring of buffers.
"""

import queue
import threading
import time
from dataclasses import dataclass

import torch

from trainer.data.loader import Share
from trainer.tasks.batches import TaskBatch, TaskOrder, batch_items, make_batch
from trainer.tasks.features import Features

# How long the thread waits for room before it looks whether it is to end, in seconds.
PATIENCE = 0.2


@dataclass(frozen=True)
class TaskMicroBatch:
    """A micro-batch on the host."""

    tensors: TaskBatch

    def to(self, device: torch.device, step: int = 1) -> TaskBatch:
        """The tensors on the device; `step` is for compiled steps, and these are not."""
        moved = [tensor.to(device, non_blocking=True) for tensor in self.tensors]
        return TaskBatch(*moved)


class TaskLoader:
    """The micro-batches of one rank from batch `first` on. `waited` is the sum of the seconds in
    which the training thread waited for one."""

    def __init__(
        self,
        features: Features,
        roles: dict[str, int],
        share: Share,
        seed: int,
        first: int,
        device: torch.device,
    ) -> None:
        self.features = features
        self.roles = roles
        self.share = share
        self.order = TaskOrder(seed, len(features))
        self.device = device
        self.waited = 0.0

        # A step takes all those of its batch before it begins, to count them.
        ahead = share.accumulation + 4
        self._ready: queue.Queue[TaskMicroBatch | BaseException] = queue.Queue(ahead)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, args=[first], name="loader", daemon=True)
        self._thread.start()

    def _run(self, batch: int) -> None:
        try:
            on_gpu = self.device.type == "cuda"
            # A thread begins on GPU 0, and its first call there would take memory of it.
            if on_gpu:
                torch.cuda.set_device(self.device)
            while True:
                for items in batch_items(self.order, self.share, batch):
                    tensors = make_batch(self.features, items, self.roles)
                    if on_gpu:
                        tensors = TaskBatch(*[tensor.pin_memory() for tensor in tensors])
                    if not self._put(TaskMicroBatch(tensors)):
                        return
                batch += 1
        except BaseException as error:  # handed to the training thread, which raises it
            self._put(error)

    def _put(self, item: "TaskMicroBatch | BaseException") -> bool:
        """Hand over a micro-batch; False once the loader is closed."""
        while not self._ended.is_set():
            try:
                self._ready.put(item, timeout=PATIENCE)
                return True
            except queue.Full:
                continue
        return False

    def next(self) -> TaskMicroBatch:
        """The next micro-batch. Raises what the thread could not handle."""
        start = time.perf_counter()
        item = self._ready.get()
        self.waited += time.perf_counter() - start

        if isinstance(item, BaseException):
            raise item
        return item

    def release(self, buffer: TaskMicroBatch, copied: "torch.cuda.Event | None" = None) -> None:
        """Nothing is filled again: memory goes when nobody holds it."""

    def close(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join(timeout=10)
