"""The files of RACE (Lai et al. 2017): one JSON file for each passage, in `train`, `dev` and
`test`, each with the levels `middle` and `high`."""

from pathlib import Path

from corpora.tasks.catalogue import Task
from corpora.tasks.examples import Choice
from corpora.tasks.faults import Read, fault
from corpora.tasks.json_files import has, list_field, load_json, text_field

LETTERS = "ABCDEFGH"


def read_race(task: Task, data: Path, split: str) -> Read[Choice]:
    """The questions of a file, or of the levels of a split, middle before high, passages by their
    numbers. Raises `UserError` that names the file and the question."""
    choices: list[Choice] = []
    for path in passages(task, data, split):
        choices += read_passage(path)
    return Read(tuple(choices))


def passages(task: Task, data: Path, split: str) -> list[Path]:
    """The files of a split. Raises `UserError` when there are none."""
    if data.is_file():
        return [data]

    levels = task.files.get(split, ())
    for root in (data, data / task.folder):
        files: list[Path] = []
        for level in levels:
            files += sorted((root / split / level).glob("*.txt"), key=passage_order)
        if files:
            return files

    # A folder that holds passages itself.
    files = sorted(data.glob("*.txt"), key=passage_order)
    if not files:
        expected = " and ".join(f"{data}/{split}/{level}/*.txt" for level in levels)
        raise fault(data, "", f"no passages of {task.title}", f"expected {expected}")
    return files


def passage_order(path: Path) -> tuple[int, int, str]:
    """Passages by the number that is their name; other names after them."""
    if path.stem.isdecimal() and path.stem.isascii():
        return 0, int(path.stem), path.name
    return 1, 0, path.name


def read_passage(path: Path) -> list[Choice]:
    """The questions of a passage. Raises `UserError`."""
    content = load_json(path)
    passage = text_field(path, "", content, "article")
    questions = list_field(path, "", content, "questions")
    options = list_field(path, "", content, "options")
    answers = list_field(path, "", content, "answers") if has(content, "answers") else None
    if len(options) != len(questions) or (answers is not None and len(answers) != len(questions)):
        raise fault(path, "", "not as many options and answers as questions")

    name = f"{path.parent.name}{path.name}"
    if has(content, "id"):
        name = text_field(path, "", content, "id")
    choices = []
    for n, question in enumerate(questions):
        place = f"question {n + 1}"
        if not isinstance(question, str):
            raise fault(path, place, "the question is not a text")
        texts = read_options(path, place, options[n])
        choices.append(
            Choice(
                id=f"{name}-{n + 1}",
                passage=passage,
                question=question,
                options=texts,
                label=None if answers is None else read_letter(path, place, answers[n], texts),
            )
        )
    return choices


def read_options(path: Path, place: str, options: object) -> tuple[str, ...]:
    """The options of a question."""
    found = options if isinstance(options, list) else []
    texts = tuple(text for text in found if isinstance(text, str))
    if len(texts) < 2 or len(texts) < len(found):
        raise fault(path, place, "the options are not a list of texts")
    return texts


def read_letter(path: Path, place: str, answer: object, options: tuple[str, ...]) -> int:
    """The place of the answer that a letter names."""
    letters = LETTERS[: len(options)]
    if not isinstance(answer, str) or len(answer) != 1 or answer not in letters:
        raise fault(path, place, f"label {answer!r} is not one of {', '.join(letters)}")
    return letters.index(answer)
