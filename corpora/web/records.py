"""The records of web archives as documents: `page_outcome` is the one way from a record to a page.

    read_records(part) -> Record | Reject      an archive, with damage already placed
    page_outcome(path, record, settings)       -> Document | Reject

The sources cc_news, openwebtext and stories call both; each adds its own rules before or after. A
record is refused by its type, its HTTP status, its encoding, its bytes or its page, in this order,
so that the parser sees only what may be a page. It runs in a child that can be killed
(corpora.guard), one child for all records of a process.
"""

import hashlib
import os
from collections.abc import Iterator

from corpora.document import Document, NotPage, Part, Refusal, Reject
from corpora.guard import shared_guard
from corpora.inputs.complaints import in_words
from corpora.inputs.find import find
from corpora.quality.reasons import ARCHIVE_KINDS
from corpora.text.urls import domain_of, host_of
from corpora.web.http_body import Body, decode_body
from corpora.web.opt_outs import opt_outs
from corpora.web.page import EXTRACTOR, MAX_PAGE_BYTES, Page, PageSettings, refuse
from corpora.web.warc import Damage, Record, read_archive
from shards.storage import files

CRAWL_BODY_LIMIT = 1_048_576
"""Bytes at which the news crawler cut a body; before 2019-05-16 it did not mark such records."""

RESPONSE = "response"
"""The type of the WARC records that hold pages."""

_LOOKUP = "dns"

_LISTING = "warc.paths.gz"
"""The name of a bucket's own listing of its archives."""


def archives(patterns: tuple[str, ...]) -> list[Part]:
    """The archives that globs and lists name, ordered by path, without the listings of a bucket."""
    return [part for part in find(patterns) if os.path.basename(part.path) != _LISTING]


def read_records(part: Part, wanted: str = RESPONSE) -> Iterator[Record | Reject | NotPage]:
    """Every record of an archive, in the order of the file.

    Records of types that hold no page are `NotPage`s, except those of the type `wanted`. Damage is
    a reject with its place. An archive that cannot be opened, or read on, is the reject
    `unreadable`.
    """
    try:
        with files.open_input(part.address) as stream:
            for item in read_archive(stream):
                if isinstance(item, Damage):
                    yield item.at(part.path, item.position, item.url)
                    continue

                kind = kind_without_page(item)
                if kind and kind != wanted:
                    yield NotPage(kind=kind, path=part.path, position=item.position)
                else:
                    yield item
    except OSError as error:
        yield Refusal("unreadable", in_words(error)).at(part.path, part.start)


def kind_without_page(record: Record) -> str:
    """The kind of a record that holds no page, whatever its status; "" for one that may."""
    if record.kind in ARCHIVE_KINDS:
        return record.kind

    # Some crawlers put the address into angle brackets.
    is_lookup = (record.url or "").lower().lstrip("<").startswith("dns:")
    return _LOOKUP if record.kind == RESPONSE and is_lookup else ""


def page_outcome(path: str, record: Record, settings: PageSettings) -> Document | Reject:
    """The document of a record that holds a web page; else a reject.

    `path` names the archive. The document's `digest` is that of the decoded body; its `extra` holds
    `host` and `domain` of the fetched address, `truncated` (why the end of the page is missing),
    `opt_outs` (corpora.web.opt_outs) and `Page.notes`.
    """
    refusal = refuse_record(record)
    if refusal is not None:
        return refusal.at(path, record.position, record.url)

    body = decode_body(record.body, record.headers, MAX_PAGE_BYTES)
    refusal = _refuse_body(record, body)
    if refusal is not None:
        return refusal.at(path, record.position, record.url)

    cut = _why_cut(record, body)
    page: Page | Refusal = shared_guard(EXTRACTOR).call(
        body.content,
        content_type=record.content_type,
        url=record.url,
        crawled=record.crawled,
        cut=bool(cut),
        settings=settings,
    )
    if isinstance(page, Refusal):
        return page.at(path, record.position, record.url)

    extra: dict[str, object] = {**_host_and_domain(record.url), **page.notes()}
    if cut:
        extra["truncated"] = cut
    signs = opt_outs(record.headers, body.content)
    if signs:
        extra["opt_outs"] = signs
    return Document(
        path=path,
        position=record.position,
        text=page.text,
        url=record.url,
        title=page.title,
        date=page.date,
        language=page.language,
        crawled=record.crawled,
        digest=hashlib.blake2b(body.content, digest_size=16).hexdigest(),
        extra=extra,
        marks=tuple(f"opt-out: {sign}" for sign in signs),
    )


def refuse_record(record: Record) -> Refusal | None:
    """Why a record is no page, by its type and its HTTP status; None when it may be one.

    Not for the kinds of `kind_without_page`, which are no rejects.
    """
    if record.kind != RESPONSE:
        return Refusal("other_record", record.kind[:100])

    # ARC archives of old crawls hold pages without an HTTP head.
    if record.status is None and not record.body.lstrip().startswith(b"<"):
        return Refusal("not_http", record.content_type[:100])
    if record.status not in (None, 200):
        return Refusal(f"http_{record.status // 100}xx", str(record.status))
    return None


def _refuse_body(record: Record, body: Body) -> Refusal | None:
    if body.unsupported:
        return Refusal("unsupported_encoding", body.unsupported)

    refusal = refuse(body.content, record.content_type, record.url)
    # Last, since other refusals tell more of a record that is too large to keep.
    if refusal is None and record.cut == "limit":
        return Refusal("too_large", "the record holds more than 20 MB")
    return refusal


def _why_cut(record: Record, body: Body) -> str:
    """Why the end of a page is missing; "" when it is not."""
    if record.cut:
        return record.cut
    if body.cut:
        return "encoding"
    # A body of just this length was cut by the crawler, which did not say so.
    return "crawler" if len(record.body) == CRAWL_BODY_LIMIT else ""


def _host_and_domain(url: str | None) -> dict[str, str]:
    """Host and domain of an address, as far as it has them."""
    names = {"host": host_of(url or ""), "domain": domain_of(url or "")}
    return {name: value for name, value in names.items() if value}
