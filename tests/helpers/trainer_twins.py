"""Plain Python twins of the trainer's kernels, written from the definitions."""

import math

MASK64 = (1 << 64) - 1


def mix(x: int) -> int:
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK64
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK64
    return x ^ (x >> 31)


def draw(key: int, counter: int) -> int:
    return mix((key + (counter + 1) * 0x9E3779B97F4A7C15) & MASK64)


def make_key(seed: int, purpose: int, epoch: int, index: int) -> int:
    key = mix(seed & MASK64)
    for part in (purpose, epoch, index):
        key = draw(key, part)
    return key


def below(bits: int, n: int) -> int:
    return ((bits >> 32) * n) >> 32


def shuffle(n: int, key: int) -> list[int]:
    table = list(range(n))
    for i in reversed(range(1, n)):
        j = below(draw(key, i), i + 1)
        table[i], table[j] = table[j], table[i]
    return table


def permute(x: int, n: int, key: int) -> int:
    a = math.isqrt(n - 1) + 1
    b = -(-n // a)
    while True:
        left, right = divmod(x, b)
        for i in range(8):
            half = mix((draw(key, i) + (left if i % 2 else right)) & MASK64)
            if i % 2:
                right = (right + below(half, b)) % b
            else:
                left = (left + below(half, a)) % a
        x = left * b + right
        if x < n:
            return x


def order(position: int, n: int, seed: int, stream: int) -> tuple[int, int]:
    epoch, place = divmod(position, n)
    key = make_key(seed, 1, epoch, stream)
    return epoch, shuffle(n, key)[place] if n < 10_000 else permute(place, n, key)


def samples(
    documents: list[list[list[int]]], length: int, sentence_eos: bool, bos: int = 0, eos: int = 2
) -> list[list[int]]:
    """FULL-SENTENCES as lists of ids: pieces first, then greedy filling with whole rows built and
    measured."""
    items: list[tuple[int, list[int], bool]] = []  # document, ids, must stand alone
    for number, document in enumerate(documents):
        for sentence in document:
            rest = list(sentence)
            while len(rest) > length - 2:
                items.append((number, rest[: length - 2], True))
                rest = rest[length - 2 :]
            if rest:
                items.append((number, rest, False))

    def render(group: list[tuple[int, list[int], bool]]) -> list[int]:
        row, last = [bos], group[0][0]
        for document, ids, _ in group:
            if document != last:
                row.append(eos)
            row += ids
            last = document
            if sentence_eos:
                row.append(eos)
        return row if sentence_eos else [*row, eos]

    rows: list[list[tuple[int, list[int], bool]]] = []
    for item in items:
        if rows and not item[2] and not rows[-1][0][2] and len(render([*rows[-1], item])) <= length:
            rows[-1].append(item)
        else:
            rows.append([item])
    return [render(group) for group in rows]


def mask(
    row: list[int],
    key: int,
    rate: float,
    fairseq: bool,
    vocab_size: int,
    specials: list[int],
    mask_id: int,
) -> tuple[list[int], list[int], list[int]]:
    """(row as the model sees it, places, labels)."""
    seen = list(row)
    pool = [i for i, value in enumerate(row) if fairseq or value not in specials]
    extra = (draw(key, (1 << 32) - 1) >> 11) / (1 << 53) if fairseq else 0.5
    allowed = (
        list(range(4, vocab_size))
        if fairseq
        else [i for i in range(vocab_size) if i not in specials]
    )
    places = []
    for j in range(math.floor(rate * len(pool) + extra)):
        other = j + below(draw(key, j), len(pool) - j)
        pool[j], pool[other] = pool[other], pool[j]
        places.append(pool[j])
        bits = draw(key, (1 << 32) + j)
        fate = (bits >> 32) / (1 << 32)
        if fate < 0.8:
            seen[pool[j]] = mask_id
        elif fate < 0.9:
            seen[pool[j]] = allowed[((bits & 0xFFFFFFFF) * len(allowed)) >> 32]
    return seen, places, [row[place] for place in places]
