"""From the examples of a split to its features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from corpora.tasks.catalogue import Task
from corpora.tasks.examples import Choice, Example, Question, Referent
from corpora.tasks.read import Items
from trainer.config import ModelConfig
from trainer.tasks.candidates import candidate_features, spacy_chunks
from trainer.tasks.choices import ChoiceRow, choice_features
from trainer.tasks.features import NONE, Builder, Features
from trainer.tasks.inputs import text_features
from trainer.tasks.model import HeadConfig
from trainer.tasks.settings import Finetuning
from trainer.tasks.texts import Ids, TextEncoder
from trainer.tasks.windows import SpanRow, Spans, WindowConfig, span_features

# The tokens of a question, by kind of task.
QUESTION_LENGTHS = {"choice": 128, "span": 64}

# The share of a sequence that a question may take where the model has fewer positions.
QUESTION_SHARE = {"choice": 0.25, "span": 0.125}


@dataclass(frozen=True)
class Split:
    """The examples of a split and their features; `spans` of questions about a passage. `dropped`
    counts examples that are of no use in training."""

    name: str
    items: Items
    features: Features
    spans: Spans | None = None
    dropped: int = 0


@dataclass(frozen=True)
class Maker:
    """What makes the features of a task's splits."""

    task: Task
    encoder: TextEncoder
    model: ModelConfig
    settings: Finetuning

    @property
    def length(self) -> int:
        """Tokens in a sequence."""
        return min(self.settings.inputs.length, self.model.positions)

    @property
    def question_length(self) -> int:
        """Tokens of a question, fewer where a sequence is short."""
        given = self.settings.inputs.question_length or QUESTION_LENGTHS[self.task.kind]
        share = int(QUESTION_SHARE[self.task.kind] * self.length)
        return min(given, max(share, 8)) if self.length < 512 else given

    @property
    def ranks_qnli(self) -> bool:
        """Whether the sentences of a question are ranked instead of classified."""
        return self.task.name == "qnli" and self.settings.ranking.qnli

    def split(self, name: str, items: Items, training: bool) -> Split:
        """The features of examples; those for `training` have all their labels."""
        if self.task.kind == "span":
            return self._span(name, items, training)
        if self.task.kind == "choice":
            rows = [choice_row(choice) for choice in cast("tuple[Choice, ...]", items.items)]
            features = choice_features(
                self.encoder, self.model.family, self.length, self.question_length, rows
            )
            return Split(name, items, features)
        if self.task.kind == "referent":
            referents = cast("tuple[Referent, ...]", items.items)
            features = candidate_features(
                self.encoder, self.length, referents, training, spacy_chunks()
            )
            return Split(name, items, features, dropped=len(referents) - len(features))

        examples = cast("tuple[Example, ...]", items.items)
        rows_of_text = [
            (example.id, example.first, example.second, label_of(example)) for example in examples
        ]
        features = text_features(self.encoder, self.model.family, self.length, rows_of_text)
        if self.ranks_qnli:
            features = as_ranking(features, examples) if training else features
        return Split(name, items, features)

    def _span(self, name: str, items: Items, training: bool) -> Split:
        """The features of questions about a passage."""
        inputs = self.settings.inputs
        config = WindowConfig(
            length=self.length,
            stride=min(inputs.stride, max(self.length // 4, 1)),
            question_length=self.question_length,
        )
        questions = cast("tuple[Question, ...]", items.items)
        rows = [span_row(question) for question in questions]
        usable = rows
        if training:
            usable = [
                row
                for row, question in zip(rows, questions)
                if question.impossible or row.answer is not None
            ]
        spans = span_features(self.encoder, self.model.family, config, usable)
        return Split(name, items, spans.features, spans, len(rows) - len(usable))


def label_of(example: Example) -> float:
    """The label as a number, NONE where there is none."""
    return NONE if example.label is None else float(example.label)


def choice_row(choice: Choice) -> ChoiceRow:
    """A question of multiple choice as `choices` takes it."""
    label = NONE if choice.label is None else choice.label
    return ChoiceRow(choice.id, choice.passage, choice.question, choice.options, label)


def span_row(question: Question) -> SpanRow:
    """A question about a passage with its first answer that is where the file says, or is in the
    passage at all."""
    for answer in question.answers:
        start = answer.start if answer.start >= 0 else question.context.find(answer.text)
        if start >= 0 and answer.text.strip():
            return SpanRow(question.id, question.question, question.context, answer.text, start)
    return SpanRow(question.id, question.question, question.context)


def as_ranking(features: Features, examples: Sequence[Example]) -> Features:
    """QNLI as pairwise ranking: an item for each sentence that answers its question, whose options
    are that sentence and the others of the question; where there is none, the next question's
    sentence is mined from the file. The right option is the first one. Rows that answer nothing are
    no items of their own."""
    groups: dict[str, list[int]] = {}
    for number, example in enumerate(examples):
        groups.setdefault(example.first, []).append(number)

    builder = Builder(cuts=dict(features.cuts))
    order = list(groups.values())
    for place, group in enumerate(order):
        wrong = [number for number in group if examples[number].label == 1]
        for number in group:
            if examples[number].label != 0:
                continue
            others = wrong or [order[(place + 1) % len(order)][0]]
            sequences = [sequence_of(features, number)]
            for other in others:
                own = other in wrong
                found = sequence_of(features, other)
                sequences.append(found if own else with_question(features, number, other))
            builder.add(examples[number].id, sequences, 0.0)
    return builder.build()


def sequence_of(features: Features, number: int) -> Ids:
    """The tokens of sequence `number`."""
    return features.tokens[features.starts[number] : features.starts[number + 1]]


def with_question(features: Features, number: int, other: int) -> Ids:
    """The question of one pair before the sentence of another, as long as the other at most."""
    own = sequence_of(features, number)
    found = sequence_of(features, other)
    end = own[-1]
    question = own[: int(np.flatnonzero(own == end)[0])]
    sentence = found[int(np.flatnonzero(found == end)[0]) :]
    longest = max(len(own), len(found))
    return np.concatenate([question, sentence])[:longest]


def head_of(maker: Maker, train: Split) -> HeadConfig:
    """The head of a task. The scale of a regression is the largest label of the training set, so
    that the model learns numbers in [-1, 1], as fairseq does for STS-B."""
    dropout = maker.settings.head_dropout
    kind = maker.task.kind
    if kind == "choice" or maker.ranks_qnli:
        return HeadConfig(kind="choice", dropout=dropout)
    if kind == "span":
        answerable = maker.task.name == "squad2" and maker.settings.inputs.answerable != "null"
        return HeadConfig(kind="span", answerable=answerable, dropout=dropout)
    if kind == "referent":
        return HeadConfig(kind="candidates", dropout=dropout)
    if kind == "regression":
        scale = float(np.abs(train.features.labels[:, 0]).max()) or 1.0
        return HeadConfig(kind="number", scale=scale, dropout=dropout)
    return HeadConfig(kind="classes", classes=len(maker.task.labels), dropout=dropout)
