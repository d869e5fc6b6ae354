"""Forgetting: takes documents and rejects that are on the home's list out of the files of `ingest`.

What is left is, to the byte, what `ingest` writes when it reads the same inputs with the list. So
the later stages find changed documents, and redo only what depends on them. No input is read,
except where nobody noted what a slice counts of its single documents (homes of earlier versions, a
removed `work/`): that slice is read again by the next `ingest`.

Memory is the row group at hand, and one row of bits for each slice that holds something to forget.
"""

import json
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from corpora.quality.forgotten import FORGOTTEN, Forgotten
from corpora.text.normalise import exact_digest
from pipelines.chance import CHANCES, chance
from pipelines.home.decisions import DUPLICATE_STAGES, decided, kept_rows
from pipelines.home.documents import (
    DOCUMENT_SCHEMA,
    REJECT_SCHEMA,
    open_parquet,
    row_groups,
)
from pipelines.home.forgotten import all_forgotten, forgotten_by, is_forgetting
from pipelines.home.layout import TOKENIZER, Home
from pipelines.home.summaries import (
    Summary,
    ordered_slices,
    read_summary,
    summaries,
    write_summary,
)
from pipelines.recipe import Recipe
from pipelines.stages import survey
from pipelines.stages.ingest import (
    OTHER_NAMES,
    ROW_GROUP_BYTES,
    ROW_GROUP_REJECTS,
    Batches,
    counted_address,
)
from pipelines.stages.job import Job
from pipelines.stages.source_tasks import keep_cuts
from pipelines.stages.train_tokenizer import SAMPLE
from pipelines.wording import several
from shards.errors import UserError
from shards.storage import files

Rows = NDArray[np.bool_]
"""Which rows of a file are on the list."""


@dataclass(frozen=True, kw_only=True)
class Listed:
    """The rows of an ingested slice that are on the list: (D,) of its documents, (R,) of its
    rejects."""

    ingested: Summary
    documents: Rows
    rejects: Rows


@dataclass(frozen=True, kw_only=True)
class Named:
    """A document that `corpus forget` names. `kind` is that of the duplicate that it is of `twin`,
    where it is one."""

    id: str
    source: str
    url: str | None = None
    kind: str | None = None
    twin: str | None = None


# --- what is on the list


def find_listed(home: Home, recipe: Recipe, forgotten: Forgotten) -> list[Listed]:
    """The slices that hold records on a list, in order.

    Texts are read only where a hash is neither the id nor the digest of any record.
    """
    slices = ordered_slices(home, recipe)
    found: dict[int, Listed] = {}
    no_rejects: list[Rows] = []
    settled: set[str] = set()
    for number, ingested in enumerate(slices):
        documents, named = _rows_named(home.documents(ingested.source, ingested.slice), forgotten)
        rejects, _ = _rows_named(home.rejects(ingested.source, ingested.slice), forgotten)
        settled |= named
        no_rejects.append(np.zeros_like(rejects))
        if documents.any() or rejects.any():
            found[number] = Listed(ingested=ingested, documents=documents, rejects=rejects)

    by_text = Forgotten(hashes=forgotten.hashes - settled)
    for number, ingested in enumerate(slices if by_text else []):
        rows = _rows_of_text(home, ingested, by_text)
        if not rows.any():
            continue
        new = Listed(ingested=ingested, documents=rows, rejects=no_rejects[number])
        before = found.get(number, new)
        found[number] = replace(before, documents=before.documents | rows)

    return [found[number] for number in sorted(found)]


