"""The downstream columns of `trainer compare`: its runs fine-tuned on the tasks of a table."""

import math
from collections.abc import Sequence
from pathlib import Path

from corpora.tasks.catalogue import find_task
from trainer.child import run_child
from trainer.scales import Scale
from trainer.tasks.folder import read_result
from trainer.tasks.settings import preset
from trainer.tasks.sweep import has_files

# The columns of tables 1 to 4 that are tasks.
COLUMNS = {
    "SQuAD 1.1": "squad1",
    "SQuAD 2.0": "squad2",
    "MNLI-m": "mnli",
    "SST-2": "sst2",
    "RACE": "race",
}


def task_columns(columns: Sequence[str], tasks: str) -> dict[str, str]:
    """The tasks of a table's columns whose files are in the folder `tasks`, by column; none without
    a folder."""
    found = {}
    for column in columns:
        name = COLUMNS.get(column)
        if tasks and name is not None and has_files(find_task(name), Path(tasks)):
            found[column] = name
    return found


def finetune_run(
    task: str, tasks: str, run: Path, scale: Scale, device: str
) -> tuple[float | None, str]:
    """Fine-tune a pretraining run, in `RUN/tasks/TASK`, unless that is done; return the task's
    metric in percent, or None and what went wrong.

    The rate of the paper's settings is multiplied as that of pretraining is, since small models
    want a higher one, and dropout is that of the scale.
    """
    folder = run / "tasks" / task
    fault = ""
    if read_result(folder) is None:
        rate = preset(task).optim.lr * scale.rate
        dropout = f"{scale.dropout:g}"
        fault = run_child(
            [
                *(
                    "finetune",
                    "--task",
                    task,
                    "--data",
                    tasks,
                    "--init",
                    str(run),
                    "--run",
                    str(folder),
                ),
                *("--optim.lr", f"{rate:g}", "--dropout", dropout),
                *("--attention-dropout", dropout, "--device", device, "--resume"),
            ],
            folder,
        )

    result = read_result(folder)
    if result is None or result.value is None or not math.isfinite(result.value):
        return None, fault or "no result"
    return result.value * (1.0 if task.startswith("squad") else 100.0), ""
