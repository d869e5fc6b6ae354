"""What there is to fetch: the archives of CC-News by month, a dump of a wiki, a list of addresses.

Each gives `Wanted`: the files, each with its address, its place below the user's folder where the
source reads it, and its checksum if the server publishes one; and in words what should exist and
does not. A server is not trusted: a path that would leave the folder is an error, and so is a
listing of another format.
"""

import datetime
import gzip
import io
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
"""The archive of former dumps, among them that of the paper's time (20181220)."""

PAPER_WINDOW = ("2016-09", "2019-02")
"""The first and the last month of RoBERTa's CC-News."""

MAX_LISTING_BYTES = 1 << 26

Read = Callable[[str], bytes]
"""Reads a small file of a server, whole. Raises `WebError`, `Unreachable`."""

# names that cannot hide, step up or be taken for a wildcard
_SAFE = re.compile(r"[A-Za-z0-9_+=@,%!()-][A-Za-z0-9._+=@,%!()-]*")

_DIGEST = re.compile(r"md5:[0-9a-f]{32}|sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")

_LIST_HINT = "write one address per line; a line that begins with # is skipped"

# algorithm and hex digits, the stronger one first
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
    """A file to fetch. `path`: below the user's folder; `digest`: `sha1:...` and the like, "" if
    none is published; `group`: what it is counted under, such as its month."""

    address: str
    path: str
    digest: str = ""
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to fetch. `missing`: what should exist and does not, one line for each; `notes`: what a
    user should know; `listings`: small files that belong to it, content by path."""

    items: tuple[Item, ...]
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    listings: dict[str, bytes] = field(default_factory=dict)


def cc_news(start: str, end: str, base: str, read: Read) -> Wanted:
    """The archives of the months from `start` to `end`, as 2016-09, both included, by the listing
    `warc.paths.gz` of each month.

    A month without a listing is missing; hours and days without an archive are normal. Raises
    `UserError`.
    """
    base = base.rstrip("/")
    items: dict[str, Item] = {}
    missing: list[str] = []
    listings: dict[str, bytes] = {}
    for month in months(start, end):
        folder = f"crawl-data/CC-NEWS/{month}"
        address = f"{base}/{folder}/warc.paths.gz"
        try:
            content = read(address)
        except http.WebError as error:
            reason = str(error).removeprefix(f"{address}: ")
            missing.append(f"{month}: no listing: {reason}")
            continue
        keys = _keys(content)
        if keys is None:
            missing.append(
                f"{month}: {address} is no listing: it begins with {_beginning(content)}"
            )
            continue

        listings[f"{folder}/warc.paths.gz"] = content
        good = [key for key in keys if _is_archive(key, folder)]
        for key in good:
            items[key] = Item(address=f"{base}/{quote(key)}", path=key, group=month)
        if not keys:
            missing.append(f"{month}: its listing is empty")
        elif len(good) < len(keys):
            strange = next(key for key in keys if key not in good)
            missing.append(
                f"{month}: {len(keys) - len(good)} of {len(keys)} lines of its listing name "
                f"no archive of the month, such as {strange[:100]!r}"
            )
    return Wanted(items=tuple(items.values()), missing=tuple(missing), listings=listings)


def _is_archive(key: str, folder: str) -> bool:
    """Whether a line of a listing is an archive below a folder, with a name that is safe."""
    if not key.startswith(folder + "/") or not key.endswith((".warc.gz", ".warc")):
        return False
    return all(_SAFE.fullmatch(name) for name in key.split("/"))


def months(start: str, end: str) -> list[str]:
    """`2016/09`, ... of the months from `start` to `end`. Raises `UserError`."""
    first = _month("--start", start)
    last = _month("--end", end)
    if first > last:
        raise UserError(
            f"--start {start} is after --end {end}", "both are months, and both are fetched"
        )
    return [f"{month // 12:04}/{month % 12 + 1:02}" for month in range(first, last + 1)]


def _month(flag: str, text: str) -> int:
    """The number of a month, counted from the year 0."""
    match = re.fullmatch(r"(\d{4})[-/](\d\d)", text)
    if not match or not 1 <= int(match[2]) <= 12:
        raise UserError(f"{flag} {text}: not a month", "write it as 2016-09")
    year = int(match[1])
    if year < 2016 or year > datetime.date.today().year:
        raise UserError(
            f"{flag} {text}: CC-News begins in 2016-08 and ends with this month",
            f"the paper's window is {' to '.join(PAPER_WINDOW)}",
        )
    return year * 12 + int(match[2]) - 1


def _keys(content: bytes) -> list[str] | None:
    """The lines of a `warc.paths.gz`, of all its members; None for any other content."""
    try:
        # Daily listings are appended, each as a member of its own.
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            raw = stream.read(MAX_LISTING_BYTES + 1)
        text = raw.decode()
    except (OSError, EOFError, zlib.error, UnicodeError):
        return None
    if len(raw) > MAX_LISTING_BYTES:
        return None
    lines = (line.strip() for line in text.splitlines())
    return list(dict.fromkeys(line for line in lines if line))


def wikipedia(wiki: str, date: str, form: str, base: str, read: Read) -> Wanted:
    """The articles of a dump, and their index if they have one, by the dump's list of checksums.

    `wiki`: enwiki, or just the language; `date`: YYYYMMDD, or latest; `form`: a key of
    `_WIKI_FILES`; `base`: the site, which holds WIKI/DATE/, or an address with {wiki} and {date}.
    Raises `UserError` for a dump that does not exist, and for one without files of the form.
    """
    wiki = _wiki_name(wiki)
    notes: list[str] = []
    if date == "latest":
        date = _latest(wiki, base, read)
        notes.append(f"the latest dump of {wiki} is {date}: --date {date} names it for good")
    if not re.fullmatch(r"\d{8}", date):
        raise UserError(f"--date {date}: not the date of a dump", "write it as 20181220, or latest")

    folder = _folder(base, wiki, date)
    prefix = f"{wiki}-{date}"
    sums, algorithm = _sums(folder, prefix, read)
    if not sums:
        notes.append(f"{folder}: no checksums are published here, so sizes alone are checked")
        sums = dict.fromkeys(_usual_names(folder, prefix, form), "")
    items = [
        Item(
            address=f"{folder}/{name}",
            path=f"{wiki}/{date}/{name}",
            digest=f"{algorithm}:{sums[name]}" if sums[name] else "",
            group=f"{wiki} {date}",
        )
        for name in _dump_names(folder, prefix, form, sums)
    ]
    return Wanted(items=tuple(items), notes=tuple(notes))


def _wiki_name(wiki: str) -> str:
    """enwiki for en; a name is unchanged. Raises `UserError`."""
    name = wiki if "wik" in wiki else wiki.replace("-", "_") + "wiki"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(
            f"--wiki {name}: not the name of a wiki",
            "give a language such as en, or a name such as enwiki, dewiki, simplewiki",
        )
    return name


def _usual_names(folder: str, prefix: str, form: str) -> list[str]:
    """The names of the files of a form in a dump without checksums. Raises `UserError` for parts:
    their names hold numbers of pages."""
    if form.endswith("-parts"):
        raise UserError(
            f"{folder}: no list of checksums, so the names of the parts are not known",
            "take --files multistream or plain, or another --base",
        )
    return [f"{prefix}-" + pattern.replace("\\", "") for pattern in _WIKI_FILES[form]]


def _dump_names(folder: str, prefix: str, form: str, sums: dict[str, str]) -> list[str]:
    """The names of the files of a form, of each of its patterns in the order of their numbers.
    Raises `UserError` if a pattern matches none."""
    names: list[str] = []
    for pattern in _WIKI_FILES[form]:
        matches = re.compile(re.escape(f"{prefix}-") + pattern).fullmatch
        of_pattern = [name for name in sorted(sums, key=_by_number) if matches(name)]
        if not of_pattern:
            raise UserError(f"{folder}: no {form} files in this dump", _other_form(sums))
        names += of_pattern
    return names


def _other_form(sums: dict[str, str]) -> str:
    """The hint for a dump without files of the wanted form."""
    for form, patterns in _WIKI_FILES.items():
        if all(_any_ends(sums, pattern) for pattern in patterns):
            return f"--files {form}"
    return "the dump may still be incomplete: take an earlier date"


def _any_ends(names: dict[str, str], pattern: str) -> bool:
    return any(re.search(f"-{pattern}$", name) for name in names)


def _folder(base: str, wiki: str, date: str) -> str:
    base = base.rstrip("/")
    if "{wiki}" in base or "{date}" in base:
        return base.replace("{wiki}", wiki).replace("{date}", date)
    return f"{base}/{wiki}/{date}"


def _by_number(name: str) -> list[tuple[int, str]]:
    """The key that sorts parts by their numbers."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _latest(wiki: str, base: str, read: Read) -> str:
    """The date of the latest dump, from the names in its list of checksums."""
    folder = _folder(base, wiki, "latest")
    sums, _ = _sums(folder, f"{wiki}-latest", read)
    matches = [re.match(rf"{wiki}-(\d{{8}})-", name) for name in sums]
    dates = [match[1] for match in matches if match]
    if not dates:
        raise UserError(
            f"{folder}: does not say which dump is the latest", "name one: --date 20181220"
        )
    return max(dates)


