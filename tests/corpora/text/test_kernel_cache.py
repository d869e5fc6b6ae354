"""The cache of the kernels: as if there were none when it fails."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from corpora.text.compiling import COMPILING, say_on_terminal

pytestmark = pytest.mark.builds

ROOT = Path(__file__).resolve().parents[2]

# Two kernels of which one calls the other, as those of the pipeline do.
MODULE = """
import numpy as np
from corpora.text.jit import jit

@jit
def double(x):
    return x + x

@jit
def total(values):
    found = 0
    for value in values:
        found += double(value)
    return found
"""

MAIN = """
import json, kernels
import numpy as np
print(json.dumps({"total": kernels.total(np.arange(5)),
    "hits": sum(kernels.total.stats.cache_hits.values()), "path": kernels.total.stats.cache_path}))
"""


def run(
    folder: Path, cache: Path, room: bool = True, main: str = MAIN
) -> tuple[dict[str, Any], str]:
    """What the script prints in a new process, and what it says; without `room` no file can grow,
    as on a full disk."""
    source = folder / "kernels.py"
    if not source.exists():
        source.write_text(MODULE)
    path = os.pathsep.join([str(folder), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "NUMBA_CACHE_DIR": str(cache)}

    def fill_the_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    done = subprocess.run(
        [sys.executable, "-B", "-c", main],
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=None if room else fill_the_disk,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.mark.parametrize(
    "ending, length", [(".nbi", 0), (".nbi", 10), (".nbc", 0), (".nbc", 10), (".nbc", -1)]
)
def test_a_cut_cache_is_replaced_and_named_once(tmp_path: Path, ending: str, length: int) -> None:
    cache = tmp_path / "cache"
    first, silent = run(tmp_path, cache)
    assert first["total"] == 20 and first["hits"] == 0 and silent == ""
    assert run(tmp_path, cache)[0]["hits"] == 1
    for path in cache.rglob(f"*{ending}"):
        content = path.read_bytes()
        path.write_bytes(content[:length])

    cut, said = run(tmp_path, cache)
    assert cut["total"] == 20 and cut["hits"] == 0
    assert said.count("warning: numba's cache in ") == 1 and str(cache) in said
    assert run(tmp_path, cache) == ({**first, "hits": 1}, "")


def test_a_cache_without_room(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    full, said = run(tmp_path, cache, room=False)
    assert full["total"] == 20 and said.count("warning: ") == 1
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_no_folder_for_a_cache(tmp_path: Path) -> None:
    main = f"import numba.core.caching as caching\ncaching.CacheImpl._locator_classes = []\n{MAIN}"
    found, said = run(tmp_path, tmp_path / "cache", main=main)
    assert found == {"total": 20, "hits": 0, "path": None} and said == ""


def test_a_cache_folder_that_turns_unreadable(tmp_path: Path) -> None:
    """A folder stands where a file of the cache was."""
    cache = tmp_path / "cache"
    run(tmp_path, cache)
    for path in cache.rglob("*.nbi"):
        path.unlink()
        path.mkdir()
    found, said = run(tmp_path, cache)
    assert found["total"] == 20 and said.count("warning: ") == 1


def test_the_first_use_says_why_it_takes_long(tmp_path: Path) -> None:
    """Once in a process, and only where kernels are compiled."""
    main = f"from corpora.text import compiling\nsaid = []\ncompiling.tell = said.append\n{MAIN}"
    main += "print(json.dumps(said), file=__import__('sys').stderr)"
    cache = tmp_path / "cache"
    assert run(tmp_path, cache, main=main)[1] == f'["{COMPILING}"]\n'
    assert run(tmp_path, cache, main=main)[1] == "[]\n"


def test_it_is_said_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say_on_terminal(COMPILING)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    say_on_terminal(COMPILING)
    assert capsys.readouterr().err == f"{COMPILING}\n"
