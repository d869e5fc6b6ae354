"""The nouns of a corpus: document, reject, slice, source. Read this before writing a source of your
own.

A source says how its input is cut into slices (`slices`) and turns a slice into records (`read`).
Each record comes out once, as a `Document`, as a `Reject` with its reason, or as a `NotPage` with
its kind: nothing is dropped in silence. `read` yields in the order of the source, (path, position),
and what it yields must not depend on how the slices were cut.
"""

import datetime
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from corpora.quality.rules import Profile, RulesConfig
from corpora.text.language_codes import is_language_code
from shards.config import Setting, WrongValue, setting, table

if TYPE_CHECKING:  # Arrow takes too long to import for `--help`
    import pyarrow as pa

    from shards.storage.files import Output

MAX_DOCUMENT_BYTES = 50_000_000
"""A document with more bytes (inflated) is the reject `too_large`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text. `path` (the name of its file, `corpora.inputs.find`) and `position` (in that file)
    identify it; unknown is None.

    `text` may be raw: `ingest` normalises it. `digest` is that of the payload the text was made
    from, in hex. `language` is a code as langdetect has it (en, de, zh-cn), or another of ISO 639
    or BCP 47 for a language that langdetect does not know; `crawled` is in UTC. `extra` is anything
    that JSON can hold; the user's own id is in `extra["id"]`. `marks` are words that `corpus stats`
    counts and shows, as it does the reasons of rejects; they are stored nowhere else.
    `left_out` counts what the source left out of the text, by its name, such as `template: hidden`;
    `corpus stats` shows the most frequent names.
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
    left_out: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why bytes or a text become no document.

    `reason` is a word that is counted, such as `too_large`; `detail` tells a reader more; `text` is
    the beginning of the text, if there is one. Functions that judge content without knowing its
    place return it; `at` adds the place.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPage:
    """A record that holds no text by its kind, such as the request of a page in a web archive.

    It is neither a document nor a reject: it is counted by its `kind` and stored nowhere, so a
    source gives few kinds. `path` and `position` are its place, as those of a `Document`.
    """

    kind: str
    path: str
    position: int


Outcome = Document | Reject | NotPage
"""What becomes of a record."""


class Refused(Exception):
    """Carries a `Refusal` out of nested calls to the function that returns it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason, refusal.detail)
        self.refusal = refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The records of one file whose position is in [start, stop); `stop` None is the end.

    `address` opens the file and `path` identifies it. `size` is the bytes of the whole file;
    `share` the bytes of this range, when it is not the whole, by which files are grouped. `stored`
    is what the range takes in the file, where `share` counts what it inflates to.
    """

    address: str
    path: str
    size: int
    start: int = 0
    stop: int | None = None
    share: int | None = None
    stored: int | None = None

    @property
    def bytes(self) -> int:
        """Bytes of this range, as they are stored."""
        if self.stored is not None:
            return self.stored
        return self.size if self.share is None else self.share

    def ranges(self, about: int) -> list["Part"]:
        """The file cut into ranges of `about` bytes, for formats whose positions are offsets."""
        edges = [*range(0, self.size, about), self.size]
        return [
            replace(self, start=start, stop=stop, share=stop - start)
            for start, stop in zip(edges[:-1], edges[1:])
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Work of minutes for one worker: a range of the source's order, as parts of files in it."""

    parts: tuple[Part, ...]

    @property
    def key(self) -> tuple[str, int]:
        """The place of the slice in its source's order."""
        return self.parts[0].path, self.parts[0].start

    @property
    def name(self) -> str:
        """16 hex digits of its parts' paths and ranges: the same for the same cut, whatever other
        slices there are."""
        *_, last = slice_names(self.parts)
        return last

    @property
    def bytes(self) -> int:
        """Bytes of input."""
        return sum(part.bytes for part in self.parts)


def slice_names(parts: Iterable[Part]) -> Iterator[str]:
    """The names of the slices of the first part alone, of the first two, and so on."""
    digest = hashlib.blake2b(digest_size=8)
    between = ""
    for part in parts:
        line = f"{between}{part.path}\t{part.start}\t{part.stop}"
        # The name of a file may hold lone surrogates.
        digest.update(line.encode("utf-8", "surrogatepass"))
        yield digest.copy().hexdigest()
        between = "\n"


