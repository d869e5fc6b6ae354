"""What differs between two homes: settings, counts, documents, vocabulary, tokens.

Documents are compared by id, and by text among the kept. What is compared are records of 40 bytes
in files on disk, partitioned by key, so that memory is that of one partition.
"""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpora.document import LOCATION_FIELDS
from pipelines.home.decisions import attribute_digests, decided, fates
from pipelines.home.documents import document_tables
from pipelines.home.layout import Home, open_home
from pipelines.home.summaries import Summary, ordered_slices
from pipelines.look.stats import stats
from pipelines.recipe import NO_EFFECT_ON_BYTES, Recipe, flat, recipe_digest, said
from shards.config import to_dict
from shards.format import MANIFEST
from shards.manifest import Manifest, read_manifest
from shards.storage import files

SCHEMA_VERSION = 1

PARTITION_RECORDS = 1_000_000

EXAMPLES = 5

RECORD = np.dtype([("id", "<u8", 2), ("text", "<u8", 2), ("fate", "<u4"), ("source", "<u4")])
"""`fate`: 0 kept, else the number of its reason; `source`: the number of its name."""

Found = dict[str, Any]


def diff(left_root: str, right_root: str) -> Found:
    """The differences, as JSON types; `equal` when there is none but in settings that cannot change
    a byte. Raises `UserError`: no home, damage in one."""
    homes = [open_home(root, for_reading=True) for root in (left_root, right_root)]
    manifests = [_manifest(home) for home, _ in homes]
    settings = list(_settings(*(recipe for _, recipe in homes)))
    counts = list(_counts(stats(left_root), stats(right_root)))
    documents = _documents(homes)
    vocabulary = [to_dict(manifest.tokenizer) if manifest else None for manifest in manifests]
    packages = [manifest.created_by if manifest else {} for manifest in manifests]
    shards = [
        {entry.file: entry.digest for entry in manifest.shards} if manifest else {}
        for manifest in manifests
    ]
    found: Found = {
        "settings": settings,
        "packages": [
            {"package": name, "left": packages[0].get(name), "right": packages[1].get(name)}
            for name in sorted(packages[0].keys() | packages[1].keys())
            if packages[0].get(name) != packages[1].get(name)
        ],
        "counts": counts,
        "documents": documents,
        "tokenizer": {
            "equal": vocabulary[0] == vocabulary[1],
            "left": vocabulary[0],
            "right": vocabulary[1],
        },
        "shards": {
            "equal": sum(shards[1].get(name) == digest for name, digest in shards[0].items()),
            "different": sum(
                name in shards[1] and shards[1][name] != digest
                for name, digest in shards[0].items()
            ),
            "only_left": len(shards[0].keys() - shards[1].keys()),
            "only_right": len(shards[1].keys() - shards[0].keys()),
        },
    }
    equal = (
        not any(setting["matters"] for setting in settings)
        and not counts
        and not any(
            documents[key] for key in ("only_left", "only_right", "changed_text", "changed_fate")
        )
        and vocabulary[0] == vocabulary[1]
        and shards[0] == shards[1]
    )
    return {"schema_version": SCHEMA_VERSION, "equal": equal, **found}


def _manifest(home: Home) -> Manifest | None:
    return (
        read_manifest(home.file("shards")) if files.exists(home.file("shards", MANIFEST)) else None
    )


def _settings(left: Recipe, right: Recipe) -> Iterator[Found]:
    """Keys of the recipes with other values; `matters`: whether the output can depend on it."""
    before, after = dict(flat(to_dict(left))), dict(flat(to_dict(right)))
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            parts = tuple(key.split("."))
            own = [
                recipe.sources[parts[1]].place_fields
                for recipe in (left, right)
                if parts[0] == "sources" and parts[1] in recipe.sources
            ]
            place = parts[0] == "sources" and (
                parts[-1] in LOCATION_FIELDS or any(parts[-1] in names for names in own)
            )
            yield {
                "key": key,
                "left": before.get(key),
                "right": after.get(key),
                "matters": not place and parts not in NO_EFFECT_ON_BYTES,
            }


