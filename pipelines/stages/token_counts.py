"""What the stage `tokenize` counts of a vocabulary while it writes tokens: how well it encodes each
language, and how often each id occurs.

Counts of a slice stand in its summary, those of ids in the summary of their shard. So the report of
a vocabulary reads no text and no token.
"""

import base64
import json
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.chance import CHANCES, chance
from pipelines.home.summaries import Summary
from pipelines.recipe import Recipe
from pipelines.stages.token_kernels import count_marked
from shards.roles import TokenizerFile, byte_letters, vocabulary_of

RARE = 100
"""Ids are counted up to this number: of less a model learns little."""

CHUNK = 1_000_000
"""Tokens that are counted at once, since numpy makes 8 bytes of each."""

UNKNOWN = "unknown"
"""The language of documents that have none."""


def single_byte_ids(content: TokenizerFile) -> list[int] | None:
    """The ids of single bytes in the content of a `tokenizer.json`; None where the vocabulary is
    not made of bytes."""
    model = content["model"]
    vocabulary = vocabulary_of(model)
    if model.get("byte_fallback"):
        names = [f"<0x{byte:02X}>" for byte in range(256)]
    elif '"ByteLevel"' in json.dumps(content.get("pre_tokenizer")):
        names = list(byte_letters())
    else:
        return None
    return [vocabulary[name] for name in names if name in vocabulary]


@dataclass
class TokenCounts:
    """The sums over the kept documents of a slice.

    `size` is the number of ids, `singles` those of single bytes, None where there are none;
    documents whose chance is under `threshold` are those that the vocabulary was trained on.
    """

    size: int
    singles: list[int] | None
    seed: int
    threshold: int
    languages: dict[str, Counter[str]] = field(default_factory=dict)
    sampled: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.is_single = np.zeros(self.size, np.bool_)
        self.is_single[self.singles or []] = True

    def add(self, texts: pa.LargeStringArray, languages: list[str], batch: pa.RecordBatch) -> None:
        """Count D documents: their texts, languages and tokens (a shard's columns)."""
        ends = batch.column("tokens").offsets.to_numpy()
        tokens = batch.column("tokens").flatten().to_numpy()
        rows = {
            "documents": np.ones(len(texts), np.int64),
            "bytes": pc.binary_length(texts).to_numpy(),
            "tokens": np.diff(ends),
        }
        if self.singles is not None:
            rows["single_bytes"] = np.zeros(len(texts), np.int64)
            count_marked(tokens, ends - ends[0], self.is_single, rows["single_bytes"])

        codes = np.array([UNKNOWN if code in ("any", "") else code for code in languages], np.str_)
        for code in np.unique(codes).tolist():
            self.languages.setdefault(code, Counter()).update(_sums(rows, codes == code))
        if self.threshold:
            identities = batch.column("id").to_pylist()
            draws = [chance(self.seed, "tokenizer", identity) for identity in identities]
            is_sampled = np.array([draw < self.threshold for draw in draws], np.bool_)
            self.sampled.update(_sums(rows, is_sampled))

    def by_language(self) -> dict[str, dict[str, int]]:
        """Language -> documents, bytes, tokens, and single bytes among the tokens."""
        return {code: dict(self.languages[code]) for code in sorted(self.languages)}

    def of_sample(self) -> dict[str, int]:
        """Documents, bytes and tokens of the sample, for the counts of a summary."""
        if not self.threshold:
            return {}
        return {f"sampled_{name}": self.sampled[name] for name in ("documents", "bytes", "tokens")}


def _sums(rows: dict[str, NDArray[np.int64]], is_wanted: NDArray[np.bool_]) -> dict[str, int]:
    return {name: int(values[is_wanted].sum()) for name, values in rows.items()}


def sample_threshold(recipe: Recipe, size: int) -> int:
    """Of 2**64: a document with a lower chance is in the vocabulary's sample, of `size` bytes of
    text in all."""
    asked = recipe.tokenizer.sample_bytes
    if not isinstance(asked, int):
        return CHANCES
    return min(CHANCES, CHANCES * asked // max(size, 1))


def sampled_of(recipe: Recipe, vocabulary: Summary, source: str) -> int:
    """The threshold of the sample that a vocabulary was trained on, 0 where it was not trained on a
    part of this source's documents."""
    size = vocabulary.counts.get("text_bytes")
    names = recipe.tokenizer.sources or tuple(recipe.sources)
    if size is None or source not in names:
        return 0
    # As of the training: the home may have more documents since.
    threshold = sample_threshold(recipe, size)
    return threshold if threshold < CHANCES else 0


# --- how often each id occurs


def packed_uses(tokens: NDArray[np.unsignedinteger]) -> str:
    """How often each id up to the highest occurs in (T,) tokens, at most `RARE` times, as
    compressed bytes in base64."""
    counts: NDArray[np.int64] = np.zeros(0, np.int64)
    for begin in range(0, len(tokens), CHUNK):
        chunk = np.bincount(tokens[begin : begin + CHUNK], minlength=len(counts))
        chunk[: len(counts)] += counts
        counts = chunk
    packed = zlib.compress(np.minimum(counts, RARE).astype(np.uint8).tobytes(), 9)
    return base64.b64encode(packed).decode()


def uses_of(packed: Iterable[str], size: int) -> NDArray[np.int64]:
    """(size,) how often each id occurs in all shards, exact below `RARE`."""
    uses = np.zeros(size, np.int64)
    # Each count is cut off, so their sum is exact as long as it is below the bound.
    for text in packed:
        counts = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)[:size]
        uses[: len(counts)] += counts
    return np.minimum(uses, RARE)
