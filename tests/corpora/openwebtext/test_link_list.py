"""The list of linked addresses: equal to one made by a dictionary, however the notes were cut; and
of ten million in bounded memory."""

import io
import random
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from realdata import ROOT

from corpora.openwebtext import link_list
from corpora.text.urls import canonical_url

Noted = tuple[str, int | None]
ScoreOf = Literal["submission", "url"]


def write(folder: Path, slices: Sequence[Sequence[Noted]]) -> list[str]:
    """The notes of slices, as stage `survey` writes them."""
    addresses = []
    for number, noted in enumerate(slices):
        columns = (
            zip(*[(*link_list.key_of(canonical_url(url)), score, url) for url, score in noted])
            if noted
            else [[]] * 4
        )
        table = pa.table(
            [pa.array(column, field.type) for column, field in zip(columns, link_list.NOTE_SCHEMA)],
            schema=link_list.NOTE_SCHEMA,
        )
        addresses.append(str(folder / f"{number}.parquet"))
        pq.write_table(table, addresses[-1])
    return addresses


def merged(
    folder: Path,
    slices: Sequence[Sequence[Noted]],
    min_score: int = 3,
    score_of: ScoreOf = "submission",
) -> tuple[bytes, dict[str, int]]:
    held = io.BytesIO()
    counts = link_list.merge(write(folder, slices), held, min_score, score_of, lambda _: None)
    return held.getvalue(), counts


def rows(content: bytes, folder: Path) -> dict[str, tuple[str, int | None, int]]:
    (folder / "list.arrow").write_bytes(content)
    with link_list.open_links(str(folder / "list.arrow")) as listed:
        found = {key: (url, score, submissions) for url, key, score, submissions in listed.rows()}
        assert all(
            listed.find(url) == (score, submissions) for url, score, submissions in found.values()
        )
        assert listed.find("http://nobody.example/9999") is None
    return found


def plain(
    noted: Sequence[Noted], min_score: int, score_of: ScoreOf
) -> dict[str, tuple[str, int | None, int]]:
    """The slow twin."""
    by_key: dict[str, list[Noted]] = {}
    for url, score in noted:
        by_key.setdefault(canonical_url(url), []).append((url, score))
    found = {}
    for key, group in by_key.items():
        scores = [score for _, score in group if score is not None]
        figure = (max(scores) if score_of == "submission" else sum(scores)) if scores else None
        if len(scores) < len(group) or (figure is not None and figure >= min_score):
            best = min(
                group,
                key=lambda one: (
                    -(one[1] if one[1] is not None else -(10**20)),
                    len(one[0].encode()),
                    one[0],
                ),
            )
            found[key] = (best[0], figure, len(group))
    return found


URLS = st.builds(
    lambda host, page, end, scheme: f"{scheme}{host}.example/{page}{end}",
    st.sampled_from(["a", "www.a", "b", "\u00e9"]),
    st.sampled_from(["", "x", "y"]),
    st.sampled_from(["", "?utm_source=1", "?utm_source=2", "#z"]),
    st.sampled_from(["http://", "https://"]),
)
NOTES = st.lists(st.tuples(URLS, st.none() | st.integers(-3, 9)), max_size=30)


@settings(max_examples=40)
@given(
    NOTES,
    st.integers(-2, 6),
    st.sampled_from(["submission", "url"]),
    st.randoms(use_true_random=False),
)
@pytest.mark.builds
def test_a_list_is_what_a_dictionary_gives(
    tmp_path_factory: pytest.TempPathFactory,
    noted: list[Noted],
    min_score: int,
    score_of: ScoreOf,
    draw: random.Random,
) -> None:
    folder = tmp_path_factory.mktemp("links")
    content, counts = merged(folder, [noted], min_score, score_of)
    expected = plain(noted, min_score, score_of)
    assert rows(content, folder) == expected
    linked = sum(submissions for _, _, submissions in expected.values())
    assert counts == {"urls": len(expected), "linked": linked, "unlisted": len(noted) - linked}
    shuffled = draw.sample(noted, len(noted))
    cut = draw.randrange(len(noted) + 1)
    assert merged(folder, [shuffled[:cut], [], shuffled[cut:]], min_score, score_of) == (
        content,
        counts,
    )