def _counts(left: Found, right: Found) -> Iterator[Found]:
    names = [*left["sources"], *(name for name in right["sources"] if name not in left["sources"])]
    for name in names:
        before, after = (
            dict(flat(left["sources"].get(name, {}))),
            dict(flat(right["sources"].get(name, {}))),
        )
        for key in [*before, *(key for key in after if key not in before)]:
            if before.get(key) != after.get(key):
                yield {"source": name, "key": key, "left": before.get(key), "right": after.get(key)}


def _documents(homes: list[tuple[Home, Recipe]]) -> Found:
    """Counts, by source, of documents in one home only, of those whose text or fate is another,
    with examples of ids; and of texts that only one home keeps."""
    slices = [ordered_slices(home, recipe) for home, recipe in homes]
    if _identities(homes[0], slices[0]) == _identities(homes[1], slices[1]):
        total = sum(summary.counts["documents"] for summary in slices[0])
        return {
            "equal": total,
            "only_left": {},
            "only_right": {},
            "changed_text": {},
            "changed_fate": {},
            "texts_only_left": 0,
            "texts_only_right": 0,
            "examples": {},
        }
    sources = list(dict.fromkeys(name for _, recipe in homes for name in recipe.sources))
    reasons: dict[tuple[str, str], int] = {("", "kept"): 0}
    count = max(sum(summary.counts["documents"] for summary in found) for found in slices)
    partitions = count // PARTITION_RECORDS + 1
    kinds = ("only_left", "only_right", "changed_text", "changed_fate")
    by_source: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    examples: dict[str, list[str]] = {kind: [] for kind in kinds}
    equal, texts = 0, [0, 0]
    with tempfile.TemporaryDirectory() as folder:
        for side, (home, recipe) in enumerate(homes):
            for summary in slices[side]:
                for records in _records(home, recipe, summary, sources, reasons):
                    _spill(
                        Path(folder),
                        f"{side}-id",
                        records,
                        records["id"][:, 0] % np.uint64(partitions),
                    )
                    kept = records[records["fate"] == 0]
                    _spill(
                        Path(folder),
                        f"{side}-text",
                        kept,
                        kept["text"][:, 0] % np.uint64(partitions),
                    )
        for number in range(partitions):
            left, right = (_sorted(Path(folder), f"{side}-id-{number}", "id") for side in (0, 1))
            at, there = _places(left["id"], right["id"])
            found = {
                "only_left": left[~there],
                "only_right": right[~_places(right["id"], left["id"])[1]],
                "changed_text": left[there][
                    (left["text"][there] != right["text"][at[there]]).any(axis=1)
                ],
                "changed_fate": left[there][left["fate"][there] != right["fate"][at[there]]],
            }
            same = (left["text"][there] == right["text"][at[there]]).all(axis=1) & (
                left["fate"][there] == right["fate"][at[there]]
            )
            equal += int(same.sum())
            for kind, records in found.items():
                for value, of_value in zip(*np.unique(records["source"], return_counts=True)):
                    by_source[kind][sources[value]] += int(of_value)
                ids = [
                    record["id"].astype("<u8").tobytes().hex()
                    for record in records[: EXAMPLES - len(examples[kind])]
                ]
                examples[kind] += ids
            left, right = (
                _sorted(Path(folder), f"{side}-text-{number}", "text") for side in (0, 1)
            )
            for side, (mine, other) in enumerate(((left, right), (right, left))):
                missing = mine["text"][~_places(mine["text"], other["text"])[1]]
                texts[side] += len(np.unique(missing, axis=0))
    return {
        "equal": equal,
        **{kind: dict(sorted(counter.items())) for kind, counter in by_source.items()},
        "texts_only_left": texts[0],
        "texts_only_right": texts[1],
        "examples": {kind: ids for kind, ids in examples.items() if ids},
    }


