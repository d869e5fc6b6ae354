"""Wikitext to prose: `read_prose(text, style, title)`. Linear in the text's length, whatever it
holds.

    1. what is opaque goes: comments, <math>, <syntaxhighlight>, ...; <nowiki> becomes letters that
no later step takes for markup
    2. tags: <ref> and <table> go with their content, the rest leave their content
    3. brackets are paired by one stack; those without a partner are taken out and counted. Of the
outermost pairs the
       ones without text go now (infoboxes, citations, files, categories, tables)
    4. lines, sections; the sections of references, links and notes go
    5. mwparserfromhell reads what is left in brackets, and one walk over its nodes writes the text:
links, templates of the table
    6. quote marks of markup, brackets that the removals left empty, lists, paragraphs, entities
(decoded once)

mwparserfromhell alone is not linear in hostile text (an opening that never closes is tried to the
end of the page), so it sees lines whose brackets are paired, and no tags. Where something was
removed a mark stays until step 6, so that `(; )` goes where a template stood, and `main()` stays.
Marks are noncharacters, which no text may hold.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

import mwparserfromhell
from mwparserfromhell.nodes import (
    Argument,
    Comment,
    ExternalLink,
    Heading,
    Tag,
    Template,
    Text,
    Wikilink,
)
from mwparserfromhell.wikicode import Wikicode

from corpora.document import Refusal
from corpora.wikipedia.brackets import SCHEME, pair
from corpora.wikipedia.paragraphs import paragraphs, strip_quotes
from corpora.wikipedia.tags import (
    BREAK,
    FROM_LITERAL,
    GONE,
    HEADING,
    MARKS,
    NEWLINE,
    TYPED,
    without_opaque,
    without_tags,
)
from corpora.wikipedia.templates import Args, bears_text, expand, fold_name, parser_function

MAX_DEPTH = 30
"""Templates and links one in the other: real pages have up to ten; mwparserfromhell gives up at
40."""

_CHUNK = 4_000

_SPACES = re.compile("&(?:nbsp|thinsp|ensp|emsp|#160|#8201|#x0*a0|#x2009);", re.IGNORECASE)

_MAGIC = re.compile(r"__[A-ZÀ-ÞА-ЯІЇ]{3,40}__")

_VARIANT = re.compile(r"-\{([^{}\n]{0,2000})\}-")

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")

_BRACKETS = re.compile(r"\[\[+|\]\]+|\{\{+|\}\}+")

_FILE = re.compile(
    r":.*\.(?:jpe?g|png|gif|svg|tiff?|webp|xcf|og[gvax]|webm|pdf|djvu|midi?|mp3|wav|flac|stl)\s*$",
    re.IGNORECASE,
)

_LANGUAGE_CODES = frozenset(
    """aa ab ace ady af ak als alt am ami an ang ar arc ary arz as ast atj av avk awa ay az azb ba ban bar bat-smg bcl be be-tarask be-x-old bg bh bi bjn bm bn bo bpy br bs bug bxr ca cbk-zam
    cdo ce ceb ch chr chy ckb co cr crh cs csb cu cv cy da dag de din diq dsb dty dv dz ee el eml en eo es et eu ext fa ff fi fiu-vro fj fo fr frp frr fur fy ga gag gan gcr gd gl glk gn gom gor got gu
    gv ha hak haw he hi hif hr hsb ht hu hy hyw ia id ie ig ik ilo inh io is it iu ja jam jbo jv ka kaa kab kbd kbp kg ki kk kl km kn ko koi krc ks ksh ku kv kw ky la lad lb lbe lez lfn lg li lij lld lmo ln
    lo lrc lt ltg lv mad mai map-bms mdf mg mhr mi min mk ml mn mni mnw mr mrj ms mt mwl my myv mzn na nah nap nb nds nds-nl ne new nia nl nn no nov nqo nrm nso nv ny oc olo om or os pa pag pam pap pcd pdc pfl
    pi pl pms pnb pnt ps pt qu rm rmy rn ro roa-rup roa-tara ru rue rw sa sah sat sc scn sco sd se sg sh shi shn si simple sk skr sl sm smn sn so sq sr srn ss st stq su sv sw szl szy ta tay tcy te tet tg th ti tk
    tl tn to tpi tr trv ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls vo wa war wo wuu xal xh xmf yi yo za zea zh zh-classical zh-min-nan zh-yue zu""".split()
)

_PLAIN_PREFIXES = frozenset(
    (
        "wikt",
        "wiktionary",
        "w",
        "s",
        "wikisource",
        "q",
        "wikiquote",
        "b",
        "wikibooks",
        "commons",
        "d",
        "species",
        "n",
        "v",
        "voy",
        "m",
        "meta",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What is kept, and what the wiki calls things. `cut_sections`, `file_names`, `category_names`:
    lower case; `own_templates`: name and text."""

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
    """Paragraphs with a blank line between them. `empty_brackets`: pairs taken out because what
    they held was; `unbalanced`: brackets and tags without a partner, taken out."""

    text: str
    empty_brackets: int = 0
    unbalanced: int = 0


