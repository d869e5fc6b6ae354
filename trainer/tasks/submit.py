"""The files that leaderboards take: the zip of the GLUE server and SQuAD's JSON."""

import io
import json
import os
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from corpora.tasks.catalogue import TASKS, Task, find_task
from corpora.tasks.examples import Example
from corpora.tasks.faults import fault
from corpora.tasks.glue import STSB_TOP
from corpora.tasks.read import read_examples, read_questions
from shards.errors import UserError
from trainer.options import Submit
from trainer.tasks.scoring.predictions import Predictions, read_predictions
from trainer.tasks.scoring.score import read_sureness

TEST_ROWS = {
    "CoLA": (1_063,),
    "SST-2": (1_821,),
    "MRPC": (1_725,),
    "STS-B": (1_379,),
    "QQP": (390_965,),
    "MNLI-m": (9_796,),
    "MNLI-mm": (9_847,),
    "QNLI": (5_463, 5_740),
    "RTE": (3_000,),
    "WNLI": (146,),
    "AX": (1_104,),
}
"""The files of the zip, and the rows of GLUE's test sets. QNLI's was exchanged in January 2019 for
a shorter one."""

WSC_LABELS = {"false": "0", "true": "1"}
"""A model of WSC, given WNLI's rows in SuperGLUE's format of WSC, predicts whether the phrase is
what the pronoun means, which is whether WNLI's second sentence follows."""

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every member of the zip, so that equal predictions give equal bytes."""

SUFFIXES = (".tsv", ".json", ".jsonl", ".txt")


@dataclass(frozen=True)
class Submitted:
    """The file that was written, the predictions in each of its members, the tasks that were
    filled, and what a user should know."""

    out: str
    rows: dict[str, int]
    filled: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def submit_options(options: Submit) -> Submitted:
    """Write what the options of `trainer submit` ask for. Raises `UserError` and writes nothing
    when a check fails."""
    out = Path(options.out)
    if options.task == "glue":
        data = Path(options.data) if options.data else None
        return submit_glue(Path(options.predictions), data, out, options.fill_missing)

    task = find_task(options.task)
    if task.kind != "span":
        raise UserError(
            f"--task {options.task}: no leaderboard's file", "known: glue, squad1, squad2"
        )
    if not options.data:
        raise UserError("--data: missing", "name the official file with the questions")
    sure = read_sureness(Path(options.na_prob)) if options.na_prob else {}
    predictions = Path(options.predictions)
    return submit_squad(task, predictions, Path(options.data), out, (sure, options.na_threshold))


# --- GLUE


def submit_glue(predictions: Path, data: Path | None, out: Path, fill: bool) -> Submitted:
    """Write the zip of the GLUE server: a file `TASK.tsv` for each of its eleven test sets, with
    the columns `index`, from 0, and `prediction`.

    A task without predictions is an error, or with `fill` gets the most frequent label of its
    training file. Raises `UserError` for a wrong number of rows and a label that a task has not.
    """
    if not predictions.is_dir():
        raise fault(predictions, "", "not a folder", "give a folder with a file for each task")
    tables: dict[str, str] = {}
    rows: dict[str, int] = {}
    filled: list[str] = []
    missing: list[str] = []
    for title in TEST_ROWS:
        task = find_task(title)
        path = find_predictions(predictions, title)
        if path is not None:
            values = checked(task, read_predictions(path), expected_rows(title, data))
        elif fill:
            values = fill_values(title, data)
            filled.append(title)
        else:
            missing.append(title)
            continue
        tables[title] = table(values)
        rows[f"{title}.tsv"] = len(values)

    if missing:
        what = f"{predictions}: no predictions for {', '.join(missing)}"
        raise UserError(what, "predict them, or add --fill-missing --data DIR")
    write_zip(out, tables)
    notes = [f"{title}: filled with one label, not predicted" for title in filled]
    return Submitted(str(out), rows, filled, notes)


def find_predictions(folder: Path, title: str) -> Path | None:
    """The file of a task's predictions. Raises `UserError` when there are two."""
    task = find_task(title)
    names = {title.lower(), task.name, task.name.replace("-", "_")}
    found = []
    for path in sorted(folder.iterdir()):
        if path.suffix in SUFFIXES and path.stem.lower() in names:
            found.append(path)
    if len(found) > 1:
        raise fault(
            folder, "", f"{found[0].name} and {found[1].name} are both of {title}", "keep one"
        )
    return found[0] if found else None


def expected_rows(title: str, data: Path | None) -> tuple[int, ...]:
    """How many rows the test set of a task may have: those of its file where it is given."""
    examples = test_examples(title, data)
    return (len(examples),) if examples else TEST_ROWS[title]


