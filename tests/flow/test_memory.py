"""Law 6: the peak of a worker does not grow with its input."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

RECIPE = (
    '[sources.a]\nkind = "files"\ninput = "{folder}/*.txt"\nslice_bytes = 1000000000\n'
    '[tokenizer]\npath = "{tokenizer}"\n'
)

# One slice through one stage in a process of its own; prints the peak in kB.
SCRIPT = """
import re, sys
sys.path.insert(0, "tests/helpers")
from plain_build import run_step
from pipelines.stages.table import STAGES
root, name = sys.argv[1:]
(stage,) = (stage for stage in STAGES if stage.name == name)
# The pass that writes shards holds one, which these texts do not fill.
for step in stage.passes[: 1 if name == "tokenize" else None]:
    assert len(run_step(step, root)) == 1
# ru_maxrss would be the parent's
print(re.search("VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1))
"""


def peaks(novels: Path, copies: int, folder: Path) -> dict[str, int]:
    from pipelines.home.layout import Home, write_recipe
    from pipelines.recipe import TokenizerConfig, load_recipe
    from pipelines.stages.train_tokenizer import train_bpe

    texts = sorted(novels.iterdir())
    (folder / "in").mkdir(parents=True)
    for copy in range(copies):
        for path in texts:
            (folder / "in" / f"{copy}-{path.name}").write_text(
                f"copy {copy}\n" + path.read_text("utf-8"), "utf-8"
            )
    (folder / "t.json").write_text(
        train_bpe(iter([texts[0].read_text("utf-8")]), TokenizerConfig(vocab_size=1000)).to_str()
    )
    (folder / "recipe.toml").write_text(
        RECIPE.format(folder=folder / "in", tokenizer=folder / "t.json")
    )
    write_recipe(Home(str(folder / "home")), load_recipe(str(folder / "recipe.toml")))
    found = {}
    for stage in ("ingest", "exact", "near", "tokenizer", "tokenize"):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(folder / "home"), stage],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        found[stage] = int(done.stdout)
    return found


@pytest.mark.long
def test_the_peak_of_a_slice_is_the_same_at_1x_and_8x(novels: Path, tmp_path: Path) -> None:
    one, eight = peaks(novels, 3, tmp_path / "1"), peaks(novels, 24, tmp_path / "8")
    print(f"peak kB at 32 MB of text {one}, at 256 MB {eight}")
    for stage in ("ingest", "exact", "near", "tokenize"):
        assert eight[stage] < 1.15 * one[stage], (stage, one, eight)
