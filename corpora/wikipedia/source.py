"""The source `wikipedia`: the articles of MediaWiki dumps as prose, from
`pages-articles(-multistream).xml.bz2` or .xml.

`input` is one dump or several, whole or in their numbered parts; the indexes of multistream dumps
are passed over, since corpora.wikipedia.dump finds the pages without them. Large .bz2 and .xml
files are cut into slices at any byte. Every page of a dump becomes a document, or a reject: by its
namespace, as a redirect or a disambiguation page, by its content model, size, length or damage.

`extra` holds `page_id`, `revision_id`, `wiki` (such as enwiki), `dump` (its day, by the name of the
file) and, if there are any, the counts `empty_brackets`, `unbalanced` and `holes` (templates
in a sentence) of what the cleaning removed. `date` is that of the revision; `crawled` is not known.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote

from corpora.document import Document, Part, Refusal, Reject, Slice, Source, SourceOptions
from corpora.guard import shared_guard
from corpora.inputs.find import find, group
from corpora.inputs.streams import DAMAGE, what_broke
from corpora.text.language_codes import is_language_code
from corpora.wikipedia.dump import Head, RawPage, compression_of, read_head, read_pages
from corpora.wikipedia.page import Article
from corpora.wikipedia.templates import fold_name
from corpora.wikipedia.wikis.sections import CUT_SECTIONS
from corpora.wikipedia.wikitext import Style
from shards.config import setting, table

_INDEX = re.compile(r"-multistream-index\d*\.txt")
"""The names of indexes."""

_DAY = re.compile(r"(?<!\d)(20\d{6})(?!\d)")
"""The day of a dump in a path."""

_NAMESPACES = {
    -2: "media",
    -1: "special",
    1: "talk",
    2: "user",
    3: "user talk",
    4: "project",
    5: "project talk",
    6: "file",
    7: "file talk",
    8: "mediawiki",
    9: "mediawiki talk",
    10: "template",
    11: "template talk",
    12: "help",
    13: "help talk",
    14: "category",
    15: "category talk",
}
"""Names of namespaces that every wiki knows, in lower case."""

_EXTRACTOR = "corpora.wikipedia.page:extract_page"

_LANGUAGES = {"zh": "zh-cn", "nb": "no", "nn": "no", "simple": "en", "zh-yue": "zh-tw"}
"""langdetect's codes for codes of wikis that differ."""


@dataclass(frozen=True, kw_only=True)
class WikipediaOptions(SourceOptions):
    """Articles of MediaWiki dumps as prose."""

    kind: str = setting("wikipedia", affects="ingest")
    """wikipedia."""
    namespaces: tuple[int, ...] = setting((0,), affects="ingest")
    """The numbers of the namespaces whose pages are kept; 0 is that of the articles."""
    disambiguation: bool = setting(False, affects="ingest")
    """Keep the pages that only tell titles apart, and those about surnames."""
    min_words: int = setting(50, affects="ingest")
    """Reject pages with fewer words of prose, as `too_short`; in scripts without spaces two letters
    count as one word."""
    headings: bool = setting(False, affects="ingest")
    """Keep headings as lines; the data of BERT had none."""
    lists: Literal["drop", "prose", "keep"] = setting("prose", affects="ingest")
    """prose: keep only the list items that are whole sentences, with five words or more and an end
    mark."""
    tables: bool = setting(False, affects="ingest")
    """Keep tables, one line per row."""
    references: bool = setting(False, affects="ingest")
    """Keep the text of footnotes, in round brackets where their marks are."""
    captions: bool = setting(False, affects="ingest")
    """Keep the captions of pictures, as paragraphs."""
    categories: bool = setting(False, affects="ingest")
    """Keep the names of the categories, as the last lines."""
    math: bool = setting(False, affects="ingest")
    """Keep formulas, as they are typed in TeX."""
    templates: Literal["builtin", "none"] = setting("builtin", affects="ingest")
    """builtin: replace templates by their text as the table in docs/corpora.md says, and drop
    others; none: drop all."""
    own_templates: dict[str, str] = table(dict, affects="ingest")
    """More templates, name = "text", in which {1} and {name} stand for parameters; "" drops one of
    the table."""
    cut_sections: tuple[str, ...] = setting(CUT_SECTIONS, affects="ingest")
    """Headings, in lower case, whose sections are removed with all of their subsections."""

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
        version=5,
        packages=("langdetect", "mwparserfromhell"),
    )


def slices(options: WikipediaOptions) -> Iterator[Slice]:
    """The dumps ordered by path; large .bz2 and .xml files are cut into ranges of bytes.

    The reader of a range begins and ends with a page (`corpora.wikipedia.dump`).
    """
    parts: list[Part] = []
    for part in find(options.input):
        if not _INDEX.search(os.path.basename(part.path)):
            parts += _cut(options, part)
    return group(parts, options.slice_bytes)


