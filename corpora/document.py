"""The nouns: document, reject, slice, source. A corpus is a `Source`; read this before writing your
own.

A source says how its input is cut into slices (`slices`) and turns a slice into records (`read`).
Each record comes out once, as a `Document` or as a `Reject` with its reason: nothing is dropped in
silence. `read` yields in the order of the source, (path, position), and what it yields must not
depend on how the slices were cut.
"""

import datetime
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from corpora.quality.rules import Profile, RulesConfig

if TYPE_CHECKING:  # Arrow: not for the sake of `--help`
    import pyarrow as pa

    from shards.storage.files import Output

MAX_DOCUMENT_BYTES = 50_000_000
"""A document of more bytes (inflated) is the reject `too_large`."""

LOCATION_FIELDS = frozenset({"input", "slice_bytes", "accelerated"})
"""Options that cannot change a byte of the output: left out of the recipe's digest."""

LATER_FIELDS = frozenset({"dedup", "rules"})
"""Options that concern what comes after the documents: `ingest` does not depend on them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text. `path` (below the glob's fixed part) and `position` (in that file) identify it;
    unknown is None.

    `text` may be raw: `ingest` normalises it. `digest`: of the payload it was made from, in hex.
    `language`: a langdetect code. `crawled`: UTC. `extra`: anything JSON can hold; the user's own
    id goes to `extra["id"]`. `marks`: words that are counted and shown by `corpus stats`, as the
    reasons of rejects are; stored nowhere else.
    """

    path: str
    position: int
    text: str
    url: str | None = None
    title: str | None = None
    date: datetime.date | None = None
    language: str | None = None
    crawled: datetime.datetime | None = None
    digest: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why bytes or a text become no document.

    `reason` is a word that is counted, such as `too_large`; `detail` tells a reader more; `text` is
    the beginning of the text, where there is one. Functions that judge content without knowing where
    it comes from return it; `at` adds the place.
    """

    reason: str
    detail: str = ""
    text: str = ""

    def at(self, path: str, position: int, url: str | None = None) -> "Reject":
        """The reject of the record at this place."""
        return Reject(
            reason=self.reason,
            detail=self.detail,
            text=self.text,
            path=path,
            position=position,
            url=url,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reject(Refusal):
    """A record that became no document: a refusal and its place.

    `path` and `position` identify the record as they do a `Document`; unknown `url` is None.
    """

    path: str
    position: int
    url: str | None = None


class Refused(Exception):
    """Carries a `Refusal` out of nested calls to the function that returns it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason, refusal.detail)
        self.refusal = refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The records of one file whose position is in [start, stop); `stop` None is the end.

    `size`: bytes of the whole file; `share`: bytes of this range, where it is not the whole.
    """

    address: str
    path: str
    size: int
    start: int = 0
    stop: int | None = None
    share: int | None = None

    def ranges(self, about: int) -> list["Part"]:
        """The file cut into ranges of `about` bytes, for formats whose positions are offsets."""
        edges = [*range(0, self.size, about), self.size]
        return [
            replace(self, start=start, stop=stop, share=stop - start)
            for start, stop in zip(edges[:-1], edges[1:])
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Work for one worker for minutes: a range of the source's order, as parts of files in that
    order."""

    parts: tuple[Part, ...]

    @property
    def key(self) -> tuple[str, int]:
        """Where the slice stands in its source's order."""
        return self.parts[0].path, self.parts[0].start

    @property
    def name(self) -> str:
        """16 hex digits of its parts' paths and ranges: the same for the same cut, whatever other
        slices there are."""
        text = "\n".join(f"{part.path}\t{part.start}\t{part.stop}" for part in self.parts)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    @property
    def bytes(self) -> int:
        """Bytes of input, as far as they are known."""
        return sum(part.size if part.share is None else part.share for part in self.parts)


