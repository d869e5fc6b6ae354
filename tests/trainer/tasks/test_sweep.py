"""Several runs: the grid of a sweep, the tasks of a group, their medians and tables; and the
downstream columns of `trainer compare`."""

import json
from pathlib import Path

import pytest
import task_models as models
from task_data import task_folder

from trainer.cli import main
from trainer.options import Finetune
from trainer.tasks import downstream, sweep
from trainer.tasks.folder import read_result
from trainer.tasks.paper_tables import TABLES, describe_table, own_row
from trainer.tasks.settings import GLUE_VALUES, GRID_BATCHES, GRID_RATES, preset


def test_the_presets_are_table_10() -> None:
    for task, (batch, rate) in GLUE_VALUES.items():
        settings = preset(task)
        assert (settings.batch, settings.optim.lr) == (batch, rate)
        assert batch in GRID_BATCHES and rate in GRID_RATES
        assert (settings.epochs, settings.optim.warmup, settings.optim.weight_decay) == (
            10.0,
            0.06,
            0.1,
        )
        assert (settings.optim.beta2, settings.optim.eps, settings.optim.clip) == (0.98, 1e-6, 0.0)
    squad = preset("squad2")
    assert (squad.batch, squad.optim.lr, squad.epochs) == (48, 1.5e-5, 2.0)
    assert squad.optim.weight_decay == 0.01
    race = preset("race")
    assert (race.batch, race.optim.lr, race.epochs, race.optim.weight_decay) == (
        16,
        1e-5,
        4.0,
        0.1,
    )


def test_the_grid() -> None:
    names = [cell.name for cell in sweep.cells(Finetune(sweep=True))]
    assert names == [
        "batch-16-lr-1e-05",
        "batch-16-lr-2e-05",
        "batch-16-lr-3e-05",
        "batch-32-lr-1e-05",
        "batch-32-lr-2e-05",
        "batch-32-lr-3e-05",
    ]
    assert [cell.name for cell in sweep.cells(Finetune())] == [""]


def test_the_flags_of_the_command_are_not_passed_on() -> None:
    words = ["--task", "glue", "--data", "d", "--run=r", "--epochs", "2", "--sweep", "--seeds", "3"]
    assert sweep.without_own([*words, "--json", "--init", "x", "--resume"]) == [
        "--data",
        "d",
        "--epochs",
        "2",
    ]


def test_mnli_comes_first_and_its_best_run_starts_three(tmp_path: Path) -> None:
    assert sweep.in_order(("cola", "mnli", "rte")) == ["mnli", "cola", "rte"]
    options = Finetune(run=str(tmp_path), init="base")
    best = {
        "mnli": sweep.CellResult(
            task="mnli", cell="", values=[0.5, 0.7, 0.6], median=0.6, errors=[]
        )
    }
    for task in ("rte", "stsb", "mrpc"):
        assert sweep.init_of(task, options, best) == str(tmp_path / "mnli" / "seed-1")
    assert sweep.init_of("cola", options, best) == "base"
    assert sweep.init_of("rte", options, {}) == "base"


def test_a_table_in_the_layout_of_the_paper() -> None:
    found = {"squad1": {"exact_match": 80.04, "f1": 88.16}}
    row = own_row(TABLES[6], found)
    assert row == ("80.0", "88.2", "-", "-", "-", "-")
    lines = describe_table(TABLES[6], [("ours", row)]).splitlines()
    assert lines[0] == "Table 6: SQuAD, development sets (2.0 at threshold 0)"
    assert lines[2].split()[:4] == ["1.1", "EM", "1.1", "F1"]
    assert lines[3].split() == ["ours", "80.0", "88.2", "-", "-", "-", "-"]
    assert lines[-1].split()[:4] == ["RoBERTa", "large", "88.9", "94.6"]
    glue = own_row(TABLES[5], {"mnli": {"accuracy": 0.876, "dev_mismatched accuracy": 0.871}})
    assert glue[:2] == ("87.6", "87.1")


def glue_folder(folder: Path, *tasks: str) -> Path:
    """The official files of tasks, cut to a few rows."""
    for name in tasks:
        for split, rows in (("train", 40), ("dev", 16)):
            source = task_folder("glue_data") / name / f"{split}.tsv"
            lines = source.read_text("utf-8").splitlines()[:rows]
            target = folder / name / f"{split}.tsv"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.builds
def test_glue_is_resumed_and_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs in this process: a child process each would take half a minute."""
    started = []

    def child(arguments: list[str], run: Path) -> str:
        started.append(run.relative_to(tmp_path / "run").as_posix())
        assert main(arguments) == 0
        return ""

    monkeypatch.setattr(sweep, "run_child", child)
    init = models.init_directory(tmp_path / "init")
    data = glue_folder(tmp_path / "data", "CoLA", "RTE")
    command = ["finetune", "--task", "glue", "--data", str(data), "--init", str(init)]
    command += ["--run", str(tmp_path / "run"), "--seeds", "3", "--epochs", "1", "--device", "cpu"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "mnli: no files in" in said.err
    assert started == [f"{task}/seed-{seed}" for task in ("cola", "rte") for seed in range(3)]

    values = []
    for seed in range(3):
        result = read_result(tmp_path / "run" / "rte" / f"seed-{seed}")
        assert result is not None and result.value is not None and result.seed == seed
        values.append(result.value)
    stored = json.loads((tmp_path / "run" / "results.json").read_text())
    assert stored["best"]["rte"]["values"] == values
    assert stored["best"]["rte"]["median"] == sorted(values)[1]
    row = [line for line in said.out.splitlines() if line.startswith("ours ")][0].split()
    assert row[5] == f"{100 * sorted(values)[1]:.1f}"
    assert "RoBERTa large" in said.out

    # What is finished is not done again.
    assert main(command) == 0
    assert len(started) == 6


def test_the_columns_of_compare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    for split in ("train", "dev"):
        for name in ("SST-2", "MNLI"):
            (data / name).mkdir(parents=True, exist_ok=True)
        (data / "SST-2" / f"{split}.tsv").write_text("sentence\tlabel\n")
    columns = ("SQuAD 2.0", "MNLI-m", "SST-2")
    assert downstream.task_columns(columns, str(data)) == {"SST-2": "sst2"}
    assert downstream.task_columns(columns, "") == {}

    from trainer.scales import SCALES

    asked = []

    def child(arguments: list[str], run: Path) -> str:
        asked.append(arguments)
        return "exit 1: error: no"

    monkeypatch.setattr(downstream, "run_child", child)
    found = downstream.finetune_run("sst2", str(data), tmp_path / "seed-0", SCALES["tiny"], "cpu")
    assert found == (None, "exit 1: error: no")
    words = asked[0]
    assert words[words.index("--optim.lr") + 1] == "0.0002"
    assert words[words.index("--dropout") + 1] == "0"
    folder = tmp_path / "seed-0" / "tasks" / "sst2"
    folder.mkdir(parents=True)
    content = {
        "task": "sst2",
        "metric": "accuracy",
        "value": 0.625,
        "best_step": 1,
        "steps": 1,
        "seed": 0,
        "batch": 32,
        "lr": 2e-4,
        "scores": {},
    }
    (folder / "result.json").write_text(json.dumps(content))
    again = downstream.finetune_run("sst2", str(data), tmp_path / "seed-0", SCALES["tiny"], "cpu")
    assert again == (62.5, "") and len(asked) == 1
