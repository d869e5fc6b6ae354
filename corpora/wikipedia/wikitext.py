"""Wikitext to prose: `read_prose(wikitext, style, title)`. Time is linear in the length of the
text, whatever it holds.

    1. Opaque tags are removed: comments, <math>, <syntaxhighlight>, ...; <nowiki> becomes letters
       that no later step takes for markup.
    2. Tags: <ref> and <table> are removed with their content, the others leave their content.
    3. Brackets are paired by one stack; those without a partner are removed and counted. The
       outermost pairs without text are removed now (infoboxes, citations, files, categories,
       tables).
    4. Lines and sections: the sections of references, links and notes are removed.
    5. mwparserfromhell reads the remaining brackets, and one walk over its nodes writes the text of
       links and of the templates in the table.
    6. Quote marks of markup, brackets that the removals left empty, lists, paragraphs, entities
       (decoded once).

mwparserfromhell alone is not linear in hostile text, since it searches the whole page for the end
of an opening that never closes. So it is given lines whose brackets are paired, and no tags. Where
something was removed a mark stays until step 6, so that `(; )` is removed where a template stood,
and `main()` stays. Marks are noncharacters, which no text may hold.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import mwparserfromhell
from mwparserfromhell.nodes import (
    Argument,
    Comment,
    ExternalLink,
    Heading,
    Node,
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
    LITERAL,
    MARKS,
    NEWLINE,
    TYPED,
    WORD,
    without_opaque,
    without_tags,
)
from corpora.wikipedia.templates import Args, bears_text, expand, fold_name, parser_function
from corpora.wikipedia.wikis.magic_words import magic_words
from corpora.wikipedia.wikis.silent import is_silent
from corpora.wikipedia.wikis.variants import show_variants

MAX_DEPTH = 30
"""Levels of templates and links: real pages have up to ten; mwparserfromhell gives up at 40."""

_CHUNK = 4_000
"""Characters that are parsed at once: a call of the parser is costly in itself."""

_NAMES, _NAME_LENGTH = 500, 60
"""Names of what is left out that are counted on a page, and their characters."""

_CONTEXT = 200
"""Characters before and behind a template that tell whether it stands in a sentence."""

_WORD_LENGTH = 500
"""Characters of a template that may stand as a word."""

_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")

_SPACES = re.compile("&(?:nbsp|thinsp|ensp|emsp|#160|#8201|#x0*a0|#x2009);", re.IGNORECASE)

# a mark of a table that is typed so that a template may hold it
_TYPED_TABLE = re.compile(
    r"^([ \t:]*)(?:(\{\{\{!\}\}(?!\}))|(\{\{!\}\}\}(?!\}))|(\{\{!-\}\}))", re.MULTILINE
)

_TABLE_ROW = re.compile(rf"^[ \t{GONE}{BREAK}]*\|[-}}+]", re.MULTILINE)

_PARAMETER = re.compile(r"\|\s*[\w -]{1,40}=")

_ROW_WORDS = 4
"""A line that begins with a bar is text if it has this many words, outside of tables."""

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")

_SINGLE = re.compile(rf"(?<!\[)\[(?=[{GONE}]{{0,10}}(?:\[\[)+(?!\[))")
"""A bracket before a link, as in `[[[mathematics|maths]] only]`: text, which the parser would take
for a part of the link."""

_BRACKETS = re.compile(r"\[\[+|\]\]+|\{\{+|\}\}+")

_FILE = re.compile(
    r":.*\.(?:jpe?g|png|gif|svg|tiff?|webp|xcf|og[gvax]|webm|pdf|djvu|midi?|mp3|wav|flac|stl)\s*$",
    re.IGNORECASE,
)

_LANGUAGE_CODES = frozenset(
    """
    aa ab ace ady af ak als alt am ami an ang ar arc ary arz as ast atj av avk awa ay az azb ba
    ban bar bat-smg bcl be be-tarask be-x-old bg bh bi bjn bm bn bo bpy br bs bug bxr ca cbk-zam
    cdo ce ceb ch chr chy ckb co cr crh cs csb cu cv cy da dag de din diq dsb dty dv dz ee el
    eml en eo es et eu ext fa ff fi fiu-vro fj fo fr frp frr fur fy ga gag gan gcr gd gl glk gn
    gom gor got gu gv ha hak haw he hi hif hr hsb ht hu hy hyw ia id ie ig ik ilo inh io is it
    iu ja jam jbo jv ka kaa kab kbd kbp kg ki kk kl km kn ko koi krc ks ksh ku kv kw ky la lad
    lb lbe lez lfn lg li lij lld lmo ln lo lrc lt ltg lv mad mai map-bms mdf mg mhr mi min mk ml
    mn mni mnw mr mrj ms mt mwl my myv mzn na nah nap nb nds nds-nl ne new nia nl nn no nov nqo
    nrm nso nv ny oc olo om or os pa pag pam pap pcd pdc pfl pi pl pms pnb pnt ps pt qu rm rmy
    rn ro roa-rup roa-tara ru rue rw sa sah sat sc scn sco sd se sg sh shi shn si simple sk skr
    sl sm smn sn so sq sr srn ss st stq su sv sw szl szy ta tay tcy te tet tg th ti tk tl tn to
    tpi tr trv ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls vo wa war wo wuu xal xh xmf
    yi yo za zea zh zh-classical zh-min-nan zh-yue zu
    """.split()
)

_PLAIN_PREFIXES = frozenset(
    """
    wikt wiktionary w s wikisource q wikiquote b wikibooks commons d species n v voy m meta
    """.split()
)
"""Sister projects: a link to one shows its target without the prefix."""

_AND = re.compile(
    r"\s*(?:[,&/;、،と和与與及]|\b(?:and|und|et|y|e|en|i|a|og|och|ja|ve|dan|và|és|și|şi|in|un|и|і|та|"
    r"και|و|및)\b|(?<=\s)(?:এবং|ও|और|एवं|व|तथा|आणि|र|և|ու|და|және|жана|ба|болон|və|va|eta|ir|kaj|"
    r"ha|agus|at|an|மற்றும்|మరియు|ಮತ್ತು|ਅਤੇ|ਤੇ|અને|اور)(?=\s))\s*"
)
"""What stands between two names of sections."""

_FILE_OPTION = re.compile(
    r"\s*(?:thumb|thumbnail|frame|frameless|left|right|center|none|upright|(?:alt|link)\s*=.*"
    r"|[\dx]+px|upright\s*=.*)\s*"
)

_MEDIA = re.compile(
    r"\.(?:ogg|oga|ogv|opus|webm|wav|mp3|flac|midi?|jpe?g|png|gif|svg|tiff?|webp|djvu|pdf)$",
    re.IGNORECASE,
)
"""The end of a file's name, which is no word of a sentence."""

