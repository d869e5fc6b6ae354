"""Exact dedup by text and by address at once: the packed decision against a plain one, in any order
of blocks and for any slicing."""

import datetime
import random
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import test_exact
from hypothesis import given, settings
from hypothesis import strategies as st

from corpora.document import document_id
from corpora.files.source import FilesOptions
from corpora.text.normalise import casefold
from corpora.text.urls import canonical_url
from pipelines.home.documents import DOCUMENT_SCHEMA
from pipelines.home.layout import Home, write_recipe
from pipelines.home.summaries import Summary, write_summary
from pipelines.recipe import DedupConfig, Recipe
from shards.storage import files

URLS = [
    "http://a.com/x",
    "https://www.a.com/x/",
    "http://a.com/x?utm_source=y",
    "http://a.com/y",
    "http://b.com/#top",
    "http://b.com",
    None,
]
# (crawled or None, address, text)
PAGE = st.tuples(
    st.one_of(st.none(), st.integers(0, 4)),
    st.sampled_from(URLS),
    st.sampled_from(["x", "X", "y", "z", "w", "v", "u"]),
)
Page = tuple[int | None, str | None, str]


def write_home(root: Path, pages: list[Page], cuts: int, by_address: bool) -> Home:
    home = Home(str(root))
    sources = {"a": FilesOptions(input=("x",))}
    write_recipe(
        home, Recipe(sources=sources, dedup=DedupConfig(priority=("a",), by_address=by_address))
    )  # type: ignore[arg-type]
    rows = [
        {
            "id": document_id("a", "p", position),
            "text": text,
            "url": url,
            "crawled": None
            if crawled is None
            else datetime.datetime.fromtimestamp(crawled, datetime.timezone.utc),
            "path": "p",
            "position": position,
            "extra": "{}",
        }
        for position, (crawled, url, text) in enumerate(pages)
    ]
    for begin in range(0, len(rows), cuts):
        address, name = home.documents("a", f"{begin:04d}"), f"{begin:04d}"
        part = rows[begin : begin + cuts]
        with files.open_output(address) as stream:
            pq.write_table(pa.Table.from_pylist(part, schema=DOCUMENT_SCHEMA), stream)
        counts = {"records": len(part), "documents": len(part), "bytes": 0}
        digest, size = files.digest(address), files.size(address)
        write_summary(
            home,
            Summary(
                stage="ingest",
                source="a",
                slice=name,
                path="p",
                start=begin,
                fingerprint="",
                output=digest,
                output_bytes=size,
                counts=counts,
            ),
        )
    return home


def plain_removals(pages: list[Page], by_address: bool) -> dict[str, str]:
    """The slow twin: in survivor order, the first of each text and of each address stays; of two
    reasons the text names the twin."""
    order = sorted(
        (crawled is None, crawled or 0, position, url, casefold(text))
        for position, (crawled, url, text) in enumerate(pages)
        for url in [url or ""]
    )
    texts: dict[str, str] = {}
    addresses: dict[str, str] = {}
    found = {}
    for unknown, _, position, url, text in order:
        identity = document_id("a", "p", position)
        if by_address and url and not unknown:
            twin = addresses.setdefault(canonical_url(url), identity)
            if twin != identity:
                found[identity] = twin
        twin = texts.setdefault(text, identity)
        if twin != identity:
            found[identity] = twin
    return found


@settings(max_examples=60)
@given(
    pages=st.lists(PAGE, min_size=1, max_size=25),
    cuts=st.integers(1, 30),
    partitions=st.integers(1, 4),
    by_address=st.booleans(),
    seed=st.integers(0, 9),
)
def test_equal_to_the_plain_twin(
    pages: list[Page],
    cuts: int,
    partitions: int,
    by_address: bool,
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = tmp_path_factory.getbasetemp() / "exact_addresses"
    shutil.rmtree(root, ignore_errors=True)
    home = write_home(root, pages, cuts, by_address)
    found = test_exact.removals(home, partitions, random.Random(seed))
    assert found == plain_removals(pages, by_address)
    first = min(
        range(len(pages)),
        key=lambda position: (pages[position][0] is None, pages[position][0] or 0, position),
    )
    assert document_id("a", "p", first) not in found
