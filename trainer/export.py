"""To and from Hugging Face directories: `config.json`, `model.safetensors`, the tokenizer, a model
card.

Weights keep their published names, so both ways are copies. `model.safetensors` is the same to the
byte for the same weights. An export is read back and compared before it counts.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from shards.errors import UserError
from shards.storage import files
from trainer import checkpoint
from trainer.checkpoint import State
from trainer.config import ModelConfig
from trainer.models.roberta import (
    TIED,
    MaskedLM,
    build,
    count_parameters,
    load_published,
    published_state,
)

WEIGHTS = "model.safetensors"

# --- in
# ----------------------------------------------------------------------------------------------------------


def find_pretrained(name: str) -> Path:
    """A directory as it is; anything else is taken for a hub id and fetched by huggingface_hub.
    Raises `UserError`."""
    if Path(name).is_dir():
        return Path(name)
    if importlib.util.find_spec("huggingface_hub") is None:
        raise UserError(
            f"--init {name}: no such directory",
            "give a Hugging Face directory, or pip install huggingface_hub to fetch hub ids",
            3,
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                name,
                allow_patterns=[
                    "config.json",
                    "*.safetensors",
                    "pytorch_model.bin",
                    "tokenizer.json",
                    "vocab.json",
                    "merges.txt",
                ],
            )
        )
    except (
        Exception
    ) as error:  # the client raises dozens of kinds: no network, no such id, no rights
        raise UserError(
            f"--init {name}: no such directory, and the hub did not give it: {str(error).splitlines()[0]}",
            "give a Hugging Face directory",
            3,
        ) from None


def read_config(directory: Path, base: ModelConfig) -> ModelConfig:
    """The shape of a RoBERTa in a Hugging Face directory; dropout is that of `base`. Raises
    `UserError` for another architecture."""
    path = directory / "config.json"
    try:
        found = json.loads(path.read_text())
        pad = found.get("pad_token_id", 1)
        config = ModelConfig(
            layers=found["num_hidden_layers"],
            hidden=found["hidden_size"],
            intermediate=found["intermediate_size"],
            heads=found["num_attention_heads"],
            positions=found["max_position_embeddings"] - pad - 1,
            vocab_size=found["vocab_size"],
            pad_id=pad,
            dropout=base.dropout,
            attention_dropout=base.attention_dropout,
            layer_norm_eps=found["layer_norm_eps"],
        )
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}",
            "give a Hugging Face directory of a RoBERTa",
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not the configuration of a RoBERTa: {error}",
            "give a Hugging Face directory of a RoBERTa",
        ) from None
    wanted = {
        "model_type": "roberta",
        "hidden_act": "gelu",
        "type_vocab_size": 1,
        "position_embedding_type": "absolute",
    }
    for key, value in wanted.items():
        if found.get(key, value) != value:
            raise UserError(
                f"{path}: {key} is {found[key]!r}, a RoBERTa has {value!r}",
                "give a Hugging Face directory of a RoBERTa",
            )
    return config


def read_pretrained(directory: Path) -> dict[str, Tensor]:
    """The weights in a Hugging Face directory by published names, without the tied copies. Raises
    `UserError`."""
    try:
        if (directory / WEIGHTS).exists():
            state = safetensors.torch.load_file(directory / WEIGHTS)
        else:
            state = torch.load(
                directory / "pytorch_model.bin", map_location="cpu", weights_only=True
            )
    except FileNotFoundError:
        raise UserError(
            f"{directory}: neither {WEIGHTS} nor pytorch_model.bin in it",
            "give a Hugging Face directory of a RoBERTa",
        ) from None
    except Exception as error:  # damaged files raise what the reader pleases
        raise UserError(
            f"{directory}: its weights cannot be read: {str(error).splitlines()[0]}",
            "copy the directory again",
        ) from None
    return {
        name: tensor
        for name, tensor in state.items()
        if name not in TIED and ".pooler." not in name and not name.endswith("position_ids")
    }


def load_pretrained(directory: Path, model: MaskedLM) -> None:
    """Copy the weights of a Hugging Face directory into `model`. Raises `UserError` naming the
    first tensor that does not fit."""
    state = read_pretrained(directory)
    own = published_state(model)
    for name in own:
        if name not in state:
            raise UserError(
                f"{directory}: no tensor {name}",
                "give a directory of RobertaForMaskedLM (with its lm_head)",
            )
    for name in state:
        if name not in own:
            raise UserError(
                f"{directory}: a tensor that RoBERTa does not have: {name}",
                "give a directory of RobertaForMaskedLM",
            )
    try:
        load_published(model, state)
    except ValueError as error:
        raise UserError(
            f"{directory}: {error}", "give a directory whose config.json fits its weights"
        ) from None


def check_tokenizer(directory: Path, shards_directory: str) -> None:
    """Refuse weights whose vocabulary is not the shards' (where the directory holds a tokenizer to
    compare). Raises `UserError`."""
    theirs = _vocabulary(directory)
    ours = _vocabulary(Path(shards_directory))
    if theirs is None or ours is None:
        return
    other = [token for token, number in ours.items() if theirs.get(token) != number]
    if other:
        raise UserError(
            f"{directory}: its tokenizer is not the shards': {other[0]!r} is {theirs.get(other[0])}, not {ours[other[0]]}",
            "build the shards with the model's tokenizer: [tokenizer] path",
        )


def _vocabulary(directory: Path) -> dict[str, int] | None:
    try:
        if (directory / "tokenizer.json").exists():
            found = json.loads((directory / "tokenizer.json").read_text())
            return {
                **found["model"]["vocab"],
                **{token["content"]: token["id"] for token in found["added_tokens"]},
            }
        return dict(json.loads((directory / "vocab.json").read_text()))
    except (OSError, ValueError, KeyError, TypeError):
        return None


# --- out
# ---------------------------------------------------------------------------------------------------------


def export(run: Path, out: Path, step: int | None = None) -> dict[str, Any]:
    """Write a checkpoint (the newest whole one, or that of `step`) as a Hugging Face directory,
    read it back and compare.

    Returns what was compared: {"step", "parameters", "difference", "transformers"}. Raises
    `UserError`.
    """
    path, state = checkpoint.choose(run, step)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is not an empty directory", "name another --out")
    config = ModelConfig(**state.model)
    model = build(config, 0).eval()
    load_published(model, safetensors.torch.load_file(path / checkpoint.FILES[0]))
    try:
        out.mkdir(parents=True, exist_ok=True)
        special = _write_tokenizer(run, out, config.positions)
        _write_json(out / "config.json", hugging_face_config(config, special))
        weights = {name: tensor.contiguous() for name, tensor in published_state(model).items()}
        files.write_bytes(str(out / WEIGHTS), safetensors.torch.save(weights, {"format": "pt"}))
        files.write_bytes(str(out / "README.md"), model_card(run, path, state).encode())
    except OSError as error:
        raise UserError(
            f"{out}: cannot be written: {error}", "make room, or name another --out", 3
        ) from None
    return {"step": state.step, "parameters": count_parameters(config), **compare(model, out)}


def compare(model: MaskedLM, out: Path) -> dict[str, Any]:
    """Read an export back: weights equal to the bit, logits the same; with transformers installed,
    its logits within 1e-4.

    Raises `UserError` (exit 1) when they are not.
    """
    config = read_config(out, model.config)
    again = build(config, 1).eval()
    load_pretrained(out, again)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(
        config.pad_id + 1, config.vocab_size, (2, min(16, config.positions)), generator=generator
    )
    places = torch.arange(ids.numel())
    with torch.no_grad():
        ours, theirs = (
            model(ids, places)[:, : config.vocab_size],
            again(ids, places)[:, : config.vocab_size],
        )
        same = all(
            torch.equal(tensor, published_state(again)[name])
            for name, tensor in published_state(model).items()
        )
        if not same or not torch.equal(ours, theirs):
            raise UserError(
                f"{out}: what was read back is not what was written",
                "check the disk, then export again",
                1,
            )
        difference = None
        if importlib.util.find_spec("transformers") is not None:
            from transformers import AutoModelForMaskedLM
            from transformers.utils import logging

            logging.disable_progress_bar()  # type: ignore[no-untyped-call]
            other = AutoModelForMaskedLM.from_pretrained(str(out)).eval()
            logits = other(input_ids=ids, attention_mask=(ids != config.pad_id).long()).logits
            difference = float((logits.reshape(ours.shape) - ours).abs().max())
            if difference > 1e-4:
                raise UserError(
                    f"{out}: transformers gives logits that differ by {difference:.2g}",
                    "please report this",
                    1,
                )
    return {"difference": difference, "transformers": difference is not None}


def hugging_face_config(config: ModelConfig, special: dict[str, int]) -> dict[str, Any]:
    """`config.json` with every field: the class defaults are not RoBERTa's (512 positions, 2 types,
    eps 1e-12)."""
    return {
        "architectures": ["RobertaForMaskedLM"],
        "model_type": "roberta",
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.intermediate,
        "hidden_act": "gelu",
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.attention_dropout,
        "max_position_embeddings": config.positions + config.pad_id + 1,
        "type_vocab_size": 1,
        "initializer_range": 0.02,
        "layer_norm_eps": config.layer_norm_eps,
        "pad_token_id": config.pad_id,
        "bos_token_id": special["<s>"],
        "eos_token_id": special["</s>"],
        "position_embedding_type": "absolute",
        "classifier_dropout": None,
        "is_decoder": False,
        "add_cross_attention": False,
        "use_cache": True,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
    }


def _write_tokenizer(run: Path, out: Path, length: int) -> dict[str, int]:
    """The run's tokenizer with what a Hugging Face one adds: <s> and </s> around a text, a <mask>
    that eats the space before it."""
    try:
        tokenizer = json.loads((run / "tokenizer.json").read_text())
        ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    except OSError:
        raise UserError(
            f"{run}/tokenizer.json: missing",
            f"copy it from the shards: cp SHARDS/tokenizer.json {run}",
        ) from None
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{run}/tokenizer.json: not a tokenizer",
            f"copy it from the shards: cp SHARDS/tokenizer.json {run}",
            1,
        ) from None
    for token in tokenizer["added_tokens"]:
        if token["content"] == "<mask>":
            token["lstrip"] = True
    tokenizer["post_processor"] = {
        "type": "RobertaProcessing",
        "sep": ["</s>", ids["</s>"]],
        "cls": ["<s>", ids["<s>"]],
        "trim_offsets": True,
        "add_prefix_space": False,
    }
    _write_json(out / "tokenizer.json", tokenizer)
    names = {
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "sep_token": "</s>",
        "pad_token": "<pad>",
        "cls_token": "<s>",
        "mask_token": "<mask>",
    }
    _write_json(
        out / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": length,
            "clean_up_tokenization_spaces": False,
            "add_prefix_space": False,
            **names,
        },
    )
    _write_json(out / "special_tokens_map.json", names)
    return ids


def _write_json(path: Path, content: dict[str, Any]) -> None:
    files.write_bytes(
        str(path), (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
    )


def model_card(run: Path, path: Path, state: State) -> str:
    """README.md of the export: what it was trained on, by digest, and how."""
    try:
        about = json.loads((run / "run.json").read_text())
    except (OSError, ValueError):
        about = {"sources": {}, "identity": []}
    sources = "\n".join(f"| {name} | {tokens:,} |" for name, tokens in about["sources"].items())
    keys = "\n".join(f"{key} = {value}" for key, value in sorted(state.recipe.items()))
    digests = "\n".join(about["identity"])
    return f"""---
library_name: transformers
pipeline_tag: fill-mask
---

# RoBERTa, step {state.step} of {state.recipe.get("steps")}

Pretrained by masked language modelling with corpusmill on {state.tokens:,} tokens (padding left out).

| source | tokens in the training split |
| --- | --- |
{sources}

Identity of the training data: `{state.data}`; of the tokenizer: `{state.tokenizer}`.

## Settings

```
{keys}
```

## Shards (source, blake2b-32)

```
{digests}
```
"""
