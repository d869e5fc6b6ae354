"""What differs between two homes: settings, counts, documents, vocabulary, shards.

Documents are compared by id, and the kept ones by text too. Their records of 40 bytes are
partitioned by key into files in a temporary folder, so that memory is that of one partition.
"""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipelines.home.decisions import attribute_digests, decided
from pipelines.home.documents import document_tables
from pipelines.home.fates import fates
from pipelines.home.layout import Home
from pipelines.home.summaries import Summary, ordered_slices
from pipelines.look.stats import Stats, stats
from pipelines.recipe import Recipe, flat, in_effect, recipe_digest, said, setting_at
from pipelines.wording import json_value, number
from shards.config import to_dict
from shards.format import MANIFEST
from shards.manifest import Manifest, TokenizerInfo, read_manifest
from shards.storage import files

SCHEMA_VERSION = 1

PARTITION_RECORDS = 1_000_000

EXAMPLES = 5
"""Ids that are named of each kind of difference."""

RECORD = np.dtype([("id", "<u8", 2), ("text", "<u8", 2), ("fate", "<u4"), ("source", "<u4")])
"""`id`, `text`: digests of 128 bits; `fate`: 0 for kept, else the number of the stage and reason;
`source`: the number of its name."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A key of the recipes with two values; `matters`: whether the output can depend on it."""

    key: str
    left: object
    right: object
    matters: bool


@dataclass(frozen=True, kw_only=True)
class Package:
    """A package of another version; None: not among those that made the shards."""

    package: str
    left: str | None
    right: str | None


@dataclass(frozen=True, kw_only=True)
class Count:
    """A figure of `corpus stats` with two values; `key`: dotted."""

    source: str
    key: str
    left: int | None
    right: int | None


@dataclass(frozen=True, kw_only=True)
class DocumentDifferences:
    """Documents by source that are in one home only, or have another text or fate.

    `equal`: documents with the same text and fate; `texts_only_left`: different texts that only the
    left home keeps; `examples`: ids by kind of difference.
    """

    equal: int
    only_left: dict[str, int] = field(default_factory=dict)
    only_right: dict[str, int] = field(default_factory=dict)
    changed_text: dict[str, int] = field(default_factory=dict)
    changed_fate: dict[str, int] = field(default_factory=dict)
    texts_only_left: int = 0
    texts_only_right: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """True when any document differs."""
        return bool(self.only_left or self.only_right or self.changed_text or self.changed_fate)


@dataclass(frozen=True, kw_only=True)
class Vocabularies:
    """What the manifests say of the vocabularies; None: a home without shards."""

    equal: bool
    left: TokenizerInfo | None
    right: TokenizerInfo | None

    def as_json(self) -> object:
        """As in the manifest, which leaves out what is not set."""
        left = to_dict(self.left) if self.left else None
        right = to_dict(self.right) if self.right else None
        return {"equal": self.equal, "left": left, "right": right}


@dataclass(frozen=True, kw_only=True)
class ShardDifferences:
    """Shards by name: of the same digest, of another, or in one home only."""

    equal: int
    different: int
    only_left: int
    only_right: int

    @property
    def any(self) -> bool:
        """True when any shard differs."""
        return bool(self.different or self.only_left or self.only_right)


@dataclass(frozen=True, kw_only=True)
class Differences:
    """Everything that differs between two homes.

    `equal`: nothing differs but settings and packages that changed no byte.
    """

    schema_version: int = SCHEMA_VERSION
    equal: bool
    settings: list[Setting]
    packages: list[Package]
    counts: list[Count]
    documents: DocumentDifferences
    tokenizer: Vocabularies
    shards: ShardDifferences


