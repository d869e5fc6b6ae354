"""The command `corpus fetch`: its flags, and what it says at the end."""

import json as jsonlib
import os
import shutil
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import tyro

from corpora.fetch import download as downloads
from corpora.fetch import listings
from corpora.fetch.listings import Item, Wanted
from pipelines.commands.fetch_display import display, say
from pipelines.wording import amount, several
from shards.errors import UserError
from shards.storage import http
from shards.storage.lock import locked_folder

SHOWN = 20
"""Files that are named one by one at the end; --json names all."""


@dataclass(frozen=True, kw_only=True)
class Fetching:
    """What every kind has."""

    connections: int = 2
    """Files at once. Both sites ask for few."""
    limit: int | None = None
    """Only the first N files, for a first look."""
    dry_run: bool = False
    """Only say what is missing, how many bytes that is, and how long it takes at the rate measured
    on a few megabytes."""
    check: bool = False
    """Look at the files that are there too: by checksum, else by size; those that are wrong are
    fetched again."""
    json: bool = False
    """Print one JSON object."""
    contact: str = ""
    """Mail address or page of yours, sent along as who asks; Wikimedia may refuse who names
    none."""
    attempts: int = 20
    """Tries in a row that bring nothing before a file is given up; a quarter of an hour."""
    timeout_s: float = 60.0
    """Seconds without a byte, or below 1 kB/s, before a connection is given up and made again."""
    retry_s: float = 1.0
    """Seconds before the second try; doubled for each further one, to a minute, and more where the
    server asks for more."""

    def __post_init__(self) -> None:
        for name in ("connections", "attempts", "timeout_s", "retry_s", "limit"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UserError(
                    f"--{name.replace('_', '-')} {value}: not above 0", "corpus fetch KIND --help"
                )


@dataclass(frozen=True, kw_only=True)
class CcNews(Fetching):
    """Common Crawl's news archives, month by month: about 1 GB each, 4 to 5 TB for the default
    window, the paper's."""

    folder: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DIR")]
    """Where to: DIR/crawl-data/CC-NEWS/YYYY/MM/..., as `kind = "cc_news"` reads it."""
    start: str = listings.PAPER_WINDOW[0]
    """The first month."""
    end: str = listings.PAPER_WINDOW[1]
    """The last month, itself included."""
    base: str = listings.CC_NEWS
    """The site, or a mirror with the same layout."""


@dataclass(frozen=True, kw_only=True)
class Wikipedia(Fetching):
    """The articles of a wiki at a date, checked against the dump's own checksums."""

    folder: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DIR")]
    """Where to: DIR/WIKI/DATE/..., as `kind = "wikipedia"` reads it."""
    wiki: str = "enwiki"
    """enwiki, simplewiki, ..., or just a language such as de."""
    date: str = "latest"
    """Of the dump, as 20181220. The site keeps those of some months."""
    files: Literal["multistream", "multistream-parts", "plain", "plain-parts"] = "multistream"
    """One file with its index, the same in parts, or both without an index, a tenth smaller."""
    base: str = listings.WIKIMEDIA
    """The site, or a mirror; {wiki} and {date} in it are filled in, for another layout."""


@dataclass(frozen=True, kw_only=True)
class Urls(Fetching):
    """The files that a list names."""

    list: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="LIST")]
    """An address a line, a checksum (sha256:..., sha1:..., md5:...) behind it if you have one;
    plain or .gz, here or at an address."""
    folder: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DIR")]
    """Where to: DIR/HOST/PATH."""


Command = (
    Annotated[CcNews, tyro.conf.subcommand("cc-news")]
    | Annotated[Wikipedia, tyro.conf.subcommand("wikipedia")]
    | Annotated[Urls, tyro.conf.subcommand("urls")]
)


