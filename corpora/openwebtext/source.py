"""OpenWebText: pages that Reddit links to, from the release, or rebuilt from submissions and pages
that the user has.

`source = "release"`: `input` is the release in any form (`corpora.openwebtext.release`). No page is extracted,
no language asked: that was done.

`source = "reddit"`: `input` is dumps of submissions (`corpora.openwebtext.submissions`), `pages` are WARC archives.
First the submissions become a list of linked addresses (`corpora.openwebtext.link_list`; `corpus urls` writes it as
a table, for a crawler), then the records of the archives whose address is listed become documents,
as those of `cc_news` do; others are rejects, `not_listed`, of which no text is kept. `extra` has
the `score` and the number of `submissions` of the address. Nothing is crawled here.

As its makers did, near-copies (from 0.5 on) go before short texts do (under 128 words); within the
release none are looked for again.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from corpora.cc_news import source as cc_news_source
from corpora.document import (
    Document,
    Findings,
    Note,
    Part,
    Reject,
    Slice,
    Source,
    SourceDedup,
    SourceOptions,
    Survey,
)
from corpora.guard import shared_guard
from corpora.inputs.find import find, group
from corpora.openwebtext import link_list, release
from corpora.openwebtext import submissions as openwebtext_submissions
from corpora.openwebtext.excluded_links import (
    BUILTIN,
    EXCLUDED_DOMAINS,
    EXCLUDED_EXTENSIONS,
    chosen,
)
from corpora.quality.rules import Profile
from corpora.web.page import MIN_CHARACTERS, PAGE_PACKAGES
from corpora.web.records import archives
from corpora.web.warc import Record, read_archive
from shards.errors import UserError
from shards.storage import files


@dataclass(frozen=True, kw_only=True)
class OpenWebTextOptions(SourceOptions):
    """Pages that Reddit links to: the release of OpenWebText, or rebuilt."""

    kind: str = "openwebtext"
    """openwebtext."""
    source: Literal["release", "reddit"] = "release"
    """release: `input` is the published archives of texts; reddit: dumps of submissions, whose
    pages are in `pages`."""
    pages: tuple[str, ...] = ()
    """With source = "reddit": WARC archives in which the listed pages are looked for."""
    min_score: int = 3
    """Addresses of a lower score are not listed."""
    score_of: Literal["submission", "url"] = "submission"
    """submission: one must have the score, as for OpenWebText; url: all submissions of an address
    together, as for OpenWebText2."""
    over_18: bool = False
    """Take links that are marked so."""
    deleted: bool = False
    """Take links whose submission, or whose author's account, was deleted."""
    min_url_characters: int = 10
    """Shorter addresses are not taken."""
    excluded_domains: tuple[str, ...] = (BUILTIN,)
    """Domains, with all below them, that are not taken; `builtin` stands for the list in
    corpora/openwebtext/excluded_links.py."""
    excluded_extensions: tuple[str, ...] = (BUILTIN,)
    """Endings of paths that are not taken, without the dot; `builtin` as above."""
    min_characters: int = MIN_CHARACTERS
    """Pages of less text are rejects: navigation and captions, as a rule."""
    fast: bool = True
    """trafilatura's `fast`, as for cc_news."""
    precision: bool = False
    """trafilatura's `favor_precision`, as for cc_news."""
    accelerated: bool = True
    """trafilatura's steps done faster, as for cc_news. Changes no byte."""
    dedup: SourceDedup = field(
        default_factory=lambda: SourceDedup(threshold=0.5, scope="default", before_rules=True)
    )
    """How it takes part in near-deduplication."""
    default_profile: ClassVar[Profile] = "openwebtext"
    place_fields: ClassVar[tuple[str, ...]] = ("pages",)

    @property
    def scope(self) -> Literal["across", "within", "others"]:
        """By default the release is compared with other sources alone: it was deduplicated by those
        who made it."""
        return (
            "others"
            if self.dedup.scope == "default" and self.source == "release"
            else super().scope
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pages and self.source == "release":
            raise ValueError('pages: the release holds its texts; set source = "reddit"')
        for name in ("min_url_characters", "min_characters"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} is less than 1")


def source() -> Source:
    """The source `openwebtext`."""
    survey = Survey(
        look=look,
        conclude=conclude,
        schema=link_list.NOTE_SCHEMA,
        slices=submission_slices,
        conclude_fields=frozenset({"language", "min_characters", "fast", "precision"}),
        form="arrow",
        asked=_is_rebuilt,
    )
    packages = ("tld", "warcio", "zstandard", *PAGE_PACKAGES)
    return Source(
        options=OpenWebTextOptions,
        slices=slices,
        read=read,
        version=1,
        packages=packages,
        survey=survey,
    )


def _is_rebuilt(options: OpenWebTextOptions) -> bool:
    return options.source == "reddit"


def slices(options: OpenWebTextOptions) -> Iterator[Slice]:
    """The release, cut; or the archives of pages in the order of their paths, grouped. Raises
    `UserError`."""
    if options.source == "release":
        return group(
            list(release.cut(find(options.input), options.slice_bytes)), options.slice_bytes
        )
    if not options.pages:
        raise UserError(
            "pages: no archive is named in which the listed pages are",
            "corpus urls RECIPE --home DIR writes the list for a crawler; then pages = [...]",
        )
    return group(archives(options.pages), options.slice_bytes)


def read(
    options: OpenWebTextOptions, piece: Slice, findings: Findings | None = None
) -> Iterator[Document | Reject]:
    """Every text of the release, or every record of the archives."""
    if options.source == "release":
        for part in piece.parts:
            yield from release.read_part(part)
        return
    assert findings is not None
    with link_list.open_links(findings.conclusion) as listed:
        for part in piece.parts:
            yield from _pages(options, part, listed)


def _pages(
    options: OpenWebTextOptions, part: Part, listed: link_list.Links
) -> Iterator[Document | Reject]:
    guard = shared_guard("corpora.web.extract:extract_page")
    as_news = cc_news_source.CcNewsOptions(
        input=options.pages,
        language=options.language,
        min_characters=options.min_characters,
        fast=options.fast,
        precision=options.precision,
        accelerated=options.accelerated,
    )
    try:
        with files.open_input(part.address) as stream:
            for item in read_archive(stream):
                named = (
                    listed.find(item.url or "")
                    if isinstance(item, Record) and item.kind == "response"
                    else (None, 0)
                )
                if named is None:
                    yield Reject(
                        path=part.path, position=item.position, reason="not_listed", url=item.url
                    )
                    continue
                found = cc_news_source.outcome(as_news, guard, part.path, item)
                if isinstance(found, Document):
                    score, submissions = named
                    found = dataclasses.replace(
                        found, extra=found.extra | {"score": score, "submissions": submissions}
                    )
                yield found
    except OSError as error:
        yield Reject(
            path=part.path,
            position=part.start,
            reason="unreadable",
            detail=f"{type(error).__name__}: {error}"[:500],
        )


def submission_slices(options: OpenWebTextOptions) -> Iterator[Slice]:
    """The dumps in the order of their paths, grouped; large plain ones cut between lines."""
    parts: list[Part] = []
    for part in find(options.input):
        if part.size > options.slice_bytes and openwebtext_submissions.can_be_cut(part.path):
            edges = [*range(0, part.size, options.slice_bytes), part.size]
            parts += [
                Part(
                    address=part.address,
                    path=part.path,
                    size=part.size,
                    start=start,
                    stop=stop,
                    share=stop - start,
                )
                for start, stop in zip(edges[:-1], edges[1:])
            ]
        else:
            parts.append(part)
    return group(parts, options.slice_bytes)


def look(options: OpenWebTextOptions, piece: Slice) -> Iterator[Note]:
    """Of every submission of a slice its link, or why it is not wanted."""
    wanted = openwebtext_submissions.Wanted(
        min_score=options.min_score if options.score_of == "submission" else None,
        over_18=options.over_18,
        deleted=options.deleted,
        min_url_characters=options.min_url_characters,
        domains=chosen(options.excluded_domains, EXCLUDED_DOMAINS),
        extensions=chosen(options.excluded_extensions, EXCLUDED_EXTENSIONS),
    )
    for part in piece.parts:
        for found in openwebtext_submissions.read_part(wanted, part):
            if isinstance(found, Reject):
                yield Note(path=found.path, position=found.position, reason=found.reason)
            else:
                yield Note(
                    path=part.path,
                    position=found.position,
                    values=(*link_list.key_of(found.key), found.score, found.url),
                )


def conclude(
    options: OpenWebTextOptions, addresses: Sequence[str], output: Any, tick: Callable[[int], None]
) -> dict[str, int]:
    """The list of linked addresses."""
    return link_list.merge(addresses, output, options.min_score, options.score_of, tick)
