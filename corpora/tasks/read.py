"""From a task and a folder to the examples of a split."""

from pathlib import Path

from corpora.tasks.catalogue import Task
from corpora.tasks.examples import Choice, Example, Question, Referent
from corpora.tasks.faults import Read, fault
from corpora.tasks.glue import read_glue
from corpora.tasks.own import read_own
from corpora.tasks.race import read_race
from corpora.tasks.squad import read_squad
from corpora.tasks.wsc import read_wsc
from shards.errors import UserError

Items = Read[Example] | Read[Question] | Read[Choice] | Read[Referent]


def read(task: Task, data: Path, split: str) -> Items:
    """The examples of a split: `train`, `dev` or `test`; of MNLI also `dev_mismatched` and
    `test_mismatched`.

    `data` is the folder of the published archive, the task's folder in it, or a file, which is then
    read as this split whatever its name. Raises `UserError`.
    """
    if task.kind == "span":
        return read_questions(task, data, split)
    if task.kind == "choice":
        return read_choices(task, data, split)
    if task.kind == "referent":
        return read_wsc(find_file(task, data, split), split)
    return read_examples(task, data, split)


def read_examples(task: Task, data: Path, split: str) -> Read[Example]:
    """Of a classification or a regression; see `read`."""
    reader = read_own if task.own else read_glue
    return reader(task, find_file(task, data, split), split)


def read_questions(task: Task, data: Path, split: str) -> Read[Question]:
    """Of SQuAD; see `read`."""
    return read_squad(task, find_file(task, data, split), split)


def read_choices(task: Task, data: Path, split: str) -> Read[Choice]:
    """Of RACE; see `read`."""
    if not data.exists():
        raise fault(data, "", "no such file or folder", "check the path")
    return read_race(task, data, split)


def find_file(task: Task, data: Path, split: str) -> Path:
    """The file of a split. Raises `UserError` that names the files that could be there."""
    if data.is_file():
        return data
    if not data.exists():
        raise fault(data, "", "no such file or folder", "check the path")

    names = task.files.get(split, ())
    if not names:
        known = ", ".join(task.files) or "none"
        raise UserError(f"{task.title} has no split {split!r}", f"known: {known}")
    for folder in (data, data / task.folder):
        for name in names:
            if (folder / name).is_file():
                return folder / name
    place = data if data.name == task.folder else data / task.folder
    expected = " or ".join(str(place / name) for name in names)
    hint = f"expected {expected}"
    if task.name == "mrpc" and split == "dev":
        hint += (
            "; GLUE cuts it from msr_paraphrase_train.txt by a list of ids that the corpus itself "
            "does not have"
        )
    raise fault(data, "", f"no {split} file of {task.title}", hint)
