"""`corpus stats`: the figures of a home as tables or JSON."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.commands.arguments import HomeFolder
from pipelines.wording import apart, decimal, number, print_json, print_table, share

if TYPE_CHECKING:
    from pipelines.look.stats import SourceStats, Stats
    from pipelines.look.vocabulary import VocabularyStats

Table = list[tuple[str, ...]]

LEFT_OUT = 10
"""The names of what a source left out of its texts that are shown of each kind."""


def stats(home: HomeFolder, /, json: bool = False) -> int:
    """Count what was read and kept, and what was dropped and why.

    Args:
        json: Print one JSON object.
    """
    from pipelines.home.layout import open_home
    from pipelines.look.stats import stats as sum_up

    figures = sum_up(*open_home(home, for_reading=True))
    if json:
        print_json(figures)
        return 0
    for place, table in enumerate(_tables(figures)):
        if place:
            print()
        print_table(table)
        if not place:
            # not in the table: these records are no part of what was kept or thrown away
            for name, row in figures.sources.items():
                if row.not_pages:
                    print(f"{name}: {apart(row.not_pages)}")
    return 0


def _tables(figures: "Stats") -> Iterator[Table]:
    yield _counts(figures)
    if len(figures.sources) > 1:
        for table in (_shares(figures), _overlap(figures)):
            if len(table) > 1:
                yield table
    for name, row in figures.sources.items():
        yield from _details(name, row)

    if figures.total.unknown is not None:
        yield _unknown(figures)
    if figures.total.repeated is not None:
        yield _repeated(figures)

    if figures.vocabulary is not None:
        yield from _vocabulary(figures.vocabulary)

    # one table for rejects and removals: both answer why a record is not in the shards
    dropped = [(f"rejected: {reason}", count) for reason, count in figures.total.rejects.items()]
    dropped += _removed(figures.total)
    if dropped:
        yield [("dropped", "records"), *((what, f"{count:,}") for what, count in dropped)]


def _removed(total: "SourceStats") -> list[tuple[str, int]]:
    from pipelines.look.stats import removals

    return [(f"removed: {what}", count) for what, count in removals(total)]


def _counts(figures: "Stats") -> Table:
    """One row for each source, and the total."""
    head = (
        "source",
        "records",
        "rejected",
        "documents",
        "removed",
        "kept",
        "bytes",
        "sentences",
        "tokens",
    )
    table: Table = [head]
    for name, row in [*figures.sources.items(), ("total", figures.total)]:
        counts = (
            row.pages,
            row.rejected,
            row.documents,
            row.removed_in_all,
            row.kept,
            row.bytes,
            row.sentences,
            row.tokens,
        )
        table.append((name, *(number(count, "-") for count in counts)))
    return table


def _unknown(figures: "Stats") -> Table:
    """How much of the text the vocabulary cannot write."""
    table: Table = [("unknown tokens", "tokens", "share")]
    for name, row in [*figures.sources.items(), ("total", figures.total)]:
        if row.unknown is not None:
            table.append((name, number(row.unknown), share(row.unknown, row.tokens or 0)))
    return table


def _repeated(figures: "Stats") -> Table:
    """The further copies of documents in the training shards."""
    table: Table = [("in the training shards once more", "documents", "tokens")]
    for name, row in [*figures.sources.items(), ("total", figures.total)]:
        if row.repeated is not None:
            table.append((name, number(row.repeated), number(row.repeated_tokens)))
    return table


def _vocabulary(found: "VocabularyStats") -> Iterator[Table]:
    """How well the vocabulary encodes the text, and its ids."""
    from pipelines.stages.token_counts import RARE

    if found.total is not None:
        table: Table = [("vocabulary", "bytes", "tokens", "bytes per token", "single bytes")]
        rows = [*found.sources.items()]
        rows += [(f"language {code}", row) for code, row in found.languages.items()]
        if found.sample is not None:
            rows += [("its sample", found.sample.sample), ("outside", found.sample.others)]
        for name, row in [*rows, ("total", found.total)]:
            single = share(row.single_bytes, row.tokens)
            ratio = decimal(row.bytes_per_token)
            table.append((name, number(row.bytes), number(row.tokens), ratio, single))
        yield table

    ids: Table = [("ids of the vocabulary", "ids"), ("all", number(found.ids))]
    if found.unused is not None:
        ids += [("not used", number(found.unused))]
        ids += [(f"used fewer than {RARE} times", number(found.rare))]
    ids += [(row.kind, number(row.entries)) for row in found.odd]
    yield ids

    head = ("longest entries", "id", "bytes", "uses")
    yield [
        head,
        *((row.text, str(row.id), number(row.bytes), row.shown_uses) for row in found.longest),
    ]


def _shares(figures: "Stats") -> Table:
    """Each source's share of the totals that are known."""
    total = figures.total
    rows = figures.sources.values()
    columns = [
        ("documents", total.documents, [row.documents for row in rows]),
        ("kept", total.kept, [row.kept for row in rows]),
        ("bytes", total.bytes, [row.bytes for row in rows]),
        ("tokens", total.tokens, [row.tokens for row in rows]),
    ]
    # a share is only meaningful once every source has been counted
    known = [column for column in columns if column[1] and None not in column[2]]
    if not known:
        return []

    table: Table = [("share of total", *(name for name, _, _ in known))]
    for place, name in enumerate(figures.sources):
        table.append((name, *(share(parts[place], whole) for _, whole, parts in known)))
    return table


def _overlap(figures: "Stats") -> Table:
    """Removed documents by their source and the source of the document kept in their place."""
    stages = {stage: rows for stage, rows in figures.overlap.items() if rows is not None}
    # stages that have not counted all of their documents are left out
    table: Table = [("removed documents", *stages)]
    for name in figures.sources:
        for other in figures.sources:
            counts = [rows.get(name, {}).get(other, 0) for rows in stages.values()]
            if any(counts):
                table.append((f"from {name}, kept in {other}", *map(number, counts)))
    return table


def _details(name: str, row: "SourceStats") -> Iterator[Table]:
    """The survey of a source and the marks of its documents, where it has any."""
    if row.survey:
        survey = row.survey
        counts = {
            "records": survey.records,
            **survey.concluded,
            **survey.rejects,
            **{f"no page: {kind}": count for kind, count in survey.not_pages.items()},
        }
        rows = ((key, number(count, "-")) for key, count in counts.items())
        yield [(f"{name}: survey", "records"), *rows]
    if row.marks:
        yield [(f"{name}: marks", "documents"), *((k, number(n)) for k, n in row.marks.items())]
    if row.left_out:
        yield from _left_out(name, row.left_out)


def _left_out(name: str, left_out: dict[str, int]) -> Iterator[Table]:
    """What the source left out of its texts: a table for each kind, the most frequent first."""
    by_kind: dict[str, list[tuple[str, int]]] = {}
    for item, count in left_out.items():
        # a name may hold a colon of its own, a kind never does
        kind, colon, what = item.partition(": ")
        by_kind.setdefault(kind if colon else "others", []).append((what or kind, count))
    for kind, found in by_kind.items():
        rows = [(what, number(count)) for what, count in found[:LEFT_OUT]]
        # what is rare is one row
        if len(found) > LEFT_OUT:
            others = sum(count for _, count in found[LEFT_OUT:])
            rows.append((f"{len(found) - LEFT_OUT:,} others", number(others)))
        yield [(f"{name}: left out, {kind}", "times"), *rows]
