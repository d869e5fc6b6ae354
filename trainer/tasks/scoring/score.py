"""Scores of a file of predictions on the official data of a task."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from corpora.tasks.catalogue import Task, find_task
from corpora.tasks.examples import Choice, Example, Referent
from corpora.tasks.faults import fault
from corpora.tasks.json_files import load_json
from corpora.tasks.own import own_columns, own_task
from corpora.tasks.race import LETTERS
from corpora.tasks.read import read, read_choices, read_examples, read_questions
from shards.errors import UserError
from trainer.options import Score
from trainer.tasks.scoring.metrics import NONE, score_labels, score_race
from trainer.tasks.scoring.predictions import Given, Predictions, align, read_predictions
from trainer.tasks.scoring.squad import score_squad1, score_squad2


@dataclass(frozen=True)
class Scored:
    """The scores by the names of the official scorers, with `total` and `missing`, and what a user
    should know of the files."""

    task: str
    scores: dict[str, float]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class NoAnswer:
    """How sure a system is that a question has no answer, by question, and the threshold above
    which its prediction counts as none."""

    path: Path | None = None
    threshold: float = 1.0


def score_options(options: Score) -> Scored:
    """The scores that the options of `trainer score` ask for. Raises `UserError`."""
    data = Path(options.data)
    if options.task == "own":
        columns = own_columns(label=options.label_column, id=options.id_column)
        task = own_task(data.stem, data, columns, options.numbers)
    else:
        task = find_task(options.task)
    if options.na_prob and task.name != "squad2":
        raise UserError("--na-prob: only squad2 has questions without an answer", "leave it out")

    sure = Path(options.na_prob) if options.na_prob else None
    no_answer = NoAnswer(sure, options.na_threshold)
    return score_file(task, data, options.split, Path(options.predictions), no_answer)


def score_file(
    task: Task, data: Path, split: str, predictions: Path, no_answer: NoAnswer | None = None
) -> Scored:
    """The scores of a file of predictions. Raises `UserError` for a file that cannot be read, for
    data without labels, and for a prediction that is no label of the task, with its line."""
    given = read_predictions(predictions)
    if task.kind == "span":
        return _score_questions(task, data, split, given, no_answer or NoAnswer())
    if task.kind == "choice":
        return _score_choices(task, read_choices(task, data, split).items, given, data)
    if task.kind == "referent":
        items = read(task, data, split).items
        examples: Sequence[Example | Referent] = [x for x in items if isinstance(x, Referent)]
    else:
        examples = read_examples(task, data, split).items
    return _score_examples(task, examples, given, data)


def _score_examples(
    task: Task, examples: Sequence[Example | Referent], given: Predictions, data: Path
) -> Scored:
    gold = _gold([example.label for example in examples], data)
    ids = [example.id for example in examples]
    predicted = [_label(task, given.path, one) for one in align(given, ids)]
    missing = predicted.count(NONE) if task.kind != "regression" else 0
    scores = score_labels(task, gold, predicted)
    scores |= {"total": len(gold), "missing": missing}
    return Scored(task.name, scores, _notes(scores, given, len(ids)))


def _score_choices(task: Task, choices: Sequence[Choice], given: Predictions, data: Path) -> Scored:
    _gold([choice.label for choice in choices], data)
    predicted = []
    for choice, one in zip(choices, align(given, [choice.id for choice in choices])):
        predicted.append(_option(choice, given.path, one))
    scores = score_race(choices, predicted)
    scores |= {"total": len(choices), "missing": predicted.count(NONE)}
    return Scored(task.name, scores, _notes(scores, given, len(choices)))


def _score_questions(
    task: Task, data: Path, split: str, given: Predictions, no_answer: NoAnswer
) -> Scored:
    if given.in_order:
        raise fault(given.path, "", "no ids of questions", 'give a JSON object {"ID": "answer"}')
    questions = read_questions(task, data, split).items
    if task.name == "squad1":
        scores = score_squad1(questions, given.texts())
    else:
        sure = read_sureness(no_answer.path) if no_answer.path else None
        scores = score_squad2(questions, given.texts(), sure, no_answer.threshold)
    return Scored(task.name, scores, _notes(scores, given, len(questions)))


def read_sureness(path: Path) -> dict[str, float]:
    """The numbers of a JSON object by the ids of questions. Raises `UserError`."""
    content = load_json(path, 'give {"ID": number}')
    if not isinstance(content, dict):
        raise fault(path, "", "not a JSON object", 'give {"ID": number}')
    for name, value in content.items():
        if not isinstance(value, (int, float)) or isinstance(value, bool) or math.isnan(value):
            raise fault(path, f"{name!r}", f"{value!r} is not a number", 'give {"ID": number}')
    return {name: float(value) for name, value in content.items()}


def _gold(labels: Sequence[float | None], data: Path) -> list[float]:
    found = [label for label in labels if label is not None]
    if len(found) < len(labels):
        raise fault(data, "", "no labels", "score a file that has them, as the dev files do")
    return found


def _label(task: Task, path: Path, given: Given | None) -> float:
    """The place of a predicted label, or a predicted number."""
    if task.kind == "regression":
        return _number(path, given)
    if given is None or not given.text:
        return NONE

    text = given.text.lower() if task.kind == "referent" else given.text
    if text in task.labels:
        return task.labels.index(text)
    if task.own:
        return NONE
    known = ", ".join(task.labels)
    raise fault(path, given.place, f"{given.text!r} is no label of {task.title}", f"known: {known}")


def _number(path: Path, given: Given | None) -> float:
    if given is None:
        raise fault(path, "", "a row of the data has no prediction", "predict every row")
    try:
        number = float(given.text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise fault(path, given.place, f"{given.text!r} is not a number", "predict a number")
    return number


def _option(choice: Choice, path: Path, given: Given | None) -> int:
    """The place of a predicted option, given as a letter or as its number from 0."""
    if given is None or not given.text:
        return NONE
    for known in (LETTERS[: len(choice.options)], "0123456789"[: len(choice.options)]):
        if len(given.text) == 1 and given.text in known:
            return known.index(given.text)
    letters = ", ".join(LETTERS[: len(choice.options)])
    raise fault(path, given.place, f"{given.text!r} is no option", f"known: {letters}")


def _notes(scores: dict[str, float], given: Predictions, total: int) -> list[str]:
    """What a user should know: predictions that are missing, and such as belong to no row."""
    notes = []
    missing = int(scores["missing"])
    if missing:
        notes.append(f"{missing} of {total} have no prediction; each counts as wrong")
    foreign = len(given.by_id) - (total - missing)
    if foreign > 0:
        notes.append(f"{foreign} predictions belong to no row of the data")
    if scores.get("best_f1", 0) > scores.get("f1_at_best_thresh", 0):
        notes.append(
            "several questions have the same no-answer score, so no threshold gives best_f1; "
            "f1_at_best_thresh is what best_f1_thresh gives"
        )
    return notes


def shown(scored: Scored) -> str:
    """The scores as lines of a name and a figure."""
    lines = []
    for name, value in scored.scores.items():
        figure = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
        lines.append(f"{name:20} {figure:>10}")
    return "\n".join(lines)


def as_json(scored: Scored) -> dict[str, float | None]:
    """The scores for JSON, which has no word for what is not a number: null."""
    return {name: None if math.isnan(value) else value for name, value in scored.scores.items()}
