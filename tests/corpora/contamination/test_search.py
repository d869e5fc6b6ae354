"""Passages of test sets are found in documents, exactly and all of them."""

import itertools
import json
import random
from dataclasses import astuple
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from passages_twin import passages_of, words_of
from passages_twin import search as slow_search
from task_data import task_folder

from corpora.contamination import passages as module
from corpora.contamination.passages import Passages, make_passages, ngrams, search
from corpora.contamination.test_sets import (
    TestText,
    digest_of_texts,
    find_test_files,
    read_texts,
)
from shards.errors import UserError

WORD = st.sampled_from(
    ["a", "B", "c", "don't", "é", "1,000", "x-y", "Zebra", "\u212a", "İ", "naïve"]
)

TEXT = st.lists(WORD, max_size=22).map(" ".join)


def texts_of(drawn: list[tuple[str, str]]) -> list[TestText]:
    found = []
    for number, (task, text) in enumerate(drawn):
        examples = dict.fromkeys([f"dev {number}", f"dev {number % 3}"])
        found.append(TestText(task, "first", text, tuple(examples)))
    return found


def found_in(passages: Passages, text: str) -> dict[str, tuple[object, ...]]:
    return {task: astuple(hits) for task, hits in search(passages, text).items()}


@given(
    st.lists(st.tuples(st.sampled_from(["rte", "sst2"]), TEXT), max_size=6),
    st.lists(TEXT, max_size=3),
    st.sampled_from([8, 9, 13]),
    st.data(),
)
def test_the_search_equals_its_twin(
    drawn: list[tuple[str, str]], others: list[str], longest: int, data: st.DataObject
) -> None:
    texts = texts_of(drawn)
    planted = data.draw(st.lists(st.sampled_from([text for _, text in drawn] or [""]), max_size=3))
    document = " ".join(data.draw(st.permutations([*planted, *others])))
    passages = make_passages(texts, longest)
    assert passages.count == len({p for _, text in drawn for p in passages_of(text, longest)})
    assert found_in(passages, document) == slow_search(texts, document, longest)


def test_words_and_lengths() -> None:
    """Punctuation and tokenization make no difference; a text of seven words is not looked for, one
    of eight only whole."""
    texts = [
        TestText("rte", "first", "One two three four five six seven eight.", ("dev 0",)),
        TestText("rte", "second", "one two three four five six seven", ("dev 0",)),
        TestText("sst2", "first", "it does not matter , she said , at all .", ("dev 7", "dev 9")),
    ]
    passages = make_passages(texts)
    assert passages.count == 2
    assert search(passages, "one two three four five six seven nine") == {}

    text = (
        'Zero: "One-two three four, FIVE six seven\neight\u2019 nine. '
        "It does not matter (she said) at all"
    )
    found = search(passages, text)
    assert found["rte"].begins == (1,)
    assert ngrams(found) == 2
    assert found["rte"].examples == ("dev 0",)
    assert found["rte"].first == "dev 0, first"
    assert found["sst2"].examples == ("dev 7", "dev 9")
    assert found["sst2"].words == "it does not matter she said at all"
    with pytest.raises(ValueError, match="7 words are fewer than 8"):
        make_passages(texts, 7)


def test_more_hits_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROOM", 2)
    text = " ".join(f"w{n}" for n in range(200))
    passages = make_passages([TestText("race-high", "passage", text, ("high 1",))])
    assert passages.count == 188
    found = search(passages, f"{text} {text}")["race-high"]
    assert found.begins == (*range(188), *range(200, 388))
    assert found.words == " ".join(f"w{n}" for n in range(13))


def test_no_test_set_and_no_text() -> None:
    assert search(make_passages([]), "a text") == {}
    passages = make_passages([TestText("rte", "first", "é — ü", ("dev 0",))])
    assert passages.count == 0
    assert search(passages, "") == {}


# --- planted in real text


def documents() -> list[str]:
    """Real text that holds none of the test sets: what Python says of itself."""
    from pipelines.commands.sample import python_documentation

    return [text for _, text in itertools.islice(python_documentation(), 300)]


def real_texts() -> list[TestText]:
    folders = [task_folder("glue_data"), task_folder("squad"), task_folder("RACE")]
    return read_texts(find_test_files(map(str, folders)))


