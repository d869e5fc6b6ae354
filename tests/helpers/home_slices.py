"""Ingested slices of a home, written by hand."""

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.document import document_id
from pipelines.home.documents import DOCUMENT_SCHEMA
from pipelines.home.layout import Home
from pipelines.home.summaries import Summary, write_summary
from shards.storage import files


def write_slice(
    home: Home, source: str, name: str, rows: list[tuple[str, int, int | None, str]]
) -> None:
    """One slice of documents, each (path, position, crawled or None, text), and its summary."""
    columns = {
        "id": [document_id(source, path, position) for path, position, _, _ in rows],
        "text": [text for *_, text in rows],
        "crawled": [crawled for _, _, crawled, _ in rows],
        "path": [path for path, *_ in rows],
        "position": [position for _, position, *_ in rows],
        "extra": ["{}"] * len(rows),
    }
    arrays = [
        pa.array(
            columns.get(field.name, [None] * len(rows)),
            pa.int64() if field.name == "crawled" else field.type,
        )
        for field in DOCUMENT_SCHEMA
    ]
    table = pa.table(
        [array.cast(field.type) for array, field in zip(arrays, DOCUMENT_SCHEMA)],
        schema=DOCUMENT_SCHEMA,
    )
    address = home.documents(source, name)
    with files.open_output(address) as stream:
        pq.write_table(table, stream)
    counts = {
        "records": len(rows),
        "documents": len(rows),
        "bytes": sum(len(text.encode()) for *_, text in rows),
    }
    write_summary(
        home,
        Summary(
            stage="ingest",
            source=source,
            slice=name,
            path=rows[0][0],
            start=rows[0][1],
            fingerprint="",
            output=files.digest(address),
            output_bytes=files.size(address),
            counts=counts,
        ),
    )
