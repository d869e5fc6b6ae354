"""Every command of the README runs, in its order, with the recipe that stands there."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")

FILES = 40
"""Files of the sample that the builds read here: the same commands, not their minute."""


def commands() -> list[list[str]]:
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    return [
        shlex.split(line[2:])
        for block in blocks
        for line in block.splitlines()
        if line.startswith("$ ")
    ]


@pytest.mark.builds
def test_the_commands_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: sixteen others would import torch and Beam anew. test_wheel.py runs both
    commands as they are installed."""
    import torch

    from pipelines.cli import main as corpus
    from trainer.cli import main as trainer

    torch.set_num_threads(1)  # the other core belongs to the other tests
    monkeypatch.chdir(tmp_path)
    recipe = re.search(r"```toml\n# recipe.toml\n(.*?)```", README, re.DOTALL)
    assert recipe
    (tmp_path / "recipe.toml").write_text(recipe[1])
    filled = ""
    ran = []
    for program, *arguments in commands():
        if program in ("make", "export"):
            continue
        few = ["--steps", "3", "--evaluation.samples", "8"] if arguments[0] == "pretrain" else []
        code = {"corpus": corpus, "trainer": trainer}[program]([*arguments, *few])
        out, err = capsys.readouterr()
        assert code == 0, (program, arguments, err)
        ran.append(f"{program} {arguments[0]}")

        if arguments[0] == "sample":
            for file in sorted((tmp_path / "texts").iterdir())[FILES:]:
                file.unlink()
        if "--fill" in arguments:
            filled = out

    assert len(ran) >= 14 and ran[:3] == ["corpus sample", "corpus build", "corpus stats"]
    assert len(filled.split(", ")) == 5
    for path in ("home/report.html", "run/curves.png", "model/config.json", "exported"):
        assert (tmp_path / path).exists(), path


def test_the_targets_of_make_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for program, *arguments in commands():
        if program == "make":
            assert re.search(rf"^{arguments[0]}:", makefile, re.MULTILINE), arguments


def test_setup_installs_what_its_variables_say() -> None:
    def printed(*variables: str) -> str:
        return subprocess.run(
            ["make", "--always-make", "--dry-run", "setup", "VENV=env", *variables],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    everything = printed()
    assert "--editable '.[all,dev]'" in everything and "6.7 GB" in everything
    assert "--index-url" not in everything
    few = printed("EXTRAS=pipelines")
    assert "--editable '.[pipelines]'" in few and "touch env/.installed-pipelines" in few
    cpu = printed("TORCH_INDEX=https://index.example/cpu").splitlines()
    [torch] = [number for number, line in enumerate(cpu) if line.endswith(" torch")]
    assert "--no-deps --index-url 'https://index.example/cpu' torch" in cpu[torch]
    assert "--editable '.[all,dev]'" in cpu[torch + 1]


def test_the_picture_is_small() -> None:
    [picture] = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert 10_000 < (ROOT / picture).stat().st_size < 150_000
