"""Stories end to end from the test data: news archives, extracted text of Common Crawl and Reuters
stories, chosen by the Winograd schemas; exact tallies, the same bytes however it is run. Rows 41
and 42 of the list of defects."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import s3
from archives import articles, english, members, record
from plain_build import plain_build
from realdata import DATA, data_file
from stories_data import questions, texts, write_lines, write_questions

from shards.manifest import read_manifest

Corpus = Callable[..., tuple[int, str, str]]

RECIPE = """
[sources.stories]
kind = "stories"
input = {inputs}
questions = "questions.txt"
language = "en"
top_fraction = {fraction}
[tokenizer]
vocab_size = {vocabulary}
sample_bytes = 200000
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if data_file("cc-news") is None:
        pytest.skip("no test data: cc-news")
    folder = tmp_path_factory.mktemp("stories_build")
    write_questions(folder)
    leaking = [" ".join(questions()[20:40]), english(1) + " " + questions()[100]]
    write_lines(folder / "lines", texts(novel_pieces=100)[4_000:] + leaking, 3)
    inputs = [
        f"{DATA}/cc-news/crawl-data/**",
        f"{DATA}/warc/commoncrawl-whirlwind/*.wet*",
        f"{folder}/lines/*",
    ]
    path = folder / "recipe.toml"
    path.write_text(RECIPE.format(inputs=json.dumps(inputs), fraction=0.1, vocabulary=2000))
    return path


@pytest.fixture(scope="module")
def home(recipe: Path) -> Path:
    from pipelines.cli import main

    assert (
        main(["build", str(recipe), "--home", str(recipe.parent / "home"), "--workers", "0"]) == 0
    )
    return recipe.parent / "home"


def shards(home: Path) -> list[Any]:
    return [(entry.file, entry.digest) for entry in read_manifest(str(home / "shards")).shards]


def test_exact_tallies(home: Path, corpus: Corpus) -> None:
    figures = json.loads(corpus("stats", home, "--json")[1])["sources"]["stories"]
    # fmt: skip
    rejects = {
        "binary": 1,
        "damaged": 1,
        "empty": 1,
        "http_3xx": 1,
        "http_4xx": 1,
        "language": 155,
        "not_html": 3,
        "too_short": 69,
    }
    not_pages = {"request": 141, "revisit": 1, "warcinfo": 7}
    assert figures["survey"] == {
        "records": 1031,
        "rejects": rejects,
        "not_pages": not_pages,
        "candidates": 650,
        "chosen": 65,
    }
    assert figures["not_pages"] == not_pages
    assert figures["records"] == 1031 and figures["rejects"] == rejects | {"not_selected": 585}
    assert (figures["documents"], figures["removed"], figures["kept"]) == (
        65,
        {"exact": 5, "near": 0},
        60,
    )
    numbered = {f"question {number}": 1 for number in range(21, 41)}
    assert figures["marks"] == {
        "13 words of a question": 1,
        "8 words of a question": 1,
        "a whole question": 1,
        **numbered,
    }


def test_the_card_of_the_shards_says_what_they_give_away(home: Path) -> None:
    card = (home / "shards" / "README.md").read_text("utf-8")
    assert (
        "| stories | a whole question | 1 |" in card
        and "| stories | 13 words of a question | 1 |" in card
    )


def test_no_text_of_the_others_is_stored(home: Path) -> None:
    rows = [
        row
        for path in (home / "rejects/stories").iterdir()
        for row in pq.read_table(path, columns=["reason", "text"]).to_pylist()
    ]
    assert not any(row["text"] for row in rows if row["reason"] == "not_selected")


