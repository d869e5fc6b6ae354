"""Shards: what is written is what is read, by us and by plain pyarrow; verify finds whatever is
wrong."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import shards
from shards.errors import UserError
from shards.format import shard_name, token_dtype, token_schema
from shards.manifest import Manifest, ShardEntry, TokenizerInfo, read_manifest, write_manifest
from shards.storage import files
from shards.verify import verify
from shards.writer import token_batch, write_shard

DOCUMENTS = [[[5, 6], [7]], [], [[8, 9, 10]]]


def batch(
    documents: list[list[list[int]]], dtype: str = "uint16", first: int = 0
) -> pa.RecordBatch:
    ids = pa.array([f"{first + number:032x}" for number in range(len(documents))])
    sentences = [sentence for document in documents for sentence in document]
    tokens = np.array([token for sentence in sentences for token in sentence], dtype)
    token_ends = np.cumsum([0, *(sum(map(len, document)) for document in documents)]).astype(
        np.int64
    )
    sentence_ends = np.cumsum([0, *map(len, documents)]).astype(np.int64)
    return token_batch(
        ids,
        tokens,
        token_ends,
        np.array([len(sentence) for sentence in sentences], np.uint32),
        sentence_ends,
        token_schema(dtype),
    )


def write_folder(
    folder: Path, parts: dict[str, list[list[list[int]]]], vocab_size: int = 300
) -> Manifest:
    """A shards folder with a train shard for each source of `parts`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text("{}")
    digest = files.digest(str(folder / "tokenizer.json"))
    dtype = token_dtype(vocab_size)
    entries = [
        write_shard(
            str(folder),
            shard_name("train", name, 0),
            batch(documents, dtype),
            "train",
            name,
            digest,
        )
        for name, documents in parts.items()
    ]
    info = TokenizerInfo(
        digest=digest,
        vocab_size=vocab_size,
        special={"<s>": 0, "<mask>": vocab_size - 1},
        lossless=True,
        whitespace="space",
    )
    manifest = Manifest(
        created_by={"corpusmill": "0"},
        recipe_digest="",
        tokenizer=info,
        dtype=dtype,
        shards=tuple(entries),
    )  # type: ignore[arg-type]
    write_manifest(str(folder), manifest)
    return manifest


documents_strategy = st.lists(
    st.lists(st.lists(st.integers(1, 298), min_size=1, max_size=6), max_size=5),
    min_size=1,
    max_size=12,
)


