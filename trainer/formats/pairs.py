"""SEGMENT-PAIR and SENTENCE-PAIR: pairs for next sentence prediction, as BERT's released code makes
them (google-research/bert, create_pretraining_data.py).

The sentences of a document are gathered until they hold the target length, which is length - 3, or
with probability `short` a shorter one for the whole document. A is a random prefix of what was
gathered. B is the rest of it, or text from a random sentence of another document of the shard; then
the sentences that were not used are put back. Where both are too long, tokens are taken from the
longer one, at its front or its end by a coin. SENTENCE-PAIR (RoBERTa paper, section 4.2) gathers
two sentences, and A and B are one sentence each.

A pair of one gathered sentence is always random in BERT's code, so that more than half of the pairs
are. With `paper` such a sentence is dropped, and of each two pairs in a row exactly one is random;
the last pair of an odd number is dropped too.
"""

import numpy as np

from trainer.chance import HALVES, PAIRS, below, draw, make_key
from trainer.formats.rows import BEGINS, FOLLOWS, RANDOM, Parts
from trainer.jit import Int, Int64, jit

# What `plan` adds up: the random pairs, tokens that trimming took from their only place, tokens of
# sentences without a pair, and tokens of random Bs, which are also used where they stand.
PAIRS_RANDOM, TRIMMED, DROPPED, BORROWED = range(4)


@jit
def plan(
    sizes: Int64, firsts: Int64, numbers: Int64, ends: Int64, length: Int, single: bool,
    paper: bool, short: float, seed: Int, number: Int, parts: Parts, sums: Int64,
) -> Int:  # fmt: skip
    """Return how many pairs plan `number` of a shard has.

    Of the S sentences that are not empty: `sizes` (S,) in tokens, `firsts` (S,) their first tokens,
    `numbers` (S,) their numbers in the shard. `ends` (D + 1,) offsets of the D documents into them,
    none of which is empty. `single` makes SENTENCE-PAIR. `parts` (2 * pairs, 5) receives A and B of
    each pair as `rows` describes it; it is empty to count only. `sums` (4,) is added to.
    """
    most = np.int64(length - 3)
    documents = len(ends) - 1
    halves = make_key(seed, HALVES, number, 0)
    count = np.int64(0)
    if documents < 2:
        sums[DROPPED] += sizes.sum()
        return count

    last = np.zeros(4, np.int64)  # what the last pair has added to `sums`
    kept = np.int64(0)  # and how many of its tokens are used

    for document in range(documents):
        key = make_key(seed, PAIRS, number, document)
        stop = ends[document + 1]
        turn = np.int64(1)
        target: Int = most
        if not single and np.float64(draw(key, 0) >> np.uint64(32)) / 4294967296.0 < short:
            target = 2 + below(draw(key, 1), most - 1)
            turn += 1

        i = ends[document]
        while i < stop:
            first = i
            total = np.int64(0)
            while i < stop and (i - first < 2 if single else total < target):
                total += sizes[i]
                i += 1
            gathered = i - first
            if gathered == 1 and paper:
                sums[DROPPED] += total
                continue

            middle = first + 1
            if gathered > 1 and not single:
                middle += below(draw(key, turn), gathered - 1)
                turn += 1
            a = np.int64(0)
            for s in range(first, middle):
                a += sizes[s]

            if paper:
                random = np.int64(draw(halves, count // 2) >> np.uint64(63)) != count % 2
            else:
                coin = draw(key, turn) >> np.uint64(63) == 0
                turn += 1
                random = gathered == 1 or coin

            begin = middle
            b = total - a
            if random:
                i = middle
                other: Int = np.int64(document)
                if paper:
                    other = below(draw(key, turn), documents - 1)
                    turn += 1
                    if other >= document:
                        other += 1
                else:
                    # BERT's code tries ten times, and calls the B random whatever it has found.
                    for _ in range(10):
                        other = below(draw(key, turn), documents)
                        turn += 1
                        if other != document:
                            break
                begin = ends[other] + below(draw(key, turn), ends[other + 1] - ends[other])
                turn += 1
                b = sizes[begin]
                if not single:
                    after = begin + 1
                    while after < ends[other + 1] and b < target - a:
                        b += sizes[after]
                        after += 1

            own = a if random else a + b
            front_a = np.int64(0)
            front_b = np.int64(0)
            while a + b > most:
                front = np.int64(draw(key, turn) >> np.uint64(63))
                turn += 1
                if a > b:
                    a -= 1
                    front_a += front
                else:
                    b -= 1
                    front_b += front

            kept = a if random else a + b
            last[PAIRS_RANDOM] = 1 if random else 0
            last[TRIMMED] = own - kept
            last[BORROWED] = b if random else 0
            sums += last

            if 2 * count < len(parts):
                write(parts, 2 * count, sizes, firsts, numbers, first, front_a, a, BEGINS)
                kind = RANDOM if random else FOLLOWS
                write(parts, 2 * count + 1, sizes, firsts, numbers, begin, front_b, b, kind)
            count += 1

    if paper and count % 2:
        count -= 1
        sums -= last
        sums[DROPPED] += last[TRIMMED] + kept
    return count


@jit
def write(
    parts: Parts, place: Int, sizes: Int64, firsts: Int64, numbers: Int64, sentence: Int,
    skip: Int, count: Int, kind: Int,
) -> None:  # fmt: skip
    """Write the part of `count` tokens that begins `skip` tokens after the start of a sentence."""
    while skip >= sizes[sentence]:
        skip -= sizes[sentence]
        sentence += 1
    parts[place, 0] = firsts[sentence] + skip
    parts[place, 1] = count
    parts[place, 2] = numbers[sentence]
    parts[place, 3] = skip
    parts[place, 4] = kind
