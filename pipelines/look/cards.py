"""Data cards in the Hugging Face form: of an export, and of a folder of shards.

The card of the shards is part of the build's output: it holds no time, host or place, and is
written from summaries and manifest alone.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.home.documents import DOCUMENT_SCHEMA
from pipelines.home.layout import Home
from pipelines.look.stats import SourceStats, removals, stats
from pipelines.look.vocabulary import Entry, VocabularyStats
from pipelines.recipe import Recipe
from pipelines.wording import apart, decimal, number, share
from shards.format import token_schema
from shards.manifest import Manifest, read_manifest
from shards.storage import files

if TYPE_CHECKING:  # a build imports this module for the other card
    import pyarrow as pa

    from pipelines.look.report.distributions import Fertility, Histogram, ValueCount
    from pipelines.look.report.figures import ReportFigures

CARD = "README.md"

FIVE_DIGITS = "[0-9]" * 5
"""The number in a file's name, as a pattern: `*` would take the files of a source `a-1` for those
of `a` too."""

SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
)
"""The hub's categories of size, by the number of documents they are below."""

MARKS = 10
"""Marks that are listed of each source, the most frequent first."""

LICENCE = (
    "Text is NFC in UTF-8. The licence of the text is that of its sources; this card grants none."
)

COLUMNS = (
    ("id", "32 hex digits, from source, path and position"),
    ("text", "the document"),
    ("url, title, date, language, crawled", "where known"),
    ("path, position", "where the document was in the input"),
    ("digest", "of the payload it was made from"),
    ("extra", "everything else that the source knows, as JSON"),
)

SPLITS = {"train": "train", "valid": "validation"}
"""Our names of the splits, and the hub's."""

_TWO_LETTERS = {"zh-cn": "zh", "zh-tw": "zh"}

UNDETERMINED = "und"
"""The language of a document that has none, such as a table of figures."""

DTYPES = {"date32[day]": "date32"}
"""Types that `datasets` calls by another name than Arrow."""

Cells = tuple[str, ...]

