"""trafilatura's text, identical to the byte, in less time: its own steps, the slow ones replaced.

Most of an extraction is spent in expressions such as `re:test(@class, 'share|footer|...')`, which
call back into Python for every element. Here one pass over the elements that an expression names
tests the same conditions, read from the expression's own text, and remembers the answer for each
value of an attribute, since a page (and the next page of a site) repeats them. Further savings:

    trees           copied only when a later step needs the copy
    characters      that XML forbids are looked for in the bytes before a regular expression runs
    options         made once
    whole text      of a page bounded before it is measured

All of this uses private names, so it is for one version of trafilatura (`KNOWN_VERSION`); any other
version runs as it is. The package's expressions are exchanged only during a call of `extract`, so
other users of the package in the same process find it unchanged. Not for several threads at once.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from sys import modules
from typing import TypeAlias

from lxml.etree import XPath, strip_elements, strip_tags
from lxml.html import HtmlElement
from trafilatura import bare_extraction
from trafilatura.utils import repair_faulty_html

KNOWN_VERSION = "2.3.1"
"""The version of trafilatura whose steps these are."""

_REMEMBERED = 20_000
"""Values of an attribute whose answers are remembered; with `_LONGEST` memory stays below about
20 MB."""

_LONGEST = 200
"""Characters of the longest value that is remembered."""

_FORBIDDEN = bytes(byte for byte in range(32) if byte not in b"\t\n\r")
"""The control characters that XML forbids; `_NONCHARACTERS` are forbidden too."""

_NONCHARACTERS = (b"\xef\xbf\xbe", b"\xef\xbf\xbf")
"""U+FFFE and U+FFFF in UTF-8."""

_REGEXP_NAMESPACE = {"re": "http://exslt.org/regular-expressions"}


def is_known() -> bool:
    """Whether the installed trafilatura is the one that can be made faster."""
    return version("trafilatura") == KNOWN_VERSION


if is_known():
    from trafilatura import baseline, core, html2txt, main_extractor, xpaths
    from trafilatura.external import compare_extraction, justext_rescue
    from trafilatura.htmlprocessing import convert_tags, prune_unwanted_nodes, tree_cleaning
    from trafilatura.settings import BASIC_CLEAN_XPATH, MIN_DUPLICATE_LENGTH, Extractor
    from trafilatura.utils import FAULTY_HTML, INVALID_XML_CHARS, SPACING_PROTECTED
    from trafilatura.xml import delete_element, xmltotxt

    # The package's attribute of that name is a function.
    _baseline = modules["trafilatura.baseline"]


def extract(
    tree: HtmlElement,
    *,
    url: str | None = None,
    fast: bool = True,
    precision: bool = False,
    accelerated: bool = True,
) -> str:
    """The text of a parsed page without its comments, "" when there is none: the text that
    `trafilatura.bare_extraction` finds in the tree.

    The tree is used up. `fast` and `precision` are trafilatura's own switches. With `accelerated`
    False the package runs as it is, which gives the same text.
    """
    page = Extraction(tree, url=url, precision=precision, accelerated=accelerated)
    return page.text(fast)


class Extraction:
    """The text of one parsed page, in the fast mode, in the default mode, or first in the one and
    then in the other: the second then begins where the first left off.

    The tree is used up. `is_shared`: a second mode can be asked for; where the package runs as it
    is, each needs a tree of its own.
    """

    def __init__(
        self,
        tree: HtmlElement,
        *,
        url: str | None = None,
        precision: bool = False,
        accelerated: bool = True,
    ) -> None:
        self.is_shared = accelerated and _Steps.known
        self._tree = tree
        self._url = url
        self._precision = precision
        self._done = _Done()

    def text(self, fast: bool) -> str:
        """The text in one of the modes, "" when there is none."""
        if not self.is_shared:
            return self._stock_text(fast)

        options = copy(_options(fast, self._precision))
        options.url = options.source = self._url
        try:
            with _exchanged(), _kept_characters():
                body, text = _sequence(self._tree, options, self._done)
                if len(text) < options.min_output_size:
                    return ""
                return str(xmltotxt(body, options.formatting))
        except (TypeError, ValueError):
            return ""  # as trafilatura does on a tree that it cannot convert

    def _stock_text(self, fast: bool) -> str:
        with _kept_characters():
            found = bare_extraction(
                self._tree,
                url=self._url,
                fast=fast,
                favor_precision=self._precision,
                include_comments=False,
                with_metadata=False,
            )
        if found is None or isinstance(found, dict):
            return ""
        return found.text or ""


def repair(text: str, start: str, accelerated: bool = True) -> bytes:
    """`trafilatura.utils.repair_faulty_html` in UTF-8: the page without the characters that XML
    forbids and without two faults that stop the parser.

    `start` is the first 50 characters in lower case.
    """
    if not accelerated or not _Steps.known:
        return str(repair_faulty_html(text, start)).encode("utf-8", "replace")

    content = text.encode("utf-8", "replace")
    if _has_forbidden(content):
        text = INVALID_XML_CHARS.sub("", text)
        content = text.encode("utf-8", "replace")

    whole = text
    if "doctype" in start:
        first, _, rest = text.partition("\n")
        mended = _without_doctype(first)
        # trafilatura adds a line end to a page of one line.
        if mended is not first or len(first) == len(text):
            whole = f"{mended}\n{rest}"
    for line in whole[:4096].splitlines()[:4]:
        if "<html" in line and line.endswith("/>"):
            whole = FAULTY_HTML.sub(r"\1>", whole, count=1)
            break
    return content if whole is text else whole.encode("utf-8", "replace")


_DOCTYPE = re.compile("< ?! ?DOCTYPE", re.IGNORECASE)


def _without_doctype(line: str) -> str:
    """`DOCTYPE_TAG.sub("", line)` in linear time: the line without a document type that holds a
    slash behind its last bracket."""
    start = _DOCTYPE.match(line)
    end = line.find(">")
    if start is None or end < 0:
        return line
    last = max(start.end(), line.rfind("<", 0, end) + 1)
    return line[end + 1 :] if "/" in line[last:end] else line


def _has_forbidden(content: bytes) -> bool:
    if len(content.translate(None, _FORBIDDEN)) != len(content):
        return True
    return _NONCHARACTERS[0] in content or _NONCHARACTERS[1] in content


@cache
def _options(fast: bool, precision: bool) -> "Extractor":
    """Made once: making one reads eight settings and the clock."""
    return Extractor(output_format="python", fast=fast, precision=precision, comments=False)


# --- the steps of trafilatura.core, for pages without their comments


_Extract: TypeAlias = tuple[HtmlElement, str]
"""The body that an extractor made, and its text."""


_SHARED_CHARACTERS = 8_000
"""Characters of the longest body that the fast mode keeps a copy of, for the default mode."""


@dataclass
class _Done:
    """What the fast mode has done that the default mode would do again.

    `forum`: what the page is, once it is pruned. `bodies`: by focus, what the main extractor found,
    where that does not depend on the mode.
    """

    forum: bool | None = None
    bodies: dict[str, _Extract] = field(default_factory=dict)


def _sequence(tree: HtmlElement, options: "Extractor", done: _Done) -> _Extract:
    """`trafilatura_sequence`: the main extraction, the rescue of short texts, and the retry when
    the text is a small share of its page."""
    if done.forum is None:
        done.forum = core._forum_thread_page(tree)
        prune_unwanted_nodes(tree, xpaths.RAW_TREE_PRUNE_XPATH)
        if options.focus == "precision" or not done.forum:
            prune_unwanted_nodes(tree, xpaths.REMOVE_COMMENTS_AND_LISTS_XPATH)

    body, text = _cascade(tree, options, done.forum, done)
    if len(text) < options.min_extracted_size and options.focus != "precision":
        rescued, rescued_text, length = baseline(tree)
        if length > len(text):
            body, text = rescued, rescued_text

    if options.focus != "balanced" or not 0 < len(text) < core.ESCALATION_MAX_LENGTH:
        return body, text
    # The bound first: it costs a fraction of `html2txt`, and decides most pages.
    if len(text) >= core.ESCALATION_PAGE_SHARE * _longest_text(tree):
        return body, text
    if len(text) >= core.ESCALATION_PAGE_SHARE * len(html2txt(tree)):
        return body, text
    return _retry(tree, options, (body, text), done)


def _retry(tree: HtmlElement, options: "Extractor", first: _Extract, done: _Done) -> _Extract:
    """The best of a first extraction, a wider one and that of jusText."""
    recall = copy(options)
    recall.focus = "recall"
    wider, wider_text = None, ""
    other, other_text = None, ""
    try:
        wider, wider_text = _cascade(tree, recall, True, done)
    except Exception:
        pass  # as trafilatura does: a retry can only improve, the first text stands
    if not options.fast:
        try:
            other, other_text = justext_rescue(copy(tree), options)
        except Exception:
            pass  # the same

    length = len(first[1])
    if len(other_text) > max(len(wider_text), core.ESCALATION_JUSTEXT_RATIO * length):
        return other, other_text
    is_long = len(wider_text) >= options.min_extracted_size
    if is_long and len(wider_text) > core.ESCALATION_ACCEPT_RATIO * length:
        return wider, wider_text
    return first


def _cascade(tree: HtmlElement, options: "Extractor", forum: bool, done: _Done) -> _Extract:
    """`_prepare_tree` and `_extract_and_compare`: only the mode with other extractors makes the
    copy for them, and it takes what the fast mode found."""

    def prepare() -> HtmlElement:
        cleaned = convert_tags(tree_cleaning(copy(tree), options), options, options.url)
        if options.focus == "precision" and not forum:
            cleaned = prune_unwanted_nodes(cleaned, xpaths.REMOVE_COMMENTS_XPATH)
        return cleaned

    known = done.bodies.pop(options.focus, None)
    if known is None:
        body, text, is_of_any_mode = _content(prepare(), options, prepare)
        if options.fast and is_of_any_mode and len(text) <= _SHARED_CHARACTERS:
            done.bodies[options.focus] = (copy(body), text)
    else:
        body, text = known
    if options.fast:
        return body, text

    backup = tree_cleaning(copy(tree), options)
    compared, compared_text = compare_extraction(backup, copy(tree), body, text, options)
    return compared, compared_text


def _content(
    tree: HtmlElement, options: "Extractor", prepare_again: Callable[[], HtmlElement]
) -> tuple[HtmlElement, str, bool]:
    """`extract_content`: the copy that it makes beforehand for short texts is made again for those
    only. Also whether the other mode would have found the same: its recovery of short texts keeps
    other elements."""
    order = list(tree.iter())
    body, text, tags = main_extractor._extract(tree, options)
    is_short = len(body) == 0 or len(text) < options.min_extracted_size
    if is_short:
        backup = prepare_again()
        consumed = set()
        for element, twin in zip(order, backup.iter(), strict=True):
            if element.tag == "done":
                consumed.add(twin)
        body = main_extractor.recover_wild_text(backup, body, options, tags, consumed)
        text = " ".join(body.itertext()).strip()

    _drop_repetitions(body)
    strip_elements(body, "done")
    strip_tags(body, "div")
    for linebreak in body.iter("lb"):
        tail = linebreak.tail
        if tail and tail.isspace() and not _is_spacing_protected(linebreak):
            linebreak.tail = None
    return body, text, not is_short


def _drop_repetitions(body: HtmlElement) -> None:
    """Delete long elements with the text of the element before."""
    previous = None
    for element in list(body):
        current = main_extractor._elem_text(element)
        if current and current == previous and len(current) > MIN_DUPLICATE_LENGTH:
            delete_element(element, keep_tail=False)
        else:
            previous = current


def _is_spacing_protected(element: HtmlElement) -> bool:
    for outer in element.iterancestors():
        if outer.tag in SPACING_PROTECTED:
            return True
    return False


_TEXTS = XPath(
    ".//text()[not(parent::script or parent::style or parent::template or parent::svg"
    " or parent::aside or parent::footer)]",
    smart_strings=False,
)


def _longest_text(tree: HtmlElement) -> int:
    """An upper bound of the characters that `html2txt` gives, which leaves out more elements and
    puts spaces in fewer places."""
    body = tree.find(".//body")
    texts = _TEXTS(tree if body is None else body)
    return len(" ".join(" ".join(texts).split()))


# --- trafilatura's expressions


_STRING = re.compile(r"'[^']*'")

_NAMES = r"(?P<names>@[\w-]+(?:\|@[\w-]+)*)"

_CONDITION = re.compile(
    rf"(?P<call>re:test|contains|starts-with)\((?P<translate>translate\()?{_NAMES}"
    r"(?:, ?(?P<old>'\d+'), ?(?P<new>'\d+')\))?, ?(?P<value>'\d+')(?:, ?(?P<flags>'\d+'))?\)"
    rf"|{_NAMES.replace('names', 'equal')}=(?P<wanted>'\d+')|(?P<present>@[\w-]+)"
)

_BRANCH = re.compile(
    r"\(?\.//(?P<name>\*|\w+)(?:\[(?P<names>self::\w+(?: or self::\w+)*)\])?"
    r"(?P<conditions>(?:\[[^\]]*\])*)\)?(?P<first>\[1\])?"
)


class Unreadable(Exception):
    """An expression with something in it that this file does not know."""


_Test: TypeAlias = Callable[[str], bool]
"""Whether a condition holds for the value of an attribute."""


@dataclass(frozen=True)
class _Condition:
    """A test of the first of these attributes that an element has, in the order of its source."""

    names: tuple[str, ...]
    holds: _Test


@dataclass(frozen=True)
class _Branch:
    """One path of an expression.

    It selects the elements with one of these tags (None: all) for which one of the conditions holds
    (none: all of them), and for which `rest`, the further predicates of the path, holds as well.
    """

    tags: frozenset[str] | None
    conditions: tuple[_Condition, ...]
    rest: XPath | None


def _read(path: str) -> list[_Branch]:
    """The branches of an expression, from its text. Raises `Unreadable`."""
    # Strings are replaced by their numbers first: they may hold brackets, bars and blanks.
    strings = _STRING.findall(path)
    numbers = iter(range(len(strings)))
    numbered = _STRING.sub(lambda _: f"'{next(numbers)}'", path)
    shape = " ".join(numbered.split()).replace("[ ", "[").replace(" ]", "]")

    contents = [text[1:-1] for text in strings]
    return [_branch(part, contents) for part in re.split(r"\|(?=\(?\.//)", shape)]


def _branch(shape: str, strings: list[str]) -> _Branch:
    match = _BRANCH.fullmatch(shape)
    if match is None:
        raise Unreadable(shape)

    tags = None if match["name"] == "*" else frozenset({match["name"]})
    if match["names"]:
        tags = frozenset(re.findall(r"self::(\w+)", match["names"]))

    predicates = [text for text in re.findall(r"\[([^\]]*)\]", match["conditions"]) if text != "1"]
    conditions: list[_Condition] = []
    if predicates:
        conditions = [_condition(text, strings) for text in predicates[0].split(" or ")]

    rest = None
    if predicates[1:]:
        asked = "".join(f"[{text}]" for text in predicates[1:])
        asked = re.sub(r"'(\d+)'", lambda number: f"'{strings[int(number[1])]}'", asked)
        rest = XPath(f"self::*{asked}", namespaces=_REGEXP_NAMESPACE)
    return _Branch(tags, tuple(conditions), rest)


def _condition(shape: str, strings: list[str]) -> _Condition:
    match = _CONDITION.fullmatch(shape)
    if match is None:
        raise Unreadable(shape)

    def string(group: str) -> str:
        return strings[int(match[group][1:-1])]

    attributes = match["names"] or match["equal"] or match["present"]
    names = tuple(name[1:] for name in attributes.split("|"))
    if match["present"]:
        return _Condition(names, lambda value: True)
    if match["equal"]:
        wanted = string("wanted")
        return _Condition(names, lambda value: value == wanted)

    text = string("value")
    if match["call"] == "re:test":
        ignores_case = match["flags"] and "i" in string("flags")
        search = re.compile(text, re.IGNORECASE if ignores_case else 0).search
        if search(""):
            raise Unreadable(f"{text} holds of an attribute that is not there")
        return _Condition(names, lambda value: search(value) is not None)

    if not text:
        raise Unreadable(shape)
    if match["call"] == "starts-with":
        return _Condition(names, lambda value: value.startswith(text))
    if match["translate"]:
        table = str.maketrans(string("old"), string("new"))
        return _Condition(names, lambda value: text in value.translate(table))
    return _Condition(names, lambda value: text in value)


@dataclass(frozen=True)
class _Memo:
    """The tests of one attribute, each with the bit of its branch, and the remembered answers."""

    tests: list[tuple[int, _Test]]
    answers: dict[str, int]

    def ask(self, value: str) -> int:
        """The bits of the branches that a value satisfies."""
        bits = 0
        for bit, holds in self.tests:
            if not bits & bit and holds(value):
                bits |= bit

        if len(value) <= _LONGEST:
            if len(self.answers) >= _REMEMBERED:
                self.answers.clear()
            self.answers[value] = bits
        return bits


class OnePass:
    """An expression of trafilatura's in one pass: called with a tree, gives the elements that it
    selects, in document order.

    `first`: gives the first element alone, for expressions of which trafilatura uses no other.
    Which branches a value satisfies is remembered as bits, one per branch. Raises `Unreadable`.
    """

    def __init__(self, expression: XPath, first: bool = False) -> None:
        self.path = expression.path
        self._first = first
        self._branches = _read(self.path)

        self._tags = self._wanted_tags()
        self._always = 0  # the branches of all tags
        self._unconditional = 0  # the branches without conditions
        for number, branch in enumerate(self._branches):
            if branch.tags is None:
                self._always |= 1 << number
            if not branch.conditions:
                self._unconditional |= 1 << number

        self._by_tag: dict[str, int] = {}
        for number, branch in enumerate(self._branches):
            for tag in branch.tags or ():
                self._by_tag[tag] = self._by_tag.get(tag, self._always) | 1 << number

        self._single: dict[str, _Memo] = {}
        self._groups: list[tuple[frozenset[str], _Memo]] = []
        for names, tests in self._tests_by_names().items():
            if len(names) == 1:
                self._single[names[0]] = _Memo(tests, {})
            else:
                self._groups.append((frozenset(names), _Memo(tests, {})))

    def __call__(self, tree: HtmlElement) -> list[HtmlElement]:
        elements = []
        for element, bits in self._matches(tree):
            if self._has_rest(element, bits):
                elements.append(element)
                if self._first:
                    break
        return elements

    def forget(self) -> None:
        """Clear the remembered answers."""
        for memo in self._single.values():
            memo.answers.clear()
        for _, memo in self._groups:
            memo.answers.clear()

    def _wanted_tags(self) -> tuple[str, ...]:
        """The tags that some branch names; `*` when a branch names none."""
        tags: set[str] = set()
        for branch in self._branches:
            if branch.tags is None:
                return ("*",)
            tags |= branch.tags
        return tuple(sorted(tags))

    def _tests_by_names(self) -> dict[tuple[str, ...], list[tuple[int, _Test]]]:
        tests: dict[tuple[str, ...], list[tuple[int, _Test]]] = {}
        for number, branch in enumerate(self._branches):
            for condition in branch.conditions:
                tests.setdefault(condition.names, []).append((1 << number, condition.holds))
        return tests

    def _has_rest(self, element: HtmlElement, bits: int) -> bool:
        for number, branch in enumerate(self._branches):
            if bits & 1 << number and (branch.rest is None or branch.rest(element)):
                return True
        return False

    def _matches(self, tree: HtmlElement) -> Iterator[tuple[HtmlElement, int]]:
        """The elements of which a condition holds, with the bits of their branches.

        This loop sees every element of every page: names are local and look-ups inline.
        """
        single = self._single
        groups = self._groups
        by_tag = self._by_tag
        always = self._always
        unconditional = self._unconditional
        for element in tree.iterdescendants(*self._tags):
            items = element.items()
            if not items and not unconditional:
                continue

            bits = unconditional
            for name, value in items:
                memo = single.get(name)
                if memo is not None:
                    answer = memo.answers.get(value)
                    bits |= memo.ask(value) if answer is None else answer
            for names, memo in groups:
                for name, value in items:
                    if name in names:
                        answer = memo.answers.get(value)
                        bits |= memo.ask(value) if answer is None else answer
                        break

            bits &= by_tag.get(element.tag, always)
            if bits:
                yield element, bits


def forget() -> None:
    """Clear all remembered answers, for measurements."""
    for one_pass in _Steps.passes if _Steps.known else ():
        one_pass.forget()


# --- the exchange


@dataclass(frozen=True)
class _Exchange:
    """A list of expressions of the package, with its own items and with ours."""

    target: list[XPath]
    ours: list[XPath | OnePass]
    stock: list[XPath]


def _exchange(expressions: list[XPath], first: bool = False) -> _Exchange:
    """Expressions that do not call back into Python stay."""
    ours = [
        OnePass(expression, first) if "re:test" in expression.path else expression
        for expression in expressions
    ]
    return _Exchange(expressions, ours, list(expressions))


class _Steps:
    """The exchanges for the version that is known."""

    known = is_known()
    if known:
        stock_clean = BASIC_CLEAN_XPATH
        clean = OnePass(BASIC_CLEAN_XPATH)
        lists = [
            _exchange(xpaths.BODY_XPATH, first=True),
            _exchange(xpaths.OVERALL_DISCARD_XPATH),
            _exchange(xpaths.RAW_TREE_PRUNE_XPATH),
            _exchange(xpaths.REMOVE_COMMENTS_AND_LISTS_XPATH),
            _exchange(xpaths.REMOVE_COMMENTS_XPATH),
            _exchange(xpaths.PRECISION_DISCARD_XPATH),
        ]
        passes = [clean]
        for exchange in lists:
            passes += [step for step in exchange.ours if isinstance(step, OnePass)]


_UNWANTED = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufffe\uffff\U000f0000-\U0010ffff]"
)
"""Control characters, invisible ones that `normalise` removes, and the private ones, which are the
icons of a font. Of joiners, tags and unassigned characters `normalise` knows which to keep."""


def _kept(text: str) -> str:
    """A text without the characters that no text needs.

    trafilatura removes what the interpreter calls unprintable: the joiners of Persian and of the
    scripts of India, and all that is newer than the interpreter's Unicode.
    """
    return _UNWANTED.sub("", text)


_PATCHED = tuple(modules[f"trafilatura.{name}"] for name in ("utils", "baseline"))
"""The modules that have the package's own removal by name."""

_STOCK_REMOVAL = _PATCHED[0].remove_control_characters

_lock = threading.Lock()

_users = 0
"""Extractions that run now: the last one gives the package its own function back."""


@contextmanager
def _kept_characters() -> Iterator[None]:
    """The package with `_kept` in place of its own removal for as long as the block lasts."""
    global _users
    with _lock:
        _users += 1
        for module in _PATCHED:
            module.remove_control_characters = _kept  # type: ignore[attr-defined]
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            for module in _PATCHED if not _users else ():
                module.remove_control_characters = _STOCK_REMOVAL  # type: ignore[attr-defined]


@contextmanager
def _exchanged() -> Iterator[None]:
    """The package with our expressions for as long as the block lasts.

    The package's modules share its lists by reference, so their items change; the one expression
    that is no list changes by its name in its module.
    """
    for exchange in _Steps.lists:
        exchange.target[:] = exchange.ours
    _baseline.BASIC_CLEAN_XPATH = _Steps.clean  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for exchange in _Steps.lists:
            exchange.target[:] = exchange.stock
        _baseline.BASIC_CLEAN_XPATH = _Steps.stock_clean  # type: ignore[attr-defined]
