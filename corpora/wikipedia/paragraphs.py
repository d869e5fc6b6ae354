"""Step 6 of `corpora.wikipedia.wikitext`: lines become paragraphs. Quote marks of markup, and
brackets that removals left empty, are removed; lists and headings are treated as the style says.
"""

import re

from corpora.wikipedia.tags import (
    BREAK,
    GONE,
    HEADING,
    LEVEL,
    LITERAL,
    MARKS,
    RAISED,
    SUNK,
    TYPED,
)

_COMMAS = ",;、，；،؛၊၌"
"""Commas and semicolons of all scripts."""

_SEPARATORS = _COMMAS + ":：︰/／·•・‧∙"

_OPENING, _CLOSING = "(（﹙", ")）﹚"
"""Round brackets, of the widths that scripts use."""

_SQUARE_OPENING, _SQUARE_CLOSING = "\\[［〔", "\\]］〕"

_INSIDE = f"\\s{_SEPARATORS}{GONE}{BREAK}"

_EMPTY = re.compile(
    f"[ \t]?[{_OPENING}{_SQUARE_OPENING}][{_INSIDE}–—―.。\\-]{{0,200}}[{_CLOSING}{_SQUARE_CLOSING}]"
)

_QUOTES = (
    "«»",
    "‹›",
    "„“",
    "„”",
    "“”",
    "‘’",
    "「」",
    "『』",
    "《》",
    "〈〉",
    LITERAL[ord("<")] + ">",
)

_GAP = f"[ \t\u00a0]{{0,5}}{GONE}[ \t\u00a0{GONE}]{{0,200}}"

_EMPTY_QUOTES = re.compile("|".join(_GAP.join(pair) for pair in _QUOTES))
"""Quotation marks, or angles, around what was removed, such as a formula or a picture."""

_AFTER_OPENING = re.compile(f"([{_OPENING}])[{_INSIDE}]{{1,200}}")

_LABEL = re.compile(f"([{_OPENING}])(?:AFI|API|IPA|МФА)\\s?:[{_INSIDE}]{{1,200}}")
"""What a label of a removed pronunciation leaves behind an opening bracket."""

_BEFORE_CLOSING = re.compile(f"(?<![{_INSIDE}])[{_INSIDE}]{{1,200}}([{_CLOSING}])")

_LEADING = re.compile(f"(^|{BREAK})([ \t{_SEPARATORS}{GONE}]{{1,200}})")
"""What begins a line: a comma stays behind a removed word, as in `{{dropped}}, the town grew`."""

_DOUBLED = re.compile(f"([{_COMMAS}])(?:[\\s{GONE}]{{0,50}}[{_COMMAS}]){{1,50}}")

_PUNCTUATION = frozenset(".,;:!?)]、，；：。！？）］،؛؟۔।")

_ANY_OPENING = re.compile(f"[{_OPENING}{_SQUARE_OPENING}]")

_SIGN = "(?:[-−–+]|&minus;|&#8722;)"

_NUMERIC = rf"\s*{_SIGN}?\s*(?:\d+(?:[.,/⁄^]\d+)*|[nxk]|[½⅓⅔¼¾])(?:\s*{_SIGN}\s*\d+)?\s*"

_FRACTION = re.compile(
    f"(?<=\\d){RAISED}\\s*(\\d+)\\s*{LEVEL}\\s*(?:[/⁄]|&frasl;)\\s*{SUNK}\\s*(\\d+)\\s*{LEVEL}"
)

_POWER = re.compile(f"(?:(?<=\\d)|(?<=\\d\\))){RAISED}({_NUMERIC}){LEVEL}")

_BASE = re.compile(f"(?<=\\d){SUNK}\\s*(\\d+)\\s*{LEVEL}")

_NOTE_MARK = re.compile(
    f"\\s{{0,20}}{RAISED}\\s{{0,20}}\\[(?:\\d{{1,3}}|[a-z]{{2,3}})\\]\\s*{LEVEL}"
)
"""A raised `[3]` or `[en]` came with a text that was copied from a page: the mark of a note, or of
a link to another wiki."""

