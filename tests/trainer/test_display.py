"""The time left is shown from the fourth step on, however slow steps are, and the display moves at
every step."""

import dataclasses
import io
import time
from pathlib import Path

import pytest
import torch
import trainer_runs as runs

from trainer.config import load_recipe
from trainer.display import Display
from trainer.metrics import Meter
from trainer.update import Totals
from trainer.wording import duration, size


class Clock:
    """A clock that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(time, "perf_counter", lambda: self.now)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run_steps(
    display: Display, meter: Meter, clock: Clock, seconds: list[float], steps: int
) -> None:
    """Steps that take so many seconds each, shown as `steps.take_steps` shows them."""
    display.step(0, steps, None, "")
    for number, taken in enumerate(seconds, 1):
        clock.now += taken
        counts = {"mlm": 10.0, "tokens": 100.0 * taken}
        flags = {"stops": 0, "unfinished": 0, "too_large": 0, "old": 0}
        totals = Totals(loss=7.0, sums={"mlm": 70.0}, counts=counts, norm=1.0, **flags)
        meter.add(totals, 1e-3, waited=0.0)
        display.step(number, steps, meter.seconds_left(number), meter.figures)


def make_meter(steps: int) -> Meter:
    recipe = dataclasses.replace(load_recipe("tiny"), steps=steps)
    return Meter(recipe, torch.device("cpu"), ranks=1)


@pytest.mark.parametrize("pace, count", [(0.1, 2), (29.0, 202), (31.0, 402), (600.0, 402)])
def test_time_left_in_a_log(
    pace: float, count: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock(monkeypatch)
    meter = make_meter(1000)
    # The first step compiles, and does not count.
    taken = [pace * 10] + [pace] * 400
    run_steps(Display(1000, True), meter, clock, taken, 1000)

    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "step 0/1000  estimating the time left"
    assert meter.seconds_left(401) == pytest.approx(pace * 599)
    last = lines[-1]
    step = int(last.split("/")[0].removeprefix("step "))
    assert last == (
        f"step {step}/1000  {duration(pace * (1000 - step))} left  loss 7.0000  100 tokens/s"
    )
    if pace > 30:
        assert [line.split()[1] for line in lines] == [f"{n}/1000" for n in range(402)]
        assert ["estimating" in line for line in lines[:5]] == [True] * 4 + [False]
    assert len(lines) == count


def test_the_estimate_follows_a_change_of_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    meter = make_meter(1000)
    run_steps(Display(1000, False), meter, clock, [1.0] * 101 + [2.0] * 60, 1000)
    left = meter.seconds_left(161)
    assert left is not None and 1.9 * 839 < left < 2.0 * 839


def test_the_bar_moves_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a step takes longer than the 30 s that rich looks back."""
    clock = Clock(monkeypatch)
    monkeypatch.setattr("sys.stderr", Terminal())
    display = Display(100, True)
    assert display._bar is not None
    meter = make_meter(100)
    run_steps(display, meter, clock, [40.0] * 3, 100)
    task = display._bar.tasks[0]
    assert (task.completed, task.fields["left"]) == (3, "estimating the time left")
    run_steps(display, meter, clock, [40.0] * 5, 100)
    assert (task.completed, task.fields["left"]) == (5, "1 h 3 min left")
    assert task.fields["line"].startswith("loss 7.0000")
    display.close()


def test_a_run_says_at_once_that_it_began(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before its first step; at the end nothing is left."""
    runs.train(
        ["pretrain", "--shards", str(small), "--run", str(tmp_path / "run"), *runs.MINI]
        + ["--steps", "8", "--optim.warmup-steps", "1", "--log-every", "4"]
    )
    lines = [line for line in capsys.readouterr().err.splitlines() if "/8 " in line]
    assert lines[0] == "step 0/8  estimating the time left"
    assert lines[1].startswith("step 8/8  loss ")
    assert [line["seconds_left"] for line in runs.log(tmp_path / "run") if line["kind"] == "train"][
        -1
    ] == 0


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0.2, "1 s"),
        (59.0, "59 s"),
        (60.0, "1 min"),
        (3599.0, "1 h 0 min"),
        (11400.0, "3 h 10 min"),
        (47 * 3600 + 3540.0, "47 h 59 min"),
        (49 * 3600.0, "2 days 1 h"),
        (86400.0 * 1234, "1,234 days 0 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_sizes() -> None:
    assert [size(5e5), size(300 * 2**20), size(2**30), size(40 * 2**30)] == [
        "1 MiB",
        "300 MiB",
        "1.0 GiB",
        "40.0 GiB",
    ]
