"""Every official file of the test data, with exact counts, and what the readers refuse."""

import json
import re
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from task_data import task_folder

from corpora.tasks import catalogue, glue, own, squad
from corpora.tasks.catalogue import TASKS, find_task
from corpora.tasks.examples import Answer, Choice, Example, Referent
from corpora.tasks.own import own_columns, own_task
from corpora.tasks.read import read, read_choices, read_examples, read_questions
from shards.errors import UserError

PARAPHRASES = "MRPC/msr_paraphrase_train_first2000.txt"
SENTENCES = "SST-2/train_sst2_sentences_first2000.tsv"

# Task, file or "" for the one that the reader finds, split, rows, and rows by label or the sum of
# the scores.
GLUE_FILES = [
    ("cola", "", "train", 8551, {0: 2528, 1: 6023}),
    ("cola", "", "dev", 1043, {0: 324, 1: 719}),
    ("sst2", SENTENCES, "train", 2000, {0: 959, 1: 1041}),
    ("sst2", "", "dev", 872, {0: 428, 1: 444}),
    ("mrpc", PARAPHRASES, "train", 2000, {0: 672, 1: 1328}),
    ("mrpc", "MRPC/msr_paraphrase_val500.txt", "dev", 500, {0: 154, 1: 346}),
    ("rte", "", "train", 1244, {0: 627, 1: 617}),
    ("rte", "", "dev", 139, {0: 70, 1: 69}),
    ("wnli", "", "train", 565, {0: 288, 1: 277}),
    ("wnli", "", "dev", 70, {0: 35, 1: 35}),
    ("stsb", "", "train", 2000, 5071.744),
    ("stsb", "", "dev", 1500, 4036.171),
]

SAMPLES = [
    ("cola", "CoLA/train.tsv", "train", 2),
    ("cola", "CoLA/dev.tsv", "dev", 2),
    ("cola", "CoLA/test.tsv", "test", 1),
    ("mnli", "MNLI/train.tsv", "train", 1),
    ("mnli", "MNLI/dev_matched.tsv", "dev", 1),
    ("mnli-mm", "MNLI/dev_mismatched.tsv", "dev", 1),
    ("mnli", "MNLI/test_matched.tsv", "test", 1),
    ("mnli-mm", "MNLI/test_mismatched.tsv", "test", 1),
]
SAMPLES += [
    (task, f"{folder}/{split}.tsv", split, 1)
    for task, folder in (
        ("sst2", "SST-2"),
        ("mrpc", "MRPC"),
        ("stsb", "STS-B"),
        ("qqp", "QQP"),
        ("qnli", "QNLI"),
        ("rte", "RTE"),
        ("wnli", "WNLI"),
    )
    for split in ("train", "dev", "test")
]


@pytest.mark.parametrize(("name", "file", "split", "rows", "labels"), GLUE_FILES)
def test_the_files_of_glue(
    name: str, file: str, split: str, rows: int, labels: dict[int, int] | float
) -> None:
    folder = task_folder("glue_data")
    found = read_examples(find_task(name), folder / file if file else folder, split)
    assert len(found.items) == rows
    assert found.counts == {}
    assert len({example.id for example in found.items}) == rows
    if isinstance(labels, dict):
        assert Counter(example.label for example in found.items) == labels
    else:
        assert round(sum(example.label or 0 for example in found.items), 3) == labels


@pytest.mark.parametrize(("name", "file", "split", "rows"), SAMPLES)
def test_the_layouts_of_glue(name: str, file: str, split: str, rows: int) -> None:
    path = task_folder("glue_data") / "format_samples" / file
    task = find_task(name)
    found = read_examples(task, path, split)
    assert len(found.items) == rows
    assert found.counts == {}
    # The reader finds the same file by itself.
    assert read_examples(task, path.parent.parent, split) == found

    lines = path.read_text("utf-8-sig").split("\n")
    for example in found.items:
        assert (example.label is None) is (split == "test")
        assert (example.second is not None) is task.is_pair
        assert any(example.first in line for line in lines)


def test_every_file_of_glue_is_read() -> None:
    folder = task_folder("glue_data")
    files = {str(path.relative_to(folder)) for path in folder.rglob("*.*")}
    read_here = {file for _, file, *_ in GLUE_FILES if file}
    read_here |= {
        f"{find_task(name).folder}/{find_task(name).files[split][0]}"
        for name, file, split, *_ in GLUE_FILES
        if not file
    }
    read_here |= {f"format_samples/{file}" for _, file, *_ in SAMPLES}
    others = {file for file in files - read_here if not file.startswith("submission_layout/")}
    assert others == {"LICENCE_CoLA_README.txt"}


