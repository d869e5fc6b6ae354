"""The flags of `corpus fetch`, one dataclass for each kind of corpus."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from corpora.fetch import listings
from shards.errors import UserError
from shards.storage import http


@dataclass(frozen=True, kw_only=True)
class Fetching:
    """The flags that every kind has."""

    connections: int = 2
    """Number of files to download at once. Both sites ask for few."""
    limit: int | None = None
    """Fetch only the first N files, for a first look."""
    dry_run: bool = False
    """Only print what is missing, its size, and how long it would take at the rate measured on a
    few megabytes."""
    check: bool = False
    """Check the files that are there too, by checksum or else by size, and fetch wrong ones
    again."""
    json: bool = False
    """Print one JSON object."""
    contact: str = ""
    """Your mail address or web page, sent along with every request. Wikimedia may refuse requests
    without one."""
    attempts: int = 20
    """Give up a file after this many tries in a row without progress, about a quarter of an
    hour."""
    timeout_s: float = 60.0
    """Reconnect after this many seconds without data or below 1 kB/s."""
    retry_s: float = 1.0
    """Seconds to wait before the second try. The wait doubles with each further try, up to a
    minute, or longer if the server asks for it."""

    def __post_init__(self) -> None:
        # zero would mean to wait for ever, or never to try
        flags = {
            "connections": self.connections,
            "attempts": self.attempts,
            "timeout-s": self.timeout_s,
            "retry-s": self.retry_s,
            "limit": self.limit,
        }
        for name, value in flags.items():
            if value is not None and value <= 0:
                raise UserError(f"--{name} {value}: not above 0", "corpus fetch KIND --help")

    def patience(self) -> http.Patience:
        """How long to wait, and how often to try."""
        return http.Patience(
            # a server that takes longer to accept a connection is down
            connect_s=min(self.timeout_s, 20.0),
            read_s=self.timeout_s,
            attempts=self.attempts,
            first_wait_s=self.retry_s,
            contact=self.contact,
        )


@dataclass(frozen=True, kw_only=True)
class CcNews(Fetching):
    """Fetch Common Crawl's news archives, month by month: about 1 GB each, 4 to 5 TB in all for the
    default months, which are those of the RoBERTa paper."""

    folder: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DIR")]
    """The folder to write: DIR/crawl-data/CC-NEWS/YYYY/MM/..., as `kind = "cc_news"` reads it."""
    start: str = listings.PAPER_WINDOW[0]
    """The first month, as YYYY-MM."""
    end: str = listings.PAPER_WINDOW[1]
    """The last month, inclusive."""
    base: str = listings.CC_NEWS
    """The site, or a mirror with the same layout."""


@dataclass(frozen=True, kw_only=True)
class Wikipedia(Fetching):
    """Fetch the articles of a wiki at one date, checked against the dump's own checksums."""

    folder: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DIR")]
    """The folder to write: DIR/WIKI/DATE/..., as `kind = "wikipedia"` reads it."""
    wiki: str = "enwiki"
    """The wiki, such as enwiki or simplewiki, or just a language such as de."""
    date: str = "latest"
    """The date of the dump, such as 20181220. The site keeps the dumps of the last few months."""
    files: Literal["multistream", "multistream-parts", "plain", "plain-parts"] = "multistream"
    """multistream: one file with its index; plain: one file without an index, a tenth smaller;
    -parts: the same cut into several files."""
    base: str = listings.WIKIMEDIA
    """The site, or a mirror. For another layout write {wiki} and {date} where they belong."""


@dataclass(frozen=True, kw_only=True)
class Urls(Fetching):
    """Fetch the files that a list names."""

    list: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="LIST")]
    """A list with one URL per line, optionally followed by a checksum (sha256:..., sha1:... or
    md5:...). Plain or .gz, a file or a URL."""
    folder: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DIR")]
    """The folder to write: DIR/HOST/PATH."""


Options = CcNews | Wikipedia | Urls

KINDS: dict[str, type[Options]] = {"cc-news": CcNews, "wikipedia": Wikipedia, "urls": Urls}