def names_nothing(home: Home, found: list[Listed], forgotten: Forgotten) -> list[str]:
    """The entries of a list that name no document and no reject: mistyped ones, and those that
    were forgotten before. `found`: what `find_listed` has found for the list."""
    met: set[str] = set()
    for listed in found:
        ingested = listed.ingested
        for first, table in row_groups(home, ingested, ("id", "digest", "url", "text")):
            rows = listed.documents[first : first + table.num_rows]
            for row in table.filter(pa.array(rows)).to_pylist():
                met.update(forgotten.met_by(row["id"], row.get("digest"), row["url"]))
                if forgotten.hashes:
                    met.add(exact_digest(row["text"]).hex())

        with files.open_input(home.rejects(ingested.source, ingested.slice)) as stream:
            rejects = pq.read_table(stream, columns=["id", "url"])
        for row in rejects.filter(pa.array(listed.rejects)).to_pylist():
            met.update(forgotten.met_by(row["id"], None, row["url"]))
    return forgotten.without(met)


def _rows_named(address: str, forgotten: Forgotten) -> tuple[Rows, set[str]]:
    """The rows of a file of documents or rejects whose id, payload or address is on the list, and
    the hashes that were met."""
    hashes = pa.array(sorted(forgotten.hashes), pa.string())
    parts: list[Rows] = [np.zeros(0, np.bool_)]
    met: set[str] = set()
    with files.open_input(address) as stream:
        table = pq.ParquetFile(stream)
        columns = [name for name in ("id", "digest", "url") if name in table.schema_arrow.names]
        if not (forgotten.urls or forgotten.hosts):
            columns.remove("url")
        for batch in table.iter_batches(batch_size=65_536, columns=columns):
            rows: Rows = np.zeros(batch.num_rows, np.bool_)
            for name in set(columns) & {"id", "digest"}:
                column = batch.column(name)
                is_on_it = pc.is_in(column, value_set=hashes).to_numpy(zero_copy_only=False)
                met.update(column.filter(pa.array(is_on_it)).to_pylist())
                rows |= is_on_it
            if "url" in columns:
                urls = batch.column("url").to_pylist()
                rows |= np.array([forgotten.names("", None, url) for url in urls], np.bool_)
            parts.append(rows)
    return np.concatenate(parts), met


def _rows_of_text(home: Home, ingested: Summary, forgotten: Forgotten) -> Rows:
    """(D,) the documents of a slice whose text is on the list."""
    parts: list[Rows] = [np.zeros(0, np.bool_)]
    for _, table in row_groups(home, ingested, ("text",)):
        texts = table.column("text").to_pylist()
        parts.append(np.array([forgotten.names_text(text) for text in texts], np.bool_))
    return np.concatenate(parts)


def named_documents(home: Home, found: list[Listed]) -> list[Named]:
    """The documents on the list, in order."""
    named = []
    for listed in found:
        source = listed.ingested.source
        for first, table in row_groups(home, listed.ingested, ("id", "url")):
            rows = listed.documents[first : first + table.num_rows]
            for row in table.filter(pa.array(rows)).to_pylist():
                named.append(Named(id=row["id"], source=source, url=row["url"]))
    return named


# --- copies


def copies_of(home: Home, recipe: Recipe, ids: set[str]) -> list[Named]:
    """The documents that were removed as duplicates of one of `ids`, or that one of `ids` was
    removed for: the latter have no `twin`. None of `ids` is among them."""
    copies: dict[str, Named] = {}
    for stage in DUPLICATE_STAGES:
        decisions = {(found.source, found.slice): found for found in summaries(home, stage)}
        for ingested in ordered_slices(home, recipe):
            decision = decisions.get((ingested.source, ingested.slice))
            if decision is None or not decision.counts["removed"]:
                continue
            with open_parquet(
                home, home.attributes(stage, ingested.source, ingested.slice)
            ) as file:
                table = file.read(columns=["id", "twin", "kind"])
            for row in table.filter(pc.is_valid(table.column("twin"))).to_pylist():
                if row["twin"] in ids and row["id"] not in ids:
                    copies.setdefault(row["id"], Named(source=ingested.source, **row))
                elif row["id"] in ids and row["twin"] not in ids:
                    copies.setdefault(row["twin"], Named(id=row["twin"], source=""))
    return list(copies.values())