def test_texts_are_those_of_the_file() -> None:
    """Quotation marks, the byte order mark, carriage returns and the columns of each layout."""
    folder = task_folder("glue_data") / "format_samples"
    mrpc = read_examples(TASKS["mrpc"], folder, "train").items[0]
    assert mrpc == Example(
        "0",
        'Amrozi accused his brother , whom he called " the witness " , of deliberately distorting '
        "his evidence .",
        'Referring to him as only " the witness " , Amrozi accused his brother of deliberately '
        "distorting his evidence .",
        1,
    )
    matched = read_examples(TASKS["mnli"], folder, "dev").items[0]
    assert (matched.first, matched.second) == (
        "The new rights are nice enough",
        "Everyone really likes the newest benefits ",
    )
    assert TASKS["mnli"].labels[int(matched.label or 0)] == "neutral"
    assert read_examples(TASKS["stsb"], folder, "train").items[0].label == 5.0
    assert read_examples(TASKS["qqp"], folder, "dev").items[0].id == "201359"

    original = task_folder("glue_data") / PARAPHRASES
    first = read_examples(TASKS["mrpc"], original, "train").items[0]
    assert first.second == (
        'Referring to him as only "the witness", Amrozi accused his brother of deliberately '
        "distorting his evidence."
    )


def test_fields_are_those_of_plain_cutting() -> None:
    """The slow twin: cut every line of every table at its tabs."""
    folder = task_folder("glue_data")
    for name, file, split, *_ in GLUE_FILES:
        task = find_task(name)
        path = folder / (file or f"{task.folder}/{task.files[split][0]}")
        lines = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").split("\n")
        table = [line.split("\t") for line in lines if line]
        names = ["", "label", "", "sentence"] if name == "cola" else table.pop(0)
        columns = task.columns
        assert columns is not None
        first = names.index(columns.first[0])
        label = names.index(columns.label[0])
        is_number = name == "stsb"
        expected = [(row[first], float(row[label]) if is_number else row[label]) for row in table]

        found: list[tuple[str, float | str | None]] = []
        for example in read_examples(task, path, split).items:
            spelled = example.label if is_number else task.labels[int(example.label or 0)]
            found.append((example.first, spelled))
        assert found == expected


# --- SQuAD and RACE


def test_the_files_of_squad() -> None:
    folder = task_folder("squad")
    first = read_questions(TASKS["squad1"], folder / "dev-v1.1-excerpt.json", "dev")
    second = read_questions(TASKS["squad2"], folder / "dev-v2.0-excerpt.json", "dev")
    assert len(first.items) == 2921
    assert len({question.context for question in first.items}) == 473
    assert len(second.items) == 2920
    assert len({question.context for question in second.items}) == 312
    assert sum(question.impossible for question in second.items) == 1458
    assert not any(question.impossible for question in first.items)

    for found in (first, second):
        assert found.counts == {}
        for question in found.items:
            assert bool(question.answers) is not question.impossible
            for answer in question.answers:
                end = answer.start + len(answer.text)
                assert question.context[answer.start : end] == answer.text


def test_a_misplaced_answer_is_counted(tmp_path: Path) -> None:
    question: dict[str, object] = {
        "id": "q",
        "question": "Who?",
        "answers": [{"text": "Ann", "answer_start": 4}, {"text": "Ann", "answer_start": 5}],
    }
    path = write_squad(tmp_path, question, "1.1")
    found = read_questions(TASKS["squad1"], path, "dev")
    assert found.items[0].answers == (Answer("Ann", 4), Answer("Ann", -1))
    assert found.counts == {squad.MISPLACED: 1}


def write_squad(folder: Path, question: dict[str, object], version: str) -> Path:
    paragraphs = [{"context": "Is: Ann.", "qas": [question]}]
    path = folder / f"squad-{version}.json"
    path.write_text(json.dumps({"version": version, "data": [{"paragraphs": paragraphs}]}))
    return path


RACE_COUNTS = {
    ("train", "race"): 314,
    ("train", "race-middle"): 174,
    ("train", "race-high"): 140,
    ("dev", "race"): 221,
    ("dev", "race-middle"): 112,
    ("dev", "race-high"): 109,
    ("test", "race"): 231,
    ("test", "race-middle"): 125,
    ("test", "race-high"): 106,
}


