"""The picture of a run: numbers that read well, and logs of every kind."""

import json
from pathlib import Path
from typing import Any

import pytest

from trainer.show import curves, show_plain_numbers

PLOT = pytest.importorskip("matplotlib.pyplot")


def train_line(step: int, **more: Any) -> dict[str, Any]:
    figures = {"loss": 9.0 / step, "learning_rate": 1e-3, "tokens_per_second": 5e4}
    return {"kind": "train", "step": step, **figures, **more}


def valid_line(step: int, source: str, **more: Any) -> dict[str, Any]:
    interval = {"perplexity_low": 90.0 / step, "perplexity_high": 110.0 / step}
    return {
        "kind": "valid",
        "step": step,
        "source": source,
        "perplexity": 100.0 / step,
        **interval,
        **more,
    }


@pytest.mark.parametrize(
    "lines",
    [
        [train_line(1)],
        [train_line(1, loss=None), train_line(2)],
        [train_line(1), train_line(2), valid_line(2, "a"), valid_line(2, "all")],
        [train_line(1), valid_line(1, "all", perplexity=None)],
        [train_line(1), valid_line(1, "a", perplexity_low=None, perplexity_high=None)],
        [train_line(1), {"kind": "valid", "step": 1, "source": "a", "perplexity": 7.0}],
    ],
    ids=["no validation", "not finite", "sources", "infinite", "one sample", "older log"],
)
def test_every_log_has_a_picture(lines: list[dict[str, Any]], tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = curves(tmp_path, tmp_path / "new" / "curves.png")
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "low, high, labels",
    [
        (30.0, 280.0, ["30", "40", "50", "70", "100", "150", "200"]),
        (20.0, 8000.0, ["20", "50", "100", "200", "500", "1,000", "2,000", "5,000"]),
    ],
)
def test_perplexities_in_plain_numbers(low: float, high: float, labels: list[str]) -> None:
    figure, axis = PLOT.subplots()
    axis.set_ylim(low, high)
    show_plain_numbers(axis)
    figure.canvas.draw()
    shown = [
        label.get_text()
        for label in axis.get_yticklabels()
        if low <= float(label.get_text().replace(",", "")) <= high
    ]
    assert shown == labels
    PLOT.close(figure)


def test_a_wide_range_is_logarithmic() -> None:
    """Also where a linear axis would begin below 0."""
    figure, axis = PLOT.subplots()
    axis.plot([1, 2], [8000.0, 30.0])
    show_plain_numbers(axis)
    assert axis.get_yscale() == "log"
    PLOT.close(figure)


def test_a_narrow_range_stays_linear() -> None:
    figure, axis = PLOT.subplots()
    axis.set_ylim(3.9, 4.1)
    show_plain_numbers(axis)
    assert axis.get_yscale() == "linear"
    PLOT.close(figure)
