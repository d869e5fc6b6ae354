"""Dates and moments in the spellings that tables and JSON have, read alike by every Python.

`datetime.fromisoformat` takes other texts from one Python to the next, so nothing here uses it.
"""

import datetime
import re

_DAY = re.compile(r"\s*(\d{4})(?:-(\d\d)-(\d\d)|/(\d\d?)/(\d\d?)|(\d\d)(\d\d))(?!\d)", re.ASCII)

_TIME = re.compile(
    r"[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d+)?)?\s*(Z|UTC|[+-]\d\d:?\d\d)?\s*$", re.ASCII
)

_MAIL = re.compile(
    r"\s*(?:[A-Za-z]{3},\s*)?(\d\d?) ([A-Za-z]{3})[a-z]* (\d{4})"
    r"(?: (\d\d):(\d\d)(?::(\d\d))?(?:\s*([+-]\d{4}|[A-Z]+))?)?",
    re.ASCII,
)

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()

_SECONDS = re.compile(r"\s*(-?\d{9,10})(?:\.\d+)?\s*|\s*(\d{12,13})\s*", re.ASCII)

UTC = datetime.timezone.utc


def parse_date(value: object) -> datetime.date | None:
    """The day of a date, a moment or a text; None where it is not understood.

    Texts: 2019-04-25, 20190425 or 2019/4/25, with anything after it; 25 Apr 2019 as in mail;
    seconds or milliseconds since 1970.
    """
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    text = str(value)
    moment = _of_seconds(text)
    if moment:
        return moment.date()

    day = _DAY.match(text)
    if day:
        year, month, of_month = (int(group) for group in day.groups() if group)
        return _day(year, month, of_month)
    mail = _MAIL.match(text)
    if mail and mail[2].lower() in _MONTHS:
        return _day(int(mail[3]), _MONTHS.index(mail[2].lower()) + 1, int(mail[1]))
    return None


def parse_moment(value: object) -> datetime.datetime | None:
    """The moment, in UTC, of the values that `parse_date` takes; a day alone is its beginning, and
    a time without a zone is in UTC. None where it is not understood."""
    if isinstance(value, datetime.datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    text = str(value)
    moment = _of_seconds(text)
    if moment:
        return moment
    date = parse_date(value)
    if date is None:
        return None

    found = _TIME.search(text)
    mail = _MAIL.match(text)
    parts: tuple[str | None, ...] = (None, None, None, None)
    if found:
        parts = found.groups()
    elif mail:
        parts = mail.groups()[3:]
    hour, minute, second, zone = parts
    try:
        time = datetime.time(int(hour or 0), int(minute or 0), min(int(second or 0), 59))
        return datetime.datetime.combine(date, time, UTC) - _offset(zone)
    except (ValueError, OverflowError):
        return None


def _day(year: int, month: int, of_month: int) -> datetime.date | None:
    try:
        return datetime.date(year, month, of_month)
    except ValueError:
        return None


def _of_seconds(text: str) -> datetime.datetime | None:
    found = _SECONDS.fullmatch(text)
    if found is None:
        return None
    seconds = int(found[1]) if found[1] else int(found[2]) // 1000
    return datetime.datetime(1970, 1, 1, tzinfo=UTC) + datetime.timedelta(seconds=seconds)


def _offset(zone: str | None) -> datetime.timedelta:
    if not zone or zone[0] not in "+-":
        return datetime.timedelta(0)
    digits = zone[1:].replace(":", "")
    size = datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return size if zone[0] == "+" else -size
