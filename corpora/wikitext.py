"""Wikitext to prose: `read_prose(text, style, title)`. Linear in the text's length, whatever it holds.

    1. what is opaque goes: comments, <math>, <syntaxhighlight>, ...; <nowiki> becomes letters that no later step takes for markup
    2. tags: <ref> and <table> go with their content, the rest leave their content
    3. brackets are paired by one stack; those without a partner are taken out and counted. Of the outermost pairs the
       ones without text go now (infoboxes, citations, files, categories, tables)
    4. lines, sections; the sections of references, links and notes go
    5. mwparserfromhell reads what is left in brackets, and one walk over its nodes writes the text: links, templates of the table
    6. quote marks of markup, brackets that the removals left empty, lists, paragraphs, entities (decoded once)

mwparserfromhell alone is not linear in hostile text (an opening that never closes is tried to the end of the page), so it
sees lines whose brackets are paired, and no tags. Where something was removed a mark stays until step 6, so that `(; )` goes
where a template stood, and `main()` stays. Marks are noncharacters, which no text may hold.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

import mwparserfromhell
from mwparserfromhell.nodes import Argument, Comment, ExternalLink, Heading, Tag, Template, Text, Wikilink
from mwparserfromhell.wikicode import Wikicode

from corpora.page import Skip
from corpora.templates import Args, bears_text, expand, fold_name, parser_function

MAX_DEPTH = 30
"""Templates and links one in the other: real pages have up to ten; mwparserfromhell gives up at 40."""
_CHUNK = 4_000

_GONE, _BREAK, _NEWLINE, _HEADING = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
_TYPED = "\ufdef"
"""Begins a line that began with a blank: shown as typed, so code or a table as a rule. Held to what holds for a list."""
_LITERAL = {ord(character): chr(0xFDD4 + number) for number, character in enumerate("'[]{}|<>=*#:;_-~")}
_FROM_LITERAL = {ord(mark): chr(character) for character, mark in _LITERAL.items()}
_MARKS = re.compile("[\ufdd0-\ufdef]")

_RAW_TAGS = "nowiki|pre|syntaxhighlight|source|math|chem|ce|score|timeline|hiero|graph|templatedata|mapframe|maplink|gallery|imagemap|inputbox|categorytree|phonos|indicator|templatestyles"
_RAW = re.compile(rf"<!--|<({_RAW_TAGS})(?:\s[^<>]*|/)?>", re.IGNORECASE)
_CLOSING = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in _RAW_TAGS.split("|")}
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)\b([^<>]*)>")
_REMOVED = frozenset("ref table references includeonly h1 h2 h3 h4 h5 h6 rt rp style script".split())
_INLINE = frozenset(
    """abbr b bdi bdo big cite code data del dfn em font i ins kbd mark q rb rtc ruby s samp small span strike strong sub sup time tt u var wbr
    noinclude onlyinclude section translate languages tvar noindex section a""".split()
)
_BLOCK = frozenset("blockquote br caption center dd div dl dt hr ol p poem td th tr ul tbody thead tfoot col colgroup".split())
_SPACES = re.compile("&(?:nbsp|thinsp|ensp|emsp|#160|#8201|#x0*a0|#x2009);", re.IGNORECASE)
_MAGIC = re.compile(r"__[A-ZÀ-ÞА-ЯІЇ]{3,40}__")
_VARIANT = re.compile(r"-\{([^{}\n]{0,2000})\}-")
_TOKEN = re.compile(
    r"^[ \t:\ufdd0\ufdd1]*\{\||^[ \t\ufdd0\ufdd1]*\|\}(?!\})|\{\{+|\}\}+|\[\[+|\]\]+|\[(?=(?:https?:|ftps?:)?//|mailto:)|\[|\]|\n", re.MULTILINE
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_BRACKETS = re.compile(r"\[\[+|\]\]+|\{\{+|\}\}+")
_FILE = re.compile(r":.*\.(?:jpe?g|png|gif|svg|tiff?|webp|xcf|og[gvax]|webm|pdf|djvu|midi?|mp3|wav|flac|stl)\s*$", re.IGNORECASE)
_SCHEME = re.compile(r"(?:(?:https?|ftps?):)?//|mailto:", re.IGNORECASE)

_LANGUAGE_CODES = frozenset(
    """aa ab ace ady af ak als alt am ami an ang ar arc ary arz as ast atj av avk awa ay az azb ba ban bar bat-smg bcl be be-tarask be-x-old bg bh bi bjn bm bn bo bpy br bs bug bxr ca cbk-zam
    cdo ce ceb ch chr chy ckb co cr crh cs csb cu cv cy da dag de din diq dsb dty dv dz ee el eml en eo es et eu ext fa ff fi fiu-vro fj fo fr frp frr fur fy ga gag gan gcr gd gl glk gn gom gor got gu
    gv ha hak haw he hi hif hr hsb ht hu hy hyw ia id ie ig ik ilo inh io is it iu ja jam jbo jv ka kaa kab kbd kbp kg ki kk kl km kn ko koi krc ks ksh ku kv kw ky la lad lb lbe lez lfn lg li lij lld lmo ln
    lo lrc lt ltg lv mad mai map-bms mdf mg mhr mi min mk ml mn mni mnw mr mrj ms mt mwl my myv mzn na nah nap nb nds nds-nl ne new nia nl nn no nov nqo nrm nso nv ny oc olo om or os pa pag pam pap pcd pdc pfl
    pi pl pms pnb pnt ps pt qu rm rmy rn ro roa-rup roa-tara ru rue rw sa sah sat sc scn sco sd se sg sh shi shn si simple sk skr sl sm smn sn so sq sr srn ss st stq su sv sw szl szy ta tay tcy te tet tg th ti tk
    tl tn to tpi tr trv ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls vo wa war wo wuu xal xh xmf yi yo za zea zh zh-classical zh-min-nan zh-yue zu""".split()
)
_PLAIN_PREFIXES = frozenset(
    ("wikt", "wiktionary", "w", "s", "wikisource", "q", "wikiquote", "b", "wikibooks", "commons", "d", "species", "n", "v", "voy", "m", "meta")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What is kept, and what the wiki calls things. `cut_sections`, `files`, `categories_names`: lower case; `own_templates`: name and text."""

    headings: bool = False
    lists: str = "prose"
    tables: bool = False
    references: bool = False
    captions: bool = False
    categories: bool = False
    math: bool = False
    templates: bool = True
    own_templates: tuple[tuple[str, str], ...] = ()
    cut_sections: frozenset[str] = frozenset()
    file_names: frozenset[str] = frozenset(("file", "image", "media"))
    category_names: frozenset[str] = frozenset(("category",))
    language: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """Paragraphs with a blank line between them. `empty_brackets`: pairs taken out because what they held was; `unbalanced`: brackets and
    tags without a partner, taken out."""

    text: str
    empty_brackets: int = 0
    unbalanced: int = 0


