"""Step 3 of `corpora.wikipedia.wikitext`: which bracket of wikitext belongs to which, by one stack
and in one pass. Time is linear in the text."""

import re
from collections.abc import Callable
from dataclasses import dataclass

_TOKEN = re.compile(
    r"^[ \t:\ufdd0\ufdd1]*\{\||^[ \t\ufdd0\ufdd1]*\|\}(?!\})|\{\{+|\}\}+|\[\[+|\]\]+"
    r"|\[(?=(?:https?:|ftps?:)?//|mailto:)|\[|\]|\n",
    re.MULTILINE,
)

SCHEME = re.compile(r"(?:(?:https?|ftps?):)?//|mailto:", re.IGNORECASE)

_BRACES, _LINK, _TABLE, _ADDRESS, _PLAIN = range(5)
"""Kinds of open brackets. The last two end with their line."""


@dataclass(frozen=True, slots=True)
class _Open:
    """An open bracket: its kind, its first character, and how many characters are still open."""

    kind: int
    begin: int
    count: int


def pair(
    text: str, may_span: Callable[[str], bool]
) -> tuple[list[tuple[int, int, str]], list[tuple[int, int]]]:
    """(begin, end, kind) of every pair of brackets, and (begin, end) of those without a partner.
    Kinds: `{{`, `{{{`, `[[`, `[`, `{|`.

    A link ends with its paragraph, unless `may_span` accepts its beginning; an address ends with
    its line.
    """
    pairing = _Pairing(text, may_span)
    for token in _TOKEN.finditer(text):
        begin, end = token.span()
        mark = token[0]
        if mark == "\n":
            pairing.end_line(end)
        elif mark[0] == "[":
            pairing.open_square(begin, end)
        elif mark[0] == "]":
            pairing.close_square(begin, end)
        elif mark.endswith("{|"):
            pairing.push(_TABLE, end - 2, 2)
        elif mark.endswith("|}"):
            pairing.close_table(end)
        elif mark[0] == "{":
            pairing.push(_BRACES, begin, end - begin)
        else:
            pairing.close_braces(begin, end)
    while pairing.stack:
        pairing.drop()
    return pairing.spans, pairing.dropped


class _Pairing:
    """The open brackets, and what has been paired and dropped so far."""

    def __init__(self, text: str, may_span: Callable[[str], bool]) -> None:
        self._text = text
        self._may_span = may_span
        self.spans: list[tuple[int, int, str]] = []
        self.dropped: list[tuple[int, int]] = []
        self.stack: list[_Open] = []
        self._open_count = [0] * 5  # by kind

    def push(self, kind: int, begin: int, count: int) -> None:
        """Open a bracket of `count` characters."""
        self.stack.append(_Open(kind, begin, count))
        self._open_count[kind] += 1

    def _pop(self) -> _Open:
        top = self.stack.pop()
        self._open_count[top.kind] -= 1
        return top

    def drop(self) -> None:
        """Give up the last open bracket. What is text on its own, as one brace or a plain bracket,
        stays."""
        top = self._pop()
        if top.kind == _TABLE:  # with its attributes
            line_end = self._text.find("\n", top.begin)
            self.dropped.append((top.begin, line_end if line_end >= 0 else len(self._text)))
        elif top.kind != _PLAIN and (top.kind != _BRACES or top.count > 1):
            self.dropped.append((top.begin, top.begin + top.count))

    def end_line(self, end: int) -> None:
        """Drop what may not cross the end of a line, which is the end of a paragraph if a blank
        line follows."""
        paragraph_ends = self._text.startswith("\n", end)
        while self.stack:
            top = self.stack[-1]
            ends = top.kind >= _ADDRESS
            if not ends and paragraph_ends and top.kind == _LINK:
                ends = not self._may_span(self._text[top.begin + 2 : top.begin + 300])
            if not ends:
                return
            self.drop()

    def open_square(self, begin: int, end: int) -> None:
        """Open a run of `[`: links, and before them a plain bracket if their number is odd."""
        if end - begin == 1:
            self.push(_ADDRESS if SCHEME.match(self._text, end) else _PLAIN, begin, 1)
            return
        if (end - begin) % 2:
            self.push(_PLAIN, begin, 1)
            begin += 1
        for place in range(begin, end, 2):
            self.push(_LINK, place, 2)

    def close_square(self, begin: int, end: int) -> None:
        """Close with a run of `]`: single brackets first, then links."""
        left = end - begin
        while left:
            singles = self._open_singles()
            depth = len(self.stack) - singles
            link_below = depth > 0 and self.stack[depth - 1].kind == _LINK

            # `]]` closes a link rather than single brackets inside of it that never close.
            if link_below and left >= 2 and left < singles + 2:
                for _ in range(singles):
                    self.drop()
                singles = 0

            if singles:
                top = self._pop()
                if top.kind == _ADDRESS:
                    self.spans.append((top.begin, end - left + 1, "["))
                left -= 1
            elif link_below and left >= 2:
                self.spans.append((self._pop().begin, end - left + 2, "[["))
                left -= 2
            else:
                if left >= 2:
                    self.dropped.append((end - left, end))
                return

    def _open_singles(self) -> int:
        """How many single brackets are open on top of the stack."""
        count = 0
        while count < len(self.stack) and self.stack[-1 - count].kind >= _ADDRESS:
            count += 1
        return count

    def close_table(self, end: int) -> None:
        """Close with `|}`; what is open inside of the table is dropped."""
        if not self._open_count[_TABLE]:
            self.dropped.append((end - 2, end))
            return
        while self.stack[-1].kind != _TABLE:
            self.drop()
        self.spans.append((self._pop().begin, end, "{|"))

    def close_braces(self, begin: int, end: int) -> None:
        """Close with a run of `}`, by threes where three are open, else by twos."""
        left = end - begin
        while left >= 2 and self._open_count[_BRACES]:
            top = self.stack[-1]
            if top.kind != _BRACES or top.count < 2:
                self.drop()
                continue
            taken = 3 if left >= 3 and top.count >= 3 else 2
            rest = top.count - taken
            self.spans.append((top.begin + rest, end - left + taken, "{" * taken))
            self.stack[-1] = _Open(_BRACES, top.begin, rest)
            left -= taken
            if rest < 2:
                self._pop()
        if left >= 2:
            self.dropped.append((end - left, end))