def diff(left: tuple[Home, Recipe], right: tuple[Home, Recipe]) -> Differences:
    """Compare two homes. Raises `UserError` for a damaged file."""
    left_manifest = _manifest(left[0])
    right_manifest = _manifest(right[0])
    settings = list(_settings(left[1], right[1]))
    counts = list(_counts(stats(*left), stats(*right)))
    documents = _documents([left, right])
    tokenizer = _vocabularies(left_manifest, right_manifest)
    shards = _shards(left_manifest, right_manifest)

    settings_matter = any(setting.matters for setting in settings)
    return Differences(
        equal=not settings_matter
        and not counts
        and not documents.any
        and tokenizer.equal
        and not shards.any,
        settings=settings,
        packages=_packages(left_manifest, right_manifest),
        counts=counts,
        documents=documents,
        tokenizer=tokenizer,
        shards=shards,
    )


def _manifest(home: Home) -> Manifest | None:
    if not files.exists(home.file("shards", MANIFEST)):
        return None
    return read_manifest(home.file("shards"))


def _settings(left: Recipe, right: Recipe) -> Iterator[Setting]:
    before = dict(flat(to_dict(left)))
    after = dict(flat(to_dict(right)))
    # A rule that one recipe sets may have its threshold from a profile in the other.
    here, there = in_effect(left), in_effect(right)
    for key in sorted(before.keys() | after.keys()):
        if here.get(key) != there.get(key):
            owner = left if key in before else right
            yield Setting(
                key=key,
                left=here.get(key),
                right=there.get(key),
                matters=setting_at(owner, key).decides,
            )


def _counts(left: Stats, right: Stats) -> Iterator[Count]:
    for name in dict.fromkeys([*left.sources, *right.sources]):
        before = dict(flat(json_value(left.sources.get(name, {}))))
        after = dict(flat(json_value(right.sources.get(name, {}))))
        for key in dict.fromkeys([*before, *after]):
            if before.get(key) != after.get(key):
                yield Count(source=name, key=key, left=before.get(key), right=after.get(key))