def read_prose(wikitext: str, style: Style, title: str = "") -> Prose | Skip:
    """The prose of a page's wikitext; `Skip` where brackets lie too deep in each other."""
    page = _Page(style, title)
    text = _SPACES.sub(" ", _MARKS.sub("", wikitext).replace("\r\n", "\n"))
    text = page.without_tags(page.without_opaque(text))
    text = _VARIANT.sub(page.variant, _MAGIC.sub(_GONE, text))
    skeleton = page.skeleton(text)
    if skeleton is None:
        return Skip(reason="too_deep", detail=f"more than {MAX_DEPTH} templates and links one in the other", text=wikitext[:1000])
    lines = page.rendered(list(page.wanted_lines(skeleton)))
    found = page.paragraphs(lines)
    if style.categories and page.categories:
        found.append("\n".join(page.categories))
    text = "\n\n".join(found).translate(_FROM_LITERAL)
    return Prose(text=_ENTITY.sub(lambda match: html.unescape(match[0]), text), empty_brackets=page.empty_brackets, unbalanced=page.unbalanced)


class _Page:
    """One page on its way through the steps; counts what was taken out."""

    def __init__(self, style: Style, title: str) -> None:
        self.style, self.title = style, title
        self.own = dict(style.own_templates)
        self.categories: list[str] = []
        self.empty_brackets = self.unbalanced = 0

    # steps 1 and 2

    def without_opaque(self, text: str) -> str:
        """No comments, no tags whose content is not wikitext; nowiki as literal letters."""
        pieces, at = [], 0
        without_end: set[str] = set()
        while match := _RAW.search(text, at):
            begin, end = match.span()
            if match[1] is None:
                close = text.find("-->", end)
                pieces.append(text[at:begin])
                if close < 0:  # MediaWiki hides the rest of the page
                    return "".join(pieces)
                at = close + 3
                if (begin == 0 or text[begin - 1] == "\n") and text.startswith("\n", at):
                    at += 1  # a line of its own leaves none
                continue
            name = match[1].lower()
            closing = None if match[0].endswith("/>") or name in without_end else _CLOSING[name].search(text, end)
            if closing is None:
                if not match[0].endswith("/>"):
                    without_end.add(name)
                    self.unbalanced += 1
                pieces += [text[at:begin], "" if name == "nowiki" else _GONE]
                at = end
                continue
            pieces.append(text[at:begin])
            inside = text[end : closing.start()]
            if name == "nowiki":
                pieces.append(inside.replace("\n", " ").translate(_LITERAL))
            elif name in ("math", "chem", "ce") and self.style.math:
                pieces.append(" ".join(inside.split()).translate(_LITERAL))
            else:
                pieces.append(_GONE)
            at = closing.end()
        pieces.append(text[at:])
        return "".join(pieces)

    def without_tags(self, text: str) -> str:
        """HTML tags: some go with their content, known ones leave it, unknown ones are text."""
        tags = list(_TAG.finditer(text))
        partner: dict[int, int] = {}
        open_tags: dict[str, list[int]] = {}
        for number, tag in enumerate(tags):
            name = tag[2].lower()
            if name not in _REMOVED or tag[3].endswith("/"):
                continue
            if not tag[1]:
                open_tags.setdefault(name, []).append(number)
            elif open_tags.get(name):
                partner[open_tags[name].pop()] = number
        pieces, at = [], 0
        for number, tag in enumerate(tags):
            if tag.start() < at:
                continue
            name = tag[2].lower()
            pieces.append(text[at : tag.start()])
            at = tag.end()
            if name in _REMOVED:
                if number in partner:
                    closing = tags[partner[number]]
                    inside = text[tag.end() : closing.start()]
                    if name == "ref" and self.style.references:
                        pieces.append(f" ({_TAG.sub('', inside)})")
                    elif name[0] == "h" and self.style.headings:
                        pieces.append(f"{_BREAK}{_TAG.sub('', inside)}{_BREAK}")
                    else:
                        pieces.append(_GONE)
                    at = closing.end()
                else:
                    self.unbalanced += not tag[3].endswith("/")
                    pieces.append(_GONE)
            elif name in _BLOCK:
                pieces.append(_BREAK)
            elif name == "li":
                pieces.append("" if tag[1] else "\n* ")
            elif name not in _INLINE:
                pieces.append(tag[0].translate(_LITERAL))
        pieces.append(text[at:])
        return "".join(pieces).replace("<", _LITERAL[ord("<")])

    def variant(self, match: "re.Match[str]") -> str:
        """`-{zh-hans:a;zh-hant:b}-`: the first of a wiki that converts between its scripts; a stray of any other goes."""
        rules = match[1].rpartition("|")[2]
        if ":" not in rules:
            return rules
        if self.style.language.split("-")[0] not in ("zh", "gan", "sr", "kk", "ku", "iu", "shi", "tg", "uz", "crh"):
            return _GONE
        return rules.partition(";")[0].partition(":")[2]

    # step 3

    def skeleton(self, text: str) -> str | None:
        """The text with its outermost brackets either gone or on one line; None where they lie too deep."""
        spans, dropped = self._pair(text)
        self.unbalanced += len(dropped)
        spans.sort(key=lambda span: (span[0], -span[1]))
        dropped.sort()
        pieces: list[str] = []
        at = drop = 0

        def copy(begin: int, end: int) -> str:
            nonlocal drop
            held, here = [], begin
            while drop < len(dropped) and dropped[drop][0] < end:
                first, last = dropped[drop]
                drop += 1
                if first >= here:
                    held.append(text[here:first])
                    here = last
            held.append(text[here:end])
            return "".join(held)

        number = 0
        while number < len(spans):
            begin, end, kind = spans[number]
            number += 1
            ends: list[int] = []
            depth = 1
            while number < len(spans) and spans[number][0] < end:
                while ends and ends[-1] <= spans[number][0]:
                    ends.pop()
                ends.append(spans[number][1])
                depth = max(depth, 1 + len(ends))
                number += 1
            pieces.append(copy(at, begin))
            inside = copy(begin, end)
            at = end
            outcome = self._outermost(kind, inside)
            if outcome is None:
                if depth > MAX_DEPTH:
                    return None
                outcome = inside.replace("\n", _NEWLINE)
            pieces.append(outcome)
        pieces.append(copy(at, len(text)))
        return "".join(pieces)

    def _pair(self, text: str) -> tuple[list[tuple[int, int, str]], list[tuple[int, int]]]:
        """(begin, end, kind) of every pair of brackets, and (begin, end) of those without a partner. Kinds: `{{`, `{{{`, `[[`, `[`, `{|`."""
        spans: list[tuple[int, int, str]] = []
        dropped: list[tuple[int, int]] = []
        stack: list[list[int]] = []  # kind (the index in `kinds`), begin, how many braces
        braces, link, table, address, plain = range(5)
        open_ones = [0] * 5

        def push(kind: int, begin: int, count: int) -> None:
            stack.append([kind, begin, count])
            open_ones[kind] += 1

        def pop(lonely: bool) -> list[int]:
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
                while stack and (stack[-1][0] >= address or (blank and stack[-1][0] == link and not self._is_file(text, stack[-1][1]))):
                    pop(True)
            elif mark[0] == "[":
                if len(mark) == 1:
                    push(address if _SCHEME.match(text, end) else plain, begin, 1)
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
                    top[2] -= taken
                    left -= taken
                    if top[2] < 2:
                        pop(False)
                if left >= 2:
                    dropped.append((end - left, end))
        while stack:
            pop(True)
        return spans, dropped

    def _is_file(self, text: str, begin: int) -> bool:
        return self.link_kind(re.split(r"[|\]\n]", text[begin + 2 : begin + 300], maxsplit=1)[0]) == "file"

    def _outermost(self, kind: str, inside: str) -> str | None:
        """What stands for an outermost pair of brackets; None: it is read by the parser."""
        if kind == "{|":
            return "\n\n" + "\n\n".join(self._rows(inside)) + "\n\n" if self.style.tables else "\n\n"
        if kind == "{{{":
            return _GONE
        if kind == "{{":
            name = fold_name(re.split(r"[|{}\n]", inside[2:-2].lstrip(), maxsplit=1)[0])
            return None if bears_text(name, self.own, self.style.templates) else _GONE
        if kind == "[[":
            target = inside[2:-2].partition("|")[0]
            what = self.link_kind(target)
            if what == "category":
                self.categories.append(target.partition(":")[2].strip())
                return _GONE
            if what == "language" or (what == "file" and not self.style.captions):
                return _GONE
        return None

    def link_kind(self, target: str) -> str:
        """file, category, language (all three are not shown where they stand), or text."""
        prefix, colon, _ = target.partition(":")
        prefix = prefix.replace("_", " ").strip().lower()
        if not colon or not prefix:
            return "text"
        if prefix in self.style.file_names or _FILE.search(target):  # the head of a dump does not name the aliases
            return "file"
        if prefix in self.style.category_names:
            return "category"
        return "language" if prefix in _LANGUAGE_CODES else "text"

    def _rows(self, table: str) -> Iterator[str]:
        """The rows of a table, their cells on one line each; tables inside of it too."""
        cells: list[str] = []
        for line in table.split("\n"):
            line = line.strip()
            if line.startswith(("{|", "|}", "|-")) or line in ("|", "!"):
                if cells:
                    yield " | ".join(cells)
                cells = []
            elif line.startswith(("|", "!")):
                for cell in re.split(r"\|\||!!", line.lstrip("|!+")):
                    attributes, bar, rest = cell.partition("|")
                    cells.append((rest if bar and "[[" not in attributes and "{{" not in attributes else cell).strip())
            elif cells and line:
                cells[-1] += " " + line
        if cells:
            yield " | ".join(cells)

    # steps 4 and 5

    def wanted_lines(self, skeleton: str) -> Iterator[str]:
        """The lines of the sections that stay; headings as lines of their own where the style keeps them."""
        cut = 0
        broken_table = False
        for line in skeleton.split("\n"):
            bare = line.rstrip(f" \t{_GONE}{_BREAK}")
            if bare.startswith("=") and bare.endswith("=") and len(bare) > 2:
                level = min(len(bare) - len(bare.lstrip("=")), len(bare) - len(bare.rstrip("=")), 6, (len(bare) - 1) // 2)
                title = bare[level:-level].strip()
                broken_table = False
                if cut and level > cut:
                    continue
                plain = _MARKS.sub("", _quotes(self.render(title))).strip()
                cut = level if self._is_cut(plain) else 0
                if not cut:
                    yield _HEADING + str(level) + plain if self.style.headings else ""
                continue
            if cut:
                continue
            start = line.lstrip(f" \t{_GONE}{_BREAK}")[:2]
            if start[:1] in ("|", "!") and (broken_table or start[:1] == "|"):  # what a broken table or template left
                broken_table = True
                yield ""
            elif start == "--" and not line.strip(f"- \t{_GONE}{_BREAK}"):
                yield ""
            else:
                yield _TYPED + line if line.startswith(" ") and start else line

    def _is_cut(self, title: str) -> bool:
        title = html.unescape(title).lower().strip(" :.")
        if title in self.style.cut_sections:
            return True
        parts = [part for part in re.split(r"\s*(?:,|&|/|;|\band\b|\bund\b|\bet\b|\by\b|\be\b|\ben\b|\bи\b)\s*", title) if part]
        return bool(parts) and all(part in self.style.cut_sections for part in parts)

    def rendered(self, lines: list[str]) -> list[str]:
        """The lines with links and templates as their text. Many go through the parser at once: a call has its price."""
        found = list(lines)
        held: list[tuple[int, str, str]] = []
        size = 0
        for number, line in enumerate(lines):
            if "[" in line or "{" in line:
                body = line.lstrip("*#:; \t")
                held.append((number, line[: len(line) - len(body)], body))
                size += len(body)
            if held and (size > _CHUNK or number == len(lines) - 1):
                rendered = self.render("\n".join(body for _, _, body in held)).split("\n")
                if len(rendered) != len(held):  # never seen; a parser that eats a line end would shift all that follow
                    rendered = [self.render(body).replace("\n", _NEWLINE) for _, _, body in held]
                for (index, prefix, _), body in zip(held, rendered):
                    found[index] = prefix + body
                held, size = [], 0
        return [part for line in found for part in line.split(_NEWLINE)]

    def render(self, text: str) -> str:
        """Wikitext in paired brackets as text."""
        if "[" not in text and "{" not in text:
            return text
        return self._walk(mwparserfromhell.parse(text, skip_style_tags=True))

    def _walk(self, code: Wikicode | None) -> str:
        if code is None:
            return ""
        pieces: list[str] = []
        for node in code.nodes:
            if isinstance(node, Text):
                pieces.append(node.value if "[[" not in node.value and "{{" not in node.value else self._not_parsed(node.value))
            elif isinstance(node, Wikilink):
                pieces.append(self._link(node))
            elif isinstance(node, Template):
                pieces.append(self._template(node))
            elif isinstance(node, ExternalLink):
                pieces.append((self._walk(node.title) if node.title else _GONE) if node.brackets else self._walk(node.url))
            elif isinstance(node, Tag):
                pieces.append(str(node.wiki_markup) if node.wiki_markup and node.self_closing else self._walk(node.contents))
            elif isinstance(node, Heading):
                pieces.append(self._walk(node.title))
            elif isinstance(node, (Comment, Argument)):
                pieces.append(_GONE)
            else:  # HTMLEntity
                pieces.append(str(node))
        return "".join(pieces)

    def _not_parsed(self, text: str) -> str:
        """Paired brackets that the parser takes for text, as `[[a [b]]`: a title or name that no page can have."""
        text, count = _BRACKETS.subn("", text)
        self.unbalanced += count
        return text

    def _link(self, link: Wikilink) -> str:
        target = self._walk(link.title).strip()
        what = self.link_kind(target)
        if what == "file":
            last = str(link.text).rpartition("|")[2] if link.text is not None and self.style.captions else ""
            caption = self.render(last) if "[[" not in last and "{{" not in last else self._walk(link.text).rpartition("|")[2]
            plain = not caption or re.fullmatch(
                r"\s*(?:thumb|thumbnail|frame|frameless|left|right|center|none|upright|(?:alt|link)\s*=.*|[\dx]+px|upright\s*=.*)\s*", caption
            )
            return _GONE if plain else f"{_NEWLINE}{_NEWLINE}{caption}{_NEWLINE}{_NEWLINE}"
        if what != "text":
            return _GONE
        if _SCHEME.match(target):  # [[http://x label]]
            return target.partition(" ")[2] or _GONE
        target = target.removeprefix(":").strip()
        if link.text is None:
            return (target.partition(":")[2] if target.partition(":")[0].lower() in _PLAIN_PREFIXES else target) or _GONE
        text = self._walk(link.text)
        return text if text.strip(f" {_GONE}") else _pipe_trick(target)

    def _template(self, template: Template) -> str:
        name = fold_name(_MARKS.sub("", str(template.name)))
        if not bears_text(name, self.own, self.style.templates):
            return _GONE
        values: dict[str, str] = {}
        shift = 0
        if (function := parser_function(name)) is not None:
            raw = self._walk(template.name).partition(":")[2].strip()
            name, shift, values["1"] = function[0], 1, raw
        place = shift
        for parameter in template.params:
            if parameter.showkey:
                key = str(parameter.name).strip()
                values[str(int(key) + shift) if key.isascii() and key.isdigit() and len(key) < 9 else key] = self._walk(parameter.value).strip(
                    f" \t\n{_NEWLINE}"
                )
            else:
                place += 1
                values[str(place)] = self._walk(parameter.value).strip(f" \t\n{_NEWLINE}")
        args = Args({key: value.replace(_GONE, "") for key, value in values.items()}, self.style.language in ("en", "simple"))
        text = expand(name, args, self.own, self.title)
        return text.replace("\n", _NEWLINE) or _GONE

    # step 6

    def paragraphs(self, lines: list[str]) -> list[str]:
        """Lines to paragraphs, cleaned; lists by the style; headings only where text follows."""
        found: list[str] = []
        held: list[str] = []
        in_list = False

        def close() -> None:
            nonlocal held, in_list
            text = "\n".join(held) if in_list else self._clean(" ".join(held))
            text = "\n".join(part for part in (piece.strip() for piece in text.replace(_BREAK, "\n").split("\n")) if part)
            if any(character.isalnum() for character in text):
                found.append(text)
            held, in_list = [], False

        for line in lines:
            if line.startswith(_HEADING):
                close()
                while found and found[-1].startswith(_HEADING) and found[-1][1] >= line[1]:
                    found.pop()
                found.append(line)
                continue
            if not line.strip():
                close()
                continue
            typed = line.startswith(_TYPED)
            line = line.removeprefix(_TYPED)
            marked = line.lstrip(f" \t{_GONE}")[:1] in tuple("*#:;")
            text = _quotes(line.lstrip(f" \t*#:;{_GONE}") if marked else line)
            if not marked and not text.strip(f" \t{_GONE}{_BREAK}"):
                continue  # only what was removed: neither a paragraph nor its end
            if marked or typed:
                if not in_list:
                    close()
                    in_list = True
                text = self._clean(text)
                if text and (self.style.lists == "keep" or (self.style.lists == "prose" and _is_sentence(text))):
                    held.append(text)
                continue
            if in_list:
                close()
            held.append(text)
        close()
        while found and found[-1].startswith(_HEADING):
            found.pop()
        return [text[2:] if text.startswith(_HEADING) else text for text in found]

    def _clean(self, line: str) -> str:
        """A line without the marks of what was removed, and without what only it had needed."""
        if _GONE in line or "(" in line or "[" in line or "（" in line:
            for _ in range(3):  # a pair inside of another
                before = self.empty_brackets
                line = _EMPTY.sub(self._empty, line)
                if self.empty_brackets == before:
                    break
            line = _AFTER_OPENING.sub(lambda match: match[1] if _GONE in match[0] else match[0], line)
            line = _BEFORE_CLOSING.sub(lambda match: match[1] if _GONE in match[0] else match[0], line)
            line = _DOUBLED.sub(lambda match: match[1] if _GONE in match[0] else match[0], line)
        if _GONE in line:
            line = _BEFORE_MARK.sub("", line)
            line = line.replace(_GONE, "")
        return _BLANKS.sub(" ", line).strip()

    def _empty(self, match: "re.Match[str]") -> str:
        """What a removal left, or what was never filled in: `( , )`. `()` and `(–)` as they stand are text."""
        inside = match[0].strip()[1:-1]
        if _GONE not in inside and (not inside or inside.strip(" \t,;:")):
            return match[0]
        self.empty_brackets += 1
        return _GONE


_EMPTY = re.compile(f"[ \t]?[(\\[（][\\s,;:/·•–—.\\-{_GONE}{_BREAK}]{{0,200}}[)\\]）]")
_AFTER_OPENING = re.compile(f"([(（])[\\s,;:/·•{_GONE}{_BREAK}]{{1,200}}")
_BEFORE_CLOSING = re.compile(f"[\\s,;:/·•{_GONE}{_BREAK}]{{1,200}}([)）])")
_DOUBLED = re.compile(f"([,;])(?:[\\s{_GONE}]{{0,50}}[,;]){{1,50}}")
_BEFORE_MARK = re.compile(f"[ \t]*{_GONE}[ \t{_GONE}]*(?=[.,;:!?)\\]])")
_BLANKS = re.compile(r"[ \t\u00a0]+")
_SENTENCE_END = re.compile(r"[.!?…。！？।]['\"”’»)\]]{0,3}$")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


def count_words(text: str) -> int:
    """Words by white space that hold a letter or digit; of scripts without spaces two letters are one."""
    unspaced = len(_UNSPACED.findall(text))
    spaced = _UNSPACED.sub(" ", text) if unspaced else text
    return sum(any(character.isalnum() for character in word) for word in spaced.split()) + (unspaced + 1) // 2


def _is_sentence(text: str) -> bool:
    text = _MARKS.sub("", text)
    return count_words(text) >= 5 and _SENTENCE_END.search(text) is not None


def _pipe_trick(target: str) -> str:
    """[[Rome (city)|]] is Rome; [[Boston, Massachusetts|]] is Boston; [[Help:Contents|]] is Contents."""
    name = target.rpartition(":")[2] if ":" in target and not target.startswith(":") else target
    shorter = re.sub(r"\s*[(（][^()（）]{0,200}[)）]\s*$", "", name)
    return shorter if shorter != name else name.partition(", ")[0] or target


def _quotes(line: str) -> str:
    """A line without the quote marks of markup, as MediaWiki pairs them: where bold and italic are both odd, one `'''` is an
    apostrophe before italic, as in `l'''amour''`."""
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
            [index for index in threes if before[index][-1:] not in (" ", "") and before[index][-2:-1] == " "]  # after a word of one letter
            or [index for index in threes if before[index][-1:] not in (" ", "")]
            or [index for index in threes if before[index][-1:] == " "]
        )
        if chosen:
            parts[chosen[0] - 1] += "'"
    return "".join(parts[::2])
