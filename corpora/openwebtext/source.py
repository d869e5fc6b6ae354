"""The source `openwebtext`: pages that Reddit links to, from the release of OpenWebText, or rebuilt
from the user's own submissions and pages.

With `source = "release"`, `input` is the release in any form (`corpora.openwebtext.release`). Its
texts are already extracted and in English, so no page is parsed and no language is checked.

With `source = "reddit"`, `input` is dumps of submissions (`corpora.openwebtext.submissions`) and
`pages` are WARC archives. The survey turns the submissions into a list of linked addresses
(`corpora.openwebtext.link_list`; `corpus urls` writes it as a table, for a crawler). Ingest then
reads the archives: records whose address is listed become documents, as those of `cc_news` do;
others are rejects `not_listed` without text. `extra` has the `score` and the number of
`submissions` of the address. Nothing is crawled here.

As the makers of OpenWebText did, near-duplicates (from 0.5 on) are removed before short texts
(under 128 words) are; inside the release, which is deduplicated, none are looked for.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from corpora.document import (
    Document,
    Findings,
    Note,
    NotPage,
    Outcome,
    Part,
    Refusal,
    Reject,
    Slice,
    Source,
    SourceDedup,
    SourceOptions,
    Survey,
)
from corpora.inputs.find import find, group
from corpora.openwebtext import link_list, release, submissions
from corpora.openwebtext.excluded_links import (
    BUILTIN,
    EXCLUDED_DOMAINS,
    EXCLUDED_EXTENSIONS,
    chosen,
)
from corpora.quality.rules import Profile
from corpora.web.page import MIN_CHARACTERS, PAGE_PACKAGES, Extraction, PageSettings
from corpora.web.records import RESPONSE, archives, page_outcome, read_records
from corpora.web.warc import Record
from shards.config import setting, table
from shards.errors import UserError
from shards.storage import files


@dataclass(frozen=True, kw_only=True)
class OpenWebTextOptions(SourceOptions):
    """Pages that Reddit links to: the release of OpenWebText, or rebuilt."""

    kind: str = setting("openwebtext", affects="ingest")
    """openwebtext."""
    source: Literal["release", "reddit"] = setting("release", affects="ingest")
    """release: `input` is the published archives of texts; reddit: `input` is dumps of submissions,
    whose pages are in `pages`."""
    pages: tuple[str, ...] = setting((), affects="ingest", place=True)
    """With source = "reddit": the WARC archives that hold the listed pages."""
    min_score: int = setting(3, affects="ingest")
    """Do not list addresses with a lower score."""
    score_of: Literal["submission", "url"] = setting("submission", affects="ingest")
    """submission: one submission of the address must have min_score, as for OpenWebText; url: the
    scores of all its submissions are added up, as for OpenWebText2."""
    over_18: bool = setting(False, affects="ingest")
    """List links that are marked as over 18."""
    deleted: bool = setting(False, affects="ingest")
    """List links whose submission, or whose author's account, was deleted."""
    min_url_characters: int = setting(10, affects="ingest")
    """Do not list shorter addresses."""
    excluded_domains: tuple[str, ...] = setting((BUILTIN,), affects="ingest")
    """Domains that are not listed, with all of their subdomains; `builtin` stands for the list in
    corpora/openwebtext/excluded_links.py."""
    excluded_extensions: tuple[str, ...] = setting((BUILTIN,), affects="ingest")
    """Endings of paths that are not listed, without the dot; `builtin` as above."""
    min_characters: int = setting(MIN_CHARACTERS, affects="ingest")
    """Reject pages with less text: they are usually navigation and captions."""
    extraction: Extraction = setting("cascade", affects="ingest")
    """cascade, fast or default, as for cc_news."""
    precision: bool = setting(False, affects="ingest")
    """trafilatura's `favor_precision`, as for cc_news."""
    accelerated: bool = setting(True, affects="nothing")
    """Run faster versions of trafilatura's steps, as for cc_news. Changes no byte."""
    dedup: SourceDedup = table(
        lambda: SourceDedup(threshold=0.5, scope="default", before_rules=True), affects="near"
    )
    """How the source takes part in near-deduplication."""
    default_profile: ClassVar[Profile] = "openwebtext"
    detects: ClassVar[bool] = True

    def detectable(self) -> tuple[str, ...] | None:
        """None for the release, whose texts are taken to be English as a whole."""
        return None if self.source == "release" else super().detectable()

    @property
    def scope(self) -> Literal["across", "within", "others"]:
        """What `dedup.scope` means: by default the release, which its makers deduplicated, is only
        compared with other sources."""
        if self.dedup.scope == "default" and self.source == "release":
            return "others"
        return super().scope

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
        conclude_fields=frozenset(
            {"language", "min_characters", "extraction", "precision", "ftfy"}
        ),
        form="arrow",
        asked=_is_rebuilt,
    )
    return Source(
        options=OpenWebTextOptions,
        slices=slices,
        read=read,
        version=5,
        packages=("tld", "warcio", "zstandard", *PAGE_PACKAGES),
        survey=survey,
    )