@dataclass(frozen=True, kw_only=True)
class SourceDedup:
    """How a source takes part in near-deduplication."""

    threshold: float | None = setting(None, affects="near")
    """A threshold of its own instead of dedup.threshold; for documents of two sources the higher of
    theirs counts."""
    scope: Literal["across", "within", "others", "default"] = setting("across", affects="near")
    """The documents that its own are compared with. across: those of all sources; within: only its
    own; others: all but its own; default, for openwebtext: others for its release, else across."""
    longer_stays_with: tuple[str, ...] = setting((), affects="near", later=True)
    """Names of other sources. Of a document of this source and one of theirs, one contained in the
    other, the longer is kept, whatever the priority of their sources."""
    passages: Literal["off", "measure", "remove"] = setting("off", affects="passages", later=True)
    """Paragraphs and lines that occur in several documents of the sources that have this set.
    measure: store where they are, how often they occur and where first; remove: also cut them from
    all documents but the first."""
    before_rules: bool = setting(False, affects="near")
    """Compare its documents before the rules of quality remove any. A document may then be removed
    as the near-duplicate of one that a rule removes."""

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0.1 <= self.threshold <= 1.0:
            raise ValueError(f"threshold: {self.threshold} is not in [0.1, 1]")


REMOVED_TEXTS = ("trimmed_text", "boilerplate_text")
"""Keys of `extra` with which a source keeps what it removed from inside a text, or its ends."""

SHARE_FIELDS = ("url", "host", "title", "language", "date", "path")
"""Fields of a document that may decide its share, beside those of `extra`."""

MOST_REPEATS = 100
"""Times that a document may be in the training shards."""


