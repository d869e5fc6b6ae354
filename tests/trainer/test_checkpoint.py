"""A killed run, resumed, is the run never killed; a damaged checkpoint is refused by name; a full
disk harms nothing."""

import dataclasses
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import trainer_runs as runs

from shards.config import to_dict
from shards.errors import UserError
from trainer import checkpoint, config
from trainer.cli import main
from trainer.run import refuse_other

STEPS = 80


def arguments(shards: Path, run: Path, *more: str, steps: int = STEPS) -> list[str]:
    return [
        "pretrain",
        "--shards",
        str(shards),
        "--run",
        str(run),
        *runs.MINI,
        "--steps",
        str(steps),
        "--save-every",
        "7",
        "--log-every",
        "1",
        "--keep",
        "2",
        "--resume",
        *more,
    ]


def kill_and_resume(shards: Path, tmp_path: Path, ranks: int, kills: int, steps: int) -> None:
    """SIGKILL at `kills` random steps of one run; its weights, moments and losses are those of a
    run never killed."""
    runs.train(arguments(shards, tmp_path / "whole", steps=steps), ranks)
    run, generator = tmp_path / "killed", random.Random(ranks)
    killed = []
    for step in sorted(generator.sample(range(2, steps - steps // 3), kills)):
        killed.append(runs.kill_at(arguments(shards, run, steps=steps), run, step, ranks))
    runs.train(arguments(shards, run, steps=steps), ranks)
    assert killed[-1] < steps and len(killed) == kills
    assert runs.same(runs.weights(tmp_path / "whole", steps), runs.weights(run, steps))
    assert runs.same(
        runs.weights(tmp_path / "whole", steps, "optimizer.safetensors"),
        runs.weights(run, steps, "optimizer.safetensors"),
    )
    assert runs.losses(tmp_path / "whole") == runs.losses(run)
    # Identical to the byte: state, digests and all.
    for name in (*checkpoint.FILES, checkpoint.DIGESTS):
        folder = Path("checkpoints") / checkpoint.folder_name(steps)
        assert (tmp_path / "whole" / folder / name).read_bytes() == (
            run / folder / name
        ).read_bytes()


@pytest.mark.builds
def test_killed_twice(small: Path, tmp_path: Path) -> None:
    kill_and_resume(small, tmp_path, 1, 2, STEPS)


@pytest.mark.builds
def test_killed_once_on_two_ranks(small: Path, tmp_path: Path) -> None:
    kill_and_resume(small, tmp_path, 2, 1, STEPS)


@pytest.mark.long
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_killed_at_ten_random_steps(small: Path, tmp_path: Path, ranks: int) -> None:
    kill_and_resume(small, tmp_path, ranks, 10, 300)


def on_other_ranks(small: Path, tmp_path: Path, before: int, after: int) -> None:
    runs.train(arguments(small, tmp_path / "whole"))
    run = tmp_path / "moved"
    runs.kill_at(arguments(small, run), run, 20, before)
    runs.train(arguments(small, run), after)
    assert (
        np.abs(np.array(runs.losses(tmp_path / "whole")) - np.array(runs.losses(run))).max() <= 1e-5
    )


@pytest.mark.builds
def test_resumed_on_two_ranks(small: Path, tmp_path: Path) -> None:
    on_other_ranks(small, tmp_path, 1, 2)


@pytest.mark.long
@pytest.mark.parametrize("before, after", [(2, 4), (4, 1), (2, 1), (1, 4)])
def test_resumed_on_another_number_of_ranks(
    small: Path, tmp_path: Path, before: int, after: int
) -> None:
    on_other_ranks(small, tmp_path, before, after)


# --- checkpoints


@pytest.fixture(scope="module")
def trained(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("trained") / "run"
    runs.train(arguments(small, run, "--keep", "3", steps=28))
    return run


def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def test_the_last_k_are_kept_and_nothing_else(trained: Path) -> None:
    assert sorted(path.name for path in (trained / "checkpoints").iterdir()) == [
        "step-00000014",
        "step-00000021",
        "step-00000028",
    ]
    assert sorted(
        path.name for path in (trained / "checkpoints" / "step-00000028").iterdir()
    ) == sorted((*checkpoint.FILES, checkpoint.DIGESTS))


@pytest.mark.parametrize("name", [*checkpoint.FILES, checkpoint.DIGESTS])
@pytest.mark.parametrize("fault", ["cut", "flipped", "longer", "missing", "empty"])
def test_damage_is_named_and_the_one_before_used(
    trained: Path,
    small: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    fault: str,
) -> None:
    run = copy(trained, tmp_path)
    path = run / "checkpoints" / "step-00000028" / name
    content = bytearray(path.read_bytes())
    if fault == "missing":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1 if fault == "flipped" else 0
        path.write_bytes(
            {"cut": content[:-1], "flipped": content, "longer": content + b"\n", "empty": b""}[
                fault
            ]
        )
    with pytest.raises(UserError, match=f"step-00000028: damaged checkpoint: {name}"):
        checkpoint.read_state(path.parent)
    if name == checkpoint.FILES[0]:
        assert main(arguments(small, run, "--keep", "3", steps=28)) == 0
        said = capsys.readouterr().err
        assert (
            "step-00000028: damaged checkpoint: model.safetensors" in said
            and "step-00000021: going on after step 21" in said
        )
        assert runs.same(runs.weights(run, 28), runs.weights(trained, 28))


def test_every_byte_of_the_small_files_counts(trained: Path, tmp_path: Path) -> None:
    run = copy(trained, tmp_path)
    for name in ("state.json", checkpoint.DIGESTS):
        path = run / "checkpoints" / "step-00000028" / name
        content = path.read_bytes()
        for i in range(0, len(content), 1 if name == checkpoint.DIGESTS else 37):
            path.write_bytes(content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :])
            assert checkpoint.damage(path.parent).startswith(name)
        path.write_bytes(content)
    assert checkpoint.damage(path.parent) == ""


def test_no_whole_checkpoint_starts_at_zero(
    trained: Path, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copy(trained, tmp_path)
    for folder in (run / "checkpoints").iterdir():
        (folder / "state.json").unlink()
    assert main(arguments(small, run, steps=28)) == 0
    said = capsys.readouterr().err
    assert (
        said.count("damaged checkpoint") == 3 and "no whole checkpoint, starting at step 0" in said
    )
    assert runs.same(runs.weights(run, 28), runs.weights(trained, 28)) and runs.losses(
        run
    ) == runs.losses(trained)


def test_a_finished_run_is_left_alone(
    trained: Path, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(
        (path, path.stat().st_mtime_ns) for path in trained.rglob("*") if path.name != "lock"
    )
    assert main(arguments(small, trained, steps=28)) == 0
    assert "finished at step 28" in capsys.readouterr().err
    assert (
        sorted(
            (path, path.stat().st_mtime_ns) for path in trained.rglob("*") if path.name != "lock"
        )
        == before
    )
    # The run's own recipe is taken where none is given.
    assert (
        main(
            [
                "pretrain",
                "--shards",
                str(small),
                "--run",
                str(trained),
                "--resume",
                "--device",
                "cpu",
            ]
        )
        == 0
    )


@pytest.mark.builds
def test_a_file_that_cannot_grow_keeps_the_checkpoint_before(
    trained: Path, small: Path, tmp_path: Path
) -> None:
    run = copy(trained, tmp_path)
    shutil.rmtree(run / "checkpoints" / "step-00000028")
    limit = (run / "checkpoints" / "step-00000021" / "model.safetensors").stat().st_size - 1
    code, said = runs.finish(
        runs.begin(arguments(small, run, "--keep", "3", steps=28), limit=limit)
    )  # fails as a full disk does
    assert code == 3, said
    assert (
        "step-00000028: cannot be saved" in said
        and "the last checkpoint is step-00000021" in said
        and "Traceback" not in said
    )
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == [
        "step-00000014",
        "step-00000021",
    ]
    assert checkpoint.damage(run / "checkpoints" / "step-00000021") == ""
    assert main(arguments(small, run, "--keep", "3", steps=28)) == 0
    assert runs.same(runs.weights(run, 28), runs.weights(trained, 28))


@pytest.mark.skipif(os.getuid() != 0, reason="mounting a small file system needs root")
def test_a_full_disk_keeps_the_checkpoint_before(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=640k", "tmpfs", str(disk)], capture_output=True
    ).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        run = disk / "run"
        code = main(arguments(small, run, "--keep", "9", steps=28))
        said = capsys.readouterr().err
        assert code == 3 and "No space left" in said and "cannot be saved" in said
        left = checkpoint.list_checkpoints(run)
        assert (
            left
            and checkpoint.damage(left[0]) == ""
            and not list((run / "checkpoints").glob(".tmp-*"))
        )
    finally:
        subprocess.run(["umount", str(disk)], check=True)


# --- what may not change on resume


@pytest.mark.parametrize(
    "more, what",
    [
        (
            ["--steps", "40"],
            "--steps 40: the run was started with 28, and its learning rate depends on that",
        ),
        (["--seed", "1"], "seed: 1, the run was started with 0"),
        (["--batch", "16"], "batch: 16, the run was started with 32"),
        (["--optim.lr", "0.1"], "optim.lr: 0.1, the run was started with 0.001"),
        (["--mix", "news=2"], "data.mix: {'news': 2.0}, the run was started with {}"),
        (["--model.layers", "1"], "model.layers: 1, the run was started with 2"),
    ],
)
def test_a_changed_setting_is_refused(
    trained: Path, small: Path, capsys: pytest.CaptureFixture[str], more: list[str], what: str
) -> None:
    assert main([*arguments(small, trained, steps=28), *more]) == 2
    said = capsys.readouterr().err
    assert f"error: {what}" in said and "hint: " in said


def test_other_shards_are_refused(
    trained: Path, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from trainer_fixtures import random_shards

    for salt, what in (
        ("", "trained on other shards than these"),
        ("zebra", "trained with another tokenizer"),
    ):
        other = random_shards(tmp_path / f"other{salt}", seed=9, salt=salt)
        assert main(arguments(other, trained, "--model.vocab-size", "0", steps=28)) == 2
        assert what in capsys.readouterr().err


def test_moved_shards_are_the_same_shards(trained: Path, small: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(small, home / "shards")
    assert main(arguments(home, trained, steps=28)) == 0


# --- a run that an older or a newer version has started


def rewrite(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the `state.json` of every checkpoint, as another version would have written it."""
    for folder in checkpoint.list_checkpoints(run):
        path = folder / checkpoint.STATE
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
        (folder / checkpoint.DIGESTS).write_text(checkpoint.digests(folder))


def resume(shards: Path, run: Path) -> int:
    options = ["--shards", str(shards), "--run", str(run), "--resume", "--device", "cpu"]
    return main(["pretrain", *options])


def without_last(trained: Path, tmp_path: Path) -> Path:
    """A run that has one part of three still to train."""
    run = copy(trained, tmp_path)
    shutil.rmtree(run / "checkpoints" / "step-00000028")
    return run


def test_settings_that_an_older_run_lacks_do_not_block_it(
    trained: Path, small: Path, tmp_path: Path
) -> None:
    """Every setting that has its default in the run is taken out of all that it has stored."""
    run = without_last(trained, tmp_path)
    defaults = config.flatten(to_dict(config.Recipe()))
    stored = config.flatten(config.parse_toml((run / "recipe.toml").read_text(), "recipe.toml"))
    kept = {key: value for key, value in stored.items() if value != defaults[key]}
    assert len(stored) - len(kept) >= 20

    def lacking(content: dict[str, Any]) -> None:
        content["recipe"] = {key: kept[key] for key in content["recipe"] if key in kept}
        model = content["model"]
        content["model"] = {key: model[key] for key in model if f"model.{key}" in kept}
        for name in ("spikes", "good", "nonfinite"):
            del content[name]

    rewrite(run, lacking)
    (run / "recipe.toml").write_text(tomli_w.dumps(config.nest(kept)))
    assert main(["evaluate", "--run", str(run), "--device", "cpu"]) == 0
    assert resume(small, run) == 0
    assert runs.same(runs.weights(run, 28), runs.weights(trained, 28))
    assert checkpoint.choose(run, 28)[1].recipe == checkpoint.choose(trained, 28)[1].recipe


@pytest.mark.parametrize("key", sorted(config.fixed_keys(config.Recipe())))
def test_no_setting_blocks_a_run_that_is_older_than_it(key: str) -> None:
    """And the run counts as started with what was in effect then, so another value is refused."""
    recipe = json.loads(json.dumps(config.fixed_keys(config.Recipe())))
    fresh = checkpoint.State(recipe=recipe, model={})
    older = checkpoint.State(recipe={k: v for k, v in recipe.items() if k != key}, model={})
    refuse_other(Path("step"), older, fresh)

    changed = dataclasses.replace(fresh, recipe={**recipe, key: "other"})
    with pytest.raises(UserError, match="the run was started with"):
        refuse_other(Path("step"), older, changed)


def test_what_was_in_effect_before_a_setting_need_not_be_its_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(config, "BEFORE", {"masking.style": "fairseq"})
    keys, unknown = config.known_keys({"optim.lr": 0.5})
    assert keys["masking.style"] == "fairseq" and keys["optim.lr"] == 0.5 and not unknown

    (tmp_path / "recipe.toml").write_text("steps = 7\n")
    recipe = config.load_run_recipe(tmp_path)
    assert recipe.masking.style == "fairseq" and recipe.steps == 7
    # A recipe of a user's own means today's defaults.
    assert config.load_recipe(str(tmp_path / "recipe.toml")).masking.style == "exact"


def test_renamed_and_removed_settings(
    trained: Path,
    small: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = without_last(trained, tmp_path)

    def older(content: dict[str, Any]) -> None:
        content["recipe"]["learning_rate"] = content["recipe"].pop("optim.lr")
        content["recipe"]["optim.amsgrad"] = False
        content["recipe"]["unheard.of"] = 1
        content["model"]["bias"] = True
        content["extra"] = 3

    rewrite(run, older)
    text = (run / "recipe.toml").read_text()
    renamed = text.replace("\nlr = 0.001\n", "\namsgrad = false\n")
    assert renamed != text
    (run / "recipe.toml").write_text(f"learning_rate = 0.001\n{renamed}\n[unheard]\nof = 1\n")

    monkeypatch.setattr(config, "RENAMED", {"learning_rate": "optim.lr"})
    monkeypatch.setattr(config, "REMOVED", ("optim.amsgrad",))
    assert resume(small, run) == 0
    said = capsys.readouterr().err
    assert "settings that this version does not know, and they are left out: unheard.of\n" in said
    assert runs.same(runs.weights(run, 28), runs.weights(trained, 28))


def test_a_run_json_with_other_keys_is_read(trained: Path, tmp_path: Path) -> None:
    run = copy(trained, tmp_path)
    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**content, "later": 1}))
    assert main(["evaluate", "--run", str(run), "--device", "cpu"]) == 0
