"""What `corpus fetch` does: list the wanted files, download the missing ones, and report.

Nothing is downloaded twice: a file that is there is kept, and a partial one is resumed. The folder
is locked meanwhile.
"""

import inspect
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import tyro

from corpora.fetch import download as downloads
from corpora.fetch import listings
from corpora.fetch.listings import Item, Wanted
from pipelines.commands.fetch_display import display
from pipelines.commands.fetch_flags import KINDS, CcNews, Options, Wikipedia
from pipelines.commands.flags import flag_names
from pipelines.commands.help import Option, Section, page, sections_of_dataclass, usage, wants_help
from pipelines.commands.mistakes import plain_mistakes
from pipelines.wording import amount, print_json, say, several
from shards.errors import UserError, nearest
from shards.storage import files, http
from shards.storage.lock import locked_folder

TEXT = (
    "Download a corpus into a folder. Run the same command again to resume: it fetches only what "
    "is missing."
)

SHOWN = 20
"""Missing files that are printed one by one; `--json` lists all."""


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A file that is missing, or with `path` None a listing, and why."""

    path: str | None
    why: str


@dataclass(frozen=True, kw_only=True)
class Group:
    """The files of a month, a dump or a host."""

    expected: int
    there: int


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What a run did. `bytes`: received."""

    schema_version: int = 1
    folder: str
    expected: int
    there: int
    fetched: int
    bytes: int
    groups: dict[str, Group]
    missing: list[Missing]


@dataclass(frozen=True, kw_only=True)
class FetchPlan:
    """What a run would do. `bytes_exact`: no size is an estimate; None: not known."""

    schema_version: int = 1
    folder: str
    expected: int
    there: int
    bytes_missing: int | None
    bytes_exact: bool
    bytes_per_s: float | None
    hours: float | None
    groups: dict[str, Group]
    missing: list[Missing] = field(default_factory=list)


def fetch_corpus(arguments: list[str]) -> int:
    """Run `corpus fetch`; returns the exit code. Raises `UserError` when files stay missing."""
    name, *rest = arguments or [""]
    if name not in KINDS or wants_help(rest):
        return _help(name, rest)
    options = _parsed(name, rest)
    wanted = list_files(options)
    for note in wanted.notes:
        say(note)
    items = list(wanted.items[: options.limit])
    if options.dry_run:
        return _print_plan(options, wanted, items)
    with locked_folder(os.path.join(options.folder, ".fetch")):  # hidden from the inputs' globs
        return _fetch(options, wanted, items)


def _help(name: str, rest: list[str]) -> int:
    """Print the help of the command, or of a kind; returns 0. Raises `UserError`: no such kind."""
    if name in KINDS:
        sections = sections_of_dataclass(KINDS[name])
        text = inspect.getdoc(KINDS[name]) or ""
        print(page(usage(f"corpus fetch {name}", sections), text, sections))
        return 0
    if name and not wants_help([name, *rest]):
        raise UserError(f"{name}: no such kind of corpus", nearest(name, KINDS))
    if not name:
        raise UserError("no kind of corpus named", f"corpus fetch {'|'.join(KINDS)} --help")

    kinds = tuple(
        Option(kind, kind, " ".join((inspect.getdoc(options) or "").split()))
        for kind, options in KINDS.items()
    )
    note = "corpus fetch KIND --help lists the options of a kind."
    print(page("corpus fetch KIND ... DIR [OPTIONS]", TEXT, [Section("kinds", kinds)], note))
    return 0


def _parsed(name: str, arguments: list[str]) -> Options:
    """The options of a kind. Raises `UserError`."""
    flags = flag_names(sections_of_dataclass(KINDS[name]))
    with plain_mistakes(f"corpus fetch {name}", flags):
        return tyro.cli(
            KINDS[name],
            args=arguments,
            add_help=False,
            config=(tyro.conf.FlagCreatePairsOff,),
        )