def with_copies(home: Home, recipe: Recipe, ids: set[str]) -> set[str]:
    """`ids`, and the documents that were removed in favour of one of them, and of one of those."""
    found = set(ids)
    while True:
        more = {copy.id for copy in copies_of(home, recipe, found) if copy.twin}
        if not more:
            return found
        found |= more


# --- the vocabulary


def trained_on(home: Home, recipe: Recipe, found: list[Listed]) -> int | None:
    """How many of the listed documents the vocabulary was trained on, as far as the home can tell;
    None for a vocabulary that was not trained here."""
    summary = read_summary(home.summary(TOKENIZER, "all", "tokenizer"))
    if summary is None or recipe.tokenizer.path or "text_bytes" not in summary.counts:
        return None

    sample_bytes = recipe.tokenizer.sample_bytes
    limit = CHANCES
    if not isinstance(sample_bytes, str):  # "all" is every document
        limit = CHANCES * sample_bytes // max(summary.counts["text_bytes"], 1)

    sources = recipe.tokenizer.sources or tuple(recipe.sources)
    count = 0
    for listed in found:
        ingested = listed.ingested
        if ingested.source not in sources or not decided(home, recipe, ingested):
            continue
        kept = listed.documents & kept_rows(home, recipe, ingested)
        for first, table in row_groups(home, ingested, ("id",)):
            rows = pa.array(kept[first : first + table.num_rows])
            ids = table.column("id").filter(rows).to_pylist()
            count += sum(chance(recipe.seed, "tokenizer", name) < limit for name in ids)
    return count


# --- taking them out


def complete_forgetting(job: Job) -> None:
    """Take out what is on the list of the home, where its list has grown."""
    if is_forgetting(job.home):
        found = find_listed(job.home, job.recipe, forgotten_by(job.home))
        take_out(job, found)


def take_out(job: Job, found: list[Listed]) -> bool:
    """Take the listed records out of their slices, and what else holds their text out of the home.

    Returns whether slices must be read again.
    """
    home = job.home
    # Tables of links name the addresses of pages; the conclusion follows from them.
    again = survey.forget_links(home, job.recipe, forgotten_by(home))
    for listed in found:
        ingested = listed.ingested
        counted = _counted_of(home, listed)
        if counted is None and _can_be_read(job, ingested):
            again += 1
            for address in (
                home.summary(ingested.stage, ingested.source, ingested.slice),
                home.documents(ingested.source, ingested.slice),
                home.rejects(ingested.source, ingested.slice),
            ):
                files.remove(address)
        else:
            if counted is None:
                job.say(
                    f"warning: {ingested.source}: what a slice counts of forgotten documents "
                    "(marks, what was left out) stays: its input is gone, and so are the notes"
                )
            _rewrite(home, listed, counted or (Counter(), Counter()))

        # The sample of the vocabulary holds their text.
        files.remove(home.summary(SAMPLE, ingested.source, ingested.slice))
        files.remove(home.work(SAMPLE, ingested.source, f"{ingested.slice}.parquet"))

    if found and files.exists(home.file("report.html")):
        files.remove(home.file("report.html"))
        job.say(f"removed report.html, which may show them: corpus report {home.quoted}")
    if again:
        job.say(f"forget: {several(again, 'slice')} must be read again")
    all_forgotten(home)
    return again > 0


Counts = tuple["Counter[str]", "Counter[str]"]
"""Marks, and names of what was left out."""


def _counted_of(home: Home, listed: Listed) -> Counts | None:
    """What the summary of a slice counts of the listed documents; None where nobody noted it."""
    ingested = listed.ingested
    marks, left_out = Counter[str](), Counter[str]()
    if not listed.documents.any() or not (ingested.marks or ingested.left_out):
        return marks, left_out
    # Rare names were put together: they cannot be taken apart.
    if OTHER_NAMES in ingested.left_out:
        return None

    ids = set()
    for first, table in row_groups(home, ingested, ("id",)):
        rows = pa.array(listed.documents[first : first + table.num_rows])
        ids.update(table.column("id").filter(rows).to_pylist())
    try:
        with open_parquet(home, counted_address(home, ingested.source, ingested.slice)) as file:
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    if row["id"] in ids:
                        marks.update(row["marks"])
                        left_out.update(json.loads(row["left_out"]))
    except (FileNotFoundError, UserError):
        return None
    return marks, left_out


