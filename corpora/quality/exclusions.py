"""The lists of the rules: addresses, domains and hashes, and which documents they name.

A list is a text file in UTF-8 with one entry per line; empty lines and lines that begin with `#`
are skipped. Lists are held in memory.
"""

import hashlib
import re
from dataclasses import dataclass

from corpora.quality.rules import RulesConfig
from corpora.text.normalise import exact_digest
from corpora.text.urls import canonical_url
from shards.errors import UserError
from shards.storage import files

LIST_MEASURES = ("excluded_url", "excluded_domain", "excluded_hash", "in_only_domains")


@dataclass(frozen=True, kw_only=True)
class Lists:
    """The lists of one source. `urls` are keys of `canonical_url`; domains are in lower case,
    without `www.`."""

    urls: frozenset[str]
    domains: frozenset[str]
    hashes: frozenset[str]
    only_domains: frozenset[str]

    def digest(self) -> str:
        """32 hex digits of the entries, whatever the order and spelling of their lines; "" if all
        lists are empty."""
        if not (self.urls or self.domains or self.hashes or self.only_domains):
            return ""
        lists = (self.urls, self.domains, self.hashes, self.only_domains)
        text = "\n\n".join("\n".join(sorted(names)) for names in lists)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def measure(
        self, identity: str, digest: str | None, url: str | None, text: str
    ) -> tuple[int, int, int, int]:
        """The `LIST_MEASURES` of a document, each 1 or 0, by its id, the digest of its payload, its
        address and its text."""
        key = ""
        if url and (self.urls or self.domains or self.only_domains):
            key = canonical_url(url)
        return (
            int(key in self.urls),
            int(within(key, self.domains)),
            int(self._names_hash(identity, digest, text)),
            int(within(key, self.only_domains)),
        )

    def _names_hash(self, identity: str, digest: str | None, text: str) -> bool:
        if not self.hashes:
            return False
        if identity in self.hashes or digest in self.hashes:
            return True
        return exact_digest(text).hex() in self.hashes


def within(key: str, domains: frozenset[str]) -> bool:
    """Whether the host of an address (a key of `canonical_url`) is one of `domains`, or a
    sub-domain of one."""
    host = re.split("[/?#:]", key, maxsplit=1)[0]
    while host and domains:
        if host in domains:
            return True
        host = host.partition(".")[2]
    return False


def read_lists(config: RulesConfig) -> Lists:
    """The lists that the rules name. Raises `UserError` for a file that cannot be read and for a
    line that is not an entry of its list."""
    return Lists(
        urls=frozenset(
            canonical_url(_as_address(line))
            for _, line in _lines(config.exclude_urls, "exclude_urls")
        ),
        domains=_domains(config.exclude_domains, "exclude_domains"),
        hashes=_hashes(config.exclude_hashes),
        only_domains=_domains(config.only_domains, "only_domains"),
    )


def _as_address(line: str) -> str:
    return line if "://" in line else f"http://{line}"


def _lines(addresses: tuple[str, ...], key: str) -> list[tuple[str, str]]:
    """(place, for messages; entry) of every line that is neither empty nor begins with #."""
    entries = []
    for address in addresses:
        try:
            text = files.read_bytes(address).decode("utf-8-sig")
        except (OSError, UnicodeError) as error:
            raise UserError(
                f"{key}: cannot read {address}: {error}",
                "write the list as UTF-8 text, one entry per line; # begins a comment",
            ) from None
        for number, line in enumerate(text.splitlines(), 1):
            entry = line.strip()
            if entry and not entry.startswith("#"):
                entries.append((f"{key}: {address}, line {number}", entry))
    return entries


def _domains(addresses: tuple[str, ...], key: str) -> frozenset[str]:
    domains = set()
    for place, line in _lines(addresses, key):
        # `*.example.com` and `.example.com` are common spellings of a domain with its sub-domains.
        name = line if "://" in line else line.removeprefix("*").lstrip(".")
        host = canonical_url(_as_address(name))
        if not re.fullmatch(r"[^\s/?#:@]+", host):
            raise UserError(
                f"{place}: {line!r} is not a domain",
                "write one domain per line, as example.com; its sub-domains are included",
            )
        domains.add(host)
    return frozenset(domains)


def _hashes(addresses: tuple[str, ...]) -> frozenset[str]:
    hashes = set()
    for place, line in _lines(addresses, "exclude_hashes"):
        if not re.fullmatch(r"[0-9a-fA-F]{32}", line):
            raise UserError(
                f"{place}: {line!r} is not 32 hex digits",
                "copy the id or digest of a document from `corpus show DIR --json`",
            )
        hashes.add(line.lower())
    return frozenset(hashes)
