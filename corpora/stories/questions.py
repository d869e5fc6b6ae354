"""Questions in texts: which ones a text contains whole, and how many of their n-grams it shares.

A document of Stories is chosen by its likeness to the questions, so it may contain one of them, or
much of one. What this module counts is kept with the document and shown by `corpus stats`. The
comparison is by words, exact, and without a minimum of context. Cost: one search in the text for
each question, and one set of n-grams of the text for each length.
"""

import functools
from collections.abc import Iterator, Sequence

_REPORTED = (8, 13)
"""Words of the n-grams by which test sets are usually searched for in a corpus."""

Questions = tuple[tuple[str, ...], ...]
"""The words of each question."""


class Search:
    """Finds questions in texts. `shortest` is the number of words of the shortest question."""

    def __init__(self, questions: Questions) -> None:
        self.shortest = min(map(len, questions))
        self._spaced_questions = [_spaced(words) for words in questions]
        self._grams: dict[int, set[tuple[str, ...]]] = {}
        for n in _REPORTED:
            grams: set[tuple[str, ...]] = set()
            for words in questions:
                grams.update(_grams(words, n))
            self._grams[n] = grams

    def whole(self, words: list[str]) -> list[int]:
        """The numbers, from 1, of the questions whose words follow each other in these words."""
        # A search in one string runs in C, which comparing lists of words does not.
        text = _spaced(words)
        return [
            number for number, question in enumerate(self._spaced_questions, 1) if question in text
        ]

    def shared(self, words: list[str]) -> dict[int, int]:
        """How many different n-grams these words share with any question, by n."""
        return {n: len(grams.intersection(_grams(words, n))) for n, grams in self._grams.items()}


search_of = functools.lru_cache(maxsize=2)(Search)
"""A `Search` made once per process, not for every slice."""


def _spaced(words: Sequence[str]) -> str:
    """The words as one string in which a search finds whole words only, since no word holds a line
    end."""
    return "\n" + "\n".join(words) + "\n"


def _grams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    shifted = [words[start:] for start in range(n)]
    return zip(*shifted)
