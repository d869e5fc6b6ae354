"""The inputs of WSC: a sentence whose pronoun is masked, once for each candidate that it may mean
(RoBERTa paper, section 5.1; Kocijan et al. 2019).

A candidate is scored by the mean log-probability of its tokens in the place of the pronoun. The
candidates are the noun phrases that other rows give for the same pronoun, and the noun phrases that
spaCy finds where it is installed with an English model. Training uses the rows whose phrase is the
right one.
"""

import functools
from collections.abc import Callable, Sequence

import numpy as np

from corpora.tasks.examples import Referent
from trainer.tasks.features import NONE, Builder, Features
from trainer.tasks.texts import Ids, TextEncoder

# The English models of spaCy, the best first.
SPACY_MODELS = ("en_core_web_lg", "en_core_web_md", "en_core_web_sm")

Chunker = Callable[[str], list[str]]


@functools.cache
def spacy_chunks() -> Chunker | None:
    """The noun phrases of a text by spaCy; None where it or an English model is not installed."""
    try:
        import spacy
    except ImportError:
        return None

    for name in SPACY_MODELS:
        try:
            pipeline = spacy.load(name)
        except OSError:
            continue
        return lambda text: [chunk.text for chunk in pipeline(text).noun_chunks]
    return None


def candidate_features(
    encoder: TextEncoder,
    length: int,
    rows: Sequence[Referent],
    training: bool,
    chunks: Chunker | None = None,
) -> Features:
    """The features of referents: of each item the first sequence is the row's own phrase, the
    others are its candidates. `training` takes the rows whose phrase is right and that have a
    candidate; the others are counted as `unused`."""
    builder = Builder()
    given: dict[tuple[str, int], list[str]] = {}
    for row in rows:
        given.setdefault((row.text, row.pronoun_word), []).append(row.phrase)

    for number, row in enumerate(rows):
        found = given[row.text, row.pronoun_word] + (chunks(row.text) if chunks else [])
        others = other_candidates(row, found)
        label = NONE if row.label is None else row.label
        if training and (label != 1 or not others):
            builder.cut("unused", 1)
            continue

        sequences = []
        truths = []
        for phrase in [row.phrase, *others]:
            truth, first, count = masked_sentence(encoder, row, phrase, length, builder)
            masked = truth.copy()
            masked[first : first + count] = encoder.roles["mask"]
            truths.append(truth)
            sequences.append(masked)
        builder.add(row.id or str(number), sequences, label, truths)
    return builder.build()


def other_candidates(row: Referent, found: Sequence[str]) -> list[str]:
    """The candidates beside a row's phrase: each once, none that holds the phrase or is in it, none
    that is the pronoun."""
    own = row.phrase.lower()
    kept: dict[str, str] = {}
    for phrase in found:
        text = phrase.strip()
        low = text.lower()
        if text and low not in own and own not in low and low != row.pronoun.lower():
            kept.setdefault(low, text)
    return list(kept.values())


def masked_sentence(
    encoder: TextEncoder, row: Referent, phrase: str, length: int, builder: Builder
) -> tuple[Ids, int, int]:
    """The sentence with a phrase in the place of the pronoun, and where the phrase is: its first
    token and its tokens. A sentence that is too long loses its end, then its beginning."""
    words = row.text.split()
    word = words[row.pronoun_word]
    # What is attached to the pronoun stays: "he," or "it's".
    attached = word[len(row.pronoun) :] if word.lower().startswith(row.pronoun.lower()) else ""
    before = " ".join(words[: row.pronoun_word])
    count = len(row.pronoun.split())
    after = " ".join([attached, *words[row.pronoun_word + count :]])
    if attached or not after:
        after = after.rstrip()

    left, middle, right = encoder.ids([before, f" {phrase}" if before else phrase, after])
    room = length - 2
    middle = middle[:room]
    right_kept = right[: max(room - len(middle) - len(left), 0)]
    left_room = room - len(middle) - len(right_kept)
    left_kept = left[len(left) - min(len(left), left_room) :]
    builder.cut("sentence", len(left) - len(left_kept) + len(right) - len(right_kept))

    start = np.array([encoder.roles["start"]], np.int32)
    end = np.array([encoder.roles["end"]], np.int32)
    sentence = np.concatenate([start, left_kept, middle, right_kept, end])
    return sentence, 1 + len(left_kept), len(middle)
