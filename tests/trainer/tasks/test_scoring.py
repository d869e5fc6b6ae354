"""Scores equal those of the official scorers and of the libraries to the last digit."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import squad_twin as twin
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from task_data import task_folder

from corpora.tasks.catalogue import TASKS
from corpora.tasks.examples import Answer, Choice, Question
from corpora.tasks.read import read_choices, read_examples
from shards.errors import UserError
from trainer.cli import main
from trainer.tasks.scoring import squad
from trainer.tasks.scoring.metrics import METRICS, NONE, score_labels, score_race
from trainer.tasks.scoring.score import NoAnswer, as_json, score_file

REAL = {
    "squad/predictions-v1.1/BERT_ensemble_Google_AI_Language.json": "squad1",
    "squad/predictions-v1.1/Logistic_Regression_Baseline_Stanford_University.json": "squad1",
    "squad/predictions-v2.0/BERT_single_model_Google_AI_Language.json": "squad2",
    "squad/predictions-v2.0/BiDAF_+_Self_Attention_+_ELMo_single_model_Allen_Institute_f.json": (
        "squad2"
    ),
}

DATA = {"squad1": "dev-v1.1-excerpt.json", "squad2": "dev-v2.0-excerpt.json"}


@pytest.mark.parametrize("name", REAL)
def test_real_predictions(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = task_folder("squad")
    expected = json.loads((folder / "expected_scores.json").read_text("utf-8"))
    assert set(expected) == set(REAL)

    task = REAL[name]
    paths = ["--data", f"{folder}/{DATA[task]}", "--predictions", f"{folder.parent}/{name}"]
    assert main(["score", "--task", task, *paths, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    found = {key: said[key] for key in expected[name]}
    assert found == expected[name]
    assert said["exact_match"] == said.get("exact", said["exact_match"])


# --- SQuAD on fuzzed files

PIECES = st.sampled_from(
    [
        "the",
        "a",
        "An",
        "cat",
        "Cat",
        "cats",
        "U.S.",
        "1,000",
        "the_",
        "é",
        "—",
        "'",
        "“x”",
        "",
        "  ",
    ]
    + ["\u00a0", "\n", "a-b", "THE", "theatre", "$5", "İ", "一", "²", "a\u0301", "_"]
)

TEXTS = st.lists(PIECES, max_size=6).map(" ".join) | st.lists(PIECES, max_size=3).map("".join)


@given(TEXTS)
def test_normalisation(text: str) -> None:
    assert squad.normalise(text) == twin.plain(text)


@st.composite
def files(draw: st.DrawFn, least: int) -> tuple[list[twin.Row], dict[str, str], dict[str, float]]:
    """Questions with at least so many answers, predictions of all, and how sure of no answer."""
    count = draw(st.integers(1, 12))
    rows: list[twin.Row] = []
    predictions = {}
    sure = {}
    for number in range(count):
        name = f"q{number}"
        answers = draw(st.lists(TEXTS, min_size=least, max_size=3))
        rows.append((name, answers))
        predictions[name] = draw(st.sampled_from(answers) | TEXTS if answers else TEXTS)
        sure[name] = draw(st.sampled_from([-1.5, 0.0, 0.25, 0.5, 2.0]) | st.floats(-3, 3))
    order = draw(st.permutations(sorted(sure)))
    return rows, predictions, {name: sure[name] for name in order}


def questions_of(rows: list[twin.Row]) -> list[Question]:
    found = []
    for name, texts in rows:
        answers = tuple(Answer(text, 0) for text in texts)
        found.append(Question(name, "?", "", answers, not answers))
    return found


@given(files(1), st.data())
def test_squad1_equals_its_twin(
    drawn: tuple[list[twin.Row], dict[str, str], dict[str, float]], data: st.DataObject
) -> None:
    rows, predictions, _ = drawn
    gone = data.draw(st.sets(st.sampled_from(sorted(predictions))))
    given_ones = {name: text for name, text in predictions.items() if name not in gone}
    given_ones["foreign"] = "cat"
    found = squad.score_squad1(questions_of(rows), given_ones)
    expected = twin.score_1(rows, given_ones)
    assert found == expected | {"total": len(rows), "missing": len(gone)}


@given(files(0), st.sampled_from([-1.0, 0.0, 0.25, 1.0]))
def test_squad2_equals_its_twin(
    drawn: tuple[list[twin.Row], dict[str, str], dict[str, float]], threshold: float
) -> None:
    rows, predictions, sure = drawn
    found = squad.score_squad2(questions_of(rows), predictions)
    expected = twin.score_2(rows, predictions, None, 1.0)
    assert {key: found[key] for key in expected} == expected
    assert "best_f1" not in found

    found = squad.score_squad2(questions_of(rows), predictions, sure, threshold)
    expected = twin.score_2(rows, predictions, sure, threshold)
    assert {key: found[key] for key in expected} == expected
    assert found["thresh"] == threshold

    # `at_best_thresh` is the score at that threshold.
    for name in ("exact", "f1"):
        at = found[f"best_{name}_thresh"]
        again = squad.score_squad2(questions_of(rows), predictions, sure, at)
        assert again[name] == found[f"{name}_at_best_thresh"]


def test_real_predictions_equal_the_twin_digit_by_digit() -> None:
    """Other orders of adding, and sums with a correction, differ in the last digit here."""
    folder = task_folder("squad")
    content = json.loads((folder / DATA["squad2"]).read_text("utf-8"))
    rows = []
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            for raw in paragraph["qas"]:
                rows.append((raw["id"], [answer["text"] for answer in raw["answers"]]))
    path = folder.parent / list(REAL)[2]
    predictions = json.loads(path.read_text("utf-8"))
    sure = {name: len(text) % 7 / 7 for name, text in predictions.items()}
    wanted = {name for name, _ in rows}
    sure = {name: value for name, value in sure.items() if name in wanted}
    found = squad.score_squad2(questions_of(rows), predictions, sure, 0.5)
    expected = twin.score_2(rows, predictions, sure, 0.5)
    assert {key: found[key] for key in expected} == expected


def test_a_threshold_between_equals_is_no_threshold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With one number for every question the official search still reports a best score that no
    threshold gives: here it counts the right answer before the wrong one."""
    rows: list[twin.Row] = [("a", ["cat"]), ("b", [])]
    predictions = {"a": "cat", "b": "dog"}
    found = squad.score_squad2(questions_of(rows), predictions, {"a": 0.5, "b": 0.5})
    assert found["best_f1"] == 100.0
    assert found["best_f1_thresh"] == 0.5
    assert found["f1_at_best_thresh"] == 50.0


