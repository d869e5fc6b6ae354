"""One clear line for each thing that a user can do wrong; help is quick; what is printed is
right."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trainer_runs as runs
from trainer_fixtures import random_shards

from shards.errors import UserError
from trainer.cli import main
from trainer.config import Recipe, load_recipe, recipe_names
from trainer.tasks.settings import load_tuning


def check_error(
    capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, what: str, hint: str
) -> None:
    assert main(arguments) == code
    said = capsys.readouterr()
    lines = said.err.strip().splitlines()
    assert said.out == "" and len(lines) == 2, said
    assert lines[0].startswith("error: ") and what in lines[0], lines
    assert lines[1].startswith("hint: ") and hint in lines[1], lines


def base(shards: Path, tmp_path: Path, *more: str) -> list[str]:
    return [
        "pretrain",
        "--shards",
        str(shards),
        "--run",
        str(tmp_path / "run"),
        *runs.MINI,
        "--steps",
        "10",
        *more,
    ]


@pytest.mark.parametrize(
    "more, code, what, hint",
    [
        (["--device", "cuda"], 3, "--device cuda: no GPU that torch can use", "--device cpu"),
        (["--batch", "100000"], 2, "are fewer than one batch of 100000", "lower --batch"),
        (
            ["--optim.warmup-steps", "10"],
            2,
            "optim.warmup_steps: 10 steps of warmup are not fewer than the run's 10 steps",
            "raise --steps",
        ),
        (["--model.vocab-size", "100"], 2, "is larger than the model's of 100", "tokenizer"),
        (["--mix", "newz=2"], 2, "--mix newz: no such source", "did you mean news?"),
        (["--mix", "news"], 2, "--mix news: not NAME=WEIGHT", "--mix news=2"),
        (["--mix", "news=0", "--mix", "books=0"], 2, "no source has a weight above 0", "weight"),
        (["--mix", "news=-1"], 2, "data.mix.news: -1.0 is not at least 0", "flag"),
        (
            ["--data.length", "64"],
            2,
            "data.length: 64 is not from 8 to model.positions (32)",
            "recipe",
        ),
        (
            ["--model.heads", "5"],
            2,
            "model.hidden: 32 is not a multiple of model.heads (5)",
            "recipe",
        ),
        (["--optim.lr", "-1"], 2, "optim.lr: -1.0 is not above 0", "recipe"),
        (
            ["--init", "/nonexistent"],
            3,
            "--init /nonexistent: no such directory",
            "Hugging Face directory",
        ),
        (
            ["--shards", "s3://bucket/home"],
            2,
            "shards are memory-mapped",
            "aws s3 cp --recursive s3://bucket/home",
        ),
        (
            ["--recipe", "roberta-bas"],
            2,
            "roberta-bas: no such recipe",
            "did you mean roberta-base",
        ),
        (["--recipe", "none.toml"], 2, "none.toml: cannot be read", "trainer recipes"),
    ],
)
def test_pretrain_errors(
    small: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    more: list[str],
    code: int,
    what: str,
    hint: str,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if "cuda" in more:
        import torch

        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    if "--recipe" in more:
        check_error(
            capsys,
            ["pretrain", "--shards", str(small), "--run", str(tmp_path / "run"), *more],
            code,
            what,
            hint,
        )
    else:
        check_error(capsys, base(small, tmp_path, *more), code, what, hint)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["pretrain", "finetune"])
def test_settings_that_are_not_utf8(tmp_path: Path, name: str) -> None:
    read = load_tuning if name == "finetune" else lambda path: load_recipe(str(path))
    path = tmp_path / "latin.toml"
    path.write_bytes("source = 'Universität'\n".encode("latin-1"))
    with pytest.raises(UserError) as caught:
        read(path)
    assert caught.value.what.startswith(f"{path}: not UTF-8: ")
    assert (caught.value.hint, caught.value.exit_code) == ("write it as TOML in UTF-8", 2)

    # and umlauts are read, whatever the locale
    path.write_text("source = 'Universität'\n", "utf-8")
    assert read(path).source == "Universität"


@pytest.mark.parametrize("own", [None, "7"])
def test_kernels_of_many_shapes_do_not_fill_the_memory(own: str | None) -> None:
    """The size of oneDNN's cache is bounded, where its user has not chosen one."""
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    environment = {key: value for key, value in os.environ.items() if key != name}
    if own:
        environment[name] = own
    script = (
        "import os, sys\nfrom trainer import cli\nsys.argv = ['trainer', '--version']\n"
        f"try:\n    cli.entry()\nexcept SystemExit:\n    print(os.environ['{name}'])\n"
        "assert 'torch' not in sys.modules\n"
    )
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == (own or "128")