_LEVELS = re.compile(f"[{RAISED}{SUNK}{LEVEL}]")

_RUN = re.compile(f"[ \t\u00a0{GONE}]+")

_BLANKS = re.compile(r"[ \t\u00a0]+")

_SENTENCE_END = re.compile(r"[.!?…。！？।]['\"”’»)\]]{0,3}$")

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Letters of scripts that set no spaces between words."""


def paragraphs(lines: list[str], lists: str = "prose") -> tuple[list[str], int]:
    """(cleaned paragraphs; how many pairs of empty brackets were removed). `lists`: drop, prose or
    keep. A heading stays only if text follows it."""
    builder = _Paragraphs(lists)
    for line in lines:
        builder.add(line)
    builder.close()
    builder.drop_headings()
    texts = [text[2:] if text.startswith(HEADING) else text for text in builder.done]
    return texts, builder.empty_brackets


class _Paragraphs:
    """The finished paragraphs and headings, and the lines of the open paragraph or list."""

    def __init__(self, lists: str) -> None:
        self._lists = lists
        self._open: list[str] = []
        self._in_list = False
        self.done: list[str] = []
        self.empty_brackets = 0

    def add(self, line: str) -> None:
        """Take the next line."""
        if line.startswith(HEADING):
            self.close()
            self.drop_headings(level=line[1])
            self.done.append(line)
            return
        if not line.strip():
            self.close()
            return

        typed = line.startswith(TYPED)
        line = line.removeprefix(TYPED)
        # A list mark may stand behind something that was removed.
        marked = line.lstrip(f" \t{GONE}")[:1] in tuple("*#:;")
        text = strip_quotes(_without_list_mark(line) if marked else line)
        if not marked and not text.strip(f" \t{GONE}{BREAK}"):
            return  # all of it was removed: it is neither a paragraph nor the end of one
        if marked or typed:
            self._add_item(text)
            return
        if self._in_list:
            self.close()
        self._open.append(text)

    def _add_item(self, text: str) -> None:
        if not self._in_list:
            self.close()
            self._in_list = True
        text = self._clean(text)
        if text and (self._lists == "keep" or (self._lists == "prose" and _is_sentence(text))):
            self._open.append(text)

    def close(self) -> None:
        """End the open paragraph or list."""
        text = "\n".join(self._open) if self._in_list else self._clean(" ".join(self._open))
        pieces = [piece.strip() for piece in text.replace(BREAK, "\n").split("\n")]
        text = "\n".join(filter(None, pieces))
        if any(character.isalnum() for character in text):
            self.done.append(text)
        self._open = []
        self._in_list = False

    def drop_headings(self, level: str = "") -> None:
        """Remove the headings at the end, which have no text: those of this level and below, or
        all."""
        while self.done and self.done[-1].startswith(HEADING) and self.done[-1][1] >= level:
            self.done.pop()

    def _clean(self, line: str) -> str:
        line, count = clean_line(line)
        self.empty_brackets += count
        return line


def _without_list_mark(line: str) -> str:
    """A list item without its mark, and with one mark for what was removed from its beginning."""
    text = line.lstrip(f" \t*#:;{GONE}")
    return GONE + text if GONE in line[: len(line) - len(text)] and text else text


def clean_line(line: str) -> tuple[str, int]:
    """(a line without the marks of what was removed, and without the brackets and commas that only
    it had needed; how many pairs of empty brackets that were)."""
    empty_brackets = 0
    if LEVEL in line:
        line = _in_line(line)
    if GONE in line:
        line, count = _EMPTY_QUOTES.subn(GONE, line)
        empty_brackets += count
    if GONE in line or _ANY_OPENING.search(line):
        for _ in range(3):  # one pair may be inside another; three levels keep time linear
            shorter = _EMPTY.sub(_empty, line)
            if shorter == line:
                break
            empty_brackets += _opening_brackets(line) - _opening_brackets(shorter)
            line = shorter
        for pattern in (_LABEL, _AFTER_OPENING, _BEFORE_CLOSING, _DOUBLED):
            line = pattern.sub(_without_gap, line)
    if GONE in line:
        line = _LEADING.sub(_without_leading, line)
        line = _RUN.sub(_blank, line)
    return _BLANKS.sub(" ", line).strip(), empty_brackets


def _in_line(line: str) -> str:
    """A line without marks of what is raised or set lower. Behind a number a raised number would
    make it another one: 10^5, 1010_2, 3 1/2."""
    line = _NOTE_MARK.sub(GONE, line)
    line = _FRACTION.sub(r" \1/\2", line)
    for _ in range(2):  # an exponent may have one
        line = _POWER.sub(lambda match: f"^{match[1].strip()}", line)
    line = _BASE.sub(r"_\1", line)
    return _LEVELS.sub("", line)


def _opening_brackets(line: str) -> int:
    return len(_ANY_OPENING.findall(line))


def _without_gap(match: "re.Match[str]") -> str:
    """The bracket or comma alone if something was removed beside it, else the text as it is."""
    return match[1] if GONE in match[0] else match[0]


def _without_leading(match: "re.Match[str]") -> str:
    """Nothing for the commas behind what was removed from the beginning of a line."""
    return match[1] if GONE in match[2] and match[2].strip(f" \t{GONE}") else match[0]


def _blank(match: "re.Match[str]") -> str:
    """One blank for a run of them; none before punctuation if something was removed here."""
    run = match[0]
    if GONE in run and match.string[match.end() : match.end() + 1] in _PUNCTUATION:
        return ""
    return " " if run.strip(GONE) else ""


def _empty(match: "re.Match[str]") -> str:
    """Brackets that a removal left empty, or that nobody filled in, as `( , )`, are removed; `()`
    and `(–)` without a removal are text."""
    inside = match[0].strip()[1:-1]
    if GONE not in inside and (not inside or inside.strip(f" \t:：{_COMMAS}")):
        return match[0]
    return GONE


def count_words(text: str) -> int:
    """The number of runs between white space that hold a letter or a digit. In scripts without
    spaces two letters count as one word."""
    unspaced = len(_UNSPACED.findall(text))
    spaced = _UNSPACED.sub(" ", text) if unspaced else text
    words = sum(1 for word in spaced.split() if _has_alphanumeric(word))
    return words + (unspaced + 1) // 2


def _has_alphanumeric(word: str) -> bool:
    return any(character.isalnum() for character in word)


def _is_sentence(text: str) -> bool:
    text = MARKS.sub("", text)
    return count_words(text) >= 5 and _SENTENCE_END.search(text) is not None


def strip_quotes(line: str) -> str:
    """A line without the quote marks of markup, as MediaWiki pairs them.

    If bold and italic are both odd, one `'''` is an apostrophe before italic, as in
    `l'''amour''`. The rest of a longer run is one apostrophe: nobody writes more as text.
    """
    if "''" not in line:
        return line
    parts = re.split(r"('{2,})", line)  # the odd ones are the quotes
    bold = italic = 0
    for index in range(1, len(parts), 2):
        length = _markup_length(parts[index])
        parts[index - 1] += "'" * (len(parts[index]) - length)
        parts[index] = "'" * length
        bold += length in (3, 5)
        italic += length in (2, 5)
    if bold % 2 and italic % 2:
        index = _apostrophe(parts)
        if index:
            parts[index - 1] += "'"
    return re.sub("''+", "'", "".join(parts[::2]))


def _markup_length(quotes: str) -> int:
    """How many of a run of two or more quotes are markup: 2, 3 or 5. The others stand before."""
    if len(quotes) < 4:
        return len(quotes)
    return 3 if len(quotes) == 4 else 5


def _apostrophe(parts: list[str]) -> int:
    """The index of the run of three whose first quote is an apostrophe, 0 if there is none: the
    first after a word of one letter, else after a longer word, else after a blank."""
    threes = [index for index in range(1, len(parts), 2) if len(parts[index]) == 3]
    after_word = [index for index in threes if parts[index - 1][-1:] not in (" ", "")]
    after_letter = [index for index in after_word if parts[index - 1][-2:-1] == " "]
    after_blank = [index for index in threes if parts[index - 1][-1:] == " "]
    return next(iter([*after_letter, *after_word, *after_blank]), 0)
