"""Data cards in the Hugging Face form, of an export and of a shards folder, from the figures of the
report.

The card of the shards is a part of the build's output: it holds no time, host or place.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pipelines.home.layout import Home
from pipelines.look.stats import removals, stats
from pipelines.wording import decimal, number, share
from shards.config import to_dict
from shards.manifest import read_manifest
from shards.storage import files

CARD = "README.md"

FIVE_DIGITS = "[0-9]" * 5
"""In a pattern: so that the files of a source `a` are not those of `a-1` too."""

SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
)

MARKS = 10
"""Of each source, of what its documents were marked with (such as what they give away of a test):
the most frequent."""

LICENCE = (
    "Text is NFC in UTF-8. The licence of the text is that of its sources; this card grants none."
)

_TWO_LETTERS = {"zh-cn": "zh", "zh-tw": "zh"}

Figures = dict[str, Any]


def export_card(figures: Figures, form: str) -> str:
    """The card of an export: its text, a configuration a source, and the figures of the report."""
    sources = [name for name, row in figures["stats"]["sources"].items() if row["kept"]]
    configs = [
        ("default", [("train", f"data/*.{form}")]),
        *((name, [("train", f"data/{name}-{FIVE_DIGITS}.{form}")]) for name in _named(sources)),
    ]
    languages = {
        _TWO_LETTERS.get(row["language"], row["language"])
        for row in figures["languages"]
        if row["language"] not in (None, "other") and row["kept"]
    }
    lines = [
        *_front_matter(configs, sorted(languages), figures["stats"]["total"]["kept"] or 0),
        *_tables(figures["stats"], figures["reasons"]),
    ]
    lines += [
        "",
        "## Lengths",
        "",
        "Characters a document.",
        "",
        *_table(("from", "kept", "removed"), _bins(figures["lengths"]["total"])),
    ]
    if figures["languages"]:
        rows = (
            (row["language"] or "unknown", number(row["kept"]), number(row["removed"]))
            for row in figures["languages"]
        )
        lines += ["", "## Languages", "", *_table(("language", "kept", "removed"), rows)]
    if figures["hosts"]["different"]:
        rows = (
            (row["host"] or "none", number(row["kept"]), number(row["removed"]))
            for row in figures["hosts"]["rows"]
        )
        lines += [
            "",
            "## Hosts",
            "",
            f"{figures['hosts']['different']:,} different ones.",
            "",
            *_table(("host", "kept", "removed"), rows),
        ]
    if figures["tokens"]["by_source"]:
        by_source = figures["tokens"]["by_source"].items()
        cells = (
            (
                name,
                number(row["words"]),
                number(row["tokens"]),
                decimal(row["tokens_per_word"]),
                decimal(row["bytes_per_token"]),
            )
            for name, row in by_source
        )
        lines += [
            "",
            "## Tokens",
            "",
            *_table(("source", "words", "tokens", "tokens a word", "bytes a token"), cells),
        ]
    lines += ["", "## Columns", "", *_table(("column", "what it is"), COLUMNS)]
    return "\n".join([*lines, "", LICENCE, ""])


COLUMNS = (
    ("id", "32 hex digits, from source, path and position"),
    ("text", "the document"),
    ("url, title, date, language, crawled", "as far as they are known"),
    ("path, position", "where in the input it stood"),
    ("digest", "of the payload it was made from"),
    ("extra", "anything else that its source knows, as JSON"),
)


def write_shards_card(home_root: str) -> None:
    """Write `shards/README.md`, unless it stands there already."""
    home = Home(home_root)
    content = shards_card(home_root).encode()
    address = home.file("shards", CARD)
    if not files.exists(address) or files.read_bytes(address) != content:
        files.write_bytes(address, content)


def shards_card(home_root: str) -> str:
    """The card of a home's shards: counts, vocabulary, digests; from summaries and manifest
    alone."""
    figures, manifest = stats(home_root), read_manifest(Home(home_root).file("shards"))
    splits = [
        split
        for split in ("train", "valid")
        if any(entry.split == split for entry in manifest.shards)
    ]
    names = {"train": "train", "valid": "validation"}
    sources = list(dict.fromkeys(entry.source for entry in manifest.shards))
    configs = [("default", [(names[split], f"{split}-*.arrow") for split in splits])]
    for source in _named(sources):
        there = [
            split
            for split in splits
            if any(entry.split == split and entry.source == source for entry in manifest.shards)
        ]
        configs.append(
            (source, [(names[split], f"{split}-{source}-{FIVE_DIGITS}.arrow") for split in there])
        )
    reasons = [
        {"stage": "ingest", "reason": reason, "count": count}
        for reason, count in figures["total"]["rejects"].items()
    ]
    reasons += [
        {"stage": what, "reason": "", "count": count} for what, count in removals(figures["total"])
    ]
    lines = [*_front_matter(configs, [], figures["total"]["kept"] or 0), *_tables(figures, reasons)]
    cells = []
    for source in sources:
        for split in splits:
            entries = [
                entry for entry in manifest.shards if (entry.source, entry.split) == (source, split)
            ]
            if entries:
                cells.append(
                    (
                        source,
                        split,
                        *(
                            number(sum(getattr(entry, key) for entry in entries))
                            for key in ("documents", "sentences", "tokens")
                        ),
                    )
                )
    lines += [
        "",
        "## Splits",
        "",
        *_table(("source", "split", "documents", "sentences", "tokens"), cells),
    ]
    tokenizer = manifest.tokenizer
    lines += [
        "",
        "## Vocabulary",
        "",
        f"{tokenizer.vocab_size:,} ids as {manifest.dtype}, in `tokenizer.json`; special ones: {', '.join(f'`{name}` {number}' for name, number in tokenizer.special.items())}.",
    ]
    lines += [
        "No special id is in a shard. Each row is a document: `id`, `tokens`, `sentences` (lengths in tokens). `manifest.json` has a digest for each file; `corpus verify` checks them."
    ]
    versions = ", ".join(
        f"{name} {version}" for name, version in to_dict(manifest)["created_by"].items()
    )
    lines += ["", "## Made by", "", f"{versions}; recipe `{manifest.recipe_digest}`."]
    return "\n".join([*lines, "", LICENCE, ""])


def _named(sources: list[str]) -> list[str]:
    """The sources with a configuration of their own, where there are several."""
    return [name for name in sources if name != "default"] if len(sources) > 1 else []


def _front_matter(
    configs: list[tuple[str, list[tuple[str, str]]]], languages: list[str], documents: int
) -> Iterator[str]:
    """What the Hugging Face hub reads: YAML, every text in quotes."""
    yield from ("---", "configs:")
    for name, parts in configs:
        yield from (f"- config_name: {json.dumps(name)}", "  data_files:")
        for split, path in parts:
            yield from (f"  - split: {split}", f"    path: {json.dumps(path)}")
    if languages:
        yield from ("language:", *(f"- {json.dumps(code)}" for code in languages))
    yield from ("task_categories:", "- fill-mask", "tags:", '- "corpusmill"', "size_categories:")
    yield from (
        f"- {next((label for bound, label in SIZES if documents < bound), 'n>1B')}",
        "---",
        "",
    )


def _tables(figures: Figures, reasons: list[dict[str, Any]]) -> Iterator[str]:
    """The funnel by source, and why records went."""
    yield from ("# Corpus built by corpusmill", "")
    keys = ("records", "documents", "kept", "bytes", "sentences", "tokens")
    rows = [
        (name, *(number(row[key]) for key in keys))
        for name, row in [*figures["sources"].items(), ("total", figures["total"])]
    ]
    yield from _table(("source", *keys), rows)
    if reasons:
        total = figures["total"]
        cells = (
            (
                f"rejected: {reason['reason']}",
                number(reason["count"]),
                share(reason["count"], total["records"]),
            )
            if reason["stage"] == "ingest"
            else (
                f"removed: {reason['stage']}{', ' if reason['reason'] else ''}{reason['reason']}",
                number(reason["count"]),
                share(reason["count"], total["documents"]),
            )
            for reason in reasons
        )
        yield from (
            "",
            "## What was dropped",
            "",
            "Rejects as a share of records, removed documents as a share of documents.",
            "",
            *_table(("why", "records", "share"), cells),
        )
    marks = [
        (name, mark, number(count))
        for name, row in figures["sources"].items()
        for mark, count in sorted(
            row.get("marks", {}).items(), key=lambda item: (-item[1], item[0])
        )[:MARKS]
    ]
    if marks:
        yield from (
            "",
            "## Marked documents",
            "",
            "What was noted of documents while they were read, such as what they give away of a test.",
            "",
        )
        yield from _table(("source", "mark", "documents"), marks)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A Markdown table; numbers to the right."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join(['---', *['---:'] * (len(head) - 1)])}|"
    for row in rows:
        yield f"| {' | '.join(map(_plain, row))} |"


def _plain(cell: str) -> str:
    """A cell that is text to Markdown, whatever is in it."""
    text = " ".join(cell.split())
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#&~$" else sign for sign in text)


def _bins(bins: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for edge, kept, removed in zip(bins["edges"], bins["kept"], bins["removed"]):
        yield number(edge), number(kept), number(removed)
