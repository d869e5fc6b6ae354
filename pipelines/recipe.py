"""The recipe: every setting of a build, as frozen dataclasses.

The docstrings of the classes and fields are the text of `--help` and of `docs/reference.md`.
Nothing heavy is imported here, so that `corpus --help` stays quick.
"""

import dataclasses
import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from corpora.document import SourceOptions
from corpora.quality.rules import RULES, RulesConfig, asked
from shards.config import (
    Setting,
    dump_toml,
    from_dict,
    parse_toml,
    setting,
    setting_of,
    table,
    to_dict,
    without_defaults,
)
from shards.errors import UserError, nearest

FORMAT = 1
"""Version of the recipe and of the home's layout."""

Table = TypeVar("Table", SourceOptions, RulesConfig)


@dataclass(frozen=True, kw_only=True)
class DedupConfig:
    """How duplicates are removed. Of duplicates the first is kept, ordered by the priority of the
    source, then by `keep`, then by path and position."""

    exact: bool = setting(True, affects="exact")
    """Remove documents whose text is equal, apart from case and white space."""
    by_address: bool = setting(True, affects="exact")
    """With exact: also remove pages crawled from the same URL as an earlier one, however the URL is
    spelled."""
    near: bool = setting(True, affects="near")
    """Remove near-duplicates: documents that share most of their shingles with an earlier one."""
    threshold: float = setting(0.8, affects="near")
    """Documents whose shingle sets have at least this Jaccard similarity are near-duplicates."""
    ngram: int = setting(5, affects="near")
    """Number of words in a shingle. Documents with fewer words have no shingles and are compared by
    exact only."""
    containment: float = setting(0.9, affects="near")
    """A document is also removed when a longer one contains at least this share of its shingles."""
    containment_words: int = setting(50, affects="near")
    """Documents with fewer words are never removed for being contained in another: short notices
    and quotations appear in other texts without being copies of them."""
    priority: tuple[str, ...] = setting((), affects="exact")
    """Names of sources, the one whose duplicates are kept first. Default: the order of the sources
    in the recipe."""
    keep: Literal["oldest", "newest", "longest"] = setting("oldest", affects="exact", later=True)
    """Of duplicates within a priority: oldest keeps the one that was crawled first, newest the one
    that was crawled last, longest the one with the most bytes of text. Documents without a crawl
    time come after those that have one."""
    passage_words: int = setting(4, affects="passages", later=True)
    """Paragraphs and lines with fewer words are not compared."""
    passage_documents: int = setting(2, affects="passages", later=True)
    """A paragraph or line is repeated when at least this many documents have it."""
    passage_left: int = setting(4, affects="passages", later=True)
    """A document of which fewer words are left without its repeated passages is removed."""
    max_removed: float = setting(0.5, affects="nothing")
    """Stop the build when more than this share of a source would be removed. 1.0 never stops."""

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
        if self.passage_words < 1:
            raise ValueError(f"passage_words: {self.passage_words} is less than 1")
        if self.passage_documents < 2:
            raise ValueError(f"passage_documents: {self.passage_documents} is less than 2")
        if self.passage_left < 0:
            raise ValueError(f"passage_left: {self.passage_left} is less than 0")


VOCAB_SIZES = {"bpe": 50265, "wordpiece": 30000, "unigram": 32000}
"""The default of `vocab_size` by kind."""


