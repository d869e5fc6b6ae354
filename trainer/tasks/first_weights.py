"""The first weights of a fine-tuning run: those of a pretraining run, of another fine-tuning run,
or of a Hugging Face directory, whatever its head.

The encoder is taken as it is. The head is taken too where the other model is of the same task with
the same labels; otherwise it is new. A BERT's pooler is a part of its encoder in the published
names, and is taken wherever it is there.
"""

import json
from pathlib import Path

import torch

from shards.errors import UserError
from trainer.config import ModelConfig
from trainer.models.names import published_name
from trainer.models.pretraining import load_published, published_state
from trainer.pretrained import is_checkpoint
from trainer.tasks.info import has_task, read_info
from trainer.tasks.model import TaskModel
from trainer.weight_files import read_any_weights

HINT = "give a run of trainer pretrain, or a Hugging Face directory of a RoBERTa or a BERT"


@torch.no_grad()
def load_first(directory: Path, model: TaskModel, labels: tuple[str, ...]) -> list[str]:
    """Copy the weights of a directory or a checkpoint into a model whose task has these labels;
    return the published names of the weights that stay new.

    Raises `UserError` naming the first tensor of the encoder that is missing or does not fit.
    """
    state = read_any_weights(directory, model.config.family)
    own = published_state(model)
    heads = set(head_tensors(model))
    same_head = has_same_head(directory, model, labels)

    found = {}
    new = []
    for name, tensor in own.items():
        is_shared = name.startswith("bert.pooler.") or model.masked is not None
        wanted = name not in heads or same_head or is_shared
        fits = name in state and state[name].shape == tensor.shape
        if wanted and fits:
            found[name] = state[name]
        elif name in heads:
            found[name] = tensor.clone()
            new.append(name)
        elif name not in state:
            raise UserError(f"{directory}: no tensor {name}", HINT)
        else:
            raise UserError(
                f"{directory}: {name}: shape {tuple(state[name].shape)}, the model has "
                f"{tuple(tensor.shape)}",
                "give a directory whose config.json fits its weights",
            )

    layers = f"{published_name('encoder.embeddings.norm.bias', model.config).split('.')[0]}.encoder"
    for name in state:
        if name.startswith(f"{layers}.layer.") and name not in own:
            raise UserError(f"{directory}: a tensor that the model does not have: {name}", HINT)
    load_published(model, found)
    return new


def head_tensors(model: TaskModel) -> list[str]:
    """The published names of the weights of the head."""
    names = [name for name, _ in model.named_parameters() if not name.startswith("encoder.")]
    return [published_name(name, model.config) for name in names]


def has_same_head(directory: Path, model: TaskModel, labels: tuple[str, ...]) -> bool:
    """Whether a directory or a checkpoint has the head of a task with these very labels."""
    run = directory.parents[1] if is_checkpoint(directory) else directory
    if has_task(run):
        info = read_info(run)
        return info.head.kind == model.head.kind and info.labels == labels
    if model.head.kind != "classes" or not (directory / "config.json").exists():
        return False

    content = json.loads((directory / "config.json").read_text("utf-8"))
    named = content.get("id2label") or {}
    return [named[key] for key in sorted(named, key=int)] == list(labels)


def as_read(config: ModelConfig) -> ModelConfig:
    """The shape of a model as a task has it: without the heads of pretraining."""
    return ModelConfig(**{**vars(config), "next_head": False, "span_head": False})
