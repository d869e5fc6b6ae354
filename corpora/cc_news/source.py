"""The source `cc_news`: news pages from Common Crawl's WARC archives, or web pages from any WARC or
ARC archives.

`input` names archives in any layout; the bucket's own is
`crawl-data/CC-NEWS/YYYY/MM/CC-NEWS-YYYYMMDDhhmmss-NNNNN.warc.gz`, and its listing `warc.paths.gz`
is passed over. Every response in an archive becomes one document, or one reject by its status
(`http_4xx`), its kind (`not_html`, `feed`, `binary`), its size, its language or its damage. Records
that are no responses (`request`, `warcinfo`, `revisit`, ...) are counted apart. No record is
dropped as a duplicate here.

The position of a document is the offset of its record in the (compressed) archive. `extra` holds
what has no column: `host` and `domain` (of the fetched address, in one spelling; the domain by the
public suffix list), `canonical` (the address the page gives itself), `charset` and its `evidence`,
`truncated` (why the end of the page is missing) and the counts `replaced` and `mojibake`.
"""

import datetime
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from corpora.document import Document, Outcome, Refusal, Reject, Slice, Source, SourceOptions
from corpora.inputs.find import group
from corpora.quality.rules import Profile
from corpora.web.page import MIN_CHARACTERS, PAGE_PACKAGES, Extraction, PageSettings
from corpora.web.records import archives, page_outcome, read_records, refuse_record
from corpora.web.warc import Record
from shards.config import setting

_MONTH = re.compile(r"(?:^|/)(\d{4})/(\d\d)/[^/]*$")
"""Year and month in the path of an archive."""

_OPENED = re.compile(r"-(\d{4})(\d\d)(\d\d)\d{6}-[^/]*$")
"""The day on which an archive was begun, in its name."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CcNewsOptions(SourceOptions):
    """News pages from WARC archives."""

    kind: str = setting("cc_news", affects="ingest")
    """cc_news."""
    start: str | None = setting(None, affects="ingest")
    """The first day of the window, such as 2016-09-01: earlier pages are rejects. No bound when not
    set."""
    end: str | None = setting(None, affects="ingest")
    """The day after the window: RoBERTa's window is 2016-09-01 to 2019-03-01."""
    date_field: Literal["warc", "publish", "filename"] = setting("warc", affects="ingest")
    """The day that start and end bound. warc: the crawl (WARC-Date); publish: the day that the page
    names, or its crawl when it names none; filename: the day in the name of the archive."""
    require_date: bool = setting(False, affects="ingest")
    """Reject pages that name no day of their own, or an impossible one."""
    min_characters: int = setting(MIN_CHARACTERS, affects="ingest")
    """Reject pages with less text: they are usually navigation and captions."""
    include_title: bool = setting(False, affects="ingest")
    """Make the title the first line of the text; otherwise it is only a column."""
    extraction: Extraction = setting("cascade", affects="ingest")
    """fast: trafilatura's `fast`; default: trafilatura compares its text with those of two other
    extractors, at half of the cost more; cascade: fast, and default where an estimate says that
    text was lost."""
    precision: bool = setting(False, affects="ingest")
    """trafilatura's `favor_precision`: less text, fewer lines that are not part of the article."""
    accelerated: bool = setting(True, affects="nothing")
    """Run faster versions of trafilatura's steps, for the version of it that is locked; when off,
    the package runs as it is. Changes no byte."""
    default_profile: ClassVar[Profile] = "paper"
    detects: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_characters < 1:
            raise ValueError(f"min_characters: {self.min_characters} is less than 1")

        start = _day("start", self.start)
        end = _day("end", self.end)
        if start is not None and end is not None and start >= end:
            raise ValueError(f"end: {self.end} is not after start, {self.start}")


def _day(name: str, value: str | None) -> datetime.date | None:
    """The day of a setting. Raises ValueError."""
    if value is None:
        return None
    try:
        # fromisoformat alone would take 2016-W35 and 20160901, whose texts do not sort as days.
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return datetime.date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError(f"{name}: {value!r} is not a day such as 2016-09-01")


def source() -> Source:
    """The source `cc_news`."""
    return Source(
        options=CcNewsOptions,
        slices=slices,
        read=read,
        version=6,
        packages=("tld", "warcio", *PAGE_PACKAGES),
    )


# --- the slices


_warned: set[tuple[object, ...]] = set()
"""Warnings of this process: a build asks for the slices twice."""