@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """The tokenizer: byte-level BPE, WordPiece or Unigram, trained on the kept documents or
    given."""

    kind: Literal["bpe", "wordpiece", "unigram"] = setting("bpe", affects="tokenizer", later=True)
    """bpe: byte-level BPE, as RoBERTa's, from which every text comes back exactly. wordpiece: as
    BERT's; words with characters that the vocabulary lacks become the unknown token. unigram: as
    T5's and XLNet's, trained by sentencepiece; such characters become the unknown token."""
    vocab_size: int = setting(50265, affects="tokenizer")
    """Number of ids in a trained vocabulary, including its five special tokens. The default is the
    RoBERTa paper's; for WordPiece it is 30000, as in the BERT paper, for Unigram 32000."""
    lowercase: bool = setting(False, affects="tokenizer", later=True)
    """With WordPiece: make all letters lower case and remove accents, as BERT's uncased models do.
    Also for a given vocab.txt, which does not tell."""
    path: str | None = setting(None, affects="tokenizer", place=True)
    """A given tokenizer: a tokenizer.json or BERT's vocab.txt, or a folder that holds one of them,
    or vocab.json and merges.txt, or encoder.json and vocab.bpe (and dict.txt)."""
    sources: tuple[str, ...] = setting((), affects="tokenizer")
    """Train on these sources only. Default: all sources."""
    sample_bytes: int | Literal["all"] = setting(1_000_000_000, affects="tokenizer")
    """Train on about this many bytes of text, sampled by the hash of each document's id. all: train
    byte-level BPE on all text, exactly, from the counts of its words."""

    def __post_init__(self) -> None:
        if self.kind == "bpe" and self.vocab_size < 261:
            raise ValueError(
                f"vocab_size: {self.vocab_size} is less than 261, "
                "the 256 bytes and five special tokens"
            )
        if self.vocab_size < 100:
            raise ValueError(f"vocab_size: {self.vocab_size} is less than 100")
        if self.lowercase and self.kind != "wordpiece" and self.path is None:
            name = "byte-level BPE" if self.kind == "bpe" else "Unigram"
            raise ValueError(f'lowercase: {name} keeps the text as it is; set kind to "wordpiece"')
        if not isinstance(self.sample_bytes, int):
            if self.kind != "bpe" and self.path is None:
                raise ValueError(
                    'sample_bytes: "all" is for byte-level BPE; give a number of bytes'
                )
        elif self.sample_bytes < 1:
            raise ValueError(f"sample_bytes: {self.sample_bytes} is less than 1")


@dataclass(frozen=True, kw_only=True)
class ShardsConfig:
    """How documents are tokenized and written to shards."""

    shard_tokens: int = setting(100_000_000, affects="tokenize")
    """Start a new shard after this many tokens."""
    valid_fraction: float = setting(0.005, affects="tokenize")
    """Share of documents held out for validation, sampled by the hash of their id. A source with at
    least two documents always has one held out."""
    whitespace: Literal["space", "strip", "keep"] = setting("space", affects="tokenize")
    """space: collapse white space, and keep one space before a sentence that follows another;
    strip: no white space around sentences, as in RoBERTa's own data; keep: all white space, so that
    decoding gives back the exact text."""

    def __post_init__(self) -> None:
        if self.shard_tokens < 1:
            raise ValueError(f"shard_tokens: {self.shard_tokens} is less than 1")
        if not 0.0 <= self.valid_fraction < 1.0:
            raise ValueError(f"valid_fraction: {self.valid_fraction} is not in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class ExpectedConfig:
    """What a build of the whole source is expected to read and give, printed by `--dry-run`.
    Informative only: changes nothing."""

    input_bytes: int | None = setting(None, affects="nothing")
    """Bytes of the whole input."""
    documents: int | None = setting(None, affects="nothing")
    """Approximate number of documents."""
    text_bytes: int | None = setting(None, affects="nothing")
    """Approximate bytes of their text."""
    core_hours: float | None = setting(None, affects="nothing")
    """Approximate hours of ingest on one core."""
    note: str | None = setting(None, affects="nothing")
    """Where the figures come from, or where to get the input."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every setting of a build."""

    format: int = setting(FORMAT, affects="ingest")
    """Version of the recipe's format."""
    seed: int = setting(0, affects="tokenizer")
    """Seed of every random draw: the tokenizer's sample and the validation split."""
    limit: int | None = setting(None, affects="ingest")
    """Read only the first N records of each source, for a first look."""
    forget: tuple[str, ...] = setting((), affects="ingest", place=True, later=True)
    """Lists of ids, hashes, addresses and hosts, one per line. Records that they name are counted
    as `forgotten` and stored nowhere. The home keeps what it has forgotten, whatever a later recipe
    names."""
    sources: dict[str, SourceOptions] = dataclasses.field(
        metadata={"setting": Setting(affects="ingest")}
    )
    """One table for each source. Its keys depend on its kind."""
    dedup: DedupConfig = table(DedupConfig, affects="exact")
    tokenizer: TokenizerConfig = table(TokenizerConfig, affects="tokenizer")
    shards: ShardsConfig = table(ShardsConfig, affects="tokenize")
    expected: dict[str, ExpectedConfig] | None = setting(None, affects="nothing")
    """What each whole source is expected to read and give. Informative only."""


def load_recipe(path: str, packaged: Mapping[str, Path] | None = None) -> Recipe:
    """Read a recipe from a file, or one in the package (`packaged`: name -> file).

    Relative inputs are relative to the recipe's folder; those of a packaged recipe to the current
    folder. Raises `UserError` naming the key that is wrong.
    """
    # a packaged recipe has no folder of the user's: its inputs are relative to the current one
    if packaged and path in packaged:
        return parse_recipe(packaged[path].read_text("utf-8"), path, os.getcwd())
    try:
        text = Path(path).read_text("utf-8")
    except FileNotFoundError:
        close = difflib.get_close_matches(path, packaged or (), 1)
        hint = "run corpus recipes for the packaged ones; README.md shows a short recipe"
        if close:
            hint = f"did you mean {close[0]}?"
        kind = "recipe file" if path.endswith(".toml") else "recipe"
        raise UserError(f"{path}: no such {kind}", hint) from None
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
            f"{path}: cannot read this recipe: {error}", "write the recipe as TOML in UTF-8"
        ) from None
    return parse_recipe(text, path, os.path.dirname(os.path.abspath(path)))