def _is_rebuilt(options: OpenWebTextOptions) -> bool:
    return options.source == "reddit"


# --- the survey: submissions


def submission_slices(options: OpenWebTextOptions) -> Iterator[Slice]:
    """The dumps ordered by path, grouped; large plain ones are cut between lines."""
    parts: list[Part] = []
    for part in find(options.input):
        if part.size > options.slice_bytes and submissions.can_be_cut(part.path):
            parts += part.ranges(options.slice_bytes)
        else:
            parts.append(part)
    return group(parts, options.slice_bytes)


def look(options: OpenWebTextOptions, piece: Slice) -> Iterator[Note]:
    """The link of every submission of a slice, or why it is not wanted."""
    wanted = submissions.Wanted(
        min_score=options.min_score if options.score_of == "submission" else None,
        over_18=options.over_18,
        deleted=options.deleted,
        min_url_characters=options.min_url_characters,
        domains=chosen(options.excluded_domains, EXCLUDED_DOMAINS),
        extensions=chosen(options.excluded_extensions, EXCLUDED_EXTENSIONS),
    )
    for part in piece.parts:
        for link in submissions.read_part(wanted, part):
            if isinstance(link, Reject):
                yield Note(path=link.path, position=link.position, reason=link.reason)
            elif isinstance(link, NotPage):
                yield Note(path=link.path, position=link.position, not_page=link.kind)
            else:
                values = (*link_list.key_of(link.key), link.score, link.url)
                yield Note(path=part.path, position=link.position, values=values)


def conclude(
    options: OpenWebTextOptions,
    addresses: Sequence[str],
    output: files.Output,
    tick: Callable[[int], None],
) -> dict[str, int]:
    """Write the list of linked addresses."""
    return link_list.merge(addresses, output, options.min_score, options.score_of, tick)


# --- ingest: the release, or pages


def slices(options: OpenWebTextOptions) -> Iterator[Slice]:
    """The release, cut; or the archives of pages ordered by path. Raises `UserError` when no
    archive is named."""
    if options.source == "release":
        parts = list(release.cut(find(options.input), options.slice_bytes))
        return group(parts, options.slice_bytes)

    if not options.pages:
        raise UserError(
            "pages: no archive is named in which the listed pages are",
            "corpus urls RECIPE --home DIR writes the list for a crawler; then pages = [...]",
        )
    return group(archives(options.pages), options.slice_bytes)


def read(
    options: OpenWebTextOptions, piece: Slice, findings: Findings | None = None
) -> Iterator[Outcome]:
    """Every text of the release, or every record of the archives."""
    if options.source == "release":
        for part in piece.parts:
            yield from release.read_part(part)
        return

    assert findings is not None
    settings = PageSettings(
        language=options.language,
        min_characters=options.min_characters,
        extraction=options.extraction,
        precision=options.precision,
        accelerated=options.accelerated,
        ftfy=options.ftfy,
    )
    with link_list.open_links(findings.conclusion) as links:
        for part in piece.parts:
            for record in read_records(part):
                if isinstance(record, Record):
                    yield _outcome(settings, links, part.path, record)
                else:
                    yield record


def _outcome(
    settings: PageSettings, links: link_list.Links, path: str, record: Record
) -> Document | Reject:
    # Only a response can be a listed page.
    if record.kind != RESPONSE:
        return page_outcome(path, record, settings)

    link = links.find(record.url or "")
    if link is None:
        return Refusal("not_listed").at(path, record.position, record.url)

    outcome = page_outcome(path, record, settings)
    if isinstance(outcome, Reject):
        return outcome
    score, submission_count = link
    extra = outcome.extra | {"score": score, "submissions": submission_count}
    return dataclasses.replace(outcome, extra=extra)
