"""What users do in their first hour and in their second week, from the first command to the last.

Each story runs the commands that the pages of docs/ name, on real data, with exact figures.
"""

import json
import lzma
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from realdata import data_file

import shards
from shards.manifest import read_manifest

Corpus = Callable[..., tuple[int, str, str]]

WEEKS = {
    "week1": ("2016/09/CC-NEWS-20160908141502-00000", "2017/11/CC-NEWS-20171112093015-00017"),
    "week2": ("2018/03/CC-NEWS-20180330101010-00055",),
}

NEWS = """
[sources.news]
kind = "cc_news"
input = {inputs}
[tokenizer]
vocab_size = 1000
[shards]
valid_fraction = 0.1
shard_tokens = 10000
"""


TEXTS = """
[sources.texts]
kind = "files"
input = "in/*.txt"
[tokenizer]
vocab_size = 300
"""


@pytest.fixture
def trainer(capsys: pytest.CaptureFixture[str]) -> Corpus:
    """Run the command `trainer` in this process: (exit code, stdout, stderr)."""
    from trainer.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


# --- a data engineer whose archives come every week (docs/weekly.md)


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the archives of two weeks in a folder each."""
    folder = tmp_path_factory.mktemp("archives")
    for week, names in WEEKS.items():
        (folder / week).mkdir()
        for name in names:
            archive = data_file(f"cc-news/crawl-data/CC-NEWS/{name}.warc.gz")
            if archive is None:
                pytest.skip("no test data: cc-news")
            shutil.copy(archive, folder / week)
    return folder


def write_recipe(folder: Path, *inputs: str) -> Path:
    """A recipe that reads these globs below `folder`."""
    path = folder / "recipe.toml"
    path.write_text(NEWS.format(inputs=json.dumps([f"{folder}/{name}" for name in inputs])))
    return path


def times(home: Path, folder: str) -> dict[str, int]:
    """When each file below a folder of the home was written."""
    files = sorted((home / folder).rglob("*.*"))
    return {str(path.relative_to(home)): path.stat().st_mtime_ns for path in files}


def ids(home: Path, split: str) -> list[str]:
    """The ids of a split's documents, in order."""
    opened = shards.open(str(home / "shards"), split)
    return [shard.ids[row].as_py() for shard in opened for row in range(shard.entry.documents)]


def digests(home: Path) -> dict[str, str]:
    """The digest of each shard."""
    return {entry.file: entry.digest for entry in read_manifest(str(home / "shards")).shards}


def test_the_second_week(archives: Path, tmp_path: Path, corpus: Corpus) -> None:
    home = tmp_path / "home"
    first = write_recipe(archives, "week1/*.warc.gz")
    code, _, _ = corpus("build", first, "--home", home)
    assert code == 0
    documents, summaries = times(home, "documents"), times(home, "summaries/ingest")
    valid, train, before = ids(home, "valid"), ids(home, "train"), digests(home)
    assert (len(valid), len(train), len(before)) == (9, 69, 21)

    both = write_recipe(archives, "week1/*.warc.gz", "week2/*.warc.gz")
    code, _, said = corpus("build", both, "--home", home)
    assert code == 0
    assert "changed:" not in said

    # Only the second week is read.
    assert documents.items() < times(home, "documents").items()
    assert summaries.items() < times(home, "summaries/ingest").items()
    assert (len(documents), len(times(home, "documents"))) == (1, 2)
    # Every id and every split stays; what is new comes behind it.
    assert ids(home, "valid")[: len(valid)] == valid
    assert ids(home, "train")[: len(train)] == train
    assert len(ids(home, "valid")) + len(ids(home, "train")) == 91
    # The vocabulary stays, so the shards do too: only the last of a split can grow.
    assert "tokenizer: 1,000 ids, kept as trained on 479 kB of text; now there is 546 kB" in said
    after = digests(home)
    assert [name for name in before if after[name] != before[name]] == ["valid-news-00002.arrow"]

    # Nothing depends on the order of the weeks: one build of both, with this vocabulary, is equal.
    at_once = write_recipe(archives, "week2/*.warc.gz", "week1/*.warc.gz")
    vocabulary = home / "tokenizer" / "tokenizer.json"
    code, _, _ = corpus(
        "build", at_once, "--home", tmp_path / "once", "--tokenizer.path", vocabulary
    )
    assert code == 0
    assert digests(tmp_path / "once") == after