def _packages(left: Manifest | None, right: Manifest | None) -> list[Package]:
    before: dict[str, str] = to_dict(left.created_by) if left else {}
    after: dict[str, str] = to_dict(right.created_by) if right else {}
    return [
        Package(package=name, left=before.get(name), right=after.get(name))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _vocabularies(left: Manifest | None, right: Manifest | None) -> Vocabularies:
    before = left.tokenizer if left else None
    after = right.tokenizer if right else None
    return Vocabularies(equal=before == after, left=before, right=after)


def _shards(left: Manifest | None, right: Manifest | None) -> ShardDifferences:
    before = {entry.file: entry.digest for entry in left.shards} if left else {}
    after = {entry.file: entry.digest for entry in right.shards} if right else {}
    common = before.keys() & after.keys()
    equal = sum(before[name] == after[name] for name in common)
    return ShardDifferences(
        equal=equal,
        different=len(common) - equal,
        only_left=len(before.keys() - common),
        only_right=len(after.keys() - common),
    )


# documents


KINDS = ("only_left", "only_right", "changed_text", "changed_fate")


def _documents(homes: list[tuple[Home, Recipe]]) -> DocumentDifferences:
    """Compare the documents of two homes; without reading them where their digests are equal."""
    slices = [ordered_slices(home, recipe) for home, recipe in homes]
    totals = [_sum_of_documents(found) for found in slices]

    # builds of the same input by the same recipe: no document need be read
    if _identities(homes[0], slices[0]) == _identities(homes[1], slices[1]):
        return DocumentDifferences(equal=totals[0])

    names = list(dict.fromkeys([*homes[0][1].sources, *homes[1][1].sources]))
    partitions = max(totals) // PARTITION_RECORDS + 1
    with tempfile.TemporaryDirectory() as folder:
        spill = _Spill(Path(folder), partitions)
        numbers = _Numbers(names)
        for side, (home, recipe) in enumerate(homes):
            for summary in slices[side]:
                for records in _records(home, recipe, summary, numbers):
                    spill.write(f"{side}-id", "id", records)
                    spill.write(f"{side}-text", "text", records[records["fate"] == 0])
        return _compared(spill, names)


def _sum_of_documents(slices: list[Summary]) -> int:
    return sum(summary.counts["documents"] for summary in slices)


class _Numbers:
    """Numbers for the names of sources and for (stage, reason); 0 is that of a kept document."""

    def __init__(self, sources: list[str]) -> None:
        self.sources = sources
        self.fates: dict[tuple[str, str], int] = {("", "kept"): 0}

    def fate(self, stage: str, reason: str) -> int:
        """The number of a fate, the same for both homes."""
        return self.fates.setdefault((stage, reason), len(self.fates))


class _Spill:
    """Records in files, partitioned by a key of two words."""

    def __init__(self, folder: Path, partitions: int) -> None:
        self.folder = folder
        self.partitions = partitions

    def write(self, name: str, key: str, records: NDArray[np.void]) -> None:
        """Append the records to the files of their partitions."""
        # the keys are digests: their first word is as good as random
        partition = records[key][:, 0] % np.uint64(self.partitions)
        for place in np.unique(partition):
            with open(self.folder / f"{name}-{place}", "ab") as stream:
                stream.write(records[partition == place].tobytes())

    def read(self, name: str, key: str, partition: int) -> NDArray[np.void]:
        """The records of one partition, sorted by the key."""
        path = self.folder / f"{name}-{partition}"
        records: NDArray[np.void] = np.zeros(0, RECORD)
        if path.exists():
            records = np.fromfile(path, RECORD)
        ordered: NDArray[np.void] = records[np.lexsort((records[key][:, 1], records[key][:, 0]))]
        return ordered


def _compared(spill: _Spill, names: list[str]) -> DocumentDifferences:
    """Compare the records of both homes, partition by partition."""
    equal = 0
    texts_only = [0, 0]
    by_source: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    examples: dict[str, list[str]] = {kind: [] for kind in KINDS}

    for partition in range(spill.partitions):
        # equal ids are in the same partition of both homes
        left = spill.read("0-id", "id", partition)
        right = spill.read("1-id", "id", partition)
        place, is_there = _places(left["id"], right["id"])
        both = left[is_there]
        others = right[place[is_there]]
        has_other_text = (both["text"] != others["text"]).any(axis=1)
        has_other_fate = both["fate"] != others["fate"]
        equal += int((~has_other_text & ~has_other_fate).sum())

        differing = {
            "only_left": left[~is_there],
            "only_right": right[~_places(right["id"], left["id"])[1]],
            "changed_text": both[has_other_text],
            "changed_fate": both[has_other_fate],
        }
        for kind, records in differing.items():
            values, counts = np.unique(records["source"], return_counts=True)
            for value, count in zip(values, counts):
                by_source[kind][names[value]] += int(count)
            for record in records[: EXAMPLES - len(examples[kind])]:
                examples[kind].append(record["id"].astype("<u8").tobytes().hex())

        # a text may be kept twice: of the missing ones each counts once
        kept = [spill.read(f"{side}-text", "text", partition) for side in (0, 1)]
        for side in (0, 1):
            texts = kept[side]["text"]
            missing = texts[~_places(texts, kept[1 - side]["text"])[1]]
            texts_only[side] += len(np.unique(missing, axis=0))

    return DocumentDifferences(
        equal=equal,
        only_left=dict(sorted(by_source["only_left"].items())),
        only_right=dict(sorted(by_source["only_right"].items())),
        changed_text=dict(sorted(by_source["changed_text"].items())),
        changed_fate=dict(sorted(by_source["changed_fate"].items())),
        texts_only_left=texts_only[0],
        texts_only_right=texts_only[1],
        examples={kind: ids for kind, ids in examples.items() if ids},
    )


def _identities(of: tuple[Home, Recipe], slices: list[Summary]) -> list[tuple[object, ...]]:
    """The digests that decide the documents of a home and their fates."""
    home, recipe = of
    return [
        (
            summary.source,
            summary.slice,
            summary.output,
            attribute_digests(home, recipe, summary, strict=False),
            recipe_digest(recipe),
        )
        for summary in slices
    ]


def _records(
    home: Home, recipe: Recipe, ingested: Summary, numbers: _Numbers
) -> Iterator[NDArray[np.void]]:
    """The documents of a slice as `RECORD`s, one array per row group."""
    table = fates(home, recipe, ingested) if decided(home, recipe, ingested) else None
    begin = 0
    for documents in document_tables(home, ingested, ["id", "text"]):
        records = np.zeros(documents.num_rows, RECORD)

        ids = b"".join(map(bytes.fromhex, documents.column("id").to_pylist()))
        records["id"] = np.frombuffer(ids, "<u8").reshape(-1, 2)

        digests = [
            hashlib.blake2b(text.as_buffer(), digest_size=16).digest()
            for text in documents.column("text")
        ]
        records["text"] = np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2)

        records["source"] = numbers.sources.index(ingested.source)
        if table is None:
            records["fate"] = numbers.fate("", "not decided")
        else:
            part = table.slice(begin, documents.num_rows)
            pairs = zip(part.column("stage").to_pylist(), part.column("reason").to_pylist())
            records["fate"] = [
                0 if stage is None else numbers.fate(stage, reason) for stage, reason in pairs
            ]
        begin += documents.num_rows
        yield records


