"""Plain Python twins of the formats that share rows, written from their definitions: documents are
lists of sentences, sentences lists of ids."""

from dataclasses import dataclass, field
from typing import Any

from trainer_twins import below, draw, make_key

# What an id is, is up to the caller.
Document = list[list[Any]]


@dataclass
class Made:
    """A shard as samples: each a list of sequences of ids, with <s> and </s>; for pairs the class
    of each sequence, and what the counts must say."""

    rows: list[list[list[Any]]] = field(default_factory=list)
    classes: list[list[int]] = field(default_factory=list)
    trimmed: int = 0
    dropped: int = 0
    borrowed: int = 0


def best_fit(sizes: list[int], length: int) -> list[list[int]]:
    """The sequences of each row: the longest first, each into the row with the least room that is
    enough, the one that changed last of those; rows by their first sequence."""
    rows: list[list[int]] = []
    touched: list[int] = []
    for turn, q in enumerate(sorted(range(len(sizes)), key=lambda q: (-sizes[q], q))):
        rooms = [length - sum(sizes[member] for member in row) for row in rows]
        able = [r for r, room in enumerate(rooms) if room >= sizes[q]]
        if able:
            best = min(able, key=lambda r: (rooms[r], -touched[r]))
            rows[best].append(q)
            touched[best] = turn
        else:
            rows.append([q])
            touched.append(turn)
    return sorted(sorted(row) for row in rows)


def doc_sentences(
    documents: list[Document],
    length: int,
    eos: bool,
    bos_id: Any = 0,
    eos_id: Any = 2,
    share: bool = True,
) -> Made:
    """DOC-SENTENCES, with `share` as rows, else each sequence in one of its own: pieces first, then
    greedy filling with whole sequences built and measured."""

    def render(sentences: Document) -> list[Any]:
        row = [bos_id]
        for sentence in sentences:
            row += sentence
            if eos:
                row.append(eos_id)
        return row if eos else [*row, eos_id]

    sequences: list[list[Any]] = []
    for document in documents:
        here: Document = []
        for sentence in document:
            rest = list(sentence)
            while len(rest) > length - 2:
                if here:
                    sequences.append(render(here))
                sequences.append(render([rest[: length - 2]]))
                rest, here = rest[length - 2 :], []
            if not rest:
                continue
            if here and len(render([*here, rest])) > length:
                sequences.append(render(here))
                here = []
            here.append(rest)
        if here:
            sequences.append(render(here))

    rows = [[q] for q in range(len(sequences))]
    if share:
        rows = best_fit([len(sequence) for sequence in sequences], length)
    return Made([[sequences[q] for q in row] for row in rows])


def pairs(
    documents: list[Document],
    length: int,
    name: str,
    nsp: str,
    short: float,
    seed: int,
    number: int,
    bos_id: Any = 0,
    eos_id: Any = 2,
    share: bool = True,
) -> Made:
    """SEGMENT-PAIR and SENTENCE-PAIR, after the words of BERT's code; `share` as above."""
    solid = [[sentence for sentence in document if sentence] for document in documents]
    solid = [document for document in solid if document]
    made = Made()
    if len(solid) < 2:
        made.dropped = sum(len(sentence) for document in solid for sentence in document)
        return made

    single, paper = name == "sentence-pair", nsp == "paper"
    halves = make_key(seed, 7, number, 0)
    sequences: list[list[Any]] = []
    classes: list[int] = []
    last = (0, 0, 0)  # own tokens kept, trimmed, borrowed of the last pair

    for d, document in enumerate(solid):
        draws = iter(draw(make_key(seed, 6, number, d), turn) for turn in range(1 << 40))
        first_draw = next(draws)
        target = length - 3
        if not single and (first_draw >> 32) / 2**32 < short:
            target = 2 + below(next(draws), length - 4)

        queue = list(document)
        while queue:
            chunk: Document = []
            while queue and (len(chunk) < 2 if single else sum(map(len, chunk)) < target):
                chunk.append(queue.pop(0))
            if len(chunk) == 1 and paper:
                made.dropped += len(chunk[0])
                continue
            middle = 1
            if len(chunk) > 1 and not single:
                middle += below(next(draws), len(chunk) - 1)
            a = [value for sentence in chunk[:middle] for value in sentence]

            if paper:
                random = (draw(halves, len(classes) // 2) >> 63) != len(classes) % 2
            else:
                random = next(draws) < 1 << 63 or len(chunk) == 1
            if random:
                queue = chunk[middle:] + queue
                if paper:
                    other = below(next(draws), len(solid) - 1)
                    other += other >= d
                else:
                    for _ in range(10):
                        other = below(next(draws), len(solid))
                        if other != d:
                            break
                start = below(next(draws), len(solid[other]))
                b: list[Any] = []
                for sentence in solid[other][start:]:
                    b += sentence
                    if single or len(b) >= target - len(a):
                        break
            else:
                b = [value for sentence in chunk[middle:] for value in sentence]

            own = len(a) if random else len(a) + len(b)
            while len(a) + len(b) > length - 3:
                longer = a if len(a) > len(b) else b
                longer.pop(0 if next(draws) >> 63 else -1)
            kept = len(a) if random else len(a) + len(b)
            last = (kept, own - kept, len(b) if random else 0)
            made.trimmed += last[1]
            made.borrowed += last[2]
            sequences.append([bos_id, *a, eos_id, *b, eos_id])
            classes.append(int(random))

    if paper and len(sequences) % 2:
        sequences.pop()
        classes.pop()
        made.trimmed -= last[1]
        made.borrowed -= last[2]
        made.dropped += last[0] + last[1]

    rows = [[q] for q in range(len(sequences))]
    if single and share:
        rows = best_fit([len(sequence) for sequence in sequences], length)
    made.rows = [[sequences[q] for q in row] for row in rows]
    made.classes = [[classes[q] for q in row] for row in rows]
    return made
