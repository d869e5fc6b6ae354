"""The user's lists of addresses, domains and hashes, and which documents they name."""

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
    """The lists of one source. Addresses by `canonical_url`; domains in lower case, without
    `www.`."""

    urls: frozenset[str]
    domains: frozenset[str]
    hashes: frozenset[str]
    only_domains: frozenset[str]

    def digest(self) -> str:
        """32 hex digits of what they name, whatever the order and spelling of their lines; empty
        without any."""
        if not (self.urls or self.domains or self.hashes or self.only_domains):
            return ""
        text = "\n\n".join(
            "\n".join(sorted(names))
            for names in (self.urls, self.domains, self.hashes, self.only_domains)
        )
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def measure(
        self, identity: str, digest: str | None, url: str | None, text: str
    ) -> tuple[int, int, int, int]:
        """The `LIST_MEASURES` of a document, each 1 or 0: its payload's `digest`, its address, its
        text."""
        key = canonical_url(url) if url and (self.urls or self.domains or self.only_domains) else ""
        hashed = bool(self.hashes) and (
            identity in self.hashes
            or digest in self.hashes
            or exact_digest(text).hex() in self.hashes
        )
        return (
            int(key in self.urls),
            int(within(key, self.domains)),
            int(hashed),
            int(within(key, self.only_domains)),
        )


def within(key: str, domains: frozenset[str]) -> bool:
    """Whether the host of an address (a `canonical_url`) is one of `domains`, or below one."""
    host = re.split("[/?#:]", key, maxsplit=1)[0]
    while host and domains:
        if host in domains:
            return True
        host = host.partition(".")[2]
    return False


def read_lists(config: RulesConfig) -> Lists:
    """The lists that the rules name. Raises `UserError`: a file that is not there, a line that is
    not what it should be."""
    return Lists(
        urls=frozenset(
            canonical_url(line if "://" in line else f"http://{line}")
            for _, line in _lines(config.exclude_urls, "exclude_urls")
        ),
        domains=_domains(config.exclude_domains, "exclude_domains"),
        hashes=_hashes(config.exclude_hashes),
        only_domains=_domains(config.only_domains, "only_domains"),
    )


def _lines(addresses: tuple[str, ...], key: str) -> list[tuple[str, str]]:
    """(where, line) of every line that is neither empty nor begins with #."""
    found = []
    for address in addresses:
        try:
            text = files.read_bytes(address).decode("utf-8-sig")
        except (OSError, UnicodeError) as error:
            raise UserError(
                f"{key}: cannot read {address}: {error}",
                "a list is a text in UTF-8, an entry a line; # begins a comment",
            ) from None
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                found.append((f"{key}: {address}, line {number}", line.strip()))
    return found


def _domains(addresses: tuple[str, ...], key: str) -> frozenset[str]:
    found = set()
    for where, line in _lines(addresses, key):
        host = canonical_url(
            line if "://" in line else f"http://{line.removeprefix('*').lstrip('.')}"
        )
        if not re.fullmatch(r"[^\s/?#:@]+", host):
            raise UserError(
                f"{where}: {line!r} is not a domain",
                "one a line, as example.com; it stands for its sub-domains too",
            )
        found.add(host)
    return frozenset(found)


def _hashes(addresses: tuple[str, ...]) -> frozenset[str]:
    found = set()
    for where, line in _lines(addresses, "exclude_hashes"):
        if not re.fullmatch(r"[0-9a-fA-F]{32}", line):
            raise UserError(
                f"{where}: {line!r} is not 32 hex digits",
                "the id or digest of a document: corpus show DIR --json prints them",
            )
        found.add(line.lower())
    return frozenset(found)
