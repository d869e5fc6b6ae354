"""OpenWebText's release: its forms, its defects (rows 36 to 38 of the list), and archives that mean
harm."""

import gzip
import io
import json
import lzma
import tarfile
from pathlib import Path

import pytest
from epubs import tarred, zipped
from realdata import data_file

from corpora.document import Document, Part, Reject
from corpora.inputs import archives
from corpora.openwebtext.release import loaded
from corpora.openwebtext.source import OpenWebTextOptions, read, slices

MD5 = "83406cf9f8373dae75ce94333e506cfe"


def name(number: int) -> str:
    return f"{number:07d}-{number:032x}.txt"


def inner(first: int, count: int, **more: bytes) -> bytes:
    """An archive of texts in a tar, as xz."""
    return lzma.compress(
        tarred(
            {
                **{
                    name(number): f"Text {number}.\n\n\n\nMore of it.".encode()
                    for number in range(first, first + count)
                },
                **more,
            }
        )
    )


def records(folder: Path, *patterns: str, slice_bytes: int = 64_000_000) -> list[Document | Reject]:
    options = OpenWebTextOptions(
        input=tuple(str(folder / pattern) for pattern in patterns or ("**",)),
        slice_bytes=slice_bytes,
    )
    found = [record for piece in slices(options) for record in read(options, piece)]
    keys = [(record.path, record.position) for record in found]
    assert keys == sorted(set(keys))
    return found


def documents(found: list[Document | Reject]) -> list[Document]:
    return [record for record in found if isinstance(record, Document)]


def rejects(found: list[Document | Reject]) -> list[tuple[str, str]]:
    return [
        (record.reason, record.detail.partition(":")[0])
        for record in found
        if isinstance(record, Reject)
    ]


@pytest.fixture
def forms(tmp_path: Path) -> Path:
    """One release in its three forms: archives of a subset alone, the subset's tar, and all in a
    tar.xz."""
    parts = {f"urlsf_subset00-{number}_data.xz": inner(number * 10, 10) for number in range(1, 6)}
    for form in ("single", "subset", "whole"):
        (tmp_path / form).mkdir()
    for archive, content in parts.items():
        (tmp_path / "single" / archive).write_bytes(content)
    outer = tarred(
        {f"openwebtext/{archive}": content for archive, content in parts.items()},
        [folder("openwebtext")],
    )
    (tmp_path / "subset" / "urlsf_subset00.tar").write_bytes(outer)
    (tmp_path / "whole" / "openwebtext.tar.xz").write_bytes(lzma.compress(outer))
    return tmp_path


