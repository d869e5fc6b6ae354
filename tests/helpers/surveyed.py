"""A user's own source with a survey that has slices of its own, as docs/sources.md describes it:
the lines of `input` that any file of `wanted` names twice."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from corpora.document import Document, Findings, Note, Reject, Slice, Source, SourceOptions, Survey
from corpora.inputs.find import find, group
from shards.config import setting
from shards.storage import files

SCHEMA = pa.schema([("part", pa.int32()), ("length", pa.int64()), ("line", pa.string())])


@dataclass(frozen=True, kw_only=True)
class SurveyedOptions(SourceOptions):
    """Options of the tests' own source."""

    kind: str = "surveyed:source"
    wanted: tuple[str, ...] = setting((), affects="ingest", place=True)
    """Files of lines."""
    extra: str | None = setting(None, affects="ingest", place=True, content=True)
    """A file whose text stands behind every line."""
    least: int = 2
    """How often a line must be named."""


def source() -> Source:
    survey = Survey(
        look=look,
        conclude=conclude,
        schema=SCHEMA,
        slices=asked,
        conclude_fields=frozenset({"least", "extra"}),
    )
    return Source(options=SurveyedOptions, slices=slices, read=read, survey=survey)


def slices(options: SurveyedOptions) -> Iterator[Slice]:
    return group(find(options.input), options.slice_bytes)


def asked(options: SurveyedOptions) -> Iterator[Slice]:
    return group(find(options.wanted), options.slice_bytes)


def look(options: SurveyedOptions, piece: Slice) -> Iterator[Note]:
    for index, part in enumerate(piece.parts):
        for number, line in enumerate(files.read_bytes(part.address).decode().splitlines()):
            if not line:
                yield Note(path=part.path, position=number, reason="empty")
            elif line == "die":
                raise RuntimeError("a line that kills")
            else:
                yield Note(path=part.path, position=number, values=(index, len(line), line))


def conclude(
    options: SurveyedOptions,
    addresses: Sequence[str],
    output: files.Output,
    tick: Callable[[int], None],
) -> dict[str, int]:
    named = Counter[str]()
    for number, address in enumerate(addresses):
        tick(number)
        with files.open_input(address) as stream:
            table = pq.read_table(stream)
            assert all(
                path.endswith(".wanted")
                for path in json.loads(table.schema.metadata[b"corpusmill.paths"])
            )
            named.update(table.column("line").to_pylist())
    lines = sorted(line for line, count in named.items() if count >= options.least)
    pq.write_table(pa.table({"line": pa.array(lines, pa.string())}), output)
    return {"lines": len(named), "often": len(lines)}


def read(options: SurveyedOptions, piece: Slice, findings: Findings) -> Iterator[Document | Reject]:
    assert findings.notes is None
    with files.open_input(findings.conclusion) as stream:
        wanted = set(pq.read_table(stream).column("line").to_pylist())
    extra = files.read_bytes(options.extra).decode() if options.extra else ""
    for part in piece.parts:
        for number, line in enumerate(files.read_bytes(part.address).decode().splitlines()):
            if line in wanted:
                yield Document(
                    path=part.path,
                    position=number,
                    text=line + extra,
                    marks=("long",) if len(line) > 10 else (),
                )
            else:
                yield Reject(path=part.path, position=number, reason="not_asked")