Configuration = tuple[str, list[tuple[str, str]]]
"""A name, and (split, pattern of its files)."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """Files of one source and split, or of several: their rows, bytes, and digests."""

    source: str
    split: str
    documents: int
    bytes: int
    digests: tuple[str, ...]


def export_card(figures: "ReportFigures", form: str, written: Sequence[Written] = ()) -> str:
    """The card of an export: its files by source, and the figures of the report."""
    totals = figures.stats
    sources = [name for name, row in totals.sources.items() if row.kept]
    # without configurations the hub would take every file for one split of one table
    configurations: list[Configuration] = [("default", [("train", f"data/*.{form}")])]
    for name in _named(sources):
        configurations.append((name, [("train", f"data/{name}-{FIVE_DIGITS}.{form}")]))
    info = _dataset_info(configurations, DOCUMENT_SCHEMA, written)

    dropped = [(reason.stage, reason.reason, reason.count) for reason in figures.reasons]
    lines = [
        *_front_matter(configurations, _languages(figures.languages), totals.total.kept or 0, info),
        *_funnel(totals.sources, totals.total),
        *_dropped(dropped, totals.total),
        *_marks(totals.sources),
        *_left_out(totals.sources),
        *_section("Lengths", "Characters per document."),
        *_table(("from", "kept", "removed"), _bins(figures.lengths.total)),
    ]
    if figures.languages:
        lines += _section("Languages")
        lines += _table(("language", "kept", "removed"), _values(figures.languages, "unknown"))
    if figures.hosts.different:
        lines += _section("Hosts", f"The most frequent of {figures.hosts.different:,} hosts.")
        lines += _table(("host", "kept", "removed"), _values(figures.hosts.rows, "none"))
    if figures.tokens.by_source:
        head = ("source", "words", "tokens", "tokens per word", "bytes per token")
        lines += _section("Tokens")
        lines += _table(head, map(_fertility, figures.tokens.by_source.items()))
    lines += _section("Columns")
    lines += _table(("column", "content"), COLUMNS)
    return "\n".join([*lines, "", LICENCE, ""])


def _languages(rows: "list[ValueCount]") -> list[str]:
    """The codes of the kept documents' languages; none where the language of a document is not
    known, since the hub would take those of the others for all."""
    kept = [row for row in rows if row.kept]
    if any(row.value is None for row in kept):
        return []
    named = {str(row.value) for row in kept if row.values is None}
    return _codes(named - {UNDETERMINED})


def _told_languages(recipe: Recipe, sources: list[str]) -> list[str]:
    """The codes of the languages that the recipe names for these sources; none where it names none
    for one of them."""
    told = {recipe.sources[name].told for name in sources}
    return [] if "any" in told else _codes(told)


def _codes(names: Iterable[str]) -> list[str]:
    return sorted({_TWO_LETTERS.get(name, name) for name in names})


def write_shards_card(home: Home, recipe: Recipe) -> None:
    """Write `shards/README.md`, unless the same card is there already."""
    content = shards_card(home, recipe).encode()
    address = home.file("shards", CARD)
    # not written anew without need: on an object store each write is a new version
    if not files.exists(address) or files.read_bytes(address) != content:
        files.write_bytes(address, content)


def shards_card(home: Home, recipe: Recipe) -> str:
    """The card of a home's shards: counts, vocabulary, digests."""
    figures = stats(home, recipe)
    total = figures.total
    manifest = read_manifest(home.file("shards"))
    sources = list(dict.fromkeys(entry.source for entry in manifest.shards))

    # from the stats, since the reasons of the report need every document
    dropped = [("ingest", reason, count) for reason, count in total.rejects.items()]
    dropped += [(what, "", count) for what, count in removals(total)]
    versions = [f"{name} {version}" for name, version in manifest.created_by.items()]
    configurations = _shard_configurations(manifest, sources)
    written = [
        Written(
            source=entry.source,
            split=SPLITS[entry.split],
            documents=entry.documents,
            bytes=entry.bytes,
            digests=(entry.digest,),
        )
        for entry in manifest.shards
    ]
    lines = [
        *_front_matter(
            configurations,
            _told_languages(recipe, sources),
            total.kept or 0,
            _dataset_info(configurations, token_schema(manifest.dtype), written),
        ),
        *_funnel(figures.sources, total),
        *_dropped(dropped, total),
        *_marks(figures.sources),
        *_left_out(figures.sources),
        *_section("Splits"),
        *_table(
            ("source", "split", "documents", "sentences", "tokens"), _splits(manifest, sources)
        ),
        *_section("Vocabulary", *_vocabulary(manifest, total)),
        *_vocabulary_report(figures.vocabulary),
        *_section("Built with", f"{', '.join(versions)}; recipe `{manifest.recipe_digest}`."),
    ]
    return "\n".join([*lines, "", LICENCE, ""])


def _shard_configurations(manifest: Manifest, sources: list[str]) -> list[Configuration]:
    """All shards by split, and those of each source where there are several."""

    def splits_of(source: str | None) -> list[str]:
        found = {entry.split for entry in manifest.shards if source in (None, entry.source)}
        return [split for split in SPLITS if split in found]

    every = [(SPLITS[split], f"{split}-*.arrow") for split in splits_of(None)]
    configurations: list[Configuration] = [("default", every)]
    for source in _named(sources):
        patterns = [
            (SPLITS[split], f"{split}-{source}-{FIVE_DIGITS}.arrow") for split in splits_of(source)
        ]
        configurations.append((source, patterns))
    return configurations


def _splits(manifest: Manifest, sources: list[str]) -> Iterator[Cells]:
    """What the shards of each source and split hold."""
    for source in sources:
        for split in SPLITS:
            entries = [
                entry for entry in manifest.shards if (entry.source, entry.split) == (source, split)
            ]
            if entries:
                documents = sum(entry.documents for entry in entries)
                sentences = sum(entry.sentences for entry in entries)
                tokens = sum(entry.tokens for entry in entries)
                yield source, split, number(documents), number(sentences), number(tokens)


