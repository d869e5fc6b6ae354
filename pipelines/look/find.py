"""Which records of a home a word of the user's means: an id, the user's own id, an address, a path
or a title.

The columns that name records are read, one slice at a time; no text.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.parquet as pq

from corpora.quality.lists import as_address
from corpora.text.urls import canonical_url, host_of
from shards.format import document_id

ID, OWN_ID, ADDRESS, PATH, END_OF_PATH, TITLE = range(6)
"""How a record was found. The lowest counts: an id is never taken for a title too."""

_COLUMNS = ("id", "extra", "url", "path", "position", "title")


class Sought:
    """What is looked for, in all the ways in which it may name a record."""

    def __init__(self, word: str) -> None:
        self.word = word.strip()
        # Shards name further copies of a document ID#2, ID#3 and so on.
        self.id = document_id(self.word.lower())

        # As messages write the place of a record: path @ position.
        place = re.fullmatch(r"(.+?) ?@ ?(\d+)", self.word)
        self.path = place[1] if place else self.word
        self.position = int(place[2]) if place else None

        address = as_address(self.word)
        self.host = host_of(address) if re.search(r"[./]", self.word) else ""
        self.address = canonical_url(address) if self.host else ""
        self.title = _folded(self.word)

    def rank(self, row: "Names") -> int | None:
        """How a record is found, or None if it is another one."""
        if row.id == self.id or (len(self.id) >= 6 and row.id.startswith(self.id)):
            return ID
        if row.extra != "{}" and str(json.loads(row.extra).get("id")) == self.word:
            return OWN_ID
        # The host is a quick test before the slow one.
        if self.host and row.url and self.host.removeprefix("www.") in row.url.lower():
            if canonical_url(row.url) == self.address:
                return ADDRESS
        # A record of another file may have the same end of its path: that counts less.
        if self.position in (None, row.position):
            if row.path == self.path:
                return PATH
            if self.path.endswith(f"/{row.path}") or row.path.endswith(f"/{self.path}"):
                return END_OF_PATH
        if row.title and _folded(row.title) == self.title:
            return TITLE
        return None


@dataclass(frozen=True, slots=True)
class Names:
    """What names one record; of a reject neither `extra` nor title is known."""

    id: str
    extra: str
    url: str | None
    path: str
    position: int
    title: str | None


def names_in(table: pq.ParquetFile) -> Iterator[Names]:
    """The names of all rows of a file of documents or of rejects, in order."""
    # Rejects have neither a title nor the user's own id.
    columns = [name for name in _COLUMNS if name in table.schema_arrow.names]
    for batch in table.iter_batches(batch_size=4096, columns=columns):
        for row in batch.to_pylist():
            yield Names(
                id=row["id"],
                extra=row.get("extra", "{}"),
                url=row["url"],
                path=row["path"],
                position=row["position"],
                title=row.get("title"),
            )


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())
