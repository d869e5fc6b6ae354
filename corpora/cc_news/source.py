"""CC-News: news pages from Common Crawl's WARC archives, or any other WARC and ARC archives of web
pages.

`input` is archives in any layout; the bucket's own is
`crawl-data/CC-NEWS/YYYY/MM/CC-NEWS-YYYYMMDDhhmmss-NNNNN.warc.gz` (the listing `warc.paths.gz`
beside them is passed over). Every record of an archive comes out once: as a document, or as a
reject by its type (`request`, `warcinfo`, `revisit`, ...), its status (`http_4xx`), its kind
(`not_html`, `feed`, `binary`), its size, its language or its damage. Nothing is dropped as a
duplicate here.

The position of a document is the offset of its record in the (compressed) archive. `extra` holds
what a column lacks: `host` and `domain` (of the fetched address, in one spelling; the domain by the
public suffix list), `canonical` (the address the page gives itself), `charset` and its `evidence`,
`truncated` (why the end of the page is missing) and the counts `replaced` and `mojibake`.
"""

import datetime
import hashlib
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from corpora.document import Document, Refusal, Reject, Slice, Source, SourceOptions
from corpora.guard import Guard, shared_guard
from corpora.inputs.find import group
from corpora.quality.rules import Profile
from corpora.web.http_body import decode_body
from corpora.web.page import MAX_PAGE_BYTES, MIN_CHARACTERS, PAGE_PACKAGES, Page
from corpora.web.records import (
    archives,
    host_and_domain,
    refuse_body,
    refuse_record,
    why_cut,
)
from corpora.web.warc import Damage, Record, read_archive
from shards.storage import files

_MONTH = re.compile(r"(?:^|/)(\d{4})/(\d\d)/[^/]*$")

_OPENED = re.compile(r"-(\d{4})(\d\d)(\d\d)\d{6}-[^/]*$")

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CcNewsOptions(SourceOptions):
    """News pages from WARC archives."""

    kind: str = "cc_news"
    """cc_news."""
    start: str | None = None
    """The first day of the window, as 2016-09-01: pages crawled before it are rejects. No bound
    when not set."""
    end: str | None = None
    """The day after the window: RoBERTa's is 2016-09-01 to 2019-03-01."""
    date_field: Literal["warc", "publish", "filename"] = "warc"
    """What start and end bound: the crawl (WARC-Date), the day that the page names (of a page that
    names none, its crawl), or the day in the archive's name."""
    require_date: bool = False
    """Pages that name no day of their own, or an impossible one, are rejects."""
    min_characters: int = MIN_CHARACTERS
    """Pages of less text are rejects: navigation and captions, as a rule."""
    include_title: bool = False
    """The title is the first line of the text; else it is a column alone."""
    fast: bool = True
    """trafilatura's `fast`: without its comparison with two other extractors, which gains nothing
    on news and costs half as much again."""
    precision: bool = False
    """trafilatura's `favor_precision`: less text, fewer lines that are no article."""
    accelerated: bool = True
    """trafilatura's steps done faster, for the version that is locked; False runs the package as it
    is. Changes no byte."""
    default_profile: ClassVar[Profile] = "paper"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_characters < 1:
            raise ValueError(f"min_characters: {self.min_characters} is less than 1")
        days = [_day(name, value) for name, value in (("start", self.start), ("end", self.end))]
        if days[0] is not None and days[1] is not None and days[0] >= days[1]:
            raise ValueError(f"end: {self.end} is not after start, {self.start}")


def _day(name: str, value: str | None) -> datetime.date | None:
    try:
        if value is None or re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            return None if value is None else datetime.date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError(f"{name}: {value!r} is not a day such as 2016-09-01")


def missing_months(
    paths: Iterable[str], start: str | None = None, end: str | None = None
) -> list[str]:
    """The months, as `2017/12`, without an archive, by the bucket's layout: from that of the day
    `start` to that before the day `end`, where they are given, else from the first to the last that
    have one. Nothing where the layout is another.

    Hours and days without pages are normal for the news crawl; a month without is a download that
    failed.
    """
    months = {
        int(match[1]) * 12 + int(match[2]) - 1
        for path in paths
        if (match := _MONTH.search(path)) and 1 <= int(match[2]) <= 12
    }
    if not months:
        return []
    first = int(start[:4]) * 12 + int(start[5:7]) - 1 if start else min(months)
    last = int(end[:4]) * 12 + int(end[5:7]) - (2 if end[8:] == "01" else 1) if end else max(months)
    return [
        f"{month // 12:04}/{month % 12 + 1:02}"
        for month in range(first, last + 1)
        if month not in months
    ]