def _vocabulary(manifest: Manifest, total: SourceStats) -> Iterator[str]:
    tokenizer = manifest.tokenizer
    special = ", ".join(f"`{name}` {identity}" for name, identity in tokenizer.special.items())
    yield (
        f"{tokenizer.vocab_size:,} ids as {manifest.dtype}, in `tokenizer.json`; "
        f"special ones: {special}."
    )
    if not tokenizer.lossless:
        yield (
            f"The vocabulary is not lossless: {number(total.unknown or 0)} of "
            f"{number(total.tokens or 0)} tokens are the unknown one, the only special id that the "
            "shards hold."
        )
    if total.repeated:
        yield (
            f"{number(total.repeated)} of the training documents are further copies of others, "
            f"`ID#2` and so on, with {number(total.repeated_tokens)} tokens."
        )
    no_special = "The shards hold no special ids. " if tokenizer.lossless else ""
    yield (
        f"{no_special}Each row is one document: `id`, `tokens`, and `sentences`, their "
        "lengths in tokens. `manifest.json` has a digest for each file; `corpus verify` checks "
        "them."
    )


def _vocabulary_report(found: VocabularyStats | None) -> Iterator[str]:
    """How well the vocabulary encodes the text; its longest and its oddest entries."""
    if found is None or found.total is None:
        return
    head = ("source or language", "bytes", "tokens", "bytes per token", "single-byte tokens")
    rows = [*found.sources.items()]
    rows += [(f"language: {code}", row) for code, row in found.languages.items()]
    cells = []
    for name, row in [*rows, ("total", found.total)]:
        single = share(row.single_bytes, row.tokens)
        ratio = decimal(row.bytes_per_token)
        cells.append((name, number(row.bytes), number(row.tokens), ratio, single))
    yield from _table(head, cells)

    said = [sentence for sentence in (found.about_ids(), found.about_sample()) if sentence]
    yield from ("", *said) if said else ()
    yield ""
    yield from _table(("longest entries", "id", "bytes", "uses"), map(_entry, found.longest))
    if found.odd:
        yield ""
        odd = [(f"{row.kind}: {_texts(row.examples)}", number(row.entries)) for row in found.odd]
        yield from _table(("odd entries", "entries"), odd)
    if found.unused_examples:
        yield ""
        yield _plain(f"Longest of those not used: {_texts(found.unused_examples)}.")


def _entry(entry: Entry) -> Cells:
    return entry.text, str(entry.id), number(entry.bytes), entry.shown_uses


def _texts(entries: list[Entry]) -> str:
    return "  ".join(entry.text for entry in entries)


def _named(sources: list[str]) -> list[str]:
    """The sources with a configuration of their own: none where there is only one source."""
    return [name for name in sources if name != "default"] if len(sources) > 1 else []


def _dataset_info(
    configurations: list[Configuration], schema: "pa.Schema", written: Sequence[Written]
) -> list[str]:
    """What `datasets` reads of each configuration before its files: the columns, so that files
    whose columns hold no value load too, and sizes and a digest, so that it never takes another
    corpus of the same name from its cache."""
    lines = ["dataset_info:"]
    for name, patterns in configurations:
        own = [files for files in written if name in ("default", files.source)]
        digest = hashlib.blake2b("".join(d for files in own for d in files.digests).encode())
        lines += [f"- config_name: {json.dumps(name)}"]
        lines += [f'  description: "corpusmill {digest.hexdigest()[:32]}"', "  features:"]
        for field in schema:
            lines += [f"  - name: {field.name}", f"    {_feature(field.type)}"]

        lines.append("  splits:")
        for split, _ in patterns:
            of_split = [files for files in own if files.split == split]
            lines += [
                f"  - name: {split}",
                f"    num_bytes: {sum(files.bytes for files in of_split)}",
                f"    num_examples: {sum(files.documents for files in of_split)}",
            ]
        size = sum(files.bytes for files in own)
        lines += [f"  download_size: {size}", f"  dataset_size: {size}"]
    return lines


def _feature(kind: "pa.DataType") -> str:
    """A type of Arrow as `datasets` writes it in a card."""
    if hasattr(kind, "value_type"):
        return f"large_list: {kind.value_type}"
    return f"dtype: {DTYPES.get(str(kind), str(kind))}"


