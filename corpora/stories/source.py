"""Stories: of all documents the best by their overlap with questions of common sense (Trinh & Le
2018).

`input` is web archives (`.warc`, `.arc`), their extracted text (`.wet`), or whatever the source
`files` reads, told by the name's ending. It is read twice. The survey takes every document as far
as its score and keeps where it stands and what it scored, 20 bytes; the conclusion is which of them
are chosen: `ceil(top_fraction * N)` of the N that are in the language and long enough, by their
exact scores, and of equal ones at the cut the first by path and position. The second reading takes
the chosen out again, and nothing else: a snapshot of the web is never stored, and its pages are
extracted once.

Every record comes out once: chosen as a document, else as a reject, by its own fault (`language`,
`too_short`, `http_4xx`, ...) or as `not_selected`; the text of these is not kept. `extra` of a
document holds its `score`, and what it gives away of the questions: `questions`, the numbers of
those that it holds word by word, and `8-grams` and `13-grams` that it shares with any. The same is
counted by `marks`: whoever chooses by a test's questions cannot measure by that test without a word
about it.
"""

import functools
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpora.cc_news import source as cc_news_source
from corpora.document import (
    MAX_DOCUMENT_BYTES,
    Document,
    Findings,
    Note,
    Part,
    Refusal,
    Reject,
    Slice,
    Source,
    Survey,
)
from corpora.files.source import FilesOptions, cut, read_part
from corpora.guard import shared_guard
from corpora.inputs.find import find, group, kind_of
from corpora.stories import overlap as stories_overlap
from corpora.stories.questions import Questions, Search, query_of
from corpora.stories.top_share import read_best, storable, write_best
from corpora.text.language import ANY, certainly_not, detect_language
from corpora.text.normalise import normalise
from corpora.web.page import PAGE_PACKAGES
from corpora.web.warc import Record, read_archive
from shards.errors import UserError
from shards.storage import files

ARCHIVES = (".warc", ".arc", ".wet")

_LISTING = ".paths.gz"

_ROWS = 100_000

_NOT_SELECTED = Refusal("not_selected")

_SAMPLE = 2_000
"""Characters by which a text is told to be of another language."""

