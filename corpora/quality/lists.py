"""The lists of the rules as they are published: one entry per line, a table, or a hosts file.

A list is text in UTF-8; empty lines and those that begin with `#` are skipped. Of a table (.csv,
.tsv, or a first line that names its columns) the column with the entries is read. A domain may also
stand in a line of a hosts file (`0.0.0.0 example.com`) or of an ad blocker (`||example.com^`).
"""

import csv
import io
import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from corpora.text.urls import canonical_url
from shards.errors import UserError
from shards.storage import files

HEADS = {
    "exclude_urls": ("url", "urls", "address", "link", "uri", "source_url", "page"),
    "exclude_domains": (
        *("domain", "domains", "host", "hostname", "domain_name", "site", "website"),
        *("url", "urls", "source_url", "address", "link", "source"),
    ),
    "exclude_hashes": ("id", "digest", "hash"),
}
HEADS["only_domains"] = HEADS["exclude_domains"]
"""The names of the columns that hold entries, in lower case; the first that a table has is read."""


@dataclass(frozen=True)
class Entry:
    """What one line of a list names: the entry in the one spelling that is compared, as it is
    written, and where it stands."""

    key: str
    text: str
    address: str
    line: int

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{self.address}, line {self.line}"


def list_entries(addresses: tuple[str, ...], name: str) -> Iterator[Entry]:
    """The entries of the files of one list; `name` is that of its setting.

    Raises `UserError` for a file that cannot be read and for a line that is no entry.
    """
    read_entry = _READERS[name]
    for address in addresses:
        try:
            text = files.read_bytes(address).decode("utf-8-sig")
        except (OSError, UnicodeError) as error:
            raise UserError(
                f"{name}: cannot read {address}: {error}",
                "write the list as UTF-8 text, one entry per line; # begins a comment",
            ) from None
        for line, entry in _entries(text, address, name):
            for written in _names_in(entry) if read_entry is _domain else [entry]:
                place = f"{name}: {address}, line {line}"
                yield Entry(read_entry(written, place), written, address, line)


def places_of(addresses: tuple[str, ...], name: str) -> dict[str, Entry]:
    """The first entry of each key in the files of a list."""
    found: dict[str, Entry] = {}
    for entry in list_entries(addresses, name):
        found.setdefault(entry.key, entry)
    return found


def _entries(text: str, address: str, name: str) -> Iterator[tuple[int, str]]:
    """(line, entry) of a list, of a table those in its column."""
    delimiter = _delimiter(text, address, name)
    if delimiter:
        yield from _column(text, delimiter, f"{name}: {address}", name)
        return

    for number, line in enumerate(text.splitlines(), 1):
        entry = re.sub(r"\s#.*", "", line).strip()
        if entry and not entry.startswith("#"):
            yield number, entry


def _delimiter(text: str, address: str, name: str) -> str:
    """What separates the columns of a table; "" for a list of one entry per line."""
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and not line.startswith("#")), "")
    ending = address.rsplit("/", 1)[-1].lower().rpartition(".")[2]
    counts = {sign: first.count(sign) for sign in "\t;,"}
    best = max(counts, key=lambda sign: counts[sign])
    if ending in ("csv", "tsv"):
        return best if counts[best] else {"csv": ",", "tsv": "\t"}[ending]

    # Another name: only a line that names columns makes it a table, since an address may hold both.
    names = {_plain(cell) for cell in first.split(best)}
    return best if counts[best] and names & set(HEADS[name]) else ""


def _plain(cell: str) -> str:
    return cell.strip(" \"'").lower()


def _column(text: str, delimiter: str, place: str, name: str) -> Iterator[tuple[int, str]]:
    """(line, entry) of the column that holds the entries. Raises `UserError` where none is one."""
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    rows = []
    for row in reader:
        if any(cell.strip() for cell in row) and not row[0].startswith("#"):
            rows.append((reader.line_num, row))
    if not rows:
        return

    head = [_plain(cell) for cell in rows[0][1]]
    named = [head.index(column) for column in HEADS[name] if column in head]
    if named:
        column, rows = named[0], rows[1:]
    else:
        column = _column_by_content(rows, place, name)

    for line, row in rows:
        entry = row[column].strip() if column < len(row) else ""
        if entry:
            yield line, entry


def _column_by_content(rows: list[tuple[int, list[str]]], place: str, name: str) -> int:
    """The only column of a table without names whose cells all look like entries."""
    shape = _SHAPES[name]
    width = min(len(row) for _, row in rows)
    fitting = []
    for column in range(width):
        if all(shape.fullmatch(row[column].strip()) for _, row in rows):
            fitting.append(column)
    if len(fitting) == 1:
        return fitting[0]

    line, first = rows[0]
    what = "several columns" if fitting else "no column"
    raise UserError(
        f"{place}, line {line}: a table in which {what} can be the list: {', '.join(first)[:100]}",
        f"name the column {HEADS[name][0]} in its first line, or write one entry per line",
    )


_SHAPES = {
    "exclude_urls": re.compile(r"(https?://\S+|[\w-]+(\.[\w-]+)+/\S*)"),
    "exclude_domains": re.compile(r"(https?://)?(\*\.)?[\w-]+(\.[\w-]+)*\.[^\W\d][\w-]*/?"),
    "exclude_hashes": re.compile(r"[0-9a-fA-F]{32}"),
}
_SHAPES["only_domains"] = _SHAPES["exclude_domains"]


def _names_in(entry: str) -> list[str]:
    """The domains in a line: those behind the address of a hosts file, or the line itself."""
    first, *names = entry.split()
    try:
        ipaddress.ip_address(first.partition("%")[0])
    except ValueError:
        return [] if entry.startswith("!") else [entry]
    # A hosts file also names the machine itself, in words without a dot.
    return [name for name in names if "." in name and name != first] if names else [entry]


def as_address(line: str) -> str:
    """An entry with the scheme that it may lack."""
    return line if "://" in line else f"http://{line}"


def _url(line: str, place: str) -> str:
    if re.search(r"\s", line):
        raise UserError(
            f"{place}: {line!r} is not an address",
            "write one address per line; of a table, name the column url in its first line",
        )
    return canonical_url(as_address(line))


def _domain(line: str, place: str) -> str:
    # `*.example.com`, `.example.com` and `||example.com^` are common spellings of a domain with its
    # sub-domains.
    name = line
    if "://" not in line:
        name = line.removeprefix("||").removesuffix("^").removeprefix("*").lstrip(".")
    host = canonical_url(as_address(name))
    if not re.fullmatch(r"[\w-]+(\.[\w-]+)*", host):
        raise UserError(
            f"{place}: {line!r} is not a domain",
            "write one domain per line, as example.com; its sub-domains are included. Of a table, "
            "name the column domain in its first line",
        )
    return host


def _hash(line: str, place: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{32}", line):
        raise UserError(
            f"{place}: {line!r} is not 32 hex digits",
            "copy the id or digest of a document from `corpus show DIR --json`",
        )
    return line.lower()


_READERS: dict[str, Callable[[str, str], str]] = {
    "exclude_urls": _url,
    "exclude_domains": _domain,
    "exclude_hashes": _hash,
    "only_domains": _domain,
}
