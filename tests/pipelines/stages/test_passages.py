"""Stage `passages`: what is repeated, in which document it stays, and what is left; sources that
are compared with and not emitted."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import looked
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_build import job_of, plain_build

from corpora.text.normalise import exact_digest
from pipelines.home.cuts import cut
from pipelines.home.layout import open_home
from pipelines.home.summaries import ordered_slices, summaries
from pipelines.look.export import export
from pipelines.look.stats import stats
from pipelines.stages.passages import counts, find, repeats
from pipelines.stages.passages.find import find_passages
from pipelines.stages.passages.stage import account

LICENCE = "\n".join(
    ["Permission is granted to use this file freely.", "It comes without any warranty.", "(c)"]
)
BANNER = "We use cookies on this site. You may refuse them. Ask us how. See our notice for more."
WORDS = "river house stone green light paper table chair water mountain window garden road".split()


def own_words(number: int, count: int = 60) -> str:
    return " ".join(f"{WORDS[(number * 7 + i) % len(WORDS)]}{number}{i % 3}" for i in range(count))


TEXTS = [
    f"{LICENCE}\n\n{own_words(0)}",
    f"{LICENCE}\n\n{own_words(1)}",
    f"{own_words(2)}\nsent from my telephone",
    f"Council meets on Monday. {BANNER}",
    f"Storm closes the coast road. {BANNER}",
    f"{own_words(5)}\nSent  from my Telephone\n{own_words(6)}",
    f"So so.\n{LICENCE}",
]


def build(
    folder: Path,
    settings: str,
    texts: dict[str, list[str]],
    slice_bytes: int = 10**6,
    dedup: str = "",
    until: str = "shards",
) -> str:
    recipe = ""
    for name, of_source in texts.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, text in enumerate(of_source):
            (folder / name / f"{number:03d}.txt").write_text(text, "utf-8")
        recipe += (
            f'[sources.{name}]\nkind = "files"\ninput = "{name}/*.txt"\n'
            f"slice_bytes = {slice_bytes}\n"
        )
    path = folder / "recipe.toml"
    path.write_text(
        f"{recipe}{settings}\n[dedup]\nmax_removed = 1.0\n{dedup}\n[tokenizer]\nvocab_size = 300\n"
    )
    return plain_build(path, folder / "home", until)


def exported(home: str, out: Path) -> dict[str, str]:
    export(*open_home(home), str(out), "parquet")
    rows = [row for path in out.glob("data/*.parquet") for row in pq.read_table(path).to_pylist()]
    return {f"{row['path']}": row["text"] for row in rows}


def test_the_first_keeps_a_passage_and_the_others_lose_it(tmp_path: Path) -> None:
    home = build(tmp_path, '[sources.a.dedup]\npassages = "remove"', {"a": TEXTS})
    assert exported(home, tmp_path / "out") == {
        "000.txt": TEXTS[0],
        "001.txt": own_words(1),
        "002.txt": TEXTS[2],
        "003.txt": TEXTS[3],
        "004.txt": "Storm closes the coast road.",
        "005.txt": f"{own_words(5)}\n{own_words(6)}",
    }
    removed = stats(*open_home(home)).total.removed
    assert removed == {"exact": 0, "passages": 1, "near": 0}
    (record,) = looked.why(home, "006.txt")
    assert record["reason"] == "too_little_left" and record["stage"] == "passages"

    # what is exported, built again, holds nothing that is repeated
    again = build(
        tmp_path / "again",
        '[sources.a.dedup]\npassages = "remove"',
        {"a": list(exported(home, tmp_path / "once-more").values())},
    )
    assert exported(again, tmp_path / "again-out").keys() == {f"00{n}.txt" for n in range(6)}


def test_why_shows_a_passage_with_the_text_around(tmp_path: Path) -> None:
    home = build(tmp_path, '[sources.a.dedup]\npassages = "measure"', {"a": TEXTS})
    assert exported(home, tmp_path / "out").keys() == {f"00{n}.txt" for n in range(7)}
    first, second = looked.why(home, "000.txt")[0], looked.why(home, "005.txt")[0]
    (licence,) = first["passages"]
    assert licence["documents"] == 2 and licence["first"] == first["id"] and not licence["cut"]
    assert licence["text"] == f"{LICENCE}\n\n" and licence["after"] == own_words(0)[:60]
    (signature,) = second["passages"]
    assert signature["text"] == "Sent  from my Telephone\n"
    assert signature["first"] == looked.why(home, "002.txt")[0]["id"]


@given(data=st.data())
def test_passages_lie_in_the_text_in_order(data: st.DataObject) -> None:
    piece = st.sampled_from(
        ["One two three. ", "Four. ", "five six", "\n", "\n\n", " ", "日本語。"]
    )
    text = "".join(data.draw(st.lists(piece, max_size=20))).strip()
    found = find_passages(text, 1)
    lines = {exact_digest(line)[:8] for line in text.split("\n") if line.strip(" ")}
    assert lines <= {passage.key.to_bytes(8, "little") for passage in found} | {
        exact_digest(".")[:8]
    }
    for passage in found:
        assert 0 <= passage.begin < passage.end <= len(text)
        digest = exact_digest(text[passage.begin : passage.end])
        assert digest[:8] == passage.key.to_bytes(8, "little")
    assert [passage.begin for passage in found] == sorted(passage.begin for passage in found)


def test_the_cut_is_what_lies_between() -> None:
    assert cut("one\ntwo\nthree\n", [(0, 4), (8, 13)]) == "two"
    assert cut("one", []) == "one" and cut("one", [(0, 3)]) == ""


@pytest.mark.parametrize("slice_bytes", [1, 3000, 10**6])
def test_passages_by_counting(slice_bytes: int, tmp_path: Path) -> None:
    """How often and where first, by a count of all lines; the cut of slices changes nothing."""
    texts = [
        "\n".join([own_words(number, 20), *(f"line number {n} of some" for n in range(number % 5))])
        for number in range(40)
    ]
    home = build(tmp_path, '[sources.a.dedup]\npassages = "remove"', {"a": texts}, slice_bytes)
    holders: dict[str, list[int]] = defaultdict(list)
    for number, text in enumerate(texts):
        for line in text.split("\n"):
            holders[line].append(number)

    opened, recipe = open_home(home)
    ids: list[str] = []
    found: list[list[dict[str, Any]]] = []
    for summary in ordered_slices(opened, recipe):
        table = pq.read_table(opened.attributes("passages", "a", summary.slice))
        ids += table.column("id").to_pylist()
        found += table.column("passages").to_pylist()

    for number, (text, spans) in enumerate(zip(texts, found)):
        # several repeated lines in a row end the text, so they are told one by one
        told = {text[span["begin"] : span["end"]].strip("\n"): span for span in spans}
        repeated = [line for line in text.split("\n") if len(holders[line]) > 1]
        assert list(told) == repeated
        for line, span in told.items():
            assert span["documents"] == len(holders[line])
            assert span["first"] == ids[holders[line][0]]
            assert span["cut"] == (holders[line][0] != number)


def test_what_is_only_compared_with_is_not_emitted(tmp_path: Path) -> None:
    """Copies of an evaluation set are removed, whatever the order of the tables."""
    question = own_words(3)
    home = build(
        tmp_path,
        "[sources.tests]\nkind = 'files'\ninput = 'web/00[01].txt'\nemit = false\n",
        {"web": [question, own_words(4), own_words(7), f"{own_words(8)} more"]},
    )
    opened, recipe = open_home(home)
    assert recipe.dedup.priority == ("tests", "web")
    counted = stats(opened, recipe)
    assert counted.sources["tests"].removed == {"exact": 0, "near": 0, "emit": 2}
    assert counted.sources["web"].removed == {"exact": 2, "near": 0}
    assert (counted.sources["tests"].kept, counted.sources["web"].kept) == (0, 2)
    assert exported(home, tmp_path / "out").keys() == {"002.txt", "003.txt"}
    shards = json.loads((Path(home) / "shards" / "manifest.json").read_text())["shards"]
    assert {shard["source"] for shard in shards} == {"web"}
    assert looked.why(home, "000.txt")[0]["reason"] in ("not_emitted", "text")


@pytest.mark.builds
def test_corpus_dedup_finds_passages_and_a_changed_setting_is_decided_anew(
    tmp_path: Path, corpus: Callable[..., tuple[int, str, str]]
) -> None:
    home = build(tmp_path, "", {"a": TEXTS})
    (tmp_path / "recipe.toml").write_text(
        (tmp_path / "recipe.toml").read_text() + '[sources.a.dedup]\npassages = "remove"\n'
    )
    build_it = ("build", tmp_path / "recipe.toml", "--home", home, "--workers", 0, "--yes")
    code, _, err = corpus(*build_it)
    assert code == 0 and "passages a: 8 repeated passages in 7 documents" in err
    assert corpus("dedup", home, "--workers", 0)[0] == 0
    assert stats(*open_home(home)).total.removed == {"exact": 0, "passages": 1, "near": 0}


def attributes_of(home: str, source: str) -> list[tuple[str, bytes]]:
    folder = Path(home) / "attributes" / "passages" / source
    return [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]


def counted(home: str, stage: str, name: str) -> int:
    return sum(summary.counts[name] for summary in summaries(open_home(home)[0], stage))


def test_only_records_of_repeated_passages_leave_their_slice(tmp_path: Path) -> None:
    """Law 1: of 40 documents of 12 lines, five of which end with one line, 480 + 5 sketches meet
    and 5 records are sent."""
    texts = [
        "\n".join(own_words(30 * number + line, 5) for line in range(12)) for number in range(40)
    ]
    texts[:5] = [f"{text}\nread more of this on our site" for text in texts[:5]]
    home = build(
        tmp_path, '[sources.a.dedup]\npassages = "measure"', {"a": texts}, 1000, until="dedup"
    )
    # the text of a document is a paragraph too
    assert counted(home, "passage-keys", "records") == 40 * 12 + 5 + 40
    assert counted(home, "passage-repeats", "sketches") == 525
    assert counted(home, "passage-records", "records") == 5
    assert counted(home, "passages", "passages") == 5
    for summary in summaries(open_home(home)[0], "passage-records"):
        assert summary.output_bytes == 20 * summary.counts["records"] + 257 * 8


@pytest.mark.parametrize("documents", [2, 3])
def test_parts_of_the_keys_change_nothing(
    documents: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = '[sources.a.dedup]\npassages = "remove"'
    often = f"passage_documents = {documents}"
    texts = [text.replace("(c)", f"(c) by {n % 2} of us all") for n, text in enumerate(TEXTS * 3)]
    once = build(tmp_path / "once", settings, {"a": texts}, 300, often, "dedup")
    monkeypatch.setattr(repeats, "PART_SKETCHES", 1)
    monkeypatch.setattr(counts, "PART_RECORDS", 7)
    parts = build(tmp_path / "parts", settings, {"a": texts}, 300, often, "dedup")
    assert len(summaries(open_home(once)[0], "passage-repeats")) == 1
    assert len(summaries(open_home(parts)[0], "passage-repeats")) == 64
    assert attributes_of(once, "a") == attributes_of(parts, "a")


def test_passages_that_share_a_sketch_only_are_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bits that no sketch holds settle it: such records are sent and found to be alone."""
    digest = find.exact_digest

    def with_one_sketch(text: str) -> bytes:
        whole = digest(text)
        return whole[:3] + b"equal" + whole[8:]

    monkeypatch.setattr(find, "exact_digest", with_one_sketch)
    home = build(tmp_path, '[sources.a.dedup]\npassages = "measure"', {"a": TEXTS}, until="dedup")
    records = counted(home, "passage-keys", "records")
    assert records == counted(home, "passage-records", "records") > 20
    assert counted(home, "passages", "passages") == 8


@given(st.lists(st.integers(0, 9)), st.integers(1, 4))
def test_repeated_values_by_counting(values: list[int], times: int) -> None:
    wanted = [value for value, count in sorted(Counter(values).items()) if count >= times]
    assert repeats.repeated_values(np.array(values, np.uint64), times).tolist() == wanted


def test_the_line_of_the_build_counts_the_documents_that_were_compared(tmp_path: Path) -> None:
    """An exact copy is removed before its passages are looked at."""
    home = build(tmp_path, '[sources.a.dedup]\npassages = "remove"', {"a": [*TEXTS, TEXTS[0]]})
    said: list[str] = []
    account(job_of(home, say=said.append))
    assert said[0].startswith("passages a: 8 repeated passages in 7 documents; ")
