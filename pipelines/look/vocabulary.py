"""The report of a vocabulary: how well it encodes each source and language, which of its ids the
shards do not use, its longest and oddest entries, and what training on a sample cost.

From summaries and `tokenizer.json` alone. It is a part of the card of the shards, so it depends on
no table of Unicode but the frozen one.
"""

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipelines.home.decisions import current
from pipelines.home.layout import SHARDS, TOKENIZE, TOKENIZER, Home
from pipelines.home.summaries import Summary, read_summary, summaries
from pipelines.recipe import Recipe
from pipelines.stages.token_counts import RARE, uses_of
from pipelines.wording import IF_ANY, amount, decimal, number, share
from shards.roles import TokenizerFile, byte_letters, special_tokens, vocabulary_of
from shards.storage import files

LONGEST = 10
"""Entries that are listed."""

ODD_EXAMPLES = 5
"""Entries that are shown of each odd kind, the longest first."""

LANGUAGES = 30
"""Languages that are listed, those with the most tokens."""

SHOWN = 40
"""Characters of an entry that are shown."""

REPEATED = 4
"""So many equal characters are an odd entry."""


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How a vocabulary encodes some text. `single_bytes`: the tokens that are one byte each, None
    where the vocabulary has none or an earlier version did not count them."""

    bytes: int
    tokens: int
    single_bytes: int | None = field(default=None, metadata=IF_ANY)

    @property
    def bytes_per_token(self) -> float | None:
        """With four digits."""
        return round(self.bytes / self.tokens, 4) if self.tokens else None

    @property
    def single_share(self) -> float | None:
        """The share of tokens that are one byte, from 0 to 1 with six digits."""
        if self.single_bytes is None or not self.tokens:
            return None
        return round(self.single_bytes / self.tokens, 6)

    def as_json(self) -> object:
        """The counts and their ratios."""
        row: dict[str, object] = {"bytes": self.bytes, "tokens": self.tokens}
        row["bytes_per_token"] = self.bytes_per_token
        if self.single_bytes is not None:
            row |= {"single_bytes": self.single_bytes, "single_share": self.single_share}
        return row


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A token: as it is shown, its bytes, and how often the shards hold it, at most `RARE` times;
    None where that is not known."""

    text: str
    id: int
    bytes: int
    uses: int | None

    @property
    def shown_uses(self) -> str:
        """`100+` from `RARE` on."""
        return f"{RARE}+" if self.uses == RARE else number(self.uses)


@dataclass(frozen=True, kw_only=True)
class OddEntries:
    """The entries of one odd kind, and the longest of them."""

    kind: str
    entries: int
    examples: list[Entry]


@dataclass(frozen=True, kw_only=True)
class SampleCost:
    """The documents of the sample that a vocabulary was trained on, and the others of the same
    sources. A vocabulary of all text encodes no text better, on the whole, than this one its own
    sample: so `lost` is about the most that the sample costs, as a share of the tokens."""

    sample: Encoding
    others: Encoding

    @property
    def lost(self) -> float | None:
        """From 0 to 1 with six digits; below 0 where the sample happens to be harder to encode."""
        tokens = self.sample.tokens + self.others.tokens
        if not self.sample.bytes or not self.sample.tokens or not tokens:
            return None
        size = self.sample.bytes + self.others.bytes
        return round(1 - size * self.sample.tokens / self.sample.bytes / tokens, 6)

    def as_json(self) -> object:
        """Both encodings and the loss."""
        return {"sample": self.sample, "others": self.others, "lost": self.lost}


@dataclass(frozen=True, kw_only=True)
class VocabularyStats:
    """The report of a home's vocabulary.

    `trained_on`: "sample", "all" or "given". `unused`, `rare`: the ids, special ones apart, that
    the shards hold not once, and fewer than `RARE` times; None before there are shards.
    """

    kind: str
    ids: int
    trained_on: str
    unused: int | None
    rare: int | None
    total: Encoding | None
    sources: dict[str, Encoding]
    languages: dict[str, Encoding]
    sample: SampleCost | None = field(default=None, metadata=IF_ANY)
    longest: list[Entry]
    odd: list[OddEntries]
    unused_examples: list[Entry]

    def about_ids(self) -> str:
        """How many ids there are and how many are of use, as a sentence; empty before there are
        shards."""
        if self.unused is None or self.rare is None:
            return ""
        return (
            f"Of {self.ids:,} ids the shards do not use {self.unused:,}, and use {self.rare:,} "
            f"fewer than {RARE} times (special tokens apart)."
        )

    def about_sample(self) -> str:
        """What training on a sample cost, as a sentence; empty where there was none."""
        if self.sample is None or self.sample.lost is None:
            return ""
        ratios = (self.sample.sample.bytes_per_token, self.sample.others.bytes_per_token)
        inside, outside = (decimal(ratio, 3) for ratio in ratios)
        saved = "no"
        if self.sample.lost > 0:
            saved = f"at most about {share(self.sample.lost, 1)} of the"
        return (
            f"The vocabulary was trained on a sample of {amount(self.sample.sample.bytes)}: it "
            f"takes {inside} bytes per token there and {outside} elsewhere, so training on all "
            f"text would save {saved} tokens."
        )


