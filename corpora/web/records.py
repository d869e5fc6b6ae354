"""TODO-DOC corpora/web/records.py."""

import os

from corpora.document import Part, Refusal
from corpora.inputs.find import find
from corpora.text.urls import domain_of, host_of
from corpora.web.http_body import Body
from corpora.web.page import refuse
from corpora.web.warc import Record

CRAWL_BODY_LIMIT = 1_048_576
"""Bytes at which the news crawler cut a body; before 2019-05-16 it did not say so."""

_RECORD_TYPES = frozenset(
    {"warcinfo", "request", "revisit", "metadata", "resource", "conversion", "continuation"}
)

_LISTING = "warc.paths.gz"


def host_and_domain(url: str | None) -> dict[str, str]:
    """Host and domain of an address, as far as it has them."""
    found = {"host": host_of(url or ""), "domain": domain_of(url or "")}
    return {name: value for name, value in found.items() if value}


def refuse_record(record: Record) -> Refusal | None:
    if record.kind != "response":
        known = record.kind in _RECORD_TYPES
        return Refusal(
            record.kind if known else "other_record",
            detail="" if known else record.kind[:100],
        )
    if record.status is None and not record.body.lstrip()[:1] == b"<":
        return Refusal("not_http", record.content_type[:100])
    if record.status not in (None, 200):
        return Refusal(f"http_{record.status // 100}xx", str(record.status))
    return None


def refuse_body(record: Record, body: Body) -> Refusal | None:
    if body.unsupported:
        return Refusal("unsupported_encoding", body.unsupported)
    skip = refuse(body.content, record.content_type, record.url)
    if skip is None and record.cut == "limit":
        return Refusal("too_large", "the record holds more than 8 MB")
    return skip


def why_cut(record: Record, body: Body) -> str:
    if record.cut or body.cut:
        return record.cut or "encoding"
    return "crawler" if len(record.body) == CRAWL_BODY_LIMIT else ""


def archives(patterns: tuple[str, ...]) -> list[Part]:
    """The archives that globs and lists name, in the order of their paths; a bucket's listing
    beside them is none."""
    return [part for part in find(patterns) if os.path.basename(part.path) != _LISTING]