_BLANKS = f" \t{GONE}{BREAK}"

_LIST_MARKS = "*#:; \t"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What is kept, and what the wiki calls things.

    `cut_sections`, `file_names`, `category_names`: in lower case. `lists`: drop, prose or keep.
    `own_templates`: name and text of each. `namespaces`: the number of each by its name, in lower
    case.
    """

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
    namespaces: Mapping[str, int] = field(default_factory=dict)
    language: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prose:
    """Paragraphs with a blank line between them. `empty_brackets`: pairs that were removed because
    their content was; `unbalanced`: brackets and tags without a partner, which were removed;
    `left_out`: how often each template was dropped and each section cut (`template: hidden`);
    `holes`: templates that were dropped out of the middle of a sentence."""

    text: str
    left_out: Mapping[str, int] = field(default_factory=dict)
    holes: int = 0
    empty_brackets: int = 0
    unbalanced: int = 0


def read_prose(wikitext: str, style: Style, title: str = "") -> Prose | Refusal:
    """The prose of a page's wikitext; a `Refusal` if brackets are nested too deep."""
    page = _Page(style, title)
    text = _SPACES.sub(" ", MARKS.sub("", wikitext).replace("\r\n", "\n"))
    text, opaque = without_opaque(text, style.math)
    text, tags = without_tags(text, style.references, style.headings)
    text = magic_words(style.language).sub(GONE, text)
    text = show_variants(text, style.language)
    text = _TYPED_TABLE.sub(_table_mark, text)

    skeleton = page.skeleton(text)  # step 3
    if skeleton is None:
        return Refusal(
            "too_deep",
            f"more than {MAX_DEPTH} templates and links one in the other",
            text=wikitext[:1000],
        )
    lines = page.rendered(list(page.wanted_lines(skeleton)))  # steps 4 and 5
    texts, empty_brackets = paragraphs(lines, style.lists)
    if style.categories and page.categories:
        texts.append("\n".join(page.categories))
    text = "\n\n".join(texts).translate(FROM_LITERAL)
    return Prose(
        text=_ENTITY.sub(lambda match: html.unescape(match[0]), text),
        left_out=dict(page.left_out),
        holes=page.holes,
        empty_brackets=empty_brackets,
        unbalanced=page.unbalanced + opaque + tags,
    )


