"""The same home, byte for byte, whichever encoder writes its ids: gigatoken, fastokens, or
`tokenizers` alone."""

import json
from pathlib import Path

import pytest
from plain_build import plain_build

from pipelines.stages import encoder as encoder_module
from pipelines.stages import tokenize as tokenize_module
from pipelines.stages.encoder import Encoded, Encoder
from pipelines.stages.sentences import Sentences

GATES = {
    "gigatoken": ("GIGATOKEN_VERSIONS",),
    "fastokens": ("FASTOKENS_VERSIONS",),
    "both": ("GIGATOKEN_VERSIONS", "FASTOKENS_VERSIONS"),
    "neither": (),
}

MAKERS = {
    "GIGATOKEN_VERSIONS": "gigatoken_encoder",
    "FASTOKENS_VERSIONS": "fastokens_encoder",
}

RECIPES = {
    "plain": "[shards]\nvalid_fraction = 0.1\n",
    "strip": '[shards]\nwhitespace = "strip"\n',
    "keep, all text": '[shards]\nwhitespace = "keep"\n',
}

SOURCES = """
[sources.novels]
kind = "files"
input = "novels/*.txt"
language = "en"
[sources.languages]
kind = "files"
input = "languages.jsonl"
language = "any"
"""


@pytest.fixture(scope="module")
def inputs(some_novels: Path, sentences: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Novels, and sentences of many languages; each holds the names of special tokens."""
    import bz2

    folder = tmp_path_factory.mktemp("gates")
    (folder / "novels").mkdir()
    for path in sorted(some_novels.iterdir())[:4]:
        (folder / "novels" / path.name).write_text(f"<s> {path.read_text('utf-8')} </s>")
    lines = [json.loads(line)["text"] for line in bz2.open(sentences)][::7]
    texts = [" ".join(lines[begin : begin + 10]) for begin in range(0, len(lines), 10)]
    rows = (json.dumps({"text": f"{text} <mask> <|endoftext|>"}) + "\n" for text in texts)
    (folder / "languages.jsonl").write_text("".join(rows))
    return folder


def counting(make: str, used: list[str]) -> object:
    """An encoder's maker that notes which encoder is asked."""
    real = getattr(encoder_module, make)

    def made(content: str) -> Encoder | None:
        fast = real(content)

        def encode(sentences: Sentences) -> Encoded:
            used.append(make)
            found: Encoded = fast(sentences)
            return found

        return encode if fast is not None else None

    return made


def digests(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((home / "shards").iterdir())}


@pytest.mark.builds
@pytest.mark.parametrize("recipe", RECIPES)
def test_the_same_bytes_with_any_encoder(
    recipe: str, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = inputs / "recipe.toml"
    sample = '"all"' if "all" in recipe else "1_000_000_000"
    vocabulary = f"[tokenizer]\nvocab_size = 2000\nsample_bytes = {sample}\n"
    path.write_text(f"{SOURCES}{vocabulary}{RECIPES[recipe]}[dedup]\nnear = false\n")

    found = {}
    for gate, open_ones in GATES.items():
        used: list[str] = []
        with monkeypatch.context() as patch:
            for versions, make in MAKERS.items():
                if versions not in open_ones:
                    patch.setattr(encoder_module, versions, ())
                patch.setattr(encoder_module, make, counting(make, used))
            tokenize_module._loaded.cache_clear()
            plain_build(path, tmp_path / gate)
        tokenize_module._loaded.cache_clear()
        # The last one that is open encodes.
        assert set(used) == {MAKERS[open_ones[0]]} if open_ones else not used, (gate, used)
        found[gate] = digests(tmp_path / gate)

    expected = found.pop("neither")
    assert len([name for name in expected if name.endswith(".arrow")]) == 4
    for gate, shards in found.items():
        assert shards == expected, gate
