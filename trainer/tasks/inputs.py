"""Sequences of one text or two, as each family has them.

RoBERTa: `<s> A </s>` and `<s> A </s> </s> B </s>`. BERT: `[CLS] A [SEP]` and `[CLS] A [SEP] B
[SEP]`, with two token types, which the encoder works out from the first `[SEP]`.
"""

from collections.abc import Sequence

import numpy as np

from trainer.tasks.features import Builder, Features
from trainer.tasks.texts import Ids, TextEncoder


def special_count(family: str, is_pair: bool) -> int:
    """The special ids of a sequence."""
    if not is_pair:
        return 2
    return 4 if family == "roberta" else 3


def join_texts(first: Ids, second: Ids | None, roles: dict[str, int], family: str) -> Ids:
    """The sequence of a text or a pair, with special ids, (T,) int32."""
    start = np.array([roles["start"]], np.int32)
    end = np.array([roles["end"]], np.int32)
    if second is None:
        return np.concatenate([start, first, end])
    between = [end, end] if family == "roberta" else [end]
    return np.concatenate([start, first, *between, second, end])


def shorten(first: int, second: int, room: int) -> tuple[int, int]:
    """The tokens that two texts keep so that both fit into `room`: the end of the longer one goes,
    token by token, as in BERT's code; of two equal ones that of the second."""
    if first + second <= room:
        return first, second

    half = room // 2
    if first <= half:
        return first, room - first
    if second <= half:
        return room - second, second
    return room - half, half


def text_features(
    encoder: TextEncoder,
    family: str,
    length: int,
    rows: Sequence[tuple[str, str, str | None, float]],
) -> Features:
    """The features of texts and pairs: each row is an id, a text, a second text or None, and a
    label (NONE where there is none). A sequence has at most `length` tokens."""
    builder = Builder()
    firsts = encoder.ids([row[1] for row in rows])
    seconds = encoder.ids([row[2] or "" for row in rows])

    for (name, _, other, label), first, second in zip(rows, firsts, seconds, strict=True):
        is_pair = other is not None
        room = length - special_count(family, is_pair)
        kept_first, kept_second = shorten(len(first), len(second), room)
        builder.cut("first", len(first) - kept_first)
        if is_pair:
            builder.cut("second", len(second) - kept_second)
        part = second[:kept_second] if is_pair else None
        sequence = join_texts(first[:kept_first], part, encoder.roles, family)
        builder.add(name, [sequence], label)
    return builder.build()
