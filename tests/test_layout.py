"""The arrows between the packages, what the commands import, and what `--help` costs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = {"corpora", "pipelines", "shards", "trainer"}
ALLOWED = {
    "pipelines": {"corpora", "shards"},
    "trainer": {"shards"},
    "corpora": {"shards.files", "shards.web", "shards.config"},
    "shards": set(),
}
HEAVY = {
    "corpora": {"apache_beam", "torch"},
    "shards": {"apache_beam", "torch", "numba"},
    "trainer": {"apache_beam"},
    "pipelines": {"torch"},
}


def imported(path: Path) -> set[str]:
    """Every module that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {
                f"{node.module}.{alias.name}" if node.module in OURS else node.module
                for alias in node.names
            }
    return names


@pytest.mark.parametrize("package", sorted(OURS))
def test_the_arrows_between_packages(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        for name in imported(path):
            top = name.split(".")[0]
            if top in OURS - {package}:
                inside = (
                    name in ALLOWED[package]
                    or top in ALLOWED[package]
                    or any(name.startswith(f"{allowed}.") for allowed in ALLOWED[package])
                )
                assert inside, f"{path.relative_to(ROOT)} imports {name}"
            assert top not in HEAVY[package] or path.name == "beam.py", (
                f"{path.relative_to(ROOT)} imports {name}"
            )


def test_only_one_file_imports_beam() -> None:
    users = [
        path.name
        for path in ROOT.glob("*/*.py")
        if path.parent.name in OURS
        and any(name.split(".")[0] == "apache_beam" for name in imported(path))
    ]
    assert users == ["beam.py"]


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["build", "--help"], ["stats", "--help"], ["export", "--help"]],
    ids=" ".join,
)
def test_help_is_quick(arguments: list[str]) -> None:
    """Under half a second of CPU, and nothing heavy imported. CPU time: the clock of a busy machine
    says little."""
    script = (
        "import sys, time\nfrom pipelines.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "heavy = {'apache_beam', 'torch', 'numba', 'pyarrow'} & set(sys.modules)\n"
        "assert not heavy, heavy\nassert time.process_time() < 0.5, time.process_time()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "corpus" in done.stdout
