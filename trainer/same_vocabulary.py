"""Are the ids of first weights those of the shards? Their vocabularies are compared token by
token."""

import json
from pathlib import Path

from shards.errors import UserError

USE_THEIRS = "build the shards with the model's tokenizer: [tokenizer] path"


def compare_vocabularies(weights: Path, tokenizer: Path, shards_directory: Path, rows: int) -> str:
    """Compare the vocabulary beside first weights of `rows` ids with that of the shards.

    `weights` is what an error names; `tokenizer` is the folder that has the vocabulary. Returns a
    warning where there is none to compare. Raises `UserError` naming the first token that differs,
    or where there is none to compare and not even the sizes are equal.
    """
    ours = read_vocabulary(shards_directory)
    theirs = read_vocabulary(tokenizer)
    if ours is None:
        return (
            f"{shards_directory}: its tokenizer.json cannot be read, so that of {weights} was "
            "not compared"
        )
    if theirs is None:
        count = max(ours.values()) + 1
        fault = (
            f"{weights}: no tokenizer in it that can be read (tokenizer.json, vocab.json or "
            "vocab.txt)"
        )
        if count != rows:
            raise UserError(
                f"{fault}, and its vocabulary of {rows} ids is not the shards' of {count}",
                "copy its tokenizer.json there, so that the ids can be compared",
            )
        return f"{fault}: its ids were not compared with the shards'; copy its tokenizer.json there"

    for token, number in ours.items():
        if theirs.get(token) != number:
            raise UserError(
                f"{weights}: its tokenizer is not the shards': the id of {token!r} is "
                f"{theirs.get(token)}, not {number}",
                USE_THEIRS,
            )
    return ""


def read_vocabulary(directory: Path) -> dict[str, int] | None:
    """Token -> id from `tokenizer.json`, `vocab.json` or BERT's `vocab.txt`; None where none can be
    read."""
    try:
        if (directory / "tokenizer.json").exists():
            return of_tokenizer(json.loads((directory / "tokenizer.json").read_text("utf-8")))
        if (directory / "vocab.json").exists():
            return dict(json.loads((directory / "vocab.json").read_text("utf-8")))

        lines = (directory / "vocab.txt").read_text("utf-8").split("\n")
        while lines and not lines[-1]:
            lines.pop()
        return {line: number for number, line in enumerate(lines)}
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


def of_tokenizer(content: "dict[str, object]") -> dict[str, int]:
    """Token -> id of a `tokenizer.json`; a Unigram lists its pieces in the order of their ids."""
    model = content["model"]
    vocabulary = model["vocab"]  # type: ignore[index]
    if isinstance(vocabulary, list):
        vocabulary = {piece[0]: number for number, piece in enumerate(vocabulary)}
    added = {token["content"]: token["id"] for token in content["added_tokens"]}  # type: ignore
    return {**vocabulary, **added}
