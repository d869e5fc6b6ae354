"""The metrics of GLUE, by scikit-learn and scipy, and RACE's accuracy.

Labels are places in the labels of the task; -1 stands for no prediction, which is never right and
for Matthews' correlation is a class of its own. Of one class only, Matthews' correlation and F1
are 0; of equal numbers only, a correlation is not a number. Scores are fractions, not percent.
"""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from corpora.tasks.catalogue import Task
from corpora.tasks.examples import Choice

NONE = -1
"""The label of no prediction."""

Numbers = NDArray[np.float64] | NDArray[np.int64]


def accuracy(gold: Numbers, predicted: Numbers) -> float:
    """The share of right labels."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(gold, predicted))


def f1(gold: Numbers, predicted: Numbers) -> float:
    """F1 of the second label; 0 where it is neither there nor predicted."""
    from sklearn.metrics import f1_score

    return float(f1_score(gold == 1, predicted == 1, zero_division=0.0))


def matthews(gold: Numbers, predicted: Numbers) -> float:
    """Matthews' correlation; with three labels the one of Gorodkin 2004, R3."""
    from sklearn.metrics import matthews_corrcoef

    with warnings.catch_warnings():
        # It warns of one class only, of which it gives 0.
        warnings.simplefilter("ignore")
        return float(matthews_corrcoef(gold, predicted))


def pearson(gold: Numbers, predicted: Numbers) -> float:
    """Pearson's correlation."""
    from scipy.stats import pearsonr

    return _correlation(pearsonr, gold, predicted)


def spearman(gold: Numbers, predicted: Numbers) -> float:
    """Spearman's rank correlation; equal numbers share the mean of their ranks."""
    from scipy.stats import spearmanr

    return _correlation(spearmanr, gold, predicted)


def _correlation(compute: Callable[..., tuple[float, float]], *both: Numbers) -> float:
    with warnings.catch_warnings():
        # Of equal numbers only, scipy warns and gives nan, which the caller reports.
        warnings.simplefilter("ignore")
        return float(compute(*both)[0])


METRICS: dict[str, Callable[[Numbers, Numbers], float]] = {
    "accuracy": accuracy,
    "f1": f1,
    "matthews_correlation": matthews,
    "pearson": pearson,
    "spearmanr": spearman,
}
"""By the names that the tasks use."""


def score_labels(task: Task, gold: Sequence[float], predicted: Sequence[float]) -> dict[str, float]:
    """The metrics of a task over its examples: labels, or numbers for a regression."""
    true: Numbers = np.array(gold, np.float64)
    given: Numbers = np.array(predicted, np.float64)
    if task.kind != "regression":
        true, given = true.astype(np.int64), given.astype(np.int64)
    return {name: METRICS[name](true, given) for name in task.metrics}


def score_race(choices: Sequence[Choice], predicted: Sequence[int]) -> dict[str, float]:
    """`accuracy` of all questions, and of each level that is there: `middle` and `high`."""
    gold = np.array([choice.label for choice in choices], np.int64)
    given = np.array(predicted, np.int64)
    scores = {"accuracy": accuracy(gold, given)}
    for level in ("middle", "high"):
        rows = np.array([choice.id.startswith(level) for choice in choices])
        if rows.any():
            scores[level] = accuracy(gold[rows], given[rows])
            scores[f"{level}_total"] = int(rows.sum())
    return scores
