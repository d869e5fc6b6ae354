"""A run of the trainer in a process of its own, for the commands that train several."""

import subprocess
import sys
from pathlib import Path


def run_child(command: list[str], run: Path) -> str:
    """Run a command of the trainer, such as `["finetune", "--task", ...]`, whose output goes to
    `RUN/output.txt`; return what went wrong, nothing if it is finished.

    Raises `KeyboardInterrupt` when the process was interrupted, which has saved the run.
    """
    run.mkdir(parents=True, exist_ok=True)
    output = run / "output.txt"
    words = [sys.executable, "-m", "trainer.cli", *command]
    with open(output, "w") as stream:
        code = subprocess.run(words, stdout=stream, stderr=subprocess.STDOUT).returncode
    if code == 130:
        raise KeyboardInterrupt
    if code == 0:
        return ""

    lines = output.read_text(errors="replace").splitlines()
    said = [line for line in lines if line.startswith("error: ")] or lines[-1:]
    return f"exit {code}: {said[-1] if said else 'no output'} ({output})"