def _cut(options: WikipediaOptions, part: Part) -> list[Part]:
    can_be_cut = part.path.lower().endswith((".bz2", ".xml"))
    if part.size <= options.slice_bytes or not can_be_cut:
        return [part]

    ranges = part.ranges(options.slice_bytes)
    ranges[-1] = replace(ranges[-1], stop=None)  # to the end of the file
    return ranges


def read(options: WikipediaOptions, piece: Slice) -> Iterator[Document | Reject]:
    """Every page that begins in a slice, in order. A file that cannot be opened, or is no dump, is
    one reject."""
    for part in piece.parts:
        position = part.start
        try:
            for record in _read_part(options, part):
                position = record.position + 1  # the place of damage behind it
                yield record
        except (PermissionError, FileNotFoundError, IsADirectoryError, UnicodeEncodeError) as error:
            if not part.start:  # one reject per file, not one per range
                yield what_broke(error).at(part.path, position)
        except DAMAGE as error:
            yield what_broke(error).at(part.path, position)


def _read_part(options: WikipediaOptions, part: Part) -> Iterator[Document | Reject]:
    compression = compression_of(part.address)
    if part.start and compression not in ("", ".bz2"):
        # The name promised a format that can be cut: the first part reads the whole file.
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
        if isinstance(page, Reject):
            yield page
        else:
            outcome = _extracted(options, head, style, page)
            yield _outcome(part.path, page.position, head, outcome)


Outcome = tuple[Article | Refusal, str | None]
"""The answer of the extractor: the article or why there is none, and the title if it is known."""


def _extracted(options: WikipediaOptions, head: Head, style: Style, page: RawPage) -> Outcome:
    answer: Outcome | Refusal = shared_guard(_EXTRACTOR).call(
        page.content,
        encoding=head.encoding,
        style=style,
        namespaces=options.namespaces,
        disambiguation=options.disambiguation,
        min_words=options.min_words,
    )
    return (answer, None) if isinstance(answer, Refusal) else answer


def _outcome(path: str, position: int, head: Head, outcome: Outcome) -> Document | Reject:
    article, title = outcome
    url = page_url(head.base, title)
    if isinstance(article, Refusal):
        return article.at(path, position, url)

    extra = {
        "page_id": article.page_id,
        "revision_id": article.revision_id,
        "wiki": head.wiki,
        "dump": _dump_day(path),
        "empty_brackets": article.empty_brackets or None,
        "unbalanced": article.unbalanced or None,
        "holes": article.holes or None,
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
        left_out=article.left_out,
    )


def _dump_day(path: str) -> str | None:
    """The day of a dump, such as 2024-01-01: in the name of the file, else in its folders."""
    match = _DAY.search(os.path.basename(path)) or _DAY.search(path)
    return f"{match[1][:4]}-{match[1][4:6]}-{match[1][6:]}" if match else None


def _language(code: str | None) -> str | None:
    """langdetect's code for the language of a dump, and the dump's own for one that langdetect does
    not know; None when the dump names none."""
    code = (code or "").lower()
    code = _LANGUAGES.get(code, code)
    return code if is_language_code(code) else None


def page_url(base: str | None, title: str | None) -> str | None:
    """The address of a page, from that of the wiki's main page, spelled as MediaWiki spells it."""
    if not base or not title or "/" not in base:
        return None
    folder = base.rpartition("/")[0]
    return f"{folder}/{quote(title.replace(' ', '_'), safe=';@$!*(),/~:')}"


def _style(options: WikipediaOptions, head: Head) -> Style:
    """The options of the reader, with this wiki's own names for pictures and categories."""
    # The numbers of the namespaces: -2 media, 6 files, 14 categories.
    names: dict[int, set[str]] = {-2: {"media"}, 6: {"file", "image"}, 14: {"category"}}
    # A dump names them in its own language, such as Datei and Kategorie, and English stays valid.
    for number, name in head.namespaces:
        if number in names:
            names[number].add(name.lower())

    spaces = {name: number for number, name in _NAMESPACES.items()}
    for number, name in head.namespaces:
        spaces[name.replace("_", " ").lower()] = number

    own_templates = [(fold_name(name), text) for name, text in options.own_templates.items()]
    return Style(
        headings=options.headings,
        lists=options.lists,
        tables=options.tables,
        references=options.references,
        captions=options.captions,
        categories=options.categories,
        math=options.math,
        templates=options.templates == "builtin",
        own_templates=tuple(own_templates),
        cut_sections=frozenset(options.cut_sections),
        file_names=frozenset(names[-2] | names[6]),
        category_names=frozenset(names[14]),
        namespaces=spaces,
        language=head.language or "en",
    )