def folder(called: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(called)
    info.type = tarfile.DIRTYPE
    return info


def test_every_form_gives_the_same_texts(forms: Path) -> None:
    """Row 36: texts only, no tar header, no NUL."""
    found = {form: documents(records(forms / form)) for form in ("single", "subset", "whole")}
    for form, texts in found.items():
        assert [text.text for text in texts] == [
            f"Text {number}.\n\nMore of it." for number in range(10, 60)
        ], form
        assert not any("ustar" in text.text or "\0" in text.text for text in texts)
        assert texts[13].extra == {
            "subset": "00",
            "archive": "urlsf_subset00-2_data.xz",
            "member": name(23),
            "md5": f"{23:032x}",
        }
        assert [text.extra for text in texts] == [text.extra for text in found["single"]]
        assert [text.digest for text in texts] == [text.digest for text in found["single"]]
    assert found["single"][0].position == 0 and found["single"][1].position == 1024
    assert [
        text.position - found["subset"][10].position for text in found["subset"][10:20]
    ] == list(range(10))


@pytest.mark.parametrize("slice_bytes", [1, 700, 1500, 10_000])
def test_a_plain_tar_is_cut_between_members(forms: Path, slice_bytes: int) -> None:
    options = OpenWebTextOptions(input=(str(forms / "subset" / "*.tar"),), slice_bytes=slice_bytes)
    parts = [part for piece in slices(options) for part in piece.parts]
    size = (forms / "subset" / "urlsf_subset00.tar").stat().st_size
    assert len(parts) == {1: 6, 700: 5, 1500: 3, 10_000: 1}[slice_bytes]  # by 1 the folder too
    assert sum(part.size if part.share is None else part.share for part in parts) == size
    assert records(forms / "subset", slice_bytes=slice_bytes) == records(forms / "subset")


def test_a_part_reads_no_member_of_another(forms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outer tar is cut without inflating what a worker does not need."""
    from corpora.inputs import nested_archives
    from corpora.inputs.streams import inflate

    options = OpenWebTextOptions(input=(str(forms / "subset" / "*.tar"),), slice_bytes=1)
    pieces = [part for piece in slices(options) for part in piece.parts]
    inflated: list[str] = []
    plain = inflate
    monkeypatch.setattr(
        nested_archives,
        "inflate",
        lambda stream, codec: inflated.append(codec) or plain(stream, codec),
    )
    from corpora.openwebtext.release import read_part

    assert len(documents(list(read_part(pieces[2])))) == 10
    assert inflated == [".xz"]


def test_long_names_and_pax_headers_stay_with_their_members(tmp_path: Path) -> None:
    for form, called in ((tarfile.GNU_FORMAT, "gnu"), (tarfile.PAX_FORMAT, "pax")):
        held = io.BytesIO()
        with tarfile.open(fileobj=held, mode="w", format=form) as archive:
            for number in range(4):
                content = inner(number * 10, 2)
                info = tarfile.TarInfo(f"{'openwebtext' * 20}/urlsf_subset01-{number}_data.xz")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        (tmp_path / f"{called}.tar").write_bytes(held.getvalue())
    for called in ("gnu", "pax"):
        whole = records(tmp_path, f"{called}.tar")
        assert len(documents(whole)) == 8 and whole == records(
            tmp_path, f"{called}.tar", slice_bytes=1
        )


def test_empty_texts_and_nuls(tmp_path: Path) -> None:
    """Row 37."""
    texts = {
        "0-a.txt": b"",
        "1-b.txt": b" \n\n ",
        "2-c.txt": b"\0\0",
        "3-d.txt": b"\0\0" + b"word " * 10,
        "4-e.txt": b"word " * 100 + b"\0\0",
        "5-f.txt": "caf\u00e9".encode("latin-1"),
        "6-g.txt": b"\xef\xbb\xbfone\r\n\r\n\r\n\r\ntwo\r\n",
    }
    (tmp_path / "urlsf_subset03-1_data.xz").write_bytes(lzma.compress(tarred(texts)))
    found = records(tmp_path)
    assert rejects(found) == [
        ("empty", "0-a.txt"),
        ("empty", "1-b.txt"),
        ("nul", "2-c.txt"),
        ("nul", "3-d.txt"),
        ("bad_encoding", "5-f.txt"),
    ]
    cleaned, last = documents(found)
    assert (cleaned.text, cleaned.extra["nul"], cleaned.marks) == (
        ("word " * 100).strip(),
        2,
        ("nul",),
    )
    assert (last.text, last.marks) == ("one\n\ntwo", ())


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("a\n\n\nb", "a\n\nb"),
        ("a\nb\n\nc", "a\nb\n\nc"),
        ("\n\n a\n\n\n\n\n", "a"),
        ("a\n \n \nb", "a\n \n \nb"),
    ],
)
def test_line_feeds_as_the_loader_has_them(raw: str, text: str) -> None:
    assert loaded(raw) == text


def test_the_codec_is_told_by_the_name(tmp_path: Path) -> None:
    """Row 38: bytes that look like a zip are xz by their name, and damaged; what a name calls a
    text is one. Others are read."""
    outer = {
        "openwebtext/urlsf_subset13-629_data.xz": inner(0, 2),
        "openwebtext/urlsf_subset13-630_data.xz": b"PK\x03\x04" + bytes(200),
        "openwebtext/urlsf_subset13-631_data.xz": gzip.compress(tarred({"x.txt": b"text"})),
        "openwebtext/urlsf_subset13-632_data.xz": inner(10, 2),
        "openwebtext/0000009-zip.txt": b"PK\x03\x04 is how a zip begins",
        "openwebtext/README.md": b"What it is",
    }
    (tmp_path / "urlsf_subset13.tar").write_bytes(tarred(outer))
    found = records(tmp_path)
    assert [document.text[:7] for document in documents(found)] == [
        "Text 0.",
        "Text 1.",
        "Text 10",
        "Text 11",
        "PK\x03\x04 is",
    ]
    assert rejects(found) == [
        ("damaged", "openwebtext/urlsf_subset13-630_data.xz"),
        ("damaged", "openwebtext/urlsf_subset13-631_data.xz"),
        ("unknown_format", "openwebtext/README.md"),
    ]


def test_a_cut_archive_costs_its_rest_alone(tmp_path: Path) -> None:
    """Row 38. Alone, and in a subset's tar."""
    texts = {
        name(number): json.dumps([number * 7919 % 1000 + i for i in range(3000)]).encode()
        for number in range(20)
    }
    whole = lzma.compress(tarred(texts), preset=0)
    cut = whole[: len(whole) // 2]
    (tmp_path / "urlsf_subset00-1_data.xz").write_bytes(cut)
    (tmp_path / "urlsf_subset00-2_data.xz").write_bytes(whole)
    (tmp_path / "z.tar").write_bytes(
        tarred({"urlsf_subset01-1_data.xz": cut, "urlsf_subset01-2_data.xz": whole})
    )
    found = records(tmp_path)
    by_path = {
        path: [record for record in found if record.path == path]
        for path in ("urlsf_subset00-1_data.xz", "urlsf_subset00-2_data.xz", "z.tar")
    }
    kept = len(documents(by_path["urlsf_subset00-1_data.xz"]))
    assert 0 < kept < 20
    assert [reason for reason, _ in rejects(by_path["urlsf_subset00-1_data.xz"])] == ["truncated"]
    assert len(documents(by_path["urlsf_subset00-2_data.xz"])) == 20
    assert len(documents(by_path["z.tar"])) == kept + 20 and [
        reason for reason, _ in rejects(by_path["z.tar"])
    ] == ["truncated"]


def test_a_cut_outer_tar(forms: Path) -> None:
    """Whole or in parts: what was before the cut, and one reject."""
    path = forms / "subset" / "urlsf_subset00.tar"
    content = path.read_bytes()
    third = content.index(b"urlsf_subset00-4_data.xz")
    path.write_bytes(content[: third + 600])
    found = records(forms / "subset")
    assert len(documents(found)) == 30 and [reason for reason, _ in rejects(found)] == ["truncated"]
    assert found == records(forms / "subset", slice_bytes=1)


def test_what_is_no_file_and_paths_that_climb(tmp_path: Path) -> None:
    bad = []
    for kind, called in (
        (tarfile.SYMTYPE, "link.txt"),
        (tarfile.LNKTYPE, "hard.txt"),
        (tarfile.CHRTYPE, "device.txt"),
        (tarfile.FIFOTYPE, "pipe.txt"),
    ):
        info = tarfile.TarInfo(called)
        info.type, info.linkname = kind, "/etc/passwd"
        bad.append(info)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "urlsf_subset00-1_data.xz").write_bytes(
        lzma.compress(tarred({"../../../climbs.txt": b"Up.", "/etc/cron.d/x.txt": b"Root."}, bad))
    )
    found = records(tmp_path / "in")
    assert rejects(found) == [
        ("not_a_file", "link.txt"),
        ("not_a_file", "hard.txt"),
        ("not_a_file", "device.txt"),
        ("not_a_file", "pipe.txt"),
    ]
    assert [(document.text, document.extra["member"]) for document in documents(found)] == [
        ("Up.", "../../../climbs.txt"),
        ("Root.", "/etc/cron.d/x.txt"),
    ]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in", "urlsf_subset00-1_data.xz"]


@pytest.mark.builds
def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from corpora.inputs import nested_archives

    monkeypatch.setattr(nested_archives, "_FREE_BYTES", 1_000_000)
    many = lzma.compress(tarred({"x.txt": b""})[:512] * 20_000)  # fewer bytes than members
    zeros = lzma.compress(
        tarred({"0.txt": b"A text before.", "1.txt": bytes(30_000_000), "2.txt": b"After."})
    )
    (tmp_path / "a.tar").write_bytes(tarred({"1_data.xz": zeros, "2_data.xz": inner(0, 2)}))
    found = records(tmp_path)
    assert [document.text[:6] for document in documents(found)] == ["A text", "Text 0", "Text 1"]
    assert {reason for reason, _ in rejects(found)} == {"bomb"}
    monkeypatch.setattr(archives, "MAX_RATIO", 1_000_000)
    (tmp_path / "a.tar").write_bytes(tarred({"1_data.xz": many, "2_data.xz": inner(0, 2)}))
    found = records(tmp_path)
    room = (len(many) + 511) // 512 * 512 + 512
    assert room < 20_000
    reasons = [reason for reason, _ in rejects(found)]
    assert reasons == ["empty"] * (room - 1) + ["bomb"]
    assert [document.text[:6] for document in documents(found)] == ["Text 0", "Text 1"]
    assert found == records(tmp_path, slice_bytes=1)


def test_archives_too_deep(tmp_path: Path) -> None:
    content = tarred({"x.txt": b"text"})
    for depth in range(4):
        content = tarred({f"{depth}.tar": content})
    (tmp_path / "a.tar").write_bytes(content)
    (tmp_path / "b.zip").write_bytes(zipped({"0000001-x.txt": "A zip, since it is called one."}))
    found = records(tmp_path)
    assert [reason for reason, _ in rejects(found)] == ["too_deep"]
    assert [document.text for document in documents(found)] == ["A zip, since it is called one."]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    from corpora.openwebtext.release import read_part

    (found,) = read_part(
        Part(address=str(tmp_path / "gone.tar"), path="gone.tar", size=10, start=512, stop=1024)
    )
    assert isinstance(found, Reject) and (found.reason, found.position) == ("unreadable", 512)


def test_the_test_data_by_its_own_list() -> None:
    """130 texts, named as gold.json.gz names them."""
    gold_file, source = data_file("openwebtext/gold.json.gz"), data_file("openwebtext/openwebtext")
    if gold_file is None or source is None:
        pytest.skip("no test data: openwebtext")
    gold = json.loads(gzip.decompress(gold_file.read_bytes()))
    found = records(source)
    assert len(found) == len(documents(found)) == len(gold) == 130
    assert {
        (document.extra["archive"], document.extra["member"]) for document in documents(found)
    } == {(row["archive"], row["member"]) for row in gold}
    assert {document.extra["subset"] for document in documents(found)} == {"00"}
    assert all(
        document.extra["md5"] == document.extra["member"][8:40] for document in documents(found)
    )