def main(arguments: list[str]) -> int:
    """Run one `corpus fetch`; the exit code."""
    options: Any = tyro.cli(
        Command,  # type: ignore[arg-type]
        args=arguments,
        prog="corpus fetch",
        description="Download a corpus into a folder. The same command goes on where it stopped, and fetches what is missing, no more.",
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitSubcommandPrefixes),
    )
    patience = http.Patience(
        connect_s=min(options.timeout_s, 20.0),
        read_s=options.timeout_s,
        attempts=options.attempts,
        first_wait_s=options.retry_s,
        contact=options.contact,
    )
    listed = wanted(options, patience)
    if options.dry_run:
        return _dry_run(options, listed, patience)
    with locked_folder(
        os.path.join(options.folder, ".fetch")
    ):  # a hidden folder: no glob reads the lock
        return _fetch(options, listed, patience)


def wanted(options: "CcNews | Wikipedia | Urls", patience: http.Patience) -> Wanted:
    """What the command asks for. Raises `UserError`."""

    def read(address: str) -> bytes:
        return http.read_bytes(address, listings.MAX_LISTING_BYTES, patience, note=say)

    if isinstance(options, CcNews):
        return listings.cc_news(options.start, options.end, options.base, read)
    if isinstance(options, Wikipedia):
        return listings.wikipedia(options.wiki, options.date, options.files, options.base, read)
    return listings.url_list(options.list)


def _fetch(options: "CcNews | Wikipedia | Urls", listed: Wanted, patience: http.Patience) -> int:
    for line in listed.notes:
        say(line)
    items = list(listed.items[: options.limit])
    for path, content in listed.listings.items():
        _write_listing(options.folder, path, content)
    there = [item for item in items if downloads.is_there(options.folder, item)]
    if options.check:
        there = [item for item in there if _checked(options.folder, item, patience)]
    for item in there:
        downloads.sweep(options.folder, item)
    present = {item.path for item in there}
    missing = [item for item in items if item.path not in present]
    outcome = downloads.Outcome()
    if missing:
        total, exact = downloads.expected_bytes(missing, patience, say)
        have = sum(downloads.left(options.folder, item) for item in missing)
        say(
            f"{len(missing):,} of {len(items):,} files to fetch, {_size(total, exact)}"
            + (f", {amount(have)} of it are here" if have else "")
        )
        _refuse_full_disk(options.folder, total, have)
        with display(len(missing), total, have) as watcher:
            outcome = downloads.fetch(
                missing, options.folder, options.connections, patience, watcher
            )
    failed = outcome.failed
    figures = {
        "schema_version": 1,
        "folder": options.folder,
        "expected": len(items),
        "there": len(items) - len(failed),
        "fetched": len(outcome.fetched),
        "bytes": outcome.bytes,
        "groups": _groups(items, set(failed)),
        "missing": [
            *({"path": path, "why": why} for path, why in failed.items()),
            *({"path": None, "why": line} for line in listed.missing),
        ],
    }
    if options.json:
        print(jsonlib.dumps(figures, ensure_ascii=False, indent=1))
    else:
        print(
            f"{figures['there']:,} of {len(items):,} files are there, {len(outcome.fetched):,} fetched now, {amount(outcome.bytes)} received"
        )
        _print_missing(list(failed.items()), listed.missing)
    if failed or listed.missing:
        raise UserError(*_incomplete(options, outcome, listed), 1)
    return 0


def _incomplete(
    options: "CcNews | Wikipedia | Urls", outcome: downloads.Outcome, listed: Wanted
) -> tuple[str, str]:
    parts = [several(len(outcome.failed), "file")] if outcome.failed else []
    parts += [several(len(listed.missing), "listing")] if listed.missing else []
    hint = "the same command tries them again"
    if outcome.stopped and "403" in outcome.stopped:
        hint = "the server refuses: wait an hour, name yourself by --contact, or a mirror by --base; the same command goes on"
    elif listed.missing and not outcome.failed:
        hint = "hours and days without an archive are normal, a month without is not: check --start, --end and --base"
    return f"{options.folder}: {' and '.join(parts)} could not be had" + (
        f"; stopped: {outcome.stopped}" if outcome.stopped else ""
    ), hint


