"""The figures of a report, gathered from a home by streaming columns: counts from all of it,
distributions from all of it or, where that is much, from slices chosen by keyed chance (`looked_at`
says how many).

Memory is one row group and the counters.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipelines.chance import chance
from pipelines.home.decisions import decided, fates, removing_stages
from pipelines.home.documents import document_tables
from pipelines.home.layout import TOKENIZE, Home, open_home
from pipelines.home.summaries import Summary, ordered_slices
from pipelines.look.report import examples
from pipelines.look.stats import Overlap, stats
from pipelines.look.status import status
from pipelines.progress.board import read_figures
from pipelines.recipe import Recipe
from shards.config import to_dict
from shards.errors import UserError
from shards.format import MANIFEST
from shards.manifest import Manifest, read_manifest
from shards.storage import files

SCHEMA_VERSION = 1

LOOK_BYTES = 4_000_000_000

LOOK_DOCUMENTS = 3_000_000
"""Distributions are of slices with about this much text, chosen by the hash of their names."""

MAX_KEYS = 50_000
"""Hosts, languages and months that are counted at a time: past it the rarest are dropped."""

MAX_SHARDS = 200

HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?P<host>[^/?#:@]+)"

LENGTHS = [0] + [step * 10**power for power in range(1, 8) for step in (1, 2, 5)]
"""Lower edges of the bins of lengths, in characters."""

SCORES = [round(number / 50, 2) for number in range(51)]
"""Lower edges of the bins of similarity; the last is of 1.0 alone."""

_SPACE = np.isin(np.arange(256), list(b" \t\n\r\v\f"))


@dataclass
class Split:
    """How often each value occurs among kept and among removed documents."""

    kept: Counter[Any] = field(default_factory=Counter)
    removed: Counter[Any] = field(default_factory=Counter)

    def add(self, values: Any, gone: NDArray[np.bool_]) -> None:
        """Count the values of an Arrow column, a row a document."""
        for counter, rows in ((self.kept, ~gone), (self.removed, gone)):
            for pair in pc.value_counts(values.filter(pa.array(rows))).to_pylist():
                counter[pair["values"]] += pair["counts"]
            if len(counter) > 2 * MAX_KEYS:
                for value, _ in counter.most_common()[MAX_KEYS:]:
                    del counter[value]

    def rows(self, name: str, most: int) -> list[dict[str, Any]]:
        """`[{name, kept, removed}]` of the most frequent values and of None; the rest together as
        `other`."""
        values = sorted(
            (self.kept | self.removed).keys() - {None},
            key=lambda value: (-self.kept[value] - self.removed[value], value),
        )
        found = [
            {name: value, "kept": self.kept[value], "removed": self.removed[value]}
            for value in values[:most]
        ]
        rest = values[most:]
        if rest:
            found.append(
                {
                    name: "other",
                    "values": len(rest),
                    "kept": sum(self.kept[value] for value in rest),
                    "removed": sum(self.removed[value] for value in rest),
                }
            )
        if self.kept[None] or self.removed[None]:
            found.append({name: None, "kept": self.kept[None], "removed": self.removed[None]})
        return found


@dataclass
class Bins:
    """Two histograms over the same edges."""

    edges: list[Any]
    kept: NDArray[np.int64] = field(init=False)
    removed: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.kept, self.removed = (
            np.zeros(len(self.edges), np.int64),
            np.zeros(len(self.edges), np.int64),
        )

    def add(self, values: NDArray[np.generic], gone: NDArray[np.bool_]) -> None:
        """Count D values; `gone`: which of them are of removed documents."""
        numbers = np.searchsorted(np.array(self.edges), values, side="right") - 1
        self.kept += np.bincount(numbers[~gone], minlength=len(self.edges))
        self.removed += np.bincount(numbers[gone], minlength=len(self.edges))

    def figures(self) -> dict[str, Any]:
        """Lower edges and counts, without the empty bins at both ends."""
        filled = np.flatnonzero(self.kept + self.removed)
        first, last = (int(filled[0]), int(filled[-1]) + 1) if len(filled) else (0, 0)
        return {
            "edges": self.edges[first:last],
            "kept": self.kept[first:last].tolist(),
            "removed": self.removed[first:last].tolist(),
        }


@dataclass
class Words:
    """Of kept documents whose tokens are known one by one: for fertility."""

    documents: int = 0
    bytes: int = 0
    words: int = 0
    tokens: int = 0

    def figures(self) -> dict[str, Any]:
        """The sums, tokens a word and bytes a token."""
        return {
            "documents": self.documents,
            "bytes": self.bytes,
            "words": self.words,
            "tokens": self.tokens,
            "tokens_per_word": round(self.tokens / self.words, 4) if self.words else None,
            "bytes_per_token": round(self.bytes / self.tokens, 4) if self.tokens else None,
        }


@dataclass
class Gathered:
    """What one walk over the looked-at slices counts."""

    lengths: dict[str, Bins]
    total: Bins = field(default_factory=lambda: Bins(LENGTHS))
    languages: Split = field(default_factory=Split)
    hosts: Split = field(default_factory=Split)
    published: Split = field(default_factory=Split)
    crawled: Split = field(default_factory=Split)
    words_by_source: dict[str, Words] = field(default_factory=dict)
    words_by_language: dict[str, Words] = field(default_factory=dict)
    slices: int = 0
    documents: int = 0


def figures(home_root: str) -> dict[str, Any]:
    """Everything a report shows, as JSON types; `docs/report.md` names the keys. Raises
    `UserError`: no home, damage in it."""
    home, recipe = open_home(home_root, for_reading=True)
    slices = ordered_slices(home, recipe)
    ready = {
        (summary.source, summary.slice) for summary in slices if decided(home, recipe, summary)
    }
    counts = stats(home_root)
    state = status(home_root)
    verdicts = Verdicts(recipe)
    for summary in slices:
        if (summary.source, summary.slice) in ready:
            verdicts.add(summary, fates(home, recipe, summary))
    gathered = _walk(home, recipe, _looked_at(recipe, slices), ready)
    places = _places(home, slices, verdicts)
    rejected: Counter[str] = Counter(counts["total"].get("rejects", {}))
    reasons = [
        {
            "stage": "ingest",
            "reason": reason,
            "count": count,
            "sources": {
                name: row["rejects"][reason]
                for name, row in counts["sources"].items()
                if reason in row["rejects"]
            },
        }
        for reason, count in rejected.most_common()
    ] + verdicts.reasons()
    return {
        "schema_version": SCHEMA_VERSION,
        "stats": {key: counts[key] for key in ("sources", "total", "shares")},
        "state": {
            "complete": state["complete"],
            "decided": len(ready) == len(slices),
            "set_aside": state["set_aside"],
            "safety_net": state["safety_net"],
        },
        "looked_at": {
            "slices": gathered.slices,
            "of_slices": len(slices),
            "documents": gathered.documents,
            "of_documents": sum(summary.counts["documents"] for summary in slices),
        },
        "reasons": examples.with_examples(home, recipe, slices, reasons, verdicts.candidates),
        "pairs": examples.pairs(home, recipe, slices, verdicts.candidates, places),
        "lengths": {
            "unit": "characters",
            "total": gathered.total.figures(),
            "sources": {name: bins.figures() for name, bins in gathered.lengths.items()},
        },
        "languages": gathered.languages.rows("language", 30),
        "similarity": verdicts.similarity(),
        "overlap": _overlap(list(recipe.sources), counts["overlap"], verdicts.copies),
        "hosts": {
            "different": len((gathered.hosts.kept | gathered.hosts.removed).keys() - {None}),
            "rows": gathered.hosts.rows("host", 25),
        },
        "dates": {"published": _by_time(gathered.published), "crawled": _by_time(gathered.crawled)},
        "tokens": _tokens(home, gathered),
        "stages": read_figures(home),
        "manifest": _manifest(home),
        "recipe": files.read_bytes(home.file("recipe.toml")).decode(),
    }


class Verdicts:
    """What the removing stages say, summed over all slices: reasons, scores, copies, and candidates
    to be shown."""

    def __init__(self, recipe: Recipe) -> None:
        self.seed = recipe.seed
        self.stages = removing_stages(recipe)
        self.counts: dict[tuple[str, str], Counter[str]] = {}
        self.scores: dict[tuple[str, str], Bins] = {}
        self.candidates: dict[tuple[str, str], list[examples.Place]] = {}
        self.copies = 0

    def add(self, ingested: Summary, table: pa.Table) -> None:
        """Take in the fates of a slice."""
        rows = np.flatnonzero(pc.is_valid(table.column("stage")).to_numpy())
        if not len(rows):
            return
        table = table.take(pa.array(rows))
        keys = list(zip(table.column("stage").to_pylist(), table.column("reason").to_pylist()))
        scores = table.column("score").to_pylist()
        twins = table.column("twin").to_pylist()
        measured = list(
            zip(table.column("value").to_pylist(), table.column("threshold").to_pylist())
        )
        draws = [
            chance(self.seed, "report", identity) for identity in table.column("id").to_pylist()
        ]
        for key in dict.fromkeys(keys):
            of_key = np.array([found == key for found in keys])
            self.counts.setdefault(key, Counter())[ingested.source] += int(of_key.sum())
            known = np.array(
                [scores[row] for row in np.flatnonzero(of_key) if scores[row] is not None]
            )
            if len(known):
                self.scores.setdefault(key, Bins(SCORES)).add(known, np.ones(len(known), np.bool_))
            held = self.candidates.setdefault(key, [])
            held += [
                examples.Place(
                    draws[row],
                    ingested.source,
                    ingested.slice,
                    int(rows[row]),
                    twins[row],
                    scores[row],
                    *measured[row],
                )
                for row in np.flatnonzero(of_key)
            ]
            self.candidates[key] = sorted(held)[: examples.HELD]
        self.copies += sum(twin is not None for twin in twins)

    def reasons(self) -> list[dict[str, Any]]:
        """Stage, reason and counts, in the order of the stages, the most frequent first."""
        keys = sorted(
            self.counts,
            key=lambda key: (self.stages.index(key[0]), -sum(self.counts[key].values()), key[1]),
        )
        return [
            {
                "stage": stage,
                "reason": reason,
                "count": sum(self.counts[stage, reason].values()),
                "sources": dict(self.counts[stage, reason]),
            }
            for stage, reason in keys
        ]

    def similarity(self) -> list[dict[str, Any]]:
        """Histograms of the scores of removed documents and their twins, by stage and kind."""
        keys = sorted(self.scores, key=lambda key: (self.stages.index(key[0]), key[1]))
        return [
            {
                "stage": stage,
                "kind": kind,
                **{
                    name: value
                    for name, value in self.scores[stage, kind].figures().items()
                    if name != "kept"
                },
            }
            for stage, kind in keys
        ]


def _looked_at(recipe: Recipe, slices: list[Summary]) -> list[Summary]:
    """The slices whose documents are read, in order; at least one of each source."""
    drawn = sorted(
        slices,
        key=lambda summary: chance(recipe.seed, "report", f"{summary.source}/{summary.slice}"),
    )
    chosen, seen, size, documents = set(), set(), 0, 0
    for summary in drawn:
        if summary.source not in seen or (size < LOOK_BYTES and documents < LOOK_DOCUMENTS):
            chosen.add((summary.source, summary.slice))
            seen.add(summary.source)
            size += summary.counts["bytes"]
            documents += summary.counts["documents"]
    return [summary for summary in slices if (summary.source, summary.slice) in chosen]


def _walk(
    home: Home, recipe: Recipe, slices: list[Summary], ready: set[tuple[str, str]]
) -> Gathered:
    found = Gathered({name: Bins(LENGTHS) for name in recipe.sources})
    for summary in slices:
        rows = summary.counts["documents"]
        is_decided = (summary.source, summary.slice) in ready
        gone = (
            pc.is_valid(fates(home, recipe, summary).column("stage")).to_numpy()
            if is_decided
            else np.zeros(rows, np.bool_)
        )
        tokens = _token_counts(home, summary, int((~gone).sum())) if is_decided else None
        of_kept = np.cumsum(~gone) - 1  # the row among the kept ones
        begin = 0
        for table in document_tables(home, summary, ["text", "url", "date", "language", "crawled"]):
            of_group = gone[begin : begin + table.num_rows]
            text = table.column("text")
            lengths = pc.utf8_length(text).to_numpy()
            for bins in (found.total, found.lengths[summary.source]):
                bins.add(lengths, of_group)
            languages = table.column("language")
            found.languages.add(languages, of_group)
            found.hosts.add(
                pc.struct_field(pc.extract_regex(pc.utf8_lower(table.column("url")), HOST), "host"),
                of_group,
            )
            found.published.add(
                pc.strftime(table.column("date").cast(pa.timestamp("s")), "%Y-%m"), of_group
            )
            found.crawled.add(
                pc.strftime(table.column("crawled").cast(pa.timestamp("s")), "%Y-%m"), of_group
            )
            if tokens is not None:
                counted = (
                    np.where(
                        of_group, 0, tokens[np.maximum(of_kept[begin : begin + table.num_rows], 0)]
                    )
                    if len(tokens)
                    else np.zeros(table.num_rows, np.int64)
                )
                _add_words(
                    found,
                    summary.source,
                    languages.to_pylist(),
                    pc.binary_length(text).to_numpy(),
                    word_counts(text),
                    counted,
                    ~of_group,
                )
            begin += table.num_rows
        found.slices += 1
        found.documents += rows
    return found


def _add_words(
    found: Gathered,
    source: str,
    languages: list[str | None],
    sizes: Any,
    words: Any,
    tokens: Any,
    kept: NDArray[np.bool_],
) -> None:
    codes = np.array([code or "" for code in languages])
    for by, key, rows in [
        (found.words_by_source, source, kept),
        *(
            (found.words_by_language, str(code), kept & (codes == code))
            for code in np.unique(codes)
        ),
    ]:
        held = by.setdefault(key, Words())
        held.documents += int(rows.sum())
        held.bytes += int(sizes[rows].sum())
        held.words += int(words[rows].sum())
        held.tokens += int(tokens[rows].sum())


def word_counts(texts: pa.ChunkedArray) -> NDArray[np.int64]:
    """(D,) runs of anything but ASCII white space in each text."""
    counts = []
    for chunk in texts.chunks:
        buffers = chunk.cast(pa.large_string()).buffers()
        offsets = np.frombuffer(buffers[1], np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
        content = np.frombuffer(buffers[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
        space = _SPACE[content]
        starts = ~space
        starts[1:] &= space[:-1]
        offsets = offsets - offsets[0]
        filled = offsets[:-1] < offsets[1:]
        heads = offsets[:-1][filled]
        starts[heads] = ~space[heads]  # a text begins anew, whatever the one before ended in
        found = np.zeros(len(chunk), np.int64)
        if len(heads):
            found[filled] = np.add.reduceat(starts.view(np.uint8), heads, dtype=np.int64)
        counts.append(found)
    return np.concatenate([*counts, np.zeros(0, np.int64)])


def _token_counts(home: Home, ingested: Summary, kept: int) -> NDArray[np.int64] | None:
    """(kept,) tokens of each kept document, from the work files; None where they are not there, or
    of other documents."""
    address = home.work(TOKENIZE, ingested.source, f"{ingested.slice}.arrow")
    if files.is_remote(home.root) or not files.exists(address):
        return None
    try:
        reader = pa.ipc.open_file(files.map_file(address))
        lengths = [
            np.diff(reader.get_batch(number).column("tokens").offsets.to_numpy())
            for number in range(reader.num_record_batches)
        ]
    except (pa.ArrowInvalid, OSError):  # cut: the next build makes it again
        return None
    counts = np.concatenate([*lengths, np.zeros(0, np.int64)])
    return counts if len(counts) == kept else None


def _places(
    home: Home, slices: list[Summary], verdicts: Verdicts
) -> dict[str, tuple[str, str, int]]:
    """Where the twins to be shown lie: source, slice and row by id."""
    wanted = np.array(
        sorted(
            {
                place.twin.encode()
                for places in verdicts.candidates.values()
                for place in places
                if place.twin
            }
        ),
        "S32",
    )
    found: dict[str, tuple[str, str, int]] = {}
    for summary in slices if len(wanted) else ():
        row = 0
        for table in document_tables(home, summary, ["id"]):
            ids = table.column("id").to_numpy(zero_copy_only=False).astype("S32")
            at = np.searchsorted(wanted, ids)
            at[at == len(wanted)] = 0
            for hit in np.flatnonzero(wanted[at] == ids):
                found[ids[hit].decode()] = (summary.source, summary.slice, row + int(hit))
            row += table.num_rows
    return found


def _overlap(sources: list[str], stages: Overlap, copies: int) -> dict[str, Any]:
    """How many removed documents of each source have their twin in each source, by stage and
    together; `counted` of `of`, all documents that went for a twin: of a stage that has not counted
    its twins, none."""
    together: dict[str, dict[str, int]] = {}
    for rows in stages.values():
        for source, row in (rows or {}).items():
            held = together.setdefault(source, {})
            for other, count in row.items():
                held[other] = held.get(other, 0) + count
    counted = sum(sum(row.values()) for row in together.values())
    return {
        "sources": sources,
        "removed": together,
        "stages": stages,
        "counted": counted,
        "of": copies,
    }


def _by_time(split: Split) -> dict[str, Any]:
    """Counts by month, or by the shortest of year, decade, century that gives at most 48 columns;
    those between the first and the last without a document too."""
    months = (split.kept.keys() | split.removed.keys()) - {None}
    for unit, digits in (("month", 7), ("year", 4), ("decade", 3), ("century", 2)):  # noqa: B007
        numbers = {month: _number(month[:digits]) for month in months}
        if not numbers or max(numbers.values()) - min(numbers.values()) < 48:
            break
    columns = range(min(numbers.values()), max(numbers.values()) + 1) if numbers else range(0)
    rows = [{unit: _label(unit, number), "kept": 0, "removed": 0} for number in columns]
    for series, counter in (("kept", split.kept), ("removed", split.removed)):
        for month, number in numbers.items():
            rows[number - columns[0]][series] += counter[month]  # type: ignore[operator]
    return {
        "unit": unit,
        "rows": rows,
        "unknown": {"kept": split.kept[None], "removed": split.removed[None]},
    }


def _number(text: str) -> int:
    """The number of a month (`2017-11`), year, decade or century."""
    return int(text[:4]) * 12 + int(text[5:]) - 1 if "-" in text else int(text)


def _label(unit: str, number: int) -> str:
    return (
        f"{number // 12:04}-{number % 12 + 1:02}"
        if unit == "month"
        else str(number).rjust({"year": 4, "decade": 3, "century": 2}[unit], "0").ljust(4, "0")
    )


def _tokens(home: Home, gathered: Gathered) -> dict[str, Any]:
    manifest = _read_manifest(home)
    splits: dict[str, dict[str, dict[str, int]]] = {}
    for entry in manifest.shards if manifest else ():
        row = splits.setdefault(entry.source, {}).setdefault(
            entry.split, {"documents": 0, "sentences": 0, "tokens": 0}
        )
        for key in row:
            row[key] += getattr(entry, key)
    return {
        "splits": splits,
        "by_source": {name: words.figures() for name, words in gathered.words_by_source.items()},
        "by_language": {
            name: words.figures()
            for name, words in sorted(
                gathered.words_by_language.items(), key=lambda item: (-item[1].tokens, item[0])
            )[:30]
        },
    }


def _read_manifest(home: Home) -> Manifest | None:
    try:
        return (
            read_manifest(home.file("shards"))
            if files.exists(home.file("shards", MANIFEST))
            else None
        )
    except UserError:
        return None


def _manifest(home: Home) -> dict[str, Any] | None:
    """The manifest, its shards cut at `MAX_SHARDS`; null where there is none that can be read."""
    manifest = _read_manifest(home)
    if manifest is None:
        return None
    shards: Iterable[Any] = manifest.shards
    return {
        **to_dict(manifest),
        "shards": to_dict(tuple(shards)[:MAX_SHARDS]),
        "shards_in_all": len(manifest.shards),
    }
