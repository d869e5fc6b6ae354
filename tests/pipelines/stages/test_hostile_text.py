"""Hostile text on its way to shards: exact ids, time near linear, memory bounded."""

import multiprocessing
import random
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sentence_twin import as_strings, split_sentences

from pipelines.recipe import TokenizerConfig
from pipelines.stages.encoder import fastest_encoder, plain_encoder, read_tokenizer
from pipelines.stages.sentences import split_texts
from pipelines.stages.train_tokenizer import train_bpe

QUICK, FULL = 100_000, 10_000_000

MEMORY = 200
"""Bytes of memory for each byte of text, at most."""


@pytest.fixture(scope="module")
def tokenizer_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    draw = random.Random(0)
    texts = [" ".join("".join(draw.choices("etaoin", k=5)) for _ in range(2000))]
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    path.write_text(train_bpe(iter(texts), TokenizerConfig(vocab_size=1000)).to_str())
    return str(path)


def hostile(kind: str, size: int) -> str:
    """A text of about so many bytes."""
    draw = random.Random(kind)
    if kind == "one letter":
        return "e" * size
    if kind == "no space":
        return "".join(draw.choices("etaoinshr", k=size))
    if kind == "no space, but full stops":
        return "".join(draw.choices("etaoinshr.", k=size))
    if kind == "marks":
        return "".join(draw.choices("\u0301\u0308\u0327\u064b\u20dd", k=size // 2))
    if kind == "controls":
        return "".join(draw.choices([chr(point) for point in range(1, 32)], k=size))
    if kind == "full stops":
        return "." * size
    if kind == "spaced full stops":
        return ". " * (size // 2)
    if kind == "opening quotes":
        return "“" * (size // 3 if size > QUICK else 3000)  # sentencex takes the square
    if kind == "abbreviations":
        return "Mr. " * (size // 4)
    points = [*range(1, 0xD800), *range(0xE000, 0x110000)]
    return "".join(f"a{chr(point)}. {chr(point)}B! " for point in points)[: size // 3]


KINDS = [
    "one letter",
    "no space",
    "no space, but full stops",
    "marks",
    "controls",
    "full stops",
    "spaced full stops",
    "opening quotes",
    "abbreviations",
    "every code point",
]


def seconds(text: str, encoder_file: str) -> float:
    """The CPU time of splitting and encoding."""
    encoder = fastest_encoder(encoder_file)
    begin = time.process_time()
    encoder(split_texts(pa.array([text], pa.large_string()), ["en"], "space"))
    return time.process_time() - begin


def cost(kind: str, size: int, encoder_file: str) -> tuple[float, int]:
    """(CPU seconds, bytes of memory at most) of splitting and encoding, in a process of its own:
    the peak of a process never falls again."""
    arguments = (kind, size, encoder_file)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_cost_here, arguments)


def _cost_here(kind: str, size: int, encoder_file: str) -> tuple[float, int]:
    text = hostile(kind, size)
    seconds("Once. Twice.", encoder_file)  # the kernels and the words are loaded
    taken = seconds(text, encoder_file)
    return taken, peak_memory()


def peak_memory() -> int:
    """The most memory of this program, in bytes. On Linux not by `getrusage`, which counts that of
    the process that started it."""
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_exact(kind: str, tokenizer_file: str) -> None:
    text = hostile(kind, QUICK)
    for whitespace in ("space", "keep"):
        found = split_texts(pa.array([text], pa.large_string()), ["en"], whitespace)
        assert as_strings(found) == [split_sentences(text, "en", whitespace)]

    expected = plain_encoder(read_tokenizer(tokenizer_file))(found)
    ids, ends = fastest_encoder(tokenizer_file)(found)
    assert np.array_equal(ids, expected[0]) and np.array_equal(ends, expected[1])


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_full_size(kind: str, tokenizer_file: str) -> None:
    """Exact at 10 MB, in memory of so much a byte; eight times the text in at most 16 times the
    time."""
    small, _ = cost(kind, FULL // 8, tokenizer_file)
    taken, peak = cost(kind, FULL, tokenizer_file)
    assert taken < 16 * max(small, 0.05)
    assert peak < 600e6 + MEMORY * FULL

    found = split_texts(pa.array([hostile(kind, FULL)], pa.large_string()), ["en"], "space")
    ids, ends = fastest_encoder(tokenizer_file)(found)
    expected = plain_encoder(read_tokenizer(tokenizer_file))(found)
    assert np.array_equal(ids, expected[0]) and np.array_equal(ends, expected[1])
