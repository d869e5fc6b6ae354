"""The display: ticks that survive their writer, honest figures, lines that fit."""

from pathlib import Path

import pytest

from pipelines.progress import board as progress_board
from pipelines.progress.board import Board, Running
from pipelines.progress.display import display, line, lines, read_snapshot
from pipelines.progress.ticks import Tick, new_tick_file, open_ticks, read_tick, tick
from pipelines.wording import amount, duration


def test_a_tick_is_read_by_others(tmp_path: Path) -> None:
    path = new_tick_file(str(tmp_path))
    assert read_tick(path) == Tick()
    open_ticks(path)
    try:
        tick(3, 1000, "a/b.warc.gz", 77)
        assert read_tick(path) == Tick(3, 1000, 77, "a/b.warc.gz")
        tick(4, 2000, "x" * 5000, 78)
        assert read_tick(path).records == 4 and len(read_tick(path).path) < 1024
        tick(5, 3000, "c", 79)
        assert read_tick(path) == Tick(5, 3000, 79, "c")
    finally:
        open_ticks(None)
    tick(6, 1, "nobody listens", 0)
    assert read_tick(path).records == 5
    assert read_tick(str(tmp_path / "gone")) == Tick()


def test_figures_count_what_is_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("pipelines.progress.board.time.monotonic", lambda: now)
    board = Board()
    board.begin("ingest")
    board.expect(4, 4000)
    path = new_tick_file(str(tmp_path))
    board.running[1] = Running("news/abc", 1000, path, now)
    open_ticks(path)
    tick(10, 500, "a", 5)
    open_ticks(None)
    now = 110.0
    board.finish(1000, 20)
    found = board.figures()
    assert (found.bytes_done, found.records, found.slices_done) == (1500, 30, 1)
    now = 120.0
    board.finish(1500, 30)
    found = board.figures()
    assert found.bytes_per_s == 150.0 and found.left_s == pytest.approx(1000 / 150)
    assert found.workers[0].at == "a @ 5" and found.workers[0].share == 0.5
    for width in (40, 80, 200):
        assert all(len(text) <= width for text in lines(found, width))
    assert (
        line(found)
        == "ingest:  75%, 2 of 4 slices, 3.0 kB of 4.0 kB, 60 records, 3/s, 150 B/s, 6 s left"
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (5, "5 s"), (119, "119 s"), (120, "2 min"), (11100, "3 h 05 min")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (123_456_789, "123 MB"),
        (2.5e12, "2.5 TB"),
        (3e15, "3000 TB"),
    ],
)
def test_amounts(size: float, text: str) -> None:
    assert amount(size) == text


def test_a_log_gets_a_line_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import threading

    from pipelines.home.layout import Home

    monkeypatch.setattr("pipelines.progress.display.LOG_EVERY_S", 0.0)
    monkeypatch.setattr("pipelines.progress.display.SNAPSHOT_EVERY_S", 0.0)
    home = Home(str(tmp_path))
    with display(home, "ingest"):
        progress_board.board.expect(1, 10)
        waited = threading.Event()
        for _ in range(200):
            if (found := read_snapshot(home)) is not None:
                break
            waited.wait(0.05)
        assert found and found.stage == "ingest"
    assert read_snapshot(home) is None
    assert "ingest:   0%, 0 of 1 slices" in capsys.readouterr().err


def test_what_needs_all_slices_shows_no_rate() -> None:
    """Training a vocabulary takes minutes in which no byte moves."""
    board = Board()
    board.begin("tokenizer")
    board.expect(2, 1000)
    board.finish(500, 1)
    assert " 50%," in line(board.figures())
    board.finish(500, 1)
    figures = board.figures()
    assert line(figures) == "tokenizer: 2 slices done; combining them, 0 s elapsed"
    assert [text.strip() for text in lines(figures, 80)] == [
        "tokenizer  2 slices done;",
        "combining them, 0 s elapsed",
    ]
    assert all(len(text) <= 30 for text in lines(figures, 30))
