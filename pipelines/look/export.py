"""The kept text for other tools: jsonl.zst or Parquet, with a data card in the Hugging Face
form."""

import json
import os
from collections.abc import Iterator
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.home.decisions import kept_rows
from pipelines.home.documents import DOCUMENT_SCHEMA, open_parquet
from pipelines.home.layout import open_home
from pipelines.home.summaries import ordered_slices
from pipelines.look.cards import export_card
from pipelines.look.report.figures import figures
from shards.errors import UserError
from shards.storage import files

Format = Literal["jsonl.zst", "parquet"]


def export(home_root: str, out: str, form: Format) -> int:
    """Write the kept documents, a file a slice, and `README.md` into the folder `out`, which must
    be new or empty. Returns how many documents. Raises `UserError`: not empty, dedup has not
    run."""
    home, recipe = open_home(home_root, for_reading=True)
    if os.path.abspath(out).startswith(os.path.abspath(home_root) + os.sep):
        raise UserError(f"{out}: lies inside the home", "name a folder elsewhere")
    if files.exists(out) and not files.is_folder(out):
        raise UserError(f"{out}: a file", "name a new folder")
    if files.list_files(out) or files.list_folders(out):
        raise UserError(f"{out}: not empty", "name a new folder")
    count = 0
    for number, summary in enumerate(ordered_slices(home, recipe)):
        name = f"{summary.source}-{number:05d}.{form}"
        kept = kept_rows(home, recipe, summary)
        with (
            open_parquet(home, home.documents(summary.source, summary.slice)) as documents,
            files.open_output(files.join(out, "data", name)) as output,
        ):
            tables = _kept_tables(documents, kept)
            count += (
                _write_parquet(output, tables)
                if form == "parquet"
                else _write_jsonl(output, tables)
            )
    files.write_bytes(files.join(out, "README.md"), export_card(figures(home_root), form).encode())
    return count


def _kept_tables(documents: pq.ParquetFile, kept: Any) -> Iterator[pa.Table]:
    row = 0
    for group in range(documents.num_row_groups):
        table = documents.read_row_group(group).cast(
            DOCUMENT_SCHEMA
        )  # Parquet itself has no seconds
        yield table.filter(pa.array(kept[row : row + table.num_rows]))
        row += table.num_rows


def _write_parquet(output: Any, tables: Iterator[pa.Table]) -> int:
    count = 0
    with pq.ParquetWriter(output, DOCUMENT_SCHEMA, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
            count += table.num_rows
    return count


def _write_jsonl(output: Any, tables: Iterator[pa.Table]) -> int:
    count = 0
    with pa.CompressedOutputStream(pa.PythonFile(output, mode="w"), "zstd") as stream:
        for table in tables:
            for record in table.to_pylist():
                plain = {
                    name: value.isoformat() if hasattr(value, "isoformat") else value
                    for name, value in record.items()
                }
                stream.write(
                    json.dumps(
                        {**plain, "extra": json.loads(plain["extra"])}, ensure_ascii=False
                    ).encode()
                    + b"\n"
                )
                count += 1
    return count