def vocabulary_stats(home: Home, recipe: Recipe) -> VocabularyStats | None:
    """The report of the vocabulary; None before there is one."""
    address = home.file("tokenizer", "tokenizer.json")
    if not files.exists(address):
        return None
    content = json.loads(files.read_bytes(address))
    encoded = {name: current(home, recipe, TOKENIZE, name) for name in recipe.sources}

    # A given vocabulary may leave ids out.
    size = max(identity for _, identity in _entries(content)) + 1
    uses = _uses(home, recipe, size)
    special = set(special_tokens(content).values())
    write = bytes_of(content)
    written = {
        identity: write(name) for name, identity in _entries(content) if identity not in special
    }
    entries = [_entry(identity, token, uses) for identity, token in written.items()]
    # By id too, so that the order is the same everywhere.
    entries.sort(key=lambda entry: (-entry.bytes, entry.id))

    total, by_source, by_language = _encodings(encoded)
    is_known = uses is not None
    unused = [entry for entry in entries if entry.uses == 0]
    return VocabularyStats(
        kind=content["model"]["type"],
        ids=size,
        trained_on=_trained_on(recipe),
        unused=len(unused) if is_known else None,
        rare=sum((entry.uses or 0) < RARE for entry in entries) if is_known else None,
        total=total,
        sources=by_source,
        languages=by_language,
        sample=_sample_cost(home, recipe, encoded),
        longest=entries[:LONGEST],
        odd=_odd(entries, written),
        unused_examples=unused[:LONGEST],
    )


def _trained_on(recipe: Recipe) -> str:
    if recipe.tokenizer.path:
        return "given"
    return "all" if recipe.tokenizer.sample_bytes == "all" else "sample"


def _entries(content: TokenizerFile) -> list[tuple[str, int]]:
    """Every token and its id, the added ones too."""
    names = dict(vocabulary_of(content["model"]))
    names |= {token["content"]: token["id"] for token in content["added_tokens"]}
    return list(names.items())


def _uses(home: Home, recipe: Recipe, size: int) -> NDArray[np.int64] | None:
    """(size,) how often each id occurs; None before all shards are counted."""
    # A shard that an earlier version wrote has no counts: then nothing is known of the whole.
    packed: list[str] = []
    for source in recipe.sources:
        packed += (summary.uses for summary in summaries(home, SHARDS, source))
    return uses_of(packed, size) if packed and all(packed) else None


# --- how well it encodes


def _encodings(
    encoded: dict[str, list[Summary]],
) -> tuple[Encoding | None, dict[str, Encoding], dict[str, Encoding]]:
    """(all text, by source, by language), the sources in their order, the languages by tokens."""
    by_source: dict[str, Counter[str]] = {}
    by_language: dict[str, Counter[str]] = {}
    total = Counter[str]()
    for name, found in encoded.items():
        for summary in found:
            for language, counts in summary.languages.items():
                total.update(counts)
                by_source.setdefault(name, Counter()).update(counts)
                by_language.setdefault(language, Counter()).update(counts)

    languages = sorted(by_language.items(), key=lambda item: (-item[1]["tokens"], item[0]))
    return (
        _encoding(total) if total else None,
        {name: _encoding(counts) for name, counts in by_source.items()},
        {name: _encoding(counts) for name, counts in languages[:LANGUAGES]},
    )


def _encoding(counts: Counter[str]) -> Encoding:
    return Encoding(
        bytes=counts["bytes"],
        tokens=counts["tokens"],
        single_bytes=counts["single_bytes"] if "single_bytes" in counts else None,
    )


