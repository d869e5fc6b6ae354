"""The kept text for other tools: jsonl.zst or Parquet, with a data card in the Hugging Face form."""

import json
import os
from collections.abc import Iterator
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.home import Home, kept_rows, open_home, ordered_slices
from pipelines.ingest import DOCUMENT_SCHEMA
from pipelines.stats import removals, stats
from shards import files
from shards.config import UserError

Format = Literal["jsonl.zst", "parquet"]


def export(home_root: str, out: str, form: Format) -> int:
    """Write the kept documents, a file a slice, and `README.md` into the folder `out`, which must be new or empty.
    Returns how many documents. Raises `UserError`: not empty, dedup has not run."""
    home, recipe = open_home(home_root, for_reading=True)
    if os.path.abspath(out).startswith(os.path.abspath(home_root) + os.sep):
        raise UserError(f"{out}: lies inside the home", "name a folder elsewhere")
    if files.list_files(out) or files.list_folders(out):
        raise UserError(f"{out}: not empty", "name a new folder")
    count = 0
    for number, summary in enumerate(ordered_slices(home, recipe)):
        name = f"{summary.source}-{number:05d}.{form}"
        kept = kept_rows(home, recipe, summary)
        with files.open_input(home.documents(summary.source, summary.slice)) as stream, files.open_output(files.join(out, "data", name)) as output:
            tables = _kept_tables(pq.ParquetFile(stream), kept)
            count += _write_parquet(output, tables) if form == "parquet" else _write_jsonl(output, tables)
    files.write_bytes(files.join(out, "README.md"), card(home, form).encode())
    return count


def _kept_tables(documents: pq.ParquetFile, kept: Any) -> Iterator[pa.Table]:
    row = 0
    for group in range(documents.num_row_groups):
        table = documents.read_row_group(group).cast(DOCUMENT_SCHEMA)  # Parquet itself has no seconds
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
                plain = {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in record.items()}
                stream.write(json.dumps({**plain, "extra": json.loads(plain["extra"])}, ensure_ascii=False).encode() + b"\n")
                count += 1
    return count


def card(home: Home, form: Format) -> str:
    """The data card: front matter that the Hugging Face hub reads, and the figures of `corpus stats`."""
    figures = stats(home.root)
    _, recipe = open_home(home.root, for_reading=True)
    languages = sorted({options.language for options in recipe.sources.values()} - {"any"})
    lines = [
        "---",
        "configs:",
        "- config_name: default",
        f"  data_files: data/*.{form}",
        *(["language:", *(f"- {code}" for code in languages)] if languages else []),
        "task_categories:",
        "- fill-mask",
        "---",
        "",
    ]
    lines += ["# Corpus built by corpusmill", "", "| source | records | documents | kept | bytes | tokens |", "|---|---|---|---|---|---|"]
    for name, row in [*figures["sources"].items(), ("total", figures["total"])]:
        cells = ["" if row[key] is None else f"{row[key]:,}" for key in ("records", "documents", "kept", "bytes", "tokens")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    dropped = [(f"rejected: {reason}", count) for reason, count in figures["total"]["rejects"].items()]
    dropped += [(f"removed: {what}", count) for what, count in removals(figures["total"])]
    if dropped:
        lines += ["", "| dropped | records |", "|---|---|", *(f"| {what} | {count:,} |" for what, count in dropped)]
    lines += ["", "Text is NFC in UTF-8. The licence of the text is that of its sources; this card grants none.", ""]
    return "\n".join(lines)
