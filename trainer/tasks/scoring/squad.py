"""Exact match and F1 of SQuAD, by the definition of its two official scorers.

An answer is normalised: lower case, without the 32 punctuation marks of ASCII, without the words
`a`, `an` and `the`, with single spaces. Exact match is 1 where prediction and answer are then the
same; F1 is that of their words as multisets. A question scores the best that any of its answers
gives. Scores are means in percent (Rajpurkar et al. 2016, section 6.1; 2018, appendix A.2).

The sums run in the order of the file, in 64-bit floats, as those of the official scorers do, and
without the correction that Python's own `sum` makes from 3.12 on: the last digit is the same with
every Python.
"""

import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from corpora.tasks.examples import Question

Scores = dict[str, float]

_NO_MARKS = str.maketrans("", "", string.punctuation)

_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalise(text: str) -> str:
    """An answer as it is compared."""
    plain = text.lower().translate(_NO_MARKS)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def word_f1(predicted: Sequence[str], gold: Sequence[str]) -> float:
    """F1 of two lists of words as multisets: 0 where they share none."""
    shared = sum((Counter(predicted) & Counter(gold)).values())
    if not shared:
        return 0.0
    precision = shared / len(predicted)
    recall = shared / len(gold)
    return (2 * precision * recall) / (precision + recall)


# --- 1.1


def score_squad1(questions: Sequence[Question], predictions: Mapping[str, str]) -> Scores:
    """`exact_match` and `f1` in percent, and how many questions there are and how many have no
    prediction, which scores 0."""
    exact = 0
    f1 = 0.0
    missing = 0
    for question in questions:
        if question.id not in predictions:
            missing += 1
            continue
        predicted = normalise(predictions[question.id])
        answers = [normalise(answer.text) for answer in question.answers]
        exact += predicted in answers
        f1 += max(word_f1(predicted.split(), answer.split()) for answer in answers)

    total = len(questions)
    return {
        "exact_match": 100.0 * exact / total,
        "f1": 100.0 * f1 / total,
        "total": total,
        "missing": missing,
    }


# --- 2.0


@dataclass(frozen=True)
class Marks:
    """What each question scores by its id, in the order of the file, and which can be answered."""

    exact: dict[str, float]
    f1: dict[str, float]
    answerable: dict[str, bool]
    missing: int


def mark(questions: Sequence[Question], predictions: Mapping[str, str]) -> Marks:
    """The scores of every question before a threshold. No prediction scores 0 (the official scorer
    ends with an error there)."""
    exact: dict[str, float] = {}
    f1: dict[str, float] = {}
    for question in questions:
        exact[question.id] = f1[question.id] = 0.0
        if question.id not in predictions:
            continue

        predicted = normalise(predictions[question.id])
        answers = [normalise(answer.text) for answer in question.answers]
        # Where there is no answer, or only such as are nothing but articles, the right one is none.
        answers = [answer for answer in answers if answer] or [""]
        exact[question.id] = float(predicted in answers)
        f1[question.id] = max(_f1_or_none(predicted, answer) for answer in answers)

    answerable = {question.id: bool(question.answers) for question in questions}
    missing = sum(name not in predictions for name in answerable)
    return Marks(exact, f1, answerable, missing)


def _f1_or_none(predicted: str, answer: str) -> float:
    if not predicted or not answer:
        return float(predicted == answer)
    return word_f1(predicted.split(), answer.split())


def score_squad2(
    questions: Sequence[Question],
    predictions: Mapping[str, str],
    no_answer: Mapping[str, float] | None = None,
    threshold: float = 1.0,
) -> Scores:
    """`exact` and `f1` in percent, of all questions, of those with an answer (`HasAns_`) and those
    without (`NoAns_`).

    `no_answer` is how sure the system is, by question, that there is no answer; above `threshold`
    the prediction counts as none. With it there are also the best threshold on these very questions
    and its scores (`best_`). The official search for it looks between questions of equal sureness
    too, where no threshold can lie: `exact_at_best_thresh` and `f1_at_best_thresh` are what the
    threshold then really gives. `exact_match` is `exact` by its name in 1.1.
    """
    marks = mark(questions, predictions)
    sure = no_answer or {}
    exact = apply_threshold(marks.exact, marks.answerable, sure, threshold)
    f1 = apply_threshold(marks.f1, marks.answerable, sure, threshold)

    scores = _means("", exact, f1, list(marks.answerable))
    for prefix, wanted in (("HasAns_", True), ("NoAns_", False)):
        names = [name for name, can in marks.answerable.items() if can is wanted]
        if names:
            scores |= _means(prefix, exact, f1, names)
    scores["exact_match"] = scores["exact"]
    scores["missing"] = marks.missing

    if no_answer is not None:
        scores["thresh"] = threshold
        for name, values in (("exact", marks.exact), ("f1", marks.f1)):
            best, at = best_threshold(values, marks.answerable, predictions, no_answer)
            applied = apply_threshold(values, marks.answerable, no_answer, at)
            scores[f"best_{name}"] = best
            scores[f"best_{name}_thresh"] = at
            scores[f"{name}_at_best_thresh"] = 100.0 * add(applied.values()) / len(applied)
    return scores


def apply_threshold(
    scores: Mapping[str, float],
    answerable: Mapping[str, bool],
    no_answer: Mapping[str, float],
    threshold: float,
) -> dict[str, float]:
    """The scores when every prediction above the threshold is taken for "no answer"."""
    applied = {}
    for name, score in scores.items():
        is_none = no_answer.get(name, 0.0) > threshold
        applied[name] = float(not answerable[name]) if is_none else score
    return applied


def best_threshold(
    scores: Mapping[str, float],
    answerable: Mapping[str, bool],
    predictions: Mapping[str, str],
    no_answer: Mapping[str, float],
) -> tuple[float, float]:
    """The best mean score in percent over all thresholds, and the threshold.

    It begins with "no answer" everywhere and lets the predictions count one by one, the surest of
    an answer first; questions of equal sureness come in the order of `no_answer`.
    """
    now = best = float(sum(not can for can in answerable.values()))
    best_at = 0.0
    for name in sorted(no_answer, key=lambda name: no_answer[name]):
        if name not in scores:
            continue
        if answerable[name]:
            now += scores[name]
        elif predictions.get(name):
            now -= 1
        if now > best:
            best = now
            best_at = no_answer[name]
    return 100.0 * best / len(scores), best_at


def add(values: Iterable[float]) -> float:
    """The sum from left to right."""
    total = 0.0
    for value in values:
        total += value
    return total


def _means(
    prefix: str, exact: Mapping[str, float], f1: Mapping[str, float], names: Sequence[str]
) -> Scores:
    total = len(names)
    return {
        f"{prefix}exact": 100.0 * add(exact[name] for name in names) / total,
        f"{prefix}f1": 100.0 * add(f1[name] for name in names) / total,
        f"{prefix}total": total,
    }
