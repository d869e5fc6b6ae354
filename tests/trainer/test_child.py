"""A run in a process of its own: what it said is kept, and what went wrong is told."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from trainer.child import run_child


def test_what_a_child_said_and_what_went_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "seed-0"
    assert run_child(["recipes", "tiny"], run) == ""
    assert "warmup_steps = 400" in (run / "output.txt").read_text()

    fault = run_child(["recipes", "nothing"], run)
    said = (run / "output.txt").read_text().splitlines()
    assert fault == f"exit 2: {said[0]} ({run / 'output.txt'})"
    assert said[0].startswith("error: ") and "nothing" in said[0]

    interrupted = SimpleNamespace(returncode=130)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_child(["recipes"], run)
