"""The measures of `corpora.quality.measures` again, in plain Python: strings, sets and regular
expressions."""

import re
import unicodedata
from collections import Counter
from itertools import groupby

from corpora.quality.measures import BOILERPLATE_PHRASES, C4_PHRASES, COUNTED
from corpora.quality.rules import STOP_WORDS

END = ".!?…‼⁇⁈⁉。！．？｡।॥؟۔՞։።፧។။"
CLOSE = "\"')]}»’”“›」』＂）"
CAPITALS = re.compile(r"[A-ZÀ-ÖØ-ÞΆΈ-ΏΑ-ΫЀ-Я]")


def is_unspaced(character: str) -> bool:
    """A letter of a script without spaces, by its name."""
    name = unicodedata.name(character, "")
    return character.isalpha() and name.startswith(
        ("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "MYANMAR", "KHMER", "BOPOMOFO", "YI ")
    )


def words(text: str) -> list[tuple[str, bool]]:
    """(word, whether it stands between spaces)."""
    found = []
    for token in text.split():
        for unspaced, piece in groupby(token, is_unspaced):
            if unspaced:
                found += [(character, False) for character in piece]
                continue
            kinds = [(character, unicodedata.category(character)[0]) for character in piece]
            while kinds and kinds[0][1] not in "LN":
                kinds.pop(0)
            while kinds and kinds[-1][1] not in "LNM":
                kinds.pop()
            if kinds:
                found.append(("".join(character for character, _ in kinds), True))
    return found


def measure(text: str, c4_line_words: int = 3, most: int = 1_000_000) -> dict[str, int]:
    """Every measure by its name."""
    found = words(text)
    spaced = [word for word, between_spaces in found if between_spaces]
    if len(found) - len(spaced) > len(spaced):
        spaced = []
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    blocks = [
        "\n".join(block)
        for filled, block in groupby(text.split("\n"), lambda line: bool(line.strip()))
        if filled
    ]
    paragraphs = [
        (tuple(line.strip() for line in block.split("\n")), len(block.strip())) for block in blocks
    ]
    out = {
        "characters": len(text),
        "words": len(found),
        "spaced_words": len(spaced),
        "word_characters": sum(map(len, spaced)),
        "words_with_letters": sum(
            any(unicodedata.category(character)[0] == "L" for character in word)
            for word, _ in found
        ),
        "stop_words": len({word.lower() for word, _ in found if word.isascii()} & set(STOP_WORDS)),
        "broken_characters": len(re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd]", text)),
        "number_signs": text.count("#"),
        "ellipses": text.count("...") + text.count("…"),
        "line_feeds": text.count("\n"),
        "braces": text.count("{"),
        "lorem_ipsum": len(re.findall("(?i:lorem ipsum)", text, re.ASCII)),
        **repetition(found, text, most),
        **({"repetition_characters": 0} if found and not spaced else {}),
        "lines": len(lines),
        "line_characters": sum(map(len, lines)),
    }
    repeated = [line for number, line in enumerate(lines) if line in lines[:number]]
    repeated_paragraphs = [
        length
        for number, (lines_of_it, length) in enumerate(paragraphs)
        if lines_of_it in [other for other, _ in paragraphs[:number]]
    ]
    return out | {
        "duplicate_lines": len(repeated),
        "duplicate_line_characters": sum(map(len, repeated)),
        "bullet_lines": sum(line[0] in "•-*" for line in lines),
        "ellipsis_lines": sum(line.endswith(("...", "…")) for line in lines),
        "short_lines": sum(len(line) < 30 for line in lines),
        "punctuated_lines": sum(ends_with_mark(line) for line in lines),
        "paragraphs": len(paragraphs),
        "duplicate_paragraphs": len(repeated_paragraphs),
        "duplicate_paragraph_characters": sum(repeated_paragraphs),
        "boilerplate_words": sum(len(words(line)) for line in lines if is_boilerplate(line)),
        **c4(text, c4_line_words),
    }


def repetition(found: list[tuple[str, bool]], text: str, most: int) -> dict[str, int]:
    """Gopher's n-grams, by lists and counters."""
    out = {"repetition_characters": len(text)}
    if len(found) > most:
        at = 0
        for word, _ in found[:most]:
            at = text.index(word, at) + len(word)
        out["repetition_characters"] = at
    found = found[:most]
    for n in range(2, 5):
        grams = [tuple(found[at : at + n]) for at in range(len(found) - n + 1)]
        gram, count = Counter(grams).most_common(1)[0] if grams else ((), 0)
        length = sum(len(word) for word, _ in gram) + sum(
            between_spaces for _, between_spaces in gram[1:]
        )
        out[f"top_{n}_gram_characters"] = count * length if count >= 2 else 0
    for n in range(5, 11):
        seen, at, repeated = set(), 0, 0
        while at + n <= len(found):
            gram = tuple(found[at : at + n])
            if gram in seen:
                repeated += sum(len(word) for word, _ in gram)
                at += n
            else:
                seen.add(gram)
                at += 1
        out[f"duplicate_{n}_gram_characters"] = repeated
    return out


def ends_with_mark(line: str) -> bool:
    """Whether the line ends with a mark, closing quotes and brackets aside (of a line of nothing
    else the first one stays)."""
    return (line[0] + line[1:].rstrip(CLOSE))[-1] in END


def is_boilerplate(line: str) -> bool:
    """A line that belongs to the page and not to the article."""
    of_line = words(line)
    alphanumeric = [
        unicodedata.category(character)[0]
        for character in line
        if unicodedata.category(character)[0] in "LN"
    ]
    if (
        len(CAPITALS.findall(line)) > len(line) / 2
        or len(of_line) <= 1
        or (alphanumeric and set(alphanumeric) == {"N"})
    ):
        return True
    if len(of_line) > 10:
        return False
    start = re.sub(r"^[^\w(]+", "", line.translate({ord("_"): "-"})).translate(LOWER)
    counter = re.fullmatch(r"(\S+)\s+(\S+)", start) if len(line.split()) == 2 else None
    if counter and unicodedata.category(start[0])[0] == "N" and counter[2].startswith(COUNTED):
        return True
    return start.startswith(BOILERPLATE_PHRASES)


LOWER = {code: code + 32 for code in range(65, 91)}


def c4(text: str, least_words: int) -> dict[str, int]:
    """C4's lines, as its paper says it."""
    out = {"c4_sentences": 0, "c4_sentences_any_end": 0, "c4_characters": 0}
    for line in re.sub(r"\[[0-9]*\]|\[edit\]|\[citation needed\]", "", text).split("\n"):
        line = line.strip()
        lowered = line.translate(LOWER)
        tokens = [
            piece
            for token in line.split()
            for unspaced, run in groupby(token, is_unspaced)
            for piece in (run if unspaced else ["".join(run)])
        ]
        if (
            not tokens
            or len(tokens) < least_words
            or max(map(len, tokens)) > 1000
            or any(phrase in lowered for phrase in C4_PHRASES[1:])
        ):
            continue
        ends = [
            match
            for match in re.finditer(f"[{re.escape(END)}](?=([{re.escape(CLOSE)}]*)(\\s|$)?)", line)
            if match[2] is not None or match[0] > "\u3000"
        ]
        sentences = len(ends) + (not ends_with_mark(line))
        out["c4_sentences_any_end"] += sentences
        if (ends_with_mark(line) or line[-1] in "\"'»“”’") and not line.endswith(("...", "…")):
            out["c4_sentences"] += sentences
            out["c4_characters"] += len(line)
    return out
