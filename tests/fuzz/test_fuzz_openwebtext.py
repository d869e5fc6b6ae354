"""Hostile bytes into the readers of OpenWebText: nothing raises, nothing is written, every record
has a reason, and the neighbours survive.

`make fuzz`; CORPUSMILL_FUZZ multiplies the number of examples, and above 1 they are new ones each
time.
"""

import bz2
import json
import lzma
import random
from pathlib import Path

import pytest
import zstandard
from epubs import tarred
from hypothesis import example, given
from hypothesis import strategies as st
from test_fuzz_epub import harmed

from corpora.document import Document, NotPage, Part, Reject
from corpora.inputs.nested_archives import tar_edges
from corpora.openwebtext import release, submissions
from corpora.openwebtext.excluded_links import EXCLUDED_DOMAINS, EXCLUDED_EXTENSIONS
from corpora.openwebtext.submissions import Link, Wanted

WANTED = Wanted(domains=EXCLUDED_DOMAINS, extensions=EXCLUDED_EXTENSIONS)
TEXT = b"A text of one line.\n\n\n\nAnd of another."
INNER = lzma.compress(tarred({f"{number:07d}-{number:032x}.txt": TEXT for number in range(4)}))
OUTER = tarred({f"openwebtext/urlsf_subset00-{number}_data.xz": INNER for number in range(3)})
RELEASES = {
    "urlsf_subset00-1_data.xz": INNER,
    "urlsf_subset00.tar": OUTER,
    "openwebtext.tar.xz": lzma.compress(OUTER),
}
ROWS = [
    {
        "url": f"http://example.com/{number}",
        "score": number,
        "over_18": False,
        "title": 'a "title", caf\u00e9',
    }
    for number in range(8)
]
LINES = b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in ROWS)
TABLE = b"url,score,title\n" + b"".join(
    f'http://example.com/{number},{number},"a ""title"", and\nmore"\n'.encode()
    for number in range(8)
)
DUMPS = {
    "RS": LINES,
    "RS.zst": zstandard.ZstdCompressor().compress(LINES),
    "RS.xz": lzma.compress(LINES),
    "RS.bz2": bz2.compress(LINES),
    "RS.csv": TABLE,
    "RS.tsv": TABLE.replace(b",", b"\t"),
    "urls.txt": b"".join(f"http://example.com/{number}\n".encode() for number in range(8)),
}


def texts(folder: Path, name: str, content: bytes) -> list[Document | Reject]:
    """The records of a release, whole and cut: the same."""
    (folder / name).write_bytes(content)
    part = Part(address=str(folder / name), path=name, size=len(content))
    found = list(release.read_part(part))
    if name.endswith(".tar"):
        edges = tar_edges(part, 1)
        parts = [
            Part(address=part.address, path=name, size=part.size, start=start, stop=stop)
            for start, stop in zip(edges, [*edges[1:], None])
        ]
        assert found == [record for one in parts for record in release.read_part(one)]
    (folder / name).unlink()
    assert not list(folder.iterdir())
    positions = [record.position for record in found]
    assert positions == sorted(set(positions)) and all(position >= 0 for position in positions)
    return found


def links(folder: Path, name: str, content: bytes) -> list[Link | Reject | NotPage]:
    """The records of a dump: links, rejects with a reason, and comments of a list of addresses."""
    (folder / name).write_bytes(content)
    found = list(
        submissions.read_part(
            WANTED, Part(address=str(folder / name), path=name, size=len(content))
        )
    )
    (folder / name).unlink()
    positions = [record.position for record in found]
    assert positions == sorted(set(positions)) and all(
        record.reason if isinstance(record, Reject) else isinstance(record, (Link, NotPage))
        for record in found
    )
    return found


@pytest.mark.parametrize("name", RELEASES)
def test_the_generators_reach_what_they_are_for(name: str, tmp_path: Path) -> None:
    found = texts(tmp_path, name, RELEASES[name])
    assert all(isinstance(record, Document) for record in found) and len(found) == (
        4 if name.endswith("data.xz") else 12
    )


@pytest.mark.parametrize("name", DUMPS)
def test_the_dumps_are_read(name: str, tmp_path: Path) -> None:
    assert sum(isinstance(record, Link) for record in links(tmp_path, name, DUMPS[name])) == (
        8 if name == "urls.txt" else 5
    )


@given(st.randoms(use_true_random=False), st.sampled_from(sorted(RELEASES)))
def test_a_harmed_release_is_texts_and_rejects(
    tmp_path_factory: pytest.TempPathFactory, draw: random.Random, name: str
) -> None:
    texts(tmp_path_factory.mktemp("harmed"), name, harmed(draw, RELEASES[name]))


@given(st.randoms(use_true_random=False))
def test_a_harmed_archive_costs_its_neighbours_nothing(
    tmp_path_factory: pytest.TempPathFactory, draw: random.Random
) -> None:
    outer = {
        "a/1_data.xz": INNER,
        "a/2_data.xz": harmed(draw, INNER),
        "a/3_data.xz": lzma.compress(harmed(draw, tarred({"x.txt": TEXT}))),
        "a/4_data.xz": INNER,
    }
    found = texts(tmp_path_factory.mktemp("member"), "a.tar", tarred(outer))
    for record in [*found[:4], *found[-4:]]:
        assert (
            isinstance(record, Document) and record.text == "A text of one line.\n\nAnd of another."
        )


@given(st.binary(max_size=2000), st.sampled_from(sorted(RELEASES)))
def test_noise_is_no_release(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    texts(tmp_path_factory.mktemp("noise"), name, content)


@given(st.randoms(use_true_random=False), st.sampled_from(sorted(DUMPS)))
def test_harmed_dumps_are_links_and_rejects(
    tmp_path_factory: pytest.TempPathFactory, draw: random.Random, name: str
) -> None:
    links(tmp_path_factory.mktemp("harmed"), name, harmed(draw, DUMPS[name]))


@example(b"#", "urls.txt")
@example(b"# a comment\nhttp://example.com/a\n#", "urls.txt")
@given(
    st.binary(max_size=1000) | st.text('",\n\r\x00a\u00e9=:/.', max_size=300).map(str.encode),
    st.sampled_from(sorted(DUMPS)),
)
def test_noise_is_no_dump(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, name: str
) -> None:
    found = links(tmp_path_factory.mktemp("noise"), name, content)
    comments = [record for record in found if isinstance(record, NotPage)]
    assert not comments or (name == "urls.txt" and content.count(b"#") >= len(comments))
    if name.endswith("sv"):
        links(tmp_path_factory.mktemp("noise"), name, b"url,score\n" + content)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "url",
                "score",
                "over_18",
                "is_self",
                "domain",
                "author",
                "title",
                "selftext",
                "removed_by_category",
                "ups",
            ]
        ),
        JSON,
    )
)
def test_any_record_is_judged(
    tmp_path_factory: pytest.TempPathFactory, record: dict[str, object]
) -> None:
    (found,) = links(tmp_path_factory.mktemp("record"), "RS", json.dumps(record).encode())
    assert isinstance(found, (Link, Reject))


@given(st.text("htps:/.@[]?#%&;\\ aé\x00\ud8000123456789", max_size=60).map("http://".__add__))
def test_any_address_is_a_link_or_none(tmp_path_factory: pytest.TempPathFactory, url: str) -> None:
    (found,) = links(
        tmp_path_factory.mktemp("address"), "RS", json.dumps({"url": url, "score": 5}).encode()
    )
    assert isinstance(found, (Link, Reject)) and (isinstance(found, Reject) or found.url.encode())
