"""`corpus forget`: what is left is, to the byte, a build of the same inputs with the list."""

import json
import pydoc
import shutil
from collections.abc import Callable
from pathlib import Path

import archives
import pyarrow.parquet as pq
import pytest
from crash import Recorder, State, read_state, states, write_state
from five_corpora import CORPORA, PLANT, equal_text, planted, write
from plain_build import job_of, plain_build, quiet

from corpora.quality.forgotten import Forgotten
from corpora.text.normalise import exact_digest
from pipelines.home.forgotten import keep_forgotten
from pipelines.home.layout import Home, open_home
from pipelines.stages.forget import find_listed, take_out

Corpus = Callable[..., tuple[int, str, str]]

MORE = 20
"""Texts of its own that each corpus has besides the planted ones."""


def outputs(home: Path) -> State:
    """What a home is made of: `work/` may differ, and the lock names a process."""
    return {
        path: content
        for path, content in read_state(home).items()
        if not path.startswith("work/") and path != "lock"
    }


def differing(home: Path, other: Path) -> list[str]:
    got, wanted = outputs(home), outputs(other)
    return sorted(path for path in {*got, *wanted} if got.get(path) != wanted.get(path))


def inputs(folder: Path) -> Path:
    """A recipe of the five corpora: planted texts, `MORE` others in each, a book that is like no
    other document, pages of many hosts, and one with personal data and one too short among them."""
    recipe = write(folder, with_data=False)
    for place, corpus in enumerate(CORPORA):
        texts = [archives.english(100 * place + number, 12) for number in range(MORE)]
        PLANT[corpus](folder / corpus, planted(corpus) + texts)

    pages = [
        archives.response(
            archives.page(
                archives.english(7000 + number, 12) + f" Write to me{number}@home.example."
            ),
            f"http://host{number % 9}.example/{number}",
        )
        for number in range(45)
    ]
    pages.append(archives.response(archives.page("Too short."), "http://host3.example/short"))
    (folder / "cc-news" / "hosts.warc.gz").write_bytes(archives.members(*pages))
    (folder / "books" / "unlike.txt").write_text(pydoc.plain(pydoc.render_doc("textwrap")))
    text = recipe.read_text().replace("[dedup]", "[sources.cc-news.pii]\ncount = true\n[dedup]")
    recipe.write_text(text)
    return recipe


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(recipe, its home)."""
    folder = tmp_path_factory.mktemp("built")
    recipe = inputs(folder / "inputs")
    return recipe, Path(plain_build(recipe, folder / "home"))


def rows(home: Path, kind: str, source: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for path in sorted((home / kind / source).glob("*.parquet")):
        found += pq.read_table(path).to_pylist()
    return found


def with_list(recipe: Path, listed: Path) -> Path:
    """The recipe with an exclusion list, beside it."""
    path = recipe.parent / f"with-{listed.stem}.toml"
    path.write_text(f'forget = ["{listed}"]\n{recipe.read_text()}')
    return path


def one(home: Path) -> list[str]:
    return [str(rows(home, "documents", "wikipedia")[7]["id"])]


def unlike(home: Path) -> list[str]:
    """One that was compared with none."""
    books = rows(home, "documents", "books")
    return [str(row["id"]) for row in books if row["path"] == "unlike.txt"]


def host(home: Path) -> list[str]:
    return ["host3.example"]


def one_percent(home: Path) -> list[str]:
    """By id, address and text, from every corpus."""
    ids = [str(rows(home, "documents", corpus)[9]["id"]) for corpus in CORPORA]
    return [*ids[:3], "https://www.HOST5.example/5/?utm_source=x"]


@pytest.mark.parametrize(
    "chosen", [one, unlike, host, one_percent], ids=lambda chosen: chosen.__name__
)
def test_it_is_a_build_with_the_list(
    chosen: Callable[[Path], list[str]],
    built: tuple[Path, Path],
    tmp_path: Path,
    corpus: Corpus,
) -> None:
    recipe, base = built
    home = Path(shutil.copytree(base, tmp_path / "home"))
    listed = tmp_path / f"{chosen.__name__}.txt"
    listed.write_text("\n".join(chosen(base)))
    count = {"one": 1, "unlike": 1, "host": 5, "one_percent": 4}[chosen.__name__]

    code, out, err = corpus("forget", home, listed, "--workers", 0)
    assert (code, out.count("forgotten: ")) == (0, count), err
    rejects = 1 if chosen is host else 0
    assert f"forget: {count} document" in err and f"and {rejects} reject" in err

    # A build with the list trains its vocabulary without the documents.
    again = ("build", recipe, "--home", home, "--retrain", "--workers", 0)
    assert corpus(*again)[0] == 0
    plain_build(with_list(recipe, listed), tmp_path / "other")
    assert differing(home, tmp_path / "other") == []


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(recipe, its home) of the planted texts alone: text k is in the corpus of priority k and,
    equal and nearly so, in all after it."""
    folder = tmp_path_factory.mktemp("small")
    recipe = write(folder / "inputs", with_data=False)
    return recipe, Path(plain_build(recipe, folder / "home"))


