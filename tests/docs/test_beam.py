"""docs/beam.md: its pipeline runs as it stands, and gives the shards that `corpus build` gives."""

import os
import re
import subprocess
import sys
from pathlib import Path

from looked import documents, stats

from pipelines.cli import main

ROOT = Path(__file__).resolve().parents[2]
RECIPE = (
    '[sources.novels]\nkind = "files"\ninput = "{folder}/*.txt"\ndocument = "blank-line"\n'
    "[tokenizer]\nvocab_size = 400\nsample_bytes = 50000\n"
)


def contents(home: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in sorted((home / "shards").iterdir())
        if path.name != "README.md"
    }  # the card, which corpus build adds


def test_the_pipeline_of_the_page_builds_the_same_shards(some_novels: Path, tmp_path: Path) -> None:
    (code,) = re.findall(
        r"^```python\n(.*?)^```",
        (ROOT / "docs/beam.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    (tmp_path / "own.py").write_text(code)
    (tmp_path / "recipe.toml").write_text(RECIPE.format(folder=some_novels))
    ran = subprocess.run(
        [sys.executable, "own.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert (
        main(
            [
                "build",
                str(tmp_path / "recipe.toml"),
                "--home",
                str(tmp_path / "built"),
                "--workers",
                "0",
            ]
        )
        == 0
    )
    assert contents(tmp_path / "home") == contents(tmp_path / "built")
    assert stats(str(tmp_path / "home")) == stats(str(tmp_path / "built"))
    texts = [
        record["text"]
        for removed in (False, True)
        for record in documents(str(tmp_path / "built"), None, removed)
    ]
    assert (
        int((tmp_path / "words-novels.txt").read_text())
        == sum(len(text.split()) for text in texts)
        > 60_000
    )
    assert len(ran.stdout.splitlines()) == sum(
        path.suffix == ".arrow" for path in (tmp_path / "home" / "shards").iterdir()
    )