def parse_recipe(text: str, where: str, folder: str, for_reading: bool = False) -> Recipe:
    """The recipe of a TOML text. Raises `UserError` naming the key that is wrong.

    `where`: names the text in errors; `folder`: that relative inputs are relative to;
    `for_reading`: the home is only looked at, so that the module of a user's own source may be
    missing.
    """
    data = parse_toml(text, where)
    # first: of a newer format nothing else can be said
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
        data["tokenizer"] = _with_vocab_size(data.get("tokenizer", {}))
        recipe = from_dict(Recipe, {**data, "sources": {}})
        sources = {
            name: _source_options(name, table, folder, for_reading)
            for name, table in tables.items()
        }
    except UserError as error:
        raise UserError(f"{where}: {error.what}", error.hint, error.exit_code) from None
    return complete(dataclasses.replace(recipe, sources=sources), folder)


def _with_vocab_size(table: object) -> object:
    """The table [tokenizer] with the `vocab_size` of its kind, where it names none."""
    if not isinstance(table, dict) or table.get("kind") not in VOCAB_SIZES:
        return table
    return {"vocab_size": VOCAB_SIZES[table["kind"]], **table}


def with_kind(recipe: Recipe, before: Recipe) -> Recipe:
    """The recipe with the default `vocab_size` of a kind that a flag has changed."""
    was, now = before.tokenizer, recipe.tokenizer
    if now.kind == was.kind or now.vocab_size != VOCAB_SIZES[was.kind]:
        return recipe
    size = VOCAB_SIZES[now.kind]
    return dataclasses.replace(recipe, tokenizer=dataclasses.replace(now, vocab_size=size))


def _source_options(
    name: str, table: dict[str, object], folder: str, for_reading: bool
) -> SourceOptions:
    from corpora.sources import KINDS, load_source

    kind = table.get("kind")
    if not isinstance(kind, str):
        raise UserError(
            f"sources.{name}.kind: missing",
            'set kind = "files", another kind, or "module:function"',
        )
    # the module of a user's own source may be missing where a home is only looked at
    if for_reading and kind not in KINDS:
        common = {field.name for field in dataclasses.fields(SourceOptions)}
        known = {key: value for key, value in table.items() if key in common}
        return from_dict(SourceOptions, known, f"sources.{name}")
    kind_options = load_source(kind).options
    options = from_dict(kind_options, _with_extraction(table, kind_options), f"sources.{name}")
    return with_absolute_paths(options, folder)


def _with_extraction(table: dict[str, object], options: type[SourceOptions]) -> dict[str, object]:
    """The table of a source with `extraction` in place of `fast`, its name and its two values in
    recipes and homes of earlier versions."""
    fast = table.get("fast")
    names = {field.name for field in dataclasses.fields(options)}
    if not isinstance(fast, bool) or "extraction" not in names or "extraction" in table:
        return table
    rest = {key: value for key, value in table.items() if key != "fast"}
    return {**rest, "extraction": "fast" if fast else "default"}