@pytest.mark.parametrize(("split", "name"), RACE_COUNTS)
def test_the_files_of_race(split: str, name: str) -> None:
    folder = task_folder("RACE")
    found = read_choices(TASKS[name], folder, split).items
    assert len(found) == RACE_COUNTS[split, name]
    assert found == read_choices(TASKS[name], folder.parent, split).items
    assert all(len(choice.options) == 4 for choice in found)
    assert all(choice.label is not None and 0 <= choice.label < 4 for choice in found)
    assert len({choice.id for choice in found}) == len(found)

    levels = {"race": "middle|high"}.get(name, name.removeprefix("race-"))
    assert all(re.fullmatch(rf"({levels})\d+\.txt-\d+", choice.id) for choice in found)


def test_passages_are_read_by_their_numbers() -> None:
    choices = read_choices(TASKS["race-high"], task_folder("RACE"), "dev").items
    numbers = [int(choice.id.removeprefix("high").split(".")[0]) for choice in choices]
    assert numbers == sorted(numbers)
    first = choices[0]
    path = task_folder("RACE") / "dev/high/63.txt"
    raw = json.loads(path.read_text("utf-8"))
    assert first == Choice(
        "high63.txt-1",
        raw["article"],
        raw["questions"][0],
        tuple(raw["options"][0]),
        "ABCD".index(raw["answers"][0]),
    )
    assert read_choices(TASKS["race"], path, "dev").items == choices[: len(raw["questions"])]


# --- tables that are not as they should be


def refusal(task: str, path: Path, split: str = "dev") -> str:
    """What a reader says of a file, without the folder."""
    with pytest.raises(UserError) as raised:
        read(find_task(task), path, split)
    assert "\n" not in raised.value.what
    assert raised.value.hint
    return raised.value.what.replace(f"{path.parent}/", "")


REFUSED = [
    ("sst2", "sentence\tlabel\nfine\t1\nbad\t2\n", "line 3: label '2' is not one of 0, 1"),
    ("sst2", "sentence\tlabel\nfine\t1\nbad\n", "line 3: 1 columns, but the first line names 2"),
    ("sst2", "sentence\tlabel\nfine\t1\n\nbad\t0\n", "line 3: an empty line"),
    ("sst2", "text\tlabel\nfine\t1\n", "line 1: no column 'sentence' among text, label"),
    ("sst2", "sentence\nfine\n", "line 1: no column 'label' among sentence"),
    ("sst2", "", "an empty file"),
    ("cola", "gj04\t1\t\tFine.\ngj04\t7\t*\tBad.\n", "line 2: label '7' is not one of 0, 1"),
    ("cola", "gj04\t1\tFine.\n", "line 1: no column 'sentence' among gj04, 1, Fine."),
    ("rte", "index\tsentence1\tlabel\n", "line 1: no column 'sentence2' among index, "),
    ("stsb", "sentence1\tsentence2\tscore\na\tb\t5.1\n", "line 2: label '5.1' is not between 0"),
    ("stsb", "sentence1\tsentence2\tscore\na\tb\tnan\n", "line 2: label 'nan' is not a number"),
    ("stsb", "sentence1\tsentence2\tscore\na\tb\tx\n", "line 2: label 'x' is not a number"),
    ("mnli", "sentence1\tsentence2\tgold_label\na\tb\tyes\n", "line 2: label 'yes' is not one of"),
]


@pytest.mark.parametrize(("task", "content", "what"), REFUSED)
def test_a_wrong_table_is_named_with_its_line(
    tmp_path: Path, task: str, content: str, what: str
) -> None:
    path = tmp_path / "dev.tsv"
    path.write_text(content, "utf-8")
    said = refusal(task, path)
    assert said.startswith(f"dev.tsv{', ' if what.startswith('line') else ': '}{what}")


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "dev.tsv"
    path.write_bytes(b"sentence\tlabel\nfine\t1\nna\xefve\t1\n")
    assert refusal("sst2", path) == "dev.tsv, line 3: not UTF-8"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        read(TASKS["mnli"], tmp_path, "dev")
    assert raised.value.what == f"{tmp_path}: no dev file of MNLI"
    assert raised.value.hint == (
        f"expected {tmp_path}/MNLI/dev_matched.tsv or {tmp_path}/MNLI/multinli_1.0_dev_matched.txt"
    )
    # In the task's own folder its name is not said again.
    own = tmp_path / "SST-2"
    own.mkdir()
    with pytest.raises(UserError) as raised:
        read(TASKS["sst2"], own, "train")
    assert raised.value.hint == f"expected {own}/train.tsv"
    with pytest.raises(UserError, match="no such file or folder"):
        read(TASKS["race"], tmp_path / "nowhere", "dev")
    with pytest.raises(UserError, match="AX has no split 'dev'"):
        read(TASKS["ax"], tmp_path, "dev")


