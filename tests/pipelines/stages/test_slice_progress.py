"""How far a slice is: by the bytes of the stored files that were read, whatever the positions of
their records are."""

import bz2
import gzip
import io
import json
import lzma
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpora.document import Slice
from corpora.openwebtext import release
from corpora.sources import load_source
from pipelines.recipe import parse_recipe
from pipelines.stages.source_tasks import bytes_until

RECORDS = 1000

READ_AHEAD = 1_500_000
"""Bytes that readers are ahead of the record at hand, at most."""


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Texts that a codec makes half as long: 8 MB, 4 MB when stored."""
    draw = random.Random(1)
    return [draw.randbytes(4000).hex() for _ in range(RECORDS)]


def json_lines(texts: list[str]) -> bytes:
    return "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()


def table(texts: list[str], group: int) -> bytes:
    stream = io.BytesIO()
    content = pa.table({"number": list(range(len(texts))), "text": texts})
    pq.write_table(content, stream, compression="zstd", row_group_size=group)
    return stream.getvalue()


FORMS: dict[str, Callable[[list[str]], bytes]] = {
    "a.jsonl": json_lines,
    "a.jsonl.gz": lambda texts: gzip.compress(json_lines(texts), 1),
    "a.jsonl.bz2": lambda texts: bz2.compress(json_lines(texts), 1),
    "a.jsonl.xz": lambda texts: lzma.compress(json_lines(texts), preset=0),
    "a.jsonl.zst": lambda texts: bytes(pa.Codec("zstd").compress(json_lines(texts))),
    "a.parquet": lambda texts: table(texts, 100),
    "one_group.parquet": lambda texts: table(texts, len(texts)),
}


def pieces_of(path: Path, slice_bytes: int = 10**9) -> Iterator[Slice]:
    recipe = parse_recipe(
        f'[sources.s]\nkind = "files"\ninput = "{path}"\nslice_bytes = {slice_bytes}\n', "r", ""
    )
    yield from load_source("files").slices(recipe.sources["s"])


def course(piece: Slice, path: Path) -> list[int]:
    """What is told at each record of a slice."""
    recipe = parse_recipe(f'[sources.s]\nkind = "files"\ninput = "{path}"\n', "r", "")
    read_so_far = bytes_until(piece)
    records = load_source("files").read(recipe.sources["s"], piece)
    return [read_so_far(record.path, record.position) for record in records]


@pytest.mark.parametrize("name", FORMS)
def test_the_share_is_that_of_the_stored_file(tmp_path: Path, texts: list[str], name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FORMS[name](texts))
    (piece,) = pieces_of(path)
    size = path.stat().st_size
    assert piece.bytes == size

    told = course(piece, path)
    assert len(told) == RECORDS and told == sorted(told) and told[-1] <= size
    for number, done in enumerate(told):
        true = size * number / RECORDS
        assert true - size * 0.07 <= done <= true + READ_AHEAD


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet"])
def test_parts_of_a_file_begin_at_nothing(tmp_path: Path, texts: list[str], name: str) -> None:
    """Of a part in the middle of a file the bytes before it are not its own."""
    path = tmp_path / name
    path.write_bytes(FORMS[name](texts))
    pieces = list(pieces_of(path, slice_bytes=2_500_000))
    assert len(pieces) > 2
    # together they are the file, but for the end of a table, which holds no records
    assert 0.99 * path.stat().st_size <= sum(piece.bytes for piece in pieces)
    assert sum(piece.bytes for piece in pieces) <= path.stat().st_size

    for piece in pieces:
        told = course(piece, path)
        assert told[0] <= READ_AHEAD and told == sorted(told)
        assert 0.6 * piece.bytes <= told[-1] <= piece.bytes
        assert told[len(told) // 2] <= piece.bytes / 2 + READ_AHEAD

    # with a limit a source is one slice, whose parts are of one file
    together = Slice(parts=tuple(part for piece in pieces for part in piece.parts))
    told = course(together, path)
    assert len(told) == RECORDS and told == sorted(told) and told[-1] <= together.bytes
    middle = told[RECORDS // 2]
    assert abs(middle - together.bytes / 2) <= 2 * READ_AHEAD


def test_several_files_of_a_slice_add_up(tmp_path: Path, texts: list[str]) -> None:
    for number in range(3):
        path = tmp_path / f"{number}.jsonl.gz"
        path.write_bytes(gzip.compress(json_lines(texts[number * 300 : number * 300 + 300]), 1))
    (piece,) = pieces_of(tmp_path / "*.gz")
    sizes = [part.size for part in piece.parts]
    told = course(piece, tmp_path / "*.gz")
    assert told == sorted(told)
    for number in range(3):
        assert told[300 * number] >= sum(sizes[:number])
        assert told[300 * number + 299] <= sum(sizes[: number + 1])


def test_archives_by_their_members(tmp_path: Path, texts: list[str]) -> None:
    """A zip is read from its end, and then from its beginning."""
    zipped = tmp_path / "a.zip"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(800):
            archive.writestr(f"{number:03}.txt", texts[number])
    tarred = tmp_path / "b.tar.gz"
    with tarfile.open(tarred, "w:gz") as tar:
        for number in range(800):
            member = tarfile.TarInfo(f"{number:03}.txt")
            member.size = len(texts[number])
            tar.addfile(member, io.BytesIO(texts[number].encode()))

    for path in (zipped, tarred):
        (piece,) = pieces_of(path)
        (part,) = piece.parts
        read_so_far = bytes_until(piece)
        records = release.read_part(part)
        told = [read_so_far(record.path, record.position) for record in records]
        assert len(told) == 800 and told == sorted(told)
        assert abs(told[400] - piece.bytes / 2) <= READ_AHEAD


def test_a_file_that_its_source_opened_itself_is_told_by_positions(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 100)
    (piece,) = pieces_of(path)
    read_so_far = bytes_until(piece)
    assert [read_so_far("a.txt", position) for position in (0, 40, 1000)] == [0, 40, 100]
    assert read_so_far("another.txt", 7) == 0
