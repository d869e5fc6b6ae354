"""How the commands begin and end: Ctrl-C while modules load, readers that leave, `~` in options."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shards.console import expanded

ROOT = Path(__file__).resolve().parents[2]

SLOW = "import os, signal\nprint('loading', flush=True)\nsignal.pause()\n"
"""A module that never ends loading."""


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}"}


def test_ctrl_c_while_modules_load_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "slow_command.py").write_text(SLOW)
    script = "from shards import console; console.start('slow_command')"
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "interrupted\n")


def test_after_loading_a_command_handles_ctrl_c_itself(tmp_path: Path) -> None:
    (tmp_path / "own_command.py").write_text(
        "import os, signal\n"
        "def entry():\n"
        "    try:\n        os.kill(os.getpid(), signal.SIGINT)\n        signal.pause()\n"
        "    except KeyboardInterrupt:\n        print('mine')\n"
    )
    script = "from shards import console; console.start('own_command')"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(tmp_path)
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "mine\n", "")


def unread(command: list[str], stream: str) -> tuple[int, str]:
    """The exit code of a command of which nobody reads one stream, and what the other holds."""
    reading, writing = os.pipe()
    os.close(reading)
    other = "stderr" if stream == "stdout" else "stdout"
    try:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            **{stream: writing, other: subprocess.PIPE},  # type: ignore[call-overload]
            env=environment(ROOT),
            cwd=ROOT,
        )
    finally:
        os.close(writing)
    return done.returncode, getattr(done, other).decode()


@pytest.mark.builds
@pytest.mark.parametrize(
    "command",
    [
        ["pipelines.cli", "recipes"],
        ["pipelines.cli", "--help"],
        ["pipelines.cli", "--version"],
        ["pipelines.cli", "stats", "--help"],
        ["trainer.cli", "recipes"],
        ["trainer.cli", "--help"],
        ["trainer.cli", "show", "--help"],
    ],
    ids=" ".join,
)
def test_a_reader_that_leaves_ends_a_command_quietly(command: list[str]) -> None:
    """As in `corpus ... | true`."""
    assert unread(command, "stdout") == (0, "")


def test_unread_progress_is_no_success() -> None:
    """Of work that stopped since nobody reads its log."""
    code, out = unread(["pipelines.cli", "build", "no-recipe"], "stderr")
    assert code != 0 and out == ""


def test_a_home_folder_in_an_option_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/users/me")
    given = ["build", "~/kept", "--home=~/h", "--a.b-c=~", "--x=a~b", "--y", "~/z", "--q=~nobody0/"]
    assert expanded(given) == [
        *("build", "~/kept", "--home=/users/me/h", "--a.b-c=/users/me", "--x=a~b", "--y", "~/z"),
        "--q=~nobody0/",
    ]
