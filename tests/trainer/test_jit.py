"""The cache of the kernels: anew when any kernel file changes, and as if there were none when it
fails."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trainer_runs as runs

from trainer.jit import COMPILING, kernel_sources, tell_compiling

pytestmark = pytest.mark.builds

SCRIPT = """
import json
import numpy as np
from trainer import chance
from trainer.masking.tokens import mask

row, scratch = np.arange(100), np.empty(100, np.int64)
places, labels = np.empty(100, np.int64), np.empty(100, np.int64)
specials = np.array([0, 1, 2, 3, 199])
count = mask(row, 100, np.uint64(7), 0.15, False, 200, specials, 199, scratch, places, labels)
stats = mask.stats
print(json.dumps({
    "places": places[:count].tolist(),
    "draw": int(chance.draw(np.uint64(7), 0)),
    "hits": sum(stats.cache_hits.values()),
    "folder": stats.cache_path,
}))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a copy of the package, which a test may change."""
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(runs.ROOT / "trainer", tmp_path / "code" / "trainer", ignore=skipped)
    return tmp_path / "code"


def run(package: Path, cache: Path, script: str = SCRIPT, room: bool = True) -> dict[str, Any]:
    """What the script prints in a new process; without `room` no file can grow, as on a full
    disk."""
    environment = {**os.environ, "PYTHONPATH": str(package), "NUMBA_CACHE_DIR": str(cache)}

    def fill_the_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        cwd=package,
        capture_output=True,
        text=True,
        preexec_fn=None if room else fill_the_disk,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    found["said"] = done.stderr
    return found


def replace(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_a_kernel_is_compiled_anew_when_one_that_it_calls_changes(
    package: Path, tmp_path: Path
) -> None:
    """`mask` is in another file than the constant that `draw` reads."""
    cache = tmp_path / "cache"
    first, again = run(package, cache), run(package, cache)
    assert first["hits"] == 0 and again["hits"] == 1
    assert again["places"] == first["places"]

    replace(package / "trainer" / "chance.py", "0x9E3779B97F4A7C15", "0x9E3779B97F4A7C17")
    changed = run(package, cache)
    assert changed["hits"] == 0
    assert changed["draw"] != first["draw"] and changed["places"] != first["places"]
    assert changed["places"] == run(package, tmp_path / "another cache")["places"]


def test_the_stamp_knows_every_kernel_file() -> None:
    """Each file that imports `jit` holds a kernel in the form that the stamp looks for."""
    sources = [path.read_text() for path in (runs.ROOT / "trainer").rglob("*.py")]
    users = [
        text for text in sources if re.search(r"^from trainer.jit import .*\bjit$", text, re.M)
    ]
    assert len(users) >= 4 and all("\n@jit\n" in text for text in users)
    assert len(kernel_sources()) == 32


@pytest.mark.parametrize("ending, content", [(".nbi", b""), (".nbc", b"not a cache")])
def test_a_damaged_cache_is_replaced(
    package: Path, tmp_path: Path, ending: str, content: bytes
) -> None:
    cache = tmp_path / "cache"
    whole = run(package, cache)
    for path in cache.rglob(f"*{ending}"):
        path.write_bytes(content)

    damaged = run(package, cache)
    assert damaged["hits"] == 0 and damaged["places"] == whole["places"]
    assert damaged["said"].count("warning: numba's cache in ") == 1
    assert str(cache) in damaged["said"]

    mended = run(package, cache)
    assert mended["hits"] == 1 and mended["said"] == whole["said"] == ""


def test_a_cache_without_room_is_as_if_there_were_none(package: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    full = run(package, cache, room=False)
    assert full["hits"] == 0 and not [path for path in cache.rglob("*") if path.is_file()]
    assert full["said"].count("warning: ") == 1 and str(cache) in full["said"]
    assert run(package, cache)["places"] == full["places"]


def test_works_where_no_cache_folder_can_be_written(package: Path, tmp_path: Path) -> None:
    """numba refuses to cache where it finds no folder; the kernels do without."""
    script = (
        f"import numba.core.caching as caching\ncaching.CacheImpl._locator_classes = []\n{SCRIPT}"
    )
    found = run(package, tmp_path / "cache", script)
    assert found["folder"] is None
    assert found["places"] == run(package, tmp_path / "cache")["places"]


def test_compiling_is_said_once_and_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tell_compiling.cache_clear()
    tell_compiling()
    assert capsys.readouterr().err == ""

    tell_compiling.cache_clear()
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    tell_compiling()
    tell_compiling()
    assert capsys.readouterr().err == f"{COMPILING}\n"