def list_files(options: Options) -> Wanted:
    """The files that the command asks for. Raises `UserError`."""
    patience = options.patience()

    def read(address: str) -> bytes:
        return http.read_bytes(address, listings.MAX_LISTING_BYTES, patience, note=say)

    # each kind lists its files in another way; from here on all are alike
    if isinstance(options, CcNews):
        return listings.cc_news(options.start, options.end, options.base, read)
    if isinstance(options, Wikipedia):
        return listings.wikipedia(options.wiki, options.date, options.files, options.base, read)
    return listings.url_list(options.list)


def _fetch(options: Options, wanted: Wanted, items: list[Item]) -> int:
    # beside the files, so that the folder tells later what it should hold
    for path, content in wanted.listings.items():
        _write_listing(options.folder, path, content)
    missing = _missing_items(options, items)
    outcome = _download(options, items, missing) if missing else downloads.Outcome()

    failed = outcome.failed
    fetched = Fetched(
        folder=options.folder,
        expected=len(items),
        there=len(items) - len(failed),
        fetched=len(outcome.fetched),
        bytes=outcome.bytes,
        groups=_groups(items, set(failed)),
        missing=[
            *(Missing(path=path, why=why) for path, why in failed.items()),
            *(Missing(path=None, why=line) for line in wanted.missing),
        ],
    )
    if options.json:
        print_json(fetched)
    else:
        print(
            f"{fetched.there:,} of {len(items):,} files are there, {fetched.fetched:,} fetched "
            f"now, {amount(outcome.bytes)} received"
        )
        for line in _lines_of_missing(failed, wanted.missing):
            print(line)
    if failed or wanted.missing:
        raise _incomplete(options, outcome, wanted)
    return 0


def _missing_items(options: Options, items: list[Item]) -> list[Item]:
    """The items to download; wrong files and leftovers of whole ones are removed."""
    there = [item for item in items if downloads.is_there(options.folder, item)]
    if options.check:
        there = [item for item in there if _is_right(options, item)]
    for item in there:
        downloads.sweep(options.folder, item)
    present = {item.path for item in there}
    return [item for item in items if item.path not in present]


def _download(options: Options, items: list[Item], missing: list[Item]) -> downloads.Outcome:
    """Download the missing items. Raises `UserError` (exit 3) when the disk has no room."""
    patience = options.patience()
    total, is_exact = downloads.expected_bytes(missing, patience, say)
    have = sum(downloads.left(options.folder, item) for item in missing)
    say(_size_of_work(len(missing), len(items), _size(total, is_exact), have))

    # before hours of download, not when the disk is full
    free = shutil.disk_usage(options.folder).free
    if total is not None and total - have > free:
        raise UserError(
            f"{options.folder}: {amount(total - have)} to fetch, {amount(free)} free",
            "use a larger disk, fewer months, or --limit N",
            3,
        )
    with display(len(missing), total, have) as watcher:
        return downloads.fetch(missing, options.folder, options.connections, patience, watcher)


def _size_of_work(missing: int, items: int, size: str, have: int) -> str:
    resumed = f", of which {amount(have)} are here" if have else ""
    return f"{missing:,} of {items:,} files to fetch, {size}{resumed}"


def _incomplete(options: Options, outcome: downloads.Outcome, wanted: Wanted) -> UserError:
    """What stays missing, and what to do about it."""
    parts = []
    if outcome.failed:
        parts.append(several(len(outcome.failed), "file"))
    if wanted.missing:
        parts.append(several(len(wanted.missing), "listing"))
    reason = f"; stopped: {outcome.stopped}" if outcome.stopped else ""

    hint = "run the same command again to try them again"
    if outcome.stopped and "403" in outcome.stopped:
        hint = (
            "the server refuses: wait an hour and run the same command again; "
            "identify yourself with --contact, or use a mirror with --base"
        )
    elif wanted.missing and not outcome.failed:  # CC-NEWS has hours and days without an archive
        hint = (
            "some hours and days have no archive, but every month has: "
            "check --start, --end and --base"
        )
    return UserError(
        f"{options.folder}: {' and '.join(parts)} could not be fetched{reason}", hint, 1
    )


