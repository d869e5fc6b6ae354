"""A build with test sets through Beam writes the bytes that its stages write without it."""

import random
from collections.abc import Callable
from pathlib import Path

from plain_build import plain_build
from task_data import task_folder

from corpora.tasks.catalogue import TASKS
from corpora.tasks.read import read_questions

Corpus = Callable[..., tuple[int, str, str]]

RECIPE = """
[sources.mine]
kind = "files"
input = "in/*.txt"
slice_bytes = 20_000
[sources.mine.rules]
test_sets = ["{squad}"]
max_test_set_ngrams = 0
[dedup]
near = false
[tokenizer]
vocab_size = 300
"""


def test_measures_are_the_same_through_beam(tmp_path: Path, corpus: Corpus) -> None:
    squad = task_folder("squad")
    questions = read_questions(TASKS["squad1"], squad / "dev-v1.1-excerpt.json", "dev").items
    contexts = list(dict.fromkeys(question.context for question in questions))
    chance = random.Random(5)
    (tmp_path / "in").mkdir()
    for number in range(60):
        text = " ".join(f"w{chance.randrange(500)}" for _ in range(200))
        if number % 6 == 0:
            text += f"\n{contexts[number]}\n{text}"
        (tmp_path / "in" / f"{number:02}.txt").write_text(text)

    recipe = tmp_path / "recipe.toml"
    recipe.write_text(RECIPE.format(squad=squad))
    code, _, err = corpus("build", recipe, "--home", tmp_path / "beam", "--workers", 2)
    assert code == 0, err
    assert "rules mine: of 60 documents, 10 with a passage of squad1\n" in err
    assert "rules mine: 10 of 60 documents are removed, 10 max_test_set_ngrams\n" in err

    plain = Path(plain_build(recipe, tmp_path / "plain", "dedup"))
    measures = sorted((plain / "attributes" / "rules" / "mine").iterdir())
    assert len(measures) > 2
    for path in measures:
        same = tmp_path / "beam" / path.relative_to(plain)
        assert same.read_bytes() == path.read_bytes()
