"""Real data for the tests: from CORPUSMILL_TEST_DATA (default ../shared/data), else generated; with
CI=true it must be there."""

import bz2
import json
import lzma
import os
import pydoc
import random
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# Before numba is imported: kernels are compiled with bounds checks, into a cache of their own.
os.environ.setdefault("NUMBA_BOUNDSCHECK", "1")
os.environ.setdefault(
    "NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"corpusmill-numba-{os.getuid()}")
)

import quick_beam  # noqa: E402
from realdata import data_file  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
settings.register_profile(
    "ours",
    deadline=None,
    derandomize=True,
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "100")),
)
settings.load_profile("ours")


TRAINING_FILES = {
    "test_checkpoint",
    "test_compare",
    "test_export",
    "test_formats_runs",
    "test_hosts",
    "test_init",
    "test_keep_best",
    "test_moved",
    "test_objective_runs",
    "test_phases",
    "test_ranks",
    "test_trackers",
    "test_trainer_cli",
}
"""Files of tests/trainer whose tests train, or load large libraries: all are marked `builds`."""

BUILD_FOLDERS = {"browser", "docs", "engines", "faults", "flow", "fuzz"}
"""Folders of tests/ whose tests build homes, or are as slow: all are marked `builds`."""


SLOW_FILES = {
    "test_cc_news_source",
    "test_damage",
    "test_fast_trafilatura",
    "test_formats",
    "test_flags",
    "test_gold",
    "test_guard",
    "test_kernels",
    "test_language_accuracy",
    "test_near",
    "test_object_store",
    "test_passages",
    "test_plan",
    "test_pretrain",
    "test_report",
    "test_sentences",
    "test_stories_source",
    "test_wikipedia_source",
    "test_wikitext",
}
"""Files that take more than ten seconds each, two thirds of the time of those that build nothing:
all are marked `builds` too."""

PROOF_FILES = {
    "test_beam",
    "test_checkpoint",
    "test_cluster_faults",
    "test_failing_operations",
    "test_faults",
    "test_finetune",
    "test_forget",
    "test_formats_runs",
    "test_gpu_check",
    "test_hosts",
    "test_jit",
    "test_kernel_cache",
    "test_object_store_build",
    "test_power_loss",
    "test_same_bytes",
    "test_signals",
    "test_stopped_builds",
    "test_stories_build",
    "test_stories_of_users",
    "test_wheel",
    "test_wikipedia_build",
}
"""Files that take half of the time of all tests: theirs are marked `proof`, and `make proofs` runs
them."""

SHORTEST_ARCHIVE = 20
"""Bytes: gzip's header and footer around nothing."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if builds_homes(item):
            item.add_marker(pytest.mark.builds)
        if item.path.stem in PROOF_FILES:
            item.add_marker(pytest.mark.proof)

    # The files that take longest begin first: at the end, one alone would keep one process busy.
    items.sort(key=builds_homes, reverse=True)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Long bytes do not stand in the name of a test: those of an archive hold the time, so that two
    processes which collect the tests in different seconds would disagree on their names."""
    return argname if isinstance(val, bytes) and len(val) >= SHORTEST_ARCHIVE else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    quick_beam.remember()


def builds_homes(item: pytest.Item) -> bool:
    """True for the tests of the folders that build homes, of the files that train, and of others
    that take as long."""
    folder = item.path.relative_to(ROOT / "tests").parts[0]
    trains = folder == "trainer" and item.path.stem in TRAINING_FILES
    return folder in BUILD_FOLDERS or trains or item.path.stem in SLOW_FILES


def python_documentation(module: str) -> str:
    """The plain documentation of a standard module: real text that every machine has."""
    return pydoc.plain(pydoc.render_doc(module))


@pytest.fixture(scope="session")
def novels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 24 novels as .txt."""
    folder = tmp_path_factory.mktemp("novels")
    archive = data_file("books/english_novels.tar.xz")
    if archive:
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                if member.isfile():
                    content = tar.extractfile(member)
                    assert content is not None
                    (folder / Path(member.name).name).write_bytes(content.read())
    else:
        draw = random.Random(0)
        for number in range(24):
            modules = draw.sample(
                ["argparse", "json", "email", "logging", "unittest", "typing", "pathlib", "ast"], 3
            )
            (folder / f"novel-{number:02d}.txt").write_text(
                f"Novel {number}\n\n" + "\n".join(map(python_documentation, modules)), "utf-8"
            )
    return folder


@pytest.fixture(scope="session")
def some_novels(novels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the beginnings of eight novels, 40 kB each, and one of them twice."""
    folder = tmp_path_factory.mktemp("some_novels")
    paths = sorted(novels.iterdir())[:8]
    for path in paths:
        (folder / path.name).write_text(path.read_text("utf-8")[:40_000], "utf-8")
    (folder / "a_copy.txt").write_text(
        paths[3].read_text("utf-8")[:40_000].upper().replace(" ", "  "), "utf-8"
    )
    return folder


@pytest.fixture(scope="session")
def reuters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Reuters-21578 SGML files, as the module tests/helpers/reuters.py reads them."""
    folder = tmp_path_factory.mktemp("reuters")
    archive = data_file("dedup/reuters21578_part.tar.xz")
    if archive:
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                content = tar.extractfile(member) if member.isfile() else None
                if content and member.name.endswith(".sgm"):
                    (folder / Path(member.name).name).write_bytes(content.read())
    else:
        draw = random.Random(1)
        lines = [line for line in python_documentation("os").split("\n") if len(line) > 20]
        for number in range(6):
            stories = []
            for story in range(50):
                body = (
                    "\n".join(draw.sample(lines, 8))
                    if story % 10
                    else "the same words again and again"
                )
                content = (
                    "" if story % 9 == 4 else f"<BODY>{body.replace('<', '&lt;')}</BODY>"
                )  # some of the real ones have none
                stories.append(
                    f'<REUTERS NEWID="{number * 50 + story}">\n'
                    f"<TEXT><TITLE>STORY</TITLE>{content}</TEXT>\n</REUTERS>\n"
                )
            (folder / f"reut2-{number:03d}.sgm").write_text("".join(stories), "latin-1", "replace")
    return folder


@pytest.fixture(scope="session")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .jsonl.bz2 file with sentences in 75 languages, a document each: text, id, and the language
    as title."""
    path = tmp_path_factory.mktemp("sentences") / "sentences.jsonl.bz2"
    source = data_file("langid/sentences.tsv.xz")
    if source:
        rows = [
            line.split("\t", 1)
            for line in lzma.open(source, "rt", encoding="utf-8").read().splitlines()
        ]
    else:
        greetings = {
            "en": "Hello, world.",
            "de": "Grüß Gott, schöne Welt.",
            "ja": "こんにちは、世界。",
            "ar": "مرحبا بالعالم",
            "hi": "नमस्ते दुनिया",
            "fa": "می‌خواهم",
        }
        rows = [
            [code, f"{text} {number}"] for code, text in greetings.items() for number in range(100)
        ]
    records = [
        json.dumps({"text": text, "id": f"{code}-{number}", "title": code}, ensure_ascii=False)
        for number, (code, text) in enumerate(rows)
    ]
    path.write_bytes(bz2.compress(("\n".join(records) + "\n").encode()))
    return path


@pytest.fixture
def corpus(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command `corpus` in this process: (exit code, stdout, stderr)."""
    from pipelines.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:  # tyro ends a wrong command line so
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run