def _print_plan(options: Options, wanted: Wanted, items: list[Item]) -> int:
    """Print what would be fetched; nothing is written."""
    patience = options.patience()
    missing = [item for item in items if not downloads.is_there(options.folder, item)]
    total, is_exact = downloads.expected_bytes(missing, patience, say)
    have = sum(downloads.left(options.folder, item) for item in missing)
    # measured on the real files: the sites are much slower at some hours
    rate = downloads.measure_rate(missing, options.connections, patience) if missing else None

    to_fetch = None if total is None else max(total - have, 0)
    plan = FetchPlan(
        folder=options.folder,
        expected=len(items),
        there=len(items) - len(missing),
        bytes_missing=to_fetch,
        bytes_exact=is_exact,
        bytes_per_s=rate,
        hours=to_fetch / rate / 3600 if rate and to_fetch is not None else None,
        groups=_groups(items, {item.path for item in missing}),
        missing=[
            *(Missing(path=item.path, why="not fetched") for item in missing),
            *(Missing(path=None, why=line) for line in wanted.missing),
        ],
    )
    if options.json:
        print_json(plan)
    else:
        for name, group in plan.groups.items():
            print(f"{name}: {several(group.expected, 'file')}, {group.there:,} there")
        print(_size_of_work(len(missing), len(items), _size(total, is_exact), have))
        if rate and plan.hours is not None:
            connections = min(options.connections, len(missing))
            print(
                f"{_hours(plan.hours)} at {amount(rate)}/s, measured on "
                f"{amount(downloads.RATE_BYTES)} of {connections} files at once"
            )
        for line in _lines_of_missing({}, wanted.missing):
            print(line)
    if wanted.missing:
        raise _incomplete(options, downloads.Outcome(), wanted)
    return 0


def _write_listing(folder: str, path: str, content: bytes) -> None:
    """Write a listing beside the files, unless the same one is there already."""
    address = os.path.join(folder, path)
    try:
        with open(address, "rb") as stream:
            if stream.read() == content:
                return
    except OSError:
        pass
    files.write_bytes(address, content)


def _is_right(options: Options, item: Item) -> bool:
    """True for a file that is right, or cannot be checked now; a wrong one is removed."""
    try:
        is_right = downloads.is_right(options.folder, item, options.patience())
    except http.WebError as error:  # the file may be right: without the server nobody knows
        say(f"{item.path}: not checked: {error}")
        return True
    if not is_right:
        say(f"{item.path}: differs from the server's file; it is fetched again")
        os.unlink(os.path.join(options.folder, item.path))
    return is_right


def _groups(items: list[Item], missing: set[str]) -> dict[str, Group]:
    """Files by month, dump or host; `missing`: paths."""
    expected = Counter(item.group for item in items)
    absent = Counter(item.group for item in items if item.path in missing)
    return {
        name: Group(expected=count, there=count - absent[name]) for name, count in expected.items()
    }


def _lines_of_missing(failed: dict[str, str], listings_missing: tuple[str, ...]) -> Iterator[str]:
    for line in listings_missing:
        yield f"missing: {line}"
    for path, why in list(failed.items())[:SHOWN]:
        yield f"missing: {path}: {why}"
    if len(failed) > SHOWN:
        yield f"missing: {len(failed) - SHOWN:,} more files; --json lists all"


def _size(total: int | None, is_exact: bool) -> str:
    if total is None:
        return "of unknown size"
    if is_exact:
        return amount(total)
    return f"about {amount(total)} (estimated from at most {downloads.SAMPLE} files)"


def _hours(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.1f} hours"
    minutes = hours * 60
    return f"{minutes:.0f} minutes" if minutes >= 1 else "under a minute"