def _dry_run(options: "CcNews | Wikipedia | Urls", listed: Wanted, patience: http.Patience) -> int:
    """What would be fetched; nothing is written."""
    for line in listed.notes:
        say(line)
    items = list(listed.items[: options.limit])
    missing = [item for item in items if not downloads.is_there(options.folder, item)]
    total, exact = downloads.expected_bytes(missing, patience, say)
    have = sum(downloads.left(options.folder, item) for item in missing)
    rate = downloads.measure_rate(missing, options.connections, patience) if missing else None
    hours = max((total or 0) - have, 0) / rate / 3600 if rate and total is not None else None
    groups = _groups(items, {item.path for item in missing})
    if options.json:
        figures = {
            "schema_version": 1,
            "folder": options.folder,
            "expected": len(items),
            "there": len(items) - len(missing),
            "bytes_missing": None if total is None else max(total - have, 0),
            "bytes_exact": exact,
            "bytes_per_s": rate,
            "hours": hours,
            "groups": groups,
            "missing": [
                *({"path": item.path, "why": "not fetched"} for item in missing),
                *({"path": None, "why": line} for line in listed.missing),
            ],
        }
        print(jsonlib.dumps(figures, ensure_ascii=False, indent=1))
    else:
        for name, counts in groups.items():
            print(f"{name}: {several(counts['expected'], 'file')}, {counts['there']:,} there")
        print(
            f"{len(missing):,} of {len(items):,} files to fetch, {_size(total, exact)}"
            + (f", {amount(have)} of it are here" if have else "")
        )
        if rate and hours is not None:
            connections = min(options.connections, len(missing))
            print(
                f"{_hours(hours)} at {amount(rate)}/s, measured on {amount(downloads.RATE_BYTES)} of {connections} files at once"
            )
        _print_missing([], listed.missing)
    if listed.missing:
        raise UserError(*_incomplete(options, downloads.Outcome(), listed), 1)
    return 0


def _write_listing(folder: str, path: str, content: bytes) -> None:
    from shards.storage import files

    address = os.path.join(folder, path)
    try:
        with open(address, "rb") as stream:
            if stream.read() == content:
                return
    except OSError:
        pass
    files.write_bytes(address, content)


def _checked(folder: str, item: Item, patience: http.Patience) -> bool:
    """True for a file that is right; a wrong one is taken away."""
    try:
        right = downloads.is_right(folder, item, patience)
    except http.WebError as error:
        say(f"{item.path}: not checked: {error}")
        return True
    if not right:
        say(f"{item.path}: is not what the server has: it is fetched again")
        os.unlink(os.path.join(folder, item.path))
    return right


def _refuse_full_disk(folder: str, total: int | None, have: int) -> None:
    free = shutil.disk_usage(folder).free
    if total is not None and total - have > free:
        raise UserError(
            f"{folder}: {amount(total - have)} are missing and {amount(free)} are free",
            "a larger disk, fewer months, or --limit N",
            3,
        )


def _groups(items: list[Item], missing: set[str]) -> dict[str, dict[str, int]]:
    """Expected and there, by month, dump or host."""
    expected = Counter(item.group for item in items)
    gone = Counter(item.group for item in items if item.path in missing)
    return {
        name: {"expected": count, "there": count - gone[name]} for name, count in expected.items()
    }


def _print_missing(failed: list[tuple[str, str]], listings_missing: tuple[str, ...]) -> None:
    for line in listings_missing:
        print(f"missing: {line}")
    for path, why in failed[:SHOWN]:
        print(f"missing: {path}: {why}")
    if len(failed) > SHOWN:
        print(f"missing: {len(failed) - SHOWN:,} more; --json names all")


def _size(total: int | None, exact: bool) -> str:
    if total is None:
        return "of unknown size"
    return (
        amount(total)
        if exact
        else f"about {amount(total)} (estimated from {downloads.SAMPLE} files at most)"
    )


def _hours(hours: float) -> str:
    return (
        f"{hours:,.1f} hours"
        if hours >= 1
        else f"{hours * 60:.0f} minutes"
        if hours * 60 >= 1
        else "under a minute"
    )
