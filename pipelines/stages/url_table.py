"""The addresses that the submissions of `openwebtext` link to, as a table for a crawler."""

import csv
import io

from corpora.openwebtext.link_list import open_links
from pipelines.home.layout import Home
from shards.storage import files

COLUMNS = ("url", "key", "score", "submissions")

_ROWS = 10_000


def table(home: Home, source: str) -> str:
    """Where the table of a source is stored."""
    return home.file("urls", f"{source}.csv")


def write_table(home: Home, name: str) -> int:
    """Write the addresses of a source's conclusion as a table; returns how many there are.

    Rows are in the order of the hashes of their keys, neither by time nor by host, so that no host
    gets all its requests in a row.
    """
    with (
        open_links(home.conclusion(name, "arrow")) as listed,
        files.open_output(table(home, name)) as output,
    ):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        count = 0
        for count, row in enumerate(listed.rows(), 1):
            writer.writerow(row)
            if count % _ROWS == 0:
                output.write(text.getvalue().encode())
                text.seek(0)
                text.truncate()
        output.write(text.getvalue().encode())
    return count
