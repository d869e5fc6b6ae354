"""From a model's outputs to predictions: probabilities of labels or options, numbers, and the texts
of answers.

They are what several models' predictions are averaged as (`average`), so nothing of a tokenizer is
left in them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from corpora.tasks.catalogue import Task
from corpora.tasks.examples import Example, Referent
from trainer.tasks.splits import Split
from trainer.tasks.windows import have_most_context

# The answers of a question that are kept, and the first and last tokens that are tried, as in
# BERT's code.
BEST = 20


@dataclass(frozen=True)
class Answers:
    """The predictions of a split, by the `ids` of its examples.

    `values` (N, C) are the probabilities of labels or options, or (N, 1) numbers. Of questions
    about a passage `texts` are instead the likeliest answers and their probabilities, and
    `no_answer` (N,) how much more likely no answer is, in nats: above the threshold, 0 unless it is
    tuned, the answer is empty.
    """

    ids: tuple[str, ...]
    values: NDArray[np.float64]
    texts: tuple[dict[str, float], ...] = ()
    no_answer: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def best_texts(self) -> list[str]:
        """The likeliest answer of each question, whatever `no_answer` says."""
        return [max(found, key=lambda text: found[text], default="") for found in self.texts]


def answers(task: Task, split: Split, table: NDArray[np.float64], longest: int) -> Answers:
    """The predictions of a split from the outputs (N, width) of its items. `longest` bounds the
    tokens of an answer."""
    features = split.features
    if task.kind == "span":
        return span_answers(split, table, longest)
    if task.kind == "regression":
        return Answers(features.ids, table[:, :1])
    if task.kind == "referent":
        referents = cast("tuple[Referent, ...]", split.items.items)
        return referent_answers(referents, split, table)

    counts = np.diff(features.items)
    if task.kind == "classification" and table.shape[1] != len(task.labels):
        return ranked_answers(cast("tuple[Example, ...]", split.items.items), split, table)
    if task.kind == "choice":
        beyond = np.arange(table.shape[1]) >= counts[:, None]
        table = np.where(beyond, -np.inf, table)
    return Answers(features.ids, softmax(table))


def softmax(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probabilities of each row."""
    powers = np.exp(table - table.max(1, keepdims=True))
    found: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
    return found


def sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)), without overflow."""
    found: NDArray[np.float64] = 0.5 * (1.0 + np.tanh(values / 2))
    return found


def referent_answers(rows: Sequence[Referent], split: Split, table: NDArray[np.float64]) -> Answers:
    """A phrase is what the pronoun means if no candidate scores higher; its margin to the best one
    is taken for the log-odds. A phrase without a candidate is taken for right."""
    counts = np.diff(split.features.items)
    margins = np.zeros(len(counts))
    for number, count in enumerate(counts):
        others = table[number, 1:count]
        margins[number] = table[number, 0] - others.max() if len(others) else 1.0
    yes = sigmoid(margins)
    return Answers(split.features.ids, np.stack([1 - yes, yes], 1))


def ranked_answers(rows: Sequence[Example], split: Split, table: NDArray[np.float64]) -> Answers:
    """QNLI by ranking: of a question's sentences the one with the highest score is the answer. A
    sentence alone is, if its score is above 0."""
    groups: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(row.first, []).append(number)

    yes = np.zeros(len(rows))
    for group in groups.values():
        scores = table[group, 0]
        if len(group) == 1:
            yes[group] = sigmoid(scores)
            continue
        for place, number in enumerate(group):
            others = np.delete(scores, place).max()
            yes[number] = sigmoid(np.array([scores[place] - others]))[0]
    # The labels are entailment and not_entailment.
    return Answers(split.features.ids, np.stack([yes, 1 - yes], 1))


# --- answers in a passage


def span_answers(split: Split, table: NDArray[np.float64], longest: int) -> Answers:
    """The likeliest answers of each question over its windows, as BERT's code finds them: the sum
    of the logits of first and last token, the best of equal texts. An answer counts in the window
    where its first token has the most context.

    `no_answer` is minus the largest logit of the answerable classifier over the windows; without
    one the least score of the first token over the windows minus that of the best answer.
    """
    spans = split.spans
    assert spans is not None
    scores: list[dict[str, float]] = [{} for _ in spans.rows]
    null = np.full(len(spans.rows), np.inf)
    answerable = np.full(len(spans.rows), -np.inf)

    central = []
    for _, windows in itertools.groupby(spans.windows, lambda window: window.row):
        central += have_most_context(list(windows))

    for window, values, is_central in zip(spans.windows, table, central, strict=True):
        logits = values[1:].reshape(-1, 2)
        null[window.row] = min(null[window.row], logits[0].sum())
        answerable[window.row] = max(answerable[window.row], values[0])

        part = logits[window.place : window.place + window.count]
        for first, last, score in best_spans(part, longest, is_central):
            text = spans.text(window.row, window.first + first, window.first + last)
            if text and score > scores[window.row].get(text, -np.inf):
                scores[window.row][text] = score

    texts = []
    tops = np.empty(len(spans.rows))
    for number, found in enumerate(scores):
        kept = sorted(found.items(), key=lambda entry: -entry[1])[:BEST]
        tops[number] = kept[0][1] if kept else -np.inf
        texts.append(probabilities(kept))

    # Without a classifier its logits are all 0.
    has_classifier = bool(np.any(table[:, 0]))
    no_answer = -answerable if has_classifier else null - tops
    ids = tuple(row.id for row in spans.rows)
    return Answers(ids, np.zeros((len(ids), 0)), tuple(texts), no_answer)


def best_spans(
    logits: NDArray[np.float64], longest: int, may_begin: NDArray[np.bool_]
) -> list[tuple[int, int, float]]:
    """The best spans (first, last, score) of at most `longest` tokens, from the BEST likeliest
    first and last tokens; `logits` (W, 2), `may_begin` (W,) whether a span may begin there."""
    firsts = np.argsort(-logits[:, 0], kind="stable")[:BEST]
    lasts = np.argsort(-logits[:, 1], kind="stable")[:BEST]
    sums = logits[firsts, 0][:, None] + logits[lasts, 1]
    size = lasts - firsts[:, None]
    fits = (size >= 0) & (size < longest) & may_begin[firsts][:, None]
    sums = np.where(fits, sums, -np.inf).reshape(-1)

    found = []
    for place in np.argsort(-sums, kind="stable")[:BEST]:
        if np.isfinite(sums[place]):
            first, last = divmod(int(place), len(lasts))
            found.append((int(firsts[first]), int(lasts[last]), float(sums[place])))
    return found


def probabilities(kept: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The scores of texts as probabilities."""
    if not kept:
        return {}
    powers = softmax(np.array([[score for _, score in kept]]))[0]
    return {text: float(power) for (text, _), power in zip(kept, powers)}


# --- ensembles


def average(found: Sequence[Answers]) -> Answers:
    """The mean of several models' predictions of the same examples: of probabilities, of numbers,
    and of how likely no answer is."""
    first = found[0]
    values = np.mean([part.values for part in found], axis=0)
    if not first.texts:
        return Answers(first.ids, values)

    texts = []
    for parts in zip(*[part.texts for part in found], strict=True):
        total: dict[str, float] = {}
        for part in parts:
            for text, share in part.items():
                total[text] = total.get(text, 0.0) + share / len(parts)
        texts.append(total)
    no_answer = np.mean([part.no_answer for part in found], axis=0)
    return Answers(first.ids, values, tuple(texts), no_answer)