def test_the_vocabulary_is_trained_again_when_asked(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("A rose is a rose is a rose. " * 20)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(TEXTS)
    home, fresh = tmp_path / "home", tmp_path / "fresh"

    def vocabulary(home: Path) -> str:
        return read_manifest(str(home / "shards")).tokenizer.digest

    assert corpus("build", recipe, "--home", home)[0] == 0
    first = vocabulary(home)
    (tmp_path / "in" / "b.txt").write_text("Of thistles nobody has ever spoken thus. " * 20)
    assert corpus("build", recipe, "--home", home)[0] == 0
    assert vocabulary(home) == first
    assert corpus("build", recipe, "--home", home, "--retrain")[0] == 0
    assert corpus("build", recipe, "--home", fresh)[0] == 0
    assert vocabulary(home) == vocabulary(fresh) != first
    assert digests(home) == digests(fresh)

    # The command of the stage does the same; and a recipe that asks for another one needs no flag.
    (tmp_path / "in" / "c.txt").write_text("Nor did the violets. " * 20)
    assert corpus("build", recipe, "--home", home)[0] == 0
    second = vocabulary(home)
    assert corpus("train-tokenizer", home)[0] == 0
    assert corpus("tokenize", home)[0] == 0
    assert vocabulary(home) != second
    assert corpus("build", recipe, "--home", home, "--tokenizer.vocab-size", "290")[0] == 0
    assert read_manifest(str(home / "shards")).tokenizer.vocab_size == 290


def test_a_recipe_that_changes_ids_asks(tmp_path: Path, corpus: Corpus) -> None:
    for week, count in (("week1", 3), ("week2", 2)):
        (tmp_path / week).mkdir()
        for number in range(count):
            text = f"The {week} had a day {number}.\n" * 20
            (tmp_path / week / f"{week}-{number}.txt").write_text(text)
    recipe, home = tmp_path / "recipe.toml", tmp_path / "home"

    def build(glob: str, *flags: object) -> tuple[int, str]:
        recipe.write_text(TEXTS.replace("in/*.txt", glob) + "[shards]\nvalid_fraction = 0.5\n")
        code, _, said = corpus("build", recipe, "--home", home, *flags)
        return code, said

    assert build("week1/*.txt")[0] == 0
    assert build("week*/*.txt")[0] == 0
    held_out = ids(home, "valid")

    code, said = build("**/week*.txt")
    assert code == 2
    assert said == (
        "changed: files of texts have other names (week1-0.txt is now week1/week1-0.txt), so "
        "5 documents get other ids and are ingested again\n"
        f"changed: {len(held_out)} validation documents of texts are drawn again: "
        "3 of them become training documents\n"
        f"error: {home}: documents would be removed or get other ids\n"
        "hint: add --yes to go on, or choose another home\n"
    )
    # A refused recipe leaves the home as it was.
    assert build("week*/*.txt")[0] == 0
    assert ids(home, "valid") == held_out

    code, said = build("week*/*.txt", "--sources.texts.document", "line")
    assert code == 2
    assert 'sources.texts.document from none to "line", so its 5 documents get other ids' in said

    assert build("**/week*.txt", "--yes")[0] == 0
    assert ids(home, "valid") != held_out

    # Below `**` a folder's name is part of its files' names.
    (tmp_path / "week2").rename(tmp_path / "second")
    code, said = build("**/week*.txt")
    assert code == 2
    assert (
        "changed: files of texts have other names (week2/week2-0.txt is now second/week2-0.txt), "
        "so 2 documents get other ids and are ingested again\n"
    ) in said


# --- a student with a language of her own


def test_a_student_with_a_language_of_her_own(
    tmp_path: Path, corpus: Corpus, trainer: Corpus
) -> None:
    """Basque, which langdetect does not know, in a folder beside texts of other languages."""
    sentences = data_file("langid/sentences.tsv.xz")
    if sentences is None:
        pytest.skip("no test data: langid")
    by_language: dict[str, list[str]] = {"eu": [], "es": [], "fr": []}
    for line in lzma.decompress(sentences.read_bytes()).decode().splitlines():
        language, _, text = line.partition("\t")
        if language in by_language:
            by_language[language].append(text)
    (tmp_path / "texts").mkdir()
    for language, texts in by_language.items():
        for number in range(0, 120, 6):
            name = f"{language}-{number:03d}.txt"
            (tmp_path / "texts" / name).write_text("\n".join(texts[number : number + 6]))

    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        '[sources.mine]\nkind = "files"\ninput = "texts"\nlanguage = "eu"\n'
        "[tokenizer]\nvocab_size = 600\n[shards]\nvalid_fraction = 0.2\n"
    )
    home, run = tmp_path / "home", tmp_path / "run"
    code, _, said = corpus("build", recipe, "--home", home)
    assert code == 0
    # What is not Basque is rejected, with its reason, and can be looked at.
    assert "ingest mine: 60 records, 20 documents, 40 language\n" in said
    _, shown, _ = corpus("show", home, "--rejects", "--reason", "language")
    assert shown.count("es-") + shown.count("fr-") >= 3
    code, why, _ = corpus("why", home, "eu-006.txt")
    assert code == 0 and "path: eu-006.txt\nposition: 0\noutcome: kept\n" in why
    assert '- "eu"' in (home / "shards" / "README.md").read_text()

    # The first model: trained, judged, asked.
    small = ("--steps", "4", "--batch", "8", "--evaluation.every", "4", "--save-every", "4")
    assert trainer("pretrain", "--shards", home, "--run", run, "--recipe", "tiny", *small)[0] == 0
    code, said, _ = trainer("evaluate", "--run", run)
    assert code == 0 and "step 4" in said and "perplexity" in said
    code, said, _ = trainer("show", run, "--fill", "Euskara <mask> da.")
    assert code == 0 and len(said.splitlines()) >= 1