def with_absolute_paths(options: SourceOptions, folder: str) -> SourceOptions:
    """The options with their places, and those of their rules, relative to `folder`."""
    rules = _with_absolute_places(options.rules, folder)
    return _with_absolute_places(dataclasses.replace(options, rules=rules), folder)


def _with_absolute_places(value: Table, folder: str) -> Table:
    places: dict[str, Any] = {}  # by the names of fields, whose types are not known here
    for field in dataclasses.fields(value):
        if setting_of(field).place:
            places[field.name] = _absolute_each(getattr(value, field.name), folder)
    return dataclasses.replace(value, **places)


def _absolute_each(
    value: str | tuple[str, ...] | None, folder: str
) -> str | tuple[str, ...] | None:
    """The absolute form of an address, of several, or of None."""
    if isinstance(value, tuple):
        return tuple(_absolute(item, folder) for item in value)
    return value and _absolute(value, folder)


_SCHEME = r"^[a-z][a-z0-9+.-]+://"


def _absolute(address: str, folder: str) -> str:
    """The address, a path as an absolute one without `.` and `..`.

    One file thus has one name, and the ids of its documents do not depend on the recipe's folder.
    """
    if address.startswith("@"):  # a list of inputs
        return "@" + _absolute(address[1:], folder)
    if re.match(_SCHEME, address):
        return address
    if re.match(_SCHEME, folder):
        return f"{folder.rstrip('/')}/{address}"
    return os.path.normpath(os.path.join(folder, os.path.expanduser(address)))


KEEP_LOSES = 'shards.whitespace: "keep" promises the exact text, which this vocabulary cannot give'

KEEP_REMEDY = 'set whitespace to "space" or "strip", or use byte-level BPE'


def complete(recipe: Recipe, folder: str) -> Recipe:
    """Check what concerns several tables, and fill in the defaults that depend on others.

    Raises `UserError`.
    """
    _check_source_names(list(recipe.sources))
    _check_references(recipe)
    if recipe.tokenizer.kind != "bpe" and recipe.shards.whitespace == "keep":
        raise UserError(KEEP_LOSES, KEEP_REMEDY)
    if recipe.limit is not None and recipe.limit < 1:
        raise UserError(f"limit: {recipe.limit} is less than 1", "remove it to read every record")

    # written out, since the order of the tables is not part of TOML
    others = [name for name in recipe.sources if name not in recipe.dedup.priority]
    # what is only compared with stays, so that its copies in the corpus are removed
    others.sort(key=lambda name: recipe.sources[name].emit)
    path = recipe.tokenizer.path
    return dataclasses.replace(
        recipe,
        sources={name: _with_profile(options) for name, options in recipe.sources.items()},
        dedup=dataclasses.replace(recipe.dedup, priority=_with_others(recipe, others)),
        tokenizer=dataclasses.replace(
            recipe.tokenizer, path=_absolute(path, folder) if path else None
        ),
        forget=tuple(_absolute(address, folder) for address in recipe.forget),
    )


def _with_others(recipe: Recipe, others: list[str]) -> tuple[str, ...]:
    """The priority with the sources that it does not name: those that are not emitted before it,
    the others after it."""
    first = [name for name in others if not recipe.sources[name].emit]
    return (*first, *recipe.dedup.priority, *others[len(first) :])


def _check_source_names(names: list[str]) -> None:
    if not names:
        raise UserError(
            "the recipe names no source",
            'add a table: [sources.mine] with kind = "files" and input = "texts/*.txt"',
        )
    # the command line makes a flag of each name, and flags do not tell - and _ apart
    flags: dict[str, str] = {}
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            raise UserError(
                f"sources.{name}: not usable as a file name", "use letters, digits, - and _"
            )
        if name == "total":
            raise UserError(
                "sources.total: the name that stats gives to the sum of all sources", "rename it"
            )
        twin = flags.setdefault(name.replace("-", "_"), name)
        if twin != name:
            raise UserError(
                f"sources.{twin} and sources.{name}: names that differ only in - and _",
                "rename one: on the command line they are the same flag",
            )


