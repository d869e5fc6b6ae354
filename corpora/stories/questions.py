"""TODO-DOC corpora/stories/questions.py."""

import functools
from collections.abc import Iterator, Sequence

_REPORTED = (8, 13)
"""Words of the n-grams by which test sets are usually searched for in a corpus."""

Questions = tuple[tuple[str, ...], ...]
"""The words of each."""


class Search:
    """Where questions stand in texts. `shortest`: words of the shortest question."""

    def __init__(self, questions: Questions) -> None:
        self.shortest = min(map(len, questions))
        self._whole = [_spaced(words) for words in questions]
        self._grams = {
            n: {gram for words in questions for gram in _grams(words, n)} for n in _REPORTED
        }

    def whole(self, words: list[str]) -> list[int]:
        """The numbers, from 1, of the questions whose words stand in these words one after the
        other."""
        text = _spaced(words)
        return [number for number, question in enumerate(self._whole, 1) if question in text]

    def shared(self, words: list[str]) -> dict[int, int]:
        """How many different n-grams these words share with any question, for each n reported."""
        return {n: len(grams.intersection(_grams(words, n))) for n, grams in self._grams.items()}


query_of = functools.lru_cache(maxsize=2)(Search)


def _spaced(words: Sequence[str]) -> str:
    return f"\n{chr(10).join(words)}\n"


def _grams(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return zip(*(words[at:] for at in range(n)))
