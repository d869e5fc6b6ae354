"""What there is to fetch: the archives of CC-News by month, a dump of a wiki, a list of addresses.

Each gives `Wanted`: files, each with the address it comes from, the place below the user's folder
where its source reads it, and its checksum where the server publishes one; and in words what should
be there and is not. What a server says is not trusted: a path that would leave the folder is a
fault, a listing that is no listing too.
"""

import datetime
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from corpora.inputs import lists
from shards.errors import UserError
from shards.storage import http

CC_NEWS = "https://data.commoncrawl.org"

WIKIMEDIA = "https://dumps.wikimedia.org"

ARCHIVE = "https://archive.org/download/{wiki}-{date}"
"""Where dumps of former years lie, that of the paper's time (20181220) among them."""

PAPER_WINDOW = ("2016-09", "2019-02")
"""The months of RoBERTa's CC-News, both included."""

MAX_LISTING_BYTES = 1 << 26

Read = Callable[[str], bytes]
"""A small file of a server, whole. Raises `WebError`, `web.Unreachable`."""

_SAFE = re.compile(r"[A-Za-z0-9_+=@,%!()-][A-Za-z0-9._+=@,%!()-]*")

_SUMS = (("sha1", 40), ("md5", 32))

_WIKI_FILES = {
    "multistream": (
        r"pages-articles-multistream\.xml\.bz2",
        r"pages-articles-multistream-index\.txt\.bz2",
    ),
    "multistream-parts": (
        r"pages-articles-multistream\d+\.xml-p\d+p\d+\.bz2",
        r"pages-articles-multistream-index\d+\.txt-p\d+p\d+\.bz2",
    ),
    "plain": (r"pages-articles\.xml\.bz2",),
    "plain-parts": (r"pages-articles\d+\.xml-p\d+p\d+\.bz2",),
}


