"""What the words mean that `corpus` counts: the reasons of rejects and of removals, and the kinds
of records that are no page.

Each has one sentence here, which `docs/reference.md` and the report show. The sentence of a rule of
quality is the docstring of its setting.
"""

import ast
import functools
import inspect
import re
import textwrap
from collections.abc import Mapping
from typing import Final

REJECTS: Final = {
    "bad_encoding": "bytes that are not valid in the source's `encoding`",
    "bad_csv": (
        "a row of a table with an open quotation mark, or with more or fewer values than the "
        "header has names"
    ),
    "bad_json": "a line that is not a JSON object",
    "bad_score": "a submission whose score is not a number",
    "bad_url": (
        "a link that is not the address of a page: not http(s), no host, control characters, over "
        "4,096 characters"
    ),
    "bad_xml": "a page of a dump that is not well-formed XML",
    "binary": (
        "a body that begins as an image, a PDF or an archive, or of which a fifth is control "
        "characters; a plain text that begins as a PDF, or of which one byte in a hundred is NUL"
    ),
    "bomb": (
        "bytes that inflate to more than text ever does: 200 bytes for each stored one, or "
        "200,000,000 bytes in an EPUB; reading resumes at the next member of an archive, but not "
        "inside a file compressed as a whole"
    ),
    "charset": (
        "a page or plain text in a legacy charset that nothing declares, and without a Latin "
        "alphabet, or in one that is never text (HZ, UTF-7)"
    ),
    "crash": "the parser's process died on the page, twice",
    "damaged": (
        "bytes that the decoder refuses; what came before them is kept, and in a web archive also "
        "what comes after"
    ),
    "deleted": "a submission that was deleted, or whose author was",
    "disambiguation": (
        "a wiki page that only distinguishes titles, or is about a surname; the detail says how "
        "this was recognised"
    ),
    "document_type": "a dump with a document type declaration, which is never read",
    "empty": "a file of no bytes; no text is left after normalisation, or none was found in a page",
    "encrypted": "a book with DRM, or an encrypted member of a zip",
    "entity": "a page of a dump with an entity that XML itself does not know: none can be declared",
    "excluded_domain": "a link to a domain that `excluded_domains` names",
    "excluded_extension": "a link whose path has an ending that `excluded_extensions` names",
    "error": "the extractor failed on the page",
    "feed": "RSS, Atom or a sitemap served as a page",
    "forgotten": (
        "a record on a list of the recipe's `forget` or of `corpus forget`: it is counted, and "
        "nothing of it is stored"
    ),
    "garbage": "bytes of a web archive that belong to no record; the detail counts them",
    "holds_question": (
        "a document that contains a whole question, with `exclude_questions`; the detail names the "
        "first one"
    ),
    "http_Nxx": (
        "a response with a status other than 200: `http_2xx`, `http_3xx`, `http_4xx`, ...; the "
        "detail names it"
    ),
    "language": "a document in another language than the wanted one; the detail names it",
    "low_score": "a submission with a score below `min_score`",
    "memory": "the parser's process used more than 1.5 GB for the page, twice",
    "namespace": "a wiki page of a namespace that is not wanted; the detail has its number",
    "no_url": "a submission without an address",
    "no_text": "the field or column of the text is missing, or is not a string",
    "not_a_dump": "a file without `<mediawiki>` or `<page>` at its beginning",
    "not_a_file": "a link, device, pipe or sparse file in a tar: named, never followed",
    "not_an_archive": (
        "a file without a single WARC or ARC record, or in another format, which the detail names"
    ),
    "not_epub": "a zip named .epub without container and package document",
    "not_html": "a response that is no page, by its type, its address or its first bytes",
    "not_listed": "a page whose address no wanted submission names",
    "nul": "a text of which more than one byte in a hundred is NUL",
    "over_18": "a submission that is marked as such",
    "not_selected": (
        "a document of stories that scores less than the chosen ones; its text is not stored"
    ),
    "not_text": (
        "a converted record of an archive that is not plain text; the detail names its type"
    ),
    "not_wikitext": "a wiki page of another content model (Scribunto, JSON); the detail names it",
    "not_http": "a response that is neither HTTP nor HTML",
    "other_record": "a record of a type that WARC does not know; the detail names it",
    "outside_window": "a page crawled before `start`, or not before `end`",
    "redirect": "a wiki page that leads to another one, by its tag or its text",
    "self_post": "a submission that is a text of its own, not a link",
    "short_url": "a link with fewer characters than `min_url_characters`",
    "timeout": "the parser's process gave no answer for the page within 100 s, twice",
    "too_deep": (
        "a page or chapter with more than 1,000 nested elements; archives nested more than three "
        "deep; a wiki page with more than 30 nested templates and links"
    ),
    "too_large": (
        "a document over the limit of bytes, a page over 16,000,000 or with over 6,000,000 "
        "characters beside scripts and pictures, a wiki page over 3,000,000"
    ),
    "too_long": "a book with more words than `max_words`",
    "too_many_attributes": "a page or chapter with more than 5,000 attributes in one tag",
    "too_many_elements": "a page with more than 60,000 elements, an EPUB with more than a million",
    "too_short": (
        "a page with less text than `min_characters`; a wiki page, a book or a document of stories "
        "with fewer words than `min_words`"
    ),
    "truncated": (
        "a file that ends too early (what came before is kept), the header of a record of an "
        "archive that is cut off, or a wiki page without an end"
    ),
    "undated": "a page that names no possible day of its own, with `require_date`",
    "bad_row": (
        "a row of .csv or .tsv with an open quotation mark, or with more or fewer values than the "
        "header has names"
    ),
    "unknown_format": "a file whose name has no ending that the source reads",
    "unreadable": "a file without read permission, or that no longer exists",
    "unsupported_compression": "a member of a zip that is neither stored nor deflated",
    "unsupported_encoding": "a body in an encoding that cannot be decoded; the detail names it",
}
"""Reason of a reject -> what it means. `docs/make_reference.py` fails when the code has others."""

