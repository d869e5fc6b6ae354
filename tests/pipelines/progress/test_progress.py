"""The display: ticks that survive their writer, honest figures, lines that fit."""

from pathlib import Path

import pytest

from pipelines.progress import board as progress_board
from pipelines.progress.board import Board, Running
from pipelines.progress.display import display, line, lines, read_snapshot
from pipelines.progress.ticks import Tick, new_tick_file, note, open_ticks, read_tick, tick
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
        assert read_tick(path) == Tick(5, 3000, 79, "c") and read_tick(path).at == "c @ 79"
        note("compiling kernels")
        assert read_tick(path).at == "compiling kernels" and read_tick(path).records == 5
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


class Clock:
    """The monotonic clock of the board, which the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("pipelines.progress.board.time.monotonic", lambda: self.now)


def test_the_time_left_is_told_when_it_is_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children take 20 s to start; then a slice of 1,000 bytes takes 10 s. A rate that counted the
    start would tell of an hour and a half where 16 minutes are left."""
    clock = Clock(monkeypatch)
    board = Board()
    board.begin("ingest")
    board.expect(100, 100_000)
    for seconds in range(20):
        clock.now = 1000.0 + seconds
        found = board.figures()
        assert found.left_s is None and line(found).endswith("0 B/s, estimating the time left")

    told = {}
    for slices in range(1, 100):
        clock.now = 1020.0 + 10 * slices
        board.finish(1000, 10)
        told[slices] = board.figures().left_s
    # nothing at the first slices; then what is true
    assert [told[slices] for slices in range(1, 4)] == [None] * 3
    for slices in range(4, 100):
        assert told[slices] == pytest.approx(10 * (100 - slices))


def test_a_fast_stage_tells_it_early(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    board = Board()
    board.begin("ingest")
    board.expect(20, 20_000)
    found = []
    for _ in range(6):
        clock.now += 1.0
        board.finish(1000, 10)
        found.append(board.figures().left_s)
    assert found == [None] * 5 + [pytest.approx(14.0)]


def test_steps_of_minutes_have_a_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """No byte moves within the minute of the rates, and the time left is told all the same: in a
    log, on a terminal, and in a snapshot."""
    clock = Clock(monkeypatch)
    board = Board()
    board.begin("ingest")
    board.expect(10, 10_000)
    for _ in range(4):
        clock.now += 600.0
        board.finish(1000, 1)
        board.figures()
    for _ in range(3):
        clock.now += 100.0
        found = board.figures()
    assert found.records_per_s == 0.0
    # 3,000 bytes in 30 minutes and 5 more without a word; 6,000 are left
    assert found.left_s == pytest.approx(2 * 2100.0)
    assert line(found).endswith(" 1 h 10 min left")
    assert lines(found, 100)[2].endswith(" elapsed, 1 h 10 min left")


def test_what_an_earlier_run_did_tells_nothing_of_the_time_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """90 of 100 slices are only looked at, in a second; the others take a minute each."""
    clock = Clock(monkeypatch)
    board = Board()
    board.begin("ingest")
    board.expect(100, 100_000)
    for _ in range(90):
        clock.now += 0.01
        board.finish(1000, 0)
        assert board.figures().left_s is None
    for _ in range(2):
        clock.now += 60.0
        board.finish(1000, 5)
        found = board.figures()
    assert found.left_s == pytest.approx(8 * 60.0) and found.bytes_done == 92_000


def test_the_time_left_of_a_pass_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass plans its work when the one before has ended: nobody knows that of the others."""
    clock = Clock(monkeypatch)
    board = Board()
    board.begin("near", passes=2)
    board.expect(10, 10_000)
    for _ in range(6):
        clock.now += 10.0
        board.finish(1000, 1)
        found = board.figures()
    assert line(found).endswith(", 40 s left of pass 1 of 2")
    for _ in range(4):
        board.finish(1000, 1)

    # the second pass has a speed of its own
    board.expect(10, 10_000)
    clock.now += 1.0
    board.finish(1000, 1)
    assert board.figures().left_s is None
    for _ in range(4):
        clock.now += 20.0
        board.finish(1000, 1)
        found = board.figures()
    assert line(found).endswith(", 100 s left")


def test_the_workers_of_a_cluster_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    driver, worker = Board(), Board()
    driver.begin("ingest")
    worker.begin("")
    worker.expect(10, 10_000)  # the worker that plans
    for _ in range(5):
        clock.now += 10.0
        worker.finish(1000, 1)
        driver.others = [worker.own()]
        found = driver.figures()
    assert found.left_s == pytest.approx(50.0)
    assert (found.slices_done, found.bytes_done, found.pass_number) == (5, 5000, 1)


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