@dataclass(frozen=True, kw_only=True)
class Item:
    """A file to fetch. `path`: below the user's folder; `digest`: `sha1:...` and the like, or ""
    where none is published; `group`: what it is counted under, such as its month."""

    address: str
    path: str
    digest: str = ""
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to fetch. `missing`: what should be there and is not, a line each; `notes`: what a user
    should know; `listings`: small files that come with it, path -> bytes."""

    items: tuple[Item, ...]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    listings: dict[str, bytes] = field(default_factory=dict)


def cc_news(start: str, end: str, base: str, read: Read) -> Wanted:
    """The archives of the months from `start` to `end`, as 2016-09, both included, by the listing
    `warc.paths.gz` of each.

    A month without a listing is missing; hours and days without an archive are normal. Raises
    `UserError`.
    """
    base = base.rstrip("/")
    items: dict[str, Item] = {}
    missing, listings = [], {}
    for month in months(start, end):
        folder = f"crawl-data/CC-NEWS/{month}"
        address = f"{base}/{folder}/warc.paths.gz"
        try:
            content = read(address)
        except http.WebError as error:
            missing.append(f"{month}: no listing: {_reason(address, error)}")
            continue
        keys = _keys(content)
        if keys is None:
            missing.append(
                f"{month}: {address} is no listing: it begins with {_beginning(content)}"
            )
            continue
        listings[f"{folder}/warc.paths.gz"] = content
        good = [
            key for key in keys if _is_below(key, folder) and key.endswith((".warc.gz", ".warc"))
        ]
        if len(good) < len(keys):
            strange = next(key for key in keys if key not in good)
            missing.append(
                f"{month}: {len(keys) - len(good)} of {len(keys)} lines of its listing name no archive of the month, such as {strange[:100]!r}"
            )
        if not keys:
            missing.append(f"{month}: its listing is empty")
        for key in good:
            items[key] = Item(address=f"{base}/{quote(key)}", path=key, group=month)
    return Wanted(items=tuple(items.values()), missing=tuple(missing), listings=listings)


def months(start: str, end: str) -> list[str]:
    """`2016/09`, ... of the months from `start` to `end`. Raises `UserError`."""
    first, last = _month("--start", start), _month("--end", end)
    if first > last:
        raise UserError(
            f"--start {start} is after --end {end}", "both are months, and both are fetched"
        )
    return [f"{month // 12:04}/{month % 12 + 1:02}" for month in range(first, last + 1)]


def _month(flag: str, text: str) -> int:
    found = re.fullmatch(r"(\d{4})[-/](\d\d)", text)
    if not found or not 1 <= int(found[2]) <= 12:
        raise UserError(f"{flag} {text}: not a month", "write it as 2016-09")
    if int(found[1]) < 2016 or int(found[1]) > datetime.date.today().year:
        raise UserError(
            f"{flag} {text}: CC-News begins in 2016-08 and goes on to this month",
            f"the paper's window is {' to '.join(PAPER_WINDOW)}",
        )
    return int(found[1]) * 12 + int(found[2]) - 1


def _keys(content: bytes) -> list[str] | None:
    """The lines of a `warc.paths.gz`; None for anything else."""
    try:
        engine = zlib.decompressobj(31)
        text = engine.decompress(content, MAX_LISTING_BYTES).decode()
        if not engine.eof:
            return None
    except (zlib.error, UnicodeError):
        return None
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def wikipedia(wiki: str, date: str, form: str, base: str, read: Read) -> Wanted:
    """A dump's articles, with their index where they have one, by the dump's own list of checksums.

    `wiki`: enwiki, or just the language; `date`: YYYYMMDD, or latest; `base`: the site, below which
    lies WIKI/DATE/, or an address with {wiki} and {date}. Raises `UserError`: no such dump, nothing
    of that form in it.
    """
    wiki = wiki if re.search(r"wik", wiki) else wiki.replace("-", "_") + "wiki"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", wiki):
        raise UserError(
            f"--wiki {wiki}: not the name of a wiki",
            "a language such as en, or a name such as enwiki, dewiki, simplewiki",
        )
    notes = []
    if date == "latest":
        date = _latest(wiki, base, read)
        notes.append(f"the latest dump of {wiki} is {date}: --date {date} names it for good")
    if not re.fullmatch(r"\d{8}", date):
        raise UserError(f"--date {date}: not the date of a dump", "write it as 20181220, or latest")
    folder = _folder(base, wiki, date)
    sums, algorithm = _sums(folder, f"{wiki}-{date}", read)
    wanted = [re.compile(re.escape(f"{wiki}-{date}-") + pattern) for pattern in _WIKI_FILES[form]]
    if not sums:
        notes.append(f"{folder}: no checksums are published here, so sizes alone are checked")
        if form.endswith("-parts"):
            raise UserError(
                f"{folder}: no list of checksums, so the names of the parts are not known",
                "take --files multistream or plain, or another --base",
            )
        names = [f"{wiki}-{date}-" + pattern.replace("\\", "") for pattern in _WIKI_FILES[form]]
        sums = dict.fromkeys(names, "")
    found = [
        name
        for pattern in wanted
        for name in sorted(sums, key=_by_number)
        if pattern.fullmatch(name)
    ]
    if not found or not all(any(pattern.fullmatch(name) for name in found) for pattern in wanted):
        there = [
            name
            for name, patterns in _WIKI_FILES.items()
            if all(any(re.search(f"-{pattern}$", file) for file in sums) for pattern in patterns)
        ]
        raise UserError(
            f"{folder}: no {form} files in this dump",
            f"--files {there[0]}"
            if there
            else "the dump may still be in the making: take an earlier date",
        )
    items = [
        Item(
            address=f"{folder}/{name}",
            path=f"{wiki}/{date}/{name}",
            digest=f"{algorithm}:{sums[name]}" if sums[name] else "",
            group=f"{wiki} {date}",
        )
        for name in found
    ]
    return Wanted(items=tuple(items), notes=tuple(notes))


def _folder(base: str, wiki: str, date: str) -> str:
    base = base.rstrip("/")
    return (
        base.replace("{wiki}", wiki).replace("{date}", date)
        if "{wiki}" in base or "{date}" in base
        else f"{base}/{wiki}/{date}"
    )


def _by_number(name: str) -> list[tuple[int, str]]:
    """Parts in the order of their numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _latest(wiki: str, base: str, read: Read) -> str:
    """The date of the latest dump, from the names in its list of checksums."""
    folder = _folder(base, wiki, "latest")
    sums, _ = _sums(folder, f"{wiki}-latest", read)
    dates = {found[1] for name in sums if (found := re.match(rf"{wiki}-(\d{{8}})-", name))}
    if not dates:
        raise UserError(
            f"{folder}: does not say which dump is the latest", "name one: --date 20181220"
        )
    return max(dates)


