"""Which documents are Stories: the selection against one by brute force, ties at the cut, both
readings, what the questions leak. Rows 41 and 42 of the list of defects."""

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import ngrams_twin
import numpy as np
import pyarrow.parquet as pq
import pytest
from archives import articles, english, members, page, record, response
from hypothesis import given
from hypothesis import strategies as st
from plain_build import run_step
from realdata import data_file
from stories_data import QUESTION, questions, texts, write_lines, write_questions

from corpora.cc_news import source as cc_news_source
from corpora.document import Document, NotPage, Reject
from corpora.guard import shared_guard
from corpora.stories import source as stories_source
from corpora.stories import top_share as bests
from corpora.stories.overlap import ONE
from corpora.stories.top_share import cut_score, how_many
from corpora.text.normalise import normalise
from pipelines.home.layout import Home, open_home, write_recipe
from pipelines.home.summaries import summaries
from pipelines.recipe import load_recipe
from pipelines.stages import ingest, survey
from pipelines.stages.stage import run_task
from shards.errors import UserError

RECIPE = '[sources.tales]\nkind = "stories"\ninput = {inputs}\nquestions = "{questions}"\n{more}\n'


def home_of(
    folder: Path,
    name: str,
    inputs: list[str],
    questions: Path,
    limit: int | None = None,
    **more: Any,
) -> Home:
    """A home with a recipe, nothing built."""
    lines = "\n".join(f"{key} = {json.dumps(value)}" for key, value in more.items())
    path = folder / f"{name}.toml"
    path.write_text(
        (f"limit = {limit}\n" if limit else "")
        + RECIPE.format(inputs=json.dumps(inputs), questions=questions, more=lines)
    )
    home = Home(str(folder / name))
    write_recipe(home, load_recipe(str(path)))
    return home


def run(home: Home, backwards: bool = False) -> Counter[str]:
    """Both readings; how many tasks were worked on of each pass."""
    worked = Counter[str]()
    for step in (*survey.STAGE.passes, *ingest.STAGE.passes):
        tasks = step.plan(*open_home(home.root))
        for task in reversed(tasks) if backwards else tasks:
            address = Path(home.summary(step.name, task.source, task.name))
            before = address.stat().st_mtime_ns if address.exists() else 0
            run_task(step, task)
            worked[step.name] += address.stat().st_mtime_ns != before
    return worked


