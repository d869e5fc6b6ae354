"""The source `stories`: the documents with the highest overlap with questions of common sense
(Trinh & Le 2018).

`input` is web archives (`.warc`, `.arc`), their extracted text (`.wet`), or any file that the
source `files` reads; the name's ending decides. The input is read twice:

    survey   every document is scored; its place and its score are kept (20 bytes), no text
    conclude ceil(top_fraction * N) of the N documents that are in the language and long enough are
             chosen, by exact score; documents with the score at the cut, by path and position
    ingest   the chosen documents are extracted again, and no others

So a snapshot of the web is never stored, and only the chosen pages are extracted twice.

Every record becomes a chosen document or a reject: for its own fault (`language`, `too_short`,
`http_4xx`, ...) or as `not_selected`, without its text. `extra` of a document holds its `score` and
what it reveals of the questions: `questions`, the numbers of those that it contains word by word,
and the counts `8-grams` and `13-grams` that it shares with any. `marks` counts the same: a model
cannot be measured with a test whose questions chose its training data, unless that is reported.
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

from corpora.document import (
    MAX_DOCUMENT_BYTES,
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
    Survey,
)
from corpora.files.source import FilesOptions, cut, read_part
from corpora.inputs.find import find, group, kind_of
from corpora.stories import overlap
from corpora.stories.questions import Questions, Search, search_of
from corpora.stories.top_share import read_best, storable, write_best
from corpora.text.language import ANY, certainly_not, detect_language, known_languages
from corpora.text.language_codes import same_language
from corpora.text.normalise import normalise
from corpora.web.page import PAGE_PACKAGES, PageSettings
from corpora.web.records import page_outcome, read_records
from corpora.web.warc import Record
from shards.config import setting
from shards.errors import UserError, unreadable
from shards.storage import files

ARCHIVES = (".warc", ".arc", ".wet")

EXTRACTED = "conversion"
"""The type of the records of a WET archive: the texts of pages that somebody else extracted."""

_LISTING = ".paths.gz"
"""The ending of a bucket's own listings."""

_ROWS = 100_000
"""Rows of a batch of notes."""

_SAMPLE = 2_000
"""Characters by which a text is told to be in another language."""

_NOT_SELECTED = Refusal("not_selected")

NOTES = pa.schema(
    [
        ("part", pa.int32()),
        ("position", pa.int64()),
        ("score", pa.int64()),
        ("reason", pa.string()),
        ("detail", pa.string()),
    ]
)
"""`part` is the index of the slice's part; `score`, in units of 2**-62, is set for a document that
may be chosen, `reason` and `detail` for a record that may not."""


@dataclass(frozen=True, kw_only=True)
class StoriesOptions(FilesOptions):
    """The documents nearest to questions of common sense."""

    kind: str = setting("stories", affects="ingest")
    """stories."""
    questions: tuple[str, ...] = setting((), affects="ingest", place=True, content=True)
    """Your files with one question per line; the package contains none. The paper's Stories were
    made with those of WSC-273 and PDP-60."""
    top_fraction: float = setting(0.001, affects="ingest")
    """The share of the documents that is chosen: ceil(top_fraction * N) of N, at least one."""
    min_words: int = setting(50, affects="ingest")
    """Reject documents with fewer words, as `too_short`; they are not among the N."""
    overlap: Literal["multiset", "set"] = setting("multiset", affects="ingest")
    """multiset: an n-gram counts as often as both text and question contain it; set: once."""
    query: Literal["joined", "max"] = setting("joined", affects="ingest")
    """joined: the score with all questions as one long question; max: the highest score with one
    question."""
    token_pattern: str = setting("[a-z0-9']+", affects="ingest")
    """A regular expression that matches a word of the lower-cased text. Any other than the default
    makes scoring ten times slower."""
    dedup_questions: bool = setting(False, affects="ingest")
    """Use only the first of several questions with the same words in the same order."""
    exclude_questions: bool = setting(False, affects="ingest")
    """Reject documents that contain a whole question word by word, as `holds_question`; they are
    not among the N."""

    def detectable(self) -> tuple[str, ...] | None:
        """Those of langdetect. Any code where a field tells the language."""
        return None if self.language_field else known_languages()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.top_fraction <= 1.0:
            raise ValueError(f"top_fraction: {self.top_fraction} is not in (0, 1]")
        if self.min_words < 1:
            raise ValueError(f"min_words: {self.min_words} is less than 1")

        try:
            matches_nothing = re.compile(self.token_pattern).match("")
        except re.error as error:
            raise ValueError(f"token_pattern: {self.token_pattern!r}: {error}") from None
        if matches_nothing:
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
        version=overlap.VERSION + 4,  # its own changes, and those of the scores
        packages=("tld", "warcio", *PAGE_PACKAGES),
        survey=survey,
    )