def read_prose(wikitext: str, style: Style, title: str = "") -> Prose | Refusal:
    """The prose of a page's wikitext; `Refusal` where brackets lie too deep in each other."""
    page = _Page(style, title)
    text = _SPACES.sub(" ", MARKS.sub("", wikitext).replace("\r\n", "\n"))
    text, opaque = without_opaque(text, style.math)
    text, tags = without_tags(text, style.references, style.headings)
    text = _VARIANT.sub(page.variant, _MAGIC.sub(GONE, text))
    skeleton = page.skeleton(text)
    if skeleton is None:
        return Refusal(
            "too_deep",
            f"more than {MAX_DEPTH} templates and links one in the other",
            text=wikitext[:1000],
        )
    lines = page.rendered(list(page.wanted_lines(skeleton)))
    found, empty_brackets = paragraphs(lines, style.lists)
    if style.categories and page.categories:
        found.append("\n".join(page.categories))
    text = "\n\n".join(found).translate(FROM_LITERAL)
    return Prose(
        text=_ENTITY.sub(lambda match: html.unescape(match[0]), text),
        empty_brackets=empty_brackets,
        unbalanced=page.unbalanced + opaque + tags,
    )


class _Page:
    """One page on its way through the steps; counts what was taken out."""

    def __init__(self, style: Style, title: str) -> None:
        self.style, self.title = style, title
        self.own = dict(style.own_templates)
        self.categories: list[str] = []
        self.unbalanced = 0

    def variant(self, match: "re.Match[str]") -> str:
        """`-{zh-hans:a;zh-hant:b}-`: the first of a wiki that converts between its scripts; a stray
        of any other goes."""
        rules = match[1].rpartition("|")[2]
        if ":" not in rules:
            return rules
        if self.style.language.split("-")[0] not in (
            "zh",
            "gan",
            "sr",
            "kk",
            "ku",
            "iu",
            "shi",
            "tg",
            "uz",
            "crh",
        ):
            return GONE
        return rules.partition(";")[0].partition(":")[2]

    # step 3

    def skeleton(self, text: str) -> str | None:
        """The text with its outermost brackets either gone or on one line; None where they lie too
        deep."""
        spans, dropped = pair(text, self._is_file)
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
                outcome = inside.replace("\n", NEWLINE)
            pieces.append(outcome)
        pieces.append(copy(at, len(text)))
        return "".join(pieces)

    def _is_file(self, start: str) -> bool:
        return self.link_kind(re.split(r"[|\]\n]", start, maxsplit=1)[0]) == "file"

    def _outermost(self, kind: str, inside: str) -> str | None:
        """What stands for an outermost pair of brackets; None: it is read by the parser."""
        if kind == "{|":
            return (
                "\n\n" + "\n\n".join(self._rows(inside)) + "\n\n" if self.style.tables else "\n\n"
            )
        if kind == "{{{":
            return GONE
        if kind == "{{":
            name = fold_name(re.split(r"[|{}\n]", inside[2:-2].lstrip(), maxsplit=1)[0])
            return None if bears_text(name, self.own, self.style.templates) else GONE
        if kind == "[[":
            target = inside[2:-2].partition("|")[0]
            what = self.link_kind(target)
            if what == "category":
                self.categories.append(target.partition(":")[2].strip())
                return GONE
            if what == "language" or (what == "file" and not self.style.captions):
                return GONE
        return None

    def link_kind(self, target: str) -> str:
        """file, category, language (all three are not shown where they stand), or text."""
        prefix, colon, _ = target.partition(":")
        prefix = prefix.replace("_", " ").strip().lower()
        if not colon or not prefix:
            return "text"
        if prefix in self.style.file_names or _FILE.search(
            target
        ):  # the head of a dump does not name the aliases
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
                    cells.append(
                        (
                            rest
                            if bar and "[[" not in attributes and "{{" not in attributes
                            else cell
                        ).strip()
                    )
            elif cells and line:
                cells[-1] += " " + line
        if cells:
            yield " | ".join(cells)

    # steps 4 and 5

    def wanted_lines(self, skeleton: str) -> Iterator[str]:
        """The lines of the sections that stay; headings as lines of their own where the style keeps
        them."""
        cut = 0
        broken_table = False
        for line in skeleton.split("\n"):
            bare = line.rstrip(f" \t{GONE}{BREAK}")
            if bare.startswith("=") and bare.endswith("=") and len(bare) > 2:
                level = min(
                    len(bare) - len(bare.lstrip("=")),
                    len(bare) - len(bare.rstrip("=")),
                    6,
                    (len(bare) - 1) // 2,
                )
                title = bare[level:-level].strip()
                broken_table = False
                if cut and level > cut:
                    continue
                plain = MARKS.sub("", strip_quotes(self.render(title))).strip()
                cut = level if self._is_cut(plain) else 0
                if not cut:
                    yield HEADING + str(level) + plain if self.style.headings else ""
                continue
            if cut:
                continue
            start = line.lstrip(f" \t{GONE}{BREAK}")[:2]
            if start[:1] in ("|", "!") and (
                broken_table or start[:1] == "|"
            ):  # what a broken table or template left
                broken_table = True
                yield ""
            elif start == "--" and not line.strip(f"- \t{GONE}{BREAK}"):
                yield ""
            else:
                yield TYPED + line if line.startswith(" ") and start else line

    def _is_cut(self, title: str) -> bool:
        title = html.unescape(title).lower().strip(" :.")
        if title in self.style.cut_sections:
            return True
        parts = [
            part
            for part in re.split(
                r"\s*(?:,|&|/|;|\band\b|\bund\b|\bet\b|\by\b|\be\b|\ben\b|\bи\b)\s*", title
            )
            if part
        ]
        return bool(parts) and all(part in self.style.cut_sections for part in parts)

    def rendered(self, lines: list[str]) -> list[str]:
        """The lines with links and templates as their text. Many go through the parser at once: a
        call has its price."""
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
                if len(rendered) != len(
                    held
                ):  # never seen; a parser that eats a line end would shift all that follow
                    rendered = [self.render(body).replace("\n", NEWLINE) for _, _, body in held]
                for (index, prefix, _), body in zip(held, rendered):
                    found[index] = prefix + body
                held, size = [], 0
        return [part for line in found for part in line.split(NEWLINE)]

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
                pieces.append(
                    node.value
                    if "[[" not in node.value and "{{" not in node.value
                    else self._not_parsed(node.value)
                )
            elif isinstance(node, Wikilink):
                pieces.append(self._link(node))
            elif isinstance(node, Template):
                pieces.append(self._template(node))
            elif isinstance(node, ExternalLink):
                pieces.append(
                    (self._walk(node.title) if node.title else GONE)
                    if node.brackets
                    else self._walk(node.url)
                )
            elif isinstance(node, Tag):
                pieces.append(
                    str(node.wiki_markup)
                    if node.wiki_markup and node.self_closing
                    else self._walk(node.contents)
                )
            elif isinstance(node, Heading):
                pieces.append(self._walk(node.title))
            elif isinstance(node, (Comment, Argument)):
                pieces.append(GONE)
            else:  # HTMLEntity
                pieces.append(str(node))
        return "".join(pieces)

    def _not_parsed(self, text: str) -> str:
        """Paired brackets that the parser takes for text, as `[[a [b]]`: a title or name that no
        page can have."""
        text, count = _BRACKETS.subn("", text)
        self.unbalanced += count
        return text

    def _link(self, link: Wikilink) -> str:
        target = self._walk(link.title).strip()
        what = self.link_kind(target)
        if what == "file":
            last = (
                str(link.text).rpartition("|")[2]
                if link.text is not None and self.style.captions
                else ""
            )
            caption = (
                self.render(last)
                if "[[" not in last and "{{" not in last
                else self._walk(link.text).rpartition("|")[2]
            )
            plain = not caption or re.fullmatch(
                r"\s*(?:thumb|thumbnail|frame|frameless|left|right|center|none|upright|(?:alt|link)\s*=.*|[\dx]+px|upright\s*=.*)\s*",
                caption,
            )
            return GONE if plain else f"{NEWLINE}{NEWLINE}{caption}{NEWLINE}{NEWLINE}"
        if what != "text":
            return GONE
        if SCHEME.match(target):  # [[http://x label]]
            return target.partition(" ")[2] or GONE
        target = target.removeprefix(":").strip()
        if link.text is None:
            return (
                target.partition(":")[2]
                if target.partition(":")[0].lower() in _PLAIN_PREFIXES
                else target
            ) or GONE
        text = self._walk(link.text)
        return text if text.strip(f" {GONE}") else _pipe_trick(target)

    def _template(self, template: Template) -> str:
        name = fold_name(MARKS.sub("", str(template.name)))
        if not bears_text(name, self.own, self.style.templates):
            return GONE
        values: dict[str, str] = {}
        shift = 0
        if (function := parser_function(name)) is not None:
            raw = self._walk(template.name).partition(":")[2].strip()
            name, shift, values["1"] = function[0], 1, raw
        place = shift
        for parameter in template.params:
            if parameter.showkey:
                key = str(parameter.name).strip()
                values[
                    str(int(key) + shift)
                    if key.isascii() and key.isdigit() and len(key) < 9
                    else key
                ] = self._walk(parameter.value).strip(f" \t\n{NEWLINE}")
            else:
                place += 1
                values[str(place)] = self._walk(parameter.value).strip(f" \t\n{NEWLINE}")
        args = Args(
            {key: value.replace(GONE, "") for key, value in values.items()},
            self.style.language in ("en", "simple"),
        )
        text = expand(name, args, self.own, self.title)
        return text.replace("\n", NEWLINE) or GONE


def _pipe_trick(target: str) -> str:
    """[[Rome (city)|]] is Rome; [[Boston, Massachusetts|]] is Boston; [[Help:Contents|]] is
    Contents."""
    name = target.rpartition(":")[2] if ":" in target and not target.startswith(":") else target
    shorter = re.sub(r"\s*[(（][^()（）]{0,200}[)）]\s*$", "", name)
    return shorter if shorter != name else name.partition(", ")[0] or target
