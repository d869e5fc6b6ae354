"""The facts about a home that every provenance document tells: from the manifest, the summaries and
the addresses and times of the kept documents.

Numbers of documents, tokens and bytes are those of the manifest and of `corpus stats`.
"""

import datetime
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from corpora.text.urls import domain_of, host_of
from pipelines.home.decisions import kept_rows
from pipelines.home.documents import row_groups
from pipelines.home.layout import TOKENIZE, Home
from pipelines.home.summaries import ordered_slices, summaries
from pipelines.look.cards import UNDETERMINED
from pipelines.look.stats import READS_ARCHIVES, stats
from pipelines.recipe import Recipe
from pipelines.stages.token_counts import UNKNOWN
from shards.manifest import Manifest, read_manifest

LICENCES = {
    "wikipedia": "CC BY-SA 4.0 (the licence of Wikipedia's text)",
    "books": "not known to the build: public domain where the books are Project Gutenberg's",
    "cc_news": "not known: each page has its own; Common Crawl's terms of use",
    "openwebtext": "not known: each page has its own",
    "stories": "not known: each page has its own; Common Crawl's terms of use",
    "files": "not known to the build",
}
"""What is known of the licences of a kind of source."""

NOT_NAMED = frozenset({"any", UNKNOWN, UNDETERMINED})
"""What stands in place of a language where a recipe names none and none was found."""

PUBLIC = ("wikipedia", "openwebtext")
"""Kinds that read publicly available data sets as they were published."""


@dataclass(frozen=True, kw_only=True)
class SourceFacts:
    """One source: `bytes` of its kept text in UTF-8, the counts of its shards, the first and last
    moment at which a kept document was crawled, and what pages opt out by. `languages` are codes,
    with one of `NOT_NAMED` where the language of some documents is not known. `documents` counts
    each once; `copies` are further ones in the shards, whose tokens are in `tokens`."""

    name: str
    kind: str
    languages: tuple[str, ...]
    licence: str
    documents: int
    copies: int
    tokens: int
    bytes: int
    crawled: tuple[datetime.date, datetime.date] | None
    opt_outs: dict[str, int]
    domains: Counter[str]

    @property
    def is_crawled(self) -> bool:
        """Whether its texts are pages that were crawled from the web."""
        return self.kind in READS_ARCHIVES


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A home as a whole. `rejected` counts records by reason, `removed` documents by stage."""

    manifest: Manifest
    sources: tuple[SourceFacts, ...]
    rejected: dict[str, int]
    removed: dict[str, int]

    @property
    def documents(self) -> int:
        """Documents in the shards, each once."""
        return sum(source.documents for source in self.sources)

    @property
    def copies(self) -> int:
        """Further copies of documents in the training shards."""
        return sum(source.copies for source in self.sources)

    @property
    def tokens(self) -> int:
        """Tokens in the shards."""
        return sum(source.tokens for source in self.sources)

    @property
    def languages(self) -> list[str]:
        """The codes of the languages that are known, in order."""
        found = {code for source in self.sources for code in source.languages}
        return sorted(found - NOT_NAMED)

    @property
    def has_unnamed_languages(self) -> bool:
        """Whether the language of some documents is not known."""
        return any(NOT_NAMED & set(source.languages) for source in self.sources)

    @property
    def bytes(self) -> int:
        """Bytes of text, in UTF-8."""
        return sum(source.bytes for source in self.sources)

    def top_domains(self, share: float = 0.1) -> list[tuple[str, int]]:
        """(domain, bytes of its text) of this share of the domains of crawled pages, the largest
        first."""
        together = Counter[str]()
        for source in self.sources:
            if source.is_crawled:
                together.update(source.domains)
        by_size = sorted(together.items(), key=lambda item: (-item[1], item[0]))
        return by_size[: -int(-len(by_size) * share // 1)]


def read_facts(home: Home, recipe: Recipe) -> Facts:
    """The facts about a home. Reads addresses, times and lengths of all documents.

    Raises `UserError` where it has no shards.
    """
    manifest = read_manifest(home.file("shards"))
    figures = stats(home, recipe)
    sources = []
    for name, options in recipe.sources.items():
        entries = [entry for entry in manifest.shards if entry.source == name]
        row = figures.sources[name]
        domains, times = _domains_and_times(home, recipe, name)
        marks = row.marks.items()
        facts = SourceFacts(
            name=name,
            kind=options.kind,
            languages=_languages(home, name, options.told),
            licence=LICENCES.get(options.kind, "not known to the build"),
            documents=sum(entry.documents for entry in entries) - (row.repeated or 0),
            copies=row.repeated or 0,
            tokens=sum(entry.tokens for entry in entries),
            bytes=row.bytes or 0,
            crawled=(min(times), max(times)) if times else None,
            opt_outs={
                mark.removeprefix("opt-out: "): count
                for mark, count in marks
                if mark.startswith("opt-out: ")
            },
            domains=domains,
        )
        sources.append(facts)

    removed = {stage: count or 0 for stage, count in figures.total.removed.items()}
    return Facts(
        manifest=manifest,
        sources=tuple(sources),
        rejected=figures.total.rejects,
        removed=removed,
    )


def _languages(home: Home, source: str, told: str) -> tuple[str, ...]:
    """The languages of a source's documents, as they were encoded."""
    encoded = summaries(home, TOKENIZE, source)
    found = {code for summary in encoded for code in summary.languages}
    # Summaries of older versions do not tell them.
    return tuple(sorted(found)) or (told,)


def _domains_and_times(
    home: Home, recipe: Recipe, source: str
) -> tuple[Counter[str], list[datetime.date]]:
    """Bytes of kept text by domain, and the first and last days of crawling of each row group."""
    domains = Counter[str]()
    times: list[datetime.date] = []
    names: dict[str, str] = {}
    for ingested in ordered_slices(home, recipe):
        if ingested.source != source:
            continue
        kept = kept_rows(home, recipe, ingested)
        for first, group in row_groups(home, ingested, ("text", "url", "crawled")):
            table = group.filter(pa.array(kept[first : first + group.num_rows]))
            sizes = pc.binary_length(table.column("text")).to_pylist()
            for url, size in zip(table.column("url").to_pylist(), sizes):
                host = host_of(url or "")
                if host not in names:
                    names[host] = domain_of(f"http://{host}/") or host
                if host:
                    domains[names[host]] += size
            found = pc.min_max(table.column("crawled")).as_py()
            if found["min"] is not None:
                times += [found["min"].date(), found["max"].date()]
    return domains, times
