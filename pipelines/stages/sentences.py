"""From texts to sentences: those of sentencex, paragraph by paragraph.

sentencex is asked about a paragraph only where its answer is not plain (`sentence_kernels`), and
only in the versions that the tests compare is anything plain. So the sentences are always its own.
The words that it takes for abbreviations are learned from it, each once in a process.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version

import numpy as np
import pyarrow as pa
import sentencex
from numpy.typing import NDArray

from pipelines.stages import sentence_kernels as kernels
from pipelines.stages.sentence_kernels import (
    BREAKS,
    ENGLISH,
    GERMAN,
    KEEPS,
    KEEPS_BUT_STARTER,
    NO_STARTER,
    PLAIN,
    RUSSIAN,
    STARTER,
    UNSURE,
)

SENTENCEX_VERSIONS = ("1.0.32",)
"""Those whose sentences the tests compare with the kernels'; any other is asked about all."""

RULES = {
    "en": ENGLISH,
    "any": ENGLISH,
    "zh": ENGLISH,
    "de": GERMAN,
    "ru": RUSSIAN,
    "ja": PLAIN,
    "fr": PLAIN,
    "es": PLAIN,
    "nl": PLAIN,
    "pt": PLAIN,
    "pl": PLAIN,
}
"""The languages that the kernels know, by their rule for what follows a full stop."""

MODES = {"space": kernels.SPACED, "strip": kernels.STRIPPED, "keep": kernels.KEPT}

MOST_WORDS = 500_000
"""Words learned of a language in a process, some 20 MB. sentencex is asked about others each
time."""

MOST_ASKED = 100_000
"""Words learned in one round."""


@dataclass(frozen=True)
class Sentences:
    """S sentences of D documents.

    `values` are their UTF-8 bytes, one after another; `ends` (S + 1,) int64 the offsets of the
    sentences into them, from 0; `firsts` (D + 1,) int64 those of the documents into the sentences.
    """

    values: NDArray[np.uint8]
    ends: NDArray[np.int64]
    firsts: NDArray[np.int64]

    def array(self) -> pa.LargeStringArray:
        """The sentences as strings of Arrow, on the same bytes."""
        buffers = (pa.py_buffer(self.ends), pa.py_buffer(self.values))
        return pa.LargeStringArray.from_buffers(len(self.ends) - 1, *buffers)

    def strings(self) -> list[str]:
        """The sentences as strings of Python."""
        strings: list[str] = self.array().to_pylist()
        return strings

    def first(self, most: int, most_bytes: int) -> "Sentences":
        """At most so many of the first sentences and of their bytes, of no document."""
        within = int(np.searchsorted(self.ends, most_bytes, "right"))
        ends = self.ends[: min(most + 1, within)]
        return Sentences(self.values[: ends[-1]], ends, np.zeros(1, np.int64))


@dataclass
class Words:
    """A table of words and their states, as the kernels read it."""

    pool: bytearray = field(default_factory=bytearray)
    lengths: list[int] = field(default_factory=list)
    states: list[int] = field(default_factory=list)

    def add(self, words: list[bytes], states: list[int]) -> None:
        """Enter words that are not in the table."""
        self.pool += b"".join(words)
        self.lengths += map(len, words)
        self.states += states

    def arrays(
        self,
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8], NDArray[np.int64], NDArray[np.int8]]:
        """(slots, pool, its offsets, states)."""
        ends = np.zeros(len(self.lengths) + 1, np.int64)
        np.cumsum(self.lengths, out=ends[1:])
        pool = np.frombuffer(bytes(self.pool) or b"\0", np.uint8)
        size = 1 << max(4, (2 * len(self.lengths)).bit_length())
        slots = np.full(size, -1, np.int32)
        kernels.fill_slots(slots, pool, ends)
        return slots, pool, ends, np.array(self.states, np.int8)