def _sums(folder: str, prefix: str, read: Read) -> tuple[dict[str, str], str]:
    """Name -> checksum of a dump's files, and the algorithm; nothing where none is published.
    Raises `UserError`: no such dump."""
    for algorithm, length in _SUMS:
        address = f"{folder}/{prefix}-{algorithm}sums.txt"
        try:
            text = read(address).decode("utf-8", "replace")
        except FileNotFoundError:
            continue
        except http.WebError as error:
            raise UserError(
                str(error),
                "Wikimedia asks for a way to reach you: --contact you@example.org; or --base of a mirror",
                3,
            ) from None
        lines = (
            re.fullmatch(rf"([0-9a-f]{{{length}}}) [ *](\S+)", line.strip())
            for line in text.splitlines()
        )
        sums = {line[2]: line[1] for line in lines if line and _SAFE.fullmatch(line[2])}
        if not sums:
            raise UserError(
                f"{address}: no list of checksums: it begins with {_beginning(text.encode())}",
                "check --base",
                1,
            )
        return sums, algorithm
    if not _is_there(f"{folder}/", read) and not prefix.endswith("-latest"):
        hint = f"Wikimedia keeps the dumps of some months only: take a later --date or latest, or one that an archive has kept: --base '{ARCHIVE}'"
        raise UserError(f"{folder}: no such dump", hint)
    return {}, ""


def _is_there(address: str, read: Read) -> bool:
    try:
        read(address)
    except FileNotFoundError:
        return False
    except http.WebError:  # a server may keep its folders to itself
        pass
    return True


def url_list(listing: str) -> Wanted:
    """The files that a list names: an address a line, with a checksum behind it if you have one
    (`sha256:...`, sha1, md5).

    Each lies below the folder as HOST/PATH. Raises `UserError` for a line that is no such address.
    """
    items: dict[str, Item] = {}
    for line in lists.read(listing):
        address, _, digest = line.partition(" ")
        digest = digest.strip().lower()
        if not http.is_web(address):
            raise UserError(
                f"{listing}: {address[:200]!r} is no http:// or https:// address",
                "an address a line; a line that begins with # is passed over",
            )
        if digest and not re.fullmatch(
            r"(md5:[0-9a-f]{32}|sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})", digest
        ):
            raise UserError(
                f"{listing}: {digest[:150]!r} is no checksum",
                "write it behind the address as sha256:..., sha1:... or md5:...",
            )
        try:
            path = place(address)
        except ValueError as error:
            raise UserError(
                f"{listing}: {address[:200]!r} is no address: {error}",
                "correct the line, or put a # before it",
            ) from None
        twin = items.get(path)
        if twin and (twin.address, twin.digest) != (address, digest):
            raise UserError(
                f"{listing}: {twin.address} and {address} would be the same file {path}",
                "keep one of the two",
            )
        items[path] = Item(address=address, path=path, digest=digest, group=path.split("/", 1)[0])
    if not items:
        raise UserError(
            f"{listing}: names no address",
            "an address a line; a line that begins with # is passed over",
        )
    return Wanted(items=tuple(items.values()))


def place(address: str) -> str:
    """HOST/PATH of an address as a path below a folder: no step up, no hidden name, no name that is
    a wildcard or too long for a file.

    Raises ValueError where it has no host.
    """
    parts = urlsplit(address)
    if not parts.hostname:
        raise ValueError("it names no host")
    host = parts.netloc.rsplit("@", 1)[-1].replace(":", "_")
    names = [name for name in unquote(parts.path).split("/") if name not in ("", ".", "..")] or [
        "index.html"
    ]
    if parts.path.endswith("/") and names != ["index.html"]:
        names.append("index.html")
    names[-1] += f"?{parts.query}" if parts.query else ""
    return "/".join(_name(name) for name in [host, *names])


def _name(name: str) -> str:
    clean = re.sub(r"[\x00-\x1f\x7f*?\[\]\\/]", lambda found: f"%{ord(found[0]):02X}", name)
    clean = "%2E" + clean[1:] if clean.startswith(".") else clean
    return (
        clean
        if len(clean.encode()) <= 200
        else clean.encode()[:180].decode("utf-8", "ignore") + f"-{zlib.crc32(name.encode()):08x}"
    )


def _is_below(key: str, folder: str) -> bool:
    return key.startswith(folder + "/") and all(_SAFE.fullmatch(name) for name in key.split("/"))


def _reason(address: str, error: BaseException) -> str:
    return str(error).removeprefix(f"{address}: ")


def _beginning(content: bytes) -> str:
    if content[:2] == b"\x1f\x8b":
        return "gzip that breaks"
    return repr(content[:60].decode("utf-8", "replace")) if content else "nothing: it is empty"
