"""Rules that need something which no document of a source has: an address, a date, a title, words
between spaces, or English.

Such a rule removes nothing, or everything, whatever its threshold or list, so a build says it in
one line. The measures that tell are stored beside the documents; a slice in which one document has
what is needed ends the search.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.compute as pc

from corpora.document import SourceOptions
from corpora.quality.rules import Rule, asked
from pipelines.home.documents import read_attributes
from pipelines.home.layout import RULES, Home
from pipelines.home.summaries import Summary
from pipelines.recipe import Recipe


@dataclass(frozen=True)
class Need:
    """What rules need of a document, in words; it is there where `measure` is more than `above`."""

    what: str
    measure: str
    above: int = 0


ADDRESS = Need("has an address", "url_characters")
DATE = Need("has a date", "dated")
TITLE = Need("has a title", "title_characters")
SPACED_WORDS = Need("has words between spaces", "spaced_words")
ENGLISH = Need("has a known language", "english", above=-1)

NEEDS = {
    "excluded_url": ADDRESS,
    "excluded_domain": ADDRESS,
    "in_only_domains": ADDRESS,
    "url_characters": ADDRESS,
    "url_endings": ADDRESS,
    "url_sections": ADDRESS,
    "dated": DATE,
    "title_characters": TITLE,
}
"""By the measure that a rule compares."""

REMOVING = ("in_only_domains", "dated", "title_characters")
"""Measures whose rules remove every document that lacks what they need."""

_FIELDS = {ADDRESS: "url_field", DATE: "date_field", TITLE: "title_field"}

_HTML_HAS = {ADDRESS: False, DATE: True, TITLE: True}


def need_of(rule: Rule) -> Need | None:
    """What a rule needs of a document; None for one that applies to any text."""
    if rule.own:
        return None
    if rule.english:
        return ENGLISH
    if rule.over == "spaced_words":
        return SPACED_WORDS
    return NEEDS.get(rule.measure)


def idle_rules(home: Home, recipe: Recipe, source: str, ingested: list[Summary]) -> Iterator[str]:
    """One line for each need of the rules of a source that none of its documents meets."""
    options = recipe.sources[source]
    rules_by_need: dict[Need, list[Rule]] = {}
    for rule, _ in asked(options.rules):
        need = need_of(rule)
        # Documents of unknown language count as those of the recipe.
        if need is not None and not (need is ENGLISH and options.told != "any"):
            rules_by_need.setdefault(need, []).append(rule)

    documents = sum(summary.counts["documents"] for summary in ingested)
    for need, rules in rules_by_need.items():
        if documents and not _is_met(home, need, ingested):
            yield (
                f"warning: {source}: none of {documents:,} documents {need.what}: "
                f"{_effect(rules)} ({_remedy(options, need)})"
            )


def _is_met(home: Home, need: Need, ingested: list[Summary]) -> bool:
    """Whether a document has what is needed."""
    for summary in ingested:
        # The largest of no values is none.
        if summary.counts["documents"]:
            table = read_attributes(
                home, RULES, summary.source, summary.slice, summary.output, [need.measure]
            )
            if pc.max(table.column(0)).as_py() > need.above:
                return True
    return False


def _effect(rules: list[Rule]) -> str:
    """What rules do that no document can meet."""
    # A rule that asks for a least value of what is missing removes the document.
    idle = [rule.name for rule in rules if rule.measure not in REMOVING]
    removing = [rule.name for rule in rules if rule.measure in REMOVING]
    parts = []
    for names, amount in ((idle, "nothing"), (removing, "all")):
        if names:
            verb = "removes" if len(names) == 1 else "remove"
            parts.append(f"{', '.join(names)} {verb} {amount} of them")
    return "; ".join(parts)


def _remedy(options: SourceOptions, need: Need) -> str:
    if need is ENGLISH:
        return 'set language = "en", or label = "en" where no document shall be removed for it'
    if need is SPACED_WORDS:
        return "leave it out for this script"
    field = _FIELDS[need]
    if options.kind in ("files", "stories"):
        return _remedy_of_files(options, need, field)
    if options.kind in ("books", "openwebtext", "wikipedia", "cc_news"):
        return f"leave it out: {options.kind} finds none here"
    return f"your source sets it: Document.{field.removesuffix('_field')}"


def _remedy_of_files(options: SourceOptions, need: Need, field: str) -> str:
    # The field is named, but no record has it, or not in a form that can be read.
    name = getattr(options, field, None)
    if name:
        return f"no record has a usable {field} {name!r}"
    lacking = ".txt has" if _HTML_HAS[need] else ".txt and .html have"
    instead = "; kind cc_news reads addresses from web archives" if need is ADDRESS else ""
    return f"{lacking} none; set {field} for .jsonl and .parquet{instead}"
