"""The recipe: every setting of a build, as frozen dataclasses. Their docstrings are `--help` and
`docs/reference.md`.

Nothing heavy is imported here, so that `corpus --help` stays quick.
"""

import dataclasses
import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from corpora.document import LOCATION_FIELDS, SourceOptions
from corpora.quality.rules import asked
from shards.config import dump_toml, from_dict, parse_toml, to_dict
from shards.errors import UserError, nearest

FORMAT = 1
"""Version of the recipe and of the home's layout."""

LIST_FIELDS = ("exclude_urls", "exclude_domains", "exclude_hashes", "only_domains")
"""Settings of a source's rules that name files: places, outside of the digest as well; the lists'
contents are in the fingerprints."""

NO_EFFECT_ON_BYTES = {("tokenizer", "path"), ("dedup", "max_removed")}
"""Settings outside the recipe's digest: a path is a place (the vocabulary's digest is in the
manifest), a guard only stops."""


@dataclass(frozen=True, kw_only=True)
class DedupConfig:
    """Which copies go. Of equal documents the first in survivor order stays: priority, crawl time,
    path, position."""

    exact: bool = True
    """Remove documents whose text is equal but for case and white space."""
    by_address: bool = True
    """With exact: remove also pages crawled from the address of an earlier one, whatever its
    spelling."""
    near: bool = True
    """Remove documents that share most of their shingles with an earlier one."""
    threshold: float = 0.8
    """Two documents are near-copies from this Jaccard similarity of their sets of shingles on."""
    ngram: int = 5
    """Words of a shingle; texts of fewer have none and are left to exact."""
    containment: float = 0.9
    """Of two documents compared that are no near-copies the one of fewer words goes when the other
    holds this share of its shingles."""
    containment_words: int = 50
    """Documents of fewer words never go for that: a notice or a quotation stands in another text by
    its nature, and is no edition of it."""
    priority: tuple[str, ...] = ()
    """Sources, the one whose copy stays first; default: the order of the recipe's tables."""
    max_removed: float = 0.5
    """A build stops when a larger share of a source would go; 1.0 allows everything."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.max_removed <= 1.0:
            raise ValueError(f"max_removed: {self.max_removed} is not in [0, 1]")
        if not 0.1 <= self.threshold <= 1.0:
            raise ValueError(f"threshold: {self.threshold} is not in [0.1, 1]")
        if not 1 <= self.ngram <= 100:
            raise ValueError(f"ngram: {self.ngram} is not in [1, 100]")
        if not 0.5 <= self.containment <= 1.0:
            raise ValueError(f"containment: {self.containment} is not in [0.5, 1]")
        if self.containment_words < 0:
            raise ValueError(f"containment_words: {self.containment_words} is less than 0")


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """The vocabulary: trained (byte-level BPE), or given."""

    vocab_size: int = 50265
    """Ids of a trained vocabulary, with its five special tokens; the paper's size."""
    path: str | None = None
    """A given vocabulary: tokenizer.json, or a folder with it, with vocab.json and merges.txt, or
    with encoder.json, vocab.bpe (and dict.txt)."""
    sources: tuple[str, ...] = ()
    """Train on these sources only; default all."""
    sample_bytes: int = 1_000_000_000
    """Train on about this much text, chosen by the hash of each document's id."""

    def __post_init__(self) -> None:
        if self.vocab_size < 261:
            raise ValueError(
                f"vocab_size: {self.vocab_size} is less than 261, the 256 bytes and five special tokens"
            )
        if self.sample_bytes < 1:
            raise ValueError(f"sample_bytes: {self.sample_bytes} is less than 1")


