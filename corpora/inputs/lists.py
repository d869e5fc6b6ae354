"""Lists of inputs: `@LIST` in a recipe's `input`, and the argument of `corpus fetch urls`.

A list is text in UTF-8, plain or as .gz, with one address per line. Lists are held in memory.
"""

import gzip
import io
import zlib
from concurrent.futures import ThreadPoolExecutor

from shards.errors import UserError, unreadable
from shards.storage import files, http

MAX_LIST_BYTES = 1 << 26
"""Limit of a list's size, inflated."""

AT_ONCE = 4
"""Requests for the sizes of files that run at a time."""


def named(listing: str) -> list[tuple[str, int]]:
    """(address, bytes) of the files that a list names, sorted by address. Raises `UserError`."""
    addresses = []
    for line in read(listing):
        # the list of `corpus fetch urls` may have a checksum behind an address
        addresses.append(line.split()[0] if http.is_web(line) else line)
    return sorted(sizes(addresses))


def read(address: str) -> list[str]:
    """The addresses in a list, each once, in order. Empty lines and those that begin with # are
    skipped.

    A relative line is looked up from the folder of the list's own address that has the name of the
    line's first folder, or else beside the list. So a bucket's `warc.paths.gz` is such a list.
    Raises `UserError`.
    """
    content = _first(address, MAX_LIST_BYTES)
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(MAX_LIST_BYTES + 1)
        text = content.decode()
    except (OSError, EOFError, zlib.error, UnicodeError) as error:
        raise UserError(
            f"{address}: not a list of addresses: {error}",
            "write the list as UTF-8 text, plain or as .gz, one address per line",
        ) from None
    if len(content) > MAX_LIST_BYTES:
        raise UserError(
            f"{address}: a list of more than {MAX_LIST_BYTES:,} bytes", "split it into several"
        )

    lines = (line.strip() for line in text.splitlines())
    entries = [beside(address, line) for line in lines if line and not line.startswith("#")]
    return list(dict.fromkeys(entries))


def _first(address: str, limit: int) -> bytes:
    """The first `limit` bytes of a file, and one more if it is longer. Raises `UserError` if it
    cannot be read."""
    try:
        with files.open_input(address) as stream:
            return bytes(stream.read(limit + 1))
    except OSError as error:
        hint = "check the path of the list"
        raise unreadable(f"{address}: cannot be read", error, hint) from None


def beside(listing: str, line: str) -> str:
    """The address that a line of a list means; see `read`."""
    if files.is_remote(line) or line.startswith(("/", "file://")):
        return line
    folders = listing.split("/")[:-1]
    first = line.split("/", 1)[0]
    if "/" in line and first in folders:
        last_place = len(folders) - 1 - folders[::-1].index(first)
        folders = folders[:last_place]
    return "/".join([*folders, line])


def sizes(addresses: list[str]) -> list[tuple[str, int]]:
    """(address, bytes) of each file; 0 for one of unknown size and for one that is missing, which
    the reading of it will report."""
    if not any(http.is_web(address) for address in addresses):
        return [(address, _size(address)) for address in addresses]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(zip(addresses, pool.map(_size, addresses)))


def _size(address: str) -> int:
    try:
        return files.size(address)
    except OSError:
        return 0
