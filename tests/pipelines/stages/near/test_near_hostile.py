"""Near-deduplication of what would blow up or collapse elsewhere: minutes, and memory that does not
grow. Long."""

import random
import re
import subprocess
import sys
import time
from pathlib import Path

import minhash_twins
import pytest
from near_homes import counts, run, write_home

ROOT = Path(__file__).resolve().parents[4]
pytestmark = pytest.mark.long

SCRIPT = """
import re, sys, time
sys.path.insert(0, "tests/helpers")
from plain_build import run_step
from pipelines.stages.near.stage import STAGE
begin = time.monotonic()
for step in STAGE.passes:
    run_step(step, sys.argv[1])
status = open("/proc/self/status").read()
print(time.monotonic() - begin, re.search("VmHWM:\\\\s+(\\\\d+)", status).group(1))
"""


def watched(root: str) -> tuple[float, float]:
    """Seconds and peak in MB of all steps in a process of their own."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, root], cwd=ROOT, check=True, capture_output=True, text=True
    )
    seconds, peak = map(float, done.stdout.split())
    return seconds, peak / 1e3


@pytest.fixture(scope="module")
def words(novels: Path) -> list[str]:
    return re.findall(r"\w+", sorted(novels.iterdir())[0].read_text("utf-8"))


def test_50_000_nearly_identical_pages(words: list[str], tmp_path: Path) -> None:
    base = words[:400]
    documents = [
        ("a", number, None, " ".join([*base[:200], f"visitor{number}", *base[200:]]))
        for number in range(50_000)
    ]
    home = write_home(tmp_path / "home", documents, 10_000)
    seconds, peak = watched(home.root)
    print(
        f"50,000 nearly identical pages: {seconds:.0f} s, {peak:.0f} MB, "
        f"{counts(home, 'pairs', 'left_out'):,} pairs left out"
    )
    assert seconds < 180 and peak < 1500
    assert counts(home, "near", "removed") == 49_999 and counts(home, "pairs", "left_out") > 10**9


def test_a_million_empty_or_three_word_documents(tmp_path: Path) -> None:
    documents = [
        ("a", number, None, ("" if number % 2 else f"{number % 1000} three words"))
        for number in range(1_000_000)
    ]
    home = write_home(tmp_path / "home", documents, 250_000)
    seconds, peak = watched(home.root)
    print(f"a million empty or three-word documents: {seconds:.0f} s, {peak:.0f} MB")
    assert (
        seconds < 120
        and counts(home, "near", "removed") == 0
        and counts(home, "signatures", "signed") == 0
    )


def test_one_document_of_50_mb_and_one_word_a_million_times(
    words: list[str], tmp_path: Path
) -> None:
    draw = random.Random(0)
    large = " ".join(draw.choice(words) for _ in range(9_000_000))[:49_000_000]
    copy = large[:25_000_000] + " here something else " + large[25_000_000:]
    repeated = "word " * 1_000_000
    dense = "a " * 24_000_000
    documents = [
        ("a", number, None, text)
        for number, text in enumerate(
            [large, copy, repeated, repeated + "end", "short " * 7, dense]
        )
    ]
    home = write_home(tmp_path / "home", documents, 2)
    seconds, peak = watched(home.root)
    print(f"documents of 50 MB: {seconds:.0f} s, {peak:.0f} MB")
    assert seconds < 120 and peak < 2500
    assert counts(home, "near", "removed") == 1


def test_scripts_without_spaces(tmp_path: Path) -> None:
    """A word is what stands between marks: texts of many sentences are told apart, and copies
    found; nothing collapses."""
    draw = random.Random(0)
    signs = [chr(code) for code in range(0x4E00, 0x5800)]

    def text() -> list[str]:
        return [
            "".join(draw.choice(signs) for _ in range(draw.randrange(5, 20))) for _ in range(60)
        ]

    texts = [text() for _ in range(2000)]
    copies = [[*one[:59], "".join(draw.choice(signs) for _ in range(9))] for one in texts[:500]]
    unbroken = ["".join(text()) for _ in range(500)]  # one word each: no shingles
    documents = [
        ("a", number, None, one)
        for number, one in enumerate(["。".join(one) for one in texts + copies] + unbroken)
    ]
    home = write_home(tmp_path / "home", documents, 1000)
    begin = time.monotonic()
    found = run(home)
    assert time.monotonic() - begin < 60
    assert len(found) == 500 and counts(home, "signatures", "signed") == 2500
    assert (
        minhash_twins.jaccard(
            minhash_twins.shingles("。".join(texts[0])),
            minhash_twins.shingles("。".join(copies[0])),
        )
        > 0.8
    )


@pytest.mark.parametrize("copies", [(1, 8)])
def test_memory_does_not_grow_with_the_documents(
    copies: tuple[int, int], words: list[str], tmp_path: Path
) -> None:
    peaks = []
    for factor in copies:
        draw = random.Random(factor)
        documents = [
            ("a", number, None, " ".join(draw.choice(words) for _ in range(300)))
            for number in range(20_000 * factor)
        ]
        documents += [
            ("a", 10**6 + number, None, documents[number][3] + " more")
            for number in range(4_000 * factor)
        ]
        home = write_home(tmp_path / f"home{factor}", documents, 8_000)
        seconds, peak = watched(home.root)
        peaks.append(peak)
        print(f"{len(documents):,} documents: {seconds:.0f} s, {peak:.0f} MB")
        assert counts(home, "near", "removed") == 4_000 * factor
    assert peaks[1] < 1.25 * peaks[0]
