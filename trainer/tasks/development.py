"""The metrics of a task on a split, by the scorers that `trainer score` uses."""

import math
from typing import cast

import numpy as np
from numpy.typing import NDArray

from corpora.tasks.catalogue import Task
from corpora.tasks.examples import Choice, Example, Question, Referent
from trainer.tasks.answers import Answers
from trainer.tasks.scoring.metrics import score_labels, score_race
from trainer.tasks.scoring.squad import score_squad1, score_squad2
from trainer.tasks.splits import Split


def score_split(task: Task, split: Split, found: Answers) -> dict[str, float]:
    """The metrics of a split by their official names. Of SQuAD 2.0 those at threshold 0 and, with
    `best_`, those at the best threshold on these very questions."""
    if task.kind == "span":
        return score_questions(task, cast("tuple[Question, ...]", split.items.items), found)
    if task.kind == "choice":
        options = found.values.argmax(1).tolist()
        return score_race(cast("tuple[Choice, ...]", split.items.items), options)

    rows = cast("tuple[Example | Referent, ...]", split.items.items)
    gold = [float(row.label) for row in rows if row.label is not None]
    if task.kind == "regression":
        return score_labels(task, gold, found.values[:, 0].tolist())
    return score_labels(task, gold, found.values.argmax(1).tolist())


def score_questions(
    task: Task, questions: tuple[Question, ...], found: Answers
) -> dict[str, float]:
    """The metrics of SQuAD."""
    texts = dict(zip(found.ids, found.best_texts(), strict=True))
    if task.name == "squad1":
        return score_squad1(questions, texts)
    no_answer = dict(zip(found.ids, found.no_answer.tolist(), strict=True))
    return score_squad2(questions, texts, no_answer, 0.0)


def main_value(task: Task, scores: dict[str, float]) -> float:
    """The metric by which a checkpoint is chosen; the lowest number where it is none."""
    value = scores[task.main]
    return value if math.isfinite(value) else -math.inf


def chance_loss(task_kind: str, split: Split, scale: float, classifier: bool) -> float | None:
    """The mean loss of a model that knows only how often each label is: the entropy of labels and
    options, the variance of numbers, ln(tokens) of spans. None where there is no such model."""
    features = split.features
    labels = features.labels[:, 0]
    if task_kind == "number":
        return float(np.var(labels / scale))
    if task_kind == "candidates":
        return None
    if task_kind == "choice":
        return float(np.log(np.diff(features.items)).mean())
    if task_kind == "span":
        holds = features.labels[:, 2] == 1
        counted = holds if classifier else np.ones(len(holds), bool)
        span = float(np.log(features.sizes[counted]).mean()) if counted.any() else 0.0
        return span + (entropy(features.labels[:, 2]) if classifier else 0.0)
    return entropy(labels)


def entropy(labels: NDArray[np.float64]) -> float:
    """The entropy of the labels' frequencies, in nats."""
    _, counts = np.unique(labels, return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())