def _sums(folder: str, prefix: str, read: Read) -> tuple[dict[str, str], str]:
    """(checksum by name, algorithm) of a dump's files; empty if none is published. Raises
    `UserError` for a dump that does not exist."""
    for algorithm, length in _SUMS:
        address = f"{folder}/{prefix}-{algorithm}sums.txt"
        try:
            text = read(address).decode("utf-8", "replace")
        except FileNotFoundError:
            continue
        except http.WebError as error:
            raise UserError(
                str(error),
                "give Wikimedia a way to reach you with --contact you@example.org, "
                "or take the --base of a mirror",
                3,
            ) from None
        sums = _parse_sums(text, length)
        if not sums:
            raise UserError(
                f"{address}: no list of checksums: it begins with {_beginning(text.encode())}",
                "check --base",
                1,
            )
        return sums, algorithm

    if not _is_there(f"{folder}/", read) and not prefix.endswith("-latest"):
        raise UserError(
            f"{folder}: no such dump",
            "Wikimedia keeps the dumps of some months only: take a later --date or latest, "
            f"or one that an archive has kept: --base '{ARCHIVE}'",
        )
    return {}, ""


def _parse_sums(text: str, length: int) -> dict[str, str]:
    """The checksums of `length` hex digits by the names of their files, as sha1sum writes them."""
    sums: dict[str, str] = {}
    for line in text.splitlines():
        match = re.fullmatch(rf"([0-9a-f]{{{length}}}) [ *](\S+)", line.strip())
        if match and _SAFE.fullmatch(match[2]):
            sums[match[2]] = match[1]
    return sums


