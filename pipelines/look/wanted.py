"""Which records `corpus show` shows. Stands apart since the command line reads it too."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which records to show. By default kept documents of all sources."""

    source: str | None = None
    """Only show records of this source."""
    rejects: bool = False
    """Show rejects: the records that became no document."""
    removed: bool = False
    """Show removed documents: those that fail a quality rule, with the measured value, and
    duplicates, with the id of the document that is kept instead."""
    removed_text: bool = False
    """Show what was removed from inside documents, and only documents that lost something: notices
    at the ends of books, headers and licences of Project Gutenberg, repeated passages."""
    reason: str | None = None
    """Only show rejects of this reason; with --removed, documents that are removed by this stage
    (rules, exact, passages, near, hosts, emit), by this rule of quality (such as min_words), or for
    this kind of reason (text, address, contained, contains, too_little_left, too_many_of_host,
    not_emitted, not_sampled). near is the stage, with all its kinds."""