def test_shards_errors(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_error(capsys, base(tmp_path, tmp_path), 2, "no manifest", "corpus build")
    other = random_shards(tmp_path / "other", salt="zebra")
    check_error(
        capsys,
        base(small, tmp_path, "--shards", str(other)),
        2,
        "its tokenizer is not that of",
        "[tokenizer] path",
    )
    check_error(
        capsys,
        ["pretrain", "--run", "x", "--recipe", "tiny"],
        2,
        "--shards: missing",
        "--shards DIR",
    )
    check_error(
        capsys,
        ["pretrain", "--shards", str(small), "--recipe", "tiny"],
        2,
        "--run: missing",
        "--run RUN",
    )
    broken = random_shards(tmp_path / "broken")
    (broken / "train-news-00001.arrow").unlink()
    check_error(
        capsys, base(broken, tmp_path), 1, "train-news-00001.arrow: missing", "corpus build"
    )
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    check_error(capsys, base(other, tmp_path), 2, "format 99", "upgrade")


def test_weights_of_another_tokenizer_are_refused(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = random_shards(tmp_path / "other", salt="zebra")
    runs.train([*base(other, tmp_path), "--run", str(tmp_path / "a")])
    assert main(["export", "--run", str(tmp_path / "a"), "--out", str(tmp_path / "hf")]) == 0
    capsys.readouterr()
    check_error(
        capsys,
        base(small, tmp_path, "--init", str(tmp_path / "hf")),
        2,
        "its tokenizer is not the shards'",
        "[tokenizer] path",
    )
    check_error(
        capsys,
        ["evaluate", "--run", str(tmp_path / "a"), "--shards", str(small)],
        2,
        "its tokenizer is not that of",
        "shards",
    )


def test_a_run_is_not_overwritten(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.train(base(small, tmp_path))
    capsys.readouterr()
    check_error(capsys, base(small, tmp_path), 2, "there is a run in it", "--resume")


@pytest.mark.parametrize(
    "arguments, what",
    [
        (["evaluate", "--run", "nowhere"], "nowhere: no run in it"),
        (["export", "--run", "nowhere", "--out", "out"], "nowhere: no checkpoint in it"),
        (["show", "nowhere"], "nowhere: nothing is logged in it"),
        (["show", "nowhere", "--sample", "1"], "nowhere: no run in it"),
        (["recipes", "large"], "large: no such recipe"),
        (["pretrian"], "trainer pretrian: no such command"),
    ],
)
def test_other_commands(
    arguments: list[str],
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    check_error(capsys, arguments, 2, what, "")


def test_unknown_flags_and_recipe_keys(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = base(small, tmp_path, "--optim.lrr", "1")
    check_error(capsys, wrong, 2, "--optim.lrr: no such option", "did you mean --optim.lr?")
    for text, what in (
        ("stepz = 3", "stepz: unknown key"),
        ("[optim]\nlr = 'a'", "optim.lr: 'a' is not a number"),
        ("steps = ", "not valid TOML"),
    ):
        path = tmp_path / "r.toml"
        path.write_text(text)
        assert main(["pretrain", "--shards", str(small), "--run", "x", "--recipe", str(path)]) == 2
        assert what in capsys.readouterr().err


def test_export_into_a_folder_with_files_is_refused(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.train(base(small, tmp_path))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("")
    capsys.readouterr()
    check_error(
        capsys,
        ["export", "--run", str(tmp_path / "run"), "--out", str(tmp_path / "out")],
        2,
        "not an empty folder",
        "--out",
    )


def test_export_twice_is_the_same_to_the_byte(small: Path, tmp_path: Path) -> None:
    """And transformers fills masks with it."""
    runs.train(base(small, tmp_path))
    for name in ("a", "b"):
        assert main(["export", "--run", str(tmp_path / "run"), "--out", str(tmp_path / name)]) == 0
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == [
        "README.md",
        "config.json",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    transformers = pytest.importorskip("transformers")
    fill = transformers.pipeline("fill-mask", str(tmp_path / "a"))
    assert len(fill("the quick <mask> fox")) == 5
    card = (tmp_path / "a" / "README.md").read_text()
    assert all(
        line.split(" ")[1] in card
        for line in json.loads((tmp_path / "run" / "run.json").read_text())["identity"]
    )


@pytest.mark.parametrize("content", [None, "", "[]"], ids=["missing", "empty", "other JSON"])
def test_a_run_without_its_tokenizer_is_named(
    content: str | None, small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs.train(base(small, tmp_path))
    capsys.readouterr()
    path = tmp_path / "run" / "tokenizer.json"
    path.unlink() if content is None else path.write_text(content)
    code = 2 if content is None else 1
    check_error(
        capsys,
        ["export", "--run", str(tmp_path / "run"), "--out", str(tmp_path / "out")],
        code,
        f"{path}: ",
        "cp SHARDS/tokenizer.json",
    )
    check_error(
        capsys,
        ["show", str(tmp_path / "run"), "--fill", "a <mask>"],
        1,
        f"{path}: cannot be read",
        "cp SHARDS/tokenizer.json",
    )


def test_a_second_trainer_in_a_run_is_refused(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = (
        "import sys\nfrom shards.storage.lock import locked_folder\nwith "
        "locked_folder(sys.argv[1]):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout and holder.stdout.readline() == "held\n"
    check_error(capsys, base(small, tmp_path), 3, f"process {holder.pid} on ", "wait for it")
    holder.kill()
    holder.wait()
    runs.train(base(small, tmp_path))


@pytest.mark.parametrize(
    "place", ["prepare", "validation", "Log", "log_start", "Loader", "take_steps"]
)
def test_a_refused_run_can_be_begun_again(
    place: str,
    small: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What ends between the writing of the recipe and the first update leaves no run behind."""

    def refuse(*_: Any, **__: Any) -> None:
        raise UserError("no", "later", 3)

    with monkeypatch.context() as patched:
        patched.setattr(f"trainer.pretrain.{place}", refuse)
        assert main(base(small, tmp_path)) == 3
    capsys.readouterr()
    runs.train(base(small, tmp_path))
    assert runs.logged(tmp_path / "run") == 10


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments, code", [("recipes", 0), ("recipes tiny", 0), ("recipes nothing 2>&1", 2)]
)
def test_a_reader_that_goes_away_is_no_error(arguments: str, code: int, unbuffered: str) -> None:
    """The exit code is that of the command, without a word of Python's."""
    # The reader is gone before the command writes.
    command = (
        f"( sleep 0.1; {sys.executable} -m trainer.cli {arguments}; echo code $? >&3 ) 3>&2 | true"
    )
    found = subprocess.run(
        command,
        shell=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert found.stderr == f"code {code}\n"


def test_a_run_goes_on_without_a_reader(small: Path, tmp_path: Path) -> None:
    """Training does not end because nobody reads its progress."""
    words = " ".join(base(small, tmp_path))
    command = f"( {sys.executable} -m trainer.cli {words} 2>&1; echo code $? >&3 ) 3>&2 | true"
    found = subprocess.run(
        command, shell=True, capture_output=True, text=True, env=runs.environment()
    )
    assert found.stderr == "code 0\n"
    assert runs.logged(tmp_path / "run") == 10


def test_dry_run(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "pretrain",
        "--shards",
        str(small),
        "--recipe",
        "roberta-base",
        "--batch",
        "16",
        "--dry-run",
        "--device",
        "cpu",
        "--data.length",
        "64",
        "--tokens-per-second",
        "1e6",
    ]
    assert main([*arguments, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (
        found["schema_version"] == 1
        and found["tokens_per_step"] == 16 * 64
        and found["steps"] == 500_000
    )
    assert found["hours"] == pytest.approx(500_000 * 1024 / 1e6 / 3600)
    assert all(
        value == pytest.approx(500_000 * 16 / found["samples"], abs=1e-3)
        for value in found["epochs"].values()
    )
    assert main(arguments) == 0
    assert "epochs: news" in capsys.readouterr().out


def test_steps_scale_the_warmup(
    small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def warmup(*more: str) -> int:
        assert (
            main(
                [
                    "pretrain",
                    "--shards",
                    str(small),
                    "--recipe",
                    "tiny",
                    "--batch",
                    "16",
                    "--dry-run",
                    "--json",
                    *more,
                ]
            )
            == 0
        )
        return int(json.loads(capsys.readouterr().out)["warmup_steps"])

    assert (
        warmup(),
        warmup("--steps", "750"),
        warmup("--steps=500", "--optim.warmup-steps", "60"),
        warmup("--steps", "3"),
    ) == (400, 100, 60, 0)


def test_recipes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["recipes"]) == 0
    said = capsys.readouterr().out
    assert recipe_names() == [
        "bert-base",
        "bert-base-doc-sentences",
        "bert-base-full-sentences",
        "bert-base-segment-pair",
        "bert-base-sentence-pair",
        "bert-base-static",
        "bert-large",
        "roberta-base",
        "roberta-base-256-1m",
        "roberta-base-2k-125k",
        "roberta-base-8k-31k",
        "roberta-large",
        "roberta-large-160gb-100k",
        "roberta-large-160gb-300k",
        "roberta-large-16gb-100k",
        "spanbert-base",
        "spanbert-large",
        "tiny",
    ]
    for name in recipe_names():
        assert name in said and load_recipe(name).source in said
        assert main(["recipes", name]) == 0
        (tmp_path / "again.toml").write_text(capsys.readouterr().out)
        assert load_recipe(str(tmp_path / "again.toml")) == load_recipe(name)
    rows = {name: load_recipe(f"roberta-base-{name}") for name in ("256-1m", "2k-125k", "8k-31k")}
    assert [(row.batch, row.steps, row.optim.lr) for row in rows.values()] == [
        (256, 1_000_000, 1e-4),
        (2048, 125_000, 7e-4),
        (8192, 31_000, 1e-3),
    ]
    tiny = load_recipe("tiny")
    assert (tiny.model.layers, tiny.model.hidden, tiny.data.length, tiny.batch) == (2, 128, 64, 64)


def test_every_setting_has_a_docstring() -> None:
    """The help and the reference are made of them."""
    import dataclasses
    import inspect

    import trainer.config as config

    for kind in (
        Recipe,
        config.ModelConfig,
        config.DataConfig,
        config.MaskingConfig,
        config.PhaseConfig,
        config.ObjectiveConfig,
        config.OptimConfig,
        config.EvaluationConfig,
        config.GuardConfig,
    ):
        source = inspect.getsource(kind)
        for field in dataclasses.fields(kind):
            if not dataclasses.is_dataclass(getattr(kind(), field.name)):
                after = source.split(f"    {field.name}:", 1)[1].split("\n", 2)[1]
                assert after.strip().startswith('"""'), f"{kind.__name__}.{field.name}"


def test_show(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs.train(base(small, tmp_path, "--log-every", "1"))
    capsys.readouterr()
    assert main(["show", str(tmp_path / "run")]) == 0
    png = Path(capsys.readouterr().out.strip())
    assert png.read_bytes().startswith(b"\x89PNG")
    assert main(["show", str(tmp_path / "run"), "--sample", "7", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (
        found["ids"][0] == 0 and found["ids"][-1] == 2 and found["masked"] and "[" in found["text"]
    )
    assert main(["show", str(tmp_path / "run"), "--sample", "7"]) == 0
    assert "masked" in capsys.readouterr().out


def test_help_is_quick_and_light() -> None:
    code = (
        "import sys, time\nfrom trainer.cli import main\nmain(['--help'])\nassert "
        "time.process_time() < 0.5, time.process_time()\nassert not {'torch', 'numba', "
        "'apache_beam', 'pyarrow'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=runs.environment(),
        cwd=runs.ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for command in ("pretrain", "evaluate", "export", "show", "recipes"):
        assert command in done.stdout
        light = (
            f"import sys\nfrom trainer.cli import main\ntry:\n    main(['{command}', '--help'])\n"
            "except SystemExit:\n    pass\nassert 'torch' not in sys.modules"
        )
        helped = subprocess.run(
            [sys.executable, "-c", light],
            env=runs.environment(),
            cwd=runs.ROOT,
            capture_output=True,
            text=True,
        )
        assert helped.returncode == 0 and "usage:" in helped.stdout, helped.stderr


def test_imports_keep_their_direction() -> None:
    """trainer imports shards and the readers of tasks, and nothing else of ours."""
    import ast

    for path in (runs.ROOT / "trainer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            assert not [
                name
                for name in names
                if name.split(".")[0] in ("corpora", "pipelines", "apache_beam")
                and not name.startswith("corpora.tasks.")
            ], path


def test_only_the_packages_of_the_extra_are_needed() -> None:
    """What is imported anywhere in trainer/ is a dependency, or is imported where it is used and
    named when missing."""
    import ast

    needed = {
        "numba",
        "numpy",
        "pyarrow",
        "rich",
        "tokenizers",
        "docstring_parser",
        "torch",
        "safetensors",
        "matplotlib",
        "scipy",
        "sklearn",
        "corpora",
        "shards",
        "trainer",
    }
    optional = {"transformers", "huggingface_hub", "wandb", "spacy"}
    for path in (runs.ROOT / "trainer").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                top = name.split(".")[0]
                assert top in needed | optional or top in sys.stdlib_module_names, (
                    f"{path.name} imports {name}"
                )
                assert top not in optional or node not in tree.body, (
                    f"{path.name} imports {name} at its top"
                )


def test_works_without_transformers(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("transformers", "huggingface_hub", "wandb", "tensorboard", "datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    runs.train(base(small, tmp_path))
    assert main(["export", "--run", str(tmp_path / "run"), "--out", str(tmp_path / "out")]) == 0
    assert "transformers is not installed" in capsys.readouterr().out
    for tracker in ("wandb", "tensorboard"):
        check_error(
            capsys,
            base(small, tmp_path, "--run", str(tmp_path / "b"), "--track", tracker),
            3,
            f"--track {tracker}: not installed",
            f"pip install {tracker}",
        )
        assert not (tmp_path / "b").exists()
    check_error(
        capsys,
        base(small, tmp_path, "--run", str(tmp_path / "b"), "--init", "roberta-base"),
        3,
        "--init roberta-base: no such directory",
        "huggingface_hub",
    )


def test_each_rank_says_what_is_wrong_with_its_call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(os.environ, "RANK", "3")
    assert main(["recipes", "nothing"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "rank 3: error: nothing: no such recipe"
    assert len(said) == 2 and said[1].startswith("rank 3: hint: ")


def each_rank_says(arguments: list[str], limit: int, what: str) -> None:
    children = runs.begin(arguments, ranks=2, limit=limit)
    code, said = runs.finish(children, timeout=100)
    assert code in (1, 3) and all(child.code == code for child in children), said
    errors = [line for line in said.splitlines() if "error: " in line]
    assert errors[0].startswith("error: ") and errors[1].startswith("rank 1: error: "), said
    assert len(errors) == 2 and all(what in line for line in errors), said
    assert said.count("hint: ") == 1 and "Traceback" not in said, said


def test_an_error_on_several_ranks_is_each_rank_says(small: Path, tmp_path: Path) -> None:
    """One rank fails, all end, without a traceback."""
    broken = random_shards(tmp_path / "broken")
    (broken / "train-news-00001.arrow").unlink()
    each_rank_says(base(broken, tmp_path), 0, "train-news-00001.arrow: missing")


@pytest.mark.long
def test_a_checkpoint_that_cannot_be_written_ends_all_ranks(small: Path, tmp_path: Path) -> None:
    each_rank_says(base(small, tmp_path), 30_000, "cannot be saved")


def test_nothing_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pretrain"]) == 2
    assert capsys.readouterr().err.splitlines()[0] == "error: --shards: missing"
