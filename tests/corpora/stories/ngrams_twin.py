"""The slow twin of corpora/stories/overlap.py: its definition in plain Python, in fractions."""

import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + n]) for at in range(len(words) - n + 1)]


def f1(left: Sequence[str], right: Sequence[str], n: int, as_sets: bool) -> Fraction:
    a, b = Counter(grams(left, n)), Counter(grams(right, n))
    if as_sets:
        a, b = Counter(set(a)), Counter(set(b))
    both = (a & b).total()
    return Fraction(2 * both, a.total() + b.total()) if both else Fraction(0)


def exact(left: Sequence[str], right: Sequence[str], as_sets: bool) -> Fraction:
    return sum((n * f1(left, right, n, as_sets) for n in range(1, 5)), Fraction(0)) / 10


def score_of(questions: Sequence[str], text: str, *, joined: bool, as_sets: bool) -> Fraction:
    """Of the joined questions, or the best of each."""
    asked = [" ".join(questions)] if joined else questions
    return max(exact(words_of(text), words_of(question), as_sets) for question in asked)


class Joined:
    """The same of many texts and one set of questions, joined, as multisets: their n-grams are
    counted once."""

    def __init__(self, questions: Sequence[str]) -> None:
        words = words_of(" ".join(questions))
        self.counted = [Counter(grams(words, n)) for n in range(1, 5)]

    def score(self, text: str) -> Fraction:
        words = words_of(text)
        found = Fraction(0)
        for n, theirs in enumerate(self.counted, 1):
            ours = Counter(grams(words, n))
            both = sum(min(count, theirs[gram]) for gram, count in ours.items() if gram in theirs)
            found += Fraction(2 * n * both, max(1, ours.total() + theirs.total()))
        return found / 10
