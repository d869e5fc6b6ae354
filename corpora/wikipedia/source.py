"""Wikipedia: the articles of MediaWiki dumps, `pages-articles(-multistream).xml.bz2` or .xml, as
prose.

`input` is one dump or several, whole or in their numbered parts; the indexes of multistream dumps
beside them are passed over (corpora.wikipedia.dump finds the pages without them). Large .bz2 and .xml files
are cut into slices anywhere. Every page of a dump comes out once: as a document, or as a reject by
its namespace, as a redirect, a disambiguation page, by its model, size, length or damage.

`extra` holds `page_id`, `revision_id`, `wiki` (enwiki), `dump` (its day, by the file's name), and
where there are any the counts `empty_brackets` and `unbalanced` of what the cleaning took out.
`date` is that of the revision, `crawled` is not known.
"""

import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

from corpora.document import Document, Part, Refusal, Reject, Slice, Source, SourceOptions
from corpora.guard import Guard, shared_guard
from corpora.inputs.find import find, group
from corpora.inputs.streams import DAMAGE, what_broke
from corpora.text.language import known_languages
from corpora.wikipedia.dump import Head, RawPage, compression_of, read_head, read_pages
from corpora.wikipedia.page import Article
from corpora.wikipedia.templates import fold_name
from corpora.wikipedia.wikitext import Style

CUT_SECTIONS = (
    *(
        "references",
        "external links",
        "external link",
        "see also",
        "further reading",
        "notes",
        "bibliography",
        "sources",
        "citations",
        "footnotes",
        "works cited",
    ),
    *(
        "einzelnachweise",
        "weblinks",
        "literatur",
        "siehe auch",
        "quellen",
        "anmerkungen",
        "fußnoten",
        "notes et références",
        "références",
        "liens externes",
        "voir aussi",
    ),
    *(
        "bibliographie",
        "articles connexes",
        "referencias",
        "enlaces externos",
        "véase también",
        "bibliografía",
        "notas",
        "bibliografia",
        "voci correlate",
        "altri progetti",
    ),
    *(
        "collegamenti esterni",
        "note",
        "referências",
        "ligações externas",
        "ver também",
        "bronnen",
        "externe links",
        "zie ook",
        "literatuur",
        "przypisy",
        "linki zewnętrzne",
    ),
    *(
        "zobacz też",
        "referenser",
        "externa länkar",
        "se även",
        "källor",
        "примечания",
        "литература",
        "ссылки",
        "см. также",
        "источники",
        "източници",
        "външни препратки",
    ),
    *(
        "вижте също",
        "бележки",
        "примітки",
        "посилання",
        "джерела",
        "література",
        "див. також",
        "脚注",
        "外部リンク",
        "関連項目",
        "参考文献",
        "出典",
        "参考资料",
        "外部链接",
        "参见",
    ),
    *(
        "參見",
        "外部連結",
        "參考資料",
        "参考文献",
        "注释",
        "atsauces",
        "skotīs taipat",
        "vīs taipoš",
        "nūruodis",
        "olūti",
        "uorejuos saitys",
        "ārējās saites",
    ),
)
"""Headings whose sections go, in lower case: those of the English Wikipedia (corpora reference,
5.3) and their like in others."""

_INDEX = re.compile(r"-multistream-index\d*\.txt")

