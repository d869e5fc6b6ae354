"""The kept text for other tools: JSON lines or Parquet, with a Hugging Face data card."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.home.cuts import read_passages, without_passages
from pipelines.home.decisions import kept_rows
from pipelines.home.documents import DOCUMENT_SCHEMA, open_parquet
from pipelines.home.layout import Home
from pipelines.home.summaries import ordered_slices
from pipelines.look.cards import CARD, Written, export_card
from pipelines.look.report.figures import figures
from pipelines.recipe import Recipe
from shards.errors import UserError
from shards.storage import files

Format = Literal["jsonl.zst", "parquet"]


def export(home: Home, recipe: Recipe, out: str, form: Format) -> int:
    """Write the kept documents, one file per slice that has any, and `README.md` into the folder
    `out`.

    Returns how many documents. Raises `UserError` when the folder is in the home or not empty, and
    when dedup has not run.
    """
    _refuse_place(home, out)
    written: list[Written] = []
    # A number for each file of a source: names sort in its order.
    numbers = Counter[str]()
    for summary in ordered_slices(home, recipe):
        kept = kept_rows(home, recipe, summary)
        # `datasets` cannot tell the columns of a file of JSON lines without rows.
        if not kept.any():
            continue

        passages = None
        if recipe.sources[summary.source].dedup.passages == "remove":
            passages = read_passages(home, summary)
        name = f"{summary.source}-{numbers[summary.source]:05d}.{form}"
        numbers[summary.source] += 1
        with (
            open_parquet(home, home.documents(summary.source, summary.slice)) as documents,
            files.open_output(files.join(out, "data", name)) as output,
        ):
            tables = _kept_tables(documents, kept, passages)
            write = _write_parquet if form == "parquet" else _write_jsonl
            count = write(output, tables)
        file = Written(
            source=summary.source,
            split="train",
            documents=count,
            bytes=output.bytes,
            digests=(output.digest,),
        )
        written.append(file)

    card = export_card(figures(home, recipe), form, written)
    files.write_bytes(files.join(out, CARD), card.encode())
    return sum(file.documents for file in written)


def _refuse_place(home: Home, out: str) -> None:
    # Links are resolved: one may lead into the home.
    if os.path.realpath(out).startswith(os.path.realpath(home.root) + os.sep):
        raise UserError(f"{out}: is inside the home", "name a folder outside of it")
    if files.exists(out) and not files.is_folder(out):
        raise UserError(f"{out}: a file", "name a new folder")
    if os.path.islink(out) and not os.path.isdir(out):
        raise UserError(f"{out}: a link that leads nowhere", "name a new folder")
    # Everything counts, such as links that would lead the files elsewhere.
    names = os.listdir(out) if os.path.isdir(out) else []
    if names or files.list_files(out) or files.list_folders(out):
        raise UserError(f"{out}: not empty", "name a new folder")


def _kept_tables(
    documents: pq.ParquetFile, kept: NDArray[np.bool_], passages: pa.ChunkedArray | None
) -> Iterator[pa.Table]:
    """The kept documents, one table per row group; `kept`: (D,) of the whole file. `passages`: (D,)
    what is repeated in them, where it is cut out."""
    row = 0
    for group in range(documents.num_row_groups):
        # Parquet has no seconds: times come back in milliseconds
        table = documents.read_row_group(group).cast(DOCUMENT_SCHEMA)
        if passages is not None:
            table = without_passages(table, passages.slice(row, table.num_rows))
        yield table.filter(pa.array(kept[row : row + table.num_rows]))
        row += table.num_rows


def _write_parquet(output: files.Output, tables: Iterator[pa.Table]) -> int:
    count = 0
    with pq.ParquetWriter(output, DOCUMENT_SCHEMA, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table)
            count += table.num_rows
    return count


def _write_jsonl(output: files.Output, tables: Iterator[pa.Table]) -> int:
    count = 0
    with pa.CompressedOutputStream(pa.PythonFile(output, mode="w"), "zstd") as stream:
        for table in tables:
            for record in table.to_pylist():
                plain = {
                    name: value.isoformat() if hasattr(value, "isoformat") else value
                    for name, value in record.items()
                }
                line = json.dumps(plain, ensure_ascii=False)
                # In a home of an earlier version `extra` may hold half of a surrogate pair; as an
                # escape it is JSON.
                stream.write(line.encode("utf-8", "backslashreplace") + b"\n")
                count += 1
    return count