def test_a_file_of_the_list_opens_with_any_arrow_tool(tmp_path: Path) -> None:
    content, _ = merged(
        tmp_path, [[(f"http://example.com/{number}", number) for number in range(1000)]]
    )
    table = pa.ipc.open_file(content).read_all()
    assert table.num_rows == 997 and table.column("score").to_pylist() != sorted(
        table.column("score").to_pylist()
    )
    keys = list(zip(table.column("high").to_pylist(), table.column("low").to_pylist()))
    assert keys == sorted(keys)


def test_no_submissions_at_all(tmp_path: Path) -> None:
    for slices in ([], [[]]):
        content, counts = merged(tmp_path, slices)
        assert counts == {"urls": 0, "linked": 0, "unlisted": 0} and rows(content, tmp_path) == {}


def test_keys_that_share_a_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first eight bytes alone do not decide."""
    monkeypatch.setattr(
        link_list, "key_of", lambda canonical: (7 << 56, int(canonical.rsplit("/", 1)[1]))
    )
    content, _ = merged(
        tmp_path, [[(f"http://example.com/{number}", number) for number in range(50)]], 0
    )
    assert len(rows(content, tmp_path)) == 50


SCRIPT = """
import re, sys, time
import numpy as np, pyarrow as pa, pyarrow.parquet as pq
from corpora.openwebtext import link_list
folder, count = sys.argv[1], int(sys.argv[2])
draw, addresses = np.random.default_rng(0), []
for number in range(0, count, 500_000):
    which = draw.integers(0, count, 500_000)
    high = which.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    form = "http://www.example-{}.com/2017/11/12/a-story-of-some-{}-words-and-more-of-them.html"
    urls = pa.array([form.format(one % 9973, one) for one in which.tolist()])
    scores = draw.integers(3, 500, 500_000).astype(np.int32)
    columns = [pa.array(high), pa.array(which.astype(np.uint64)), pa.array(scores), urls]
    addresses.append(f"{folder}/{number}.parquet")
    table = pa.table(columns, schema=link_list.NOTE_SCHEMA)
    pq.write_table(table, addresses[-1], row_group_size=100_000, compression="zstd")
del table, columns, scores, urls, high, which
def peak():
    # ru_maxrss would be the parent's
    return re.search("VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1)
base = peak()
start = time.monotonic()
with open(f"{folder}/list.arrow", "wb") as output:
    counts = link_list.merge(addresses, output, 3, "submission", lambda _: None)
print(counts["urls"], counts["linked"], base, peak(), round(time.monotonic() - start, 1))
"""


@pytest.mark.long
def test_ten_million_links_in_bounded_memory(tmp_path: Path) -> None:
    """The peak of ten million is that of two and a half, but for a few megabytes; neither is near
    the size of the notes."""
    peaks = {}
    for count in (2_500_000, 10_000_000):
        (tmp_path / str(count)).mkdir()
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path / str(count)), str(count)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stderr
        urls, linked, _, peak, seconds = done.stdout.split()
        print(
            f"{count:,} links: {int(urls):,} addresses, peak {int(peak) / 1024:.0f} MB, {seconds} s"
        )
        assert (
            int(linked) == count and 0.6 * count < int(urls) < 0.66 * count
        )  # 1 - 1/e of them are drawn
        peaks[count] = int(peak) / 1024
    assert peaks[10_000_000] < 450 and peaks[10_000_000] < peaks[2_500_000] + 100
    with link_list.open_links(str(tmp_path / "10000000" / "list.arrow")) as listed:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert all(listed.find(f"http://example.com/{number}") is None for number in range(2000))
        assert (
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024
        )  # the list is 1 GB
