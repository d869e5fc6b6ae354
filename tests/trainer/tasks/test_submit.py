"""The files of leaderboards equal a real submission to the byte, and nothing wrong is written."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from task_data import task_folder

from shards.errors import UserError
from trainer.cli import main
from trainer.tasks.submit import TEST_ROWS, submit_glue

QQP_TRAIN = (
    "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
    "1\t1\t2\ta\tb\t0\n2\t3\t4\tc\td\t1\n3\t5\t6\te\tf\t1\n"
)


def real_submission(folder: Path) -> Path:
    """The real submission, but QQP, of which the data has the first rows only."""
    folder.mkdir()
    for path in (task_folder("glue_data") / "submission_layout").iterdir():
        if not path.name.startswith("QQP"):
            shutil.copy(path, folder / path.name)
    return folder


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_real_submission_comes_back_to_the_byte(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = real_submission(tmp_path / "given")
    out = tmp_path / "glue.zip"
    assert main(["submit", "--predictions", str(given), "--out", str(out)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"error: {given}: no predictions for QQP",
        "hint: predict them, or add --fill-missing --data DIR",
    ]
    assert not out.exists()

    data = tmp_path / "data"
    (data / "QQP").mkdir(parents=True)
    (data / "QQP" / "train.tsv").write_text(QQP_TRAIN)
    arguments = ["submit", "--predictions", str(given), "--out", str(out), "--fill-missing"]
    assert main([*arguments, "--data", str(data), "--json"]) == 0
    printed = capsys.readouterr()
    done = json.loads(printed.out)
    assert done["filled"] == ["QQP"]
    assert printed.err == "note: QQP: filled with one label, not predicted\n"
    assert done["rows"]["QNLI.tsv"] == 5740

    found = members(out)
    assert set(found) == {f"{title}.tsv" for title in TEST_ROWS}
    assert list(found) == sorted(found)
    qqp = found.pop("QQP.tsv")
    assert qqp == b"index\tprediction\n" + b"".join(b"%d\t1\n" % n for n in range(390_965))
    for name, content in found.items():
        assert content == (given / name).read_bytes(), name

    # Equal predictions in other formats give the same bytes.
    first = out.read_bytes()
    rows = (given / "SST-2.tsv").read_text().splitlines()[1:]
    (given / "SST-2.tsv").unlink()
    (given / "sst2.json").write_text(json.dumps(dict(row.split("\t") for row in reversed(rows))))
    assert main([*arguments, "--data", str(data)]) == 0
    assert out.read_bytes() == first
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".tmp")] == []


def test_the_layout_of_qqp() -> None:
    """The excerpt of QQP has the same layout as the files that are whole."""
    path = task_folder("glue_data") / "submission_layout" / "QQP_first5000.tsv"
    lines = path.read_text().splitlines()
    assert lines[0] == "index\tprediction"
    assert [line.split("\t")[0] for line in lines[1:]] == [str(n) for n in range(5000)]
    assert {line.split("\t")[1] for line in lines[1:]} == {"0", "1"}


def test_rows_by_the_test_file(tmp_path: Path) -> None:
    given = real_submission(tmp_path / "given")
    (given / "QQP.tsv").write_text("index\tprediction\n0\t1\n")
    data = tmp_path / "data"
    (data / "QQP").mkdir(parents=True)
    (data / "QQP" / "test.tsv").write_text("id\tquestion1\tquestion2\n0\ta\tb\n")
    done = submit_glue(given, data, tmp_path / "glue.zip", fill=False)
    assert done.rows["QQP.tsv"] == 1
    assert done.filled == []


WRONG = [
    ("RTE.tsv", "index\tprediction\n0\tentailment\n", "1 predictions, but the test set has 3,000"),
    ("QNLI.tsv", "index\tprediction\n", "the test set has 5,463 or 5,740 rows"),
    ("WNLI.tsv", "prediction\n" + "0\n" * 145 + "2\n", "line 147: '2' is no label of WNLI"),
    (
        "WNLI.tsv",
        "index\tprediction\n" + "".join(f"{n + 1}\t0\n" for n in range(146)),
        "no prediction with index 0",
    ),
    ("STS-B.tsv", "prediction\n" + "x\n" * 1379, "line 2: 'x' is not a number"),
    ("wnli.txt", "0\n" * 146, "WNLI.tsv and wnli.txt are both of WNLI"),
]


@pytest.mark.parametrize(("name", "content", "what"), WRONG)
def test_wrong_predictions_write_nothing(
    tmp_path: Path, name: str, content: str, what: str
) -> None:
    given = real_submission(tmp_path / "given")
    (given / name).write_text(content)
    out = tmp_path / "glue.zip"
    with pytest.raises(UserError) as raised:
        submit_glue(given, None, out, fill=False)
    assert what in raised.value.what
    assert not out.exists()


def test_scores_are_cut_to_their_range(tmp_path: Path) -> None:
    given = real_submission(tmp_path / "given")
    (given / "STS-B.tsv").write_text("-0.5\n5.75\n" + "2.71828\n" * 1377)
    (given / "QQP.tsv").write_text("0\n" * 390_965)
    submit_glue(given, None, tmp_path / "glue.zip", fill=False)
    table = members(tmp_path / "glue.zip")["STS-B.tsv"].decode().splitlines()
    assert table[:4] == ["index\tprediction", "0\t0.000", "1\t5.000", "2\t2.718"]


def test_wnli_from_a_model_of_wsc(tmp_path: Path) -> None:
    """WNLI's rows in SuperGLUE's format of WSC, predicted as whether the phrase is meant."""
    given = real_submission(tmp_path / "given")
    (given / "QQP.tsv").write_text("0\n" * 390_965)
    real = (given / "WNLI.tsv").read_bytes()
    rows = [line.split("\t") for line in real.decode().splitlines()[1:]]
    (given / "WNLI.tsv").unlink()
    said = {number: "true" if label == "1" else "false" for number, label in reversed(rows)}
    (given / "WNLI.json").write_text(json.dumps(said))
    submit_glue(given, None, tmp_path / "glue.zip", fill=False)
    assert members(tmp_path / "glue.zip")["WNLI.tsv"] == real


def test_tasks_are_filled_from_their_training_files(tmp_path: Path) -> None:
    data = task_folder("glue_data") / "format_samples"
    given = tmp_path / "given"
    given.mkdir()
    with pytest.raises(UserError, match="--fill-missing: no --data"):
        submit_glue(given, None, tmp_path / "glue.zip", fill=True)

    done = submit_glue(given, data, tmp_path / "glue.zip", fill=True)
    assert done.filled == list(TEST_ROWS)
    found = members(tmp_path / "glue.zip")
    # The training samples have one row each, whose label fills; tests have one row each, but AX.
    assert found["STS-B.tsv"] == b"index\tprediction\n0\t5.000\n"
    assert found["QNLI.tsv"] == b"index\tprediction\n0\tnot_entailment\n"
    assert found["MNLI-mm.tsv"] == b"index\tprediction\n0\tneutral\n"
    assert found["AX.tsv"] == b"index\tprediction\n" + b"".join(
        b"%d\tneutral\n" % n for n in range(1104)
    )


# --- SQuAD


def test_squad(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = task_folder("squad")
    data = folder / "dev-v2.0-excerpt.json"
    given = folder / "predictions-v2.0" / "BERT_single_model_Google_AI_Language.json"
    out = tmp_path / "predictions.json"
    arguments = ["--task", "squad2", "--data", str(data), "--out", str(out)]
    assert main(["submit", *arguments, "--predictions", str(given), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == {"predictions.json": 2920}

    written = json.loads(out.read_text("utf-8"))
    predictions = json.loads(given.read_text("utf-8"))
    assert written == {name: predictions[name] for name in written}
    ids = []
    for article in json.loads(data.read_text("utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            ids += [question["id"] for question in paragraph["qas"]]
    assert list(written) == ids

    # Above the threshold the answer is empty.
    sure = tmp_path / "na.json"
    sure.write_text(json.dumps({name: number % 4 for number, name in enumerate(ids)}))
    arguments += ["--na-prob", str(sure), "--na-threshold", "2"]
    assert main(["submit", *arguments, "--predictions", str(given)]) == 0
    assert "note: 730 answers are empty by --na-threshold 2" in capsys.readouterr().err
    written = json.loads(out.read_text("utf-8"))
    for number, name in enumerate(ids):
        assert written[name] == ("" if number % 4 == 3 else predictions[name])


def test_squad_with_a_missing_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = task_folder("squad")
    data = folder / "dev-v1.1-excerpt.json"
    name = "Logistic_Regression_Baseline_Stanford_University.json"
    given = folder / "predictions-v1.1" / name
    out = tmp_path / "predictions.json"
    arguments = ["--task", "squad1", "--data", str(data), "--out", str(out)]
    assert main(["submit", *arguments, "--predictions", str(given)]) == 2
    assert "2 of 2921 questions have no answer, the first is" in capsys.readouterr().err
    assert not out.exists()

    assert main(["submit", *arguments[:2], *arguments[4:], "--predictions", str(given)]) == 2
    assert "--data: missing" in capsys.readouterr().err
    assert main(["submit", "--task", "race", "--out", "x", "--predictions", str(given)]) == 2
    assert "--task race: no leaderboard's file" in capsys.readouterr().err