def _front_matter(
    configurations: list[Configuration], languages: list[str], documents: int, info: list[str]
) -> Iterator[str]:
    """What the Hugging Face hub reads: YAML, every text in quotes."""
    yield from ("---", "configs:")
    for name, patterns in configurations:
        yield from (f"- config_name: {json.dumps(name)}", "  data_files:")
        for split, path in patterns:
            yield from (f"  - split: {split}", f"    path: {json.dumps(path)}")
    yield from info
    if languages:
        yield "language:"
        yield from (f"- {json.dumps(code)}" for code in languages)
    yield from ("task_categories:", "- fill-mask", "tags:", '- "corpusmill"', "size_categories:")
    # the hub shows this category beside the name of the data set
    size = next((category for bound, category in SIZES if documents < bound), "n>1B")
    yield from (f"- {size}", "---", "")


def _section(title: str, *paragraph: str) -> list[str]:
    """A heading, and a paragraph under it."""
    lines = ["", f"## {title}", ""]
    return [*lines, *paragraph, ""] if paragraph else lines


def _funnel(sources: dict[str, SourceStats], total: SourceStats) -> Iterator[str]:
    """Records, documents and tokens by source."""
    yield from ("# Corpus built by corpusmill", "")
    rows = []
    for name, row in [*sources.items(), ("total", total)]:
        counts = (row.pages, row.documents, row.kept, row.bytes, row.sentences, row.tokens)
        rows.append((name, *map(number, counts)))
    head = ("source", "records", "documents", "kept", "bytes", "sentences", "tokens")
    yield from _table(head, rows)
    if total.not_pages:
        yield from ("", f"Not counted above: {apart(total.not_pages)}.")


def _dropped(dropped: list[tuple[str, str, int]], total: SourceStats) -> Iterator[str]:
    """Why records were rejected and documents removed, by (stage, reason, count)."""
    if not dropped:
        return
    rows = []
    for stage, reason, count in dropped:
        if stage == "ingest":
            rows.append((f"rejected: {reason}", number(count), share(count, total.pages)))
        else:
            what = f"{stage}, {reason}" if reason else stage
            rows.append((f"removed: {what}", number(count), share(count, total.documents)))
    yield from _section(
        "What was dropped",
        "Rejects as a share of all records, removed documents as a share of all documents.",
    )
    yield from _table(("reason", "records", "share"), rows)


def _marks(sources: dict[str, SourceStats]) -> Iterator[str]:
    """The most frequent marks of each source."""

    def order(item: tuple[str, int]) -> tuple[int, str]:
        return -item[1], item[0]

    rows = []
    for name, row in sources.items():
        for mark, count in sorted(row.marks.items(), key=order)[:MARKS]:
            rows.append((name, mark, number(count)))
    if rows:
        yield from _section(
            "Marked documents",
            "Properties that the source noted of documents, such as the questions of a benchmark "
            "that they contain.",
        )
        yield from _table(("source", "mark", "documents"), rows)


def _left_out(sources: dict[str, SourceStats]) -> Iterator[str]:
    """What each source left out of its texts most often."""
    rows = []
    for name, row in sources.items():
        rows += [(name, what, number(count)) for what, count in [*row.left_out.items()][:MARKS]]
    if rows:
        yield from _section(
            "Left out of the texts",
            "What the source left out of the documents that it gave, such as templates that no "
            "table knows: the most frequent names.",
        )
        yield from _table(("source", "name", "times"), rows)


def _table(head: Cells, rows: Iterable[Cells]) -> Iterator[str]:
    """A Markdown table; all columns but the first are aligned right."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join(['---', *['---:'] * (len(head) - 1)])}|"
    for row in rows:
        yield f"| {' | '.join(map(_plain, row))} |"


def _plain(cell: str) -> str:
    """A cell that Markdown shows as it is, whatever it holds."""
    # names of hosts, marks and sources come from the corpus
    text = " ".join(cell.split())
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#&~$" else sign for sign in text)


def _bins(histogram: "Histogram") -> Iterator[Cells]:
    for edge, kept, removed in zip(histogram.edges, histogram.kept, histogram.removed):
        yield number(edge), number(kept), number(removed)


def _values(rows: "list[ValueCount]", unknown: str) -> Iterator[Cells]:
    for row in rows:
        yield row.value or unknown, number(row.kept), number(row.removed)


def _fertility(item: "tuple[str, Fertility]") -> Cells:
    name, row = item
    return (
        name,
        number(row.words),
        number(row.tokens),
        decimal(row.tokens_per_word),
        decimal(row.bytes_per_token),
    )
