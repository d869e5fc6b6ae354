"""The wheel is whole: what it holds, what it says of itself, and both commands at work from it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

pytestmark = pytest.mark.builds

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("corpora", "pipelines", "shards", "trainer")
METADATA_FILES = ("pyproject.toml", "README.md", "LICENSE")

RECIPE = """
[sources.mine]
kind = "files"
input = "texts/*.txt"
[tokenizer]
vocab_size = 400
[shards]
valid_fraction = 0.5
"""

# A model of one layer, since the steps are not what is tested.
PRETRAIN = """
pretrain --shards home --run run --recipe tiny --device cpu --steps 3 --batch 4 --micro-batch 4
--model.layers 1 --model.hidden 32 --model.intermediate 64 --model.positions 32 --data.length 32
--optim.warmup-steps 1 --evaluation.every 0
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built from a copy, since setuptools writes beside what it
    reads."""
    folder = tmp_path_factory.mktemp("wheel")
    sources = folder / "sources"
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, sources / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in METADATA_FILES:
        shutil.copy(ROOT / name, sources / name)

    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    done = subprocess.run([*command, str(sources)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr

    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel, which finds the dependencies in the environment of the
    tests. A folder named by a .pth file is searched, but its own .pth files are not read: an
    editable install there stays unseen."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True)

    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    dependencies = folder / "lib" / version / "site-packages" / "dependencies.pth"
    dependencies.write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def run(program: Path, *arguments: str, folder: Path) -> str:
    """What a program of the new environment prints, run outside the checkout."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    settings = {"OMP_NUM_THREADS": "1", "CORPUSMILL_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [program, *arguments], cwd=folder, env=clean | settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*")]
    expected = {
        str(path.relative_to(ROOT))
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())

    assert {f"{package}/py.typed" for package in PACKAGES} <= expected
    assert {name for name in names if ".dist-info/" not in name} == expected


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def test_the_license_is_an_spdx_expression(wheel: Path) -> None:
    fields = metadata(wheel)
    assert fields["License-Expression"] == "Apache-2.0"
    assert fields.get_all("License-File") == ["LICENSE"]


def test_the_commands_work_from_the_wheel(
    environment: Path, some_novels: Path, tmp_path: Path
) -> None:
    shutil.copytree(some_novels, tmp_path / "texts")
    (tmp_path / "recipe.toml").write_text(RECIPE)

    script = f"import {', '.join(PACKAGES)}\nfor package in ({', '.join(PACKAGES)}):\n"
    script += "    print(package.__file__)"
    places = run(environment / "bin" / "python", "-c", script, folder=tmp_path).splitlines()
    assert len(places) == len(PACKAGES)
    assert all(Path(place).is_relative_to(environment) for place in places), places

    corpus, trainer = environment / "bin" / "corpus", environment / "bin" / "trainer"
    build = ["build", "recipe.toml", "--home", "home", "--workers", "0"]
    run(corpus, *build, folder=tmp_path)
    assert (tmp_path / "home" / "shards" / "manifest.json").exists()

    run(trainer, *PRETRAIN.split(), folder=tmp_path)
    assert (tmp_path / "run" / "checkpoints" / "step-00000003").is_dir()
