"""`trainer finetune`, `trainer predict` and `trainer ensemble`: from options to work."""

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from corpora.tasks.catalogue import Task, find_task
from corpora.tasks.own import own_columns, own_task
from shards.errors import UserError, in_command
from trainer.commands.checks import required
from trainer.commands.printing import print_json
from trainer.display import tell
from trainer.flags import parse
from trainer.options import Ensemble, Finetune, Predict
from trainer.tasks.info import has_task, read_info
from trainer.tasks.settings import Finetuning, check_tuning, load_tuning, preset
from trainer.wording import several as amount

if TYPE_CHECKING:
    from trainer.tasks.folder import Result

EXAMPLE = "trainer finetune --task sst2 --data DIR --init RUN --run RUN"

# The endings of a file of predictions.
PREDICTION_FORMATS = (".json", ".jsonl", ".tsv")

# Tasks that are several, each with a table of the paper.
GROUPS = ("glue", "squad")


# --- finetune


def finetune(arguments: list[str]) -> int:
    """`trainer finetune`."""
    base = base_settings(arguments)
    options = parse(Finetune, "finetune", arguments, Finetune(settings=base))
    required("--run", options.run, f"name a folder for the run: {EXAMPLE}")
    check_tuning(options.settings)
    if options.resume and has_task(Path(options.run)):
        options = with_stored(options)
    required("--task", options.task, EXAMPLE)
    required("--init", options.init, f"name the model to start from: {EXAMPLE}")
    if not options.data and not (options.train and options.dev):
        raise UserError("--data: missing", f"name the folder of the files: {EXAMPLE}")
    if options.seeds < 1:
        raise UserError(f"--seeds: {options.seeds} is not at least 1", "for example --seeds 5")

    if options.task.lower() in GROUPS or options.sweep:
        return several(options, arguments)
    task = make_task(options)

    from trainer.tasks.finetune import TuningJob
    from trainer.tasks.finetune import finetune as train
    from trainer.tasks.folder import read_result

    job = TuningJob(
        task=task,
        train=Path(options.train or options.data),
        dev=Path(options.dev or options.data),
        run=Path(options.run),
        init=options.init,
        init_step=options.init_step or default_step(options.init),
        settings=options.settings,
        new_weights=options.new_weights,
        device=options.device,
        resume=options.resume,
        track=options.track,
        ranks_timeout=options.ranks_timeout,
    )
    code = train(job)
    result = read_result(job.run)
    # Of several ranks the first one alone prints.
    if result is None or int(os.environ.get("RANK", "0")):
        return code
    if options.json:
        print_json(vars(result))
    else:
        print_table(options, task, result)
    return code


def print_table(options: Finetune, task: Task, result: "Result") -> None:
    """Print the paper's table of SQuAD or RACE with our row. Of RACE it is that of the test set,
    where there is one."""
    from trainer.tasks.paper_tables import describe_table, own_row, table_of
    from trainer.tasks.predict import predict_runs
    from trainer.tasks.sweep import has_split

    table = table_of(task.name)
    # A row of one figure is no table of GLUE.
    if table is None or table.number == 5:
        return
    label, scores = "ours, dev", result.scores.get("dev", {})
    if task.kind == "choice" and has_split(task, Path(options.data), "test"):
        run = Path(options.run)
        label = "ours, test"
        scores = predict_runs([run], "", Path(options.data), "test", options.device).scores
    name = "race" if task.kind == "choice" else task.name
    print(describe_table(table, [(label, own_row(table, {name: scores}))]))


def base_settings(arguments: list[str]) -> Finetuning:
    """The settings that the flags change: of the file that the arguments name, of the stored run
    with --resume, or the preset of the task. Read by hand, since the settings are options."""
    values = {"--recipe": "", "--run": "", "--task": ""}
    for word, following in zip(arguments, [*arguments[1:], ""]):
        name, equals, value = word.partition("=")
        if name in values:
            values[name] = value if equals else following
    if values["--recipe"]:
        return load_tuning(Path(values["--recipe"]))

    stored = Path(values["--run"]) / "finetuning.toml"
    if values["--run"] and "--resume" in arguments and stored.exists():
        return load_tuning(stored)
    task = values["--task"]
    if not task or task.lower() in (*GROUPS, "own"):
        return Finetuning()
    return preset(find_task(task).name)


