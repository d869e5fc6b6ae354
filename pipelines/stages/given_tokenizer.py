"""TODO-DOC pipelines/stages/given_tokenizer.py."""

import json
import os
import tempfile

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from pipelines.home.fingerprints import fingerprint
from shards.errors import UserError
from shards.format import SPECIAL
from shards.storage import files


def with_special_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """The same tokenizer with those of the five special tokens appended that it lacks. `<mask>`
    takes the space before it, as RoBERTa's does, where text is written with a mask by hand."""
    for token in SPECIAL:
        tokenizer.add_special_tokens(
            [AddedToken(token, special=True, normalized=False, lstrip=token == "<mask>")]
        )
    return tokenizer


def load_given(path: str) -> Tokenizer:
    """A vocabulary from tokenizer.json, or from a folder with it, with vocab.json and merges.txt,
    or with encoder.json, vocab.bpe and, for RoBERTa's ids, dict.txt. Raises `UserError`: not
    readable, or one that prepends a space."""
    try:
        if files.is_folder(path):
            names = {address.rsplit("/", 1)[1] for address in files.list_files(path)}
            if "tokenizer.json" not in names:
                return _from_gpt2_files(path, names)
            path = files.join(path, "tokenizer.json")
        tokenizer = Tokenizer.from_str(files.read_bytes(path).decode())
    except UserError:
        raise
    except (
        Exception
    ) as error:  # the Rust side raises plain Exception for a file it does not understand
        raise UserError(
            f"tokenizer.path: {path}: {error}",
            "give a tokenizer.json of the Hugging Face tokenizers package",
        ) from None
    _refuse_prefix_space(path, json.loads(tokenizer.to_str()))
    return with_special_tokens(tokenizer)


def _refuse_prefix_space(path: str, data: dict[str, object]) -> None:
    """A tokenizer that puts a space before every text would put one before every sentence."""
    for part in ("pre_tokenizer", "normalizer"):
        text = json.dumps(data.get(part))
        if (
            '"add_prefix_space": true' in text
            or '"prepend_scheme": "always"' in text
            or '"type": "Prepend"' in text
        ):
            raise UserError(
                f"tokenizer.path: {path}: its {part} adds a space before the text",
                "set add_prefix_space to false in it",
            )


def _from_gpt2_files(path: str, names: set[str]) -> Tokenizer:
    """The files of GPT-2 and RoBERTa. RoBERTa's ids: 4 + the line of dict.txt, `<mask>` last
    (fairseq's `Dictionary`)."""
    pairs = [("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")]
    found = [pair for pair in pairs if names >= set(pair)]
    if not found:
        raise UserError(
            f"tokenizer.path: {path}: no vocabulary in this folder",
            "it needs tokenizer.json, vocab.json and merges.txt, or encoder.json and vocab.bpe",
        )
    vocabulary: dict[str, int] = json.loads(files.read_bytes(files.join(path, found[0][0])))
    if "dict.txt" in names:
        vocabulary = _roberta_ids(
            vocabulary, files.read_bytes(files.join(path, "dict.txt")).decode()
        )
    with tempfile.TemporaryDirectory() as folder:
        merges = os.path.join(folder, "merges.txt")
        with open(merges, "wb") as stream:
            stream.write(files.read_bytes(files.join(path, found[0][1])))
        vocabulary_file = os.path.join(folder, "vocab.json")
        with open(vocabulary_file, "w", encoding="utf-8") as stream:
            json.dump(vocabulary, stream)
        tokenizer = Tokenizer(models.BPE.from_file(vocabulary_file, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    if "<|endoftext|>" in vocabulary:
        tokenizer.add_special_tokens([AddedToken("<|endoftext|>", special=True, normalized=False)])
    return with_special_tokens(tokenizer)


def _roberta_ids(gpt2: dict[str, int], dictionary: str) -> dict[str, int]:
    pieces = {number: piece for piece, number in gpt2.items()}
    vocabulary = {token: index for index, token in enumerate(SPECIAL[:-1])}
    words = [line.rsplit(" ", 1)[0] for line in dictionary.splitlines() if line]
    # fairseq pads with made-up words to a multiple of 8; copies of the file hold more of them than
    # the model has ids.
    real = sum(not word.startswith("madeupword") for word in words)
    padded = -(-(real + len(vocabulary)) // 8) * 8 - len(vocabulary)
    for number, word in enumerate(words[:padded]):
        vocabulary[pieces[int(word)] if word.isdigit() else word] = len(SPECIAL) - 1 + number
    vocabulary["<mask>"] = len(vocabulary)
    return vocabulary


def given_digest(path: str) -> str:
    """Of the file of a given vocabulary, or of those in its folder. Raises `UserError` where it is
    not there."""
    if not files.is_folder(path):
        try:
            return files.digest(path)
        except FileNotFoundError:
            raise UserError(
                f"tokenizer.path: {path}: no such file",
                "give a tokenizer.json or a folder with one",
            ) from None
    wanted = ("tokenizer.json", "vocab.json", "merges.txt", "encoder.json", "vocab.bpe", "dict.txt")
    return fingerprint(
        files=[
            [name, files.digest(files.join(path, name))]
            for name in wanted
            if files.exists(files.join(path, name))
        ]
    )
