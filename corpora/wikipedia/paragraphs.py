"""Step 6 of `corpora.wikipedia.wikitext`: lines to paragraphs: quote marks of markup, brackets that removals
left empty, lists, headings."""

import re

from corpora.wikipedia.tags import BREAK, GONE, HEADING, MARKS, TYPED

_EMPTY = re.compile(f"[ \t]?[(\\[（][\\s,;:/·•–—.\\-{GONE}{BREAK}]{{0,200}}[)\\]）]")

_AFTER_OPENING = re.compile(f"([(（])[\\s,;:/·•{GONE}{BREAK}]{{1,200}}")

_BEFORE_CLOSING = re.compile(
    f"(?<![\\s,;:/·•{GONE}{BREAK}])[\\s,;:/·•{GONE}{BREAK}]{{1,200}}([)）])"
)

_DOUBLED = re.compile(f"([,;])(?:[\\s{GONE}]{{0,50}}[,;]){{1,50}}")

_PUNCTUATION = frozenset(".,;:!?)]")

_RUN = re.compile(f"[ \t\u00a0{GONE}]+")

_BLANKS = re.compile(r"[ \t\u00a0]+")

_SENTENCE_END = re.compile(r"[.!?…。！？।]['\"”’»)\]]{0,3}$")

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


def paragraphs(lines: list[str], lists: str = "prose") -> tuple[list[str], int]:
    """(paragraphs, cleaned; how many pairs of empty brackets were taken out). `lists`: drop, prose
    or keep. Headings stay where text follows."""
    empty_brackets = 0
    found: list[str] = []
    held: list[str] = []
    in_list = False

    def clean(line: str) -> str:
        nonlocal empty_brackets
        line, count = clean_line(line)
        empty_brackets += count
        return line

    def close() -> None:
        nonlocal held, in_list
        text = "\n".join(held) if in_list else clean(" ".join(held))
        text = "\n".join(
            part
            for part in (piece.strip() for piece in text.replace(BREAK, "\n").split("\n"))
            if part
        )
        if any(character.isalnum() for character in text):
            found.append(text)
        held, in_list = [], False

    for line in lines:
        if line.startswith(HEADING):
            close()
            while found and found[-1].startswith(HEADING) and found[-1][1] >= line[1]:
                found.pop()
            found.append(line)
            continue
        if not line.strip():
            close()
            continue
        typed = line.startswith(TYPED)
        line = line.removeprefix(TYPED)
        marked = line.lstrip(f" \t{GONE}")[:1] in tuple("*#:;")
        text = strip_quotes(line.lstrip(f" \t*#:;{GONE}") if marked else line)
        if not marked and not text.strip(f" \t{GONE}{BREAK}"):
            continue  # only what was removed: neither a paragraph nor its end
        if marked or typed:
            if not in_list:
                close()
                in_list = True
            text = clean(text)
            if text and (lists == "keep" or (lists == "prose" and _is_sentence(text))):
                held.append(text)
            continue
        if in_list:
            close()
        held.append(text)
    close()
    while found and found[-1].startswith(HEADING):
        found.pop()
    return [text[2:] if text.startswith(HEADING) else text for text in found], empty_brackets


def clean_line(line: str) -> tuple[str, int]:
    """(a line without the marks of what was removed, and without what only it had needed; how many
    pairs of empty brackets that were)."""
    found = 0
    if GONE in line or "(" in line or "[" in line or "（" in line:
        for _ in range(3):  # a pair inside of another
            shorter = _EMPTY.sub(_empty, line)
            if shorter == line:
                break
            found += (
                line.count("(")
                + line.count("[")
                + line.count("（")
                - shorter.count("(")
                - shorter.count("[")
                - shorter.count("（")
            )
            line = shorter
        line = _AFTER_OPENING.sub(lambda match: match[1] if GONE in match[0] else match[0], line)
        line = _BEFORE_CLOSING.sub(lambda match: match[1] if GONE in match[0] else match[0], line)
        line = _DOUBLED.sub(lambda match: match[1] if GONE in match[0] else match[0], line)
    if GONE in line:
        line = _RUN.sub(_blank, line)
    return _BLANKS.sub(" ", line).strip(), found


def _blank(match: "re.Match[str]") -> str:
    """One blank for a run of them; none where it held a mark and a mark of punctuation follows."""
    run = match[0]
    if GONE in run and match.string[match.end() : match.end() + 1] in _PUNCTUATION:
        return ""
    return " " if run.strip(GONE) else ""


def _empty(match: "re.Match[str]") -> str:
    """What a removal left, or what was never filled in: `( , )`. `()` and `(–)` as they stand are
    text."""
    inside = match[0].strip()[1:-1]
    if GONE not in inside and (not inside or inside.strip(" \t,;:")):
        return match[0]
    return GONE


def count_words(text: str) -> int:
    """Words by white space that hold a letter or digit; of scripts without spaces two letters are
    one."""
    unspaced = len(_UNSPACED.findall(text))
    spaced = _UNSPACED.sub(" ", text) if unspaced else text
    return (
        sum(any(character.isalnum() for character in word) for word in spaced.split())
        + (unspaced + 1) // 2
    )


def _is_sentence(text: str) -> bool:
    text = MARKS.sub("", text)
    return count_words(text) >= 5 and _SENTENCE_END.search(text) is not None


def strip_quotes(line: str) -> str:
    """A line without the quote marks of markup, as MediaWiki pairs them: where bold and italic are
    both odd, one `'''` is an apostrophe before italic, as in `l'''amour''`. What is left of longer
    runs is one apostrophe: nobody writes more as text."""
    if "''" not in line:
        return line
    parts = re.split(r"('{2,})", line)
    bold = italic = 0
    for index in range(1, len(parts), 2):
        length = len(parts[index])
        if length == 4 or length > 5:
            parts[index - 1] += "'" * (length - (3 if length == 4 else 5))
            length = 3 if length == 4 else 5
            parts[index] = "'" * length
        bold += length in (3, 5)
        italic += length in (2, 5)
    if bold % 2 and italic % 2:
        threes = [index for index in range(1, len(parts), 2) if len(parts[index]) == 3]
        before = {index: parts[index - 1] for index in threes}
        chosen = (
            [
                index
                for index in threes
                if before[index][-1:] not in (" ", "") and before[index][-2:-1] == " "
            ]  # after a word of one letter
            or [index for index in threes if before[index][-1:] not in (" ", "")]
            or [index for index in threes if before[index][-1:] == " "]
        )
        if chosen:
            parts[chosen[0] - 1] += "'"
    return re.sub("''+", "'", "".join(parts[::2]))