def rows(home: Home, folder: str) -> list[dict[str, Any]]:
    return [
        row
        for path in sorted(Path(home.root, folder).rglob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def chosen(home: Home) -> list[tuple[str, int]]:
    return sorted((row["path"], row["position"]) for row in rows(home, "documents"))


def digest(home: Home, source: str = "tales") -> str:
    return hashlib.blake2b(Path(home.survey(source, "conclusion")).read_bytes()).hexdigest()


# --- the selection against one by brute force
# ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def documents() -> list[str]:
    """5,000 and more, with twins among them, and one from the middle of the field in 40 copies."""
    found = texts(novel_pieces=400)
    assert len(found) > 5_000
    return found + [found[1234]] * 20 + found[:30] + [found[1234]] * 20


@pytest.fixture(scope="module")
def ranked(documents: list[str]) -> list[Fraction]:
    """The score of each by the slow twin."""
    asked = ngrams_twin.Joined(questions())
    return [asked.score(text) for text in documents]


@pytest.fixture(scope="module")
def lines(
    documents: list[str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[tuple[str, int]]]:
    folder = tmp_path_factory.mktemp("stories") / "lines"
    return folder, write_lines(folder, documents, 7)


def best(
    ranked: list[Fraction], places: list[tuple[str, int]], wanted: int
) -> list[tuple[str, int]]:
    """The first of all, sorted by score and then by place."""
    order = sorted(range(len(places)), key=lambda number: (-ranked[number], places[number]))
    return sorted(places[number] for number in order[:wanted])


def written(wanted: int, of: int) -> float:
    """A fraction of six digits of which `wanted` is the ceiling."""
    return float((Decimal(wanted) / of).quantize(Decimal("0.000001"), "ROUND_DOWN"))


@pytest.mark.builds
def test_the_selection_is_the_one_by_brute_force(
    documents: list[str],
    ranked: list[Fraction],
    lines: tuple[Path, list[tuple[str, int]]],
    tmp_path: Path,
) -> None:
    folder, places = lines
    tied = ranked.index(ranked[1234])
    group = [number for number, score in enumerate(ranked) if score == ranked[1234]]
    assert tied == 1234 and len(group) >= 41
    inside = sum(score > ranked[1234] for score in ranked) + 17  # the cut goes through the copies
    asked = write_questions(tmp_path)
    digests = set()
    for name, wanted, inputs, size, backwards in (
        ("tied", inside, [f"{folder}/*.jsonl"], 64_000_000, False),
        ("sliced", inside, [f"{folder}/0[3-6].jsonl", f"{folder}/0[0-2].jsonl"], 150_000, True),
        ("paper", how_many(0.001, len(documents)), [f"{folder}/*.jsonl"], 2_000_000, False),
    ):
        home = home_of(
            tmp_path,
            name,
            inputs,
            asked,
            min_words=1,
            top_fraction=written(wanted, len(documents)),
            slice_bytes=size,
        )
        run(home, backwards)
        assert chosen(home) == best(ranked, places, wanted), name
        counts = Counter[str]()
        for summary in summaries(home, "ingest"):
            counts.update(
                summary.counts
                | {f"rejects {reason}": count for reason, count in summary.rejects.items()}
            )
        assert (counts["records"], counts["documents"], counts["rejects not_selected"]) == (
            len(documents),
            wanted,
            len(documents) - wanted,
        )
        if name != "paper":
            digests.add(digest(home))
            assert len(summaries(home, "survey")) == len(summaries(home, "ingest"))
    assert len(digests) == 1  # what was concluded does not depend on the cut
    assert len(summaries(Home(str(tmp_path / "sliced")), "survey")) > 25
    for row in rows(Home(str(tmp_path / "tied")), "documents"):
        assert json.loads(row["extra"])["score"] == pytest.approx(
            float(ranked[places.index((row["path"], row["position"]))]), abs=1e-9
        )
    assert not any(
        row["text"] for row in rows(Home(str(tmp_path / "tied")), "rejects")
    )  # what is not chosen is not stored


# --- how many, and ties
# -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fraction", "candidates", "wanted"),
    [(0.001, 1000, 1), (0.001, 1001, 2), (0.001, 3000, 3), (0.07, 100, 7), (1e-05, 100_000, 1), (0.001, 1, 1), (0.001, 0, 0), (1.0, 17, 17), (0.29, 100, 29), (0.001, 0.5e9, 500_000)],
)  # fmt: skip
def test_how_many(fraction: float, candidates: float, wanted: int) -> None:
    """Exactly the ceiling of the fraction as it is written: 0.07 * 100 is above 7 in floats, 0.29 *
    100 below 29."""
    assert how_many(fraction, int(candidates)) == wanted


@given(
    st.lists(
        st.lists(
            st.one_of(st.integers(0, ONE), st.sampled_from([0, 1, 5, ONE, ONE - 1, 1 << 48])),
            max_size=20,
        ),
        max_size=5,
    ),
    st.integers(0, 100),
)
def test_the_cut_is_that_of_the_sorted_scores(blocks: list[list[int]], wanted: int) -> None:
    scores = sorted((score for block in blocks for score in block), reverse=True)
    wanted = min(wanted, len(scores))

    def read() -> Iterator[Any]:
        return (np.array(block, np.int64) for block in blocks)

    at, ties = cut_score(read, wanted)
    if wanted:
        assert (at, ties) == (scores[wanted - 1], wanted - sum(score > at for score in scores))
    else:
        assert not any(score >= at for score in scores) and ties == 0


def test_of_a_thousand_equal_ones_the_first_is_chosen(tmp_path: Path) -> None:
    """Row 41: N small, everything a tie."""
    asked = write_questions(tmp_path)
    write_lines(
        tmp_path / "lines", ["The box is too small for the cup, he said to her. " * 6] * 1000, 9
    )
    for size in (64_000_000, 20_000):
        home = home_of(tmp_path, f"of {size}", [f"{tmp_path}/lines/*"], asked, slice_bytes=size)
        run(home)
        assert chosen(home) == [("00.jsonl", 0)]
        assert homes_counts(home) == {"candidates": 1000, "chosen": 1}


def test_many_row_groups_are_cut_and_read_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A conclusion of several row groups: the same bytes from any slices, and each slice finds its
    own in them."""
    asked = write_questions(tmp_path)
    write_lines(tmp_path / "lines", [english(number, 5 + number % 7) for number in range(300)], 6)
    kept, digests = [], set()
    for rows_a_group, size in ((100_000, 64_000_000), (7, 64_000_000), (7, 9_000)):
        monkeypatch.setattr(bests, "_ROWS", rows_a_group)
        home = home_of(
            tmp_path,
            f"{rows_a_group} {size}",
            [f"{tmp_path}/lines/*"],
            asked,
            min_words=1,
            top_fraction=0.3,
            slice_bytes=size,
        )
        run(home)
        kept.append(chosen(home))
        with pq.ParquetFile(home.survey("tales", "conclusion")) as table:
            assert table.num_row_groups == (13 if rows_a_group == 7 else 1)
            read = [
                bests._groups_within(table, f"0{number}.jsonl", f"0{number}.jsonl")
                for number in range(6)
            ]
        digests.add((rows_a_group, digest(home)))
    assert len(kept[0]) == 90 and kept[0] == kept[1] == kept[2] and len(digests) == 2
    assert {group for groups in read for group in groups} == set(range(13)) and max(
        map(len, read)
    ) < 6


def homes_counts(home: Home) -> dict[str, int]:
    (concluded,) = summaries(home, "conclusion")
    return concluded.counts


@pytest.mark.parametrize("count", [1, 2])
def test_at_least_one_is_chosen(count: int, tmp_path: Path) -> None:
    write_lines(tmp_path / "lines", [english(number) for number in range(count)], 1)
    home = home_of(tmp_path, "home", [f"{tmp_path}/lines/*"], write_questions(tmp_path))
    run(home)
    assert homes_counts(home) == {"candidates": count, "chosen": 1}


def test_of_none_none_is_chosen(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines", ["short", ""], 1)
    home = home_of(tmp_path, "home", [f"{tmp_path}/lines/*"], write_questions(tmp_path))
    run(home)
    assert homes_counts(home) == {"candidates": 0, "chosen": 0}
    assert [row["reason"] for row in rows(home, "rejects")] == ["too_short", "empty"]


def test_a_limit_counts_in_both_readings(tmp_path: Path) -> None:
    write_lines(tmp_path / "lines", [english(number) for number in range(40)], 4)
    home = home_of(
        tmp_path,
        "home",
        [f"{tmp_path}/lines/*"],
        write_questions(tmp_path),
        limit=15,
        top_fraction=0.2,
        slice_bytes=2_000,
    )
    run(home)
    assert [
        summary.counts["records"]
        for stage in ("survey", "ingest")
        for summary in summaries(home, stage)
    ] == [15, 15]
    assert homes_counts(home) == {"candidates": 15, "chosen": 3}


# --- what is read
# -------------------------------------------------------------------------------------------------


def wet(text: str, number: int, content_type: str = "text/plain", extra: str = "") -> bytes:
    return record(
        "conversion",
        text.encode(),
        f"http://example.com/{number}",
        content_type=content_type,
        extra=extra,
    )


def test_every_kind_of_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives, their extracted text, pages, lines and plain texts; each record is accounted for in
    both readings, and pages are extracted again only when they are chosen."""
    german = (
        "Der Ausschuss hat am Dienstag den neuen Plan f\u00fcr den Hafen abgelehnt, wie ein "
        "Sprecher der Stadt sagte. "
    ) * 5
    question = QUESTION + " "
    folder = tmp_path / "in"
    folder.mkdir()
    pages = [
        *articles(6),
        response(b"nothing", status="HTTP/1.1 404 Not Found"),
        response(page("few words")),
        response(page(german)),
        record("warcinfo", b"x"),
    ]
    (folder / "a.warc.gz").write_bytes(
        members(*pages, response(page(question * 4 + english(50)), "http://example.com/best"))
        + b"\x1f\x8b cut"
    )
    (folder / "b.warc.wet.gz").write_bytes(
        members(
            *(wet(english(number), number) for number in range(60, 64)),
            wet(german, 70),
            wet("few", 71),
            wet("<p>", 72, "text/html"),
            wet("", 73),
        )
    )
    (folder / "c.warc.wet").write_bytes(
        wet(question * 5 + english(80), 80)
        + wet(english(81) + "\xff", 81).replace("\xff".encode(), b"\xff\xff")
    )
    (folder / "d.html").write_bytes(page(english(90)))
    (folder / "e.html").write_bytes(page(question * 3 + english(91)))
    (folder / "f.jsonl").write_text(
        json.dumps({"text": english(92)}) + "\n{\n" + json.dumps({"text": german}) + "\n"
    )
    (folder / "g.txt.gz").write_bytes(gzip.compress(english(93).encode(), mtime=0))
    (folder / "h.doc").write_text("no")
    (folder / "wet.paths.gz").write_bytes(gzip.compress(b"crawl-data/x\n"))
    calls: list[int] = []
    guard = shared_guard("corpora.web.extract:extract_page")

    class Counting:
        def call(self, *given: Any, **named: Any) -> Any:
            calls.append(1)
            return guard.call(*given, **named)

    monkeypatch.setattr("corpora.web.records.shared_guard", lambda name: Counting())
    monkeypatch.setattr("corpora.files.source.shared_guard", lambda name: Counting())
    home = home_of(
        tmp_path,
        "home",
        [f"{folder}/*"],
        write_questions(tmp_path),
        language="en",
        top_fraction=0.2,
    )
    run_step(survey.LOOK, home.root)
    assert len(calls) == 6 + 1 + 1 + 1 + 2  # and those with the refused ones
    calls.clear()
    run(home)
    assert len(calls) == 2
    (looked,) = summaries(home, "survey")
    (ingested,) = summaries(home, "ingest")
    common = {
        "bad_json": 1,
        "empty": 1,
        "garbage": 1,
        "http_4xx": 1,
        "language": 3,
        "not_text": 1,
        "too_short": 2,
        "unknown_format": 1,
    }
    assert looked.rejects == common
    assert looked.not_pages == ingested.not_pages == {"warcinfo": 1}
    assert homes_counts(home) == {"candidates": 17, "chosen": 4}
    assert ingested.rejects == common | {"not_selected": 13}
    assert looked.counts["records"] == ingested.counts["records"] == 29
    found = {row["path"]: row for row in rows(home, "documents")}
    assert len(found) == 4 and {"a.warc.gz", "c.warc.wet", "e.html"} < set(found)
    assert (
        found["c.warc.wet"]["url"] == "http://example.com/80"
        and found["c.warc.wet"]["language"] == "en"
        and found["c.warc.wet"]["crawled"]
    )
    rejected = {(row["path"], row["reason"]): row for row in rows(home, "rejects")}
    assert (
        rejected["a.warc.gz", "http_4xx"]["detail"] == "404"
        and rejected["b.warc.wet.gz", "language"]["detail"] == "de"
    )
    assert rejected["a.warc.gz", "not_selected"]["url"] == "http://example.com/5" and not any(
        row["text"] for row in rejected.values() if row["reason"] == "not_selected"
    )


def test_a_real_wet_file(tmp_path: Path) -> None:
    paths = [
        data_file(f"warc/commoncrawl-whirlwind/whirlwind.warc.{ending}")
        for ending in ("wet", "wet.gz")
    ]
    if None in paths:
        pytest.skip("no test data: warc")
    home = home_of(
        tmp_path, "home", [str(path) for path in paths], write_questions(tmp_path), top_fraction=1.0
    )
    run(home)
    documents = rows(home, "documents")
    assert (
        len(documents) == 2
        and documents[0]["text"] == documents[1]["text"]
        and documents[0]["url"] == documents[1]["url"]
    )
    assert rows(home, "rejects") == []
    assert [summary.not_pages for summary in summaries(home, "ingest")] == [{"warcinfo": 2}]


def test_news_archives_give_what_cc_news_gives(tmp_path: Path) -> None:
    """The archive with a defect a record, all of it chosen: the same documents and rejects, but for
    those of few words."""
    path = data_file("cc-news/crawl-data/CC-NEWS/2017/11/CC-NEWS-20171112093015-00017.warc.gz")
    if path is None:
        pytest.skip("no test data: cc-news")
    home = home_of(
        tmp_path, "home", [str(path)], write_questions(tmp_path), language="en", top_fraction=1.0
    )
    run(home)
    options = cc_news_source.CcNewsOptions(input=(str(path),), language="en")
    (piece,) = cc_news_source.slices(options)
    expected: dict[int, Document | Reject] = {}
    apart = Counter[str]()
    for outcome in cc_news_source.read(options, piece):
        if isinstance(outcome, NotPage):
            apart[outcome.kind] += 1
        else:
            expected[outcome.position] = outcome

    (looked,), (ingested,) = summaries(home, "survey"), summaries(home, "ingest")
    assert looked.not_pages == ingested.not_pages == apart
    assert apart == {"request": 38, "revisit": 1, "warcinfo": 1}
    short = {
        row["position"]
        for row in rows(home, "rejects")
        if row["reason"] == "too_short" and row["detail"].endswith(" words")
    }
    documents = {row["position"]: row for row in rows(home, "documents")}
    rejects = {row["position"]: row for row in rows(home, "rejects")}
    assert len(expected) == len(documents) + len(rejects) and len(documents) > 10
    for position, theirs in expected.items():
        if isinstance(theirs, Document):
            assert position in short or documents[position]["text"] == normalise(theirs.text)
            assert position in short or (
                documents[position]["url"],
                documents[position]["digest"],
            ) == (theirs.url, theirs.digest)
        else:
            assert (rejects[position]["reason"], rejects[position]["detail"]) == (
                theirs.reason,
                theirs.detail[:100],
            )


# --- what the questions leak
# --------------------------------------------------------------------------------------


def test_what_the_documents_hold_of_the_questions(tmp_path: Path) -> None:
    (tmp_path / "asked.txt").write_text(f"Who?\n\n{QUESTION}\nIt is not so.\n")
    told = QUESTION.upper().replace(" ", "\n-- ")
    texts = [
        english(1),
        english(2) + told + english(3),
        english(4) + "does not fit in the brown suitcase because of that. " + english(5),
        "Say who? " + english(6),
    ]
    write_lines(tmp_path / "lines", texts, 1)
    home = home_of(
        tmp_path, "all", [f"{tmp_path}/lines/*"], tmp_path / "asked.txt", top_fraction=1.0
    )
    run(home)
    held = [
        {key: value for key, value in json.loads(row["extra"]).items() if key != "score"}
        for row in rows(home, "documents")
    ]
    assert held == [
        {},
        {"questions": [2], "8-grams": 7, "13-grams": 2},
        {"8-grams": 1},
        {"questions": [1]},
    ]
    (summary,) = summaries(home, "ingest")
    assert summary.marks == {
        "a whole question": 2,
        "question 1": 1,
        "question 2": 1,
        "13 words of a question": 1,
        "8 words of a question": 2,
    }
    without = home_of(
        tmp_path,
        "without",
        [f"{tmp_path}/lines/*"],
        tmp_path / "asked.txt",
        top_fraction=1.0,
        exclude_questions=True,
    )
    run(without)
    assert [(row["reason"], row["detail"]) for row in rows(without, "rejects")] == [
        ("holds_question", "question 2"),
        ("holds_question", "question 1"),
    ]
    assert homes_counts(without) == {"candidates": 2, "chosen": 2}


@pytest.mark.parametrize("query", ["joined", "max"])
def test_questions_are_excluded_whichever_is_nearest(query: str, tmp_path: Path) -> None:
    """Only texts that share four words in a row are searched, and they share them with any
    question, not with the nearest."""
    (tmp_path / "asked.txt").write_text(f"{QUESTION}\n" + " ".join(english(7).split()[:40]) + "\n")
    write_lines(
        tmp_path / "lines", [english(7) + " " + QUESTION, " ".join(english(7).split()[:39])], 1
    )
    home = home_of(
        tmp_path,
        "home",
        [f"{tmp_path}/lines/*"],
        tmp_path / "asked.txt",
        min_words=1,
        exclude_questions=True,
        query=query,
    )
    run(home)
    assert [(row["reason"], row["position"]) for row in rows(home, "rejects")] == [
        ("holds_question", 0)
    ]


def test_the_same_question_twice(tmp_path: Path) -> None:
    (tmp_path / "asked.txt").write_text(f"{QUESTION}\n{QUESTION.lower()}!\nAnother one.\n")
    write_lines(tmp_path / "lines", [english(1), QUESTION * 5], 1)
    scores = []
    for name, dedup in (("kept", False), ("once", True)):
        home = home_of(
            tmp_path,
            name,
            [f"{tmp_path}/lines/*"],
            tmp_path / "asked.txt",
            top_fraction=1.0,
            min_words=1,
            dedup_questions=dedup,
        )
        run(home)
        scores.append([json.loads(row["extra"])["score"] for row in rows(home, "documents")])
    asked = [[QUESTION, QUESTION, "Another one."], [QUESTION, "Another one."]]
    for found, of in zip(scores, asked):
        expected = [
            ngrams_twin.score_of(of, text, joined=True, as_sets=False)
            for text in (english(1), QUESTION * 5)
        ]
        assert found == [pytest.approx(float(score), abs=1e-9) for score in expected]


# --- what is done again
# -------------------------------------------------------------------------------------------


def test_a_changed_cut_surveys_nothing_again(tmp_path: Path) -> None:
    asked = write_questions(tmp_path)
    write_lines(tmp_path / "lines", [english(number) for number in range(60)], 5)

    def build(**more: Any) -> Counter[str]:
        return +run(
            home_of(tmp_path, "home", [f"{tmp_path}/lines/*"], asked, slice_bytes=8_000, **more)
        )

    done = build(top_fraction=0.1)
    slices = done["ingest"]
    assert slices > 4 and done == {"survey": slices, "conclusion": 1, "ingest": slices}
    assert build(top_fraction=0.1) == {}
    assert build(top_fraction=0.2) == {"conclusion": 1, "ingest": slices}
    assert build(top_fraction=0.1999) == {
        "conclusion": 1,
        "ingest": slices,
    }  # the same twelve, by another setting
    assert build(top_fraction=0.1999, query="max") == done
    asked.write_text(asked.read_text() + "One question more, about the harbour.\n")
    assert build(top_fraction=0.1999, query="max") == done
    (tmp_path / "elsewhere").mkdir()
    asked = asked.rename(tmp_path / "elsewhere" / "asked.txt")
    assert build(top_fraction=0.1999, query="max") == {}  # a place is no content
    (tmp_path / "lines" / "05.jsonl").write_text(json.dumps({"text": english(99)}) + "\n")
    assert build(top_fraction=0.1999, query="max")["survey"] == 1


# --- what a user can get wrong
# ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "cannot read the questions: No such file or directory"),
        (b"\n \n...\n", "not one question in it"),
        (b"caf\xe9 au lait", "not UTF-8: invalid continuation byte at byte 3"),
    ],
)
def test_questions_that_cannot_be_read(content: bytes | None, what: str, tmp_path: Path) -> None:
    path = tmp_path / "asked.txt"
    if content is not None:
        path.write_bytes(content)
    (tmp_path / "a.txt").write_text(english(1))
    home = home_of(tmp_path, "home", [f"{tmp_path}/a.txt"], path)
    with pytest.raises(UserError, match=what) as raised:
        survey.plan(*open_home(home.root))
    assert raised.value.hint