def _can_be_read(job: Job, ingested: Summary) -> bool:
    """Whether the inputs of a slice are still where the recipe says."""
    source = ingested.source
    try:
        slices = keep_cuts(job.slices(source), summaries(job.home, ingested.stage, source))
    except UserError:
        return False
    return ingested.slice in {piece.name for piece in slices}


def _rewrite(home: Home, listed: Listed, counted: Counts) -> None:
    """Write the files of a slice without the listed rows.

    The summary comes first: an input may be gone, so a kill must not leave files that nobody can
    make again. What it counts is counted in the files, so that doing it again changes nothing.
    """
    ingested = listed.ingested
    source, name = ingested.source, ingested.slice
    documents = size = 0
    reasons = Counter[str]()

    with (
        files.open_output(home.documents(source, name)) as output,
        files.open_output(home.rejects(source, name)) as rejects_output,
    ):
        with Batches(output, DOCUMENT_SCHEMA) as kept:
            for first, table in row_groups(home, ingested):
                rows = pa.array(~listed.documents[first : first + table.num_rows])
                # Parquet has no seconds: times come back in milliseconds
                for row in table.cast(DOCUMENT_SCHEMA).filter(rows).to_pylist():
                    length = len(row["text"].encode())
                    kept.add(tuple(row.values()), length, ROW_GROUP_BYTES)
                    documents += 1
                    size += length

        with (
            Batches(rejects_output, REJECT_SCHEMA) as rejected,
            open_parquet(home, home.rejects(source, name)) as file,
        ):
            first = 0
            for batch in file.iter_batches():
                rows = pa.array(~listed.rejects[first : first + batch.num_rows])
                first += batch.num_rows
                for row in batch.filter(rows).to_pylist():
                    rejected.add(tuple(row.values()), 1, ROW_GROUP_REJECTS)
                    reasons[row["reason"]] += 1

        pages = ingested.counts["records"] - sum(ingested.not_pages.values())
        reasons[FORGOTTEN] = pages - documents - reasons.total()
        marks, left_out = ingested.marks, ingested.left_out
        # Equal digests: the summary is already that of these files.
        if output.digest != ingested.output:
            marks, left_out = _less(marks, counted[0]), _less(left_out, counted[1])
        summary = replace(
            ingested,
            output=output.digest,
            output_bytes=output.bytes,
            counts={**ingested.counts, "documents": documents, "bytes": size},
            rejects=dict(sorted(reasons.items())),
            marks=marks,
            left_out=left_out,
        )
        write_summary(home, summary)

    _rewrite_counted(home, ingested)


def _less(counts: dict[str, int], taken: "Counter[str]") -> dict[str, int]:
    """Counts without some of them; what is no longer there is left out."""
    left = Counter(counts)
    left.subtract(taken)
    return {name: count for name, count in sorted(left.items()) if count > 0}


def _rewrite_counted(home: Home, ingested: Summary) -> None:
    """Take what no document has any more out of the notes on single documents."""
    address = counted_address(home, ingested.source, ingested.slice)
    if not files.exists(address):
        return
    ids = set()
    for _, table in row_groups(home, ingested, ("id",)):
        ids.update(table.column("id").to_pylist())
    try:
        with open_parquet(home, address) as file:
            table = file.read()
    except UserError:
        files.remove(address)
        return
    here = pc.is_in(table.column("id"), value_set=pa.array(sorted(ids), pa.string()))
    with files.open_output(address, flush=False) as output:
        pq.write_table(table.filter(here), output, compression="zstd")
