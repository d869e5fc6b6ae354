"""Questions of common sense and documents to be chosen by them: of the test data, else made."""

import html
import json
import random
import re
import tarfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from archives import english
from realdata import data_file

QUESTION = "The trophy does not fit in the brown suitcase because it is too big."


def questions() -> list[str]:
    """The 285 questions of the Winograd schemas and the 60 of PDP-60, without their answers."""
    archive = data_file("stories/commonsense_questions.tar.xz")
    if archive is None:
        return [
            QUESTION,
            QUESTION.replace("big", "small"),
            "The man could not lift his son because he was so weak.",
            "It's Ann's book: she said so before the vote.",
        ]
    found = []
    with tarfile.open(archive) as tar:
        for name in ("stories/WSCollection.xml", "stories/PDPChallenge2016.xml"):
            content = tar.extractfile(name)
            assert content is not None
            for text in ElementTree.fromstring(content.read()).iterfind("schema/text"):
                found.append(" ".join(" ".join(text.itertext()).split()))
    return found


def write_questions(folder: Path) -> Path:
    path = folder / "questions.txt"
    path.write_text("\n".join(questions()) + "\n", "utf-8")
    return path


def texts(novel_pieces: int = 600) -> list[str]:
    """Reuters' 4,638 stories, then pieces of novels; made where there is no test data."""
    stories, novels = (
        data_file("dedup/reuters21578_part.tar.xz"),
        data_file("books/english_novels.tar.xz"),
    )
    if stories is None or novels is None:
        return [english(number % 4_900, 4 + number % 9) for number in range(5_200)]
    found = []
    with tarfile.open(stories) as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            content = tar.extractfile(member) if member.name.endswith(".sgm") else None
            if content:
                found += [
                    html.unescape(body)
                    for body in re.findall(
                        "<BODY>(.*?)</BODY>", content.read().decode("latin-1"), re.DOTALL
                    )
                ]
    pieces = []
    with tarfile.open(novels) as tar:
        for member in sorted(tar.getmembers(), key=lambda member: member.name):
            content = tar.extractfile(member) if member.isfile() else None
            if content:
                text = content.read().decode("utf-8-sig", "replace")
                pieces += [text[at : at + 3_000] for at in range(10_000, len(text) - 3_000, 20_000)]
    return found + random.Random(0).sample(pieces, min(novel_pieces, len(pieces)))


def write_lines(folder: Path, documents: list[str], files: int) -> list[tuple[str, int]]:
    """The documents in `files` files of JSON lines below `folder`, in turn; (path, position) of
    each."""
    folder.mkdir(parents=True)
    lines: list[list[bytes]] = [[] for _ in range(files)]
    places = []
    sizes = [0] * files
    for number, text in enumerate(documents):
        line = json.dumps({"text": text}).encode() + b"\n"
        places.append((f"{number % files:02d}.jsonl", sizes[number % files]))
        lines[number % files].append(line)
        sizes[number % files] += len(line)
    for number, of_file in enumerate(lines):
        (folder / f"{number:02d}.jsonl").write_bytes(b"".join(of_file))
    return places