def test_examples(title: str, data: Path | None) -> Sequence[Example]:
    """The test set of a task, empty where its file is not given."""
    task = find_task(title)
    if data is None:
        return ()
    names = task.files["test"]
    if not any((data / task.folder / name).is_file() for name in names):
        return ()
    return read_examples(task, data, "test").items


def checked(task: Task, predictions: Predictions, expected: tuple[int, ...]) -> list[str]:
    """The predictions in the order of their rows, as the server spells them. Raises `UserError`."""
    path = predictions.path
    count = len(predictions.by_id)
    if count not in expected:
        known = " or ".join(f"{number:,}" for number in expected)
        hint = f"predict the test set of {task.title} whole"
        raise fault(path, "", f"{count:,} predictions, but the test set has {known} rows", hint)

    values = []
    for number in range(count):
        given = predictions.by_id.get(str(number))
        if given is None:
            hint = "number the rows from 0, without gaps"
            raise fault(path, "", f"no prediction with index {number}", hint)
        values.append(spelled(task, path, given.place, given.text))
    return values


def spelled(task: Task, path: Path, place: str, text: str) -> str:
    """A prediction as the server spells it: the label, or a score of STS-B from 0 to 5 with three
    decimals. Raises `UserError`."""
    if task.kind != "regression":
        if task.name == "wnli":
            text = WSC_LABELS.get(text.lower(), text)
        if text not in task.labels:
            known = ", ".join(task.labels)
            raise fault(path, place, f"{text!r} is no label of {task.title}", f"known: {known}")
        return text

    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise fault(path, place, f"{text!r} is not a number", "predict a number from 0 to 5")
    return f"{min(max(number, 0.0), STSB_TOP):.3f}"


def fill_values(title: str, data: Path | None) -> list[str]:
    """One label for every row of a test set: the most frequent of the training file, of those as
    frequent the first; the mean for STS-B; MNLI's for AX. Raises `UserError`."""
    if data is None:
        raise UserError("--fill-missing: no --data", "name the folder of the official files")
    task = TASKS["mnli"] if title == "AX" else find_task(title)
    labels = [example.label for example in read_examples(task, data, "train").items]
    count = expected_rows(title, data)[0]
    if task.kind == "regression":
        return [f"{np.mean(np.array(labels, np.float64)):.3f}"] * count

    counts = Counter(labels)
    best = max(range(len(task.labels)), key=lambda label: (counts[label], -label))
    return [task.labels[best]] * count


def table(values: Sequence[str]) -> str:
    """A file of the zip."""
    lines = ["index\tprediction"]
    lines += [f"{number}\t{value}" for number, value in enumerate(values)]
    return "\n".join(lines) + "\n"


def write_zip(out: Path, tables: dict[str, str]) -> None:
    """Write the tables as members of a zip, whose bytes are a function of them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for title in sorted(tables):
            member = zipfile.ZipInfo(f"{title}.tsv", EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            archive.writestr(member, tables[title])
    write_whole(out, buffer.getvalue())


def write_whole(out: Path, content: bytes) -> None:
    """Write a file under another name, then rename it: it is never seen half-written."""
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = out.with_name(f".tmp-{out.name}")
    aside.write_bytes(content)
    os.replace(aside, out)


# --- SQuAD


def submit_squad(
    task: Task, predictions: Path, data: Path, out: Path, no_answer: tuple[dict[str, float], float]
) -> Submitted:
    """Write a JSON object from every question of the data, in its order, to the answer; the answer
    is empty for questions whose sureness of "no answer" is above the threshold. Raises `UserError`
    for a question without a prediction."""
    given = read_predictions(predictions)
    texts = given.texts()
    ids = list(dict.fromkeys(question.id for question in read_questions(task, data, "test").items))
    lacking = [name for name in ids if name not in texts]
    if given.in_order or lacking:
        name = lacking[0] if lacking else ids[0]
        what = f"{len(lacking)} of {len(ids)} questions have no answer, the first is {name}"
        raise fault(predictions, "", what, 'answer each question; "" stands for no answer')

    sure, threshold = no_answer
    answers = {name: "" if sure.get(name, 0.0) > threshold else texts[name] for name in ids}
    write_whole(out, (json.dumps(answers, ensure_ascii=False, indent=1) + "\n").encode("utf-8"))

    notes = []
    emptied = sum(sure.get(name, 0.0) > threshold for name in ids)
    if emptied:
        notes.append(f"{emptied} answers are empty by --na-threshold {threshold:g}")
    foreign = len(texts) - len(ids)
    if foreign:
        notes.append(f"{foreign} predictions belong to no question of the data, and are left out")
    return Submitted(str(out), {out.name: len(ids)}, [], notes)
