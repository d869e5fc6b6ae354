"""Text put together as a page shows it: runs of white space are one space, blocks begin new lines, `pre` keeps its own."""

import re

_SPACES = re.compile("[ \t\r\n\f]+")


class BookText:
    """Collects text and breaks; a break counts only between two texts."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._gap = self._lines = 0
        self._space = self._joined = False

    def gap(self, lines: int) -> None:
        """A break before the next text: 0 none, 1 a new line, 2 a blank line."""
        self._gap = max(self._gap, lines)

    def line(self) -> None:
        """A line break; two in a row are a blank line."""
        self._lines += 1

    def space(self) -> None:
        """A space before the next text."""
        self._space = True

    def join(self) -> None:
        """The last text was a drop cap: a block that follows goes on with its word."""
        self._joined = True

    def add(self, text: str, preformatted: bool = False) -> None:
        """Text of the source."""
        text = text.replace("\xad", "")
        body = text.strip("\r\n") if preformatted else _SPACES.sub(" ", text)
        if not body.strip(" "):
            self._space = self._space or bool(body)
            return
        before = body[0] == " " and not preformatted
        after = body[-1] == " " and not preformatted
        body = body if preformatted else body.strip(" ")
        gap = max(self._gap, min(self._lines, 2))
        if self._parts:
            if gap:
                if not (self._joined and body[0].isalpha()):
                    self._parts.append("\n" * gap)
            elif before or self._space:
                self._parts.append(" ")
        self._parts.append(body)
        self._gap = self._lines = 0
        self._space, self._joined = after, False

    def finished(self) -> str:
        """All of it."""
        return "".join(self._parts)