def in_runs(months: list[str]) -> str:
    """Months for a person: `2016/10 to 2017/10, 2018/01`."""
    numbers = [int(month[:4]) * 12 + int(month[5:]) for month in months]
    begins = [i for i, number in enumerate(numbers) if i == 0 or numbers[i - 1] != number - 1]
    runs = [
        (months[begin], months[stop - 1]) for begin, stop in zip(begins, [*begins[1:], len(months)])
    ]
    return ", ".join(first if first == last else f"{first} to {last}" for first, last in runs)


def read(options: CcNewsOptions, piece: Slice) -> Iterator[Document | Reject]:
    """Every record of a slice's archives, in their order. An archive that cannot be opened is one
    reject, `unreadable`."""
    guard = shared_guard("corpora.web.extract:extract_page")
    for part in piece.parts:
        try:
            with files.open_input(part.address) as stream:
                for item in read_archive(stream):
                    yield outcome(options, guard, part.path, item)
        except OSError as error:
            yield Reject(
                path=part.path,
                position=part.start,
                reason="unreadable",
                detail=f"{type(error).__name__}: {error}"[:500],
            )


def outcome(
    options: CcNewsOptions, guard: Guard, path: str, item: Record | Damage
) -> Document | Reject:
    """What one record of an archive gives. `guard`: of `corpora.web.extract:extract_page`."""
    if isinstance(item, Damage):
        return item.at(path, item.position, item.url)
    refusal = refuse_record(item) or (
        _outside(options, _bounded_day(options, path, item, None))
        if options.date_field != "publish"
        else None
    )
    if refusal is not None:
        return refusal.at(path, item.position, item.url)
    body = decode_body(item.body, item.headers, MAX_PAGE_BYTES)
    refusal = refuse_body(item, body)
    if refusal is not None:
        return refusal.at(path, item.position, item.url)
    cut = why_cut(item, body)
    page = guard.call(
        body.content,
        content_type=item.content_type,
        url=item.url,
        crawled=item.crawled,
        cut=bool(cut),
        language=options.language,
        min_characters=options.min_characters,
        fast=options.fast,
        precision=options.precision,
        accelerated=options.accelerated,
    )
    refusal = page if isinstance(page, Refusal) else _refuse_page(options, path, item, page)
    if refusal is not None:
        return refusal.at(path, item.position, item.url)
    return Document(
        path=path,
        position=item.position,
        text=f"{page.title}\n{page.text}" if options.include_title and page.title else page.text,
        url=item.url,
        title=page.title,
        date=page.date,
        language=page.language,
        crawled=item.crawled,
        digest=hashlib.blake2b(body.content, digest_size=16).hexdigest(),
        extra=host_and_domain(item.url) | page.notes() | ({"truncated": cut} if cut else {}),
    )


def _refuse_page(options: CcNewsOptions, path: str, record: Record, page: Page) -> Refusal | None:
    if options.require_date and page.date is None:
        return Refusal("undated", text=page.text)
    return (
        _outside(options, _bounded_day(options, path, record, page.date))
        if options.date_field == "publish"
        else None
    )


def _bounded_day(
    options: CcNewsOptions, path: str, record: Record, published: datetime.date | None
) -> str:
    """The day that the window bounds, as 2016-09-01; "" where there is none."""
    opened = _OPENED.search(path) if options.date_field == "filename" else None
    if opened:
        return f"{opened[1]}-{opened[2]}-{opened[3]}"
    day = published or (record.crawled.date() if record.crawled is not None else None)
    return day.isoformat() if day else ""


def _outside(options: CcNewsOptions, day: str) -> Refusal | None:
    if options.start is None and options.end is None:
        return None
    inside = day and (options.start or "") <= day < (options.end or "9999-99-99")
    return None if inside else Refusal("outside_window", day or "no WARC-Date")


_said: set[tuple[object, ...]] = set()


def slices(options: CcNewsOptions) -> Iterator[Slice]:
    """The archives in the order of their paths, grouped; warns of months without one."""
    parts = archives(options.input)
    missing = missing_months((part.path for part in parts), options.start, options.end)
    if missing and (options.input, *missing) not in _said:  # a build asks for the slices twice
        _said.add((options.input, *missing))
        _LOGGER.warning(
            "no archive for %d months, %s: hours without are normal for this crawl, a month is a download that failed",
            len(missing),
            in_runs(missing),
        )
    return group(parts, options.slice_bytes)


def source() -> Source:
    """The source `cc_news`."""
    return Source(
        options=CcNewsOptions,
        slices=slices,
        read=read,
        version=2,
        packages=("tld", "warcio", *PAGE_PACKAGES),
    )
