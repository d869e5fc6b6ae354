"""The slow twin of corpora/contamination/passages.py: its definition in plain Python."""

import re
import unicodedata
from collections.abc import Sequence

from corpora.contamination.test_sets import TestText

SHORTEST = 8


def words_of(text: str) -> list[str]:
    return re.findall("[a-z0-9]+", unicodedata.normalize("NFC", text).lower())


def passages_of(text: str, longest: int) -> list[tuple[str, ...]]:
    words = words_of(text)
    if len(words) < SHORTEST:
        return []
    if len(words) < longest:
        return [tuple(words)]
    return [tuple(words[at : at + longest]) for at in range(len(words) - longest + 1)]


def search(
    texts: Sequence[TestText], document: str, longest: int
) -> dict[str, tuple[tuple[int, ...], tuple[str, ...], str, str]]:
    """By task: places in the document, examples, the first text and its words."""
    holders: dict[tuple[str, ...], list[int]] = {}
    for number, text in enumerate(texts):
        for passage in passages_of(text.text, longest):
            numbers = holders.setdefault(passage, [])
            if number not in numbers:
                numbers.append(number)

    words = words_of(document)
    places: dict[str, set[int]] = {}
    found: dict[str, set[int]] = {}
    first: dict[str, tuple[int, tuple[str, ...]]] = {}
    for at in range(len(words)):
        for length in range(1, longest + 1):
            passage = tuple(words[at : at + length])
            if len(passage) == length and passage in holders:
                for number in holders[passage]:
                    task = texts[number].task
                    places.setdefault(task, set()).add(at)
                    found.setdefault(task, set()).add(number)
                    first.setdefault(task, (number, passage))

    result = {}
    for task in sorted(found, key=lambda task: min(found[task])):
        examples = []
        for number in sorted(found[task]):
            examples += [name for name in texts[number].examples if name not in examples]
        number, passage = first[task]
        named = f"{texts[number].examples[0]}, {texts[number].part}"
        result[task] = (tuple(sorted(places[task])), tuple(examples), named, " ".join(passage))
    return result
