"""The arrows between the packages, what the commands import, and what `--help` costs."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("corpora", "pipelines", "shards", "trainer")

ALLOWED = {
    "corpora": ("shards.storage", "shards.config", "shards.errors"),
    "pipelines": ("corpora", "shards"),
    "shards": (),
    # The trainer fine-tunes on the official files that `corpora` reads to find them in a corpus.
    "trainer": ("shards", "corpora.tasks"),
}
"""What each package may import of the others."""

FORBIDDEN = {
    "corpora": {"apache_beam", "torch"},
    "pipelines": {"torch"},
    "shards": {"apache_beam", "torch", "numba"},
    "trainer": {"apache_beam"},
}

FILES_ABOVE = {
    "corpora": {"__init__", "document", "guard", "sources"},
    "pipelines": {
        "__init__",
        "adopt",
        "beam",
        "build",
        "chance",
        "cli",
        "recipe",
        "start",
        "wording",
    },
}
"""The files that stand in no room."""


def files_of(package: str) -> list[Path]:
    """Every Python file of a package."""
    return sorted((ROOT / package).rglob("*.py"))


def module_of(path: Path) -> str:
    """The dotted name of a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for package in PACKAGES for path in files_of(package)}


def imported(tree: ast.AST) -> set[str]:
    """Every module that a piece of code imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                names.add(submodule if submodule in MODULES else node.module)
    return names


@pytest.mark.parametrize("package", PACKAGES)
def test_the_arrows_between_packages(package: str) -> None:
    for path in files_of(package):
        for name in imported(ast.parse(path.read_text("utf-8"))):
            top = name.split(".")[0]
            assert top not in FORBIDDEN[package] or "engines" in path.parts, f"{path}: {name}"

            if top in PACKAGES and top != package:
                allowed = (
                    name == known or name.startswith(f"{known}.") for known in ALLOWED[package]
                )
                assert any(allowed), f"{path.relative_to(ROOT)} imports {name}"


def test_the_tasks_need_no_other_room() -> None:
    """The trainer reads them, where what the sources need is not installed."""
    for path in (ROOT / "corpora" / "tasks").glob("*.py"):
        for name in imported(ast.parse(path.read_text("utf-8"))):
            is_known = name.startswith(("corpora.tasks", "shards", "pyarrow"))
            assert is_known or name.split(".")[0] in sys.stdlib_module_names, f"{path}: {name}"


def test_beam_is_imported_in_engines_alone() -> None:
    for package in PACKAGES:
        for path in files_of(package):
            imports = imported(ast.parse(path.read_text("utf-8")))
            if any(name.split(".")[0] == "apache_beam" for name in imports):
                assert path.parent == ROOT / "pipelines" / "engines", path


def test_no_import_goes_in_a_circle() -> None:
    arrows = {}
    for name, path in MODULES.items():
        arrows[name] = imported(ast.parse(path.read_text("utf-8"))) & MODULES.keys()
    waiting = set(arrows)
    while waiting:
        free = {name for name in waiting if not arrows[name] & waiting - {name}}
        assert free, f"a circle among {sorted(waiting)}"
        waiting -= free


@pytest.mark.parametrize("package", sorted(FILES_ABOVE))
def test_every_file_stands_in_a_room(package: str) -> None:
    assert {path.stem for path in (ROOT / package).glob("*.py")} == FILES_ABOVE[package]


def test_every_test_file_has_a_name_of_its_own() -> None:
    """pytest cannot collect two files of one name: the folders of the tests are no packages."""
    names = Counter(path.name for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


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