def test_the_dev_set_of_mrpc_needs_the_list_of_glue(tmp_path: Path) -> None:
    (tmp_path / "msr_paraphrase_train.txt").write_text(
        "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t1\t2\ta\tb\n"
    )
    assert len(read(TASKS["mrpc"], tmp_path, "train").items) == 1
    with pytest.raises(UserError) as raised:
        read(TASKS["mrpc"], tmp_path, "dev")
    assert raised.value.what == f"{tmp_path}: no dev file of MRPC"
    assert raised.value.hint == (
        f"expected {tmp_path}/MRPC/dev.tsv; GLUE cuts it from msr_paraphrase_train.txt by a list "
        "of ids that the corpus itself does not have"
    )


def test_only_a_line_feed_ends_a_row(tmp_path: Path) -> None:
    text = 'a "b\u2028c\x0bd\x85e\rf'
    path = tmp_path / "dev.tsv"
    path.write_bytes(f"\ufeffsentence\tlabel\r\n{text}\t1\r\nno end\t0".encode())
    found = read_examples(TASKS["sst2"], path, "dev").items
    assert found == (Example("0", text, None, 1), Example("1", "no end", None, 0))


def test_rows_that_every_reader_leaves_out(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text(
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
        "7\t1\t2\tWhat?\tWhy?\t1\n8\t3\t4\tcut\n9\t5\t6\tWho?\tWhom?\t0\tmore\n"
    )
    found = read_examples(TASKS["qqp"], path, "train")
    assert [example.id for example in found.items] == ["7", "9"]
    assert found.counts == {glue.SHORT: 1, glue.LONG: 1}

    path.write_text("gold_label\tsentence1\tsentence2\n-\ta\tb\nneutral\tc\td\n")
    found = read_examples(TASKS["mnli"], path, "train")
    assert [example.first for example in found.items] == ["c"]
    assert found.counts == {glue.NO_AGREEMENT: 1}


def test_the_diagnostic_set_with_and_without_labels(tmp_path: Path) -> None:
    path = tmp_path / "diagnostic.tsv"
    path.write_text("index\tsentence1\tsentence2\n0\ta\tb\n")
    assert read_examples(TASKS["ax"], tmp_path, "test").items == (Example("0", "a", "b", None),)
    path.write_text("Logic\tPremise\tHypothesis\tLabel\n\ta\tb\tentailment\n")
    assert read_examples(TASKS["ax"], tmp_path, "test").items == (Example("0", "a", "b", 2),)


SQUAD_REFUSED = [
    ('{"data": [', "line 1: not JSON (Expecting value)"),
    ("[]", "no 'data', so this is not a file of SQuAD"),
    ('{"data": [{"title": "x"}]}', "data[0]: no 'paragraphs'"),
    ('{"data": [{"paragraphs": [{"qas": []}]}]}', "data[0].paragraphs[0]: no 'context'"),
    (
        '{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": 3, "question": "q"}]}]}]}',
        "data[0].paragraphs[0].qas[0]: 'id' is of the wrong type",
    ),
    (
        '{"data": [{"paragraphs": [{"context": "a", "qas": [{"id": "3", "question": "q"}]}]}]}',
        "data[0].paragraphs[0].qas[0]: no answers",
    ),
    ("[" * 100_000, "not JSON (nested too deeply)"),
]


@pytest.mark.parametrize(("content", "what"), SQUAD_REFUSED)
def test_a_wrong_file_of_squad_is_named_with_its_place(
    tmp_path: Path, content: str, what: str
) -> None:
    path = tmp_path / "dev.json"
    path.write_text(content)
    assert refusal("squad1", path) in (f"dev.json, {what}", f"dev.json: {what}")


def test_the_other_version_of_squad_is_named(tmp_path: Path) -> None:
    question: dict[str, object] = {"id": "q", "question": "Who?", "answers": []}
    path = write_squad(tmp_path, question | {"is_impossible": True}, "v2.0")
    assert refusal("squad1", path).endswith("its version is v2.0, so it is not SQuAD 1.1")
    assert read_questions(TASKS["squad2"], path, "dev").items[0].impossible

    path = write_squad(tmp_path, question | {"answers": [{"text": "A", "answer_start": 4}]}, "1.1")
    assert refusal("squad2", path).endswith("its version is 1.1, so it is not SQuAD 2.0")


RACE_REFUSED = [
    ({"questions": ["q"]}, "1.txt: no 'article'"),
    ({"article": "a", "questions": ["q"], "options": []}, "not as many options and answers"),
    (
        {"article": "a", "questions": ["q"], "options": [["x", "y"]], "answers": ["C"]},
        "1.txt, question 1: label 'C' is not one of A, B",
    ),
    (
        {"article": "a", "questions": ["q"], "options": [["x", 2]], "answers": ["A"]},
        "1.txt, question 1: the options are not a list of texts",
    ),
]


@pytest.mark.parametrize(("content", "what"), RACE_REFUSED)
def test_a_wrong_passage_of_race_is_named(
    tmp_path: Path, content: dict[str, object], what: str
) -> None:
    path = tmp_path / "1.txt"
    path.write_text(json.dumps(content))
    assert what in refusal("race", path)


def test_a_passage_without_answers(tmp_path: Path) -> None:
    folder = tmp_path / "RACE" / "test" / "high"
    folder.mkdir(parents=True)
    content = {"article": "a", "questions": ["q"], "options": [["x", "y"]]}
    (folder / "12.txt").write_text(json.dumps(content))
    choices = read_choices(TASKS["race"], tmp_path, "test").items
    assert choices == (Choice("high12.txt-1", "a", "q", ("x", "y"), None),)


# --- WSC


def test_wsc(tmp_path: Path) -> None:
    row = {
        "text": "Ann saw that she won.",
        "target": {"span1_text": "Ann", "span1_index": 0, "span2_text": "she", "span2_index": 3},
        "idx": 4,
        "label": True,
    }
    path = tmp_path / "val.jsonl"
    path.write_text(json.dumps(row) + "\n")
    expected = Referent("4", "Ann saw that she won.", "Ann", 0, "she", 3, 1)
    assert read(TASKS["wsc"], tmp_path, "dev").items == (expected,)

    path.write_text(json.dumps(row) + "\n" + json.dumps(row | {"label": "yes"}) + "\n")
    assert refusal("wsc", path) == "val.jsonl, line 2: 'label' is of the wrong type"
    row["target"] = {"span1_text": "Ann", "span1_index": 0, "span2_text": "x", "span2_index": 5}
    path.write_text(json.dumps(row))
    assert refusal("wsc", path) == ("val.jsonl, line 1: span2_index is 5, but the text has 5 words")


# --- a task of the user's own

OWN_ROWS = [
    {"id": "a", "body": 'a "text"', "more": "x", "topic": "10"},
    {"id": "b", "body": "another", "more": "y", "topic": "9"},
    {"id": "c", "body": "third", "more": "z", "topic": "10"},
]


def write_own(folder: Path, kind: str) -> Path:
    path = folder / f"train.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(OWN_ROWS), path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in OWN_ROWS))
    else:
        lines = ["\t".join(OWN_ROWS[0])] + ["\t".join(row.values()) for row in OWN_ROWS]
        path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("kind", ["jsonl", "tsv", "parquet"])
def test_a_task_of_ones_own(tmp_path: Path, kind: str) -> None:
    path = write_own(tmp_path, kind)
    columns = own_columns("body", "more", "topic", "id")
    task = own_task("topics", path, columns)
    assert task.labels == ("9", "10")
    assert task.is_pair
    assert read_examples(task, path, "train").items == (
        Example("a", 'a "text"', "x", 1),
        Example("b", "another", "y", 0),
        Example("c", "third", "z", 1),
    )

    numbers = own_task("scores", path, own_columns("body", label="topic"), numbers=True)
    assert not numbers.is_pair
    assert read_examples(numbers, path, "train").items[1] == Example("1", "another", None, 9.0)

    with pytest.raises(UserError) as raised:
        read_examples(own_task("t", path, own_columns("text", label="topic")), path, "dev")
    place = {"jsonl": "line 1", "tsv": "line 2", "parquet": "row 1"}[kind]
    assert raised.value.what == f"{path}, {place}: no column 'text'"
    named = "name the column with --{}-column: the file has body, id, more, topic"
    assert raised.value.hint == named.format("text")

    lacking = {
        "pair": own_columns("body", "second", "topic"),
        "label": own_columns("body"),
        "id": own_columns("body", "more", "topic", "key"),
    }
    for flag, others in lacking.items():
        with pytest.raises(UserError) as raised:
            read_examples(own_task("t", path, others), path, "dev")
        assert raised.value.hint == named.format(flag)


def test_labels_of_json_and_a_new_label(tmp_path: Path) -> None:
    train = tmp_path / "train.jsonl"
    train.write_text('{"text": "a", "label": true}\n{"text": "b", "label": false}\n')
    task = own_task("own", train, own_columns("text"))
    assert task.labels == ("false", "true")
    assert task.metrics == ("accuracy", "f1", "matthews_correlation")

    dev = tmp_path / "dev.jsonl"
    dev.write_text('{"text": "a", "label": true}\n\n{"text": "b", "label": 2}\n')
    with pytest.raises(UserError) as raised:
        read_examples(task, dev, "dev")
    assert raised.value.what == f"{dev}, line 3: label '2' is not one of false, true"
    assert raised.value.hint == "mend the row, or train on a file with this label: --train"
    with pytest.raises(UserError) as raised:
        read_examples(own_task("own", dev, own_columns("text"), numbers=True), dev, "dev")
    assert raised.value.what == f"{dev}, line 1: label 'true' is not a number"
    assert raised.value.hint == "mend the row, or leave out --numbers"

    test = tmp_path / "test.jsonl"
    test.write_text('{"text": "a"}\n')
    assert read_examples(task, test, "test").items == (Example("0", "a", None, None),)


MEND = "mend the row, or name another column with --{}-column"

LINES = "write one JSON object a line"

TWO = "name the column of the labels with --label-column, or add --numbers for a regression"

OWN_REFUSED = [
    (
        "a.jsonl",
        '{"text": 1, "label": 0}\n{"text": "b", "label": 1}\n',
        "line 1: column 'text' holds 1, not a text",
        MEND.format("text"),
    ),
    (
        "a.jsonl",
        '{"text": "a", "label": null}\n',
        "line 1: column 'label' holds None, not a label",
        MEND.format("label"),
    ),
    ("a.jsonl", '{"text": "a", "label": 0}\n{"text"\n', "line 2: not JSON", LINES),
    ("a.jsonl", "[]\n", "line 1: not a JSON object", LINES),
    (
        "a.jsonl",
        '{"text": "a", "label": 0}\n',
        "the one label '0', but a task needs two",
        TWO,
    ),
    ("a.jsonl", "", "no label, but a task needs two", TWO),
    (
        "a.tsv",
        "text\tlabel\na\t1\tb\n",
        "line 2: 3 columns, but the first line names 2",
        "mend the row",
    ),
    ("a.tsv", "text\tlabel\n\na\t1\n", "line 2: an empty line", "remove the line"),
    ("a.parquet", "no parquet", "not a Parquet file that can be read", "check the file"),
    (
        "a.csv",
        "text,label\n",
        f"the name does not end in {own.FORMATS}",
        "rename or convert the file",
    ),
]


@pytest.mark.parametrize(("name", "content", "what", "hint"), OWN_REFUSED)
def test_a_wrong_file_of_ones_own(
    tmp_path: Path, name: str, content: str, what: str, hint: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(UserError) as raised:
        task = own_task("own", path, own_columns("text"))
        read_examples(task, path, "train")
    assert what in raised.value.what
    assert raised.value.what.startswith(str(path))
    assert raised.value.hint == hint


# --- the catalogue


@pytest.mark.parametrize(
    ("name", "found"),
    [("SST-2", "sst2"), ("MNLI-m", "mnli"), ("mnli_mm", "mnli-mm"), ("squad1.1", "squad1")],
)
def test_names_of_tasks(name: str, found: str) -> None:
    assert find_task(name).name == found


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(UserError) as raised:
        find_task("sst3")
    assert raised.value.hint == "did you mean sst2?"


def test_the_catalogue_is_whole() -> None:
    assert set(catalogue.GLUE) <= set(TASKS)
    for task in TASKS.values():
        assert task.main in task.metrics
        assert bool(task.labels) is (task.kind in ("classification", "referent"))
