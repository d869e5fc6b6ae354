"""The sentences of sentencex, text by text, in plain Python: what the product gave before it had
kernels, and the twin that they are compared with."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import sentencex

from pipelines.stages.sentences import Sentences, split_texts


def split_sentences(text: str, language: str, whitespace: str) -> list[str]:
    """The sentences of a normalised text, as they are encoded.

    `whitespace` is that of the recipe. With `keep`, the sentences joined are the text. With
    `space`, a run of white space is one space, and a sentence after the first begins with one where
    white space is before it (in Chinese there is none). `strip` is the same without that space.
    `language` is any code of a language; an unknown one is split like English.
    """
    # sentencex knows Chinese as one language, langdetect as two; a country makes no difference.
    base = language.lower().partition("-")[0]
    code = "en" if base == "any" else base
    spans = list(_sentence_spans(text, code))
    if whitespace == "keep":
        return _whole_text(text, spans)

    sentences: list[str] = []
    end = 0
    for begin, stop in spans:
        sentence = " ".join(text[begin:stop].split())
        if whitespace == "space" and end < begin and sentences:
            sentence = " " + sentence
        sentences.append(sentence)
        end = stop
    return sentences


def _whole_text(text: str, spans: list[tuple[int, int]]) -> list[str]:
    """The text in pieces: each begins where the one before ends, the last reaches to the end."""
    if not spans:
        return []

    ends = [stop for _, stop in spans[:-1]] + [len(text)]
    begins = [0, *ends[:-1]]
    return [text[begin:end] for begin, end in zip(begins, ends)]


def _sentence_spans(text: str, language: str) -> Iterator[tuple[int, int]]:
    """(begin, end) of each sentence without the white space around it."""
    offset = 0
    for paragraph in text.split("\n"):
        position = offset
        for sentence in sentencex.segment(language, paragraph):
            bare = sentence.strip()
            if bare:
                begin = position + len(sentence) - len(sentence.lstrip())
                yield begin, begin + len(bare)
            position += len(sentence)
        offset += len(paragraph) + 1


def as_sentences(documents: list[list[str]]) -> Sentences:
    """Sentences given as strings, as the encoders take them."""
    encoded = [sentence.encode() for document in documents for sentence in document]
    return Sentences(
        np.frombuffer(b"".join(encoded), np.uint8),
        np.cumsum([0, *map(len, encoded)], dtype=np.int64),
        np.cumsum([0, *map(len, documents)], dtype=np.int64),
    )


def as_strings(sentences: Sentences) -> list[list[str]]:
    """The sentences of each document."""
    strings, firsts = sentences.strings(), sentences.firsts.tolist()
    return [strings[begin:end] for begin, end in zip(firsts, firsts[1:])]


def split_text(text: str, language: str, whitespace: str) -> list[str]:
    """The sentences of one text by the product."""
    texts = pa.array([text], pa.large_string())
    return as_strings(split_texts(texts, [language], whitespace))[0]