def _outermost_spans(
    spans: list[tuple[int, int, str]],
) -> Iterator[tuple[int, int, str, int]]:
    """(begin, end, kind, depth) of each pair of brackets that is in no other. `depth`: the levels
    of brackets, itself included."""
    spans = sorted(spans, key=lambda span: (span[0], -span[1]))
    number = 0
    while number < len(spans):
        begin, end, kind = spans[number]
        number += 1
        open_ends: list[int] = []
        depth = 1
        while number < len(spans) and spans[number][0] < end:
            inner_begin, inner_end, _ = spans[number]
            while open_ends and open_ends[-1] <= inner_begin:
                open_ends.pop()
            open_ends.append(inner_end)
            depth = max(depth, 1 + len(open_ends))
            number += 1
        yield begin, end, kind, depth


class _Copier:
    """Copies ranges of a text from left to right, without what is dropped from it."""

    def __init__(self, text: str, dropped: list[tuple[int, int]]) -> None:
        self._text = text
        self._dropped = sorted(dropped)
        self._next = 0  # the first dropped range that is not passed yet

    def copy(self, begin: int, end: int) -> str:
        pieces = []
        while self._next < len(self._dropped) and self._dropped[self._next][0] < end:
            first, last = self._dropped[self._next]
            self._next += 1
            if first >= begin:
                pieces.append(self._text[begin:first])
                begin = last
        pieces.append(self._text[begin:end])
        return "".join(pieces)


