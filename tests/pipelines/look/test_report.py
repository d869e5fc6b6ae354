"""The report: its figures are those of the home, and whatever a document holds is shown as text."""

import html.parser
import json
import random
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import looked
import numpy as np
import pyarrow as pa
import pytest
from hostile_home import write_home
from hypothesis import given
from hypothesis import strategies as st
from looked import figures
from plain_build import plain_build

from corpora.quality.reasons import ARCHIVE_KINDS, OWN_RULE, REJECTS, meaning
from corpora.quality.rules import RULES
from pipelines.home.decisions import REMOVING_STAGES
from pipelines.look.report.differences import marked
from pipelines.look.report.distributions import word_counts
from pipelines.look.report.figures import ReportFigures
from pipelines.look.report.page import MAX_BYTES, TEMPLATES, page
from pipelines.wording import json_value, share
from shards import __version__

Corpus = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_home(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def gathered(home: str) -> ReportFigures:
    return looked.gathered(home)


@pytest.fixture(scope="module")
def found(gathered: ReportFigures) -> dict[str, Any]:
    return cast(dict[str, Any], json_value(gathered))


class Reader(html.parser.HTMLParser):
    """The text of a page, the elements it is made of, and what its scripts hold."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag if tag in ("script", "style") else self.inside
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = "" if tag in ("script", "style") else self.inside

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] += data
        elif not self.inside:
            self.texts.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


def test_the_figures_are_those_of_the_home(home: str, found: dict[str, Any]) -> None:
    """52 documents of a, 7 of them again in capitals; 3 of b, 2 of them copies of a's; 3 rejects of
    b."""
    assert found["stats"]["total"]["records"] == 58 and found["stats"]["total"]["documents"] == 55
    assert [
        (row["stage"], row["reason"], row["count"], row["sources"]) for row in found["reasons"]
    ] == [
        ("ingest", "bad_json", 2, {"b": 2}),
        ("ingest", "empty", 1, {"b": 1}),
        ("exact", "text", 9, {"a": 7, "b": 2}),
    ]
    assert (
        found["overlap"]["removed"] == {"a": {"a": 7}, "b": {"a": 2}}
        and found["overlap"]["counted"] == found["overlap"]["of"] == 9
    )
    assert found["similarity"] == [
        {"stage": "exact", "kind": "text", "edges": [1.0], "removed": [9]}
    ]
    assert found["looked_at"] == {"slices": 2, "of_slices": 2, "documents": 55, "of_documents": 55}
    texts = {
        kept: [record["text"] for record in looked.documents(home, None, not kept)]
        for kept in (True, False)
    }
    for name, series in (("kept", texts[True]), ("removed", texts[False])):
        edges, counts = found["lengths"]["total"]["edges"], found["lengths"]["total"][name]
        assert counts == [
            sum(edge <= len(text) < stop for text in series)
            for edge, stop in zip(edges, [*edges[1:], 10**9])
        ]
    assert {row["language"]: (row["kept"], row["removed"]) for row in found["languages"]} == {
        "en": (45, 7),
        None: (1, 2),
    }
    hosts = {row["host"]: (row["kept"], row["removed"]) for row in found["hosts"]["rows"]}
    assert (
        hosts["www.news.example"] == (40, 0)
        and hosts["example-0.org"] == (1, 0)
        and hosts[None] == (1, 9)
    )
    words = sum(len(re.findall(r"[^ \t\n\r\v\f]+", text)) for text in texts[True])
    by_source = found["tokens"]["by_source"]
    assert sum(row["words"] for row in by_source.values()) == words
    assert {name: row["tokens"] for name, row in by_source.items()} == {
        name: row["tokens"] for name, row in found["stats"]["sources"].items()
    }
    assert (
        sum(row["tokens"] for row in found["tokens"]["by_language"].values())
        == found["stats"]["total"]["tokens"]
    )
    assert (
        sum(
            split["documents"] for of in found["tokens"]["splits"].values() for split in of.values()
        )
        == 46
    )
    assert found["manifest"]["shards_in_all"] == len(found["manifest"]["shards"]) == 3
    assert found["state"] == {"complete": True, "decided": True, "set_aside": [], "safety_net": {}}


def test_the_page_shows_what_the_json_says(
    home: str, found: dict[str, Any], tmp_path: Path, corpus: Corpus
) -> None:
    code, out, err = corpus("report", home, "--out", tmp_path / "report.html", "--json")
    assert code == 0 and str(tmp_path / "report.html") in err
    assert json.loads(out) == json.loads(json.dumps(found))
    reader = read((tmp_path / "report.html").read_text("utf-8"))
    assert json.loads(reader.scripts[0]) == json.loads(out)
    text = " ".join(reader.texts)
    for row in found["stats"]["sources"].values():
        for key in ("records", "documents", "kept", "sentences", "tokens"):
            assert f"{row[key]:,}" in text
    assert not [
        name
        for tag, attributes in reader.tags
        for name in attributes
        if name.startswith("on") or name in ("src", "srcdoc")
    ]
    assert all((attributes.get("href") or "#").startswith("#") for _, attributes in reader.tags)
    assert {tag for tag, _ in reader.tags} & {
        "link",
        "img",
        "iframe",
        "object",
        "plaintext",
        "textarea",
        "b" + "ase",
    } == set()
    style = (TEMPLATES / "report.css").read_text("utf-8")
    assert "http://" not in style and "url(" not in style


def test_hostile_text_is_shown_as_text(gathered: ReportFigures) -> None:
    shown = page(gathered, "<script>home</script>")
    reader = read(shown)
    assert len(reader.scripts) == 2 and shown.count("<script") == 2 and "<!--" not in shown
    text = "".join(reader.texts)
    assert "Corpus report: <script>home</script>" in text
    assert (
        '{"text": "<script>cut' in text
        and "</script>" in text
        and "DOCUMENT.TITLE = 'BROKEN'" in text
    )
    assert shown.count("{{ 7 * 7 }}") >= 2 and "A" * 300 in text
    held = json.loads(reader.scripts[0])
    assert "<script>" in json.dumps(held["pairs"]) and "</script" not in reader.scripts[0]


@given(
    st.lists(
        st.text(
            alphabet=st.one_of(
                st.sampled_from("<>&'\"`-!/\u2028\u202e"), st.characters(exclude_categories=("Cs",))
            ),
            min_size=1,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_text_comes_back_from_the_page(gathered: ReportFigures, texts: list[str]) -> None:
    reason = gathered.reasons[0]
    example = reason.examples[0]
    examples = [
        replace(example, text=text, identity=replace(example.identity, characters=len(text)))
        for text in texts
    ]
    changed = replace(gathered, pairs=[], reasons=[replace(reason, examples=examples)])
    reader = read(page(changed, "home"))
    assert json.loads(reader.scripts[0])["reasons"][0]["examples"] == json_value(examples)
    joined = "".join(reader.texts).replace("\r\n", "\n").replace("\r", "\n")
    assert all(text.replace("\r\n", "\n").replace("\r", "\n") in joined for text in texts)


@pytest.mark.builds
def test_a_page_stays_small_whatever_is_in_it(gathered: ReportFigures) -> None:
    reason = gathered.reasons[0]
    identity = replace(
        reason.examples[0].identity, url="&" * 300, title="<" * 300, detail="'" * 300
    )
    example = replace(reason.examples[0], identity=identity, text='"<' * 250)
    side = replace(gathered.pairs[0].removed, marked=[("only", "<" * 40)] * 400)
    many = replace(
        gathered,
        reasons=[
            replace(reason, reason=f"reason {number}", examples=[example] * 5)
            for number in range(300)
        ],
        pairs=[replace(gathered.pairs[0], removed=side, kept=side)] * 24,
        recipe="<" * 3_000_000,
    )
    assert len(page(many, "home").encode()) < MAX_BYTES


def test_pairs_and_their_marks(home: str, found: dict[str, Any]) -> None:
    assert len(found["pairs"]) == 9
    texts = {
        record["id"]: record["text"]
        for removed in (True, False)
        for record in looked.documents(home, None, removed)
    }
    twins = {record["id"]: record["twin"] for record in looked.documents(home, None, True)}
    for pair in found["pairs"]:
        removed, kept = pair["removed"], pair["kept"]
        assert twins[removed["id"]] == kept["id"]
        for side in (removed, kept):
            parts = [text for kind, text in side["marked"] if kind != "gap"]
            assert all(part in texts[side["id"]] for part in parts)
        assert pair["identical"] == (texts[removed["id"]] == texts[kept["id"]])
        assert pair["identical"] or any(
            kind == "only" for kind, _ in [*removed["marked"], *kept["marked"]]
        )


@pytest.mark.builds
def test_the_figures_do_not_depend_on_slices(tmp_path: Path) -> None:
    extra = [{"text": f"copy number {number % 50}"} for number in range(400)]
    whole = figures(write_home(tmp_path / "1", extra=extra))
    other = tmp_path / "2"
    write_home(other, "ingest", extra)
    for name in ("a", "b"):
        (other / "recipe.toml").write_text(
            (other / "recipe.toml")
            .read_text()
            .replace(
                f'input = "{other}/in/{name}', f'slice_bytes = 500\ninput = "{other}/in/{name}'
            )
        )
    cut = figures(plain_build(other / "recipe.toml", other / "home"))
    assert cut["looked_at"]["slices"] > whole["looked_at"]["slices"]
    for key in (
        "stats",
        "reasons",
        "pairs",
        "lengths",
        "languages",
        "similarity",
        "overlap",
        "hosts",
        "dates",
        "tokens",
    ):
        assert cut[key] == whole[key], key


def test_a_home_that_is_not_ready(tmp_path: Path, corpus: Corpus) -> None:
    home = write_home(tmp_path, "ingest")
    code, _, err = corpus("report", home)
    assert code == 0, err
    text = (tmp_path / "home" / "report.html").read_text("utf-8")
    assert "not decided yet" in text and "No shards yet" in text
    assert corpus("report", home, "--out", tmp_path)[0] == 2
    code, _, err = corpus("report", tmp_path / "nowhere")
    assert code == 2 and "no home here" in err


def test_the_cost_of_stages_is_shown(gathered: ReportFigures, tmp_path: Path) -> None:
    from pipelines.home.layout import Home
    from pipelines.progress.board import board, read_figures, write_figures

    root = Home(str(tmp_path))
    board.begin("ingest")
    board.finish(1000, 0)
    write_figures(root, 2)
    assert read_figures(root) == []  # nothing was left to do
    board.finish(3000, 30, 5_000_000)
    board.finish(3000, 10, 4_000_000)
    write_figures(root, 2)
    (row,) = read_figures(root)
    assert row.seconds >= 0 and json_value(replace(row, seconds=0.0)) == {
        "stage": "ingest",
        "slices": 3,
        "slices_worked": 2,
        "bytes": 6000,
        "records": 40,
        "seconds": 0.0,
        "workers": 2,
        "peak_bytes": 5_000_000,
    }
    shown = page(replace(gathered, stages=[replace(row, seconds=2.0)]), "home")
    assert "5.0 MB" in shown and "3.0 kB" in shown
    (tmp_path / "work" / "figures" / "dedup.json").write_text("{cut")
    assert len(read_figures(root)) == 1


@given(st.lists(st.text(max_size=60), max_size=8))
def test_word_counts(texts: list[str]) -> None:
    column = pa.chunked_array(
        [pa.array([text], pa.large_string()) for text in texts] or [pa.array([], pa.large_string())]
    )
    expected = [len(re.findall(r"[^ \t\n\r\v\f]+", text)) for text in texts]
    assert (
        word_counts(column).tolist()
        == word_counts(
            column.combine_chunks()
            if isinstance(column.combine_chunks(), pa.ChunkedArray)
            else pa.chunked_array([column.combine_chunks()])
        ).tolist()
        == expected
    )
    sliced = pa.chunked_array(
        [pa.array(["x y", *texts, "z"], pa.large_string()).slice(1, len(texts))]
    )
    assert word_counts(sliced).tolist() == expected


@given(st.text(max_size=300), st.text(max_size=300))
def test_marks_hold_only_what_is_there(left: str, right: str) -> None:
    segments = marked(left, right)
    for side, text in zip(segments, (left, right)):
        position = 0
        for kind, part in side:
            position = (
                position if kind == "gap" and not part else text.index(part, position) + len(part)
            )
    for side, text in zip(segments, (left, right)):
        if not any(kind == "gap" for kind, _ in side):
            assert "".join(part for _, part in side) == text
    if left == right:
        assert not any(kind == "only" for side in segments for kind, _ in side)


def test_marks_of_texts_that_would_take_long() -> None:
    """One word a million times, texts without spaces, an excerpt of a long text: tenths of a
    second."""
    started = time.process_time()
    marked("word " * 1_000_000, "word " * 1_000_000 + "end")
    marked("一" * 500_000, "一" * 499_000 + "二" * 1000)
    novel = " ".join(
        f"word{random.Random(0).randrange(10**6)}{number}" for number in range(200_000)
    )
    left, right = marked(novel[700_000:900_000], novel)
    assert time.process_time() - started < 5
    assert left[0][0] == "same" and right[0] == ("gap", "")


def test_why_shows_the_twin_and_the_difference(home: str, corpus: Corpus) -> None:
    record = next(
        record for record in looked.documents(home, "a", True) if "plain" in record["text"].lower()
    )
    (fate,) = json.loads(corpus("why", home, record["id"], "--json")[1])["records"]
    assert fate["outcome"] == "removed" and (fate["stage"], fate["reason"]) == ("exact", "text")
    assert (
        fate["twin_record"]["id"] == fate["twin"]
        and fate["twin_record"]["text"].upper() == fate["text"]
    )
    assert fate["difference"][0].startswith("removed: [-A PLAIN") or "[-" in fate["difference"][0]
    code, out, _ = corpus("why", home, record["id"])
    assert code == 0 and "kept instead: a, " in out and "{+" in out
    found = json.loads(
        corpus("show", home, "--removed", "--reason", "exact", "--n", 100, "--json")[1]
    )["records"]
    assert len(found) == 9 and {record["reason"] for record in found} == {"text"}
    assert (
        json.loads(corpus("show", home, "--removed", "--reason", "address", "--json")[1])["records"]
        == []
    )
    assert corpus("show", home, "--removed", "--rejects")[0] == 2


def test_shares_never_round_to_nothing_or_all() -> None:
    assert [
        share(*pair)
        for pair in ((1, 10**6), (999_999, 10**6), (0, 5), (5, 5), (1, 3), (None, 1), (0, 0))
    ] == [*("<0.1 %", ">99.9 %", "0.0 %", "100.0 %", "33.3 %", "–", "–")]


@pytest.mark.parametrize(
    "command",
    [
        ["show"],
        ["show", "--rejects"],
        ["show", "--removed"],
        ["why", "ID"],
        ["export", "OUT"],
        ["report"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("folder", ["documents", "rejects", "attributes"])
def test_a_cut_file_is_one_line(
    command: list[str],
    folder: str,
    home: str,
    found: dict[str, Any],
    tmp_path: Path,
    corpus: Corpus,
) -> None:
    broken = tmp_path / "home"
    shutil.copytree(home, broken)
    for path in (broken / folder).rglob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-40])
    names = {"ID": found["pairs"][0]["removed"]["id"], "OUT": str(tmp_path / "out")}
    name, *rest = [names.get(argument, argument) for argument in command]
    code, out, err = corpus(name, broken, *rest)
    assert "Traceback" not in err
    if code:
        assert (
            code == 1
            and "damaged" in err
            and "restore it: corpus build" in err
            and len(err.strip().splitlines()) == 2
        )
    else:
        assert folder != "documents" and command != ["report"] or command == ["show", "--rejects"]


def test_damage_inside_a_page_of_a_column_is_one_line(
    home: str, tmp_path: Path, corpus: Corpus
) -> None:
    broken = tmp_path / "home"
    shutil.copytree(home, broken)
    (path,) = (broken / "documents" / "a").iterdir()
    content = bytearray(path.read_bytes())
    content[4 : len(content) // 2] = bytes(
        np.random.default_rng(0).integers(0, 256, len(content) // 2 - 4, dtype=np.uint8)
    )
    path.write_bytes(content)
    code, _, err = corpus("report", broken)
    assert code == 1 and "damaged" in err, err


def test_near_copies_show_what_differs(tmp_path: Path) -> None:
    """A text of 60 words, and again with one changed, and white space that is no difference."""
    words = [f"word{number}" for number in range(60)]
    texts = [
        " ".join(words),
        " ".join([*words[:58], "other", words[59]]).replace("word7 ", "word7\n"),
    ]
    home = write_home(tmp_path, extra=[{"text": text} for text in texts])
    found = figures(home)
    assert found["stats"]["total"]["removed"] == {"exact": 9, "near": 1}
    near = {pair["kind"]: pair for pair in found["pairs"] if pair["stage"] == "near"}
    assert [
        (side, text)
        for side in ("removed", "kept")
        for kind, text in near["near"][side]["marked"]
        if kind == "only"
    ] == [
        ("removed", "other"),
        ("kept", "word58"),
    ]
    assert round(near["near"]["score"], 4) == round(54 / 58, 4)
    assert {row["kind"]: (row["edges"], row["removed"]) for row in found["similarity"]} == {
        "text": ([1.0], [9]),
        "near": ([0.92], [1]),
    }
    shown = page(looked.gathered(home), "home")
    assert "near: near" in shown and "<mark>other</mark>" in shown and "similarity 0.931" in shown


# --- what the page says of reasons and stages


def test_every_word_that_is_counted_has_a_sentence() -> None:
    """One source of truth: the sentences of the reference."""
    reference = (Path(__file__).parents[3] / "docs" / "reference.md").read_text("utf-8")
    assert meaning("ingest", "http_4xx") == meaning("ingest", "http_5xx") == REJECTS["http_Nxx"]
    assert meaning("ingest", "reason_of_my_own") == "" == meaning("rules", "rule_of_mine")
    assert meaning("rules", "my.rules:shouting") == OWN_RULE
    for reason in set(REJECTS) - {"http_Nxx"}:
        sentence = meaning("ingest", reason)
        assert sentence and f"| `{reason}` | {sentence.replace('|', chr(92) + '|')} |" in reference
    for kind in ("text", "address"):
        assert f"| `{kind}` | {meaning('exact', kind)} |" in reference
    for kind in ("near", "contained"):
        assert f"| `{kind}` | {meaning('near', kind)} |" in reference
    for kind, sentence in ARCHIVE_KINDS.items():
        assert f"| `{kind}` | {sentence} |" in reference
    rows = {**RULES, "exclude_urls": None, "only_domains": None}
    for rule in rows:
        sentence = meaning("rules", rule)
        assert sentence.endswith(".") and f"| {sentence} |" in reference


def test_the_sentence_stands_beside_the_word(gathered: ReportFigures) -> None:
    text = page(gathered, "home")
    for reason in gathered.reasons:
        assert reason.meaning
        shown = re.sub(r"`([^`]*)`", r"<code>\1</code>", reason.meaning.replace("'", "&#39;"))
        assert f'<span class="meaning">{shown}</span>' in text


def test_a_stage_has_one_colour_whatever_stages_there_are(gathered: ReportFigures) -> None:
    """With the rules or without them, exact and near are drawn alike."""
    style = (TEMPLATES / "report.css").read_text("utf-8")
    colours = set()
    for stage in REMOVING_STAGES:
        assert f".{stage} {{ background: var(--{stage}); }}" in style
        # by day, by night and by choice
        colours |= set(re.findall(rf"--{stage}: (#[0-9a-f]{{6}});", style))
        assert len(re.findall(rf"--{stage}: #", style)) == 3
    assert len(colours) == 2 * len(REMOVING_STAGES)

    total = gathered.stats.total
    for stages in (("exact", "near"), ("rules", "exact", "near")):
        counted = replace(total, removed=dict.fromkeys(stages, 1))
        stats = replace(gathered.stats, sources={"a": counted}, total=counted)
        text = page(replace(gathered, stats=stats), "home")
        legend = re.findall(r'<i class="(\w+)"></i>removed by (\w+)', text)
        assert legend == [(stage, stage) for stage in stages]
        bars = re.findall(r'<i class="(\w+)" style="[^"]*" title="removed by (\w+):', text)
        assert bars == [(stage, stage) for stage in stages]


def test_the_head_tells_when_and_what(home: str, gathered: ReportFigures) -> None:
    """The time is that of the newest summary, and the recipe is the home's."""
    newest = max(path.stat().st_mtime for path in Path(home, "summaries").rglob("*.json"))
    moment = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(newest))
    assert gathered.built == moment
    text = page(gathered, "home")
    head = " ".join(text[text.index("<header>") : text.index("</header>")].split())
    assert f"Last built {moment}, with corpusmill {__version__}. 2 sources:" in head
    assert "<summary>the recipe as built</summary>" in head and "[sources.a]" in head

    unbuilt = page(replace(gathered, built=None, manifest=None), "home")
    assert "Not built yet. 2 sources:" in " ".join(unbuilt.split())