def with_stored(options: Finetune) -> Finetune:
    """The options with what the stored run knows, where they do not say it."""
    info = read_info(Path(options.run))
    both = options.data or (options.train and options.dev)
    return dataclasses.replace(
        options,
        task=options.task or ("own" if info.own else info.task),
        train=options.train if both else info.train,
        dev=options.dev if both else info.dev,
        init=options.init or info.init,
        init_step=options.init_step or info.init_step,
        new_weights=options.new_weights or info.new_weights,
        text_column=info.text_column if info.own else options.text_column,
        pair_column=info.pair_column if info.own else options.pair_column,
        label_column=info.label_column if info.own else options.label_column,
        id_column=info.id_column if info.own else options.id_column,
        numbers=info.kind == "regression" if info.own else options.numbers,
    )


def default_step(init: str) -> str:
    """The best checkpoint of a fine-tuning run; the newest one of another."""
    return "best" if has_task(Path(init)) and (Path(init) / "checkpoints").is_dir() else ""


def make_task(options: Finetune) -> Task:
    """The task that the options name. Raises `UserError`."""
    if options.task.lower() != "own":
        task = find_task(options.task)
        if task.name == "ax":
            raise UserError(
                "--task ax: the diagnostic set has no training file",
                "fine-tune mnli, then trainer predict --data its file",
            )
        return task

    columns = own_columns(
        options.text_column, options.pair_column, options.label_column, options.id_column
    )
    train = Path(options.train or options.data)
    if train.is_dir():
        raise UserError(
            f"{train}: a folder, and a task of your own has files",
            "name them: --train FILE --dev FILE",
        )
    required("--dev", options.dev, "name a file to evaluate on: --dev FILE")
    return own_task("own", train, columns, options.numbers)


def several(options: Finetune, arguments: list[str]) -> int:
    """A sweep, or all tasks of a group: every run in a process of its own."""
    from trainer.tasks.sweep import run_several

    return run_several(options, arguments)


# --- predict and ensemble


def predict(arguments: list[str]) -> int:
    """`trainer predict`."""
    options = parse(Predict, "predict", arguments)
    required("--run", options.run, "trainer predict --run RUN --data FILE --out FILE")
    ensemble_options = Ensemble(
        runs=(options.run,),
        data=options.data,
        split=options.split,
        out=options.out,
        threshold=options.threshold,
        device=options.device,
        text_column=options.text_column,
        pair_column=options.pair_column,
        label_column=options.label_column,
        id_column=options.id_column,
        json=options.json,
    )
    return write_predictions(ensemble_options, options.step)


def ensemble(arguments: list[str]) -> int:
    """`trainer ensemble`."""
    options = parse(Ensemble, "ensemble", arguments)
    if not options.runs:
        raise UserError("RUN: missing", "trainer ensemble RUN RUN --data FILE --out FILE")
    return write_predictions(options, "")


def with_columns(task: Task, options: Ensemble) -> Task:
    """The task with the columns that the options name. Raises `UserError` where it has none to
    name."""
    given = {
        "--text-column": ("first", options.text_column),
        "--pair-column": ("second", options.pair_column),
        "--label-column": ("label", options.label_column),
        "--id-column": ("id", options.id_column),
    }
    named = {key: (value,) for key, value in given.values() if value}
    if not named or task.columns is None:
        return task
    if not task.own:
        flag = next(name for name, (_, value) in given.items() if value)
        raise UserError(
            f"{flag}: the columns of {task.title} are as published", f"leave {flag} out"
        )
    return dataclasses.replace(task, columns=dataclasses.replace(task.columns, **named))


def write_predictions(options: Ensemble, step: str) -> int:
    """Predict with every run, average, write the file, and say what it holds."""
    hint = "trainer predict --run RUN --data FILE --out FILE"
    required("--data", options.data, hint)
    required("--out", options.out, hint)
    if Path(options.out).suffix not in PREDICTION_FORMATS:
        raise UserError(
            f"--out {options.out}: the name does not end in {', '.join(PREDICTION_FORMATS)}",
            f"for example --out {in_command(Path(options.out).with_suffix('.json'))}",
        )

    from trainer.tasks.predict import predict_runs, read_task

    runs = [Path(run) for run in options.runs]
    task = with_columns(read_task(runs[0], Path(options.data)), options)
    done = predict_runs(runs, step, Path(options.data), options.split, options.device, task)
    files = done.write(Path(options.out), options.threshold)
    if options.json:
        print_json(
            {"task": done.task.name, "predictions": len(done.answers.ids), "scores": done.scores}
            | files
        )
        return 0
    tell(f"{options.out}: {amount(len(done.answers.ids), 'prediction')} of {done.task.title}")
    for name, value in done.scores.items():
        print(f"{name:20} {value:>10.4f}")
    return 0