@dataclass(frozen=True, kw_only=True)
class PiiConfig:
    """Personal data in the texts of a source: mail addresses, phone numbers, addresses of
    computers, and numbers of cards and accounts with right check digits."""

    count: bool = setting(False, affects="ingest", later=True)
    """Count it: in extra.pii of each document, and in corpus stats and the report."""
    mask: bool = setting(False, affects="ingest", later=True)
    """Write [mail], [phone], [ip], [card] or [account] in its place, before the text is stored
    anywhere, and count it; also in titles and in the texts of rejects."""
    kinds: tuple[str, ...] = setting(
        ("mail", "phone", "ip", "card", "account"), affects="ingest", later=True
    )
    """The kinds that are looked for."""

    def __post_init__(self) -> None:
        known = ("mail", "phone", "ip", "card", "account")
        for kind in self.kinds:
            if kind not in known:
                raise ValueError(f"kinds: {kind!r} is not one of {', '.join(known)}")


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """The keys of every `[sources.NAME]` table. Each kind adds keys of its own."""

    kind: str = field(metadata={"setting": Setting("ingest")})
    """files, cc_news, wikipedia, books, openwebtext, stories, or the `module:function` of your own
    source."""
    input: tuple[str, ...] = field(metadata={"setting": Setting("ingest", place=True)})
    """Files, folders or globs, relative to the recipe; `**` crosses folders. `https://...` is one
    file, `@LIST` the files that a list names."""
    language: str = setting("any", affects="ingest")
    """A code such as en, de or zh-cn, or any. Documents in another language are rejected; a dump of
    Wikipedia, the release of OpenWebText and your own kind of source are taken to be in this
    language as a whole. It also chooses the rules by which sentences are split."""
    label: str | None = setting(None, affects="ingest")
    """Label all documents with this language, in place of the one that is found or asked for: any
    code of ISO 639 or BCP 47, also one that cannot be detected (ltg, en-GB). Removes nothing."""
    slice_bytes: int = setting(64_000_000, affects="nothing")
    """About how many bytes of input one slice of work has. Changes no result."""
    emit: bool = setting(True, affects="tokenizer", later=True)
    """Whether its documents go into the vocabulary, the shards and exports. false: they are only
    compared with, such as those of an evaluation set or of an earlier release. Such sources come
    first in dedup.priority unless it names them."""
    dedup: SourceDedup = table(SourceDedup, affects="near")
    """How the source takes part in near-deduplication."""
    max_per_host: int = setting(0, affects="hosts", later=True)
    """Keep at most this many documents of a host, chosen by the hash of their ids, of those that
    the rules and the removal of duplicates leave. 0 keeps all."""
    keep: float = setting(1.0, affects="tokenizer", later=True)
    """Keep this share of its documents, chosen by the hash of their ids, of those that are left in
    the end: 0.2 keeps a fifth."""
    keep_by: str | None = setting(None, affects="tokenizer", later=True)
    """A field of the documents (url, host, title, language, date, path, or extra.NAME), so that
    `keep_shares` can give its values shares of their own."""
    keep_shares: dict[str, float] = field(
        default_factory=dict, metadata={"setting": Setting("tokenizer", later=True)}
    )
    """Shares by the value of the field `keep_by`, such as { en = 0.1, lv = 1 }. Documents with
    other values have the share `keep`."""
    repeat: float = setting(1.0, affects="tokenize", later=True)
    """Put its documents into the training shards this often, from 1 to 100: 2 puts each in twice,
    1.5 once and half of them, chosen by the hash of their ids, a second time. Validation documents,
    exports and the text of the vocabulary have each document once."""
    repeat_by: str | None = setting(None, affects="tokenize", later=True)
    """A field of the documents, as in keep_by, so that `repeats` can give its values numbers of
    their own."""
    repeats: dict[str, float] = field(
        default_factory=dict, metadata={"setting": Setting("tokenize", later=True)}
    )
    """How often by the value of the field `repeat_by`, such as { lv = 4 }. Documents with other
    values are put in `repeat` times."""
    pii: PiiConfig = field(
        default_factory=PiiConfig, metadata={"setting": Setting("ingest", later=True)}
    )
    """What becomes of personal data in its texts."""
    ftfy: bool = setting(False, affects="ingest")
    """Repair text that was decoded wrongly before it reached you (\u00e2\u20ac\u2122), with the
    package ftfy, before the text is normalised."""
    rules: RulesConfig = table(RulesConfig, affects="rules")
    """The rules of quality that remove documents."""
    default_profile: ClassVar[Profile] = "none"
    detects: ClassVar[bool] = False
    """Whether the source rejects documents in another language than `language`."""

    @property
    def told(self) -> str:
        """The language that the recipe names for the documents, or `any`."""
        return self.label or self.language

    def language_of(self, found: str | None) -> str | None:
        """The language of a document for which the source found this one."""
        if self.label is None and (found is not None or self.language == "any"):
            return found
        return self.told

    def detectable(self) -> tuple[str, ...] | None:
        """The languages that the source can keep apart from others; None when it rejects no
        document for its language, so that `language` may be any code."""
        if not self.detects:
            return None
        # Imported here, since its libraries in C take too long for `--help`.
        from corpora.text.language import known_languages

        return known_languages()

    @property
    def scope(self) -> Literal["across", "within", "others"]:
        """What `dedup.scope` means for this source."""
        return "across" if self.dedup.scope == "default" else self.dedup.scope

    def __post_init__(self) -> None:
        if not all(self.input) or not self.input:
            raise ValueError("input: at least one file or glob")
        if self.language != "any":
            self._check_language()
        if self.label is not None and not is_language_code(self.label):
            raise WrongValue(
                f"label: {self.label!r} is not the code of a language",
                'write a code of ISO 639, such as "ltg", or of BCP 47, such as "en-GB"',
            )
        self._check_shares()
        if self.max_per_host < 0:
            raise ValueError(f"max_per_host: {self.max_per_host} is less than 0")
        if self.slice_bytes < 1:
            raise ValueError(f"slice_bytes: {self.slice_bytes} is less than 1")

    @property
    def takes_all(self) -> bool:
        """Whether all documents that are left in the end are taken into the corpus."""
        return self.emit and self.keep == 1.0 and not self.keep_shares

    @property
    def repeats_any(self) -> bool:
        """Whether documents may be in the training shards more than once."""
        return self.repeat > 1.0 or any(times > 1.0 for times in self.repeats.values())

    def _check_shares(self) -> None:
        """Raise `ValueError` for shares that keep nothing, or that name no field."""
        if not (0.0 < self.keep <= 1.0 or (self.keep == 0.0 and self.keep_shares)):
            raise ValueError(f"keep: {self.keep} is not above 0 and at most 1")
        for value, share in self.keep_shares.items():
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"keep_shares: {value}: {share} is not in [0, 1]")

        _check_field("keep_by", self.keep_by, "keep_shares", self.keep_shares)

        if not 1.0 <= self.repeat <= MOST_REPEATS:
            raise ValueError(f"repeat: {self.repeat} is not in [1, {MOST_REPEATS}]")
        for value, times in self.repeats.items():
            if not 1.0 <= times <= MOST_REPEATS:
                raise ValueError(f"repeats: {value}: {times} is not in [1, {MOST_REPEATS}]")
        _check_field("repeat_by", self.repeat_by, "repeats", self.repeats)

    def _check_language(self) -> None:
        """Raise `WrongValue` for a language that the source cannot keep apart from others."""
        known = self.detectable()
        if known is None and not is_language_code(self.language):
            raise WrongValue(
                f"language: {self.language!r} is not the code of a language",
                'write a code of ISO 639, such as "lv", or "any"',
            )
        if known is None or self.language in known:
            return

        name = self.language if is_language_code(self.language) else "ltg"
        raise WrongValue(
            f"language: {self.language!r} is not known: it cannot be told from other languages",
            f'"any" keeps all languages, and label = "{name}" names yours in documents, cards '
            f"and reports; known: any, {', '.join(known)}",
        )


