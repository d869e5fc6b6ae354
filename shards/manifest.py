"""`manifest.json`: the files of a shards folder with their sizes, digests and counts.

Nothing in it depends on time, host or path, so that equal shards have equal manifests.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Literal

from shards.config import from_dict, to_dict
from shards.errors import UserError
from shards.format import FORMAT, MANIFEST
from shards.roles import roles_by_name
from shards.storage import files

COPY_AGAIN = "copy the shards folder again, or rebuild: corpus build RECIPE --home DIR"


@dataclass(frozen=True, kw_only=True)
class TokenizerInfo:
    """The vocabulary that the ids belong to. `special` maps each special token to its id, `roles`
    each of start, pad, end, unknown and mask to the id of its token.

    `digest`: blake2b-32, in hex, of `tokenizer.json`. `lossless`: decoding gives back every byte
    that was encoded; otherwise the unknown token is an ordinary id of the shards. `whitespace`:
    what decoding gives between two sentences: one space ("space"), nothing ("strip"), or the white
    space of the text ("keep").
    """

    digest: str
    vocab_size: int
    special: dict[str, int]
    roles: dict[str, int] = field(default_factory=dict)
    lossless: bool
    whitespace: Literal["space", "strip", "keep"]

    @property
    def reserved(self) -> list[int]:
        """The ids that no shard may hold, rising: the special ones, but not the unknown token of a
        vocabulary that is not lossless."""
        ids = set(self.special.values())
        if not self.lossless:
            ids.discard(self.roles.get("unknown", -1))
        return sorted(ids)


@dataclass(frozen=True, kw_only=True)
class ShardEntry:
    """One shard file: its size in bytes, its digest (blake2b-32, in hex) and its counts."""

    file: str
    split: Literal["train", "valid"]
    source: str
    bytes: int
    digest: str
    documents: int
    sentences: int
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The whole of `manifest.json`; shards are in the order of sources, splits and numbers."""

    format: int = FORMAT
    created_by: dict[str, str]
    recipe_digest: str
    tokenizer: TokenizerInfo
    dtype: Literal["uint16", "uint32"]
    shards: tuple[ShardEntry, ...]


def write_manifest(directory: str, manifest: Manifest) -> None:
    """Write `manifest.json` into `directory`, atomically."""
    text = json.dumps(to_dict(manifest), indent=1, ensure_ascii=False) + "\n"
    files.write_bytes(files.join(directory, MANIFEST), text.encode())


def read_manifest(directory: str) -> Manifest:
    """Read `manifest.json`.

    Raises `UserError` when it is missing, is not JSON, has a wrong key, or has a newer format.
    """
    address = files.join(directory, MANIFEST)
    try:
        data = json.loads(files.read_bytes(address))
    except FileNotFoundError:
        raise UserError(
            f"{address}: no manifest",
            "name a folder of shards, or build one: corpus build RECIPE --home DIR",
        ) from None
    except ValueError as error:
        what = "it is empty" if not files.size(address) else error
        raise UserError(f"{address}: not a manifest: {what}", COPY_AGAIN) from None

    version = data.get("format") if isinstance(data, dict) else None
    if version is None:
        raise UserError(f"{address}: not a manifest: it has no format", COPY_AGAIN)
    if not isinstance(version, int) or not 1 <= version <= FORMAT:
        raise UserError(
            f"{address}: format {version!r} is not one this version reads (1 to {FORMAT})",
            "upgrade corpusmill",
        )

    try:
        manifest = from_dict(Manifest, data)
    except UserError as error:
        raise UserError(f"{address}: {error.what}", error.hint or "rebuild: corpus build") from None

    tokenizer = manifest.tokenizer
    if not tokenizer.roles:
        # Manifests of before roles had RoBERTa's names.
        tokenizer = replace(tokenizer, roles=roles_by_name(tokenizer.special))
    return replace(manifest, tokenizer=tokenizer)


def shards_directory(directory: str) -> str:
    """The folder that has the manifest, or should have it: `directory`, or the `shards/` of a
    home."""
    if files.exists(files.join(directory, MANIFEST)):
        return directory

    inner = files.join(directory, "shards")
    has_manifest = files.exists(files.join(inner, MANIFEST))
    is_home = has_manifest or files.exists(files.join(directory, "recipe.toml"))
    return inner if is_home else directory
