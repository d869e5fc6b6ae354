"""Where words begin, read from a vocabulary once: for whole-word and span masks.

`word_starts` has a value per id: 1 when a token of this id begins a word wherever it stands, 0 when
it continues the word before it. `word_ends` has 1 when the token after one of this id begins a word
whatever it is: "hello" continues "Ot", but not "(". A token begins a word where

    starts[ids[i]] or ends[ids[i - 1]]

and always after a special id, so at a document's first token. In shards with `whitespace = "strip"`
the first token of a sentence has no space before it either: the caller knows the lengths of the
sentences, and begins a word at each. (With "space" and "keep" a sentence after the first begins
with the space that the text has there; in Chinese there is none and a character begins a word.)

Words are those of BERT's BasicTokenizer (google-research/bert, tokenization.py): cut at white
space, at each mark of punctuation and around each Chinese character, so "don't" has three
(two where the vocabulary has a token "'t"). Digits
and letters without a mark between them are one word. In the other scripts that are written without
spaces (kana, Thai, Khmer, ...) BERT makes a whole sentence one word; here each token begins one.
Which characters are marks is asked of the `tokenizers` library.
"""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import normalizers, pre_tokenizers

from shards.errors import UserError
from shards.roles import TokenizerFile, byte_letters, vocabulary_of

WITHOUT_SPACES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19FF),  # Tai Le, New Tai Lue, Khmer symbols
    (0x1A20, 0x1AAF),  # Tai Tham
    (0xA980, 0xA9FF),  # Javanese, Myanmar extended
    (0xAA60, 0xAADF),  # Myanmar extended, Tai Viet
    (0x2E80, 0x312F),  # CJK radicals and marks, kana, bopomofo
    (0x31A0, 0x9FFF),  # bopomofo, kana, Chinese characters
    (0xF900, 0xFAFF),  # compatibility forms of Chinese characters
    (0xFF66, 0xFF9F),  # kana of half width
    (0x1B000, 0x1B16F),  # kana supplement
    (0x20000, 0x3FFFF),  # CJK extensions B and later
)
"""Ranges of code points of scripts that put no space between words."""

PER_ID = NDArray[np.uint8]

SPACE = " "


@dataclass(frozen=True)
class Token:
    """A token of the vocabulary: its text as bytes, which may begin or end inside a character.

    `marked`: whether the vocabulary itself says that it continues a word, as `##ing` does; None
    where only its text tells. `special`: no text at all.
    """

    number: int
    text: bytes
    marked: bool | None = None
    special: bool = False


def word_starts(tokenizer_json: str | bytes) -> PER_ID:
    """(V,) uint8 by id: 1 where a token begins a word wherever it stands, else 0. Special ids, and
    ids that the vocabulary leaves out, have 1.

    `tokenizer_json` is the content of the file. Raises `UserError` when the vocabulary does not
    tell where words begin.
    """
    tokens = read_tokens(tokenizer_json)
    table = np.ones(table_size(tokens), np.uint8)
    for token in tokens:
        if not token.special and token.marked is not False:
            table[token.number] = begins_word(token.text)
    return table


def word_ends(tokenizer_json: str | bytes) -> PER_ID:
    """(V,) uint8 by id: 1 where the token after one of this id begins a word, whatever it is, else
    0. Special ids have 1. Raises `UserError` as `word_starts`."""
    tokens = read_tokens(tokenizer_json)
    table = np.zeros(table_size(tokens), np.uint8)
    for token in tokens:
        table[token.number] = token.special or ends_word(token.text)
    return table


def table_size(tokens: list[Token]) -> int:
    """V: one more than the highest id."""
    return max(token.number for token in tokens) + 1


# --- the texts of the tokens


def read_tokens(tokenizer_json: str | bytes) -> list[Token]:
    """Every token of a `tokenizer.json`. Raises `UserError` when they do not tell where words
    begin."""
    data = json.loads(tokenizer_json)
    added = {token["id"]: token for token in data["added_tokens"]}
    tokens = [token for token in model_tokens(data) if token.number not in added]

    for number, token in added.items():
        tokens.append(Token(number, token["content"].encode(), special=token["special"]))
    return tokens


