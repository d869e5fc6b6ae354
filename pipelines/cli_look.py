"""The commands that only look: names, flags and what is printed. What they do stands in modules of
their own.

stdout is data, stderr is what a person reads beside it. Nothing heavy is imported before it is
needed.
"""

import json as jsonlib
import shutil
import sys
from collections.abc import Iterator
from typing import Any, Literal

from shards.config import UserError


def say(line: str) -> None:
    """A line about the progress."""
    print(line, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    print(jsonlib.dumps(value, ensure_ascii=False, indent=1))


def stats_of(home: str) -> dict[str, Any]:
    """The figures of `corpus stats`."""
    from pipelines.stats import stats

    return stats(home)


def status(home: str, /, json: bool = False) -> int:
    """HOME: how far a build is.

    Args:
        home: The folder of a build.
        json: Print one JSON object.
    """
    from pipelines.stats import status as figures

    found = figures(home)
    if json:
        print_json(found)
    else:
        for stage, count in found["done"].items():
            print(
                f"{stage:10} {count}"
                + (
                    f" of {found['slices']} slices"
                    if stage in ("ingest", "exact", "near", "tokenize")
                    else ""
                )
            )
        for note in found["set_aside"]:
            print(
                f"set aside: {note['stage']} {note['source']}/{note['slice']}: {note['why']}"
                + (f", in or after {note['record']}" if note["record"] else "")
            )
            print(note["trace"], end="")
        for reason, count in found["safety_net"].items():
            print(
                f"safety net: {count} rejected by {reason}, which another machine might not reach: corpus show {home} --rejects --reason {reason}"
            )
        if found["running"]:
            from pipelines.progress import lines

            print("\n".join(lines(found["running"], shutil.get_terminal_size().columns)))
        elif found["at_work"]:
            print(f"{found['at_work']} is at work in it")
        else:
            if found["stopped"]:
                print(f"stopped: {found['stopped']}")
            print(
                "complete: the manifest is there"
                if found["complete"]
                else f"not complete: corpus build {home}/recipe.toml --home {home}"
            )
    return 0


def stats(home: str, /, json: bool = False) -> int:
    """HOME: what went in, what came out, what was dropped and why.

    Args:
        home: The folder of a build.
        json: Print one JSON object.
    """
    from pipelines.stats import removals

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
    _print_table(rows)
    if len(figures["sources"]) > 1:
        for table in (_shares(figures), _overlap(figures)):
            if len(table) > 1:
                print()
                _print_table(table)
    for name, row in figures["sources"].items():
        for what, counts in (("survey", row.get("survey")), ("marks", row.get("marks"))):
            if counts:
                flat = {
                    **{key: count for key, count in counts.items() if key != "rejects"},
                    **counts.get("rejects", {}),
                }
                print()
                _print_table(
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
        _print_table([("dropped", "records"), *dropped])
    return 0


def _shares(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """The table of each source's part of the total."""
    from pipelines.report import share
    from pipelines.stats import SHARED

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


def table_lines(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """The lines of a table: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:])),
            ]
        ).rstrip()


def _print_table(rows: list[tuple[str, ...]]) -> None:
    for line in table_lines(rows):
        print(line)


def show(
    home: str,
    /,
    source: str | None = None,
    rejects: bool = False,
    reason: str | None = None,
    removed: bool = False,
    n: int = 3,
    json: bool = False,
) -> int:
    """HOME: documents, or what was dropped.

    Args:
        home: The folder of a build. source: Of this source only. rejects: Records that gave no
        document. reason: Rejects of this reason only; with --removed, documents that go by this
        rule or stage, or this kind of twin. removed: Documents that the rules remove, with the
        measured value, and copies, with their twins. n: How many. json: Print one JSON object,
        texts in full.
    """
    from pipelines import show as look

    if n < 0:
        raise UserError(f"--n {n}: less than 0", "name how many to show")
    if rejects and removed:
        raise UserError("--rejects and --removed", "name one of them")
    found = (
        look.rejects(home, source, reason)
        if rejects or (reason and not removed)
        else look.documents(home, source, removed, reason)
    )
    records = [record for _, record in zip(range(n), found)]
    if json:
        print_json({"schema_version": 1, "records": records})
        return 0
    for record in records:
        _print_record(record)
    if not records:
        say("nothing to show")
    return 0


def _print_record(record: dict[str, Any], limit: int = 600) -> None:
    text = record.get("text") or ""
    for name, value in record.items():
        if name not in ("text", "difference", "twin_record") and value not in (None, ""):
            print(f"{name}: {value}")
    if text:
        print(
            "\n" + text[:limit] + (f" ... ({len(text):,} characters)" if len(text) > limit else "")
        )
    print("-" * 60)


def why(home: str, identity: str, /, json: bool = False) -> int:
    """HOME ID: what became of one record, and why.

    Args:
        home: The folder of a build.
        identity: 32 hex digits or their beginning, or your own id where the recipe sets id_field.
        json: Print one JSON object.
    """
    from pipelines import show as look

    found = look.why(home, identity)
    if json:
        print_json({"schema_version": 1, "records": found})
        return 0
    for record in found:
        _print_record(record, 200)
        if "twin_record" in record:
            twin = record["twin_record"]
            print(
                "its twin: "
                + ", ".join(
                    str(twin[name])
                    for name in ("source", "id", "url", "path", "title", "crawled")
                    if name in twin
                )
            )
            print("\n".join(record["difference"]) or "the same to the letter")
            print("-" * 60)
    return 0


def verify(folder: str, /, json: bool = False) -> int:
    """HOME or SHARDS: is every byte of the shards as it was written?

    Args:
        folder: A home, or a folder of shards.
        json: Print one JSON object.
    """
    from pipelines.progress import several
    from shards.manifest import read_manifest, shards_directory
    from shards.verify import verify as check

    faults = check(folder)
    if json:
        print_json({"schema_version": 1, "whole": not faults, "faults": faults})
    else:
        for fault in faults:
            print(fault)
        entries = read_manifest(shards_directory(folder)).shards
        if not faults:
            documents, tokens = (
                sum(getattr(entry, key) for entry in entries) for key in ("documents", "tokens")
            )
            print(
                f"whole: {several(len(entries), 'shard')}, {several(documents, 'document')}, {several(tokens, 'token')}"
            )
    if faults:
        raise UserError(
            f"{folder}: {several(len(faults), 'fault')}",
            "copy the shards again, or delete the named files and run corpus build again",
            1,
        )
    return 0


def export(home: str, out: str, /, format: Literal["jsonl.zst", "parquet"] = "parquet") -> int:
    """HOME OUT: the kept text for other tools, with a data card.

    Args:
        home: The folder of a build.
        out: A new folder.
        format: Of the files.
    """
    from pipelines.export import export as write
    from pipelines.progress import several

    say(f"exported {several(write(home, out, format), 'document')} to {out}")
    return 0


def report(home: str, /, out: str | None = None, json: bool = False) -> int:
    """HOME: one page that shows what went in, what went and why, with examples.

    Args:
        home: The folder of a build. out: The HTML file to write; default report.html in the home.
        json: Print the figures as one JSON object; the page is then written only where --out names
        it.
    """
    if json and out is None:
        from pipelines.figures import figures

        print_json(figures(home))
        return 0
    from pipelines.report import report as write

    found = write(home, out)
    if json:
        print_json(found)
    say(f"report: {out or home.rstrip('/') + '/report.html'}")
    return 0


def diff(left: str, right: str, /, json: bool = False) -> int:
    """HOME1 HOME2: what differs between two homes; exit 0 when nothing does, 1 when something does.

    Args:
        left: The folder of a build.
        right: The folder of another.
        json: Print one JSON object.
    """
    from pipelines.diff import diff as compare
    from pipelines.diff import lines

    found = compare(left, right)
    if json:
        print_json(found)
    else:
        for line in lines(found):
            print(line)
        say("equal: the same documents, vocabulary and shards" if found["equal"] else "different")
    return 0 if found["equal"] else 1