@dataclass(frozen=True, kw_only=True)
class SourceDedup:
    """How a source takes part in near-deduplication."""

    threshold: float | None = None
    """Its own in place of dedup.threshold; a pair of two sources counts at the higher of theirs."""
    scope: Literal["across", "within", "others", "default"] = "across"
    """across: compared with all sources; within: only with itself; others: with all but itself;
    default, of openwebtext: others for its release, else across."""
    before_rules: bool = False
    """Its documents are compared before the rules remove any, so that one may go for a twin that a
    rule then removes."""

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0.1 <= self.threshold <= 1.0:
            raise ValueError(f"threshold: {self.threshold} is not in [0.1, 1]")


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """The keys of every `[sources.NAME]` table; a source's own options are a subclass."""

    kind: str
    """files, cc_news, wikipedia, books, openwebtext, stories, or the `module:function` of your own
    source."""
    input: tuple[str, ...]
    """Files, folders or globs; `**` crosses folders. `https://...` is one file, `@LIST` the files
    that a list names. Relative to the recipe."""
    language: str = "any"
    """A langdetect code (en, de, zh-cn), or any. Of web pages, books and stories only those in it
    are kept; other texts are split into sentences by its rules."""
    slice_bytes: int = 64_000_000
    """About how many bytes of input one slice of work holds; changes no result."""
    dedup: SourceDedup = field(default_factory=SourceDedup)
    """How it takes part in near-deduplication."""
    ftfy: bool = False
    """Mend text that was decoded wrongly somewhere on its way (\u00e2\u20ac\u2122), with the
    package ftfy, before it is normalised."""
    rules: RulesConfig = field(default_factory=RulesConfig)
    """Which documents go for their quality."""
    default_profile: ClassVar[Profile] = "none"
    place_fields: ClassVar[tuple[str, ...]] = ()
    """Further options that name files or folders, as a string or a tuple: relative to the recipe,
    and out of its digest as `input` is."""
    content_fields: ClassVar[tuple[str, ...]] = ()
    """Those of `place_fields` whose files are read whole beside the input: what they hold decides,
    so a change of it redoes the source."""

    @property
    def scope(self) -> Literal["across", "within", "others"]:
        """What `dedup.scope` comes to."""
        return "across" if self.dedup.scope == "default" else self.dedup.scope

    def __post_init__(self) -> None:
        if not all(self.input) or not self.input:
            raise ValueError("input: at least one file or glob")
        if self.language != "any":
            from corpora.text.language import (
                known_languages,  # a library in C: not for the sake of `--help`
            )

            if self.language not in known_languages():
                raise ValueError(
                    f"language: {self.language!r} is not known; known: any, {', '.join(known_languages())}"
                )
        if self.slice_bytes < 1:
            raise ValueError(f"slice_bytes: {self.slice_bytes} is less than 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a survey says of one record: `values`, a row of its schema, or None where nothing need
    be kept; and of a record that is turned down the `reason`, counted as that of a reject."""

    path: str
    position: int
    values: tuple[Any, ...] | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What `read` gets of a survey, as addresses of files. `conclusion`: what `Survey.conclude`
    wrote. `notes`: in Parquet, what was noted of this very slice, row by row; None where the survey
    has slices of its own."""

    conclusion: str
    notes: str | None = None


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A first reading of a source, before `ingest`, for what no slice can know alone: the best of
    all, or which of all are linked to.

    `look(options, slice)` yields a `Note` for each record, in the order of the source, as `read`
    does. The rows of a slice are kept in one Parquet file of `schema`: fields of fixed width,
    together at most 24 bytes (law 1), and beside them strings. Its metadata `corpusmill.paths`
    holds, as JSON, the paths of the slice's parts. `conclude(options, addresses, output, tick)`
    makes one file of all of them, of the format `form`, in bounded memory: `addresses` in the order
    of the source; `tick(n)` is to be called now and then with a number that grows, since a task
    that says nothing for ten minutes is ended. What it writes must not depend on how slices were
    cut. It returns counts to be shown. `slices`: those of the source, or of another input;
    `conclude_fields`: options that `look` does not depend on; `asked(options)`: whether the source
    is read twice at all.
    """

    look: Callable[[Any, Slice], Iterator[Note]]
    conclude: Callable[[Any, Sequence[str], "Output", Callable[[int], None]], dict[str, int]]
    schema: "pa.Schema"
    slices: Callable[[Any], Iterable[Slice]] | None = None
    conclude_fields: frozenset[str] = frozenset()
    form: Literal["parquet", "arrow"] = "parquet"
    asked: Callable[[Any], bool] = lambda options: True


@dataclass(frozen=True, kw_only=True)
class Source:
    """A corpus: its options, how its input is cut, how a slice is read.

    `read(options, slice)`; with a `survey` it is `read(options, slice, findings)`, with its
    `Findings`. `version` goes up when the same input gives other records; `packages` names the
    distributions that decide them.
    """

    options: type[SourceOptions]
    slices: Callable[[Any], Iterable[Slice]]
    read: Callable[..., Iterator[Document | Reject]]
    version: int = 1
    packages: tuple[str, ...] = ()
    survey: Survey | None = None


def document_id(source: str, path: str, position: int) -> str:
    """32 hex digits: blake2b-16 of the source's name, the path and the position."""
    text = f"{source}\n{path}\n{position}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