@dataclass(frozen=True, kw_only=True)
class ShardsConfig:
    """How text becomes tokens, and tokens files."""

    shard_tokens: int = 100_000_000
    """A shard is cut after this many tokens."""
    valid_fraction: float = 0.005
    """Share of documents held out for validation, chosen by the hash of their id; at least one of a
    source that has two."""
    whitespace: Literal["space", "strip", "keep"] = "space"
    """space: runs collapse, a sentence after the first begins with one where the text has any
    before it; strip: bare sentences, as RoBERTa's own data; keep: the text comes back exactly."""

    def __post_init__(self) -> None:
        if self.shard_tokens < 1:
            raise ValueError(f"shard_tokens: {self.shard_tokens} is less than 1")
        if not 0.0 <= self.valid_fraction < 1.0:
            raise ValueError(f"valid_fraction: {self.valid_fraction} is not in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class ExpectedConfig:
    """What a whole build of a source takes and gives, said by `--dry-run`. Facts for people: they
    change nothing."""

    input_bytes: int | None = None
    """Bytes of the whole input."""
    documents: int | None = None
    """Documents, about."""
    text_bytes: int | None = None
    """Bytes of their text, about."""
    core_hours: float | None = None
    """Hours of one core for ingest, about."""
    note: str | None = None
    """Where the figures come from, where the input is to be had."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a build gives."""

    format: int = FORMAT
    """Version of this file's layout."""
    seed: int = 0
    """Of every draw: the tokenizer's sample, the validation split."""
    limit: int | None = None
    """Only the first N records of each source, for a first look."""
    sources: dict[str, SourceOptions]
    """A table for each source; its keys depend on its kind."""
    dedup: DedupConfig = field(default_factory=DedupConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    shards: ShardsConfig = field(default_factory=ShardsConfig)
    expected: dict[str, ExpectedConfig] | None = None
    """For people: what each whole source takes and gives."""


def load_recipe(path: str, packaged: Mapping[str, Path] | None = None) -> Recipe:
    """Read a recipe; relative inputs are relative to its folder, those of a recipe in the package
    (`packaged`: name -> file) to the current one. Raises `UserError` naming the key that is
    wrong."""
    if packaged and path in packaged:
        return parse_recipe(packaged[path].read_text("utf-8"), path, os.getcwd())
    try:
        text = Path(path).read_text("utf-8")
    except FileNotFoundError:
        like = difflib.get_close_matches(path, packaged or (), 1)
        hint = (
            f"did you mean {like[0]}?"
            if like
            else "corpus recipes lists the ones in the package; README.md shows a short one"
        )
        raise UserError(f"{path}: no such recipe", hint) from None
    except PermissionError:
        raise UserError(
            f"{path}: cannot read this recipe: Permission denied",
            "give yourself the right to read it",
            3,
        ) from None
    except IsADirectoryError:
        raise UserError(
            f"{path}: a folder, not a recipe",
            "name the recipe's file: corpus build RECIPE.toml --home DIR",
        ) from None
    except (OSError, UnicodeError) as error:
        raise UserError(
            f"{path}: cannot read this recipe: {error}", "a recipe is a TOML text in UTF-8"
        ) from None
    return parse_recipe(text, path, os.path.dirname(os.path.abspath(path)))


def parse_recipe(text: str, where: str, folder: str, for_reading: bool = False) -> Recipe:
    """The recipe of a TOML text; `where` names it in errors, relative inputs are relative to
    `folder`.

    `for_reading`: of a home that is only looked at; then the module of a user's own source need not
    be there.
    """
    data = parse_toml(text, where)
    version = data.get("format", FORMAT)
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= FORMAT:
        raise UserError(
            f"{where}: format {version!r} is not one this version reads (1 to {FORMAT})",
            "upgrade corpusmill",
        )
    try:
        tables = data.pop("sources", {})
        if not isinstance(tables, dict) or not all(
            isinstance(table, dict) for table in tables.values()
        ):
            raise UserError("sources: not tables", "write [sources.NAME] with kind = and input =")
        recipe = from_dict(Recipe, {**data, "sources": {}})
        sources = {
            name: _source_options(name, table, folder, for_reading)
            for name, table in tables.items()
        }
    except UserError as error:
        raise UserError(f"{where}: {error.what}", error.hint, error.exit_code) from None
    return complete(dataclasses.replace(recipe, sources=sources), folder)


def _source_options(
    name: str, table: dict[str, Any], folder: str, for_reading: bool
) -> SourceOptions:
    from corpora.sources import KINDS, load_source

    kind = table.get("kind")
    if not isinstance(kind, str):
        raise UserError(
            f"sources.{name}.kind: missing",
            'set kind = "files", another kind, or "module:function"',
        )
    if for_reading and kind not in KINDS:
        common = {field.name for field in dataclasses.fields(SourceOptions)}
        return from_dict(
            SourceOptions,
            {key: value for key, value in table.items() if key in common},
            f"sources.{name}",
        )
    options = from_dict(load_source(kind).options, table, f"sources.{name}")
    return with_absolute_paths(options, folder)


def with_absolute_paths(options: SourceOptions, folder: str) -> SourceOptions:
    """The options with the paths of inputs, lists and `place_fields` relative to `folder`."""
    lists: dict[str, Any] = {
        name: tuple(_absolute(item, folder) for item in getattr(options.rules, name))
        for name in LIST_FIELDS
    }
    places = {
        name: _absolute_each(getattr(options, name), folder)
        for name in ("input", *options.place_fields)
    }
    return dataclasses.replace(options, rules=dataclasses.replace(options.rules, **lists), **places)


def _absolute_each(value: Any, folder: str) -> Any:
    """An address, several, or None."""
    if isinstance(value, tuple):
        return tuple(_absolute(item, folder) for item in value)
    return value and _absolute(value, folder)


def _absolute(address: str, folder: str) -> str:
    """The address, a path without `.` and `..`: one file has one name, and its documents' ids do
    not depend on where the recipe lies."""
    if address.startswith("@"):  # a list of inputs
        return "@" + _absolute(address[1:], folder)
    return (
        address
        if re.match(r"^[a-z][a-z0-9+.-]+://", address)
        else os.path.normpath(os.path.join(folder, os.path.expanduser(address)))
    )


def complete(recipe: Recipe, folder: str) -> Recipe:
    """Check what concerns several tables, and write out the defaults that depend on others. Raises
    `UserError`."""
    names = list(recipe.sources)
    if not names:
        raise UserError(
            "the recipe names no source",
            'add a table: [sources.mine] with kind = "files" and input = "texts/*.txt"',
        )
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            raise UserError(f"sources.{name}: not a name for files", "use letters, digits, - and _")
        if name == "total":
            raise UserError(
                "sources.total: the name of the sum of all sources in stats", "rename it"
            )
        twin = next(
            (
                other
                for other in names
                if other != name and other.replace("-", "_") == name.replace("-", "_")
            ),
            None,
        )
        if twin:
            raise UserError(
                f"sources.{name} and sources.{twin}: names that differ only in - and _",
                "rename one: on the command line they are the same flag",
            )
    for key, listed in (
        ("dedup.priority", recipe.dedup.priority),
        ("tokenizer.sources", recipe.tokenizer.sources),
        ("expected", recipe.expected or ()),
    ):
        for name in listed:
            if name not in names:
                raise UserError(f"{key}: no source {name!r}", nearest(name, names))
    if recipe.limit is not None and recipe.limit < 1:
        raise UserError(f"limit: {recipe.limit} is less than 1", "leave it out for everything")
    order = (*recipe.dedup.priority, *(name for name in names if name not in recipe.dedup.priority))
    path = recipe.tokenizer.path
    sources = {name: _with_profile(options) for name, options in recipe.sources.items()}
    tokenizer = dataclasses.replace(
        recipe.tokenizer, path=_absolute(path, folder) if path else None
    )
    return dataclasses.replace(
        recipe,
        sources=sources,
        dedup=dataclasses.replace(recipe.dedup, priority=order),
        tokenizer=tokenizer,
    )


def _with_profile(options: SourceOptions) -> SourceOptions:
    """The profile of its kind where none is named."""
    if options.rules.profile != "default":
        return options
    return dataclasses.replace(
        options, rules=dataclasses.replace(options.rules, profile=options.default_profile)
    )


def recipe_text(recipe: Recipe) -> str:
    """The recipe as TOML, every default written out; the thresholds of a profile as comments, so
    that a flag can still name another."""
    lines = [dump_toml(recipe)]
    for name, options in recipe.sources.items():
        asks = [
            f"{rule.name} = {str(threshold).lower()}"
            for rule, threshold in asked(options.rules)
            if not rule.own
        ]
        if asks:
            lines.append(
                f"\n# The rules of {name}, in the order in which they are asked:\n"
                + "".join(f"#   {line}\n" for line in asks)
            )
    return "".join(lines)


def recipe_digest(recipe: Recipe) -> str:
    """blake2b-16, in hex, of the settings that can change a byte: not of where inputs lie, nor of
    slice sizes."""
    data = to_dict(recipe)
    for source, table in data["sources"].items():
        for name in (*LOCATION_FIELDS, *recipe.sources[source].place_fields):
            table.pop(name, None)
        for name in LIST_FIELDS:
            table["rules"].pop(name)
    for table_name, name in NO_EFFECT_ON_BYTES:
        data[table_name].pop(name, None)
    data.pop("expected", None)
    return digest_of(data)


def digest_of(value: Any) -> str:
    """blake2b-16, in hex, of anything JSON can hold; the order of keys counts (it is the sources'
    priority)."""
    text = json.dumps(to_dict(value), ensure_ascii=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def said(value: Any) -> str:
    """A setting's value as the recipe would have it, on one line; `none`, for which TOML has no
    word, where it is not set."""
    import tomli_w

    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(said, value))}]"
    return "none" if value is None else tomli_w.dumps({"": value}).partition(" = ")[2].strip()


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of everything in nested tables."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, value
