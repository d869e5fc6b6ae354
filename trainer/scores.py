"""Perplexity and accuracy with their uncertainty, words and special ids apart, and as a table."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.metrics import perplexity
from trainer.wording import rounded

# The 97.5 % quantile of the normal distribution: 95 % of it lies within this many deviations.
DEVIATIONS = 1.96

# With fewer masked tokens a perplexity says little.
FEW_TOKENS = 10_000

# Columns of a table of samples: sums of losses, hits and masked tokens, of words and special ids.
WORDS = [0, 1, 2]
SPECIAL = [3, 4, 5]


@dataclass(frozen=True)
class Score:
    """`loss` in nats per masked token, `accuracy` the share of the masked tokens that the model
    ranks first, `masked` their number in `samples` samples.

    `perplexity_low` and `perplexity_high` bound a 95 % interval: exp(loss -+ 1.96 standard errors),
    the error being that of a ratio of sums over the samples. None where there is one sample. Where
    nothing is masked, loss, perplexity and accuracy are nan, and null in JSON.
    """

    loss: float
    perplexity: float
    accuracy: float
    masked: int
    samples: int
    perplexity_low: float | None
    perplexity_high: float | None

    @property
    def spread(self) -> float | None:
        """Half the width of the interval."""
        if self.perplexity_low is None or self.perplexity_high is None:
            return None
        return (self.perplexity_high - self.perplexity_low) / 2


@dataclass(frozen=True)
class SourceScore:
    """The score of a source, and those of its `words` and its `special` ids apart, None where no
    such id is masked."""

    whole: Score
    words: Score | None
    special: Score | None

    def to_dict(self) -> dict[str, object]:
        """The figures of the whole, and those of the parts in tables of their own."""
        parts = {"words": self.words, "special": self.special}
        named = {name: None if part is None else vars(part) for name, part in parts.items()}
        return {**vars(self.whole), **named}


# --- from sums to scores


def source_score(table: NDArray[np.float64]) -> SourceScore:
    """The score of N samples from their sums (N, 6), see WORDS and SPECIAL."""
    words = table[:, WORDS]
    special = table[:, SPECIAL]
    return SourceScore(
        whole=score(words + special),
        words=score(words) if words[:, 2].any() else None,
        special=score(special) if special[:, 2].any() else None,
    )


def score(rows: NDArray[np.float64]) -> Score:
    """The score of N samples from their sums of losses, hits and masked tokens (N, 3)."""
    rows = rows[rows[:, 2] > 0]
    if not len(rows):
        return Score(math.nan, math.nan, math.nan, 0, 0, None, None)

    losses, hits, masked = rows.T
    total = max(float(masked.sum()), 1.0)
    loss = float(losses.sum()) / total
    low = high = None

    count = len(rows)
    if count > 1:
        # The linear approximation of a ratio of sums: each sample's loss beyond the expected one.
        beyond = losses - loss * masked
        variance = count / (count - 1) * float((beyond**2).sum()) / total**2
        error = DEVIATIONS * variance**0.5
        low, high = perplexity(loss - error), perplexity(loss + error)

    accuracy = float(hits.sum()) / total
    return Score(loss, perplexity(loss), accuracy, int(masked.sum()), count, low, high)


# --- what a reader should know


def few_tokens(masked: int, is_cut: bool, flag: str) -> str:
    """A warning that so few masked tokens are scored; empty where they are enough. `is_cut`: the
    validation split has more samples than were taken, and `flag` gives more of them."""
    if masked >= FEW_TOKENS:
        return ""

    remedy = f"raise {flag}" if is_cut else "raise valid_fraction in [shards] and build again"
    return (
        f"only {masked:,} masked tokens are scored (fewer than {FEW_TOKENS:,}), so the perplexity "
        f"is uncertain: {remedy}"
    )


def other_masks(trained: str, scored: str) -> str:
    """A warning that a run trained with the masks `trained` is scored on others; empty where they
    are the same."""
    if trained == scored:
        return ""
    if scored == "fairseq":
        return (
            f"the run was trained with {trained} masks, under which no special id is ever "
            "predicted, and is scored on fairseq masks: only the perplexity of words says something"
        )
    return (
        f"the run was trained with {trained} masks and is scored on {scored} masks: compare the "
        f"figure with other runs, and with the papers' the one of --masks {trained}"
    )


# --- as text


def interval(score: Score) -> str:
    """The 95 % interval of a perplexity."""
    if score.perplexity_low is None or score.perplexity_high is None:
        return "one sample" if score.masked else "nothing masked"
    low = rounded(score.perplexity_low, score.spread)
    return f"{low} to {rounded(score.perplexity_high, score.spread)}"


def brief(score: Score) -> str:
    """The score in one line, for the middle of a run."""
    if not score.masked:
        return "no validation perplexity: no token is masked"
    accuracy = rounded(score.accuracy, accuracy_spread(score))
    return (
        f"validation perplexity {rounded(score.perplexity, score.spread)} "
        f"(95 %: {interval(score)}), accuracy {accuracy}, on {score.masked:,} masked tokens"
    )


def accuracy_spread(score: Score) -> float:
    """1.96 standard errors of the accuracy as if the tokens were independent, for its digits."""
    if not score.masked:
        return 0.0
    share = min(max(score.accuracy, 0.01), 0.99)
    return float(DEVIATIONS * (share * (1 - share) / max(score.masked, 1)) ** 0.5)


def describe(sources: dict[str, SourceScore]) -> str:
    """A table: a line for each source, and below it words and special ids where both are masked."""
    lines = [
        f"{'source':24}{'perplexity':>12}{'95 % interval':>22}{'loss':>9}{'accuracy':>10}"
        f"{'masked tokens':>15}{'samples':>9}"
    ]
    for name, found in sources.items():
        lines.append(table_line(name, found.whole))
        if found.words is not None and found.special is not None:
            lines.append(table_line("  words", found.words))
            lines.append(table_line("  special ids", found.special))
    return "\n".join(lines)


def table_line(name: str, score: Score) -> str:
    """A line of `describe`."""
    spread = score.spread
    loss_spread = None if spread is None else spread / max(score.perplexity, 1.0)
    return (
        f"{name:24}{rounded(score.perplexity, spread):>12}{interval(score):>22}"
        f"{rounded(score.loss, loss_spread):>9}"
        f"{rounded(score.accuracy, accuracy_spread(score)):>10}{score.masked:>15,}"
        f"{score.samples:>9,}"
    )
