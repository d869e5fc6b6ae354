"""`RUN/task.json`: what a fine-tuning run is of, for resuming it and for the commands that come
after training; and what an export says of it."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from corpora.tasks.catalogue import TASKS, Columns, Task
from shards.config import from_dict
from shards.errors import UserError
from trainer.config import ModelConfig
from trainer.tasks.model import HeadConfig

NAME = "task.json"


@dataclass(frozen=True, kw_only=True)
class TaskInfo:
    """The task with its labels, the shape of the model, the head, the data and the first
    weights."""

    task: str
    kind: str
    labels: tuple[str, ...]
    own: bool = False
    text_column: str = ""
    pair_column: str = ""
    label_column: str = "label"
    id_column: str = ""
    train: str = ""
    dev: str = ""
    init: str = ""
    init_step: str = ""
    new_weights: bool = False
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    head: HeadConfig = HeadConfig(kind="classes")

    def to_bytes(self) -> bytes:
        """The file."""
        return (json.dumps(dataclasses.asdict(self), indent=1) + "\n").encode()

    def to_task(self) -> Task:
        """The task as the readers know it."""
        if not self.own:
            return TASKS[self.task]
        columns = Columns(
            first=(self.text_column,) if self.text_column else (),
            second=(self.pair_column,) if self.pair_column else (),
            label=(self.label_column,),
            id=(self.id_column,) if self.id_column else (),
        )
        is_number = self.kind == "regression"
        metrics = ("pearson", "spearmanr") if is_number else ("accuracy",)
        return Task(
            name=self.task,
            title=self.task,
            kind="regression" if is_number else "classification",
            metrics=metrics,
            main=metrics[0],
            labels=self.labels,
            columns=columns,
            own=True,
        )


def info_of(task: Task, model: ModelConfig, head: HeadConfig) -> TaskInfo:
    """What is known of a task, a model and its head alone."""
    columns = task.columns if task.own and task.columns is not None else Columns(())
    return TaskInfo(
        task=task.name,
        kind=task.kind,
        labels=task.labels,
        own=task.own,
        text_column="".join(columns.first),
        pair_column="".join(columns.second),
        label_column="".join(columns.label),
        id_column="".join(columns.id) if task.own else "",
        model=model,
        head=head,
    )


def has_task(run: Path) -> bool:
    """Whether a folder is a fine-tuning run."""
    return (run / NAME).exists()


def read_info(run: Path) -> TaskInfo:
    """Read `task.json`. Raises `UserError` when there is none or it is damaged."""
    try:
        content = json.loads((run / NAME).read_text("utf-8"))
        names = {field.name for field in dataclasses.fields(TaskInfo)}
        return from_dict(TaskInfo, {key: value for key, value in content.items() if key in names})
    except (OSError, ValueError, AttributeError):
        raise UserError(
            f"{run}: no fine-tuning run in it ({NAME} is missing or cannot be read)",
            "name the --run of trainer finetune",
        ) from None
