"""TODO-DOC pipelines/commands/stats.py."""

from typing import Any

from pipelines.wording import print_json, print_table


def stats_of(home: str) -> dict[str, Any]:
    """The figures of `corpus stats`."""
    from pipelines.look.stats import stats

    return stats(home)


def stats(home: str, /, json: bool = False) -> int:
    """HOME: what went in, what came out, what was dropped and why.

    Args:
        home: The folder of a build.
        json: Print one JSON object.
    """
    from pipelines.look.stats import removals

    figures = stats_of(home)
    if json:
        print_json(figures)
        return 0
    keys = ("records", "rejected", "documents", "removed", "kept", "bytes", "sentences", "tokens")
    rows: list[tuple[str, ...]] = [("source", *keys)]
    for name, row in [*figures["sources"].items(), ("total", figures["total"])]:
        flat = {
            **row,
            "rejected": sum(row["rejects"].values()),
            "removed": None if None in row["removed"].values() else sum(row["removed"].values()),
        }
        rows.append((name, *("-" if flat[key] is None else f"{flat[key]:,}" for key in keys)))
    print_table(rows)
    if len(figures["sources"]) > 1:
        for table in (_shares(figures), _overlap(figures)):
            if len(table) > 1:
                print()
                print_table(table)
    for name, row in figures["sources"].items():
        for what, counts in (("survey", row.get("survey")), ("marks", row.get("marks"))):
            if counts:
                flat = {
                    **{key: count for key, count in counts.items() if key != "rejects"},
                    **counts.get("rejects", {}),
                }
                print()
                print_table(
                    [
                        (f"{name}: {what}", "records"),
                        *(
                            (key, "-" if count is None else f"{count:,}")
                            for key, count in flat.items()
                        ),
                    ]
                )
    dropped = [
        (f"rejected: {reason}", f"{count:,}")
        for reason, count in figures["total"]["rejects"].items()
    ]
    dropped += [(f"removed: {what}", f"{count:,}") for what, count in removals(figures["total"])]
    if dropped:
        print()
        print_table([("dropped", "records"), *dropped])
    return 0


def _shares(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table of each source's part of the total."""
    from pipelines.look.stats import SHARED
    from pipelines.wording import share

    known = [
        key for key in SHARED if all(row[key] is not None for row in figures["shares"].values())
    ]
    rows = (
        [
            (name, *(share(row[key], figures["total"][key]) for key in known))
            for name, row in figures["sources"].items()
        ]
        if known
        else []
    )
    return [("share of", *known), *rows]


def _overlap(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table of removed documents by their source and their twins'."""
    stages = {stage: rows for stage, rows in figures["overlap"].items() if rows is not None}
    names = list(figures["sources"])
    found = []
    for name in names:
        for other in names:
            counts = [rows.get(name, {}).get(other, 0) for rows in stages.values()]
            if any(counts):
                found.append((f"{name}, twin in {other}", *(f"{count:,}" for count in counts)))
    return [("removed of", *stages), *found]
