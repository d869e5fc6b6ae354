"""Every operation on a file fails once: the command ends with one line and exit code 1 or 3, and
the same command, run again, ends with the same bytes (tests/helpers/failing.py)."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from crash import State, read_state
from failing import ERRORS, KINDS, Failing
from five_corpora import write
from plain_build import plain_build
from test_power_loss import of_all_stages, of_the_model, outputs
from trainer_fixtures import random_shards
from trainer_runs import MINI

from pipelines import cli
from pipelines.home import layout
from trainer.cli import main as trainer

MOST = 20
"""Attempts of the sample."""

MANY = {"open": 3, "write": 5, "flush": 1, "rename": 1, "mkdir": 1}
"""Of each kind, the operations of a build that the long test lets fail: each third, each fifth."""

MANY_OF_A_RUN = {"open": 6, "write": 100, "flush": 4, "rename": 1, "mkdir": 1}


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
            failing.only = dict.fromkeys(KINDS, 10**9)
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
        failing = Failing((tmp_path, path.parent), patch, dict.fromkeys(KINDS, 150))
        command = building(path, tmp_path / "home", patch)
        assert attempts(failing, command, capsys, MOST) == []
    assert failing.failed.total() >= 15
    assert outputs(read_state(tmp_path / "home")) == wanted


@pytest.mark.long
def test_many_operations_of_a_build_fail_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In many slices and all stages: each flush, rename and new folder, and each third of the
    rest."""
    path = of_all_stages(write(tmp_path / "inputs", with_data=False))
    wanted = outputs(read_state(Path(plain_build(path, tmp_path / "undisturbed"))))
    with pytest.MonkeyPatch.context() as patch:
        failing = Failing((tmp_path, path.parent), patch, MANY)
        command = building(path, tmp_path / "home", patch)
        assert attempts(failing, command, capsys) == []
    print(dict(failing.failed), dict(failing.kinds))
    assert min(failing.failed[number] for number in ERRORS) >= 300
    assert outputs(read_state(tmp_path / "home")) == wanted


# --- a run


def training(shards: Path, run: Path, steps: int) -> Callable[[], int]:
    """`trainer pretrain` with a checkpoint at every step."""
    command = ["pretrain", "--shards", str(shards), *MINI, "--steps", str(steps), "--batch", "4"]
    command += ["--micro-batch", "4", "--save-every", "1", "--log-every", "1", "--keep", "2"]
    command += ["--evaluation.every", str(steps // 2), "--resume", "--run", str(run)]
    return lambda: trainer(command)


def wrong_runs(
    folder: Path,
    steps: int,
    capsys: pytest.CaptureFixture[str],
    only: Mapping[str, int],
    most: int | None = None,
) -> Failing:
    """Train with operations that fail, check every failure and the end, and tell what failed."""
    shards = random_shards(folder / "shards")
    assert training(shards, folder / "undisturbed", steps)() == 0

    with pytest.MonkeyPatch.context() as patch:
        failing = Failing((folder / "run", shards), patch, only)
        command = training(shards, folder / "run", steps)
        assert attempts(failing, command, capsys, most) == []

    wanted = of_the_model(read_state(folder / "undisturbed"))
    got = of_the_model(read_state(folder / "run"))
    assert {path for path in wanted if got.get(path) != wanted[path]} == set()
    return failing


def test_operations_of_a_run_fail_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], one_thread: None
) -> None:
    only = {"open": 20, "write": 150, "flush": 8, "rename": 3, "mkdir": 3}
    failing = wrong_runs(tmp_path, 6, capsys, only, MOST)
    assert all(failing.kinds[kind] >= 2 for kind in KINDS)


@pytest.mark.long
def test_many_operations_of_a_run_fail_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], one_thread: None
) -> None:
    failing = wrong_runs(tmp_path, 150, capsys, MANY_OF_A_RUN)
    print(dict(failing.failed), dict(failing.kinds))
    assert min(failing.failed[number] for number in ERRORS) >= 200