def _check_references(recipe: Recipe) -> None:
    """Raise `UserError` for a key that names a source that is not there."""
    references = (
        ("dedup.priority", recipe.dedup.priority),
        ("tokenizer.sources", recipe.tokenizer.sources),
        ("expected", tuple(recipe.expected or ())),
        *(
            (f"sources.{name}.dedup.longer_stays_with", options.dedup.longer_stays_with)
            for name, options in recipe.sources.items()
        ),
    )
    for key, names in references:
        for name in names:
            if name not in recipe.sources:
                raise UserError(f"{key}: no source {name!r}", nearest(name, recipe.sources))


def _with_profile(options: SourceOptions) -> SourceOptions:
    """The options with the profile of their kind, unless they name another."""
    if options.rules.profile != "default":
        return options
    rules = dataclasses.replace(options.rules, profile=options.default_profile)
    return dataclasses.replace(options, rules=rules)


def recipe_text(recipe: Recipe, brief: bool = False) -> str:
    """The recipe as TOML, with every default written out, or with none where it is to be `brief`.

    The thresholds of a profile are comments, so that a flag can still name another profile.
    """
    lines = [dump_toml(_brief(recipe) if brief else recipe)]
    for name, options in recipe.sources.items():
        comments = [
            f"#   {rule.name} = {str(threshold).lower()}\n"
            for rule, threshold in asked(options.rules)
            if not rule.own
        ]
        if comments:
            lines.append(f"\n# The rules of {name}, in the order in which they are asked:\n")
            lines += comments
    return "".join(lines)


def _brief(recipe: Recipe) -> dict[str, Any]:
    """The tables of a recipe without what is as it is by default; it reads as the same recipe."""
    tables: dict[str, Any] = without_defaults(recipe)
    for name, options in recipe.sources.items():
        # each kind has a table of its own, so that its kind is a default
        tables["sources"][name] = {"kind": options.kind, **tables["sources"][name]}

    if recipe.dedup.priority == tuple(recipe.sources):
        tables["dedup"].pop("priority")
        if not tables["dedup"]:
            tables.pop("dedup")
    return tables


def recipe_digest(recipe: Recipe) -> str:
    """blake2b-16, in hex, of the settings that can change a byte of the output.

    Places are left out, and what affects nothing, such as the sizes of slices.
    """
    return digest_of(deciding(recipe))


def deciding(value: object, only_chosen: bool = False) -> Any:
    """The settings that decide, as tables: what `to_dict` gives without the others.

    `only_chosen` leaves out those that have their default value, so that a setting which a later
    version adds makes no difference.
    """
    if isinstance(value, Mapping):
        return {name: deciding(item, only_chosen) for name, item in value.items()}
    if not dataclasses.is_dataclass(value):
        return value

    table = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        found = setting_of(field)
        is_left_out = item == _default(field) and (only_chosen or found.later)
        if found.decides and not is_left_out:
            table[field.name] = deciding(item, only_chosen)
    return table


def _default(field: "dataclasses.Field[Any]") -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def setting_at(recipe: Recipe, key: str) -> Setting:
    """What a setting affects, by its dotted key, as `flat` gives them."""
    value: object = recipe
    found = Setting()
    for name in key.split("."):
        if isinstance(value, Mapping):
            value = value.get(name)
        elif dataclasses.is_dataclass(value):
            fields = {field.name: field for field in dataclasses.fields(value)}
            if name not in fields:
                break
            found = setting_of(fields[name])
            value = getattr(value, name)
    return found


def digest_of(value: object) -> str:
    """blake2b-16, in hex, of anything JSON can hold.

    The order of keys counts: that of the sources is their priority.
    """
    text = json.dumps(to_dict(value), ensure_ascii=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def in_effect(recipe: Recipe) -> dict[str, Any]:
    """Every setting by its dotted key, as `flat` gives them, and the thresholds of those rules that
    the profile of a source sets."""
    values = dict(flat(to_dict(recipe)))
    for name, options in recipe.sources.items():
        for rule, threshold in asked(options.rules):
            if rule.name in RULES:
                values.setdefault(f"sources.{name}.rules.{rule.name}", threshold)
    return values


def said(value: object) -> str:
    """A setting's value on one line, as the recipe would write it; `none` when it is not set, since
    TOML has no word for that."""
    import tomli_w

    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(said, value))}]"
    return "none" if value is None else tomli_w.dumps({"": value}).partition(" = ")[2].strip()


def flat(value: object, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of everything in nested tables."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, value