def test_a_language_that_no_detector_knows(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("Latgola ir regions Latvejis austrumūs. " * 5)
    (tmp_path / "in" / "b.txt").write_text("Latgolys sova volūda ir latgalīšu volūda. " * 5)
    recipe, home = tmp_path / "recipe.toml", tmp_path / "home"

    recipe.write_text(TEXTS.replace("[tokenizer]", 'language = "ltg"\n[tokenizer]'))
    code, _, said = corpus("build", recipe, "--home", home)
    assert code == 2
    assert "hint:" in said and 'label = "ltg"' in said

    recipe.write_text(TEXTS.replace("[tokenizer]", 'label = "ltg"\n[tokenizer]'))
    assert corpus("build", recipe, "--home", home)[0] == 0
    assert '- "ltg"' in (home / "shards" / "README.md").read_text()


# --- a researcher after the paper's tables


def test_a_researcher_asks_what_the_run_will_take(trainer: Corpus) -> None:
    """Before there is a corpus: the paper's first row on eight GPUs, from a number of tokens."""
    plan = ("pretrain", "--recipe", "roberta-base", "--dry-run", "--tokens", "33_000_000_000")
    code, said, _ = trainer(*plan, "--devices", "8", "--device-kind", "H200", "--json")
    assert code == 0
    figures = json.loads(said)
    assert figures["parameters"] == 124_697_433  # as published, with the head
    assert (figures["tokens_per_step"], figures["steps"]) == (4_194_304, 500_000)
    assert figures["epochs"] == {"all": pytest.approx(57.2, abs=0.05)}
    assert figures["hours"] == pytest.approx(110.7, abs=0.05)
    assert figures["assumption"] == "40% of the peak"
