"""Plain Python twins of the masks of words and spans, written from their definitions."""

from trainer_twins import below, draw

STARTS, ENDS, SPECIAL = 1, 2, 4

Masked = tuple[list[int], list[int], list[int]]


def words_of(row: list[int], table: list[int], begins: list[int]) -> list[list[int]]:
    """The places of each word."""
    words: list[list[int]] = []
    for place, value in enumerate(row):
        if table[value] & SPECIAL:
            continue
        before = row[place - 1] if place else None
        starts = before is None or bool(table[before] & (SPECIAL | ENDS))
        if starts or table[value] & STARTS or begins[place]:
            words.append([])
        words[-1].append(place)
    return words


def seen(value: int, bits: int, low: int, mask_id: int, allowed: list[int]) -> int:
    """What the model sees of a hidden token, by two draws of 32 bits."""
    if bits / 2**32 < 0.8:
        return mask_id
    if bits / 2**32 < 0.9:
        return allowed[(low * len(allowed)) >> 32]
    return value


def mask_words(
    row: list[int], key: int, rate: float, table: list[int], begins: list[int], mask_id: int
) -> Masked:
    """(row as the model sees it, places, labels)."""
    words = words_of(row, table, begins)
    budget = int(rate * sum(map(len, words)) + 0.5)
    allowed = [value for value in range(len(table)) if not table[value] & SPECIAL]
    out, places = list(row), []
    for j in range(len(words)):
        if len(places) == budget:
            break
        other = j + below(draw(key, j), len(words) - j)
        words[j], words[other] = words[other], words[j]
        if len(places) + len(words[j]) > budget:
            continue
        for place in words[j]:
            bits = draw(key, 2**32 + len(places))
            out[place] = seen(row[place], bits >> 32, bits & 0xFFFFFFFF, mask_id, allowed)
            places.append(place)
    return out, places, [row[place] for place in places]


def span_length(bits: int, p: float, most: int) -> int:
    shares = [p * (1 - p) ** k for k in range(most)]
    length, reached = 1, 0.0
    for share in shares[:-1]:
        reached += share / sum(shares)
        if bits >= int(reached * 2**32):
            length += 1
    return length


def mask_spans(
    row: list[int],
    key: int,
    rate: float,
    table: list[int],
    begins: list[int],
    mask_id: int,
    p: float = 0.2,
    most: int = 10,
) -> tuple[Masked, list[tuple[int, int, int]]]:
    """As `mask_words`, and (left, right, offset) of each hidden token."""
    words = words_of(row, table, begins)
    budget = int(rate * sum(map(len, words)) + 0.5)
    allowed = [value for value in range(len(table)) if not table[value] & SPECIAL]
    out, places, beside = list(row), [], []
    spans: list[range] = []
    for turn in range(10 * budget):
        if len(places) == budget:
            break
        wanted = span_length(draw(key, 2 * 2**32 + len(spans)) >> 32, p, most)
        first = below(draw(key, turn), len(words))
        chosen: list[int] = []
        for word in words[first : first + wanted]:
            if chosen and word[0] != chosen[-1] + 1:
                break
            if len(places) + len(chosen) + len(word) > budget:
                break
            chosen += word
        if not chosen or {chosen[0] - 1, *chosen, chosen[-1] + 1} & set(places):
            continue
        fate = draw(key, 3 * 2**32 + len(spans)) >> 32
        for number, place in enumerate(chosen):
            low = draw(key, 2**32 + len(places)) >> 32
            out[place] = seen(row[place], fate, low, mask_id, allowed)
            places.append(place)
            beside.append((chosen[0] - 1, chosen[-1] + 1, number + 1))
        spans.append(range(chosen[0], chosen[-1] + 1))
    return (out, places, [row[place] for place in places]), beside
