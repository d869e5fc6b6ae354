"""The text that a vocabulary is trained on."""

import itertools
import json
from pathlib import Path

import pytest
from plain_build import plain_build
from sentence_twin import split_sentences

from corpora.document import document_id
from pipelines.chance import chance
from pipelines.recipe import TokenizerConfig
from pipelines.stages.train_tokenizer import as_encoded, train_bpe
from shards.errors import UserError

RECIPE = """
seed = {seed}
[sources.a]
kind = "files"
input = "in/*.txt"
slice_bytes = {slice_bytes}
[tokenizer]
vocab_size = 300
sample_bytes = {sample_bytes}
[dedup]
near = false
"""


def write(folder: Path, slice_bytes: int, sample_bytes: int = 10, seed: int = 0) -> Path:
    """A recipe over eight texts of words that no other text has."""
    (folder / "in").mkdir(parents=True, exist_ok=True)
    for number in range(8):
        (folder / "in" / f"{number}.txt").write_text(f"{chr(97 + number) * 3} " * 200)
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(slice_bytes=slice_bytes, sample_bytes=sample_bytes, seed=seed))
    return path


def trained(home: Path) -> tuple[dict[str, int], str]:
    """The counts of the vocabulary's summary, and its digest."""
    summary = json.loads((home / "summaries/tokenizer/all/tokenizer.json").read_text())
    return summary["counts"], summary["output"]


@pytest.mark.parametrize("seed", range(3))
def test_a_sample_is_never_empty_and_the_same_for_any_slices(tmp_path: Path, seed: int) -> None:
    """`sample_bytes` asks for less than a tenth of any document."""
    found = []
    for slice_bytes in (1, 2000, 1_000_000):
        folder = tmp_path / str(slice_bytes)
        plain_build(write(folder, slice_bytes, seed=seed), folder / "home")
        found.append(trained(folder / "home"))
    assert found[0] == found[1] == found[2]

    # The one document with the lowest chance: its letter alone is merged.
    names = [f"{number}.txt" for number in range(8)]
    lowest = min(names, key=lambda name: chance(seed, "tokenizer", document_id("a", name, 0)))
    letter = chr(97 + int(lowest[0]))
    vocabulary = json.loads((tmp_path / "1/home/tokenizer/tokenizer.json").read_text())["model"]
    merged = {token.strip("Ġ") for token in vocabulary["vocab"] if len(token.strip("Ġ")) > 2}
    assert merged - {"<s>", "</s>", "<pad>", "<unk>", "<mask>"} == {letter * 3}


def test_a_sample_by_chance_is_what_it_was(tmp_path: Path) -> None:
    """Where some documents are under the threshold, no other one joins them."""
    plain_build(write(tmp_path, 1, sample_bytes=3200), tmp_path / "home")
    counts, _ = trained(tmp_path / "home")
    share = 3200 / 6400
    names = [f"{number}.txt" for number in range(8)]
    draws = [chance(0, "tokenizer", document_id("a", name, 0)) / 2**64 for name in names]
    assert counts["documents"] == sum(draw < share for draw in draws)
    assert 0 < counts["documents"] < 8


def test_no_text_at_all_is_an_error(tmp_path: Path) -> None:
    recipe = write(tmp_path, 1)
    recipe.write_text(recipe.read_text() + "[sources.a.rules]\nmin_words = 1000\n")
    with pytest.raises(UserError, match="no text to train a vocabulary on"):
        plain_build(recipe, tmp_path / "home")


WRAPPED = [
    "The king rode out at night,\n  and the queen  stayed at home.   She read\n\n\nher books.",
    "A wall of stone\nstood at the road. The road led to the house,\nand the house to the river.",
] * 3


def test_the_text_is_that_which_is_encoded(tmp_path: Path) -> None:
    """A line end inside a sentence is a space there, and a run of blanks is one."""
    (tmp_path / "in").mkdir()
    for number, text in enumerate(WRAPPED):
        (tmp_path / "in" / f"{number}.txt").write_text(f"{text} Number {number}.")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(slice_bytes=10**6, sample_bytes=10**9, seed=0))
    plain_build(recipe, tmp_path / "home")
    built = (tmp_path / "home/tokenizer/tokenizer.json").read_text()

    texts = [f"{text} Number {number}." for number, text in enumerate(WRAPPED)]
    sentences = [split_sentences(text, "en", "space") for text in texts]
    config = TokenizerConfig(vocab_size=300)
    trained_on_sentences = train_bpe(itertools.chain.from_iterable(sentences), config)
    assert built == trained_on_sentences.to_str(pretty=True)
    assert "ĠĠ" not in json.loads(built)["model"]["vocab"]


@pytest.mark.parametrize(
    ("whitespace", "text"),
    [("space", "a b c. D"), ("strip", "a b\nc. D"), ("keep", "a  b\nc.   D")],
)
def test_white_space_of_the_text_is_that_of_the_recipe(whitespace: str, text: str) -> None:
    assert as_encoded("a  b\nc.   D", whitespace) == text
