"""trafilatura's text, to the byte, in less time: its own steps, with the wasteful ones done
otherwise.

Most of an extraction goes into expressions such as `re:test(@class, 'share|footer|...')`, which
call back into Python for every element. Here one pass over the elements that an expression names
asks the same conditions, read from the expression's own text, and remembers the answer to each
value of an attribute, since a page (and the next page of a site) repeats them. Then: no copies of
the tree but where the way on needs them, characters that XML forbids looked for by bytes before any
regular expression, the options made once, the length of a page's whole text bounded before it is
measured.

All of it reaches for private names, so it is for one version of trafilatura, and any other runs as
it is. Its expressions are exchanged only during a call of `extract`; whoever uses the package
beside us finds it untouched.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import islice
from sys import modules
from typing import Any

from lxml.etree import XPath, strip_elements, strip_tags
from trafilatura import bare_extraction
from trafilatura.utils import repair_faulty_html

KNOWN_VERSION = "2.3.1"
"""The trafilatura that these steps are those of."""

_REMEMBERED = 20_000
"""Values of an attribute whose answers are kept, and their greatest length: memory stays below some
20 MB, whatever comes."""

_LONGEST = 200

_FORBIDDEN = bytes(byte for byte in range(32) if byte not in b"\t\n\r")

_REGEXP_NAMESPACE = {"re": "http://exslt.org/regular-expressions"}


def is_known() -> bool:
    """Whether the installed trafilatura is the one that can be made faster."""
    return version("trafilatura") == KNOWN_VERSION


if is_known():
    from trafilatura import baseline, core, html2txt, main_extractor, xpaths
    from trafilatura.external import compare_extraction, justext_rescue
    from trafilatura.htmlprocessing import convert_tags, prune_unwanted_nodes, tree_cleaning
    from trafilatura.settings import BASIC_CLEAN_XPATH, MIN_DUPLICATE_LENGTH, Extractor
    from trafilatura.utils import DOCTYPE_TAG, FAULTY_HTML, INVALID_XML_CHARS, SPACING_PROTECTED
    from trafilatura.xml import delete_element, xmltotxt

    _baseline = modules[
        "trafilatura.baseline"
    ]  # the package's attribute of that name is a function


def extract(
    tree: Any,
    *,
    url: str | None = None,
    fast: bool = True,
    precision: bool = False,
    accelerated: bool = True,
) -> str:
    """The text of a parsed page without its comments, "" where there is none: what
    `trafilatura.bare_extraction` says of the tree.

    The tree is used up. `fast`, `precision`: trafilatura's own switches. `accelerated`: False runs
    the package as it is, which gives the same text.
    """
    if not accelerated or not _Steps.known:
        found = bare_extraction(
            tree,
            url=url,
            fast=fast,
            favor_precision=precision,
            include_comments=False,
            with_metadata=False,
        )
        return (found.text or "") if found is not None and not isinstance(found, dict) else ""
    options = copy(_options(fast, precision))
    options.url = options.source = url
    try:
        with _exchanged():
            body, text = _sequence(tree, options)
        return xmltotxt(body, options.formatting) if len(text) >= options.min_output_size else ""
    except (TypeError, ValueError):
        return ""


def repair(text: str, start: str, accelerated: bool = True) -> bytes:
    """`trafilatura.utils.repair_faulty_html` in UTF-8: without the characters that XML forbids and
    two faults that stop the parser.

    `start`: the first 50 characters in lower case.
    """
    if not accelerated or not _Steps.known:
        return str(repair_faulty_html(text, start)).encode("utf-8", "replace")
    content = text.encode("utf-8", "replace")
    if (
        len(content.translate(None, _FORBIDDEN)) != len(content)
        or b"\xef\xbf\xbe" in content
        or b"\xef\xbf\xbf" in content
    ):
        text = INVALID_XML_CHARS.sub("", text)
        content = text.encode("utf-8", "replace")
    whole = text
    if "doctype" in start:
        first, _, rest = text.partition("\n")
        mended = DOCTYPE_TAG.sub("", first, count=1) if DOCTYPE_TAG.match(first) else first
        if mended is not first or len(first) == len(text):
            whole = f"{mended}\n{rest}"
    for line in whole[:4096].splitlines()[:4]:
        if "<html" in line and line.endswith("/>"):
            whole = FAULTY_HTML.sub(r"\1>", whole, count=1)
            break
    return content if whole is text else whole.encode("utf-8", "replace")


@cache
def _options(fast: bool, precision: bool) -> "Extractor":
    """Made once: it reads eight settings and the clock."""
    return Extractor(output_format="python", fast=fast, precision=precision, comments=False)


# --- the steps of trafilatura.core, for pages without their comments ---


def _sequence(tree: Any, options: "Extractor") -> tuple[Any, str]:
    """`trafilatura_sequence`: the main extraction, the rescue of short ones, and the retry of those
    that are little of their page."""
    forum = core._forum_thread_page(tree)
    tree = prune_unwanted_nodes(tree, xpaths.RAW_TREE_PRUNE_XPATH)
    if options.focus == "precision" or not forum:
        tree = prune_unwanted_nodes(tree, xpaths.REMOVE_COMMENTS_AND_LISTS_XPATH)
    body, text = _cascade(tree, options, forum)
    if len(text) < options.min_extracted_size and options.focus != "precision":
        rescued, rescued_text, length = baseline(tree)
        if length > len(text):
            body, text = rescued, rescued_text
    if options.focus != "balanced" or not 0 < len(text) < core.ESCALATION_MAX_LENGTH:
        return body, text
    if len(text) >= core.ESCALATION_PAGE_SHARE * _longest_text(tree) or len(
        text
    ) >= core.ESCALATION_PAGE_SHARE * len(html2txt(tree)):
        return body, text
    retry = copy(options)
    retry.focus = "recall"
    wider, wider_text, other, other_text = None, "", None, ""
    try:
        wider, wider_text = _cascade(tree, retry, forum=True)
    except (
        Exception
    ):  # as stock trafilatura: this try only may find more, the text found before stands
        pass
    if not options.fast:
        try:
            other, other_text = justext_rescue(copy(tree), options)
        except Exception:  # the same
            pass
    if len(other_text) > len(wider_text) and len(other_text) > core.ESCALATION_JUSTEXT_RATIO * len(
        text
    ):
        return other, other_text
    if len(wider_text) >= options.min_extracted_size and len(
        wider_text
    ) > core.ESCALATION_ACCEPT_RATIO * len(text):
        return wider, wider_text
    return body, text


def _cascade(tree: Any, options: "Extractor", forum: bool) -> tuple[Any, str]:
    """`_prepare_tree` and `_extract_and_compare`: the copy for the other extractors is made in the
    mode that has them."""

    def prepare() -> tuple[Any, Any]:
        cleaned = tree_cleaning(copy(tree), options)
        backup = None if options.fast else copy(cleaned)
        cleaned = convert_tags(cleaned, options, options.url)
        if options.focus == "precision" and not forum:
            cleaned = prune_unwanted_nodes(cleaned, xpaths.REMOVE_COMMENTS_XPATH)
        return cleaned, backup

    cleaned, backup = prepare()
    body, text = _content(cleaned, options, lambda: prepare()[0])
    return (
        (body, text)
        if options.fast
        else compare_extraction(backup, copy(tree), body, text, options)
    )


def _content(tree: Any, options: "Extractor", again: Callable[[], Any]) -> tuple[Any, str]:
    """`extract_content`: what it copies beforehand for short texts is made again for those
    alone."""
    order = list(tree.iter())
    body, text, tags = main_extractor._extract(tree, options)
    if len(body) == 0 or len(text) < options.min_extracted_size:
        backup = again()
        consumed = {
            twin
            for element, twin in zip(order, backup.iter(), strict=True)
            if element.tag == "done"
        }
        body = main_extractor.recover_wild_text(backup, body, options, tags, consumed)
        text = " ".join(body.itertext()).strip()
    previous = None
    for element in list(body):
        current = main_extractor._elem_text(element)
        if current and current == previous and len(current) > MIN_DUPLICATE_LENGTH:
            delete_element(element, keep_tail=False)
        else:
            previous = current
    strip_elements(body, "done")
    strip_tags(body, "div")
    for linebreak in body.iter("lb"):
        tail = linebreak.tail
        if (
            tail
            and tail.isspace()
            and not any(outer.tag in SPACING_PROTECTED for outer in linebreak.iterancestors())
        ):
            linebreak.tail = None
    return body, text


_TEXTS = XPath(
    ".//text()[not(parent::script or parent::style or parent::template or parent::svg or parent::aside or parent::footer)]",
    smart_strings=False,
)


def _longest_text(tree: Any) -> int:
    """No fewer characters than `html2txt` gives: it leaves out more, and puts a space at fewer
    places."""
    body = tree.find(".//body")
    return len(" ".join(" ".join(_TEXTS(tree if body is None else body)).split()))


# --- its expressions ---

_STRING = re.compile(r"'[^']*'")

_NAMES = r"(?P<names>@[\w-]+(?:\|@[\w-]+)*)"

_CONDITION = re.compile(
    rf"(?P<call>re:test|contains|starts-with)\((?P<translate>translate\()?{_NAMES}(?:, ?(?P<old>'\d+'), ?(?P<new>'\d+')\))?, ?(?P<value>'\d+')(?:, ?(?P<flags>'\d+'))?\)"
    rf"|{_NAMES.replace('names', 'equal')}=(?P<wanted>'\d+')|(?P<present>@[\w-]+)"
)

_BRANCH = re.compile(
    r"\(?\.//(?P<name>\*|\w+)(?:\[(?P<names>self::\w+(?: or self::\w+)*)\])?(?P<conditions>(?:\[[^\]]*\])*)\)?(?P<first>\[1\])?"
)


class Unreadable(Exception):
    """An expression with something in it that this file does not know."""


@dataclass(frozen=True)
class _Condition:
    """Of the first of these attributes that an element has, in the order of its source."""

    names: tuple[str, ...]
    holds: Callable[[str], bool]


@dataclass(frozen=True)
class _Branch:
    """One path of an expression: elements of these names (None: all) of which a condition holds
    (none: all of them), and of which `rest`, what the path asks beyond that, holds as well."""

    tags: frozenset[str] | None
    conditions: tuple[_Condition, ...]
    rest: XPath | None


def _read(path: str) -> list[_Branch]:
    """The branches of an expression, from its text. Raises `Unreadable`."""
    strings = _STRING.findall(path)
    numbers = iter(range(len(strings)))
    shape = (
        " ".join(_STRING.sub(lambda _: f"'{next(numbers)}'", path).split())
        .replace("[ ", "[")
        .replace(" ]", "]")
    )
    return [
        _branch(part, [text[1:-1] for text in strings])
        for part in re.split(r"\|(?=\(?\.//)", shape)
    ]


def _branch(shape: str, strings: list[str]) -> _Branch:
    match = _BRANCH.fullmatch(shape)
    if match is None:
        raise Unreadable(shape)
    tags = None if match["name"] == "*" else frozenset({match["name"]})
    if match["names"]:
        tags = frozenset(re.findall(r"self::(\w+)", match["names"]))
    predicates = [text for text in re.findall(r"\[([^\]]*)\]", match["conditions"]) if text != "1"]
    conditions = (
        tuple(_condition(text, strings) for text in re.split(r" or ", predicates[0]))
        if predicates
        else ()
    )
    rest = None
    if predicates[1:]:
        asked = re.sub(
            r"'(\d+)'",
            lambda number: f"'{strings[int(number[1])]}'",
            "".join(f"[{text}]" for text in predicates[1:]),
        )
        rest = XPath(f"self::*{asked}", namespaces=_REGEXP_NAMESPACE)
    return _Branch(tags, conditions, rest)


def _condition(shape: str, strings: list[str]) -> _Condition:
    match = _CONDITION.fullmatch(shape)
    if match is None:
        raise Unreadable(shape)

    def string(group: str) -> str:
        return strings[int(match[group][1:-1])]

    names = tuple(
        name[1:] for name in (match["names"] or match["equal"] or match["present"]).split("|")
    )
    if match["present"]:
        return _Condition(names, lambda value: True)
    if match["equal"]:
        wanted = string("wanted")
        return _Condition(names, lambda value: value == wanted)
    text = string("value")
    if match["call"] == "re:test":
        search = re.compile(
            text, re.IGNORECASE if match["flags"] and "i" in string("flags") else 0
        ).search
        if search(""):
            raise Unreadable(f"{text} holds of an attribute that is not there")
        return _Condition(names, lambda value: search(value) is not None)
    if not text:
        raise Unreadable(shape)
    table = str.maketrans(string("old"), string("new")) if match["translate"] else {}
    if match["call"] == "contains":
        return (
            _Condition(names, lambda value: text in value.translate(table))
            if table
            else _Condition(names, lambda value: text in value)
        )
    return _Condition(names, lambda value: value.startswith(text))


class OnePass:
    """An expression of trafilatura's in one pass over a tree: called with it, gives the elements in
    document order.

    Which branches a value satisfies is remembered as bits, one a branch. `first`: the first element
    alone, for the expressions of which trafilatura takes no other. Raises `Unreadable`.
    """

    def __init__(self, expression: XPath, first: bool = False) -> None:
        self.path = expression.path
        self._first = first
        self._branches = _read(self.path)
        everything = [branch.tags for branch in self._branches]
        self._tags = (
            ("*",)
            if None in everything
            else tuple(sorted(set().union(*(tags for tags in everything if tags))))
        )
        self._always = sum(1 << bit for bit, tags in enumerate(everything) if tags is None)
        self._of_tag = {tag: self._always for tags in everything for tag in tags or ()}
        self._free = sum(
            1 << bit for bit, branch in enumerate(self._branches) if not branch.conditions
        )
        by_names: dict[tuple[str, ...], list[tuple[int, Callable[[str], bool]]]] = {}
        for bit, branch in enumerate(self._branches):
            for tag in branch.tags or ():
                self._of_tag[tag] |= 1 << bit
            for condition in branch.conditions:
                by_names.setdefault(condition.names, []).append((1 << bit, condition.holds))
        self._single = {
            names[0]: (conditions, dict[str, int]())
            for names, conditions in by_names.items()
            if len(names) == 1
        }
        self._groups = [
            (frozenset(names), (conditions, dict[str, int]()))
            for names, conditions in by_names.items()
            if len(names) > 1
        ]

    def __call__(self, tree: Any) -> list[Any]:
        found = (element for element, bits in self._matches(tree) if self._has_rest(element, bits))
        return list(islice(found, 1)) if self._first else list(found)

    def forget(self) -> None:
        """Begin again to remember."""
        for _, known in [*self._single.values(), *(memo for _, memo in self._groups)]:
            known.clear()

    def _has_rest(self, element: Any, bits: int) -> bool:
        return any(
            bits & 1 << bit and (branch.rest is None or branch.rest(element))
            for bit, branch in enumerate(self._branches)
        )

    def _matches(self, tree: Any) -> Iterator[tuple[Any, int]]:
        single, groups, of_tag, always, free = (
            self._single,
            self._groups,
            self._of_tag,
            self._always,
            self._free,
        )
        for element in tree.iterdescendants(*self._tags):
            items = element.items()
            if not items and not free:
                continue
            bits = free
            for name, value in items:
                memo = single.get(name)
                if memo is not None:
                    known = memo[1].get(value)
                    bits |= _ask(memo, value) if known is None else known
            for names, memo in groups:
                for name, value in items:
                    if name in names:
                        known = memo[1].get(value)
                        bits |= _ask(memo, value) if known is None else known
                        break
            if bits and (bits := bits & of_tag.get(element.tag, always)):
                yield element, bits


def _ask(memo: tuple[list[tuple[int, Callable[[str], bool]]], dict[str, int]], value: str) -> int:
    conditions, known = memo
    bits = 0
    for bit, holds in conditions:
        if not bits & bit and holds(value):
            bits |= bit
    if len(value) <= _LONGEST:
        if len(known) >= _REMEMBERED:
            known.clear()
        known[value] = bits
    return bits


def forget() -> None:
    """Begin again to remember: for measurements."""
    for passes in _Steps.passes if _Steps.known else ():
        passes.forget()


def _exchange(
    expressions: list[XPath], first: bool = False
) -> tuple[list[Any], list[Any], list[Any]]:
    """A list of the package, what takes the place of its items, and the items. One that calls
    nothing back stays."""
    ours = [
        OnePass(expression, first) if "re:test" in expression.path else expression
        for expression in expressions
    ]
    return expressions, ours, list(expressions)


class _Steps:
    """What takes the place of what, for the version that is known."""

    known = is_known()
    if known:
        clean, stock_clean = OnePass(BASIC_CLEAN_XPATH), BASIC_CLEAN_XPATH
        lists = [
            _exchange(xpaths.BODY_XPATH, first=True),
            *map(
                _exchange,
                (
                    xpaths.OVERALL_DISCARD_XPATH,
                    xpaths.RAW_TREE_PRUNE_XPATH,
                    xpaths.REMOVE_COMMENTS_AND_LISTS_XPATH,
                ),
            ),
            *map(_exchange, (xpaths.REMOVE_COMMENTS_XPATH, xpaths.PRECISION_DISCARD_XPATH)),
        ]
        passes = [
            clean,
            *(step for _, ours, _ in lists for step in ours if isinstance(step, OnePass)),
        ]


@contextmanager
def _exchanged() -> Iterator[None]:
    """Its lists are shared by reference between its modules, so their items change; the one name
    changes in its module."""
    for theirs, ours, _ in _Steps.lists:
        theirs[:] = ours
    _baseline.BASIC_CLEAN_XPATH = _Steps.clean  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for theirs, _, stock in _Steps.lists:
            theirs[:] = stock
        _baseline.BASIC_CLEAN_XPATH = _Steps.stock_clean  # type: ignore[attr-defined]