def slices(options: StoriesOptions) -> Iterator[Slice]:
    """Files ordered by path, grouped; large ones are cut if their format allows it. Raises
    `UserError` when there are no questions."""
    read_questions(options)  # fails before the first slice is read

    parts: list[Part] = []
    for part in find(options.input):
        if not part.path.endswith(_LISTING):
            parts += cut(options, part)
    return group(parts, options.slice_bytes)


def read_questions(options: StoriesOptions) -> Questions:
    """The words of each question, in the order of the files and their lines, without empty lines.
    Raises `UserError`."""
    hint = (
        'questions = "questions.txt", one question per line; docs/corpora.md says where the usual '
        "ones come from"
    )
    if not options.questions:
        raise UserError("stories: no questions named", hint)

    questions: list[tuple[str, ...]] = []
    for address in options.questions:
        for line in _read_text(address, hint).split("\n"):
            words = overlap.tokens(line, options.token_pattern)
            if words:
                questions.append(tuple(words))
    if not questions:
        raise UserError(f"{', '.join(options.questions)}: not one question in it", hint)

    if options.dedup_questions:
        return tuple(dict.fromkeys(questions))
    return tuple(questions)


def _read_text(address: str, hint: str) -> str:
    try:
        return files.read_bytes(address).decode("utf-8-sig")
    except OSError as error:
        raise unreadable(f"{address}: cannot read the questions", error, hint) from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{address}: not UTF-8: {error.reason} at byte {error.start}",
            "save the questions as UTF-8",
        ) from None


# --- the records, in both readings


Verdict = Callable[[int], Refusal | None]
"""Why the record at a position is not wanted; None when it is."""


def _all_wanted(position: int) -> None:
    """The verdict of the survey."""


def _records(options: StoriesOptions, part: Part, verdict: Verdict) -> Iterator[Outcome]:
    """The records of one file; unwanted web pages are not extracted."""
    form = kind_of(part.path)[0]
    if form in ARCHIVES:
        yield from _archive_records(options, part, verdict)
        return

    refusal = verdict(0) if form in (".html", ".htm") else None
    if refusal is not None:
        yield refusal.at(part.path, 0)
        return

    for record in read_part(options, part):
        refusal = verdict(record.position) if isinstance(record, Document) else None
        if refusal is not None:
            yield refusal.at(part.path, record.position, record.url)
        else:
            yield record


def _archive_records(options: StoriesOptions, part: Part, verdict: Verdict) -> Iterator[Outcome]:
    settings = PageSettings(
        language=options.language, min_characters=options.min_characters, ftfy=options.ftfy
    )
    for record in read_records(part, wanted=EXTRACTED):
        if not isinstance(record, Record):
            yield record
            continue
        # Before the extraction, which is nearly all of the cost.
        refusal = verdict(record.position)
        if refusal is not None:
            yield refusal.at(part.path, record.position, record.url)
        elif record.kind == EXTRACTED:
            yield _extracted_outcome(part.path, record)
        else:
            yield page_outcome(part.path, record, settings)


def _extracted_outcome(path: str, record: Record) -> Document | Reject:
    """The document of a WET record: the text of a page that somebody else extracted."""
    refusal = None
    if not record.content_type.lower().startswith("text/plain"):
        refusal = Refusal("not_text", record.content_type[:100])
    elif record.cut == "limit":
        refusal = Refusal("too_large", "the record holds more than 8 MB")
    if refusal is not None:
        return refusal.at(path, record.position, record.url)

    text = record.body.decode("utf-8", "replace")
    extra: dict[str, object] = {}
    replaced = text.count("\ufffd")
    if replaced:
        extra["replaced"] = replaced
    if record.cut:
        extra["truncated"] = record.cut
    return Document(
        path=path,
        position=record.position,
        text=text,
        url=record.url,
        crawled=record.crawled,
        digest=hashlib.blake2b(record.body, digest_size=16).hexdigest(),
        extra=extra,
    )


def _judged(options: StoriesOptions, record: Outcome) -> Outcome:
    """A document with clean text and its language; a reject when it has no text or is in another
    language."""
    if not isinstance(record, Document):
        return record

    text = normalise(record.text)
    refusal = _refuse_text(text)
    if refusal is not None:
        return refusal.at(record.path, record.position, record.url)

    language = record.language
    if options.language != ANY:
        # The cheap test first: most texts of a crawl are in another language.
        language = language or certainly_not(text[:_SAMPLE], options.language)
        if language is None:
            language = detect_language(text, options.language)
        if not same_language(language, options.language):
            return Refusal("language", language).at(record.path, record.position, record.url)
    return replace(record, text=text, language=language)


def _refuse_text(text: str) -> Refusal | None:
    if not text:
        return Refusal("empty")
    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        return Refusal("too_large", f"over {MAX_DOCUMENT_BYTES} bytes")
    return None