def model_tokens(data: TokenizerFile) -> Iterator[Token]:
    """The tokens of the model. Raises `UserError`."""
    model = data["model"]
    kind = model.get("type", "BPE")
    ids = vocabulary_of(model)
    prefix = model.get("continuing_subword_prefix") or ""
    before = json.dumps([data.get("normalizer"), data.get("pre_tokenizer")], ensure_ascii=False)
    is_bytes = '"ByteLevel"' in before
    space = "▁" if "▁" in before else SPACE

    if prefix or kind == "WordLevel":
        for piece, number in ids.items():
            continues = bool(prefix) and piece.startswith(prefix)
            bare = piece[len(prefix) :] if continues else piece
            yield Token(number, bare.encode(), continues)
        return

    tokens = []
    for piece, number in ids.items():
        text = byte_level(piece) if is_bytes else plain(piece.replace(space, SPACE))
        tokens.append(Token(number, text))

    # Without spaces inside the tokens nothing tells "ice cream" from "icecream".
    marks_words = is_bytes or space != SPACE
    if not marks_words or not any(token.text.startswith(b" ") for token in tokens):
        raise UserError(
            f"the vocabulary ({kind}) does not tell where words begin",
            "mask single tokens: --masking.unit token; or build the shards with byte-level BPE or "
            "WordPiece",
        )
    yield from tokens


def byte_level(piece: str) -> bytes:
    """The bytes of a token of byte-level BPE; one with other letters is taken as it is."""
    letters = byte_letters()
    if any(letter not in letters for letter in piece):
        return piece.encode()
    return bytes([letters[letter] for letter in piece])


def plain(piece: str) -> bytes:
    """The bytes of a token of text, or the one byte that `<0xE4>` stands for."""
    found = re.fullmatch("<0x([0-9A-F]{2})>", piece)
    return bytes([int(found[1], 16)]) if found else piece.encode()


# --- the rules of words


def begins_word(text: bytes) -> bool:
    """Whether a token of this text begins a word whatever is before it."""
    if not text:
        return False

    length = character_length(text[0])
    head = text[:length]
    if length == 0:
        return False  # the rest of a character
    if len(head) == length:
        return is_cut(head.decode("utf-8", "replace")) or is_letter_without_spaces(head)

    # The beginning of a character: is every one that begins so of a script without spaces?
    missing = length - len(head)
    return all(is_letter_without_spaces(head + end * missing) for end in (b"\x80", b"\xbf"))


def ends_word(text: bytes) -> bool:
    """Whether the token after one of this text begins a word whatever it is.

    The space of " (" belongs to the token after it, and so does a lone one. A character that is
    several tokens ends no word, since its last bytes do not tell which it is.
    """
    start = len(text) - 1
    while start > 0 and character_length(text[start]) == 0:
        start -= 1

    tail = text[max(start, 0) :]
    if not tail or tail == b" " or character_length(tail[0]) != len(tail):
        return False
    return is_cut(tail.decode("utf-8", "replace"))


def character_length(byte: int) -> int:
    """The bytes of a UTF-8 character that begins with `byte`, 0 where none does."""
    if byte < 0x80:
        return 1
    if byte < 0xC0:
        return 0
    if byte < 0xE0:
        return 2
    return 3 if byte < 0xF0 else 4


@functools.cache
def is_cut(character: str) -> bool:
    """Whether BERT cuts words here: white space, punctuation, a Chinese character."""
    spaced = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False
    )
    text = spaced.normalize_str(f"a{character}a")
    pieces = pre_tokenizers.BertPreTokenizer().pre_tokenize_str(text)
    return len(pieces) > 1


@functools.cache
def is_letter_without_spaces(character: bytes) -> bool:
    """Whether a character is of a script without spaces, and no mark over the letter before it."""
    try:
        letter = character.decode()
    except UnicodeDecodeError:
        return False
    if not any(first <= ord(letter) <= last for first, last in WITHOUT_SPACES):
        return False

    bare = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])
    return bool(bare.normalize_str(letter))
