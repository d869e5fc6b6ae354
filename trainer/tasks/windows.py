"""The inputs of questions about a passage: windows of the passage that overlap, each with the
question, `<s> question </s> </s> window </s>`; and answers from tokens back to characters.

A window's label is the first and last token of the answer in it, and whether it holds one. A window
without the answer points to its first token, as in BERT's code; the answerable classifier of the
RoBERTa paper learns its third label instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.tasks.features import Builder, Cut, Features
from trainer.tasks.inputs import join_texts, special_count
from trainer.tasks.texts import Encoded, TextEncoder


@dataclass(frozen=True)
class SpanRow:
    """A question about a passage. `answer` and `start` are the answer to learn and its first
    character in the passage, None where the question has none."""

    id: str
    question: str
    passage: str
    answer: str | None = None
    start: int = 0


@dataclass(frozen=True, kw_only=True)
class WindowConfig:
    """The sizes of windows, in tokens: of a sequence, of the step from one window to the next, and
    of a question."""

    length: int
    stride: int
    question_length: int


@dataclass(frozen=True)
class Window:
    """Where a window lies: its question, the first token of the passage in it, its place in the
    sequence, and how many tokens of the passage it holds."""

    row: int
    first: int
    place: int
    count: int


@dataclass(frozen=True)
class Spans:
    """The windows of all questions, and what maps them back: `features`, an item for each window;
    `rows`, the questions; `windows`; `starts` and `ends`, the characters of the tokens of each
    row's passage. `widened` counts answers that begin or end within a token, `lost` those in no
    window."""

    features: Features
    rows: tuple[SpanRow, ...]
    windows: tuple[Window, ...]
    starts: tuple[NDArray[np.int64], ...]
    ends: tuple[NDArray[np.int64], ...]
    widened: int
    lost: int

    def text(self, row: int, first: int, last: int) -> str:
        """The passage's own characters from token `first` to token `last`, both included."""
        start = int(self.starts[row][first])
        return self.rows[row].passage[start : int(self.ends[row][last])]


def span_features(
    encoder: TextEncoder, family: str, config: WindowConfig, rows: Sequence[SpanRow]
) -> Spans:
    """The windows of questions, in their order."""
    builder = Builder()
    windows: list[Window] = []
    starts: list[NDArray[np.int64]] = []
    ends: list[NDArray[np.int64]] = []
    known: dict[str, Encoded] = {}
    widened = 0
    lost = 0

    questions = encoder.ids([row.question.strip() for row in rows])
    for number, (row, question) in enumerate(zip(rows, questions, strict=True)):
        # The questions of a passage follow each other.
        if row.passage not in known:
            known = {row.passage: encoder.encode(row.passage)}
        passage = known[row.passage]
        starts.append(passage.starts)
        ends.append(passage.ends)

        span = answer_tokens(passage, row)
        if span is not None and row.answer is not None:
            found = row.passage[passage.starts[span[0]] : passage.ends[span[1]]]
            widened += found != row.answer.strip()

        kept = question[: config.question_length]
        builder.cut("question", len(question) - len(kept))
        place = len(kept) + special_count(family, True) - 1
        room = config.length - place - 1

        held = False
        for first in window_starts(len(passage.ids), room, config.stride):
            part = passage.ids[first : first + room]
            label = window_label(span, first, len(part), place)
            held = held or label[2] == 1
            builder.add(row.id, [join_texts(kept, part, encoder.roles, family)], label)
            windows.append(Window(number, first, place, len(part)))
        lost += row.answer is not None and not held

    builder.cuts.setdefault("question", Cut())
    return Spans(
        builder.build(), tuple(rows), tuple(windows), tuple(starts), tuple(ends), widened, lost
    )


def window_starts(tokens: int, room: int, stride: int) -> list[int]:
    """The first tokens of windows of `room` tokens that step by `stride` until the end is in
    one."""
    starts = [0]
    while starts[-1] + room < tokens:
        starts.append(starts[-1] + min(stride, room))
    return starts


def have_most_context(windows: Sequence[Window]) -> list[NDArray[np.bool_]]:
    """Of each window of one passage, which of its tokens have no more context in another window
    (BERT's code): the tokens on the side where they are fewer, and a hundredth of the window's
    tokens. Of equal windows it is the first."""
    end = max(window.first + window.count for window in windows)
    context = np.full((len(windows), end), -np.inf)
    for number, window in enumerate(windows):
        before = np.arange(window.count)
        fewer = np.minimum(before, before[::-1])
        context[number, window.first : window.first + window.count] = fewer + 0.01 * window.count

    best = context.argmax(0)
    found = []
    for number, window in enumerate(windows):
        found.append(best[window.first : window.first + window.count] == number)
    return found


def answer_tokens(passage: Encoded, row: SpanRow) -> tuple[int, int] | None:
    """The first and the last token that hold a character of the answer; None without an answer, or
    where no token does."""
    if row.answer is None:
        return None

    # White space at the ends of an answer belongs to no token.
    stripped = row.answer.strip()
    start = row.start + len(row.answer) - len(row.answer.lstrip())
    end = start + len(stripped)
    inside = np.flatnonzero((passage.ends > start) & (passage.starts < end))
    if not len(inside):
        return None
    return int(inside[0]), int(inside[-1])


def window_label(
    span: tuple[int, int] | None, first: int, count: int, place: int
) -> tuple[float, float, float]:
    """The labels of a window of `count` tokens of the passage from `first` on, which begin at
    `place` of the sequence."""
    if span is None or span[0] < first or span[1] >= first + count:
        return 0.0, 0.0, 0.0
    return float(span[0] - first + place), float(span[1] - first + place), 1.0
