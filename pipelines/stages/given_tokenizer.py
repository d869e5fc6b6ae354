"""A vocabulary that the user brings: files of Hugging Face tokenizers, GPT-2 or RoBERTa."""

import json
import os
import tempfile

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from pipelines.home.fingerprints import fingerprint
from shards.errors import UserError
from shards.format import SPECIAL
from shards.storage import files

FILES = ("tokenizer.json", "vocab.json", "merges.txt", "encoder.json", "vocab.bpe", "dict.txt")
"""What a folder of a vocabulary may hold."""


def with_special_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer, with those of the five special tokens appended that it lacks.

    `<mask>` takes the space before it, as RoBERTa's does, for text that is masked by hand.
    """
    for token in SPECIAL:
        takes_space = token == "<mask>"
        added = AddedToken(token, special=True, normalized=False, lstrip=takes_space)
        tokenizer.add_special_tokens([added])
    return tokenizer


def load_given(path: str) -> Tokenizer:
    """A vocabulary from tokenizer.json or from a folder.

    The folder holds tokenizer.json, or vocab.json and merges.txt, or encoder.json and vocab.bpe,
    with dict.txt for RoBERTa's ids. Raises `UserError` where it cannot be read, or puts a space
    before every text.
    """
    try:
        if files.is_folder(path):
            names = {address.rsplit("/", 1)[1] for address in files.list_files(path)}
            if "tokenizer.json" not in names:
                return _from_gpt2_files(path, names)
            path = files.join(path, "tokenizer.json")
        tokenizer = Tokenizer.from_str(files.read_bytes(path).decode())
    except UserError:
        raise
    except Exception as error:  # what the Rust side raises for a file it does not understand
        raise UserError(
            f"tokenizer.path: {path}: {error}",
            "give a tokenizer.json of the Hugging Face tokenizers package",
        ) from None
    _refuse_prefix_space(path, json.loads(tokenizer.to_str()))
    return with_special_tokens(tokenizer)


ADDS_SPACE = ('"add_prefix_space": true', '"prepend_scheme": "always"', '"type": "Prepend"')
"""Settings of a tokenizer.json that put a space before every text."""


def _refuse_prefix_space(path: str, data: dict[str, object]) -> None:
    """A tokenizer that puts a space before every text would put one before every sentence."""
    for part in ("pre_tokenizer", "normalizer"):
        text = json.dumps(data.get(part))
        if any(setting in text for setting in ADDS_SPACE):
            raise UserError(
                f"tokenizer.path: {path}: its {part} adds a space before the text",
                "set add_prefix_space to false in it",
            )


def _from_gpt2_files(path: str, names: set[str]) -> Tokenizer:
    """The files of GPT-2 and RoBERTa."""
    pairs = [("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")]
    complete = [pair for pair in pairs if names >= set(pair)]
    if not complete:
        raise UserError(
            f"tokenizer.path: {path}: no vocabulary in this folder",
            "it needs tokenizer.json, vocab.json and merges.txt, or encoder.json and vocab.bpe",
        )

    ids_file, merges_file = complete[0]
    vocabulary: dict[str, int] = json.loads(files.read_bytes(files.join(path, ids_file)))
    if "dict.txt" in names:
        dictionary = files.read_bytes(files.join(path, "dict.txt")).decode()
        vocabulary = _roberta_ids(vocabulary, dictionary)

    # tokenizers reads both from files of this machine.
    with tempfile.TemporaryDirectory() as folder:
        local_merges = os.path.join(folder, "merges.txt")
        with open(local_merges, "wb") as merges:
            merges.write(files.read_bytes(files.join(path, merges_file)))

        local_ids = os.path.join(folder, "vocab.json")
        with open(local_ids, "w", encoding="utf-8") as stream:
            json.dump(vocabulary, stream)
        tokenizer = Tokenizer(models.BPE.from_file(local_ids, local_merges))

    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = byte_level  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    if "<|endoftext|>" in vocabulary:
        tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    return with_special_tokens(tokenizer)


def _roberta_ids(gpt2: dict[str, int], dictionary: str) -> dict[str, int]:
    """RoBERTa's ids: 4 + the line of dict.txt, `<mask>` last (fairseq's `Dictionary`)."""
    pieces = {number: piece for piece, number in gpt2.items()}
    vocabulary = {token: index for index, token in enumerate(SPECIAL[:-1])}
    first = len(vocabulary)
    words = [line.rsplit(" ", 1)[0] for line in dictionary.splitlines() if line]

    # fairseq pads with made-up words to a multiple of 8; copies of the file hold more of them than
    # the model has ids.
    real = sum(not word.startswith("madeupword") for word in words)
    padded = -(-(real + first) // 8) * 8 - first
    for number, word in enumerate(words[:padded], first):
        vocabulary[pieces[int(word)] if word.isdigit() else word] = number

    vocabulary["<mask>"] = len(vocabulary)
    return vocabulary


def given_digest(path: str) -> str:
    """A digest of the file of a given vocabulary, or of those in its folder.

    Raises `UserError` where there is none.
    """
    if not files.is_folder(path):
        try:
            return files.digest(path)
        except FileNotFoundError:
            raise UserError(
                f"tokenizer.path: {path}: no such file",
                "give a tokenizer.json or a folder with one",
            ) from None

    digests = []
    for name in FILES:
        address = files.join(path, name)
        if files.exists(address):
            digests.append([name, files.digest(address)])
    return fingerprint(files=digests)