class Splitter:
    """Splits texts of one language, and keeps what it learned about its words."""

    def __init__(self, code: str) -> None:
        self.code = "en" if code == "any" else code
        is_tested = version("sentencex") in SENTENCEX_VERSIONS
        self.rule = RULES.get(code, -1) if is_tested else -1
        self.words = Words()
        self.starters = Words()
        self.abbreviation = ""
        self._learned()
        # Words behind an abbreviation can be asked about from the first text on.
        if self.rule >= 0:
            self._word_states(["etc"])

    def _learned(self) -> None:
        self.tables = (*self.words.arrays(), *self.starters.arrays())

    def split(self, texts: pa.LargeStringArray, whitespace: str) -> Sentences:
        """The sentences of D texts."""
        offsets = _offsets(texts)
        content = texts.buffers()[2]
        # An empty buffer may be none at all.
        values = np.frombuffer(content if content else b"\0", np.uint8)
        begin, end = int(offsets[0]), int(offsets[-1])

        paragraphs, counts, ends = self._find(values, offsets)
        bounds = np.concatenate([offsets[:1], paragraphs[:-1] + 1])
        open_ones = np.flatnonzero(counts < 0)
        answers: list[int] = []
        answer_counts = np.zeros(len(open_ones), np.int64)
        first_of_text = _first_paragraphs(values, offsets, paragraphs)
        bounds[first_of_text] = offsets[:-1]
        for place, number in enumerate(open_ones.tolist()):
            paragraph = values[bounds[number] : paragraphs[number]].tobytes().decode()
            pieces = sentencex.segment(self.code, paragraph)
            answers += map(len, map(str.encode, pieces))
            answer_counts[place] = len(pieces)

        out = np.empty(max(end - begin, 1), np.uint8)
        most = len(ends) + len(paragraphs) + len(answers)
        out_ends = np.empty(most + 1, np.int64)
        out_ends[0] = 0
        firsts = np.empty(len(texts) + 1, np.int64)
        size, count = kernels.write_sentences(
            values,
            offsets,
            MODES[whitespace],
            paragraphs,
            counts,
            ends,
            answer_counts,
            np.array(answers, np.int64),
            out,
            out_ends[1:],
            firsts,
        )
        return Sentences(out[:size], out_ends[: count + 1], firsts)

    def _find(
        self, values: NDArray[np.uint8], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(ends of the paragraphs, number of ends inside each, these ends), of `split_all`."""
        lines, marks = kernels.count_marks(values[offsets[0] : offsets[-1]])
        most = int(lines) + len(offsets) - 1
        paragraphs = np.empty(most, np.int64)
        counts = np.empty(most, np.int64)
        ends = np.empty(int(marks) + 1, np.int64)

        while True:
            asked = np.empty(3 * MOST_ASKED, np.int64)
            classes = character_classes()
            found = kernels.split_all(
                values,
                offsets,
                self.rule,
                classes,
                *self.tables,
                paragraphs,
                counts,
                ends,
                asked,
            )
            num_paragraphs, num_ends, num_asked = found
            if not self._learn(values, asked[: 3 * num_asked].reshape(-1, 3)):
                return paragraphs[:num_paragraphs], counts[:num_paragraphs], ends[:num_ends]

    def _learn(self, values: NDArray[np.uint8], asked: NDArray[np.int64]) -> bool:
        """Ask sentencex about words; False where there is nothing to learn."""
        if len(self.words.states) + len(self.starters.states) >= MOST_WORDS:
            return False
        before: dict[bytes, None] = {}
        behind: dict[bytes, None] = {}
        for begin, end, kind in asked.tolist():
            (behind if kind else before)[values[begin:end].tobytes()] = None
        if not before and not behind:
            return False

        if before:
            words = list(before)
            states = self._word_states([word.decode() for word in words])
            self.words.add(words, states)
        if behind:
            words = list(behind)
            self.starters.add(words, self._starter_states([word.decode() for word in words]))
        self._learned()
        return True

    def _word_states(self, words: list[str]) -> list[int]:
        """What each word does before a full stop: asked behind a verb and behind a name, before a
        name and before a word that often begins sentences."""
        breaks = []
        for head in ("The sun sets", "Then Tom"):
            for tail in ("Zqx", "The zqx"):
                probes = [f"{head} {word}. {tail}" for word in words]
                breaks.append(self._are_split(probes, [tail] * len(words)))

        states = []
        for plain, starter, name_plain, name_starter in zip(*breaks):
            if plain is None or plain != name_plain or starter != name_starter:
                states.append(UNSURE)
            elif plain:
                states.append(BREAKS)
            else:
                states.append(KEEPS_BUT_STARTER if starter else KEEPS)
        for word, state in zip(words, states):
            if state == KEEPS_BUT_STARTER and not self.abbreviation:
                self.abbreviation = word
        return states

    def _starter_states(self, tokens: list[str]) -> list[int]:
        """Whether each word begins a sentence even behind an abbreviation."""
        probes = [f"Then Tom {self.abbreviation}. {token} zqx" for token in tokens]
        split = self._are_split(probes, [f"{token} zqx" for token in tokens])
        return [STARTER if is_split else NO_STARTER for is_split in split]

    def _are_split(self, probes: list[str], tails: list[str]) -> list[bool | None]:
        """Whether sentencex begins a sentence with the tail of each probe; None where it splits
        elsewhere in a way that hides it."""
        found: list[bool | None] = []
        for probe, tail in zip(probes, tails):
            last = sentencex.segment(self.code, probe)[-1]
            found.append(last == tail if last.endswith(tail) else None)
        return found


def _first_paragraphs(
    values: NDArray[np.uint8], offsets: NDArray[np.int64], paragraphs: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(D,) the number of the first paragraph of each text: one more than its line ends before."""
    last = np.searchsorted(paragraphs, offsets[1:], "left")
    return np.concatenate([[0], last[:-1] + 1])


def large_strings(column: pa.ChunkedArray) -> pa.LargeStringArray:
    """A column of strings as one array."""
    array = column.cast(pa.large_string()).combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        return array.chunk(0) if array.num_chunks else pa.array([], pa.large_string())
    return array


@lru_cache(maxsize=64)
def splitter(code: str) -> Splitter:
    """The splitter of a language, one per process. `code` is without a country."""
    return Splitter(code)


def split_texts(texts: pa.LargeStringArray, languages: list[str], whitespace: str) -> Sentences:
    """The sentences of D normalised texts, as they are encoded.

    `whitespace` is that of the recipe. With `keep`, the sentences joined are the text. With
    `space`, a run of white space is one space, and a sentence after the first begins with one where
    white space is before it (in Chinese there is none). `strip` is the same without that space.
    `languages` are any codes; an unknown one is split like English.
    """
    # sentencex knows Chinese as one language, langdetect as two; a country makes no difference.
    bases = np.array([language.lower().partition("-")[0] for language in languages], np.str_)
    codes = np.unique(bases).tolist()
    if len(codes) == 1:
        return splitter(codes[0]).split(texts, whitespace)

    # Language by language, then in the order of the documents again.
    rows: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    lists = []
    for code in codes:
        rows.append(np.flatnonzero(bases == code))
        found = splitter(code).split(texts.take(pa.array(rows[-1])), whitespace)
        lists.append(pa.LargeListArray.from_arrays(pa.array(found.firsts), found.array()))
    order = np.argsort(np.concatenate(rows), kind="stable")
    empty = pa.array([], pa.large_list(pa.large_string()))
    joined = pa.concat_arrays([empty, *lists]).take(pa.array(order))
    sentences = joined.flatten()
    ends = _offsets(sentences)
    content = sentences.buffers()[2] or b""
    values = np.frombuffer(content, np.uint8)[ends[0] : ends[-1]]
    firsts = _offsets(joined)
    return Sentences(values, ends - ends[0], firsts - firsts[0])


def _offsets(array: pa.LargeStringArray | pa.LargeListArray) -> NDArray[np.int64]:
    """(N + 1,) the offsets of an array's values."""
    buffer = array.buffers()[1]
    if not len(array) or buffer is None:
        return np.zeros(1, np.int64)
    return np.frombuffer(buffer, np.int64)[array.offset :][: len(array) + 1]


@lru_cache(maxsize=1)
def character_classes() -> NDArray[np.uint8]:
    """(65536,) the class of each character of the basic plane. Written out, so that interpreters
    agree; a character that is not named here leaves its paragraph to sentencex."""
    classes = np.zeros(0x10000, np.uint8)
    for begin, end in WORD_RANGES:
        classes[begin : end + 1] = kernels.WORD
    for point in (0x378, 0x379, 0x38B, 0x38D, 0x3A2, 0x3F6):
        classes[point] = kernels.UNKNOWN
    named = {
        kernels.OTHER: OTHERS,
        kernels.DOT: ".",
        kernels.EXCLAMATION: "!?",
        kernels.STOP: "\u3002\uff01\uff1f",
        kernels.SPACE: " ",
        kernels.DOUBLE_QUOTE: '"',
        kernels.APOSTROPHE: "'",
        kernels.OPENER: "\xab\xbb\u2018\u201c\u201e\u2039\u300a\u300c",
        kernels.RIGHT_QUOTE: "\u2019",
        kernels.CLOSER: "\u201d\u203a\u300b\u300d",
        kernels.OPEN_PAREN: "(\uff08",
        kernels.CLOSE_PAREN: ")\uff09",
        kernels.ELLIPSIS: "\u2026",
    }
    for kind, characters in named.items():
        for character in characters:
            classes[ord(character)] = kind
    return classes


WORD_RANGES = (
    (0x30, 0x39),
    (0x41, 0x5A),
    (0x5F, 0x5F),
    (0x61, 0x7A),
    (0xAA, 0xAA),
    (0xB5, 0xB5),
    (0xBA, 0xBA),
    (0xC0, 0xD6),
    (0xD8, 0xF6),
    (0xF8, 0x2C1),
    (0x300, 0x36F),
    (0x370, 0x374),
    (0x376, 0x377),
    (0x37A, 0x37D),
    (0x386, 0x386),
    (0x388, 0x3FF),
    (0x400, 0x481),
    (0x483, 0x487),
    (0x48A, 0x52F),
    (0x3005, 0x3007),
    (0x3041, 0x3096),
    (0x3099, 0x309A),
    (0x309D, 0x309F),
    (0x30A1, 0x30FA),
    (0x30FC, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xFF10, 0xFF19),
    (0xFF21, 0xFF3A),
    (0xFF41, 0xFF5A),
)
"""Letters, digits and marks (`\\w`) that mean nothing else to sentencex."""

OTHERS = (
    "#$%&*+,-/:;=|~^"
    "\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xac\xae\xaf\xb0\xb1\xb4\xb6\xb7\xb8\xbf\xd7\xf7\u0375"
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2020\u2021\u2032\u2033\u20ac\u2122"
    "\u203b\u2500\u3001\u3003\u3008\u3009\u300e\u300f\u3010\u3011\u3013\u3014\u3015\u301c\u30fb"
    "\uff03\uff0c\uff0f\uff1a\uff1b\uff3b\uff3c\uff3d\uff5e"
)
"""Other characters (`\\W`) that mean nothing to sentencex."""
