"""TODO-DOC pipelines/home/documents.py."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.home.layout import Home
from pipelines.home.summaries import Summary
from shards.errors import UserError
from shards.storage import files

ATTRIBUTE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        ("twin", pa.string()),
        ("score", pa.float64()),
        ("kind", pa.string()),
    ]
)


def document_tables(home: Home, ingested: Summary, columns: list[str]) -> Iterator[pa.Table]:
    """Columns of the documents of a slice, a table a row group."""
    with open_parquet(home, home.documents(ingested.source, ingested.slice)) as documents:
        for group in range(documents.num_row_groups):
            yield documents.read_row_group(group, columns=columns).combine_chunks()


@contextmanager
def open_parquet(home: Home, address: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file of the home. Raises `UserError` (exit 1) where it is cut or damaged, here or
    when it is read in the block."""
    try:
        with files.open_input(address) as stream:
            yield pq.ParquetFile(stream)
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # not the file's fault
            raise
        what = str(error).splitlines()[0][:200]
        raise UserError(
            f"{address}: damaged: {what}",
            f"corpus build {home.root}/recipe.toml --home {home.root} makes it again",
            1,
        ) from None


DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("text", pa.large_string(), nullable=False),
        ("url", pa.string()),
        ("title", pa.string()),
        ("date", pa.date32()),
        ("language", pa.string()),
        ("crawled", pa.timestamp("s", "UTC")),
        pa.field("path", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        ("digest", pa.string()),
        pa.field("extra", pa.string(), nullable=False),
    ]
)

REJECT_SCHEMA = pa.schema(
    [pa.field(name, pa.string(), nullable=False) for name in ("id", "path")]
    + [pa.field("position", pa.int64(), nullable=False)]
    + [
        pa.field("reason", pa.string(), nullable=False),
        ("detail", pa.string()),
        ("url", pa.string()),
        ("text", pa.large_string()),
    ]
)
