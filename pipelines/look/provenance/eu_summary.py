"""The public summary of the content used for training that article 53(1)(d) of the AI Act of the EU
(Regulation 2024/1689) asks of providers of general-purpose models, by the sections of the
Commission's template of July 2025.

What the home knows is filled in; what only the provider knows is marked `[to be filled in]`.
"""

from collections.abc import Iterable, Iterator

from pipelines.look.provenance.facts import PUBLIC, Facts, SourceFacts
from pipelines.wording import number

OPEN = "[to be filled in]"


def eu_summary(facts: Facts) -> str:
    """The summary as Markdown."""
    public = [source for source in facts.sources if source.kind in PUBLIC]
    crawled = [source for source in facts.sources if source.is_crawled and source not in public]
    other = [source for source in facts.sources if source not in [*crawled, *public]]
    lines = [
        "# Public summary of training content",
        "",
        "For article 53(1)(d) of Regulation (EU) 2024/1689. It covers one corpus, of which the",
        f"manifest has the recipe digest `{facts.manifest.recipe_digest}`.",
        "",
        "## 1. General information",
        "",
        f"- Provider and contact: {OPEN}",
        f"- Model and date of placement on the market: {OPEN}",
        "- Modality: text only",
        f"- Size: {number(facts.bytes)} bytes of text in {number(facts.documents)} documents, "
        f"{number(facts.tokens)} tokens",
        f"- Languages: {', '.join(sorted({source.language for source in facts.sources}))}",
        "",
        "## 2. List of data sources",
        "",
        *_table(facts.sources),
        "",
        "### 2.1 Publicly available datasets",
        "",
        *_named(public),
        "",
        "### 2.2 Private datasets obtained from third parties",
        "",
        f"The build does not know which of its inputs were obtained under a licence: {OPEN}",
        "",
        "### 2.3 Data crawled and scraped from online sources",
        "",
        *_named(crawled),
        f"- Crawler: {OPEN} (Common Crawl's CCBot, where the archives are Common Crawl's)",
        "",
        *_domains(facts),
        "",
        "### 2.4 User data and 2.5 synthetic data",
        "",
        f"The build makes no text. Whether its inputs hold any: {OPEN}",
        "",
        "### 2.6 Other sources",
        "",
        *_named(other),
        "",
        "## 3. Data processing",
        "",
        "### 3.1 Respect of reservations from the text and data mining exception",
        "",
        *_opt_outs(facts),
        "",
        "### 3.2 Removal of content",
        "",
        "Records that became no document, by reason:",
        "",
        *_counts(facts.rejected),
        "",
        "Documents that were removed, by stage (rules of quality, equal and similar documents):",
        "",
        *_counts(facts.removed),
        "",
        f"Measures against illegal content beyond these: {OPEN}",
        "",
    ]
    return "\n".join(lines)


def _table(sources: Iterable[SourceFacts]) -> Iterator[str]:
    yield "| source | kind | documents | tokens | bytes of text | crawled | licence |"
    yield "|---|---|---:|---:|---:|---|---|"
    for source in sources:
        window = "–"
        if source.crawled:
            window = f"{source.crawled[0]} to {source.crawled[1]}"
        cells = (
            source.name,
            source.kind,
            number(source.documents),
            number(source.tokens),
            number(source.bytes),
            window,
            source.licence,
        )
        yield f"| {' | '.join(cells)} |"


def _named(sources: list[SourceFacts]) -> Iterator[str]:
    for source in sources:
        size = f"{number(source.bytes)} bytes of text"
        when = f", crawled {source.crawled[0]} to {source.crawled[1]}" if source.crawled else ""
        yield f"- {source.name} ({source.kind}): {size}{when}; licence: {source.licence}"
    if not sources:
        yield "None."


def _domains(facts: Facts) -> Iterator[str]:
    top = facts.top_domains()
    if not top:
        return
    yield f"The top 10 % of the domains by size of their text ({number(len(top))} of them):"
    yield ""
    yield "| domain | bytes of text |"
    yield "|---|---:|"
    for domain, size in top:
        yield f"| {domain} | {number(size)} |"


def _opt_outs(facts: Facts) -> Iterator[str]:
    found = {
        f"{source.name}: {sign}": count
        for source in facts.sources
        for sign, count in source.opt_outs.items()
    }
    yield "Web pages with `noai`, `noimageai` or `tdm-reservation` in their elements or their head"
    yield "of HTTP, before a rule removed any:"
    yield ""
    yield from _counts(found)
    yield ""
    yield f"Whether robots.txt and other reservations were respected when crawling: {OPEN}"


def _counts(counts: dict[str, int]) -> Iterator[str]:
    for name, count in sorted(counts.items()):
        yield f"- {name}: {number(count)}"
    if not counts:
        yield "- none"