class _Page:
    """One page on its way through the steps. Counts what is removed."""

    def __init__(self, style: Style, title: str) -> None:
        self.style = style
        self.title = title
        self.own = dict(style.own_templates)
        self.categories: list[str] = []
        self.unbalanced = 0
        self.left_out: Counter[str] = Counter()
        self.holes = 0
        self._bars_are_rows = False

    # step 3

    def skeleton(self, text: str) -> str | None:
        """The text with each outermost pair of brackets either removed or on one line; None if
        brackets are nested too deep."""
        spans, dropped = pair(text, self._is_file)
        self.unbalanced += len(dropped)
        broken = any("{" in text[begin:end] or "}" in text[begin:end] for begin, end in dropped)
        self._bars_are_rows = broken
        copier = _Copier(text, dropped)
        pieces: list[str] = []
        at = 0
        for begin, end, kind, depth in _outermost_spans(spans):
            pieces.append(copier.copy(at, begin))
            inside = copier.copy(begin, end)
            at = end
            replacement = self._replacement(kind, inside)
            if kind == "{{" and replacement == GONE:
                replacement = self._dropped(inside, text, begin, end)
            if replacement is None:
                if depth > MAX_DEPTH:
                    return None
                replacement = inside.replace("\n", NEWLINE)
            pieces.append(replacement)
        pieces.append(copier.copy(at, len(text)))
        return "".join(pieces)

    def _is_file(self, start: str) -> bool:
        return self.link_kind(re.split(r"[|\]\n]", start, maxsplit=1)[0]) == "file"

    def _replacement(self, kind: str, inside: str) -> str | None:
        """What stands for an outermost pair of brackets; None if the parser has to read it."""
        if kind == "{|":
            if not self.style.tables:
                return "\n\n"
            return "\n\n" + "\n\n".join(self._rows(inside)) + "\n\n"
        if kind == "{{{":
            return GONE
        if kind == "{{":
            name = _template_name(inside)
            return (
                None
                if bears_text(name, self.own, self.style.templates, self.style.language)
                else GONE
            )
        if kind == "[[":
            target = inside[2:-2].partition("|")[0]
            link_kind = self.link_kind(target)
            if link_kind == "category":
                self.categories.append(target.partition(":")[2].strip())
                return GONE
            if link_kind == "language" or (link_kind == "file" and not self.style.captions):
                return GONE
        return None

    def _dropped(self, inside: str, text: str, begin: int, end: int) -> str:
        """What stands for an outermost template that no table knows: nothing, or the template for
        the parser where it may be a word of a sentence. Dropped ones are counted by name."""
        name = _template_name(inside)
        if (
            len(inside) < _WORD_LENGTH
            and self.style.templates
            and not is_silent(_counted_name(name))
            and _stands_as_word(text, begin, end)
        ):
            return "{{" + WORD + inside[2:].replace("\n", NEWLINE)
        self._count("template", _counted_name(name))
        return GONE

    def _count(self, kind: str, name: str) -> None:
        """Count what is left out, by a bounded number of names."""
        key = f"{kind}: {name[:_NAME_LENGTH]}"
        if key in self.left_out or len(self.left_out) < _NAMES:
            self.left_out[key] += 1

    def link_kind(self, target: str) -> str:
        """file, category, language (these three are not shown where they stand), or text."""
        prefix, colon, _ = target.partition(":")
        prefix = prefix.replace("_", " ").strip().lower()
        if not colon or not prefix:
            return "text"
        # The head of a dump does not list the aliases of the file namespace.
        if prefix in self.style.file_names or _FILE.search(target):
            return "file"
        if prefix in self.style.category_names:
            return "category"
        return "language" if prefix in _LANGUAGE_CODES else "text"

    def _rows(self, table: str) -> Iterator[str]:
        """The rows of a table and of the tables in it, each with its cells on one line."""
        cells: list[str] = []
        for line in table.split("\n"):
            line = line.strip()
            if line.startswith(("{|", "|}", "|-")) or line in ("|", "!"):
                if cells:
                    yield " | ".join(cells)
                cells = []
            elif line.startswith(("|", "!")):
                cells += [_cell_text(cell) for cell in re.split(r"\|\||!!", line.lstrip("|!+"))]
            elif cells and line:
                cells[-1] += " " + line
        if cells:
            yield " | ".join(cells)

    # steps 4 and 5

    def wanted_lines(self, skeleton: str) -> Iterator[str]:
        """The lines of the sections that stay. Headings are lines of their own if the style keeps
        them."""
        cut_level = 0  # of the section that is being removed
        broken_table = False
        # Rows may stand between two templates that begin and end a table.
        rows = self._bars_are_rows or _TABLE_ROW.search(skeleton) is not None
        for line in skeleton.split("\n"):
            level = _heading_level(line)
            if level:
                broken_table = False
                if cut_level and level > cut_level:
                    continue
                title = line.rstrip(_BLANKS)[level:-level].strip()
                plain = MARKS.sub("", strip_quotes(self.render(title))).strip()
                cut_level = level if self._is_cut(plain) else 0
                if cut_level:
                    self._count("section", plain.lower())
                if not cut_level:
                    yield HEADING + str(level) + plain if self.style.headings else ""
                continue
            if cut_level:
                continue

            start = line.lstrip(_BLANKS)[:2]
            if start[:1] == "|" and not rows and _is_text(line):
                yield line
            elif start[:1] == "|" or (start[:1] == "!" and broken_table):
                # a row of a table or template whose brackets were broken
                broken_table = True
                yield ""
            elif start == "--" and not line.strip("-" + _BLANKS):
                yield ""
            else:
                yield TYPED + line if line.startswith(" ") and start else line

    def _is_cut(self, title: str) -> bool:
        """Whether a section is removed: "References", "Notes and references"."""
        # In Turkish a capital I with a dot becomes a small one with two.
        title = html.unescape(title).lower().replace("i\u0307", "i").strip(" :.：")
        if title in self.style.cut_sections:
            return True
        parts = list(filter(None, _AND.split(title)))
        return bool(parts) and all(part in self.style.cut_sections for part in parts)

    def rendered(self, lines: list[str]) -> list[str]:
        """The lines with links and templates as their text."""
        result = list(lines)
        batch: list[int] = []
        size = 0
        for number, line in enumerate(lines):
            if "[" in line or "{" in line:
                batch.append(number)
                size += len(line.lstrip(_LIST_MARKS))
            if batch and (size > _CHUNK or number == len(lines) - 1):
                for index, text in zip(batch, self._render_lines([lines[n] for n in batch])):
                    result[index] = text
                batch = []
                size = 0

        pieces: list[str] = []
        for line in result:
            pieces += line.split(NEWLINE)
        return pieces

    def _render_lines(self, lines: list[str]) -> list[str]:
        """The lines with their text, by one call of the parser."""
        bodies = [line.lstrip(_LIST_MARKS) for line in lines]
        texts = self.render("\n".join(bodies)).split("\n")
        if len(texts) != len(lines):
            # Never seen: a parser that loses the end of a line would shift all that follow.
            texts = [self.render(body).replace("\n", NEWLINE) for body in bodies]
        prefixes = [line[: len(line) - len(body)] for line, body in zip(lines, bodies)]
        return [prefix + text for prefix, text in zip(prefixes, texts)]

    def render(self, text: str) -> str:
        """The text of wikitext in paired brackets."""
        if "[" not in text and "{" not in text:
            return text
        text = _SINGLE.sub(LITERAL[ord("[")], text)
        return self._walk(mwparserfromhell.parse(text, skip_style_tags=True))

    def _walk(self, code: Wikicode | None) -> str:
        return "".join(map(self._node, code.nodes)) if code is not None else ""

    def _node(self, node: Node) -> str:
        if isinstance(node, Text):
            parsed = "[[" not in node.value and "{{" not in node.value
            return str(node.value) if parsed else self._unparsed(node.value)
        if isinstance(node, Wikilink):
            return self._link(node)
        if isinstance(node, Template):
            return self._template(node)
        if isinstance(node, ExternalLink):
            if not node.brackets:
                return self._walk(node.url)
            return self._walk(node.title) if node.title else GONE
        if isinstance(node, Tag):
            if node.wiki_markup and node.self_closing:
                return str(node.wiki_markup)
            return self._walk(node.contents)
        if isinstance(node, Heading):
            return self._walk(node.title)
        if isinstance(node, (Comment, Argument)):
            return GONE
        return str(node)  # HTMLEntity

    def _unparsed(self, text: str) -> str:
        """Paired brackets that the parser takes for text, as in `[[a [b]]`: a title or name that no
        page can have."""
        text, count = _BRACKETS.subn("", text)
        self.unbalanced += count
        return text

    def _link(self, link: Wikilink) -> str:
        target = self._walk(link.title).strip()
        kind = self.link_kind(target)
        if kind == "file":
            return self._caption(link)
        if kind != "text":
            return GONE
        if SCHEME.match(target):  # [[http://x label]]
            return target.partition(" ")[2] or GONE

        target = target.removeprefix(":").strip()
        if link.text is None:
            prefix, _, rest = target.partition(":")
            return (rest if prefix.lower() in _PLAIN_PREFIXES else target) or GONE
        text = self._walk(link.text)
        return text if text.strip(f" {GONE}") else _pipe_trick(target)

    def _caption(self, link: Wikilink) -> str:
        """The caption of a file, which is its last parameter, as a block of its own."""
        last = ""
        if link.text is not None and self.style.captions:
            last = str(link.text).rpartition("|")[2]
        # A bar inside a link or template of the caption does not end a parameter of the file.
        if "[[" in last or "{{" in last:
            caption = self._walk(link.text).rpartition("|")[2]
        else:
            caption = self.render(last)
        if not caption or _FILE_OPTION.fullmatch(caption):
            return GONE
        return f"{NEWLINE}{NEWLINE}{caption}{NEWLINE}{NEWLINE}"

    def _word(self, template: Template, name: str) -> str:
        """The only parameter of a template that no table knows, in a sentence; any other is a hole
        in it, which is counted."""
        given = [parameter for parameter in template.params if str(parameter.value).strip()]
        if len(given) == 1 and not given[0].showkey:
            text = self._walk(given[0].value).strip(f" \t\n{NEWLINE}")
            if _MEDIA.search(text):
                self._count("template", _counted_name(name))
                return GONE
            if text and NEWLINE not in text and "://" not in text:
                return text
        self.holes += 1
        self._count("template in a sentence", _counted_name(name))
        return GONE

    def _template(self, template: Template) -> str:
        is_word = str(template.name).startswith(WORD)
        name = fold_name(MARKS.sub("", str(template.name)))
        if is_word:
            return self._word(template, name)
        if not bears_text(name, self.own, self.style.templates, self.style.language):
            if name:
                self._count("template", _counted_name(name))
            return GONE

        # The first parameter of a parser function stands in its name, so the others move on by one.
        values: dict[str, str] = {}
        shift = 0
        function = parser_function(name)
        if function is not None:
            name = function[0]
            shift = 1
            values["1"] = self._walk(template.name).partition(":")[2].strip()

        place = shift
        for parameter in template.params:
            if parameter.showkey:
                key = str(parameter.name).strip()
                if key.isascii() and key.isdigit() and len(key) < 9:
                    key = str(int(key) + shift)
            else:
                place += 1
                key = str(place)
            values[key] = self._walk(parameter.value).strip(f" \t\n{NEWLINE}")

        args = Args(
            {key: value.replace(GONE, "") for key, value in values.items()},
            wiki=self.style.language,
        )
        text = expand(name, args, self.own, self.title, function is not None)
        return text.replace("\n", NEWLINE) or GONE