def _check_field(key: str, name: str | None, table: str, by_value: dict[str, float]) -> None:
    """Raise `ValueError` where a key names no field of documents, or stands without its table."""
    if (name is None) != (not by_value):
        raise ValueError(f"{key}: it names the field of {table}; set both, or neither")
    if name not in (None, *SHARE_FIELDS) and not re.fullmatch(r"extra\..+", str(name)):
        known = ", ".join(SHARE_FIELDS)
        raise ValueError(f"{key}: {name!r} is not one of {known}, or extra.NAME")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a survey keeps of one record.

    `values` is a row of its schema, None when nothing need be kept. `reason` is set for a record
    that is refused, and counted as that of a reject; `not_page` is the kind of a `NotPage`.
    """

    path: str
    position: int
    values: tuple[object, ...] | None = None
    reason: str = ""
    not_page: str = ""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What `read` gets from a survey, as addresses of files.

    `conclusion` is what `Survey.conclude` wrote. `notes` is a Parquet file with the notes of this
    slice, row by row; None when the survey has slices of its own.
    """

    conclusion: str
    notes: str | None = None


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A first reading of a source, before `ingest`, for what no slice can know alone: which records
    are the best of all, or which are linked to.

    `look(options, slice)` yields a `Note` for each record, in the order of the source, as `read`
    does. The rows of a slice are stored in one Parquet file with `schema`: fields of fixed width,
    together at most 24 bytes (law 1), and strings beside them. Its metadata `corpusmill.paths`
    holds the paths of the slice's parts, as JSON.

    `conclude(options, addresses, output, tick)` makes one file of them all, in the format `form`
    and in bounded memory. `addresses` are in the order of the source; call `tick(n)` now and then
    with a growing number, since a task that is silent for ten minutes is ended. What it writes must
    not depend on how slices were cut. It returns counts to be shown.

    `slices` cuts another input than the source's own; `conclude_fields` names options that `look`
    does not depend on; `asked(options)` tells whether the source is read twice at all.
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
    """A corpus: its options, how its input is cut, and how a slice is read.

    Without a `survey`, `read(options, slice)` is called; with one, `read(options, slice, findings)`
    with its `Findings`. Raise `version` when the same input gives other records. `packages` names
    the distributions whose versions decide the records.
    """

    options: type[SourceOptions]
    slices: Callable[[Any], Iterable[Slice]]
    read: Callable[..., Iterator[Outcome]]
    version: int = 1
    packages: tuple[str, ...] = ()
    survey: Survey | None = None


def document_id(source: str, path: str, position: int) -> str:
    """32 hex digits: blake2b-16 of the source's name, the path and the position."""
    # Stored documents, rejects and shards name documents by this id: it can never change.
    text = f"{source}\n{path}\n{position}"
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