def _sample_cost(
    home: Home, recipe: Recipe, encoded: dict[str, list[Summary]]
) -> SampleCost | None:
    """The sample beside the other documents; None where there is no such sample."""
    vocabulary = read_summary(home.summary(TOKENIZER, "all", "tokenizer"))
    if vocabulary is None or _trained_on(recipe) != "sample":
        return None

    sample, all_text = Counter[str](), Counter[str]()
    for summary in _flat(encoded.values()):
        # Sources that the vocabulary was not trained on are no part of the comparison.
        if "sampled_bytes" in summary.counts:
            for name in ("bytes", "tokens"):
                sample[name] += summary.counts[f"sampled_{name}"]
                all_text[name] += summary.counts[name]
    if not sample["tokens"]:
        return None
    return SampleCost(sample=_encoding(sample), others=_encoding(all_text - sample))


def _flat(lists: Iterable[list[Summary]]) -> Iterator[Summary]:
    for found in lists:
        yield from found


# --- its entries


def _entry(identity: int, written: bytes, uses: NDArray[np.int64] | None) -> Entry:
    return Entry(
        text=shown(written),
        id=identity,
        bytes=len(written),
        uses=None if uses is None else int(uses[identity]),
    )


def bytes_of(content: TokenizerFile) -> Callable[[str], bytes]:
    """A function that gives the bytes of text that a token of a `tokenizer.json` stands for."""
    steps = json.dumps(content.get("pre_tokenizer"))
    is_byte_level = '"ByteLevel"' in steps
    # Unigram vocabularies write a space as U+2581.
    space = "\u2581" if '"Metaspace"' in steps else " "
    letters = byte_letters() if is_byte_level else {}
    prefix = content["model"].get("continuing_subword_prefix") or ""
    single = {f"<0x{byte:02X}>": byte for byte in range(256)}
    if not content["model"].get("byte_fallback"):
        single = {}

    def written(name: str) -> bytes:
        if name in single:
            return bytes([single[name]])
        if letters and all(letter in letters for letter in name):
            return bytes(letters[letter] for letter in name)
        return name.removeprefix(prefix).replace(space, " ").encode("utf-8", "replace")

    return written


def shown(written: bytes) -> str:
    """The bytes of a token as they are shown: a space as U+2423, whatever is no letter, number or
    usual sign as its escape."""
    text = written.decode("utf-8", "backslashreplace")
    visible = _visible()
    parts = []
    for character in text[:SHOWN]:
        code = ord(character)
        if character == " ":
            parts.append("\u2423")
        elif visible[code]:
            parts.append(character)
        else:
            parts.append(character.encode("unicode_escape").decode())
    return "".join(parts) + ("\u2026" if len(text) > SHOWN else "")


@functools.cache
def _visible() -> NDArray[np.bool_]:
    """(0x110000,) the characters that are shown as they are."""
    from corpora.text.characters import LETTER, MARK, NUMBER, flags

    visible: NDArray[np.bool_] = flags() & (LETTER | NUMBER | MARK) > 0
    visible = visible.copy()
    for begin, end in ((0x21, 0x7F), (0xA1, 0xAD), (0xAE, 0x100), (0x2010, 0x2028)):
        visible[begin:end] = True
    for begin, end in ((0x2030, 0x205F), (0x3001, 0x3040), (0xFF01, 0xFF66)):
        visible[begin:end] = True
    return visible


def _odd(entries: list[Entry], written: dict[int, bytes]) -> list[OddEntries]:
    """The entries of each odd kind that the vocabulary has."""
    by_kind: dict[str, list[Entry]] = {}
    for entry in entries:
        kind = odd_kind(written[entry.id])
        if kind:
            by_kind.setdefault(kind, []).append(entry)
    return [
        OddEntries(kind=kind, entries=len(found), examples=found[:ODD_EXAMPLES])
        for kind, found in sorted(by_kind.items())
    ]


def odd_kind(written: bytes) -> str:
    """What is odd about an entry of these bytes; empty where nothing is."""
    try:
        text = written.decode().strip()
    except UnicodeDecodeError:
        # A single byte is in every byte-level vocabulary.
        return "parts of characters" if len(written) > 1 else ""

    if len(text) >= REPEATED and len(set(text)) == 1:
        return "one character repeated"
    letters = [character for character in text if _is_letter(character)]
    if not letters and len(text) >= REPEATED:
        return "signs and digits"
    is_latin = [ord(character) < 0x250 for character in letters]
    if any(is_latin) and not all(is_latin):
        return "Latin letters beside others"
    pairs = zip(text, text[1:])
    if any("a" <= left <= "z" and "A" <= right <= "Z" for left, right in pairs):
        return "capitals inside words"
    return ""


def _is_letter(character: str) -> bool:
    from corpora.text.characters import LETTER, flags

    return bool(flags()[ord(character)] & LETTER)