NOTES = pa.schema(
    [
        ("part", pa.int32()),
        ("position", pa.int64()),
        ("score", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)
"""`part`: which of the slice's; `score`: of a document that may be chosen, in units of 2**-62;
`reason`, `detail`: of a record that may not."""


@dataclass(frozen=True, kw_only=True)
class StoriesOptions(FilesOptions):
    """The documents nearest to questions of common sense."""

    kind: str = "stories"
    """stories."""
    questions: tuple[str, ...] = ()
    """Files with a question a line, yours: none are in the package. Those of WSC-273 and PDP-60
    made the paper's Stories."""
    top_fraction: float = 0.001
    """Share of the documents that is chosen; of N documents ceil(top_fraction * N), at least
    one."""
    min_words: int = 50
    """Documents of fewer words are rejects, `too_short`, and not among the N."""
    overlap: Literal["multiset", "set"] = "multiset"
    """multiset: an n-gram counts as often as text and question both have it; set: once."""
    query: Literal["joined", "max"] = "joined"
    """joined: the score with all questions as one long one; max: with the question it is nearest
    to."""
    token_pattern: str = "[a-z0-9']+"
    """What a word is in the lower-cased text, as a regular expression; another one makes the
    scoring ten times as slow."""
    dedup_questions: bool = False
    """Of questions with the same words in the same order only the first counts."""
    exclude_questions: bool = False
    """Documents that hold a whole question, word by word, are rejects, `holds_question`, and not
    among the N."""
    place_fields = ("questions",)
    content_fields = ("questions",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.top_fraction <= 1.0:
            raise ValueError(f"top_fraction: {self.top_fraction} is not in (0, 1]")
        if self.min_words < 1:
            raise ValueError(f"min_words: {self.min_words} is less than 1")
        try:
            empty = re.compile(self.token_pattern).match("")
        except re.error as error:
            raise ValueError(f"token_pattern: {self.token_pattern!r}: {error}") from None
        if empty:
            raise ValueError(f"token_pattern: {self.token_pattern!r} matches the empty word")


def source() -> Source:
    """The source `stories`."""
    survey = Survey(
        look=look, conclude=conclude, schema=NOTES, conclude_fields=frozenset({"top_fraction"})
    )
    return Source(
        options=StoriesOptions,
        slices=slices,
        read=read,
        version=stories_overlap.VERSION,
        packages=("tld", "warcio", *PAGE_PACKAGES),
        survey=survey,
    )


def slices(options: StoriesOptions) -> Iterator[Slice]:
    """Files in the order of their paths, grouped; large ones cut where their format allows it.
    Raises `UserError`: no questions."""
    read_questions(options)  # now, not in the first slice
    parts = [part for part in find(options.input) if not part.path.endswith(_LISTING)]
    return group([piece for part in parts for piece in cut(options, part)], options.slice_bytes)


def read_questions(options: StoriesOptions) -> Questions:
    """The words of each question, in the order of the files and their lines; lines without a word
    are passed over. Raises `UserError`."""
    hint = 'questions = "questions.txt", a question a line; docs/corpora.md says where the usual ones come from'
    if not options.questions:
        raise UserError("stories: no questions named", hint)
    found: list[tuple[str, ...]] = []
    for address in options.questions:
        try:
            text = files.read_bytes(address).decode("utf-8-sig")
        except OSError as error:
            raise UserError(
                f"{address}: cannot read the questions: {error.strerror or error}", hint
            ) from None
        except UnicodeDecodeError as error:
            raise UserError(
                f"{address}: not UTF-8: {error.reason} at byte {error.start}",
                "save the questions as UTF-8",
            ) from None
        found += [
            words
            for line in text.split("\n")
            if (words := tuple(stories_overlap.tokens(line, options.token_pattern)))
        ]
    if not found:
        raise UserError(f"{', '.join(options.questions)}: not one question in it", hint)
    return tuple(dict.fromkeys(found) if options.dedup_questions else found)


# --- the records, in both readings
# --------------------------------------------------------------------------------

Verdict = Callable[[int], Refusal | None]
"""Why the record at a position is not wanted; None when it is."""


def _records(options: StoriesOptions, part: Part, verdict: Verdict) -> Iterator[Document | Reject]:
    """The records of one file. Of web pages only the wanted ones are extracted."""
    form = kind_of(part.path)[0]
    if form in ARCHIVES:
        yield from _in_archive(options, part, verdict)
    elif form in (".html", ".htm") and (refused := verdict(0)):
        yield refused.at(part.path, 0)
    else:
        for record in read_part(options, part):
            refused = verdict(record.position) if isinstance(record, Document) else None
            if refused:
                record = refused.at(part.path, record.position, record.url)
            yield record


def _in_archive(
    options: StoriesOptions, part: Part, verdict: Verdict
) -> Iterator[Document | Reject]:
    guard = shared_guard("corpora.web.extract:extract_page")
    pages = cc_news_source.CcNewsOptions(
        input=options.input, language=options.language, min_characters=options.min_characters
    )
    try:
        with files.open_input(part.address) as stream:
            for item in read_archive(stream):
                refused = verdict(item.position) if isinstance(item, Record) else None
                if refused:
                    yield refused.at(part.path, item.position, item.url)
                elif isinstance(item, Record) and item.kind == "conversion":
                    yield _converted(part.path, item)
                else:
                    yield cc_news_source.outcome(pages, guard, part.path, item)
    except OSError as error:
        yield Reject(
            path=part.path,
            position=part.start,
            reason="unreadable",
            detail=f"{type(error).__name__}: {error}"[:500],
        )


def _converted(path: str, record: Record) -> Document | Reject:
    """The text of a page that somebody else extracted (WET)."""
    if not record.content_type.lower().startswith("text/plain"):
        return Reject(
            path=path,
            position=record.position,
            reason="not_text",
            detail=record.content_type[:100],
            url=record.url,
        )
    if record.cut == "limit":
        return Reject(
            path=path,
            position=record.position,
            reason="too_large",
            detail="the record holds more than 8 MB",
            url=record.url,
        )
    text = record.body.decode("utf-8", "replace")
    replaced = text.count("\ufffd")
    notes = ({"replaced": replaced} if replaced else {}) | (
        {"truncated": record.cut} if record.cut else {}
    )
    digest = hashlib.blake2b(record.body, digest_size=16).hexdigest()
    return Document(
        path=path,
        position=record.position,
        text=text,
        url=record.url,
        crawled=record.crawled,
        digest=digest,
        extra=notes,
    )


def _judged(options: StoriesOptions, document: Document) -> Document | Reject:
    """The document with clean text and its language; a reject where it has none of the one or is in
    another."""
    text, language = normalise(document.text), document.language
    if not text:
        return _reject(document, reason="empty")
    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        return _reject(document, reason="too_large", detail=f"over {MAX_DOCUMENT_BYTES} bytes")
    if language is None and options.language != ANY:
        language = certainly_not(text[:_SAMPLE], options.language) or detect_language(
            text, options.language
        )
        if language != options.language:
            return _reject(document, reason="language", detail=language)
    return replace(document, text=text, language=language)


def _reject(document: Document, *, reason: str, detail: str = "") -> Reject:
    return Reject(
        path=document.path,
        position=document.position,
        reason=reason,
        detail=detail,
        url=document.url,
    )


# --- the first reading
# --------------------------------------------------------------------------------------------


def look(options: StoriesOptions, piece: Slice) -> Iterator[Note]:
    """Score every document of a slice."""
    questions = read_questions(options)
    query = _query(
        questions, options.query == "joined", options.overlap == "set", options.token_pattern
    )
    search = query_of(questions) if options.exclude_questions else None
    for index, part in enumerate(piece.parts):
        for record in _records(options, part, lambda _: None):
            judged = _judged(options, record) if isinstance(record, Document) else record
            found = (
                _score(options, query, search, judged) if isinstance(judged, Document) else judged
            )
            if isinstance(found, int):
                yield Note(
                    path=part.path,
                    position=record.position,
                    values=(index, record.position, found, None, None),
                )
            else:
                values = (index, record.position, None, found.reason, found.detail[:100] or None)
                yield Note(
                    path=part.path, position=record.position, values=values, reason=found.reason
                )


@functools.lru_cache(maxsize=2)
def _query(
    questions: Questions, joined: bool, as_sets: bool, pattern: str
) -> stories_overlap.Query:
    """Made once in a process, not for every slice."""
    return stories_overlap.make_query(questions, joined=joined, as_sets=as_sets, pattern=pattern)


def _score(
    options: StoriesOptions,
    query: stories_overlap.Query,
    search: "Search | None",
    document: Document,
) -> int | Reject:
    """What a document scores, in units of 2**-62; a reject where it may not be chosen."""
    scored = stories_overlap.score(query, document.text)
    if scored.words < options.min_words:
        return _reject(document, reason="too_short", detail=f"{scored.words} words")
    if search and (scored.longest or search.shortest < stories_overlap.MOST):
        whole = search.whole(stories_overlap.tokens(document.text, options.token_pattern))
        if whole:
            return _reject(document, reason="holds_question", detail=f"question {whole[0]}")
    return scored.score


def conclude(
    options: StoriesOptions,
    addresses: Sequence[str],
    output: files.Output,
    tick: Callable[[int], None],
) -> dict[str, int]:
    """Write which documents are chosen (`corpora.stories.top_share`). Counts: `candidates`, `chosen`."""
    return write_best(options.top_fraction, addresses, output, tick)


# --- the second reading
# -------------------------------------------------------------------------------------------


def read(options: StoriesOptions, piece: Slice, findings: Findings) -> Iterator[Document | Reject]:
    """Every record of a slice: the chosen as documents, the others as rejects without their
    text."""
    assert findings.notes is not None
    search = query_of(read_questions(options))
    refused = _refused(findings.notes)
    chosen = read_best(findings.conclusion, {storable(part.path) for part in piece.parts})
    for index, part in enumerate(piece.parts):
        of_part, refused_here = chosen.get(storable(part.path), {}), refused.get(index, {})

        def verdict(
            position: int,
            of_part: dict[int, int] = of_part,
            refused_here: dict[int, Refusal] = refused_here,
        ) -> Refusal | None:
            return None if position in of_part else refused_here.get(position, _NOT_SELECTED)

        for record in _records(options, part, verdict):
            judged = _judged(options, record) if isinstance(record, Document) else record
            yield (
                _with_score(options, search, judged, of_part[record.position])
                if isinstance(judged, Document)
                else judged
            )


def _refused(notes: str) -> dict[int, dict[int, Refusal]]:
    """Why records of a slice may not be chosen, by part and position."""
    found: dict[int, dict[int, Refusal]] = {}
    with files.open_input(notes) as stream:
        for batch in pq.ParquetFile(stream).iter_batches(_ROWS):
            batch = batch.filter(pc.is_valid(batch.column("reason")))
            for part, position, _, reason, detail in zip(
                *(column.to_pylist() for column in batch.columns)
            ):
                found.setdefault(part, {})[position] = Refusal(reason, detail or "")
    return found


def _with_score(
    options: StoriesOptions, search: "Search", document: Document, score: int
) -> Document:
    words = stories_overlap.tokens(document.text, options.token_pattern)
    whole, shared = search.whole(words), search.shared(words)
    notes = {
        "score": round(score / stories_overlap.ONE, 9),
        **({"questions": whole} if whole else {}),
        **{f"{n}-grams": count for n, count in shared.items() if count},
    }
    marks = ["a whole question"] * bool(whole) + [
        f"{n} words of a question" for n, count in shared.items() if count
    ]
    return replace(
        document,
        extra=document.extra | notes,
        marks=(*marks, *(f"question {number}" for number in whole)),
    )
