"""The weights in a Hugging Face directory, by the names of today: one file or several with an
index, safetensors or pickled, whatever names older versions gave.

What cannot be read exactly is refused by its own name: a decoder that is not tied to the word
embeddings, a model without the head for masked tokens.
"""

import json
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from shards.errors import UserError
from trainer.models.names import TIED_TO

WEIGHTS = "model.safetensors"

PICKLED = "pytorch_model.bin"

# The heads that transformers has no place for, in an export.
HEADS = "heads.safetensors"

# What older checkpoints call the two weights of a LayerNorm.
OLD_NAMES = {".gamma": ".weight", ".beta": ".bias"}

# A tensor that every RoBERTa and BERT has, without the name of its encoder.
WORDS = "embeddings.word_embeddings.weight"

MASKED_MODELS = "give a directory of RobertaForMaskedLM, BertForMaskedLM or BertForPreTraining"


def read_weights(directory: Path, family: str) -> dict[str, Tensor]:
    """The weights by their published names, without tied copies. `family` is "roberta" or "bert".

    Raises `UserError` when they cannot be read, when the model has no head for masked tokens, or
    when its decoder is not tied.
    """
    state = read_any_weights(directory, family)
    refuse_without_head(directory, state, family)
    return without_tied(directory, state, family)


def read_any_weights(directory: Path, family: str) -> dict[str, Tensor]:
    """The weights by their published names, whatever head the model has. Raises `UserError` when
    they cannot be read."""
    try:
        stored = read_files(directory)
    except Exception as error:  # each reader raises its own kinds for damaged files
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{directory}: its weights cannot be read: {first_line(error)}",
            "copy the directory again",
        ) from None

    state = {}
    for name, tensor in stored.items():
        # Position ids are a buffer in old files.
        if not name.endswith("position_ids"):
            state[todays_name(name)] = tensor
    state = with_prefix(state, family)
    if family == "roberta":
        # A RoBERTa's tokens all have type 0, whatever rows the table has besides.
        types = "roberta.embeddings.token_type_embeddings.weight"
        if types in state and state[types].dim() == 2:
            state[types] = state[types][:1]
    return state


def read_files(directory: Path) -> dict[str, Tensor]:
    """The tensors of all files, by the names in them. Raises `UserError` when there are none."""
    names = weight_names(directory, WEIGHTS) or weight_names(directory, PICKLED)
    if not names:
        raise UserError(
            f"{directory}: neither {WEIGHTS} nor {PICKLED} in it, nor the index of either",
            MASKED_MODELS,
        )

    state: dict[str, Tensor] = {}
    for name in names:
        path = directory / name
        if name.endswith(".safetensors"):
            state.update(safetensors.torch.load_file(path))
        else:
            state.update(torch.load(path, map_location="cpu", weights_only=True))
    if (directory / HEADS).exists():
        state.update(safetensors.torch.load_file(directory / HEADS))
    return state


def weight_names(directory: Path, whole: str) -> list[str]:
    """The files of the weights: one, or those that its index names; none where neither is there.

    Raises `UserError` where a file that the index names is missing.
    """
    if (directory / whole).exists():
        return [whole]
    index = directory / f"{whole}.index.json"
    if not index.exists():
        return []

    try:
        files = sorted(set(json.loads(index.read_text("utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            f"{index}: not an index of weights", "copy the directory again, with all its files"
        ) from None

    for name in files:
        if "/" in str(name) or not (directory / name).is_file():
            raise UserError(f"{directory}: {name} is missing, which {index.name} names", "copy it")
    return files


def todays_name(name: str) -> str:
    """The name of a tensor in today's files."""
    for old, new in OLD_NAMES.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def with_prefix(state: dict[str, Tensor], family: str) -> dict[str, Tensor]:
    """The weights, with the name of the encoder before those of a file that left it out."""
    if WORDS not in state:
        return state
    encoder = ("embeddings.", "encoder.", "pooler.")
    return {
        f"{family}.{name}" if name.startswith(encoder) else name: tensor
        for name, tensor in state.items()
    }


def refuse_without_head(directory: Path, state: dict[str, Tensor], family: str) -> None:
    """Raise `UserError` for a model that has no head for masked tokens, which says what it has."""
    head = "lm_head." if family == "roberta" else "cls.predictions."
    if any(name.startswith(head) for name in state):
        return

    beside = sorted({name.split(".")[0] for name in state} - {family})
    parts = f"an encoder and {', '.join(beside)}" if beside else "an encoder alone"
    raise UserError(
        f"{directory}: no head for masked tokens in it ({head}*): it holds {parts}", MASKED_MODELS
    )


def without_tied(directory: Path, state: dict[str, Tensor], family: str) -> dict[str, Tensor]:
    """The weights without the copies of tied ones. Raises `UserError` for a copy that differs,
    since a model with a decoder of its own computes other logits than ours."""
    found = dict(state)
    for name, original in TIED_TO.items():
        copy = found.pop(name, None)
        tied = state.get(original.format(family=family))
        if copy is None or tied is None:
            continue
        if copy.shape != tied.shape or not torch.equal(copy, tied):
            raise UserError(
                f"{directory}: {name} is not a copy of {original.format(family=family)}: the model "
                "has a decoder of its own, which our encoder has not",
                "give a model whose decoder is tied to its word embeddings",
            )
    return found


def first_line(error: Exception) -> str:
    """The first line of an error."""
    return (str(error).splitlines() or [type(error).__name__])[0]
