"""Weights from Hugging Face directories and from checkpoints of a run, for `--init` and to read an
export back.

Weights keep their published names, so reading is a copy. What does not fit is refused by the name
of the field or tensor: another architecture, another shape, another vocabulary.
"""

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Literal

from shards.errors import UserError
from trainer import checkpoint
from trainer.config import ModelConfig
from trainer.models.names import is_optional
from trainer.models.pretraining import PretrainingModel, load_published, published_state
from trainer.same_vocabulary import compare_vocabularies
from trainer.weight_files import MASKED_MODELS, PICKLED, read_weights

GIVE_A_DIRECTORY = "give a Hugging Face directory of a RoBERTa or a BERT"

# Our families by the `model_type` of config.json; the later ones are RoBERTas by another name.
FAMILIES: dict[str, Literal["roberta", "bert"]] = {
    "roberta": "roberta",
    "xlm-roberta": "roberta",
    "camembert": "roberta",
    "bert": "bert",
}

# What `config.json` must say, where it says it, for our encoder to be the same model.
REQUIRED = {
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}


REASONS = {
    "tie_word_embeddings": "the model has a decoder of its own, which our encoder has not",
}


def find_pretrained(name: str, step: str = "") -> Path:
    """A Hugging Face directory as it is; of a run the checkpoint of `step`, see
    `checkpoint.choose`; any other name is fetched from the Hugging Face hub.

    Raises `UserError` when the run has no such checkpoint, or (exit 3) when huggingface_hub is not
    installed or does not find the name.
    """
    folder = Path(name)
    if (folder / "checkpoints").is_dir() and not (folder / "config.json").exists():
        return checkpoint.choose(folder, step)[0]
    if step:
        raise UserError(f"--init-step {step}: {name} is not a run", "leave out --init-step")
    if folder.is_dir():
        return folder
    if importlib.util.find_spec("huggingface_hub") is None:
        raise UserError(
            f"--init {name}: no such directory",
            "give a run or a Hugging Face directory, or pip install huggingface_hub to fetch hub "
            "ids",
            3,
        )

    from huggingface_hub import snapshot_download

    weights = ["*.safetensors", "*.index.json", PICKLED]
    vocabulary = ["tokenizer.json", "vocab.json", "vocab.txt"]
    try:
        return Path(snapshot_download(name, allow_patterns=["config.json", *weights, *vocabulary]))
    except (
        Exception
    ) as error:  # the client raises dozens of kinds: no network, no such id, no rights
        raise UserError(
            f"--init {name}: no such directory, and the hub did not give it: "
            f"{str(error).splitlines()[0]}",
            "give a run or a Hugging Face directory",
            3,
        ) from None


def read_config(directory: Path, base: ModelConfig) -> ModelConfig:
    """The shape of the RoBERTa or BERT in a Hugging Face directory, with the dropout and the heads
    of `base`.

    Raises `UserError` when `config.json` cannot be read or is of another architecture.
    """
    if is_checkpoint(directory):
        return own_config(directory, base)

    path = directory / "config.json"
    try:
        content = json.loads(path.read_text("utf-8"))
        kind = content.get("model_type", "roberta")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}", GIVE_A_DIRECTORY) from None
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path}: not a configuration: {error}", GIVE_A_DIRECTORY) from None

    refuse_other_models(path, content, kind)
    family = FAMILIES[kind]
    try:
        pad_id = number(content, "pad_token_id", 1 if family == "roberta" else 0)
        # The table of a RoBERTa also has a row for each id up to that of <pad>.
        padding = pad_id + 1 if family == "roberta" else 0
        return dataclasses.replace(
            base,
            family=family,
            layers=number(content, "num_hidden_layers"),
            hidden=number(content, "hidden_size"),
            intermediate=number(content, "intermediate_size"),
            heads=number(content, "num_attention_heads"),
            positions=number(content, "max_position_embeddings") - padding,
            vocab_size=number(content, "vocab_size"),
            pad_id=pad_id,
            layer_norm_eps=float(content["layer_norm_eps"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: not the configuration of a RoBERTa or a BERT: {error}", GIVE_A_DIRECTORY
        ) from None


def number(content: dict[str, object], key: str, default: int | None = None) -> int:
    """A whole number of a configuration. Raises `KeyError` where it is missing and has no default,
    and `ValueError` where it is none."""
    value = content[key] if default is None else content.get(key, default)
    if not isinstance(value, int):
        raise ValueError(f"{key} is {value!r}")
    return value


def refuse_other_models(path: Path, content: dict[str, object], kind: object) -> None:
    """Raise `UserError` naming the first field that says that a model is not one of ours."""
    if kind not in list(FAMILIES):
        known = ", ".join(FAMILIES)
        raise UserError(
            f"{path}: model_type is {kind!r}, which is none of {known}", GIVE_A_DIRECTORY
        )
    required = dict(REQUIRED)
    if kind == "bert":
        required["type_vocab_size"] = 2
    for key, value in required.items():
        if content.get(key, value) != value:
            reason = REASONS.get(key, f"only {value!r} can be read")
            raise UserError(f"{path}: {key} is {content[key]!r}: {reason}", GIVE_A_DIRECTORY)


def is_checkpoint(directory: Path) -> bool:
    """Whether a directory is a checkpoint of a run: RUN/checkpoints/step-N."""
    return (directory / checkpoint.STATE).exists()


def own_config(directory: Path, base: ModelConfig) -> ModelConfig:
    """The shape of the model in a checkpoint of a run, with the dropout and the heads of `base`."""
    config = checkpoint.model_config(checkpoint.read_state(directory))
    return dataclasses.replace(
        config,
        dropout=base.dropout,
        attention_dropout=base.attention_dropout,
        next_head=base.next_head,
        span_head=base.span_head,
    )


def load_pretrained(directory: Path, model: PretrainingModel) -> list[str]:
    """Copy the weights of a Hugging Face directory into `model`.

    The heads of pairs and spans are optional: those that the model does not train are left out, and
    those that the directory lacks keep their first weights: their names are returned. Raises
    `UserError` naming the first tensor that does not fit.
    """
    state = read_weights(directory, model.config.family)
    own = published_state(model)
    # A head that the directory lacks starts from the weights that `build` has drawn.
    new = [name for name in own if name not in state]
    for name in new:
        if not is_optional(name):
            raise UserError(
                f"{directory}: no tensor {name}",
                MASKED_MODELS,
            )
        state[name] = own[name].clone()
    for name in state:
        if name not in own and not is_optional(name):
            raise UserError(
                f"{directory}: a tensor that the model does not have: {name}",
                MASKED_MODELS,
            )

    try:
        load_published(model, state)
    except ValueError as error:
        raise UserError(
            f"{directory}: {error}", "give a directory whose config.json fits its weights"
        ) from None
    return new


def check_tokenizer(directory: Path, shards_directory: str, rows: int) -> str:
    """Refuse weights of `rows` ids whose vocabulary is not that of the shards.

    Returns a warning where there is none to compare. Raises `UserError` naming the first token that
    differs.
    """
    # The tokenizer of a checkpoint is that of its run.
    tokenizer = directory.parents[1] if is_checkpoint(directory) else directory
    return compare_vocabularies(directory, tokenizer, Path(shards_directory), rows)
