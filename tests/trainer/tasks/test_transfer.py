"""What is learnt in pretraining reaches the task: with weights that were loaded wrongly, at another
scale or in other positions, it would not.

In a small language a document is of one of two topics, each with words of its own. The task is the
topic of a text; its training set has half of the words of each topic, its development set the other
half. So whoever has not seen which words go together can but guess.
"""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import trainer_runs as runs
from trainer_fixtures import byte_bpe, write_shards

from trainer.tasks.folder import read_result

TOPICS = 2

WORDS = [[f"{first}{second}" for second in "aeioubcdfghklmnp"] for first in "tv"]
"""The words of each topic."""


def text(draw: random.Random, words: list[str], length: int) -> str:
    """Words, each with a blank before it, so that none is in two tokens that tell its topic."""
    return "".join(f" {word}" for word in draw.choices(words, k=length))


def write_task(path: Path, rows: int, half: int, seed: int) -> Path:
    """Texts of the first or the second half of the words, and their topics."""
    draw = random.Random(seed)
    lines = []
    for number in range(rows):
        words = WORDS[number % TOPICS]
        middle = len(words) // 2
        part = words[middle:] if half else words[:middle]
        row = {"text": text(draw, part, 8), "label": f"topic-{number % TOPICS}"}
        lines.append(json.dumps(row) + "\n")
    path.write_text("".join(lines))
    return path


def tokenizer_of_words() -> tokenizers.Tokenizer:
    """A word with the blank before it is one token."""
    every = [word for words in WORDS for word in words]
    tokenizer = byte_bpe([f" {word}" for word in every] * 3, 400)
    assert all(len(tokenizer.encode(f" {word}").ids) == 1 for word in every)
    return tokenizer


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("transfer")
    tokenizer = tokenizer_of_words()
    draw = random.Random(0)
    documents = []
    for number in range(600):
        sentences = [text(draw, WORDS[number % TOPICS], 10) for _ in range(3)]
        documents.append([np.array(tokenizer.encode(one).ids) for one in sentences])
    write_shards(folder / "shards", tokenizer, {("train", "a"): [documents]})

    data = ["--shards", str(folder / "shards"), "--data.format", "doc-sentences"]
    steps = ["--steps", "300", "--optim.warmup-steps", "50", "--optim.lr", "3e-3"]
    flat = ["--model.dropout", "0", "--model.attention-dropout", "0", "--micro-batch", "32"]
    run = folder / "run"
    runs.train(["pretrain", *runs.MINI, *data, *steps, *flat, "--run", str(run)])
    return run


@pytest.mark.builds
def test_pretrained_beats_random_weights_in_every_pair(pretrained: Path, tmp_path: Path) -> None:
    train = write_task(tmp_path / "train.jsonl", 64, 0, 1)
    dev = write_task(tmp_path / "dev.jsonl", 200, 1, 2)
    found = []
    for seed in range(3):
        pair = []
        for more in ([], ["--new-weights"]):
            run = tmp_path / f"{seed}{''.join(more)}"
            files = ["--task", "own", "--train", str(train), "--dev", str(dev)]
            model = ["--init", str(pretrained), "--run", str(run), "--device", "cpu", *more]
            settings = ["--epochs", "8", "--optim.lr", "1e-3", "--seed", str(seed)]
            runs.train(["finetune", *files, *model, *settings])
            result = read_result(run)
            assert result is not None and result.value is not None
            pair.append(result.value)
        found.append(pair)
    assert all(ours >= 0.9 for ours, _ in found), found
    assert all(random_weights <= 0.7 for _, random_weights in found), found
