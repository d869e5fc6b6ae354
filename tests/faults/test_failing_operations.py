"""Every operation on a file fails once: the command ends with one line and exit code 1 or 3, and
the same command, run again, ends with the same bytes (tests/helpers/failing.py)."""

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
from crash import State, read_state
from failing import ERRORS, Failing
from five_corpora import write
from plain_build import plain_build
from test_power_loss import outputs

from pipelines import cli
from pipelines.home import layout

MOST = 20
"""Attempts of the sample; the long test makes all."""


def attempts(
    failing: Failing,
    command: Callable[[], int],
    capsys: pytest.CaptureFixture[str],
    most: int | None = None,
) -> list[str]:
    """Run a command until it succeeds; what was wrong with the ways in which it failed. After
    `most` failures nothing fails any more."""
    wrong = []
    for number in range(100_000):
        if number == most:
            failing.only = 10**9
        before = failing.failed.total()
        failing.begin()
        capsys.readouterr()
        code = command()
        err = capsys.readouterr().err
        if code == 0:
            # An error that did not matter is none: what only tells how far a build is, or what
            # only saves time.
            if failing.failed.total() == before:
                return wrong
            continue
        errors = [line for line in err.splitlines() if line.startswith("error: ")]
        if code not in (1, 3) or len(errors) != 1 or "Traceback" in err:
            wrong.append(f"attempt {number}: exit {code}: {err[-300:]}")
    raise AssertionError("it never succeeds")


def building(recipe: Path, home: Path, patch: pytest.MonkeyPatch) -> Callable[[], int]:
    """`corpus build` without Beam, as the command line runs it."""
    # Its recipe is read for every pass.
    patch.setattr(layout, "parse_recipe", functools.lru_cache(layout.parse_recipe))

    def dispatch(_: list[str]) -> int:
        from pipelines.engines.child import run

        run(lambda _: plain_build(recipe, home), str(home))
        return 0

    patch.setattr(cli, "_dispatch", dispatch)
    return lambda: cli.main(["build"])


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, State]:
    """A recipe of the five corpora, and the files of its home."""
    folder = tmp_path_factory.mktemp("build")
    path = write(folder / "inputs", with_data=False)
    plain_build(path, folder / "home")
    return path, outputs(read_state(folder / "home"))


def test_operations_of_a_build_fail_once(
    recipe: tuple[Path, State], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, wanted = recipe
    with pytest.MonkeyPatch.context() as patch:
        failing = Failing((tmp_path, path.parent), patch, only=150)
        command = building(path, tmp_path / "home", patch)
        assert attempts(failing, command, capsys, MOST) == []
    assert failing.failed.total() >= 15
    assert outputs(read_state(tmp_path / "home")) == wanted


@pytest.mark.long
def test_many_operations_of_a_build_fail_once(
    recipe: tuple[Path, State], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every second one: at least 300 with each error."""
    path, wanted = recipe
    with pytest.MonkeyPatch.context() as patch:
        failing = Failing((tmp_path, path.parent), patch, only=2)
        command = building(path, tmp_path / "home", patch)
        assert attempts(failing, command, capsys) == []
    assert min(failing.failed[number] for number in ERRORS) >= 300
    assert outputs(read_state(tmp_path / "home")) == wanted
