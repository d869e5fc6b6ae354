"""The inputs of multiple choice: a sequence for each option, `<s> question option </s> </s> passage
</s>` (RoBERTa paper, section 5.3).

The option takes the place of the blank `_` in the question, or follows the question, as in fairseq.
Question and option are cut at 128 tokens, the passage so that all fits.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from trainer.tasks.features import NONE, Builder, Features
from trainer.tasks.inputs import join_texts, special_count
from trainer.tasks.texts import Ids, TextEncoder

BLANK = "_"


@dataclass(frozen=True)
class ChoiceRow:
    """A question with its options; `label` is the number of the right one, NONE where it is not
    known."""

    id: str
    passage: str
    question: str
    options: tuple[str, ...]
    label: int = NONE


def with_option(question: str, option: str) -> str:
    """The question with an option in its blank, or after it; runs of white space become a space."""
    text = question.replace(BLANK, option) if BLANK in question else f"{question} {option}"
    return " ".join(text.split())


def choice_features(
    encoder: TextEncoder, family: str, length: int, question_length: int, rows: Sequence[ChoiceRow]
) -> Features:
    """The features of questions with options. The question and the option together have at most
    `question_length` tokens, a sequence at most `length`."""
    builder = Builder()
    passages: dict[str, Ids] = {}
    specials = special_count(family, True)

    for row in rows:
        # The questions of a passage follow each other.
        if row.passage not in passages:
            passages = {row.passage: encoder.ids([" ".join(row.passage.split())])[0]}
        passage = passages[row.passage]

        sequences = []
        for question in encoder.ids([with_option(row.question, text) for text in row.options]):
            kept = question[: min(question_length, length - specials)]
            room = length - specials - len(kept)
            builder.cut("question and option", len(question) - len(kept))
            builder.cut("passage", len(passage) - len(passage[:room]))
            sequences.append(join_texts(kept, passage[:room], encoder.roles, family))
        builder.add(row.id, sequences, row.label)
    return builder.build()