def _identities(of: tuple[Home, Recipe], slices: list[Summary]) -> list[tuple[Any, ...]]:
    """What decides the documents of a home and their fates."""
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
    home: Home,
    recipe: Recipe,
    ingested: Summary,
    sources: list[str],
    reasons: dict[tuple[str, str], int],
) -> Iterator[NDArray[np.void]]:
    """`RECORD`s of the documents of a slice, an array a row group. `reasons` numbers (stage,
    reason) as they come."""
    is_decided = decided(home, recipe, ingested)
    begin = 0
    table = fates(home, recipe, ingested) if is_decided else None
    for documents in document_tables(home, ingested, ["id", "text"]):
        records = np.zeros(documents.num_rows, RECORD)
        ids = b"".join(map(bytes.fromhex, documents.column("id").to_pylist()))
        records["id"] = np.frombuffer(ids, "<u8").reshape(-1, 2)
        digests = b"".join(
            hashlib.blake2b(text.as_buffer(), digest_size=16).digest()
            for text in documents.column("text")
        )
        records["text"] = np.frombuffer(digests, "<u8").reshape(-1, 2)
        records["source"] = sources.index(ingested.source)
        if table is None:
            records["fate"] = reasons.setdefault(("", "not decided"), len(reasons))
        else:
            part = table.slice(begin, documents.num_rows)
            pairs = zip(part.column("stage").to_pylist(), part.column("reason").to_pylist())
            records["fate"] = [
                0 if stage is None else reasons.setdefault((stage, reason), len(reasons))
                for stage, reason in pairs
            ]
        begin += documents.num_rows
        yield records


def _spill(
    folder: Path, name: str, records: NDArray[np.void], partition: NDArray[np.uint64]
) -> None:
    for number in np.unique(partition):
        with open(folder / f"{name}-{number}", "ab") as stream:
            stream.write(records[partition == number].tobytes())


def _sorted(folder: Path, name: str, key: str) -> NDArray[np.void]:
    path = folder / name
    records: NDArray[np.void] = np.fromfile(path, RECORD) if path.exists() else np.zeros(0, RECORD)
    ordered: NDArray[np.void] = records[np.lexsort((records[key][:, 1], records[key][:, 0]))]
    return ordered


def _places(
    keys: NDArray[np.uint64], sorted_keys: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each key stands among sorted ones, and whether it does."""
    one, many = (
        np.ascontiguousarray(found).astype(">u8").view("S16").reshape(-1)
        for found in (keys, sorted_keys)
    )
    if not len(many):
        return np.zeros(len(one), np.int64), np.zeros(len(one), np.bool_)
    at = np.minimum(np.searchsorted(many, one), len(many) - 1)
    return at, many[at] == one


def lines(found: Found) -> Iterator[str]:
    """The differences for people: a line each, left before right."""
    for setting in found["settings"]:
        yield f"setting {setting['key']}: {said(setting['left'])} | {said(setting['right'])}" + (
            "" if setting["matters"] else "  (changes no byte)"
        )
    for package in found["packages"]:
        yield f"package {package['package']}: {package['left']} | {package['right']}"
    for count in found["counts"]:
        left, right = (
            "-" if value is None else f"{value:,}" for value in (count["left"], count["right"])
        )
        yield f"count {count['source']} {count['key']}: {left} | {right}"
    documents = found["documents"]
    what = {
        "only_left": "only in the left home",
        "only_right": "only in the right home",
        "changed_text": "with another text",
        "changed_fate": "kept in one and removed in the other, or for another reason",
    }
    for kind, text in what.items():
        for source, count in documents[kind].items():
            yield f"documents of {source} {text}: {count:,}"
        if documents["examples"].get(kind):
            yield f"  such as {', '.join(documents['examples'][kind])}"
    for side in ("left", "right"):
        if documents[f"texts_only_{side}"]:
            yield f"texts that only the {side} home keeps: {documents[f'texts_only_{side}']:,}"
    if not found["tokenizer"]["equal"]:
        sizes = [
            f"{side['vocab_size']:,} ids, {side['digest'][:12]}" if side else "none"
            for side in (found["tokenizer"]["left"], found["tokenizer"]["right"])
        ]
        yield f"vocabulary: {sizes[0]} | {sizes[1]}"
    shards = found["shards"]
    if shards["different"] or shards["only_left"] or shards["only_right"]:
        yield f"shards: {shards['equal']:,} equal, {shards['different']:,} different, {shards['only_left']:,} only left, {shards['only_right']:,} only right"
