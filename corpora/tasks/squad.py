"""The files of SQuAD 1.1 (Rajpurkar et al. 2016) and 2.0 (Rajpurkar et al. 2018): JSON.

Versions differ in `is_impossible`, which only 2.0 has. Its `plausible_answers` are no answers.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from corpora.tasks.catalogue import Task
from corpora.tasks.examples import Answer, Question
from corpora.tasks.faults import Read, fault
from corpora.tasks.json_files import has, list_field, load_json, text_field, whole_field

MISPLACED = "answers that do not stand where the file says"


def read_squad(task: Task, path: Path, split: str) -> Read[Question]:
    """The questions of a file. Raises `UserError` for a file that is not SQuAD's, or of the other
    version, naming the question.

    An answer that does not stand at its place in the context is kept, for the scorers need its
    text; its place is -1, and it is counted.
    """
    content = load_json(path)
    is_second = task.name == "squad2"
    refuse_other_version(task, path, content)

    questions: list[Question] = []
    counts: Counter[str] = Counter()
    for place, context, raw in raw_questions(path, content):
        question = make_question(path, place, context, raw)
        if not question.answers and not is_second and split != "test":
            raise fault(path, place, "no answers", "add --task squad2 for SQuAD 2.0")
        counts[MISPLACED] += sum(answer.start < 0 for answer in question.answers)
        questions.append(question)
    if not questions:
        raise fault(path, "", "no questions")
    return Read(tuple(questions), +counts)


def refuse_other_version(task: Task, path: Path, content: object) -> None:
    """Raise `UserError` for a file that names the other version of SQuAD."""
    version = content.get("version") if isinstance(content, dict) else None
    is_second = task.name == "squad2"
    if isinstance(version, str) and version and version.startswith("v2") != is_second:
        other = "squad1" if is_second else "squad2"
        what = f"its version is {version}, so it is not {task.title}"
        raise fault(path, "", what, f"give --task {other}, or another file")


def raw_questions(path: Path, content: object) -> Iterator[tuple[str, str, object]]:
    """The place of each question in the file, its context and the question itself."""
    if not has(content, "data"):
        raise fault(path, "", "no 'data', so this is not a file of SQuAD")

    for a, article in enumerate(list_field(path, "", content, "data")):
        for p, paragraph in enumerate(list_field(path, f"data[{a}]", article, "paragraphs")):
            place = f"data[{a}].paragraphs[{p}]"
            context = text_field(path, place, paragraph, "context")
            for q, raw in enumerate(list_field(path, place, paragraph, "qas")):
                yield f"{place}.qas[{q}]", context, raw


def make_question(path: Path, place: str, context: str, raw: object) -> Question:
    """A question. Raises `UserError` for a missing field."""
    answers = []
    raw_answers = list_field(path, place, raw, "answers") if has(raw, "answers") else []
    for n, answer in enumerate(raw_answers):
        where = f"{place}.answers[{n}]"
        text = text_field(path, where, answer, "text")
        start = whole_field(path, where, answer, "answer_start")
        stands = start >= 0 and context.startswith(text, start)
        answers.append(Answer(text, start if stands else -1))

    return Question(
        id=text_field(path, place, raw, "id"),
        question=text_field(path, place, raw, "question"),
        context=context,
        answers=tuple(answers),
        impossible=isinstance(raw, dict) and raw.get("is_impossible") is True,
    )