def _is_there(address: str, read: Read) -> bool:
    try:
        read(address)
    except FileNotFoundError:
        return False
    except http.WebError:  # a server may refuse to list its folders
        pass
    return True


def url_list(listing: str) -> Wanted:
    """The files that a list names, with one address per line, and optionally a checksum behind it
    (`sha256:...`, sha1, md5).

    Each file is stored below the folder as HOST/PATH. Raises `UserError` for a line that is not
    such an address.
    """
    items: dict[str, Item] = {}
    for line in lists.read(listing):
        item = _listed(listing, line)
        twin = items.get(item.path)
        if twin and (twin.address, twin.digest) != (item.address, item.digest):
            raise UserError(
                f"{listing}: {twin.address} and {item.address} would be the same file {item.path}",
                "keep one of the two",
            )
        items[item.path] = item
    if not items:
        raise UserError(f"{listing}: names no address", _LIST_HINT)
    return Wanted(items=tuple(items.values()))


def _listed(listing: str, line: str) -> Item:
    """The file of one line of a list."""
    address, *rest = line.split(maxsplit=1)  # a blank or a tab
    digest = "".join(rest).strip().lower()
    if not http.is_web(address):
        raise UserError(
            f"{listing}: {address[:200]!r} is no http:// or https:// address", _LIST_HINT
        )
    if digest and not _DIGEST.fullmatch(digest):
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
    return Item(address=address, path=path, digest=digest, group=path.split("/", 1)[0])


def place(address: str) -> str:
    """HOST/PATH of an address as a path below a folder. It has no step up, no hidden name, and no
    name that is a wildcard or too long for a file.

    Raises ValueError if the address has no host.
    """
    parts = urlsplit(address)
    if not parts.hostname:
        raise ValueError("it names no host")
    host = parts.netloc.rsplit("@", 1)[-1].replace(":", "_")
    names = [name for name in unquote(parts.path).split("/") if name not in ("", ".", "..")]
    if not names:
        names = ["index.html"]
    elif parts.path.endswith("/") and names != ["index.html"]:
        names.append("index.html")
    if parts.query:
        names[-1] += f"?{parts.query}"
    return "/".join(_name(name) for name in [host, *names])


def _name(name: str) -> str:
    """A name that every file system accepts, and no glob or archive takes for something else."""
    clean = re.sub(r"[\x00-\x1f\x7f*?\[\]\\/]", lambda match: f"%{ord(match[0]):02X}", name)
    if clean.startswith("."):
        clean = "%2E" + clean[1:]
    if len(clean.encode()) <= 200:
        return clean
    # The checksum keeps two long names apart that begin alike.
    beginning = clean.encode()[:180].decode("utf-8", "ignore")
    return f"{beginning}-{zlib.crc32(name.encode()):08x}"


def _beginning(content: bytes) -> str:
    if content[:2] == b"\x1f\x8b":
        return "gzip that breaks"
    if not content:
        return "nothing: it is empty"
    return repr(content[:60].decode("utf-8", "replace"))