def test_no_questions_named(tmp_path: Path) -> None:
    options = stories_source.StoriesOptions(input=(str(tmp_path),))
    with pytest.raises(UserError, match="no questions named") as raised:
        list(stories_source.slices(options))
    assert "one question per line" in raised.value.hint


@pytest.mark.parametrize(
    "setting",
    [
        {"top_fraction": 0.0},
        {"top_fraction": 1.5},
        {"min_words": 0},
        {"token_pattern": "[a-"},
        {"token_pattern": "[a-z]*"},
    ],
    ids=str,
)
def test_settings_out_of_range(setting: dict[str, Any]) -> None:
    (name,) = setting
    with pytest.raises(ValueError, match=f"^{name}: "):
        stories_source.StoriesOptions(input=("x",), **setting)


def test_a_pattern_of_ones_own(tmp_path: Path) -> None:
    """Words of other alphabets: the slow path, the same formula."""
    (tmp_path / "asked.txt").write_text(
        "\u041a\u0443\u0431\u043e\u043a \u043d\u0435 \u0432\u043b\u0435\u0437 \u0432 "
        "\u0447\u0435\u043c\u043e\u0434\u0430\u043d\n"
    )
    write_lines(
        tmp_path / "lines",
        [
            "\u041a\u0443\u0431\u043e\u043a \u0432 \u0447\u0435\u043c\u043e\u0434\u0430\u043d",
            english(1),
        ],
        1,
    )
    home = home_of(
        tmp_path,
        "home",
        [f"{tmp_path}/lines/*"],
        tmp_path / "asked.txt",
        token_pattern=r"\\w+".replace("\\\\", "\\"),
        min_words=1,
    )
    run(home)
    (row,) = rows(home, "documents")
    expected = (
        Fraction(2 * 3, 8) + 2 * Fraction(2, 6)
    ) / 10  # three words, and two of them in a row
    assert row["position"] == 0 and json.loads(row["extra"])["score"] == pytest.approx(
        float(expected), abs=1e-9
    )