def test_missing_predictions_of_squad2_score_nothing() -> None:
    rows: list[twin.Row] = [("a", ["cat"]), ("b", []), ("c", ["dog"])]
    found = squad.score_squad2(questions_of(rows), {"a": "cat"})
    assert found["exact"] == found["f1"] == 100.0 / 3
    assert found["missing"] == 2
    assert found["NoAns_exact"] == 0.0


# --- GLUE and RACE


LABELS = st.lists(st.tuples(st.integers(0, 2), st.integers(-1, 2)), min_size=1, max_size=20)


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(LABELS)
def test_metrics_of_labels_equal_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    gold = np.array([pair[0] for pair in pairs])
    predicted = np.array([pair[1] for pair in pairs])
    assert METRICS["accuracy"](gold, predicted) == sk.accuracy_score(gold, predicted)
    found = METRICS["matthews_correlation"](gold, predicted)
    assert found == sk.matthews_corrcoef(gold, predicted)

    # F1 is that of the second label: of the fractions, in plain Python.
    right = sum(pair == (1, 1) for pair in pairs)
    of_both = sum(pair[0] == 1 for pair in pairs) + sum(pair[1] == 1 for pair in pairs)
    assert METRICS["f1"](gold, predicted) == pytest.approx(
        2 * right / of_both if of_both else 0.0, abs=1e-15
    )


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=2, max_size=30))
def test_matthews_by_its_formula(pairs: list[tuple[int, int]]) -> None:
    tp, tn = pairs.count((1, 1)), pairs.count((0, 0))
    fp, fn = pairs.count((0, 1)), pairs.count((1, 0))
    under = math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    expected = (tp * tn - fp * fn) / under if under else 0.0
    gold, predicted = np.array(pairs).T
    assert METRICS["matthews_correlation"](gold, predicted) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("gold", "predicted", "scores"),
    [
        ([1, 1, 1], [1, 1, 1], {"accuracy": 1.0, "f1": 1.0, "matthews_correlation": 0.0}),
        ([0, 0, 0], [0, 0, 0], {"accuracy": 1.0, "f1": 0.0, "matthews_correlation": 0.0}),
        ([0, 1, 1], [1, 1, 1], {"accuracy": 2 / 3, "f1": 0.8, "matthews_correlation": 0.0}),
        ([1, 1], [0, 0], {"accuracy": 0.0, "f1": 0.0, "matthews_correlation": 0.0}),
        ([0, 1], [NONE, NONE], {"accuracy": 0.0, "f1": 0.0, "matthews_correlation": 0.0}),
    ],
)
def test_one_class_only(gold: list[int], predicted: list[int], scores: dict[str, float]) -> None:
    for name, score in scores.items():
        assert METRICS[name](np.array(gold), np.array(predicted)) == pytest.approx(score)


