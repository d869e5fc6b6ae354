"""Every command of the README runs, in its order, with the recipe that stands there."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def commands() -> list[list[str]]:
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    return [
        shlex.split(line[2:])
        for block in blocks
        for line in block.splitlines()
        if line.startswith("$ ")
    ]


def test_the_commands_run(some_novels: Path, tmp_path: Path) -> None:
    shutil.copytree(some_novels, tmp_path / "texts")
    recipe = re.search(r"`recipe.toml`:\n\n```toml\n(.*?)```", README, re.DOTALL)
    assert recipe
    (tmp_path / "recipe.toml").write_text(recipe.group(1))
    ran = 0
    for program, *arguments in commands():
        if program == "make":
            continue
        module = {"corpus": "pipelines.cli", "trainer": "trainer.cli"}[program]
        steps = (
            ["--steps", "3"] if arguments[0] == "pretrain" else []
        )  # the same command, not its hour
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments, *steps],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (program, arguments, done.stderr)
        ran += 1
    assert ran >= 7


def test_the_targets_of_make_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for program, *arguments in commands():
        if program == "make":
            assert re.search(rf"^{arguments[0]}:", makefile, re.MULTILINE), arguments
