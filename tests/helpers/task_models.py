"""Small models of tasks, and the same weights in the classes of transformers."""

import json
import random
from pathlib import Path

import safetensors.torch
import torch
import transformers
from trainer_fixtures import small_tokenizer

from trainer.config import ModelConfig
from trainer.export import hugging_face_config
from trainer.models.pretraining import published_state
from trainer.tasks.features import Builder, Features
from trainer.tasks.model import HeadConfig, TaskModel, build_task
from trainer.tasks.texts import TextEncoder, open_encoder

ROLES = {"start": 0, "pad": 1, "end": 2, "unknown": 3, "mask": 299}


def config(family: str) -> ModelConfig:
    return ModelConfig(
        family=family,
        layers=2,
        hidden=32,
        intermediate=64,
        heads=2,
        positions=48,
        vocab_size=300,
        layer_norm_eps=1e-5 if family == "roberta" else 1e-12,
    )


def loud(family: str, head: HeadConfig, seed: int = 0) -> TaskModel:
    """A model whose weights are so large that its logits differ by more than rounding."""
    model = build_task(config(family), head, seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.dim() > 1:
                parameter.mul_(10.0)
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.5, 0.5, generator=torch.Generator().manual_seed(seed))
    return model


def theirs(model: TaskModel, name: str, labels: int = 2) -> torch.nn.Module:
    """The same weights in a class of transformers."""
    kind = getattr(transformers, name)
    content = hugging_face_config(model.config, {"start": 0, "end": 2})
    content.pop("architectures")
    settings = kind.config_class(**{**content, "num_labels": labels})
    other = kind(settings).eval()
    missing, unexpected = other.load_state_dict(published_state(model), strict=False)
    assert not unexpected
    assert all("position_ids" in key or "decoder" in key for key in missing), missing
    return other


def sequences(seed: int, sizes: list[int], family: str) -> list[torch.Tensor]:
    """Pairs of random tokens, of these sizes."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for size in sizes:
        ids = torch.randint(4, 299, (size,), generator=generator)
        ids[0] = 0
        ids[-1] = 2
        ids[size // 2] = 2
        if family == "roberta":
            ids[size // 2 + 1] = 2
        found.append(ids)
    return found


def items_of(sequences: list[torch.Tensor], sizes: list[int], label: object) -> Features:
    """Items of so many sequences each."""
    builder = Builder()
    done = 0
    for number, size in enumerate(sizes):
        part = [ids.numpy().astype("int32") for ids in sequences[done : done + size]]
        builder.add(str(number), part, label)
        done += size
    return builder.build()


def padded(sequences: list[torch.Tensor], family: str) -> dict[str, torch.Tensor]:
    """The sequences one a row, as transformers takes them."""
    ids = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True, padding_value=1)
    mask = torch.nn.utils.rnn.pad_sequence(
        [torch.ones_like(row) for row in sequences], batch_first=True
    )
    found = {"input_ids": ids, "attention_mask": mask}
    if family == "bert":
        types = []
        for row in sequences:
            first = int((row == 2).nonzero()[0])
            types.append((torch.arange(len(row)) > first).long())
        found["token_type_ids"] = torch.nn.utils.rnn.pad_sequence(types, batch_first=True)
    return found


def small_encoder(folder: Path) -> TextEncoder:
    """The tokenizer of the synthetic shards."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(small_tokenizer().to_str())
    return open_encoder(folder)


def init_directory(folder: Path, family: str = "roberta", seed: int = 0) -> Path:
    """A Hugging Face directory of a small model with random weights, and a tokenizer."""
    from trainer.export_tokenizer import write_json
    from trainer.models.pretraining import build

    small_encoder(folder)
    model = build(config(family), seed)
    write_json(folder / "config.json", hugging_face_config(model.config, {"start": 0, "end": 2}))
    state = {name: tensor.contiguous() for name, tensor in published_state(model).items()}
    safetensors.torch.save_file(state, folder / "model.safetensors", {"format": "pt"})
    return folder


WORDS = "the quick brown fox jumps over lazy dog".split()


def write_own(path: Path, rows: int, seed: int, pair: bool = False) -> Path:
    """A file of JSON lines: texts of a few words, which are `good` if a fox comes before a dog."""
    draw = random.Random(seed)
    lines = []
    for number in range(rows):
        words = draw.choices(WORDS, k=draw.randint(2, 12))
        place = draw.randrange(len(words) + 1)
        label = draw.choice(["bad", "good"])
        words.insert(place, "fox fox" if label == "good" else "dog dog")
        row = {"text": " ".join(words), "label": label, "id": f"r{number}"}
        if pair:
            row["other"] = " ".join(draw.choices(WORDS, k=5))
        lines.append(json.dumps(row) + "\n")
    path.write_text("".join(lines))
    return path