def test_correlations_with_ties_and_with_equal_numbers() -> None:
    from scipy import stats

    gold = [0.0, 1.0, 1.0, 2.5, 5.0, 5.0]
    given_ones = [1.0, 1.0, 0.5, 2.0, 2.0, 4.75]
    found = score_labels(TASKS["stsb"], gold, given_ones)
    assert found["pearson"] == stats.pearsonr(gold, given_ones).statistic
    assert found["spearmanr"] == stats.spearmanr(gold, given_ones).statistic

    # Ties share the mean of their ranks: the ranks by hand, then Pearson's formula.
    ranks = np.array([[1, 2.5, 2.5, 4, 5.5, 5.5], [2.5, 2.5, 1, 4.5, 4.5, 6]])
    assert found["spearmanr"] == pytest.approx(np.corrcoef(ranks)[0, 1], abs=1e-12)

    same = score_labels(TASKS["stsb"], gold, [1.0] * 6)
    assert math.isnan(same["pearson"])
    assert math.isnan(same["spearmanr"])


def test_race_by_level() -> None:
    choices = []
    for number, level in enumerate(["middle", "high", "high", "middle", "high"]):
        choices.append(Choice(f"{level}{number}.txt-1", "p", "q", ("w", "x", "y", "z"), number % 4))
    found = score_race(choices, [0, 1, 3, NONE, 0])
    assert found == {
        "accuracy": 3 / 5,
        "middle": 1 / 2,
        "middle_total": 2,
        "high": 2 / 3,
        "high_total": 3,
    }


# --- files of predictions


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


DEV = "index\tsentence1\tsentence2\tlabel\n" + "".join(
    f"{number}\ta\tb\t{label}\n"
    for number, label in zip([7, 3, 12, 4], ["entailment", "not_entailment"] * 2)
)

AS_WRITTEN = [
    ("a.tsv", "index\tprediction\n7\tentailment\n4\tentailment\n12\tentailment\n3\tentailment\n"),
    ("a.tsv", "index\tprediction\n" + "".join(f"{n}\tentailment\n" for n in range(4))),
    ("a.tsv", "prediction\n" + "entailment\n" * 4),
    ("a.txt", "entailment\r\n" * 4),
    ("a.json", json.dumps(dict.fromkeys(["12", "3", "4", "7"], "entailment"))),
    ("a.json", json.dumps(["entailment"] * 4)),
    ("a.jsonl", "".join(f'{{"idx": {n}, "label": "entailment"}}\n' for n in (3, 4, 7, 12))),
    ("a.jsonl", "".join(f'{{"id": "{n}", "prediction": "entailment"}}\n' for n in range(4))),
]


