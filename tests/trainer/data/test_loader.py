"""The loader's thread: what counts as waiting for data, and the device that it works on."""

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from trainer_fixtures import random_shards

from trainer.config import MaskingConfig
from trainer.data import loader as module
from trainer.data.gather import Masker
from trainer.data.loader import Loader, Share
from trainer.data.order import make_order
from trainer.data.samples import open_data


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


class DeviceBehind:
    """The event of a copy that a GPU reaches a long time later, once the host waits for it."""

    def __init__(self, clock: Clock, host_waits: threading.Event) -> None:
        self.clock = clock
        self.host_waits = host_waits

    def synchronize(self) -> None:
        assert self.host_waits.wait(10)
        self.clock.now += 1000.0


@pytest.fixture
def masker(tmp_path: Path) -> Masker:
    data = open_data([str(random_shards(tmp_path / "s"))], "train", 32, True)
    return Masker(data, MaskingConfig(), 0)


def make(masker: Masker, ahead: int, device: torch.device | None = None) -> Loader:
    return Loader(masker, make_order(masker.data, 0, {}), Share(8, 8), 0, ahead, device)


def announce(loader: Loader, host_waits: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set an event when the training thread begins to wait for a micro-batch."""
    real = loader._ready.get

    def get() -> Any:
        host_waits.set()
        return real()

    monkeypatch.setattr(loader._ready, "get", get)


def test_waiting_for_the_device_is_not_waiting_for_data(
    masker: Masker, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, host_waits = Clock(), threading.Event()
    monkeypatch.setattr(module, "time", clock)
    loader = make(masker, ahead=1)
    announce(loader, host_waits, monkeypatch)

    first = loader.next()
    assert loader.waited == 0.0
    host_waits.clear()
    loader.release(first, DeviceBehind(clock, host_waits))  # type: ignore[arg-type]
    loader.next()
    loader.close()
    assert clock.now == 1000.0 and loader.waited == 0.0


def test_waiting_while_a_micro_batch_is_filled_counts(
    masker: Masker, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, host_waits = Clock(), threading.Event()
    monkeypatch.setattr(module, "time", clock)
    fill = Masker.fill

    def slow(*arrays: Any) -> int:
        if host_waits.wait(10):
            clock.now += 5.0
        return fill(*arrays)

    monkeypatch.setattr(Masker, "fill", slow)
    loader = make(masker, ahead=1)
    announce(loader, host_waits, monkeypatch)
    loader.next()
    loader.close()
    assert loader.waited == 5.0


def test_what_was_filled_before_the_host_asked_does_not_count(
    masker: Masker, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, filled = Clock(), threading.Event()
    monkeypatch.setattr(module, "time", clock)
    fill = Masker.fill

    def slow(*arrays: Any) -> int:
        clock.now += 5.0
        found = fill(*arrays)
        filled.set()
        return found

    monkeypatch.setattr(Masker, "fill", slow)
    loader = make(masker, ahead=1)
    assert filled.wait(10)
    loader.next()
    loader.close()
    assert clock.now == 5.0 and loader.waited == 0.0


def test_the_thread_works_on_the_device_of_its_rank(
    masker: Masker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new thread's device is GPU 0: it is set before anything else is done there."""
    calls: list[tuple[str, object]] = []

    def set_device(device: torch.device) -> None:
        calls.append((threading.current_thread().name, device))

    real = module.make_buffer
    monkeypatch.setattr(torch.cuda, "set_device", set_device)
    monkeypatch.setattr(
        module, "make_buffer", lambda masker, samples, pinned: real(masker, samples, False)
    )
    loader = make(masker, 2, torch.device("cuda", 3))
    loader.next()
    loader.close()
    assert calls == [("loader", torch.device("cuda", 3))]

    loader = make(masker, 2, torch.device("cpu"))
    loader.next()
    loader.close()
    assert len(calls) == 1