@pytest.mark.parametrize(
    "flags",
    [["--workers", 2, "--sources.stories.slice-bytes", 3000]],
    ids=["2 workers, small slices"],
)
def test_the_same_bytes(flags: list[object], tmp_path: Path, corpus: Corpus) -> None:
    """Also of generated texts, so that this runs everywhere."""
    (tmp_path / "in").mkdir()
    (tmp_path / "questions.txt").write_text(
        "The minister had always known how the money was spent.\nNobody would believe what "
        "the children had seen.\n"
    )
    (tmp_path / "in" / "a.warc.gz").write_bytes(members(*articles(12)))
    for name, first in (("b.warc.wet", 20), ("c.warc.wet", 30)):
        converted = [
            record(
                "conversion",
                english(number).encode(),
                f"http://a/{number}",
                content_type="text/plain",
            )
            for number in range(first, first + 8)
        ]
        (tmp_path / "in" / name).write_bytes(b"".join(converted))
    write_lines(
        tmp_path / "in" / "lines",
        [english(number, 12 if number % 3 else 1) for number in range(40, 60)] + [english(45)] * 5,
        4,
    )
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.format(inputs='"in/**"', fraction=0.4, vocabulary=300))
    for name, given in (("one", ["--workers", 0]), ("other", flags)):
        code, _, err = corpus("build", path, "--home", tmp_path / name, *given)
        assert code == 0, err
    assert shards(tmp_path / "one") == shards(tmp_path / "other")
    figures = [
        json.loads(corpus("stats", tmp_path / name, "--json")[1])["sources"]["stories"]
        for name in ("one", "other")
    ]
    assert figures[0] == figures[1]
    assert (figures[0]["records"], figures[0]["rejects"]) == (
        53,
        {"not_selected": 28, "too_short": 6},
    )
    assert len(list((tmp_path / "other" / "survey" / "stories").iterdir())) > 4


def test_both_readings_in_an_object_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Home, input and questions in a bucket: the same conclusion and documents as on this machine;
    a second run puts nothing."""
    content = {
        "in/a.warc.wet.gz": members(
            *(
                record(
                    "conversion", english(n).encode(), f"http://a/{n}", content_type="text/plain"
                )
                for n in range(8)
            )
        )
    }
    content |= {
        f"in/{n}.jsonl": json.dumps({"text": english(20 + n)}).encode() + b"\n" for n in range(4)
    }
    content["questions.txt"] = b"The minister had always known how the money was spent.\n"
    homes = []
    with s3.running() as server, s3.environment(monkeypatch, server.url):
        s3.make_bucket()
        server.fill(content)
        for name, body in content.items():
            (tmp_path / "local" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "local" / name).write_bytes(body)
        for root in (str(tmp_path / "local"), f"s3://{s3.BUCKET}"):
            path = tmp_path / "recipe.toml"
            path.write_text(
                RECIPE.replace("questions.txt", f"{root}/questions.txt")
                .replace("[tokenizer]", "slice_bytes = 1500\n[tokenizer]")
                .format(inputs=f'"{root}/in/*"', fraction=0.4, vocabulary=300)
            )
            homes.append(plain_build(path, f"{root}/home", "ingest"))
        puts = server.counts()["PUT"]
        plain_build(path, homes[1], "ingest")
        again = [request.path for request in server.requests if request.method == "PUT"][puts:]
        assert {path.rsplit("/", 1)[1] for path in again} == {"recipe.toml"}
        # fmt: skip
        files_of = [
            {
                name: body
                for name, body in found.items()
                if name.startswith(("survey/", "documents/"))
            }
            for found in (local_files(homes[0]), _below(server.objects(), "home/"))
        ]
    assert (
        files_of[0] == files_of[1]
        and any(name.endswith("conclusion.parquet") for name in files_of[0])
        and len(files_of[0]) > 4
    )


def local_files(home: str) -> dict[str, bytes]:
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in Path(home).rglob("*")
        if path.is_file()
    }


def _below(objects: dict[str, bytes], folder: str) -> dict[str, bytes]:
    return {
        key.removeprefix(folder): body
        for key, body in objects.items()
        if key.startswith(folder) and not key.endswith("/")
    }
