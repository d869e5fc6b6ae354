"""The list of what a corpus forgets: ids, hashes, addresses and hosts, one per line.

    0f3c...32 to 128 hex digits    a document's id, the digest of its payload or of its text
    https://example.com/a/page     an address, however it is spelled (`corpora.text.urls`)
    example.com                    a host, with its sub-domains

Text in UTF-8; empty lines and what follows `#` are skipped. The list is held in memory.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from corpora.quality.exclusions import within
from corpora.text.normalise import exact_digest
from corpora.text.urls import canonical_url
from shards.errors import UserError, unreadable
from shards.storage import files

FORGOTTEN = "forgotten"
"""The reason by which a record is counted that is on the list. It is stored nowhere."""

_HASH = re.compile(r"[0-9a-f]{32,128}")

_SCHEME = re.compile(r"[a-zA-Z][\w+.-]*://")

_HOST = re.compile(r"[\w-]+(\.[\w-]+)+(:\d+)?")


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """What is forgotten. `hashes` are hex digits in lower case, `urls` keys of `canonical_url`,
    `hosts` in lower case without `www.`."""

    hashes: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    def __or__(self, other: "Forgotten") -> "Forgotten":
        return Forgotten(
            hashes=self.hashes | other.hashes,
            urls=self.urls | other.urls,
            hosts=self.hosts | other.hosts,
        )

    def __bool__(self) -> bool:
        return bool(self.hashes or self.urls or self.hosts)

    def names(self, identity: str, digest: str | None, url: str | None) -> bool:
        """Whether the list names a record by its id, the digest of its payload or its address."""
        if identity in self.hashes or digest in self.hashes:
            return True
        if not url or not (self.urls or self.hosts):
            return False
        key = canonical_url(url)
        return key in self.urls or within(key, self.hosts)

    def met_by(self, identity: str, digest: str | None, url: str | None) -> Iterator[str]:
        """The entries that name a record by its id, the digest of its payload or its address."""
        yield from self.hashes & {identity, digest or ""}
        if not url or not (self.urls or self.hosts):
            return

        key = canonical_url(url)
        yield from self.urls & {key}
        host = re.split("[/?#:]", key, maxsplit=1)[0]
        while host:
            yield from self.hosts & {host}
            host = host.partition(".")[2]

    def without(self, met: set[str]) -> list[str]:
        """The entries that are not among `met`, in order."""
        return sorted((self.hashes | self.urls | self.hosts) - met)

    def names_text(self, text: str) -> bool:
        """Whether the list names a text, apart from case and white space."""
        return bool(self.hashes) and exact_digest(text).hex() in self.hashes

    def lines(self) -> str:
        """The list as a file, in one order: it reads as the same list."""
        addresses = [_with_scheme(url) for url in self.urls]
        return "".join(
            f"{line}\n" for line in [*sorted(self.hashes), *sorted(addresses), *sorted(self.hosts)]
        )


def read_forgotten(addresses: tuple[str, ...]) -> Forgotten:
    """The entries of several lists as one.

    Raises `UserError` for a file that cannot be read and for a line that is no entry.
    """
    found = Forgotten()
    for address in addresses:
        try:
            content = files.read_bytes(address)
        except OSError as error:
            hint = "write a list as text: one id, hash, address or host per line"
            raise unreadable(f"forget: cannot read {address}", error, hint) from None
        found |= _parsed(content, address)
    return found


# Every slice asks for the list; its content is the key, so that a changed file is read anew.
@functools.lru_cache(maxsize=4)
def _parsed(content: bytes, address: str) -> Forgotten:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeError as error:
        raise UserError(f"forget: {address}: {error}", "write the list as UTF-8 text") from None

    found: dict[str, set[str]] = {"hashes": set(), "urls": set(), "hosts": set()}
    for number, entry in _entries(text):
        kind, key = _read(entry, f"forget: {address}, line {number}")
        found[kind].add(key)
    return Forgotten(**{kind: frozenset(keys) for kind, keys in found.items()})


def _entries(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        entry = re.sub(r"(^|\s)#.*", "", line).strip()
        if entry:
            yield number, entry


def _with_scheme(address: str) -> str:
    """An address with the scheme that it may lack; one in its query does not count."""
    return address if _SCHEME.match(address) else f"http://{address}"


def _read(entry: str, place: str) -> tuple[str, str]:
    """The kind of an entry, as `Forgotten` names it, and its key."""
    if _HASH.fullmatch(entry.lower()):
        return "hashes", entry.lower()

    host = entry.removeprefix("*").lstrip(".").rstrip("./")
    if "://" not in entry and _HOST.fullmatch(host):
        return "hosts", canonical_url(_with_scheme(host)).partition(":")[0]
    if re.fullmatch(r"[\w-]+(\.[\w-]+)*(:\d+)?/\S*|[a-zA-Z][\w+.-]*://\S+", entry):
        return "urls", canonical_url(_with_scheme(entry))

    raise UserError(
        f"{place}: {entry[:100]!r} is neither an id, a hash, an address nor a host",
        "write one per line: 32 to 128 hex digits, https://example.com/page, or example.com",
    )
