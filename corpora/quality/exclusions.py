"""The lists of the rules: addresses, domains and hashes, and which documents they name.

`corpora.quality.lists` reads them. They are held in memory.
"""

import hashlib
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass

from corpora.quality.lists import Entry, list_entries
from corpora.quality.rules import RulesConfig
from corpora.text.normalise import exact_digest
from corpora.text.urls import canonical_url

LIST_MEASURES = ("excluded_url", "excluded_domain", "excluded_hash", "in_only_domains")


@dataclass(frozen=True, kw_only=True)
class Listed:
    """What lists can name of a document: its id, the digest of its payload, address and text."""

    identity: str
    digest: str | None
    url: str | None
    text: str


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


def within(key: str, domains: Container[str]) -> bool:
    """Whether the host of an address (a key of `canonical_url`) is one of `domains`, or a
    sub-domain of one."""
    return domain_in(key, domains) != ""


def domain_in(key: str, domains: Container[str]) -> str:
    """The longest of `domains` that the host of an address is or lies in; "" for none."""
    host = re.split("[/?#:]", key, maxsplit=1)[0]
    while host and domains:
        if host in domains:
            return host
        host = host.partition(".")[2]
    return ""


def read_lists(config: RulesConfig) -> Lists:
    """The lists that the rules name. Raises `UserError` for a file that cannot be read and for a
    line that is not an entry of its list."""

    def keys(name: str) -> frozenset[str]:
        entries = list_entries(getattr(config, name), name)
        return frozenset(entry.key for entry in entries)

    return Lists(
        urls=keys("exclude_urls"),
        domains=keys("exclude_domains"),
        hashes=keys("exclude_hashes"),
        only_domains=keys("only_domains"),
    )


def matching_entry(name: str, places: Mapping[str, Entry], document: Listed) -> Entry | None:
    """The entry by which a list removes a document; None where the list is another by now, and for
    `only_domains`, which removes what it does not name. `places`: `places_of` the list."""
    if name == "only_domains":
        return None
    if name == "exclude_hashes":
        folded = exact_digest(document.text).hex()
        keys = [document.identity, document.digest or "", folded]
    else:
        key = canonical_url(document.url or "")
        keys = [domain_in(key, places) if name == "exclude_domains" else key]
    return next((places[key] for key in keys if key in places), None)
