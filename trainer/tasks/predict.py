"""`trainer predict` and `trainer ensemble`: fine-tuned models on new files.

A file of predictions is an object from ids to labels as the task spells them, to letters of
options, to numbers, or to answers; with other endings JSON lines or a table. Of SQuAD 2.0 two more
are written beside it: NAME.answers.json, the best answer of each question whatever its threshold,
and NAME.no-answer.json, how much more
likely no answer is, in nats, which `trainer score --na-prob` reads.
"""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch

from corpora.tasks.catalogue import Task, find_task
from corpora.tasks.race import LETTERS
from corpora.tasks.read import read
from shards.errors import UserError
from shards.storage import files
from trainer.checkpoint import WEIGHTS
from trainer.models.pretraining import load_published
from trainer.ranks import World, choose_device
from trainer.tasks.answers import Answers, answers, average
from trainer.tasks.development import score_split
from trainer.tasks.folder import SETTINGS, best_checkpoint
from trainer.tasks.info import TaskInfo, read_info
from trainer.tasks.model import TaskModel, build_task
from trainer.tasks.outputs import outputs
from trainer.tasks.settings import load_tuning
from trainer.tasks.splits import Maker, Split
from trainer.tasks.texts import open_encoder

# Items that are computed together.
AT_ONCE = 32


@dataclass(frozen=True)
class Predicted:
    """The predictions of a file, and their scores where it has labels."""

    task: Task
    answers: Answers
    scores: dict[str, float]

    def write(self, out: Path, threshold: float) -> dict[str, object]:
        """Write the predictions; return the files by what they hold."""
        found = self.answers
        write_predictions(out, dict(zip(found.ids, self.predictions(threshold), strict=True)))
        written: dict[str, object] = {"out": str(out)}
        if self.task.name == "squad2":
            best = out.with_suffix(".answers.json")
            none = out.with_suffix(".no-answer.json")
            write_json(best, dict(zip(found.ids, found.best_texts(), strict=True)))
            write_json(none, dict(zip(found.ids, found.no_answer.tolist(), strict=True)))
            written |= {"answers": str(best), "no_answer": str(none)}
        return written

    def predictions(self, threshold: float) -> list[str | float]:
        """The prediction of each example."""
        found = self.answers
        if self.task.kind == "regression":
            return [float(value) for value in found.values[:, 0]]
        if self.task.kind == "span":
            texts = found.best_texts()
            if self.task.name != "squad2":
                return list(texts)
            return ["" if none > threshold else text for text, none in zip(texts, found.no_answer)]

        places = found.values.argmax(1).tolist()
        names = LETTERS if self.task.kind == "choice" else self.task.labels
        return [names[place] for place in places]


def write_predictions(path: Path, found: dict[str, str | float]) -> None:
    """Write a file of predictions in the format of its ending. Raises `UserError`, also for what a
    table cannot hold."""
    if path.suffix == ".json":
        write_json(path, found)
        return
    if path.suffix == ".jsonl":
        lines = []
        for name, value in found.items():
            lines.append(json.dumps({"id": name, "prediction": value}, ensure_ascii=False))
        write_text(path, "\n".join(lines) + "\n")
        return

    rows = ["index\tprediction"]
    for name, value in found.items():
        cells = [name, str(value)]
        if any(mark in cell for cell in cells for mark in "\t\n\r"):
            raise UserError(
                f"{path}: a table cannot hold the tab or line end in the prediction of {name!r}",
                "let --out end in .json or .jsonl",
            )
        rows.append("\t".join(cells))
    write_text(path, "\n".join(rows) + "\n")


def write_json(path: Path, content: object) -> None:
    """Write a JSON file. Raises `UserError` (exit 3) when it cannot be written."""
    write_text(path, json.dumps(content, indent=0, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file. Raises `UserError` (exit 3) when it cannot be written."""
    try:
        files.write_bytes(str(path), text.encode())
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written: {error.strerror}", "name another --out", 3
        ) from None


def predict_runs(
    runs: list[Path], step: str, data: Path, split: str, device: str, task: Task | None = None
) -> Predicted:
    """The predictions of a file, averaged over runs of one task; `task` is theirs where it has
    other columns. Raises `UserError`."""
    task = task or read_task(runs[0], data)
    infos = [read_info(run) for run in runs]
    for run, info in zip(runs, infos):
        if (info.kind, info.labels, info.own) != (infos[0].kind, infos[0].labels, infos[0].own):
            raise UserError(
                f"{run}: a model of {info.task}, {runs[0]} is one of {infos[0].task}",
                "give runs of one task",
            )

    world = World(0, 1, 0, choose_device(device))
    found = []
    part: Split | None = None
    for run in runs:
        part, one = predict_run(task, run, step, data, split, world)
        found.append(one)
    assert part is not None
    whole = average(found)
    return Predicted(task, whole, scores_of(task, part, whole))


def read_task(run: Path, data: Path) -> Task:
    """The task that a run is asked to predict: its own, or the diagnostic set of GLUE for a model
    of MNLI."""
    info = read_info(run)
    task = info.to_task()
    is_diagnostic = data.name in find_task("ax").files["test"]
    return find_task("ax") if task.name == "mnli" and is_diagnostic else task


def predict_run(
    task: Task, run: Path, step: str, data: Path, split: str, world: World
) -> tuple[Split, Answers]:
    """The examples of a file, and the predictions of a run."""
    path, _, info = best_checkpoint(run, step)
    settings = load_tuning(run / SETTINGS)
    encoder = open_encoder(run)
    maker = Maker(task, encoder, info.model, settings)
    part = maker.split(split, read(task, data, split), training=False)

    model = load_task(path, info).to(world.device)
    table = outputs(model, part.features, encoder.roles, world, contextlib.nullcontext(), AT_ONCE)
    return part, answers(task, part, table, settings.inputs.answer_length)


def load_task(path: Path, info: TaskInfo) -> TaskModel:
    """The model of a verified checkpoint, on the CPU in fp32."""
    model = build_task(info.model, info.head, 0)
    load_published(model, safetensors.torch.load_file(path / WEIGHTS))
    return model


def scores_of(task: Task, part: Split, found: Answers) -> dict[str, float]:
    """The metrics of a split with labels; none without."""
    for item in part.items.items:
        if getattr(item, "label", 0) is None:
            return {}
    return score_split(task, part, found)