def times(home: Path) -> dict[str, int]:
    """When each shard was written."""
    return {path.name: path.stat().st_mtime_ns for path in (home / "shards").glob("*.arrow")}


def test_copies_come_back_and_the_vocabulary_stays(
    small: tuple[Path, Path], tmp_path: Path, corpus: Corpus
) -> None:
    recipe, base = small
    home = Path(shutil.copytree(base, tmp_path / "home"))
    (home / "report.html").write_text("a report")
    before = times(home)
    # Text 3 is first in stories; cc-news has an equal copy and one that is nearly equal.
    texts = rows(home, "documents", "stories")
    [chosen] = [row for row in texts if row["text"] == equal_text(3)]
    (tmp_path / "list").write_text(str(chosen["id"]))

    code, out, _ = corpus("forget", home, tmp_path / "list", "--dry-run")
    assert code == 0 and differing(home, base) == ["report.html"]
    assert out.startswith(f"forgotten: stories {chosen['id']} http://stories.example/6\n")
    copies = [row for row in rows(home, "documents", "cc-news") if row["text"] == equal_text(3)]
    copy = str(copies[0]["id"])
    assert f"copy: cc-news {copy} was removed (text) for {chosen['id']}\n" in out

    code, _, err = corpus("forget", home, tmp_path / "list", "--workers", 0)
    assert code == 0
    assert "the vocabulary was trained on 1 of these documents and stays" in err
    assert "removed report.html" in err and not (home / "report.html").exists()
    # Nothing but the shards of the two sources was written.
    written = {name for name, time in times(home).items() if before.get(name) != time}
    shards = {"train-stories-00000.arrow", "train-cc-news-00000.arrow", "valid-cc-news-00000.arrow"}
    assert written == shards
    sampled = home / "work" / "sample" / "stories"
    assert not list(sampled.glob("*.parquet"))

    kept = json.loads(corpus("why", home, copy, "--json")[1])["records"][0]
    assert kept["outcome"] == "kept"
    code, _, err = corpus("why", home, chosen["id"])
    assert code == 2 and "this home has forgotten it" in err

    # A later build by the user's own recipe, which names no list, brings nothing back.
    held = outputs(home)
    assert corpus("build", recipe, "--home", home, "--workers", 0)[0] == 0
    assert outputs(home) == held


