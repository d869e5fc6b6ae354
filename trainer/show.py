"""What a run looks like: its curves as a PNG, and its training samples with their masks."""

from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from tokenizers import Tokenizer

from shards.errors import UserError
from trainer import checkpoint
from trainer.config import ModelConfig, Recipe
from trainer.data.gather import Masker
from trainer.data.order import make_order
from trainer.data.samples import open_data
from trainer.log import read_log
from trainer.masking.tokens import IGNORED
from trainer.models.roberta import build, load_published


def curves(run: Path, out: Path) -> Path:
    """Draw loss, validation perplexity by source, learning rate and speed; returns the PNG. Raises
    `UserError`."""
    lines = read_log(run)
    train = [line for line in lines if line["kind"] == "train"]
    if not train:
        raise UserError(f"{run}: nothing is logged in it", "name a run: trainer pretrain --run RUN")
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError:
        raise UserError(
            "trainer show draws with matplotlib, which is not installed",
            "pip install matplotlib",
            3,
        ) from None
    figure, axes = plt.subplots(2, 2, figsize=(11, 7), layout="constrained")
    steps = [line["step"] for line in train]
    for axis, key, name in (
        (axes[0, 0], "loss", "training loss, nats a masked token"),
        (axes[1, 0], "learning_rate", "learning rate"),
        (axes[1, 1], "tokens_per_second", "tokens a second"),
    ):
        axis.plot(
            steps, [line[key] if line[key] is not None else np.nan for line in train], linewidth=1
        )
        axis.set(title=name, xlabel="step")
    valid = [line for line in lines if line["kind"] == "valid"]
    sources = list(dict.fromkeys(line["source"] for line in valid))
    for source in [name for name in sources if name != "all"] or sources:
        own = [line for line in valid if line["source"] == source]
        axes[0, 1].plot(
            [line["step"] for line in own],
            [line["perplexity"] if line["perplexity"] is not None else np.nan for line in own],
            marker="o",
            markersize=3,
            linewidth=1,
            label=source,
        )
    axes[0, 1].set(title="validation perplexity", xlabel="step", yscale="log")
    if valid:
        axes[0, 1].legend()
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    figure.savefig(out, dpi=110)
    plt.close(figure)
    return out


def sample(directories: tuple[str, ...], recipe: Recipe, place: int) -> dict[str, Any]:
    """Sample `place` of the endless training order: its ids as the model sees them, what is masked,
    and both as text."""
    data = open_data(directories, "train", recipe.data.length, recipe.data.sentence_eos)
    if not len(data):
        raise UserError(f"{', '.join(directories)}: no training shards", "corpus build makes them")
    if place < 0:
        raise UserError(f"--sample {place}: not a place in the order", "count from 0")
    masker = Masker(data, recipe.masking, recipe.seed)
    epochs, samples = make_order(data, recipe.seed, recipe.data.mix).samples(place, 1)
    ids = np.empty((1, data.length), np.int64)
    places, labels = np.empty((1, masker.most), np.int64), np.empty((1, masker.most), np.int64)
    lengths = np.empty(1, np.int64)
    masker.fill(epochs, samples, ids, places, labels, lengths)
    masked = sorted(
        (int(where), int(label))
        for where, label in zip(places[0], labels[0], strict=True)
        if label != IGNORED
    )
    row = ids[0, : lengths[0]].tolist()
    shard = int(np.searchsorted(data.starts, samples[0], side="right") - 1)
    return {
        "sample": place,
        "epoch": int(epochs[0]),
        "index": int(samples[0]),
        "shard": data.identity[shard],
        "ids": row,
        "masked": masked,
        **_text(directories[0], row, masked),
    }


def _text(directory: str, row: list[int], masked: list[tuple[int, int]]) -> dict[str, Any]:
    """The sample as text: what was there is in brackets after what the model sees."""
    import tokenizers

    from shards.manifest import shards_directory

    tokenizer = tokenizers.Tokenizer.from_file(f"{shards_directory(directory)}/tokenizer.json")
    truth = dict(masked)
    parts: list[str] = []
    run: list[int] = []
    for place, number in enumerate([*row, -1]):
        if place in truth or number == -1:
            parts.append(tokenizer.decode(run, skip_special_tokens=False))
            run = []
        if place in truth:
            parts.append(
                f" [{tokenizer.decode([number], skip_special_tokens=False)} <- {tokenizer.decode([truth[place]], skip_special_tokens=False)}]"
            )
        elif number != -1:
            run.append(number)
    return {"text": "".join(parts)}


@torch.no_grad()
def fill(
    run: Path, text: str, step: int | None = None, most: int = 5
) -> list[list[tuple[str, float]]]:
    """For each `<mask>` of `text` the `most` likely tokens with their probabilities, by a run's
    newest whole checkpoint.

    Raises `UserError`: no checkpoint, no `<mask>` in the text, a text longer than the model's
    positions.
    """
    path, state = checkpoint.choose(run, step)
    try:
        tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
    except Exception as error:  # the library raises plain Exception
        raise UserError(
            f"{run}/tokenizer.json: cannot be read: {error}",
            f"copy it from the shards: cp SHARDS/tokenizer.json {run}",
            1,
        ) from None
    start, end, mask = (tokenizer.token_to_id(token) for token in ("<s>", "</s>", "<mask>"))
    ids = [start, *tokenizer.encode(text, add_special_tokens=False).ids, end]
    places = [place for place, number in enumerate(ids) if number == mask]
    if not places:
        raise UserError(
            f"--fill {text!r}: no <mask> in it", "trainer show RUN --fill 'The <mask> is here.'"
        )
    config = ModelConfig(**state.model)
    if len(ids) > config.positions:
        raise UserError(
            f"--fill: {len(ids)} tokens, the model takes {config.positions}", "give a shorter text"
        )
    model = build(config, 0)
    load_published(model, safetensors.torch.load_file(path / checkpoint.FILES[0]))
    model.eval()
    logits = model.forward(torch.tensor([ids]), torch.tensor(places))
    best = torch.topk(torch.softmax(logits.float(), -1), most)
    return [
        [(tokenizer.decode([number]), share) for number, share in zip(row, shares, strict=True)]
        for row, shares in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def as_lines(found: list[list[tuple[str, float]]]) -> list[str]:
    """A line a mask."""
    return [
        ", ".join(f"{token.strip() or repr(token)} {share:.0%}" for token, share in row)
        for row in found
    ]


def as_json(found: list[list[tuple[str, float]]]) -> list[list[dict[str, Any]]]:
    """The same as JSON types."""
    return [[{"token": token, "probability": share} for token, share in row] for row in found]
