"""The Parquet files of a home: documents, rejects and attributes, one file of each per slice.

Row N of a slice's attributes belongs to row N of its documents. Documents are read forward, one row
group (about 16 MB of text) at a time, so that memory does not grow with the size of a slice. An
attributes file holds a few numbers per document and is read as a whole.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.home.layout import Home
from pipelines.home.summaries import Summary
from shards.errors import UserError
from shards.storage import files

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
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("position", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        ("detail", pa.string()),
        ("url", pa.string()),
        ("text", pa.large_string()),
    ]
)

ATTRIBUTE_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        ("twin", pa.string()),
        ("score", pa.float64()),
        ("kind", pa.string()),
    ]
)
"""The columns that a stage which removes duplicates writes for each document: the id of the kept
document that takes its place, their similarity, and the kind of duplicate. `twin` is null for a
document that the stage keeps."""


_DOCUMENTS_KEY = "corpusmill.documents"
"""Metadata of an attributes file: the digest of the documents file that it belongs to."""


def row_groups(
    home: Home, ingested: Summary, columns: Sequence[str] | None = None
) -> Iterator[tuple[int, pa.Table]]:
    """(row of its first document, table) for each row group of a slice's documents, in order.

    `columns` are those to read, by default all. Raises `UserError` (exit 1) for a damaged file.
    """
    wanted = None if columns is None else list(columns)
    first = 0
    with open_parquet(home, home.documents(ingested.source, ingested.slice)) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=wanted)
            yield first, table
            first += table.num_rows


def document_tables(home: Home, ingested: Summary, columns: list[str]) -> Iterator[pa.Table]:
    """The tables of `row_groups` alone, each column in one piece."""
    for _, table in row_groups(home, ingested, columns):
        yield table.combine_chunks()


@contextmanager
def open_parquet(home: Home, address: str) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file of the home.

    Raises `UserError` (exit 1) where it is cut or damaged, also while it is read in the block.
    """
    try:
        with files.open_input(address) as stream:
            yield pq.ParquetFile(stream)
    except (pa.ArrowInvalid, OSError) as error:
        # An errno says that the system failed, not the file.
        if isinstance(error, OSError) and error.errno is not None:
            raise

        what = str(error).splitlines()[0][:200]
        raise UserError(
            f"{address}: damaged: {what}",
            f"restore it: {home.build_command}",
            1,
        ) from None


def documents_metadata(documents: str) -> dict[str, str]:
    """The metadata of an attributes file that belongs to the documents file with this digest."""
    return {_DOCUMENTS_KEY: documents}


def write_attributes(output: files.Output, columns: list[pa.Array], documents: str) -> None:
    """Write columns of `ATTRIBUTE_SCHEMA`; `documents` is the digest of the documents file that
    they belong to, so that a mismatch is found when they are read."""
    schema = ATTRIBUTE_SCHEMA.with_metadata(documents_metadata(documents))
    pq.write_table(pa.table(columns, schema=schema), output, compression="zstd")


def read_attributes(
    home: Home,
    stage: str,
    source: str,
    slice_name: str,
    documents: str,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """The attributes that a stage gave to the documents of a slice, or some `columns` of them.

    `documents` is the digest of the documents file. Raises `UserError` when the stage has not run
    over this slice (exit 2), and when its file belongs to other documents or lacks a column
    (exit 1).
    """
    address = home.attributes(stage, source, slice_name)
    wanted = None if columns is None else list(columns)
    try:
        with open_parquet(home, address) as file:
            table = file.read(columns=wanted)  # ignores a column that the file does not have
    except FileNotFoundError:
        raise not_run(home, source, slice_name) from None

    metadata = table.schema.metadata or {}
    belongs = metadata.get(_DOCUMENTS_KEY.encode(), b"").decode() == documents
    complete = wanted is None or len(table.column_names) == len(wanted)
    if not belongs or not complete:
        raise UserError(
            f"{address}: made from other documents than {source}/{slice_name}, or for other rules",
            f"corpus dedup {home.quoted}",
            1,
        )
    return table


def not_run(home: Home, source: str, slice_name: str) -> UserError:
    """The error for a slice that a removing stage has not gone over yet."""
    return UserError(
        f"{home.root}: dedup has not run over {source}/{slice_name}", f"corpus dedup {home.quoted}"
    )