def test_copies_are_forgotten_too(small: tuple[Path, Path], tmp_path: Path, corpus: Corpus) -> None:
    recipe, base = small
    home = Path(shutil.copytree(base, tmp_path / "home"))
    # Nobody noted what is counted of single documents: their slices are read again.
    shutil.rmtree(home / "work")
    [chosen] = [row for row in rows(home, "documents", "wikipedia") if row["text"] == equal_text(0)]
    (tmp_path / "list").write_text(str(chosen["id"]))
    asked = ("forget", home, tmp_path / "list", "--copies", "forget")
    code, out, _ = corpus(*asked, "--workers", 0, "--json")
    assert code == 0
    told = json.loads(out)
    assert len(told["forgotten"]) == 5 and told["copies"] == []

    listed = (home / "forgotten.txt").read_text().split()
    assert sorted(row["id"] for row in told["forgotten"]) == listed
    texts = [row["text"] for name in CORPORA for row in rows(home, "documents", name)]
    assert equal_text(0) not in texts and equal_text(1) in texts
    (tmp_path / "all.txt").write_text("\n".join(listed))
    again = ("build", recipe, "--home", home, "--retrain", "--workers", 0)
    assert corpus(*again)[0] == 0
    plain_build(with_list(recipe, tmp_path / "all.txt"), tmp_path / "other")
    assert differing(home, tmp_path / "other") == []


def test_a_killed_one_is_completed_by_the_next_build(
    small: tuple[Path, Path], tmp_path: Path
) -> None:
    """Every state that a loss of power may leave."""
    recipe, base = small
    home = Path(shutil.copytree(base, tmp_path / "home"))
    before = read_state(home)
    listed = Forgotten(hosts=frozenset({"planted.example", "stories.example"}))
    with pytest.MonkeyPatch.context() as patch:
        recorder = Recorder(home, patch)
        keep_forgotten(Home(str(home)), listed)
        take_out(job_of(home, say=quiet), find_listed(*open_home(str(home)), listed))
    wanted = ingested(read_state(home))

    root = tmp_path / "resumed"
    every = list(states(recorder.events, before))
    assert len(every) > 20
    for state in every[:: max(1, len(every) // 10)]:
        write_state(state, root)
        plain_build(recipe, root, "ingest")
        if "forgotten.txt" in state:
            assert ingested(read_state(root)) == wanted
        else:
            assert ingested(read_state(root)) == ingested(before)


def ingested(state: State) -> State:
    """What `ingest` gives."""
    kinds = ("documents/", "rejects/", "summaries/ingest/")
    return {path: content for path, content in state.items() if path.startswith(kinds)}


def test_lines_that_name_nothing_are_said(
    small: tuple[Path, Path], tmp_path: Path, corpus: Corpus
) -> None:
    """A mistyped line of a request must not pass for one that was met."""
    _, home = small
    texts = rows(home, "documents", "stories")
    met = [
        str(texts[0]["id"]),
        str(texts[1]["digest"]),
        exact_digest(str(texts[2]["text"])).hex(),
        "https://WWW.stories.example/6#top",
        "*.stories.example",
    ]
    unmet = ["0" * 32, "https://stories.example/mistyped", "exmple.com"]
    (tmp_path / "list").write_text("\n".join(met + unmet))

    code, out, err = corpus("forget", home, tmp_path / "list", "--dry-run", "--json")
    assert code == 0
    nothing = ["0" * 32, "exmple.com", "stories.example/mistyped"]
    assert json.loads(out)["names_nothing"] == nothing

    code, _, err = corpus("forget", home, tmp_path / "list", "--dry-run")
    assert code == 0
    assert f"warning: 3 lines of the list name nothing in this home: {', '.join(nothing)};" in err


def test_errors(small: tuple[Path, Path], tmp_path: Path, corpus: Corpus) -> None:
    _, home = small
    (tmp_path / "empty").write_text("# nothing\n")
    (tmp_path / "wrong").write_text("not an entry\n")
    for name, what in {
        "none": "forget: cannot read",
        "empty": "an empty list",
        "wrong": "line 1: 'not an entry' is neither an id, a hash, an address nor a host",
    }.items():
        code, _, err = corpus("forget", home, tmp_path / name)
        assert code == 2 and what in err, name
    code, out, err = corpus("forget", tmp_path / "no-home", tmp_path / "wrong")
    assert code == 2 and out == ""
