"""What the special tokens of a vocabulary are for: their roles, whatever their names are.

`start` begins a sample, `end` ends a sentence or a sample, `pad` fills a row, `unknown` stands for
what the vocabulary cannot write, `mask` hides a token.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

TokenizerFile = Mapping[str, Any]
"""The content of a `tokenizer.json`, or its `model`."""

ROLES = ("start", "pad", "end", "unknown", "mask")
"""In the order of fairseq's dictionary."""

ROBERTA = {
    "start": "<s>",
    "pad": "<pad>",
    "end": "</s>",
    "unknown": "<unk>",
    "mask": "<mask>",
}

BERT = {
    "pad": "[PAD]",
    "unknown": "[UNK]",
    "start": "[CLS]",
    "end": "[SEP]",
    "mask": "[MASK]",
}
"""In the order of BERT's vocab.txt."""

NAMES = {role: (ROBERTA[role], BERT[role]) for role in ROLES}
"""The names of a role. A vocabulary with both kinds means the first: format 1 had no others."""


def roles_by_name(special: Mapping[str, int]) -> dict[str, int]:
    """Role -> id of the special tokens that have a known name."""
    roles = {}
    for role, names in NAMES.items():
        found = [special[name] for name in names if name in special]
        if found:
            roles[role] = found[0]
    return roles


def special_tokens(tokenizer: TokenizerFile) -> dict[str, int]:
    """Name -> id of the special tokens in the content of a `tokenizer.json`, by id."""
    added = sorted(tokenizer["added_tokens"], key=lambda token: int(token["id"]))
    return {token["content"]: token["id"] for token in added if token["special"]}


def roles_of(tokenizer: TokenizerFile) -> dict[str, int]:
    """Role -> id in the content of a `tokenizer.json`.

    The unknown token of a vocabulary that is not lossless is the one that its model writes.
    """
    special = special_tokens(tokenizer)
    roles = roles_by_name(special)
    unknown = unknown_token(tokenizer["model"])
    if unknown in special and not is_lossless(tokenizer):
        roles["unknown"] = special[unknown]
    return {role: roles[role] for role in ROLES if role in roles}


def unknown_token(model: TokenizerFile) -> str | None:
    """The token that a model writes for what it does not know, None where it has none."""
    if model.get("type") == "Unigram":
        number = model.get("unk_id")
        return None if number is None else str(model["vocab"][number][0])
    name = model.get("unk_token")
    return name if name in model["vocab"] else None


def is_lossless(tokenizer: TokenizerFile) -> bool:
    """True when decoding gives every text back: byte-level BPE with all 256 bytes, and nothing that
    changes the text first."""
    is_byte_level = '"ByteLevel"' in json.dumps(tokenizer.get("pre_tokenizer"))
    if tokenizer.get("normalizer") is not None or not is_byte_level:
        return False

    return set(byte_letters()) <= set(vocabulary_of(tokenizer["model"]))


def vocabulary_of(model: TokenizerFile) -> dict[str, int]:
    """Token -> id of a model; a Unigram model has a list of tokens with their scores."""
    vocabulary = model["vocab"]
    if isinstance(vocabulary, dict):
        return vocabulary
    return {piece: number for number, (piece, _) in enumerate(vocabulary)}


@functools.cache
def byte_letters() -> dict[str, int]:
    """The byte that each letter of byte-level BPE stands for (GPT-2's encoder.py): printable
    Latin-1 for itself, the others in order from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {chr(byte): byte for byte in printable}
    for place, byte in enumerate(others):
        letters[chr(0x100 + place)] = byte
    return letters
