"""Where a rule matched: the line of the user's list, or the first line of the document."""

import re
from collections.abc import Mapping

from corpora.quality.exclusions import Listed, matching_entry
from corpora.quality.lists import Entry, places_of
from corpora.quality.rules import RulesConfig
from corpora.text.urls import host_of
from shards.errors import UserError

LISTS = ("exclude_urls", "exclude_domains", "exclude_hashes")

PATTERNS = {
    "max_lorem_ipsum": re.compile("lorem ipsum", re.IGNORECASE),
    "max_braces": re.compile(r"\{"),
    "max_broken_characters": re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]"),
    "max_number_signs": re.compile("#"),
    "max_ellipses": re.compile(r"\.\.\.|\u2026"),
}
"""Rules that count something which one line can show."""

LINE_CHARACTERS = 80
"""Characters of a line that are shown."""


class Matches:
    """Finds what matched in the documents of one source. Each list is read once, when the first
    document that it removes is shown."""

    def __init__(self, rules: RulesConfig) -> None:
        self.rules = rules
        self.places: dict[str, Mapping[str, Entry]] = {}

    def of(self, row: Mapping[str, object], fate: Mapping[str, object]) -> dict[str, object]:
        """`matched` of a removed document; nothing where no line can be named."""
        rule = str(fate.get("rule"))
        found = ""
        if rule == "only_domains":
            host = host_of(str(row["url"] or ""))
            found = f"its list does not name {host}" if host else "it has no address"
        elif rule == "require_date":
            found = "it has no date"
        elif rule in LISTS:
            found = self._line_of_list(rule, row)
        elif rule in PATTERNS:
            found = _line_of_text(PATTERNS[rule], str(row["text"]))
        return {"matched": found} if found else {}

    def _line_of_list(self, rule: str, row: Mapping[str, object]) -> str:
        if rule not in self.places:
            # A list of millions of domains is read once, not for each document.
            try:
                self.places[rule] = places_of(getattr(self.rules, rule), rule)
            except UserError:  # the list is gone since the build
                self.places[rule] = {}
        document = Listed(
            identity=str(row["id"]),
            digest=None if row["digest"] is None else str(row["digest"]),
            url=None if row["url"] is None else str(row["url"]),
            text=str(row["text"]),
        )
        entry = matching_entry(rule, self.places[rule], document)
        return f"{entry.place}: {entry.text}" if entry else ""


def _line_of_text(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    if match is None:
        return ""
    # Counted from 1, as editors do.
    number = text.count("\n", 0, match.start()) + 1
    begin = text.rfind("\n", 0, match.start()) + 1
    # around the match: a paragraph is one line
    begin = max(begin, match.start() - LINE_CHARACTERS // 2)
    line = text[begin:].partition("\n")[0][:LINE_CHARACTERS]
    return f"line {number} of the document: {line}"
