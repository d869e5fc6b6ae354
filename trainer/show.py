"""What a run looks like: its curves as a PNG, and its training samples with their masks."""

from pathlib import Path
from typing import Any

import numpy as np

from shards.config import UserError
from trainer import kernels
from trainer.config import Recipe
from trainer.data import Masker, make_order, open_data
from trainer.metrics import read_log


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
        if label != kernels.IGNORED
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
