"""The passages of a text: its paragraphs of several lines, its lines, and three sentences in a row
of a longer line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from corpora.text.normalise import exact_digest

_SENTENCE_END = re.compile(r"(?<=[.!?\u3002\uff01\uff1f])\s+")

SENTENCES = 3
"""Sentences of a line that are compared together, as in C4 (Raffel et al. 2020, section 2.2)."""


@dataclass(frozen=True)
class Passage:
    """A part of a text: where it begins and ends, in characters, and the place of its content: 8
    and 4 bytes of its digest."""

    begin: int
    end: int
    key: int
    rest: int


def find_passages(text: str, least_words: int) -> list[Passage]:
    """The paragraphs of several lines, the lines, and the threes of sentences of a text, each with
    at least so many words. A paragraph stands before its lines, a line before its sentences; line
    ends belong to them."""
    found = []
    for begin, end in _parts(text):
        passage = text[begin:end]
        if words_in(passage) >= least_words:
            digest = exact_digest(passage)
            key, rest = (int.from_bytes(part, "little") for part in (digest[:8], digest[8:12]))
            found.append(Passage(begin, end, key, rest))
    return found


def _parts(text: str) -> Iterator[tuple[int, int]]:
    """Where the paragraphs, lines and sentences of a text begin and end."""
    paragraph: list[tuple[int, int]] = []
    at = 0
    # A blank line after the last one closes the last paragraph.
    for line in [*text.split("\n"), ""]:
        end = min(at + len(line) + 1, len(text))
        if line.strip():
            paragraph.append((at, end))
        elif paragraph:
            if len(paragraph) > 1:
                yield paragraph[0][0], end
            for begin, stop in paragraph:
                yield begin, stop
                yield from _sentences(text, begin, stop)
            paragraph = []
        at = end


def _sentences(text: str, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Where every `SENTENCES` sentences in a row begin and end, of a line that has more."""
    edges = [begin, *(match.end() for match in _SENTENCE_END.finditer(text, begin, end))]
    edges = [edge for edge in edges if edge < end] + [end]
    if len(edges) - 1 > SENTENCES:
        yield from zip(edges, edges[SENTENCES:])


def words_in(text: str) -> int:
    """The words of a text, as near-duplicates are counted in."""
    from pipelines.stages.near import kernels
    from pipelines.stages.near.word_table import word_table

    content = np.frombuffer(text.encode(), np.uint8)
    hashes = np.empty(len(content) // 2 + 3, np.uint64)
    words = kernels.hash_words(content, word_table(), hashes)
    return int(words) - int(kernels.spare_letters(content, word_table()))
