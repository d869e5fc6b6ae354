"""Small dumps made to order."""

import bz2
from collections.abc import Iterable
from xml.sax.saxutils import escape

HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.{version}/" '
    'version="0.{version}" xml:lang="{language}">\n'
    "  <siteinfo>\n"
    "    <sitename>Wikipedia</sitename>\n"
    "    <dbname>{language}wiki</dbname>\n"
    "    <base>https://{language}.wikipedia.org/wiki/Main_Page</base>\n"
    "    <namespaces>\n"
    '      <namespace key="-2" case="first-letter">Media</namespace>\n'
    '      <namespace key="0" case="first-letter" />\n'
    '      <namespace key="6" case="first-letter">{file}</namespace>\n'
    '      <namespace key="14" case="first-letter">{category}</namespace>\n'
    "    </namespaces>\n"
    "  </siteinfo>\n"
)
END = "</mediawiki>\n"


def head(
    version: int = 10, language: str = "en", file: str = "File", category: str = "Category"
) -> str:
    return HEAD.format(version=version, language=language, file=file, category=category)


def page(
    number: int,
    title: str,
    text: str,
    *,
    namespace: int = 0,
    redirect: str | None = None,
    model: str = "wikitext",
    attributes: str = "",
) -> str:
    """A `<page>` element as MediaWiki writes it."""
    to = f'    <redirect title="{escape(redirect)}" />\n' if redirect is not None else ""
    body = (
        f'<text xml:space="preserve"{attributes}>{escape(text)}</text>'
        if text
        else f"<text{attributes} />"
    )
    return (
        f"  <page>\n    <title>{escape(title)}</title>\n    <ns>{namespace}</ns>\n"
        f"    <id>{number}</id>\n{to}    <revision>\n      <id>{number + 1000}</id>\n"
        f"      <timestamp>2018-12-{number % 28 + 1:02}T10:00:00Z</timestamp>\n"
        f"      <model>{model}</model>\n      <format>text/x-wiki</format>\n      {body}\n"
        "    </revision>\n  </page>\n"
    )


def multistream(
    head_text: str, pages: Iterable[str], a_stream: int = 100
) -> tuple[bytes, list[tuple[int, str]]]:
    """(a dump of one bzip2 stream for the head, one for every `a_stream` pages and one for the end;
    (offset, first page) of the streams of pages)."""
    held, offsets = bz2.compress(head_text.encode()), []
    all_pages = list(pages)
    for first in range(0, len(all_pages), a_stream):
        offsets.append((len(held), all_pages[first]))
        held += bz2.compress("".join(all_pages[first : first + a_stream]).encode())
    return held + bz2.compress(END.encode()), offsets


def prose(number: int, words: int = 60) -> str:
    """Different sentences for every number."""
    return (
        " ".join(
            f"word{number}x{place}" + ("." if place % 12 == 11 else "") for place in range(words)
        )
        + "."
    )
