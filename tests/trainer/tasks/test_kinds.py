"""Every kind of task from its official files to a result, predictions and an export."""

import json
import random
import shutil
from pathlib import Path

import pytest
import task_models as models
import trainer_runs as runs
from task_data import task_folder

from corpora.tasks.catalogue import TASKS
from trainer.cli import main
from trainer.tasks.folder import read_result
from trainer.tasks.scoring.predictions import read_predictions
from trainer.tasks.submit import checked


@pytest.fixture(scope="module")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.init_directory(tmp_path_factory.mktemp("init") / "roberta")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.init_directory(tmp_path_factory.mktemp("init") / "bert", "bert")


def train(init: Path, run: Path, task: str, *more: str) -> None:
    fast = ["--optim.lr", "1e-3", "--micro-batch", "16", "--batch", "16", "--device", "cpu"]
    runs.train(["finetune", "--task", task, "--init", str(init), "--run", str(run), *fast, *more])


def export(run: Path, out: Path) -> dict[str, object]:
    assert main(["export", "--run", str(run), "--out", str(out)]) == 0
    found: dict[str, object] = json.loads((out / "config.json").read_text())
    return found


def excerpt(source: Path, target: Path, paragraphs: int, questions: int) -> Path:
    """The first questions of the first paragraphs of a file of SQuAD."""
    content = json.loads(source.read_text("utf-8"))
    article = content["data"][0]
    article["paragraphs"] = article["paragraphs"][:paragraphs]
    for paragraph in article["paragraphs"]:
        paragraph["qas"] = paragraph["qas"][:questions]
        paragraph["context"] = paragraph["context"][:400]
    kept = []
    for paragraph in article["paragraphs"]:
        paragraph["qas"] = [
            qa
            for qa in paragraph["qas"]
            if all(a["answer_start"] + len(a["text"]) <= 400 for a in qa["answers"])
        ]
        if paragraph["qas"]:
            kept.append(paragraph)
    article["paragraphs"] = kept
    target.write_text(json.dumps({"version": content["version"], "data": [article]}))
    return target


