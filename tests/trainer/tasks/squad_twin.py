"""The two official scorers of SQuAD, written slowly from their description.

Scores are kept question by question in the order of the file and added one after the other.
"""

import string
from collections.abc import Mapping, Sequence

Row = tuple[str, list[str]]
"""A question: its id and the texts of its answers."""

ARTICLES = ("a", "an", "the")


def plain(text: str) -> str:
    """Lower case, marks out, articles out, single spaces."""
    kept = ""
    for letter in text.lower():
        if letter not in string.punctuation:
            kept += letter

    # A run of word letters that is an article becomes a space.
    parts: list[str] = []
    run = ""
    for letter in [*kept, " "]:
        if letter.isalnum() or letter == "_":
            run += letter
            continue
        parts.append(" " if run in ARTICLES else run)
        parts.append(letter)
        run = ""
    return " ".join("".join(parts).split())


def f1_of(predicted: str, answer: str) -> float:
    """F1 of two normalised texts by crossing off equal words."""
    left = answer.split()
    same = 0
    for word in predicted.split():
        if word in left:
            left.remove(word)
            same += 1
    if same == 0:
        return 0
    precision = 1.0 * same / len(predicted.split())
    recall = 1.0 * same / len(answer.split())
    return (2 * precision * recall) / (precision + recall)


def score_1(rows: Sequence[Row], predictions: Mapping[str, str]) -> dict[str, float]:
    """Version 1.1: exact match and F1."""
    exact: float = 0
    f1: float = 0
    total = 0
    for name, answers in rows:
        total += 1
        if name not in predictions:
            continue
        predicted = plain(predictions[name])
        exact += max(predicted == plain(answer) for answer in answers)
        f1 += max(f1_of(predicted, plain(answer)) for answer in answers)
    return {"exact_match": 100.0 * exact / total, "f1": 100.0 * f1 / total}


def score_2(
    rows: Sequence[Row],
    predictions: Mapping[str, str],
    sure: Mapping[str, float] | None,
    threshold: float,
) -> dict[str, float]:
    """Version 2.0, every question predicted: with and without a threshold for "no answer"."""
    raw: dict[str, list[float]] = {}
    for name, answers in rows:
        golds = [plain(answer) for answer in answers if plain(answer)]
        predicted = plain(predictions[name])
        exact = max(float(gold == predicted) for gold in golds or [""])
        scores = []
        for gold in golds or [""]:
            if gold == "" or predicted == "":
                scores.append(1.0 if gold == predicted else 0.0)
            else:
                scores.append(f1_of(predicted, gold))
        raw[name] = [exact, max(scores)]

    out: dict[str, float] = {}
    for prefix in ("", "HasAns_", "NoAns_"):
        totals = [0.0, 0.0]
        count = 0
        for name, answers in rows:
            if prefix == "HasAns_" and not answers:
                continue
            if prefix == "NoAns_" and answers:
                continue
            count += 1
            for which in (0, 1):
                score = raw[name][which]
                if sure is not None and sure[name] > threshold:
                    score = 0.0 if answers else 1.0
                totals[which] += score
        if count:
            out[f"{prefix}exact"] = 100.0 * totals[0] / count
            out[f"{prefix}f1"] = 100.0 * totals[1] / count
            out[f"{prefix}total"] = count

    if sure is not None:
        has_answer = {name: bool(answers) for name, answers in rows}
        for which, name in ((0, "exact"), (1, "f1")):
            now: float = sum(1 for can in has_answer.values() if not can)
            best = now
            at = 0.0
            for question in sorted(sure, key=sure.__getitem__):
                if has_answer[question]:
                    now += raw[question][which]
                else:
                    now -= 1 if predictions[question] else 0
                if now > best:
                    best = now
                    at = sure[question]
            out[f"best_{name}"] = 100.0 * best / len(rows)
            out[f"best_{name}_thresh"] = at
    return out
