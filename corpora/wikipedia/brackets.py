"""Step 3 of `corpora.wikipedia.wikitext`: which bracket of wikitext belongs to which, by one stack, in one
pass."""

import re
from collections.abc import Callable

_TOKEN = re.compile(
    r"^[ \t:\ufdd0\ufdd1]*\{\||^[ \t\ufdd0\ufdd1]*\|\}(?!\})|\{\{+|\}\}+|\[\[+|\]\]+|\[(?=(?:https?:|ftps?:)?//|mailto:)|\[|\]|\n",
    re.MULTILINE,
)

SCHEME = re.compile(r"(?:(?:https?|ftps?):)?//|mailto:", re.IGNORECASE)


def pair(
    text: str, may_span: Callable[[str], bool]
) -> tuple[list[tuple[int, int, str]], list[tuple[int, int]]]:
    """(begin, end, kind) of every pair of brackets, and (begin, end) of those without a partner.
    Kinds: `{{`, `{{{`, `[[`, `[`, `{|`.

    A link ends with its paragraph, unless `may_span` says of its beginning that it may not; an
    address ends with its line.
    """
    spans: list[tuple[int, int, str]] = []
    dropped: list[tuple[int, int]] = []
    stack: list[tuple[int, int, int]] = []  # kind (the index in `kinds`), begin, how many braces
    braces, link, table, address, plain = range(5)
    open_ones = [0] * 5

    def push(kind: int, begin: int, count: int) -> None:
        stack.append((kind, begin, count))
        open_ones[kind] += 1

    def pop(lonely: bool) -> tuple[int, int, int]:
        top = stack.pop()
        open_ones[top[0]] -= 1
        if lonely and top[0] == table:  # with its attributes
            line_end = text.find("\n", top[1])
            dropped.append((top[1], line_end if line_end >= 0 else len(text)))
        elif lonely and top[0] != plain and (top[0] != braces or top[2] > 1):
            dropped.append((top[1], top[1] + top[2]))
        return top

    for token in _TOKEN.finditer(text):
        begin, end = token.span()
        mark = token[0]
        if mark == "\n":
            blank = text.startswith("\n", end)
            while stack and (
                stack[-1][0] >= address
                or (
                    blank
                    and stack[-1][0] == link
                    and not may_span(text[stack[-1][1] + 2 : stack[-1][1] + 300])
                )
            ):
                pop(True)
        elif mark[0] == "[":
            if len(mark) == 1:
                push(address if SCHEME.match(text, end) else plain, begin, 1)
                continue
            if len(mark) % 2:
                push(plain, begin, 1)
                begin += 1
            for place in range(begin, end, 2):
                push(link, place, 2)
        elif mark[0] == "]":
            left = end - begin
            while left:
                small = 0
                while small < len(stack) and stack[-1 - small][0] >= address:
                    small += 1
                linked = small < len(stack) and stack[-1 - small][0] == link
                if linked and left >= 2 and left < small + 2:
                    for _ in range(small):
                        pop(True)
                    small = 0
                if small:
                    top = pop(False)
                    if top[0] == address:
                        spans.append((top[1], end - left + 1, "["))
                    left -= 1
                elif linked and left >= 2:
                    spans.append((pop(False)[1], end - left + 2, "[["))
                    left -= 2
                else:
                    if left >= 2:
                        dropped.append((end - left, end))
                    break
        elif mark.endswith("{|"):
            push(table, end - 2, 2)
        elif mark.endswith("|}"):
            if open_ones[table]:
                while stack[-1][0] != table:
                    pop(True)
                spans.append((pop(False)[1], end, "{|"))
            else:
                dropped.append((end - 2, end))
        elif mark[0] == "{":
            push(braces, begin, end - begin)
        else:
            left = end - begin
            while left >= 2 and open_ones[braces]:
                top = stack[-1]
                if top[0] != braces or top[2] < 2:
                    pop(True)
                    continue
                taken = 3 if left >= 3 and top[2] >= 3 else 2
                spans.append((top[1] + top[2] - taken, end - left + taken, "{" * taken))
                stack[-1] = (braces, top[1], top[2] - taken)
                left -= taken
                if stack[-1][2] < 2:
                    pop(False)
            if left >= 2:
                dropped.append((end - left, end))
    while stack:
        pop(True)
    return spans, dropped
