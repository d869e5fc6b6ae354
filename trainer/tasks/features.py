"""The inputs of a task, as flat arrays: N items of one or more sequences, with their labels.

An item is what one label is for: an example of a classification, a question of multiple choice with
a sequence for each option, a window of a passage, a sentence with its candidates. Shape letters: N
items, Q sequences, T tokens of all sequences.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from trainer.jit import Int64
from trainer.tasks.texts import Ids

# A label that is not there: that of an example without one, or of an unanswerable span.
NONE = -100

# The columns of labels: a class, number or option; or the first and the last token of a span in its
# sequence, and whether the window holds an answer.
LABELS = 3


@dataclass(frozen=True)
class Cut:
    """How many `texts` were too long, and how many `tokens` of them were left out."""

    texts: int = 0
    tokens: int = 0

    def plus(self, tokens: int) -> "Cut":
        """The count with one more text, `tokens` of which are left out; 0 is no text more."""
        return Cut(self.texts + (tokens > 0), self.tokens + tokens)


@dataclass(frozen=True, kw_only=True)
class Features:
    """The items of a split.

    `tokens` (T,) with special ids and `starts` (Q + 1,), the first token of each sequence; `items`
    (N + 1,), the first sequence of each item; `labels` (N, LABELS) float64, NONE where there is
    none; `ids`, what each item is of; `cuts`, what was cut, by part. `truth` (T,) are the tokens
    before masks, where the items are candidates for a mask.
    """

    tokens: Ids
    starts: Int64
    items: Int64
    labels: NDArray[np.float64]
    ids: tuple[str, ...]
    cuts: dict[str, Cut]
    truth: Ids | None = None

    def __len__(self) -> int:
        """N."""
        return len(self.ids)

    @property
    def sizes(self) -> Int64:
        """The tokens of each sequence, (Q,)."""
        return np.diff(self.starts)

    @property
    def item_sizes(self) -> Int64:
        """The longest sequence of each item, in tokens, (N,)."""
        return np.maximum.reduceat(self.sizes, self.items[:-1])


@dataclass
class Builder:
    """Collects items one by one."""

    sequences: list[Ids] = field(default_factory=list)
    truths: list[Ids] = field(default_factory=list)
    items: list[int] = field(default_factory=lambda: [0])
    labels: list[tuple[float, float, float]] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    cuts: dict[str, Cut] = field(default_factory=dict)

    def add(
        self,
        name: str,
        sequences: Iterable[Ids],
        label: float | tuple[float, float, float],
        truths: Iterable[Ids] = (),
    ) -> None:
        """Add an item."""
        self.sequences += sequences
        self.truths += truths
        self.items.append(len(self.sequences))
        self.labels.append(label if isinstance(label, tuple) else (label, NONE, NONE))
        self.ids.append(name)

    def cut(self, part: str, tokens: int) -> None:
        """Count the tokens of a text that were left out."""
        self.cuts[part] = self.cuts.get(part, Cut()).plus(tokens)

    def build(self) -> Features:
        """The features."""
        sizes = [len(sequence) for sequence in self.sequences]
        return Features(
            tokens=np.concatenate([np.zeros(0, np.int32), *self.sequences]),
            starts=np.cumsum([0, *sizes], dtype=np.int64),
            items=np.array(self.items, np.int64),
            labels=np.array(self.labels, np.float64).reshape(-1, LABELS),
            ids=tuple(self.ids),
            cuts=self.cuts,
            truth=np.concatenate(self.truths) if self.truths else None,
        )