@pytest.mark.parametrize("way", ["classifier", "null"])
def test_squad2(init: Path, tmp_path: Path, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = task_folder("squad") / "dev-v2.0-excerpt.json"
    data = str(excerpt(source, tmp_path / "squad.json", 3, 8))
    run = tmp_path / "run"
    own = ["--train", data, "--dev", data, "--inputs.answerable", way, "--epochs", "1"]
    train(init, run, "squad2", *own)
    assert "Table 6: SQuAD" in capsys.readouterr().out
    result = read_result(run)
    assert result is not None and result.metric == "f1"
    scores = result.scores["dev"]
    assert scores["thresh"] == 0 and scores["best_f1"] >= scores["f1"]

    out = tmp_path / "predictions.json"
    asked = ["predict", "--run", str(run), "--data", data, "--split", "dev", "--out", str(out)]
    assert main([*asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["scores"]["f1"] == scores["f1"]
    contexts = {}
    for paragraph in json.loads(Path(data).read_text())["data"][0]["paragraphs"]:
        for question in paragraph["qas"]:
            contexts[question["id"]] = paragraph["context"]
    answers = json.loads(out.read_text())
    assert answers.keys() == contexts.keys()
    assert all(answer in contexts[name] for name, answer in answers.items())

    # The scorer on the files that were written gives what the run says.
    score = ["score", "--task", "squad2", "--data", data, "--json"]
    assert main([*score, "--predictions", str(out)]) == 0
    assert json.loads(capsys.readouterr().out)["f1"] == scores["f1"]
    sure = ["--na-prob", told["no_answer"], "--na-threshold", "0"]
    assert main([*score, "--predictions", told["answers"], *sure]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["f1"], told["best_f1"]) == (scores["f1"], scores["best_f1"])

    settings = export(run, tmp_path / "exported")
    assert settings["architectures"] == ["RobertaForQuestionAnswering"]
    assert (tmp_path / "exported" / "heads.safetensors").exists() == (way == "classifier")


def write_squad1(path: Path, count: int) -> Path:
    """Passages of a few words; the answer is the word beside the dog."""
    draw = random.Random(0)
    paragraphs = []
    for number in range(count):
        before = draw.choices(["the", "over", "jumps"], k=draw.randint(1, 3))
        answer = draw.choice(["brown", "quick", "fox"])
        words = [*before, answer, "dog", *draw.choices(["the", "over"], k=2)]
        context = " ".join(words)
        start = len(" ".join([*before, ""]))
        answers = [{"text": answer, "answer_start": start}]
        qas = [{"id": f"q{number}", "question": "who?", "answers": answers}]
        paragraphs.append({"context": context, "qas": qas})
    article = {"title": "dogs", "paragraphs": paragraphs}
    path.write_text(json.dumps({"version": "1.1", "data": [article]}))
    return path


def test_squad1_of_a_bert(bert: Path, tmp_path: Path) -> None:
    data = str(write_squad1(tmp_path / "squad.json", 64))
    run = tmp_path / "run"
    train(bert, run, "squad1", "--train", data, "--dev", data, "--epochs", "20")
    result = read_result(run)
    assert result is not None and result.value == 100.0
    assert export(run, tmp_path / "out")["architectures"] == ["BertForQuestionAnswering"]


def test_race(init: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split in ("train", "dev", "test"):
        for level in ("middle", "high"):
            folder = tmp_path / "RACE" / split / level
            folder.mkdir(parents=True)
            files = sorted((task_folder("RACE") / split / level).glob("*.txt"))[:3]
            for file in files:
                shutil.copy(file, folder / file.name)
    run = tmp_path / "run"
    train(init, run, "race", "--data", str(tmp_path), "--epochs", "1")
    shown = capsys.readouterr().out
    assert "Table 7: RACE" in shown and "ours, test" in shown
    result = read_result(run)
    assert result is not None and {"accuracy", "middle", "high"} <= result.scores["dev"].keys()
    out = tmp_path / "out.json"
    assert main(["predict", "--run", str(run), "--data", str(tmp_path), "--out", str(out)]) == 0
    assert set(json.loads(out.read_text()).values()) <= set("ABCD")
    assert export(run, tmp_path / "hf")["architectures"] == ["RobertaForMultipleChoice"]


def test_numbers(init: Path, bert: Path, tmp_path: Path) -> None:
    """A regression: transformers gives the numbers that are predicted."""
    from transformers import pipeline

    rows = (task_folder("glue_data") / "STS-B" / "train.tsv").read_text("utf-8").splitlines()
    (tmp_path / "train.tsv").write_text("\n".join(rows[:80]) + "\n")
    (tmp_path / "dev.tsv").write_text("\n".join([rows[0], *rows[200:230]]) + "\n")
    for name, start in (("roberta", init), ("bert", bert)):
        run = tmp_path / name
        train(start, run, "stsb", "--data", str(tmp_path), "--epochs", "2")
        out = tmp_path / f"{name}.json"
        asked = ["--data", str(tmp_path), "--split", "dev", "--out", str(out)]
        assert main(["predict", "--run", str(run), *asked]) == 0
        settings = export(run, tmp_path / f"{name}-hf")
        assert settings["problem_type"] == "regression"

        score = pipeline("text-classification", model=str(tmp_path / f"{name}-hf"))
        ours = list(json.loads(out.read_text()).values())
        for line, number in list(zip(rows[200:230], ours))[:5]:
            first, second = line.split("\t")[7:9]
            # The tokenizer of the test has no space for so long a pair.
            theirs = score({"text": first, "text_pair": second}, truncation="longest_first")
            assert abs(theirs["score"] - number) < 1e-3, name


def test_wsc(init: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = []
    for _ in range(12):
        text = "the fox saw the dog because it jumps over the lazy fox"
        for phrase, place in (("the fox", 0), ("the dog", 3)):
            target = {
                "span1_text": phrase,
                "span1_index": place,
                "span2_text": "it",
                "span2_index": 6,
            }
            label = phrase == "the fox"
            rows.append({"text": text, "target": target, "label": label, "idx": len(rows)})
    for name in ("train", "val"):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for loss in ("margin", "cross-entropy"):
        run = tmp_path / loss
        own = ["--data", str(tmp_path), "--epochs", "20", "--ranking.loss", loss]
        train(init, run, "wsc", *own)
        result = read_result(run)
        assert result is not None and result.value == 1.0
    out = tmp_path / "out.json"
    asked = ["--data", str(tmp_path), "--split", "dev", "--out", str(out), "--json"]
    capsys.readouterr()
    assert main(["predict", "--run", str(run), *asked]) == 0
    assert json.loads(capsys.readouterr().out)["scores"]["accuracy"] == 1.0
    # As the GLUE server wants them for WNLI, whose ids are the rows'.
    values = checked(TASKS["wnli"], read_predictions(out), (len(rows),))
    assert values == ["1" if row["label"] else "0" for row in rows]
    assert export(run, tmp_path / "hf")["architectures"] == ["RobertaForMaskedLM"]
