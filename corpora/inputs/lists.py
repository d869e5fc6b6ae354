"""Lists of inputs: `@LIST` in a recipe's `input`, and what `corpus fetch urls` is given."""

import gzip
import io
import zlib
from concurrent.futures import ThreadPoolExecutor

from shards.errors import UserError
from shards.storage import files, http

MAX_LIST_BYTES = 1 << 26
"""Of a list, inflated."""

AT_ONCE = 4
"""Requests for sizes at a time."""


def named(listing: str) -> list[tuple[str, int]]:
    """(address, bytes) of the files that a list names, sorted by address. Raises `UserError`."""
    lines = read(listing)
    return sorted(
        sizes([line.split()[0] if http.is_web(line) else line for line in lines])
    )  # a checksum may stand behind an address


def read(address: str) -> list[str]:
    """The addresses that a list names, one a line, each once; empty lines and those that begin with
    # are passed over. `.gz` is inflated.

    A relative line lies below the folder of the list's own address that holds its first folder,
    else beside the list: so a bucket's `warc.paths.gz` is such a list. Raises `UserError`.
    """
    content = _first(address, MAX_LIST_BYTES)
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(MAX_LIST_BYTES + 1)
        text = content.decode()
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise UserError(
            f"{address}: not a list of addresses: {error}",
            "a list is plain text in UTF-8, or that as .gz: an address a line",
        ) from None
    if len(content) > MAX_LIST_BYTES:
        raise UserError(
            f"{address}: a list of more than {MAX_LIST_BYTES:,} bytes", "cut it into several"
        )
    lines = (line.strip() for line in text.splitlines())
    return list(
        dict.fromkeys(beside(address, line) for line in lines if line and not line.startswith("#"))
    )


def _first(address: str, limit: int) -> bytes:
    """The first `limit` bytes of a file and one more, if there are that many. Raises `UserError`
    where it cannot be read."""
    try:
        with files.open_input(address) as stream:
            return bytes(stream.read(limit + 1))
    except OSError as error:
        raise UserError(
            f"{address}: cannot be read: {getattr(error, 'strerror', None) or error}",
            "check the address",
        ) from None


def beside(listing: str, line: str) -> str:
    """The address that a line of a list means."""
    if files.is_remote(line) or line.startswith(("/", "file://")):
        return line
    folders = listing.split("/")[:-1]
    first = line.split("/", 1)[0]
    whole = (
        len(folders) - 1 - folders[::-1].index(first)
        if "/" in line and first in folders
        else len(folders)
    )
    return "/".join([*folders[:whole], line])


def sizes(addresses: list[str]) -> list[tuple[str, int]]:
    """(address, bytes) of each; 0 where the size is not known or the file not there, which reading
    it will say."""

    def one(address: str) -> int:
        try:
            return files.size(address)
        except OSError:
            return 0

    if not any(http.is_web(address) for address in addresses):
        return [(address, one(address)) for address in addresses]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(zip(addresses, pool.map(one, addresses)))