@pytest.mark.parametrize(("name", "content"), AS_WRITTEN)
def test_files_of_predictions(tmp_path: Path, name: str, content: str) -> None:
    data = write(tmp_path / "dev.tsv", DEV)
    found = score_file(TASKS["rte"], data, "dev", write(tmp_path / name, content))
    assert found.scores == {"accuracy": 0.5, "total": 4, "missing": 0}
    assert found.notes == []


def test_predictions_belong_to_their_ids(tmp_path: Path) -> None:
    data = write(tmp_path / "dev.tsv", DEV)
    rows = {"4": "not_entailment", "12": "entailment", "3": "", "99": "entailment"}
    found = score_file(TASKS["rte"], data, "dev", write(tmp_path / "p.json", json.dumps(rows)))
    assert found.scores == {"accuracy": 0.5, "total": 4, "missing": 2}
    assert found.notes == [
        "2 of 4 have no prediction; each counts as wrong",
        "2 predictions belong to no row of the data",
    ]


WRONG = [
    ("rte", "index\tprediction\n7\tyes\n", "line 2: 'yes' is no label of RTE"),
    ("rte", "index\tprediction\n7\tentailment\n7\tentailment\n", "line 3: a second prediction"),
    ("rte", "7\tentailment\n", "line 1: 2 columns without their names"),
    ("rte", "entailment\n", "1 predictions for 4 rows"),
    ("rte", "index\tprediction\n7\n", "line 2: too few columns"),
]


@pytest.mark.parametrize(("task", "content", "what"), WRONG)
def test_wrong_files_of_predictions(tmp_path: Path, task: str, content: str, what: str) -> None:
    data = write(tmp_path / "dev.tsv", DEV)
    path = write(tmp_path / "p.tsv", content)
    with pytest.raises(UserError) as raised:
        score_file(TASKS[task], data, "dev", path)
    assert what in raised.value.what
    assert str(path) in raised.value.what


def test_numbers_must_be_numbers(tmp_path: Path) -> None:
    data = write(tmp_path / "dev.tsv", "sentence1\tsentence2\tscore\na\tb\t1\nc\td\t2\n")
    with pytest.raises(UserError, match="line 2: 'x' is not a number"):
        score_file(TASKS["stsb"], data, "dev", write(tmp_path / "p.txt", "1\nx\n"))
    with pytest.raises(UserError, match="a row of the data has no prediction"):
        score_file(TASKS["stsb"], data, "dev", write(tmp_path / "p.json", '{"0": 1}'))
    found = score_file(TASKS["stsb"], data, "dev", write(tmp_path / "p.txt", "3\n3\n"))
    assert as_json(found) == {"pearson": None, "spearmanr": None, "total": 2, "missing": 0}


def test_data_without_labels(tmp_path: Path) -> None:
    data = write(tmp_path / "test.tsv", "index\tsentence\n0\tfine\n")
    with pytest.raises(UserError, match="no labels"):
        score_file(TASKS["sst2"], data, "test", write(tmp_path / "p.txt", "1\n"))


def test_race_from_letters_and_numbers(tmp_path: Path) -> None:
    folder = task_folder("RACE")
    choices = read_choices(TASKS["race"], folder, "dev").items
    letters = {choice.id: "ABCD"[choice.label or 0] for choice in choices}
    found = score_file(
        TASKS["race"], folder, "dev", write(tmp_path / "p.json", json.dumps(letters))
    )
    assert found.scores == {
        "accuracy": 1.0,
        "middle": 1.0,
        "middle_total": 112,
        "high": 1.0,
        "high_total": 109,
        "total": 221,
        "missing": 0,
    }
    wrong = "".join(f"{((choice.label or 0) + (n % 2)) % 4}\n" for n, choice in enumerate(choices))
    found = score_file(TASKS["race"], folder, "dev", write(tmp_path / "p.txt", wrong))
    assert found.scores["accuracy"] == 111 / 221
    with pytest.raises(UserError, match="line 1: 'E' is no option"):
        score_file(TASKS["race"], folder, "dev", write(tmp_path / "e.txt", "E\n" * len(choices)))