def _template_name(inside: str) -> str:
    """The folded name of a template."""
    return fold_name(MARKS.sub("", re.split(r"[|{}\n]", inside[2:-2].lstrip(), maxsplit=1)[0]))


def _counted_name(name: str) -> str:
    """The name by which a dropped template is counted: of a function of the parser without what it
    is given, which has no end of names."""
    head, colon, _ = name.partition(":")
    if not colon:
        return name
    return head if head.startswith("#") else head + ":"


def _stands_as_word(text: str, begin: int, end: int) -> bool:
    """Whether the place between `begin` and `end` is one of a word in a sentence: behind a blank
    and a word of its line, and before more of the line."""
    line = text[max(text.rfind("\n", 0, begin) + 1, begin - _CONTEXT) : begin]
    behind = text[end : end + _CONTEXT].partition("\n")[0].lstrip("'")
    before = line.rstrip("'")
    if not before or not behind or line[:1] in ("|", "!", "{", "}"):
        return False
    last = before[-1]
    opens = last in " \u00a0([«„“‘(（，、；：。！？「『《〈" or _UNSPACED.match(last) is not None
    goes_on = behind[0] in " \u00a0,.;:!?)]»”’）、。，-–—" or behind[0].isalpha()
    has_words = any(character.isalpha() for character in before)
    return opens and goes_on and has_words and any(map(str.isalnum, behind))


