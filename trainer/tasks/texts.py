"""From texts to token ids, with the tokenizer of a run or of a Hugging Face directory.

Texts are encoded as they are, without a space before them and without special tokens, as fairseq
encodes the tasks of the RoBERTa paper. What stands for no text is added by `inputs.py`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tokenizers
from numpy.typing import NDArray

from shards.errors import UserError
from shards.roles import ROLES, roles_of
from trainer.pretrained import is_checkpoint

Ids = NDArray[np.int32]

# Texts that are encoded at once; more are no faster, and take memory.
AT_ONCE = 4096


@dataclass(frozen=True)
class Encoded:
    """The tokens of a text: `ids` (T,), and `starts` and `ends` (T,) int64, the characters of the
    text [start, end) that each stands for, without the white space around it."""

    ids: Ids
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]


@dataclass(frozen=True)
class TextEncoder:
    """A tokenizer that encodes text as text, and the ids of its special tokens by role."""

    tokenizer: tokenizers.Tokenizer
    roles: dict[str, int]

    def ids(self, texts: Sequence[str]) -> list[Ids]:
        """The token ids of each text."""
        found: list[Ids] = []
        for first in range(0, len(texts), AT_ONCE):
            part = list(texts[first : first + AT_ONCE])
            encodings = self.tokenizer.encode_batch(part, add_special_tokens=False)
            found += [np.array(encoding.ids, np.int32) for encoding in encodings]
        return found

    def encode(self, text: str) -> Encoded:
        """The tokens of a text and the characters that they stand for."""
        encoding = self.tokenizer.encode(text, add_special_tokens=False)
        starts = np.empty(len(encoding.ids), np.int64)
        ends = np.empty(len(encoding.ids), np.int64)
        for place, (start, end) in enumerate(encoding.offsets):
            # A token of byte-level BPE holds the space before its word.
            while start < end and text[start].isspace():
                start += 1
            while end > start and text[end - 1].isspace():
                end -= 1
            starts[place], ends[place] = start, end
        return Encoded(np.array(encoding.ids, np.int32), starts, ends)


def open_encoder(directory: Path) -> TextEncoder:
    """The encoder of a run, of a checkpoint of it, or of a Hugging Face directory.

    Raises `UserError` when there is no tokenizer that can be read, or it lacks a special token.
    """
    folder = directory.parents[1] if is_checkpoint(directory) else directory
    try:
        tokenizer = read_tokenizer(folder)
        content = json.loads(tokenizer.to_str())
    except Exception as error:  # tokenizers raises plain exceptions for damaged files
        raise UserError(
            f"{folder}: its tokenizer cannot be read: {str(error).splitlines()[0]}",
            "copy tokenizer.json, vocab.json with merges.txt, or vocab.txt into it",
        ) from None

    roles = roles_of(content)
    missing = [role for role in ROLES if role not in roles]
    if missing:
        raise UserError(
            f"{folder}: its tokenizer has no special token for {missing[0]}",
            "give a RoBERTa or a BERT with its own tokenizer",
        )

    # A text that holds </s> must not be able to end a sequence.
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return TextEncoder(tokenizer, roles)


def read_tokenizer(folder: Path) -> tokenizers.Tokenizer:
    """The tokenizer in `tokenizer.json`, else in `vocab.json` and `merges.txt` (a RoBERTa's), else
    in `vocab.txt` (a BERT's)."""
    if (folder / "tokenizer.json").exists() or not (folder / "vocab.json").exists():
        if not (folder / "tokenizer.json").exists() and (folder / "vocab.txt").exists():
            return read_word_pieces(folder)
        return tokenizers.Tokenizer.from_str((folder / "tokenizer.json").read_text("utf-8"))

    model = tokenizers.models.BPE.from_file(
        str(folder / "vocab.json"), str(folder / "merges.txt"), unk_token=None
    )
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    return tokenizer


def read_word_pieces(folder: Path) -> tokenizers.Tokenizer:
    """A BERT's tokenizer from `vocab.txt`; `tokenizer_config.json` says whether it lowers case."""
    settings = {}
    if (folder / "tokenizer_config.json").exists():
        settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))

    model = tokenizers.models.WordPiece.from_file(str(folder / "vocab.txt"), unk_token="[UNK]")
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(
        lowercase=bool(settings.get("do_lower_case", True))
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = tokenizers.decoders.WordPiece()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return tokenizer