def test_glue_from_its_own_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every dev file of the data, predicted by its labels, but for the first row."""
    folder = task_folder("glue_data")
    expected = {
        "cola": {"matthews_correlation": 0.9978},
        "sst2": {"accuracy": 871 / 872},
        "rte": {"accuracy": 138 / 139},
        "wnli": {"accuracy": 69 / 70},
    }
    for name, scores in expected.items():
        task = TASKS[name]
        lines = ["index\tprediction"]
        for number, example in enumerate(read_examples(task, folder, "dev").items):
            label = int(example.label or 0)
            lines.append(f"{example.id}\t{task.labels[1 - label if number == 0 else label]}")
        path = write(tmp_path / f"{name}.tsv", "\n".join(lines) + "\n")
        arguments = ["--task", task.title, "--data", f"{folder}/{task.folder}/dev.tsv"]
        assert main(["score", *arguments, "--predictions", str(path), "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert said["task"] == name
        for metric, score in scores.items():
            assert said[metric] == pytest.approx(score, abs=2e-3)
            if metric == "accuracy":
                assert said[metric] == score


def test_no_answer_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = task_folder("squad")
    name = list(REAL)[2]
    predictions = json.loads((folder.parent / name).read_text("utf-8"))
    sure = write(tmp_path / "na.json", json.dumps(dict.fromkeys(predictions, 0.0)))
    paths = ["--data", f"{folder}/{DATA['squad2']}", "--predictions", f"{folder.parent}/{name}"]
    assert main(["score", "--task", "squad2", *paths, "--na-prob", str(sure), "--json"]) == 0
    said = capsys.readouterr()
    scores = json.loads(said.out)
    assert scores["f1"] == scores["f1_at_best_thresh"] == 79.37128799742459
    assert scores["best_f1"] > scores["f1"]
    assert "no threshold gives best_f1" in said.err

    paths[1] = f"{folder}/{DATA['squad1']}"
    assert main(["score", "--task", "squad1", *paths, "--na-prob", str(sure)]) == 2
    assert "only squad2 has questions without an answer" in capsys.readouterr().err

    write(sure, '{"a": "x"}')
    with pytest.raises(UserError, match="'x' is not a number"):
        score_file(
            TASKS["squad2"],
            folder / DATA["squad2"],
            "dev",
            folder.parent / name,
            NoAnswer(sure, 0.0),
        )


def test_a_task_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"topic": "b"}, {"topic": "a"}, {"topic": "b"}]
    data = write(tmp_path / "dev.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    path = write(tmp_path / "p.txt", "b\nb\nnew\n")
    arguments = ["--data", str(data), "--predictions", str(path), "--label-column", "topic"]
    assert main(["score", "--task", "own", *arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["accuracy"] == 1 / 3
    assert said["f1"] == 0.5
    assert said["missing"] == 1


@pytest.mark.parametrize(
    ("arguments", "what", "hint"),
    [
        (["score"], "--task: missing", "trainer score --task TASK"),
        (["score", "--task", "sst3"], "--data: missing", "trainer score"),
        (
            ["score", "--task", "sst3", "--data", "x", "--predictions", "y"],
            "--task sst3: no such task",
            "did you mean sst2?",
        ),
        (["submit"], "--predictions: missing", "trainer submit"),
    ],
)
def test_mistakes_in_a_command(
    capsys: pytest.CaptureFixture[str], arguments: list[str], what: str, hint: str
) -> None:
    assert main(arguments) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 2
    assert lines[0] == f"error: {what}"
    assert hint in lines[1]