def _table_mark(match: "re.Match[str]") -> str:
    """The mark of a table, as it is where no template holds it."""
    if match[2]:
        return match[1] + "{|"
    return match[1] + ("|}" if match[3] else "|-")


def _is_text(line: str) -> bool:
    """Whether a line that begins with a bar is text, as in `|x| is the absolute value of x`."""
    bare = line.lstrip(_BLANKS)
    return _PARAMETER.match(bare) is None and len(bare.split()) >= _ROW_WORDS


def _heading_level(line: str) -> int:
    """1 to 6 for a heading, else 0."""
    bare = line.rstrip(_BLANKS)
    if not (bare.startswith("=") and bare.endswith("=") and len(bare) > 2):
        return 0
    left = len(bare) - len(bare.lstrip("="))
    right = len(bare) - len(bare.rstrip("="))
    return min(left, right, 6, (len(bare) - 1) // 2)


def _cell_text(cell: str) -> str:
    """A cell without its attributes, which end with a bar."""
    attributes, bar, rest = cell.partition("|")
    if bar and "[[" not in attributes and "{{" not in attributes:
        return rest.strip()
    return cell.strip()


def _pipe_trick(target: str) -> str:
    """[[Rome (city)|]] is Rome; [[Boston, Massachusetts|]] is Boston; [[Help:Contents|]] is
    Contents."""
    name = target
    if ":" in target and not target.startswith(":"):
        name = target.rpartition(":")[2]
    shorter = re.sub(r"\s*[(（][^()（）]{0,200}[)）]\s*$", "", name)
    if shorter != name:
        return shorter
    return name.partition(", ")[0] or target