@given(documents=documents_strategy, wide=st.booleans())
def test_what_is_written_is_read(
    documents: list[list[list[int]]], wide: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("shard")
    write_folder(folder, {"a": documents}, 70_000 if wide else 300)
    (shard,) = shards.open(str(folder))
    assert str(shard.tokens.dtype) == ("uint32" if wide else "uint16")
    assert not shard.tokens.flags.writeable
    found = []
    for number in range(len(shard)):
        lengths = shard.sentences[
            shard.sentence_offsets[number] : shard.sentence_offsets[number + 1]
        ]
        found.append(
            [part.tolist() for part in np.split(shard.document(number), np.cumsum(lengths)[:-1])]
            if len(lengths)
            else []
        )
    assert found == documents
    table = pa.ipc.open_file(pa.memory_map(str(folder / shard.entry.file))).read_all()
    assert table.column("tokens").to_pylist() == [
        [token for sentence in document for token in sentence] for document in documents
    ]
    assert table.column("sentences").to_pylist() == [
        [len(sentence) for sentence in document] for document in documents
    ]
    assert table.column("id").to_pylist() == shard.ids.to_pylist()
    assert verify(str(folder)) == []
    shutil.rmtree(folder)


def test_the_views_are_the_map(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": DOCUMENTS})
    before = pa.total_allocated_bytes()
    shard = shards.open(str(tmp_path))[0]
    assert not shard.tokens.flags.owndata and not shard.sentences.flags.owndata
    assert pa.total_allocated_bytes() == before


def test_equal_documents_are_equal_bytes(tmp_path: Path) -> None:
    first = write_folder(tmp_path / "one", {"a": DOCUMENTS})
    second = write_folder(tmp_path / "two", {"a": DOCUMENTS})
    assert first == second


def test_verify_finds_every_flipped_byte(tmp_path: Path) -> None:
    entry: ShardEntry = write_folder(tmp_path, {"a": DOCUMENTS}).shards[0]
    path = tmp_path / entry.file
    good = path.read_bytes()
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 1 << (position % 8)
        path.write_bytes(bad)
        faults = verify(str(tmp_path))
        assert len(faults) == 1 and faults[0].startswith(entry.file), position
    path.write_bytes(good)
    assert verify(str(tmp_path)) == []


def test_verify_names_what_is_wrong(tmp_path: Path) -> None:
    manifest = write_folder(tmp_path, {"a": DOCUMENTS, "b": [[[11, 12]]], "c": [[[13, 14]]]})
    a, b, c = (tmp_path / entry.file for entry in manifest.shards)
    contents = {path: path.read_bytes() for path in (a, b, c)}

    def faults() -> list[str]:
        found = verify(str(tmp_path))
        for path, content in contents.items():
            path.write_bytes(content)
        return found

    a.write_bytes(contents[a][:-9])
    assert faults() == [
        f"train-a-00000.arrow: {len(contents[a]) - 9} bytes, the manifest says {len(contents[a])}"
    ]
    a.unlink()
    assert faults() == ["train-a-00000.arrow: missing"]
    b.write_bytes(contents[c])
    c.write_bytes(contents[b])
    assert len(faults()) == 2
    (tmp_path / "train-z-00000.arrow").write_bytes(b"")
    assert faults() == ["train-z-00000.arrow: not in the manifest"]
    (tmp_path / "train-z-00000.arrow").unlink()
    (tmp_path / "tokenizer.json").write_text("{ }")
    assert faults() == ["tokenizer.json: its digest is not the manifest's"]
    (tmp_path / "tokenizer.json").unlink()
    assert faults() == ["tokenizer.json: missing"]


@pytest.mark.parametrize(
    ("documents", "fault"),
    [
        ([[[5, 0]]], "1 special ids among the tokens"),
        ([[[299, 299]]], "2 special ids among the tokens"),
        ([[[300]]], "an id beyond the vocabulary of 300"),
    ],
)
def test_verify_looks_at_the_ids(
    documents: list[list[list[int]]], fault: str, tmp_path: Path
) -> None:
    write_folder(tmp_path, {"a": documents})
    assert verify(str(tmp_path)) == [f"train-a-00000.arrow: {fault}"]


def test_verify_adds_up_the_sentences(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": DOCUMENTS})
    wrong = token_batch(
        pa.array(["0" * 32]),
        np.array([5, 6], np.uint16),
        np.array([0, 2]),
        np.array([3], np.uint32),
        np.array([0, 1]),
        token_schema("uint16"),
    )
    manifest = read_manifest(str(tmp_path))
    entry = write_shard(
        str(tmp_path), manifest.shards[0].file, wrong, "train", "a", manifest.tokenizer.digest
    )
    write_manifest(str(tmp_path), Manifest(**{**vars(manifest), "shards": (entry,)}))
    assert verify(str(tmp_path)) == [
        f"{entry.file}: the sentence lengths do not add up to the documents' tokens"
    ]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "not a manifest"),
        ("[]", "it has no format"),
        ('{"format": 2}', "format 2 is not one this version reads"),
        ('{"format": 1, "shard": []}', "shard: unknown key"),
        ('{"format": 1}', "created_by: missing"),
    ],
)
def test_a_manifest_that_cannot_be_read(text: str, error: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(UserError, match="manifest.json: ") as caught:
        read_manifest(str(tmp_path))
    assert error in caught.value.what and caught.value.hint


def test_no_manifest_and_object_stores_are_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no manifest"):
        shards.open(str(tmp_path))
