"""Weights from Hugging Face directories and from checkpoints of a run, for `--init` and to read an
export back.

Weights keep their published names, so reading is a copy. What does not fit is refused by the name
of the field or tensor: another architecture, another shape, another vocabulary.
"""

import dataclasses
import importlib.util
import json
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from shards.errors import UserError
from trainer import checkpoint
from trainer.config import ModelConfig
from trainer.models.names import TIED, is_optional
from trainer.models.pretraining import PretrainingModel, load_published, published_state

WEIGHTS = "model.safetensors"

PICKLED = "pytorch_model.bin"

# The heads that transformers has no place for, in an export.
HEADS = "heads.safetensors"

GIVE_A_DIRECTORY = "give a Hugging Face directory of a RoBERTa or a BERT"

# What `config.json` must say, where it says it, for our encoder to be the same model; by family,
# which is its `model_type`.
REQUIRED = {
    "roberta": {
        "hidden_act": "gelu",
        "type_vocab_size": 1,
        "position_embedding_type": "absolute",
    },
    "bert": {
        "hidden_act": "gelu",
        "type_vocab_size": 2,
        "position_embedding_type": "absolute",
    },
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

    patterns = ["config.json", "*.safetensors", PICKLED, "tokenizer.json", "vocab.json"]
    try:
        return Path(snapshot_download(name, allow_patterns=[*patterns, "merges.txt"]))
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
        content = json.loads(path.read_text())
        family = content.get("model_type", "roberta")
        pad_id = content.get("pad_token_id", 1 if family == "roberta" else 0)
        # The table of a RoBERTa also has a row for each id up to that of <pad>.
        padding = pad_id + 1 if family == "roberta" else 0
        config = dataclasses.replace(
            base,
            family=family,
            layers=content["num_hidden_layers"],
            hidden=content["hidden_size"],
            intermediate=content["intermediate_size"],
            heads=content["num_attention_heads"],
            positions=content["max_position_embeddings"] - padding,
            vocab_size=content["vocab_size"],
            pad_id=pad_id,
            layer_norm_eps=content["layer_norm_eps"],
        )
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}", GIVE_A_DIRECTORY) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: not the configuration of a RoBERTa or a BERT: {error}", GIVE_A_DIRECTORY
        ) from None

    if family not in REQUIRED:
        raise UserError(
            f"{path}: model_type is {family!r}, not 'roberta' or 'bert'", GIVE_A_DIRECTORY
        )
    for key, value in REQUIRED[family].items():
        if content.get(key, value) != value:
            raise UserError(
                f"{path}: {key} is {content[key]!r}, a {family} has {value!r}", GIVE_A_DIRECTORY
            )
    return config


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


def read_pretrained(directory: Path) -> dict[str, Tensor]:
    """The weights in a Hugging Face directory by their published names, without tied copies.

    Raises `UserError`.
    """
    try:
        if (directory / WEIGHTS).exists():
            state = safetensors.torch.load_file(directory / WEIGHTS)
        else:
            state = torch.load(directory / PICKLED, map_location="cpu", weights_only=True)
        if (directory / HEADS).exists():
            state.update(safetensors.torch.load_file(directory / HEADS))
    except FileNotFoundError:
        raise UserError(
            f"{directory}: neither {WEIGHTS} nor {PICKLED} in it", GIVE_A_DIRECTORY
        ) from None
    except Exception as error:  # each reader raises its own kinds for damaged files
        raise UserError(
            f"{directory}: its weights cannot be read: {str(error).splitlines()[0]}",
            "copy the directory again",
        ) from None

    wanted = {}
    for name, tensor in state.items():
        # Position ids are a buffer in old files.
        if name not in TIED and not name.endswith("position_ids"):
            wanted[name] = tensor
    return wanted


def load_pretrained(directory: Path, model: PretrainingModel) -> list[str]:
    """Copy the weights of a Hugging Face directory into `model`.

    The heads of pairs and spans are optional: those that the model does not train are left out, and
    those that the directory lacks keep their first weights: their names are returned. Raises
    `UserError` naming the first tensor that does not fit.
    """
    state = read_pretrained(directory)
    own = published_state(model)
    # A head that the directory lacks starts from the weights that `build` has drawn.
    new = [name for name in own if name not in state]
    for name in new:
        if not is_optional(name):
            raise UserError(
                f"{directory}: no tensor {name}",
                "give a directory of RobertaForMaskedLM, BertForMaskedLM or BertForPreTraining",
            )
        state[name] = own[name].clone()
    for name in state:
        if name not in own and not is_optional(name):
            raise UserError(
                f"{directory}: a tensor that the model does not have: {name}",
                "give a directory of RobertaForMaskedLM, BertForMaskedLM or BertForPreTraining",
            )

    try:
        load_published(model, state)
    except ValueError as error:
        raise UserError(
            f"{directory}: {error}", "give a directory whose config.json fits its weights"
        ) from None
    return new


def check_tokenizer(directory: Path, shards_directory: str) -> None:
    """Refuse weights whose vocabulary is not that of the shards, where both are there to compare.

    Raises `UserError` naming the first token that differs.
    """
    # The tokenizer of a checkpoint is that of its run.
    theirs = read_vocabulary(directory.parents[1] if is_checkpoint(directory) else directory)
    ours = read_vocabulary(Path(shards_directory))
    if theirs is None or ours is None:
        return

    for token, number in ours.items():
        if theirs.get(token) != number:
            raise UserError(
                f"{directory}: its tokenizer is not the shards': the id of {token!r} is "
                f"{theirs.get(token)}, not {number}",
                "build the shards with the model's tokenizer: [tokenizer] path",
            )


def read_vocabulary(directory: Path) -> dict[str, int] | None:
    """Token -> id from `tokenizer.json` or `vocab.json`; None where neither can be read."""
    try:
        if not (directory / "tokenizer.json").exists():
            return dict(json.loads((directory / "vocab.json").read_text()))

        content = json.loads((directory / "tokenizer.json").read_text())
        added = {token["content"]: token["id"] for token in content["added_tokens"]}
        return {**content["model"]["vocab"], **added}
    except (OSError, ValueError, KeyError, TypeError):
        return None