def slices(options: CcNewsOptions) -> Iterator[Slice]:
    """The archives ordered by path, grouped; warns of months without an archive."""
    parts = archives(options.input)
    # By their addresses: the path of a file may be its name alone.
    addresses = (part.address for part in parts)
    missing = missing_months(addresses, options.start, options.end)

    warning = (options.input, *missing)
    if missing and warning not in _warned:
        _warned.add(warning)
        _LOGGER.warning(
            "no archive for %d months, %s: hours without one are normal in this crawl, a month "
            "without one is a failed download",
            len(missing),
            in_runs(missing),
        )
    return group(parts, options.slice_bytes)


def missing_months(
    paths: Iterable[str], start: str | None = None, end: str | None = None
) -> list[str]:
    """The months without an archive, as `2017/12`, by the layout of the bucket.

    The months run from that of the day `start` to the last one before the day `end`; without them,
    from the first to the last month that has an archive. The list is empty when the paths have
    another layout. Hours and days without pages are normal for the news crawl; a month without is a
    download that failed.
    """
    months = set()
    for path in paths:
        match = _MONTH.search(path)
        if match and 1 <= int(match[2]) <= 12:
            months.add(int(match[1]) * 12 + int(match[2]) - 1)
    if not months:
        return []

    first = _month_of(start) if start else min(months)
    last = max(months)
    if end:
        last = _month_of(end)
        if end[8:] == "01":  # the day `end` is outside the window
            last -= 1

    missing = [month for month in range(first, last + 1) if month not in months]
    return [f"{month // 12:04}/{month % 12 + 1:02}" for month in missing]


def _month_of(day: str) -> int:
    """The number of a day's month, counted from year 0."""
    return int(day[:4]) * 12 + int(day[5:7]) - 1


def in_runs(months: list[str]) -> str:
    """Months for a person: `2016/10 to 2017/10, 2018/01`."""
    runs: list[list[str]] = []
    last = -1
    for month in months:
        number = int(month[:4]) * 12 + int(month[5:])
        if runs and number == last + 1:
            runs[-1].append(month)
        else:
            runs.append([month])
        last = number

    words = []
    for run in runs:
        words.append(run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}")
    return ", ".join(words)


# --- the records


def read(options: CcNewsOptions, piece: Slice) -> Iterator[Outcome]:
    """Every record of a slice's archives, in their order."""
    settings = PageSettings(
        language=options.language,
        min_characters=options.min_characters,
        extraction=options.extraction,
        precision=options.precision,
        accelerated=options.accelerated,
        ftfy=options.ftfy,
    )
    for part in piece.parts:
        for record in read_records(part):
            if isinstance(record, Record):
                yield _outcome(options, settings, part.path, record)
            else:
                yield record


def _outcome(
    options: CcNewsOptions, settings: PageSettings, path: str, record: Record
) -> Document | Reject:
    # A window of days that are known before the page is parsed spares the parsing.
    if options.date_field != "publish" and refuse_record(record) is None:
        refusal = _outside_window(options, _bounded_day(options, path, record, None))
        if refusal is not None:
            return refusal.at(path, record.position, record.url)

    outcome = page_outcome(path, record, settings)
    if isinstance(outcome, Reject):
        return outcome

    # Only the page itself tells the day that it names.
    refusal = _refuse_document(options, record, outcome)
    if refusal is not None:
        return refusal.at(path, record.position, record.url)
    if options.include_title and outcome.title:
        return replace(outcome, text=f"{outcome.title}\n{outcome.text}")
    return outcome


def _refuse_document(options: CcNewsOptions, record: Record, document: Document) -> Refusal | None:
    if options.require_date and document.date is None:
        return Refusal("undated", text=document.text)
    if options.date_field != "publish":
        return None
    day = _bounded_day(options, document.path, record, document.date)
    return _outside_window(options, day)


def _bounded_day(
    options: CcNewsOptions, path: str, record: Record, published: datetime.date | None
) -> str:
    """The day that the window bounds, such as 2016-09-01; "" when it is unknown."""
    opened = _OPENED.search(path) if options.date_field == "filename" else None
    if opened:
        return f"{opened[1]}-{opened[2]}-{opened[3]}"
    if published is not None:
        return published.isoformat()
    return record.crawled.date().isoformat() if record.crawled is not None else ""


def _outside_window(options: CcNewsOptions, day: str) -> Refusal | None:
    if options.start is None and options.end is None:
        return None

    # Days written as texts sort as days do.
    if day and (options.start or "") <= day < (options.end or "9999-99-99"):
        return None
    return Refusal("outside_window", day or "no WARC-Date")