def test_planted_passages_are_found_and_nothing_else() -> None:
    """Passages of 13 words, put into real documents: recall and precision are 1."""
    texts = real_texts()
    passages = make_passages(texts)
    plain = documents()
    assert len(plain) == 300
    assert [number for number, text in enumerate(plain) if search(passages, text)] == []

    chance = random.Random(7)
    long = [number for number, text in enumerate(texts) if len(words_of(text.text)) >= 13]
    planted: dict[int, tuple[str, str]] = {}
    for place in sorted(chance.sample(range(300), 60)):
        text = texts[chance.choice(long)]
        words = words_of(text.text)
        at = chance.randrange(len(words) - 12)
        passage = " ".join(words[at : at + 13])
        planted[place] = (text.task, passage)

    true = false = 0
    for place, document in enumerate(plain):
        if place in planted:
            middle = document.find("\n", len(document) // 2) + 1
            document = f"{document[:middle]}\n. {planted[place][1]} .\n{document[middle:]}"
        found = search(passages, document)
        for task, hits in found.items():
            is_right = place in planted and hits.words == planted[place][1]
            true += is_right and task == planted[place][0]
            false += not is_right
    assert (true, false) == (60, 0)

    # One word less, or one word changed in the middle, is no passage.
    for _, passage in planted.values():
        words = passage.split()
        assert search(passages, " ".join(words[1:])) == {}
        assert search(passages, " ".join([*words[:6], "zzz", *words[7:]])) == {}


def test_the_test_sets_hold_themselves() -> None:
    """Every text of enough words of every test set is found as its own example, with as many
    passages as it has."""
    texts = real_texts()
    passages = make_passages(texts)
    assert len(texts) == 14_254
    assert passages.count == 140_273
    assert passages.count == len({p for text in texts for p in passages_of(text.text, 13)})
    for text in texts[::7]:
        expected = len(passages_of(text.text, 13))
        found = search(passages, text.text)
        if not expected:
            assert text.task not in found or found[text.task].begins
            continue
        hits = found[text.task]
        assert set(text.examples) <= set(hits.examples)
        assert len(hits.begins) >= expected


# --- which files


def test_files_of_the_data() -> None:
    found = find_test_files([str(task_folder("glue_data")), str(task_folder("squad"))])
    named = [
        (file.task.name, file.split, f"{file.path.parent.name}/{file.path.name}") for file in found
    ]
    folder = task_folder("glue_data")
    assert [row for row, file in zip(named, found) if "format_samples" not in file.path.parts] == [
        ("cola", "dev", "CoLA/dev.tsv"),
        ("rte", "dev", "RTE/dev.tsv"),
        ("sst2", "dev", "SST-2/dev.tsv"),
        ("stsb", "dev", "STS-B/dev.tsv"),
        ("wnli", "dev", "WNLI/dev.tsv"),
        ("squad1", "dev", "squad/dev-v1.1-excerpt.json"),
        ("squad2", "dev", "squad/dev-v2.0-excerpt.json"),
    ]
    samples = [row for row, file in zip(named, found) if "format_samples" in file.path.parts]
    assert len(samples) == 20
    assert ("mnli", "dev_mismatched", "MNLI/dev_mismatched.tsv") in samples

    race = find_test_files([str(task_folder("RACE"))])
    assert [(file.task.name, file.split) for file in race] == [
        ("race-high", "dev"),
        ("race-middle", "dev"),
        ("race-high", "test"),
        ("race-middle", "test"),
    ]
    # A file given twice, or by its own name, is read once.
    assert (
        len(find_test_files([str(folder), str(folder / "CoLA"), str(folder / "CoLA/dev.tsv")]))
        == 25
    )


def test_a_file_of_a_task_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.tsv"
    path.write_text("sentence\tlabel\nfine\t1\n")
    (file,) = find_test_files([f"SST-2={path}"])
    assert (file.task.name, file.split) == ("sst2", "test")
    assert read_texts([file]) == [TestText("sst2", "first", "fine", ("mine 0",))]

    with pytest.raises(UserError, match="no development or test file of a known task"):
        find_test_files([str(tmp_path)])
    with pytest.raises(UserError, match="no such file or folder"):
        find_test_files([f"sst2={tmp_path}/none"])
    with pytest.raises(UserError, match="no such task"):
        find_test_files([f"sst3={path}"])
    with pytest.raises(UserError, match="must be files of this machine"):
        find_test_files(["s3://bucket/glue"])


def test_equal_texts_are_one_with_all_examples(tmp_path: Path) -> None:
    questions = [
        {"id": name, "question": text, "answers": []}
        for name, text in (("a", "Who?"), ("b", "When?"))
    ]
    content = {"data": [{"paragraphs": [{"context": "Ann, in May.", "qas": questions}]}]}
    path = tmp_path / "dev-v2.0.json"
    path.write_text(json.dumps(content))
    texts = read_texts(find_test_files([str(tmp_path)]))
    assert texts == [
        TestText("squad2", "context", "Ann, in May.", ("dev-v2.0 a", "dev-v2.0 b")),
        TestText("squad2", "question", "Who?", ("dev-v2.0 a",)),
        TestText("squad2", "question", "When?", ("dev-v2.0 b",)),
    ]
    assert digest_of_texts(texts) != digest_of_texts(texts[:2])