# --- the survey


def look(options: StoriesOptions, piece: Slice) -> Iterator[Note]:
    """The score of every document of a slice, or why it may not be chosen."""
    questions = read_questions(options)
    query = _query(
        questions, options.query == "joined", options.overlap == "set", options.token_pattern
    )
    search = search_of(questions) if options.exclude_questions else None

    for index, part in enumerate(piece.parts):
        for record in _records(options, part, _all_wanted):
            judged = _judged(options, record)
            if isinstance(judged, NotPage):
                yield Note(path=part.path, position=record.position, not_page=judged.kind)
                continue

            if isinstance(judged, Reject):
                outcome: int | Refusal = judged
            else:
                outcome = _score(options, query, search, judged.text)

            place = (index, record.position)
            if isinstance(outcome, int):
                yield Note(
                    path=part.path, position=record.position, values=(*place, outcome, None, None)
                )
            else:
                detail = outcome.detail[:100] or None
                yield Note(
                    path=part.path,
                    position=record.position,
                    values=(*place, None, outcome.reason, detail),
                    reason=outcome.reason,
                )


@functools.lru_cache(maxsize=2)
def _query(questions: Questions, joined: bool, as_sets: bool, pattern: str) -> overlap.Query:
    """Made once per process, not for every slice."""
    return overlap.make_query(questions, joined=joined, as_sets=as_sets, pattern=pattern)


def _score(
    options: StoriesOptions, query: overlap.Query, search: Search | None, text: str
) -> int | Refusal:
    """The score of a text in units of 2**-62, or why it may not be chosen."""
    scored = overlap.score(query, text)
    if scored.words < options.min_words:
        return Refusal("too_short", f"{scored.words} words")

    # A text that shares no n-gram of MOST words contains no question of that many words.
    if search is not None and (scored.longest or search.shortest < overlap.MOST):
        numbers = search.whole(overlap.tokens(text, options.token_pattern))
        if numbers:
            return Refusal("holds_question", f"question {numbers[0]}")
    return scored.score


def conclude(
    options: StoriesOptions,
    addresses: Sequence[str],
    output: files.Output,
    tick: Callable[[int], None],
) -> dict[str, int]:
    """Write which documents are chosen (`corpora.stories.top_share`). Returns the counts
    `candidates` and `chosen`."""
    return write_best(options.top_fraction, addresses, output, tick)


# --- ingest


def read(options: StoriesOptions, piece: Slice, findings: Findings) -> Iterator[Outcome]:
    """Every record of a slice: the chosen as documents, the others as rejects without text."""
    assert findings.notes is not None
    search = search_of(read_questions(options))
    refusals = _read_refusals(findings.notes)
    paths = {storable(part.path) for part in piece.parts}
    chosen = read_best(findings.conclusion, paths)

    for index, part in enumerate(piece.parts):
        scores = chosen.get(storable(part.path), {})
        verdict = functools.partial(_verdict, scores, refusals.get(index, {}))
        for record in _records(options, part, verdict):
            judged = _judged(options, record)
            if isinstance(judged, Document):
                yield _with_score(options, search, judged, scores[record.position])
            else:
                yield judged


def _verdict(scores: dict[int, int], refusals: dict[int, Refusal], position: int) -> Refusal | None:
    """Why the survey did not choose the record at a position of a part."""
    if position in scores:
        return None
    return refusals.get(position, _NOT_SELECTED)


def _read_refusals(notes: str) -> dict[int, dict[int, Refusal]]:
    """Why records of a slice may not be chosen, by part and position."""
    refusals: dict[int, dict[int, Refusal]] = {}
    with files.open_input(notes) as stream:
        for batch in pq.ParquetFile(stream).iter_batches(_ROWS):
            batch = batch.filter(pc.is_valid(batch.column("reason")))
            columns = [column.to_pylist() for column in batch.columns]
            for part, position, _, reason, detail in zip(*columns):
                refusals.setdefault(part, {})[position] = Refusal(reason, detail or "")
    return refusals


def _with_score(
    options: StoriesOptions, search: Search, document: Document, score: int
) -> Document:
    """The document with its score and with what it reveals of the questions."""
    words = overlap.tokens(document.text, options.token_pattern)
    numbers = search.whole(words)
    shared = {n: count for n, count in search.shared(words).items() if count}

    extra = document.extra | {"score": round(score / overlap.ONE, 9)}
    if numbers:
        extra["questions"] = numbers
    for n, count in shared.items():
        extra[f"{n}-grams"] = count

    marks = list(document.marks)
    if numbers:
        marks.append("a whole question")
    marks += [f"{n} words of a question" for n in shared]
    marks += [f"question {number}" for number in numbers]
    return replace(document, extra=extra, marks=tuple(marks))