def _places(
    keys: NDArray[np.uint64], sorted_keys: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(K,) the place of each key among the sorted ones, and whether it is among them.

    Keys are pairs of words; as big-endian bytes they compare like the sorted pairs.
    """
    one = np.ascontiguousarray(keys).astype(">u8").view("S16").reshape(-1)
    many = np.ascontiguousarray(sorted_keys).astype(">u8").view("S16").reshape(-1)
    if not len(many):
        return np.zeros(len(one), np.int64), np.zeros(len(one), np.bool_)
    place = np.minimum(np.searchsorted(many, one), len(many) - 1)
    return place, many[place] == one


# for people


def lines(found: Differences) -> Iterator[str]:
    """The differences, one per line, the left home's value before the right one's."""
    for setting in found.settings:
        note = "" if setting.matters else "  (changes no byte)"
        yield f"setting {setting.key}: {said(setting.left)} | {said(setting.right)}{note}"
    for package in found.packages:
        yield f"package {package.package}: {package.left} | {package.right}"
    for count in found.counts:
        values = f"{number(count.left, '-')} | {number(count.right, '-')}"
        yield f"count {count.source} {count.key}: {values}"

    yield from _document_lines(found.documents)

    if not found.tokenizer.equal:
        left = _vocabulary(found.tokenizer.left)
        right = _vocabulary(found.tokenizer.right)
        yield f"vocabulary: {left} | {right}"
    shards = found.shards
    if shards.any:
        yield (
            f"shards: {shards.equal:,} equal, {shards.different:,} different, "
            f"{shards.only_left:,} only in the left home, "
            f"{shards.only_right:,} only in the right home"
        )


def _document_lines(documents: DocumentDifferences) -> Iterator[str]:
    kinds = (
        ("only_left", documents.only_left, "only in the left home"),
        ("only_right", documents.only_right, "only in the right home"),
        ("changed_text", documents.changed_text, "with different texts"),
        (
            "changed_fate",
            documents.changed_fate,
            "kept in one home and removed in the other, or removed for different reasons",
        ),
    )
    for kind, counts, text in kinds:
        for source, count in counts.items():
            yield f"documents of {source} {text}: {count:,}"
        if documents.examples.get(kind):
            yield f"  such as {', '.join(documents.examples[kind])}"

    if documents.texts_only_left:
        yield f"texts that only the left home keeps: {documents.texts_only_left:,}"
    if documents.texts_only_right:
        yield f"texts that only the right home keeps: {documents.texts_only_right:,}"


def _vocabulary(tokenizer: TokenizerInfo | None) -> str:
    return f"{tokenizer.vocab_size:,} ids, {tokenizer.digest[:12]}" if tokenizer else "none"
