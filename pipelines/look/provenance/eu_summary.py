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
        f"{number(facts.tokens)} tokens" + _copies(facts),
        f"- Languages: {_languages(facts)}",
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
        *_crawler(crawled),
        "",
        *_domains(facts),
        "### 2.4 User data",
        "",
        f"The build collects none. Whether its inputs hold any: {OPEN}",
        "",
        "### 2.5 Synthetic data",
        "",
        f"The build generates no text. Whether its inputs hold any: {OPEN}",
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
        "Records that did not become documents, by reason:",
        "",
        *_counts(facts.rejected),
        "",
        "Documents that were removed, by stage (quality rules, duplicates, near-duplicates, …):",
        "",
        *_counts(facts.removed),
        "",
        f"Measures against illegal content beyond these: {OPEN}",
        "",
    ]
    return "\n".join(lines)


def _copies(facts: Facts) -> str:
    if not facts.copies:
        return ""
    return f", among them those of {number(facts.copies)} further copies of documents"


def _languages(facts: Facts) -> str:
    codes = ", ".join(facts.languages)
    if not facts.has_unnamed_languages:
        return codes
    if not codes:
        return "not known: the recipe names none, and none was detected"
    return f"{codes}, and texts of which none is named or detected"


def _table(sources: Iterable[SourceFacts]) -> Iterator[str]:
    yield "| source | kind | documents | tokens | bytes of text | crawled | licence |"
    yield "|---|---|---:|---:|---:|---|---|"
    for source in sources:
        cells = (
            source.name,
            source.kind,
            number(source.documents),
            number(source.tokens),
            number(source.bytes),
            _window(source) or "–",
            source.licence,
        )
        yield _row(*cells)


def _row(*cells: str) -> str:
    """A row of a table; a bar in a cell is no border."""
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _window(source: SourceFacts) -> str:
    """The first and the last day of crawling, once where they are equal; empty where unknown."""
    if not source.crawled:
        return ""
    first, last = map(str, source.crawled)
    return first if first == last else f"{first} to {last}"


def _named(sources: list[SourceFacts]) -> Iterator[str]:
    for source in sources:
        size = f"{number(source.bytes)} bytes of text"
        window = _window(source)
        when = f", crawled {window}" if window else ""
        kind = "" if source.kind == source.name else f" ({source.kind})"
        yield f"- {source.name}{kind}: {size}{when}"
    if not sources:
        yield "None."


def _crawler(crawled: list[SourceFacts]) -> Iterator[str]:
    if crawled:
        yield f"- Crawler: {OPEN} (Common Crawl's CCBot, where the archives are Common Crawl's)"


def _domains(facts: Facts) -> Iterator[str]:
    top = facts.top_domains()
    if not top:
        return
    yield f"The top 10 % of the domains, {number(len(top))} of them, by the size of their text:"
    yield ""
    yield "| domain | bytes of text |"
    yield "|---|---:|"
    for domain, size in top:
        yield _row(domain, number(size))
    yield ""


def _opt_outs(facts: Facts) -> Iterator[str]:
    found = {
        f"{source.name}: {sign}": count
        for source in facts.sources
        for sign, count in source.opt_outs.items()
    }
    yield "Web pages with `noai`, `noimageai` or `tdm-reservation` in their HTML or HTTP headers,"
    yield "counted before any rule removed them:"
    yield ""
    yield from _counts(found)
    yield ""
    yield f"Whether robots.txt and other reservations were respected when crawling: {OPEN}"


def _counts(counts: dict[str, int]) -> Iterator[str]:
    for name, count in sorted(counts.items()):
        yield f"- {name}: {number(count)}"
    if not counts:
        yield "- none"
