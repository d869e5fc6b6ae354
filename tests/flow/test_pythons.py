"""The same bytes from every Python with the same locked versions, and without the optional
packages."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from realdata import data_file

ROOT = Path(__file__).resolve().parents[2]

# The archive whose pages have odd encodings, bodies and headers.
NEWS = "cc-news/crawl-data/CC-NEWS/2017/11/CC-NEWS-20171112093015-00017.warc.gz"

RECIPE = """
[sources.novels]
kind = "files"
input = "{texts}/*.txt"
document = "blank-line"
[sources.sentences]
kind = "files"
input = "{sentences}"
[sources.news]
kind = "cc_news"
input = "{news}"
language = "any"
[sources.wiki]
kind = "wikipedia"
input = "{wiki}"
[tokenizer]
vocab_size = 1000
[shards]
shard_tokens = 200000
"""


def build(python: str, recipe: Path, home: Path) -> str:
    """A digest of all files in shards/, built by another interpreter."""
    subprocess.run(
        [
            python,
            "-m",
            "pipelines.cli",
            "build",
            str(recipe),
            "--home",
            str(home),
            "--workers",
            "1",
        ],
        check=True,
        cwd=ROOT,
        capture_output=True,
    )
    state = hashlib.blake2b()
    for path in sorted((home / "shards").iterdir()):
        state.update(path.name.encode() + path.read_bytes())
    return state.hexdigest()


@pytest.fixture(scope="module")
def recipe(some_novels: Path, sentences: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pythons") / "recipe.toml"
    news = data_file(NEWS)
    wiki = data_file("wikipedia/tinywiki-latest-pages-articles.xml.bz2")
    if news is None or wiki is None:
        pytest.skip("the pages are in the test data only")
    path.write_text(RECIPE.format(texts=some_novels, sentences=sentences, news=news, wiki=wiki))
    return path


@pytest.mark.long
@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_every_python_gives_the_same_bytes(version: str, recipe: Path, tmp_path: Path) -> None:
    found = shutil.which(f"python{version}")
    if found is None or subprocess.run([found, "--version"], capture_output=True).returncode:
        pytest.skip(f"python{version} is not here")
    environment = tmp_path / "venv"
    install = ["--constraint", "constraints.txt", ".[pipelines]"]  # without [fast], on purpose
    if shutil.which("uv"):
        real = subprocess.run(
            [found, "-c", "import sys; print(sys.executable)"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        subprocess.run(["uv", "venv", "--quiet", "--python", real, str(environment)], check=True)
        subprocess.run(
            [
                "uv",
                "pip",
                "install",
                "--quiet",
                "--python",
                str(environment / "bin" / "python"),
                *install,
            ],
            check=True,
            cwd=ROOT,
        )
    else:
        subprocess.run([found, "-m", "venv", str(environment)], check=True)
        subprocess.run(
            [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", *install],
            check=True,
            cwd=ROOT,
        )
    assert build(str(environment / "bin" / "python"), recipe, tmp_path / "there") == build(
        sys.executable, recipe, tmp_path / "here"
    )