_DAY = re.compile(r"(?<!\d)(20\d{6})(?!\d)")

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class WikipediaOptions(SourceOptions):
    """Articles of MediaWiki dumps as prose."""

    kind: str = "wikipedia"
    """wikipedia."""
    namespaces: tuple[int, ...] = (0,)
    """Numbers of the namespaces whose pages are kept; 0 are the articles."""
    disambiguation: bool = False
    """Keep the pages that only tell titles apart, and those about surnames."""
    min_words: int = 50
    """Pages of fewer words of prose are rejects, `too_short`; of scripts without spaces two letters
    are a word."""
    headings: bool = False
    """Keep headings as lines; BERT's data had none."""
    lists: Literal["drop", "prose", "keep"] = "prose"
    """prose: of list items only whole sentences, of five words or more with an end mark."""
    tables: bool = False
    """Keep tables, a row a line."""
    references: bool = False
    """Keep what footnotes say, in round brackets where they stand."""
    captions: bool = False
    """Keep the captions of pictures, as paragraphs."""
    categories: bool = False
    """Keep the names of the categories, as the last lines."""
    math: bool = False
    """Keep formulas, as they are typed in TeX."""
    templates: Literal["builtin", "none"] = "builtin"
    """builtin: the text of templates by the table in docs/corpora.md, other templates dropped;
    none: all dropped."""
    own_templates: dict[str, str] = field(default_factory=dict)
    """More templates, name = "text": {1} and {name} in it stand for parameters; "" drops one of the
    table."""
    cut_sections: tuple[str, ...] = CUT_SECTIONS
    """Headings, in lower case, whose sections go with all below them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_words < 0:
            raise ValueError(f"min_words: {self.min_words} is less than 0")
        if not self.namespaces:
            raise ValueError("namespaces: at least one number; 0 are the articles")


def source() -> Source:
    """The source `wikipedia`."""
    return Source(
        options=WikipediaOptions,
        slices=slices,
        read=read,
        version=2,
        packages=("langdetect", "mwparserfromhell"),
    )


def slices(options: WikipediaOptions) -> Iterator[Slice]:
    """The dumps in the order of their paths; large .bz2 and .xml cut into ranges of bytes, which
    begin and end with a page."""
    parts = [part for part in find(options.input) if not _INDEX.search(os.path.basename(part.path))]
    return group([piece for part in parts for piece in _cut(options, part)], options.slice_bytes)


def _cut(options: WikipediaOptions, part: Part) -> Iterator[Part]:
    if part.size <= options.slice_bytes or not part.path.lower().endswith((".bz2", ".xml")):
        yield part
        return
    edges = [*range(0, part.size, options.slice_bytes), part.size]
    for start, stop in zip(edges[:-1], edges[1:]):
        yield Part(
            address=part.address,
            path=part.path,
            size=part.size,
            start=start,
            stop=stop if stop < part.size else None,
            share=stop - start,
        )


def read(options: WikipediaOptions, piece: Slice) -> Iterator[Document | Reject]:
    """Every page that begins in a slice, in order. A file that cannot be opened, or is no dump, is
    one reject."""
    guard = shared_guard("corpora.wikipedia.page:extract_page")
    for part in piece.parts:
        position = part.start
        try:
            for record in _read_part(options, guard, part):
                position = record.position + 1
                yield record
        except (PermissionError, FileNotFoundError, IsADirectoryError, UnicodeEncodeError) as error:
            if not part.start:
                yield what_broke(error).at(part.path, position)
        except DAMAGE as error:
            yield what_broke(error).at(part.path, position)


def _read_part(options: WikipediaOptions, guard: Guard, part: Part) -> Iterator[Document | Reject]:
    compression = compression_of(part.address)
    if part.start and compression not in (
        "",
        ".bz2",
    ):  # named as what can be cut, and is not: the first part reads it whole
        return
    head = read_head(part.address, compression)
    if not head.is_dump:
        if not part.start:
            refusal = Refusal("not_a_dump", "neither <mediawiki> nor <page> in its beginning")
            yield refusal.at(part.path, 0)
        return
    if head.declares and not part.start:
        refusal = Refusal(
            "document_type",
            "a document type declaration is never read: its entities are unknown",
        )
        yield refusal.at(part.path, 0)
    style = _style(options, head)
    for page in read_pages(part, compression, head.encoding):
        yield _outcome(options, guard, part.path, head, style, page)


def _outcome(
    options: WikipediaOptions,
    guard: Guard,
    path: str,
    head: Head,
    style: Style,
    page: RawPage | Reject,
) -> Document | Reject:
    if isinstance(page, Reject):
        return page
    found = guard.call(
        page.content,
        encoding=head.encoding,
        style=style,
        namespaces=options.namespaces,
        disambiguation=options.disambiguation,
        min_words=options.min_words,
    )
    if isinstance(found, Refusal):
        return found.at(path, page.position)
    article, title = found
    url = page_url(head.base, title)
    if isinstance(article, Refusal):
        return article.at(path, page.position, url)
    return _document(path, page.position, head, article, url)


def _document(path: str, position: int, head: Head, article: Article, url: str | None) -> Document:
    day = _DAY.search(os.path.basename(path)) or _DAY.search(path)
    extra = {
        "page_id": article.page_id,
        "revision_id": article.revision_id,
        "wiki": head.wiki,
        "dump": f"{day[1][:4]}-{day[1][4:6]}-{day[1][6:]}" if day else None,
        "empty_brackets": article.empty_brackets or None,
        "unbalanced": article.unbalanced or None,
    }
    return Document(
        path=path,
        position=position,
        text=article.text,
        url=url,
        title=article.title or None,
        date=article.date,
        language=_language(head.language),
        digest=article.digest,
        extra={name: value for name, value in extra.items() if value is not None},
    )


def _language(code: str | None) -> str | None:
    """The dump's own code as langdetect would say it; None for one that it does not know."""
    code = {"zh": "zh-cn", "nb": "no", "nn": "no", "simple": "en", "zh-yue": "zh-tw"}.get(
        (code or "").lower(), (code or "").lower()
    )
    return code if code in known_languages() else None


def page_url(base: str | None, title: str | None) -> str | None:
    """The address of a page, by that of the wiki's main page; spelled as MediaWiki spells it."""
    if not base or not title or "/" not in base:
        return None
    return f"{base.rpartition('/')[0]}/{quote(title.replace(' ', '_'), safe=';@$!*(),/~:')}"


def _style(options: WikipediaOptions, head: Head) -> Style:
    """The settings, and this wiki's own names for pictures and categories."""
    names: dict[int, set[str]] = {-2: {"media"}, 6: {"file", "image"}, 14: {"category"}}
    for number, name in head.namespaces:
        if number in names:
            names[number].add(name.lower())
    return Style(
        headings=options.headings,
        lists=options.lists,
        tables=options.tables,
        references=options.references,
        captions=options.captions,
        categories=options.categories,
        math=options.math,
        templates=options.templates == "builtin",
        own_templates=tuple(
            (fold_name(name), text) for name, text in options.own_templates.items()
        ),
        cut_sections=frozenset(options.cut_sections),
        file_names=frozenset(names[-2] | names[6]),
        category_names=frozenset(names[14]),
        language=head.language or "en",
    )
