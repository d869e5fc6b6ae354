"""What the readers give: one frozen dataclass for each kind of task.

Texts are those of the file, with nothing stripped: where a model or a scorer wants other white
space, it changes it itself. A label is None where the file has none, as in the test files of GLUE.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """A text or a pair of texts, to classify or to rate.

    `label` is a place in the labels of the task for a classification, a number for a regression.
    `id` is the `index` or `id` of the file, otherwise the number of the row, from 0.
    """

    id: str
    first: str
    second: str | None
    label: int | float | None


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a question: its text, and the character of the context where it begins, or -1
    where the file names a place at which the context holds another text."""

    text: str
    start: int


@dataclass(frozen=True, slots=True)
class Question:
    """A question of SQuAD about a context. `answers` are all that people gave: none where the
    question is `impossible` to answer from the context, which only SQuAD 2.0 has."""

    id: str
    question: str
    context: str
    answers: tuple[Answer, ...]
    impossible: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """A question of RACE about a passage. `label` is the place of the right option.

    `id` is the name that the passage has in its file and the number of the question, from 1:
    `high107.txt-1`.
    """

    id: str
    passage: str
    question: str
    options: tuple[str, ...]
    label: int | None


@dataclass(frozen=True, slots=True)
class Referent:
    """A row of WSC as SuperGLUE publishes it: does the pronoun mean this noun phrase?

    The two places are numbers of words of `text.split()`, from 0. `label` is 1 for yes, 0 for no.
    """

    id: str
    text: str
    phrase: str
    phrase_word: int
    pronoun: str
    pronoun_word: int
    label: int | None
