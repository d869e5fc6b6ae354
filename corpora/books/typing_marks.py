"""What typists of plain text wrote for italics and for the marks of notes: `_word_` and `[1]`."""

import re

_ITALICS = re.compile(r"(?<![\w_])_(?=[^\s_])((?:[^_\n]|\n(?!\n)){1,1000}?)(?<=\S)_(?![\w_])")

_MARK = re.compile(
    r"(?<=\S)[ \t]?\[(?:\d{1,4}|[A-Z]|[*†‡§]{1,3})\](?=[\s.,;:!?)\]'\"”’»—–-]|$)", re.MULTILINE
)


def without_italics(text: str) -> str:
    """A text without the underscores around words in italics: `_word_`, `_several words_`. One
    inside of a word, as in `a_name`, stays."""
    return _ITALICS.sub(r"\1", text)


def without_note_marks(text: str) -> str:
    """A text without the marks of notes behind words, such as `[1]` and `[A]`. Where one begins a
    line the note itself begins, and it stays."""
    return _MARK.sub("", text)