DUPLICATES: Final = {
    "text": "the text is equal to that of an earlier document, apart from case and white space",
    "address": "the page was crawled from the same URL as an earlier one, however it is spelled",
    "near": "the document shares at least `threshold` of its shingles with an earlier one",
    "contains": (
        "a shorter document of a source of higher priority has at least `containment` of its "
        "shingles in this one, and the two share half of all their shingles"
    ),
    "contained": (
        "a longer document holds at least `containment` of its shingles, though the two are too "
        "different to be near-duplicates"
    ),
}
"""Kind of a duplicate -> what it means, as a reason of removal."""

WITHOUT_TWIN: Final = {
    "too_little_left": "fewer than `passage_left` words are left without its repeated passages",
    "not_emitted": "its source is only compared with: `emit` is false",
    "too_many_of_host": "its host has `max_per_host` documents of lower draws",
    "not_sampled": "its draw is not below `keep` of its source, or its share of `keep_shares`",
}
"""Reason of a removal that no other document replaces -> what it means."""

ARCHIVE_KINDS: Final = {
    "warcinfo": "the record that describes an archive, or the head of an ARC file",
    "request": "what the crawler asked the server for",
    "revisit": "a page that was the same at an earlier visit: the archive holds no second copy",
    "metadata": "what the crawler noted of a page",
    "resource": "a file that the crawler stored without a response of a server",
    "conversion": "another form of a page, such as its text; `stories` reads it",
    "continuation": "a further part of a record that is in another file",
    "dns": "the look-up of a server's name, which some crawlers store as a response",
}
"""Kind of the records of a web archive that are no responses -> what it means."""

NOT_PAGES: Final = ARCHIVE_KINDS | {
    "comment": "a line of a list of addresses that begins with #",
}
"""Kind of the records that are no pages -> what it means."""

OWN_RULE = "a function of `functions` in the rules of the source"

_STATUS = re.compile(r"http_\d+xx")


def meaning(stage: str, reason: str) -> str:
    """The sentence for a reason of a reject (of the stage `ingest`) or of a removal; "" where none
    is known, as for a source of the user's own."""
    if stage == "rules":
        return OWN_RULE if ":" in reason else rule_sentences().get(reason, "")
    if stage != "ingest":
        return {**DUPLICATES, **WITHOUT_TWIN}.get(reason, "")

    known: Mapping[str, str] = REJECTS
    return known.get(_STATUS.sub("http_Nxx", reason), "")


@functools.lru_cache(maxsize=1)
def rule_sentences() -> dict[str, str]:
    """Name of a rule of quality -> the docstring of its setting, on one line."""
    from corpora.quality.rules import RulesConfig

    (table,) = ast.parse(textwrap.dedent(inspect.getsource(RulesConfig))).body
    assert isinstance(table, ast.ClassDef)
    found = {}
    for node, after in zip(table.body, table.body[1:]):
        is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(node, ast.AnnAssign) and is_text:
            assert isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            found[ast.unparse(node.target)] = " ".join(str(after.value.value).split())
    return found
