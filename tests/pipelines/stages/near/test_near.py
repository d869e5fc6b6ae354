"""Near-deduplication: the steps together against a plain decision over all pairs, and what peers
got wrong."""

import html
import random
import re
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import minhash_twins
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from near_homes import Text, counts, propose_every_pair, run, set_recipe, write_home
from realdata import data_file

from corpora.document import SourceDedup, document_id
from corpora.quality.rules import RulesConfig
from pipelines.home.decisions import kept_rows
from pipelines.home.layout import open_home
from pipelines.home.summaries import summaries
from pipelines.recipe import DedupConfig
from pipelines.stages.near import candidates, decision, groups, pairs, scores, signatures
from pipelines.stages.near.groups import EARLIER_IS_CONTAINED, EDGE, RECORD, read_list
from pipelines.stages.near.guard import guard
from shards.errors import UserError

WORDS = [f"w{number}" for number in range(40)]


def identities(documents: list[Text]) -> list[str]:
    return [
        document_id(source, f"{path:06d}", position)
        for position, (source, path, _, _) in enumerate(documents)
    ]


def plain(
    documents: list[Text],
    sources: dict[str, SourceDedup],
    threshold: float,
    containment: float,
    ngram: int,
    containment_words: int,
) -> dict[str, tuple[str, float, str]]:
    """The slow twin: every pair compared by sets of words' tuples."""
    names = list(sources)
    own = {
        name: threshold if options.threshold is None else options.threshold
        for name, options in sources.items()
    }
    order = sorted(
        range(len(documents)),
        key=lambda i: (
            names.index(documents[i][0]),
            documents[i][2] is None,
            documents[i][2] or 0,
            f"{documents[i][1]:06d}",
            i,
        ),
    )
    sets = [minhash_twins.shingles(documents[i][3], ngram) for i in order]
    sizes = [len(minhash_twins.words(documents[i][3])) for i in order]
    by_words = [0] * len(order)
    for place, number in enumerate(
        sorted(range(len(order)), key=lambda number: (-sizes[number], number))
    ):
        by_words[number] = place
    near_pairs, contained = {}, {}
    for earlier, later in combinations(range(len(order)), 2):
        pair = [documents[order[later]][0], documents[order[earlier]][0]]
        barred = "within" if pair[0] != pair[1] else "others"
        if (
            not sets[earlier]
            or not sets[later]
            or barred in (sources[pair[0]].scope, sources[pair[1]].scope)
        ):
            continue
        limit = round(max(own[name] for name in pair) * 1e9)
        shared = len(sets[earlier] & sets[later])
        score = shared * 10**9 // len(sets[earlier] | sets[later])
        small, large = (later, earlier) if by_words[later] > by_words[earlier] else (earlier, later)
        part = shared * 10**9 // len(sets[small])
        if score >= limit:
            near_pairs[later, earlier] = score
        elif sizes[small] >= containment_words and part >= max(
            2 * limit * 10**9 // (10**9 + limit), round(containment * 1e9)
        ):
            contained[small, large] = part
    names_of = [identities(documents)[i] for i in order]
    settled = minhash_twins.settle(near_pairs, contained, by_words)
    return {
        names_of[document]: (names_of[twin], score / 1e9, kind)
        for document, (twin, score, kind) in settled.items()
    }


@st.composite
def corpora(draw: st.DrawFn) -> list[Text]:
    """Texts that are mutations and parts of a few, in two sources, with and without crawl times."""
    chance = random.Random(draw(st.integers(0, 10_000)))
    bases = [[chance.choice(WORDS) for _ in range(chance.choice([3, 8, 20, 40]))] for _ in range(3)]
    documents = []
    for _ in range(draw(st.integers(1, 14))):
        words = list(chance.choice(bases))
        for _ in range(chance.choice([0, 0, 1, 2])):
            words[chance.randrange(len(words))] = chance.choice(WORDS)
        begin = chance.choice([0, 0, 0, len(words) // 4])
        documents.append(
            (
                chance.choice("ab"),
                chance.randrange(3),
                chance.choice([None, 1, 2]),
                " ".join(words[begin:]),
            )
        )
    return documents


OPTIONS = st.builds(
    SourceDedup,
    threshold=st.sampled_from([None, 0.5, 0.7, 0.9]),
    scope=st.sampled_from(["across", "across", "within", "others"]),
)


@settings(max_examples=20)
@given(
    documents=corpora(),
    cuts=st.integers(1, 15),
    parts=st.sampled_from([1, 4]),
    group=st.integers(1, 15),
    options=st.tuples(OPTIONS, OPTIONS),
    ngram=st.integers(1, 5),
    words=st.sampled_from([0, 8, 15, 30, 100]),
    seed=st.integers(0, 99),
)
@pytest.mark.builds
def test_equal_to_the_plain_twin(
    documents: list[Text],
    cuts: int,
    parts: int,
    group: int,
    options: tuple[SourceDedup, SourceDedup],
    ngram: int,
    words: int,
    seed: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """With bands of one value, in which every pair meets that shares anything, whatever cuts,
    groups, parts and order; and in which source the twins are."""
    with pytest.MonkeyPatch.context() as patch:
        propose_every_pair(patch)
        patch.setattr(pairs, "PART_RECORDS", max(1, 14 // parts))
        patch.setattr(pairs, "PAIR_ROOM", 20)
        patch.setattr(pairs, "PASS_BANDS", 128)
        patch.setattr(pairs, "FEW_RECORDS", 200)
        patch.setattr(candidates, "PAIR_ROOM", 20)
        patch.setattr(scores, "CHUNK_BYTES", 200)
        patch.setattr(scores, "GAP_BYTES", 100)
        patch.setattr(signatures, "SEGMENT_DOCUMENTS", 3)
        patch.setattr(groups, "MOST_GROUP_DOCUMENTS", group)
        patch.setattr(decision, "PART_EDGES", 4)
        sources = dict(zip("ab", options))
        settings = {
            "threshold": 0.6,
            "containment": 0.8,
            "ngram": ngram,
            "containment_words": words,
        }
        home = write_home(
            tmp_path_factory.getbasetemp() / "near", documents, cuts, sources, **settings
        )
        expected = plain(documents, sources, **settings)  # type: ignore[arg-type]
        assert run(home, random.Random(seed)) == expected
        source_of = dict(zip(identities(documents), (source for source, *_ in documents)))
        found = Counter(
            (summary.source, source)
            for summary in summaries(home, "near")
            for source in Counter(summary.twins_in).elements()
        )
        assert found == Counter(
            (source_of[identity], source_of[twin]) for identity, (twin, _, _) in expected.items()
        )


# --- what peers got wrong
# -----------------------------------------------------------------------------------------


def novel_words(novels: Path) -> list[str]:
    return re.findall(
        r"\w+", " ".join(path.read_text("utf-8") for path in sorted(novels.iterdir())[:3])
    )


def one_source(texts: list[str]) -> list[Text]:
    return [("a", number, None, text) for number, text in enumerate(texts)]


def scores_by_hand(documents: list[Text], found: dict[str, tuple[str, float, str]]) -> None:
    """Every removed document's score once more, by sets; its twin is kept."""
    texts = dict(zip(identities(documents), (text for *_, text in documents)))
    for identity, (twin, score, kind) in found.items():
        left, right = minhash_twins.shingles(texts[identity]), minhash_twins.shingles(texts[twin])
        true = (
            minhash_twins.jaccard(left, right) if kind == "near" else len(left & right) / len(left)
        )
        assert score == pytest.approx(true, abs=2e-9), identity
        assert score >= (0.8 if kind == "near" else 0.9) and twin not in found


def changed(words: list[str], draw: random.Random, count: int) -> list[str]:
    """`count` words in other places replaced, five words apart at least."""
    words = list(words)
    for place in draw.sample(range(5, len(words) - 5, 10), count):
        words[place] = f"changed{draw.randrange(10**9)}"
    return words


def test_the_probe(novels: Path, tmp_path: Path) -> None:
    """400 groups: A and C are different texts (0.59), each with a copy of one changed word (0.97).
    Peers lost 34 and 68."""
    words, draw = novel_words(novels), random.Random(0)
    texts, copies = [], set()
    length = 340
    for group in range(400):
        begin = group * (len(words) - 2 * length) // 400
        a = words[begin : begin + length]
        c = a[: int(0.746 * length)] + [
            f"{word}{group}"
            for word in words[begin + length : begin + length + int(0.254 * length)]
        ]
        four = [" ".join(text) for text in (a, changed(a, draw, 1), c, changed(c, draw, 1))]
        copies |= {len(texts) + 1, len(texts) + 3}
        texts += four
    short = [f"Item {number} of 30" for number in range(30)]
    sets = [minhash_twins.shingles(text) for text in texts[:4]]
    assert minhash_twins.jaccard(sets[0], sets[1]) == pytest.approx(
        0.97, abs=0.003
    ) and minhash_twins.jaccard(sets[0], sets[2]) == pytest.approx(0.59, abs=0.01)
    documents = one_source(texts + short + ["The same four words"] * 20)
    found = run(write_home(tmp_path / "home", documents, 300))
    names = identities(documents)
    assert set(found) == {names[number] for number in copies}
    assert all(found[names[number]][0] == names[number - 1] for number in copies)
    scores_by_hand(documents, found)


def test_a_template_with_a_thousand_bodies_loses_none(novels: Path, tmp_path: Path) -> None:
    words = novel_words(novels)
    head, tail = " ".join(words[:200]), " ".join(words[200:300])
    texts = [
        f"{head}\n{' '.join(words[1000 + 80 * number : 1080 + 80 * number])}\n{tail}"
        for number in range(1000)
    ]
    sets = [minhash_twins.shingles(text) for text in texts[:2]]
    assert minhash_twins.jaccard(*sets) > 0.6  # nearly all of them are proposed
    home = write_home(tmp_path / "home", one_source(texts), 250)
    assert run(home) == {}
    assert counts(home, "pairs", "left_out") > 0 and counts(home, "scores", "compared") > 1000


def test_no_closure(novels: Path, tmp_path: Path) -> None:
    """A chain in which each is near the next: every other one stays, none for a twin that goes."""
    words, draw = novel_words(novels)[:300], random.Random(1)
    chain = [words]
    for _ in range(9):
        chain.append(changed(chain[-1], draw, 6))
    documents = one_source([" ".join(text) for text in chain])
    found = run(write_home(tmp_path / "home", documents))
    names = identities(documents)
    kept = [names.index(name) for name in names if name not in found]
    assert kept[0] == 0 and len(kept) >= 3
    scores_by_hand(documents, found)


def test_the_same_story_with_another_date_and_banner(novels: Path, tmp_path: Path) -> None:
    """Row 20 of the defects seen in crawls: 5 % of the words, in a few places."""
    words = novel_words(novels)
    documents = []
    for number in range(50):
        story = words[3000 + 400 * number : 3400 + 400 * number]
        for crawled in (2, 1):
            banner = [f"Subscribe{crawled}", "now", "to", f"edition{crawled}", f"of{crawled}"] * 2
            date = ["Updated", f"{crawled}", "May", f"201{crawled}"]
            documents.append(
                (
                    "a",
                    number * 2 + crawled,
                    crawled,
                    " ".join(
                        date + story + banner + [f"Page{crawled}", "end", f"of{crawled}", "day"]
                    ),
                )
            )
    found = run(write_home(tmp_path / "home", documents, 7))
    names = identities(documents)
    assert {
        names.index(identity): names.index(twin) for identity, (twin, _, _) in found.items()
    } == {number: number + 1 for number in range(0, 100, 2)}
    scores_by_hand(documents, found)


def test_editions_of_one_novel(novels: Path, tmp_path: Path) -> None:
    """A novel re-set (case, line ends, other quotes) is a near-duplicate; one with a quarter left
    out is contained in the whole."""
    texts = [path.read_text("utf-8") for path in sorted(novels.iterdir())[:4]]
    whole = texts[0]
    words = whole.split()
    reset = (
        "\r\n".join(" ".join(words[begin : begin + 9]) for begin in range(0, len(words), 9))
        .replace('"', "''")
        .upper()
    )
    cut = " ".join(words[: len(words) * 3 // 8] + words[len(words) * 5 // 8 :])
    documents = one_source([cut, *texts, reset])
    names = identities(documents)
    found = run(write_home(tmp_path / "home", documents, 2))
    assert {
        names.index(identity): (names.index(twin), kind)
        for identity, (twin, _, kind) in found.items()
    } == {0: (1, "contained"), 5: (1, "near")}
    scores_by_hand(documents, found)


def test_a_container_that_goes_itself_gives_back_what_it_held(tmp_path: Path) -> None:
    """C is contained in B, and B goes for A, in which C is not: C stays."""
    words = [f"v{number}" for number in range(1000)]
    b = words[:600]
    a = [*(f"u{number}" for number in range(40)), *words[40:590]]
    c = words[:60] + words[580:600] + words[100:500]
    documents = one_source([" ".join(text) for text in (a, b, c)])
    with pytest.MonkeyPatch.context() as patch:
        propose_every_pair(patch)
        found = run(write_home(tmp_path / "home", documents, containment=0.9))
    names = identities(documents)
    assert {names.index(identity): names.index(found[identity][0]) for identity in found} == {1: 0}
    assert found == plain(documents, {"a": SourceDedup()}, 0.8, 0.9, 5, 50)


@pytest.mark.parametrize(
    ("words", "least", "goes"),
    [
        (15, 50, False),
        (15, 0, True),
        (49, 50, False),
        (50, 50, True),
        (15, 15, True),
        (15, 16, False),
    ],
)
def test_a_short_text_is_no_edition(words: int, least: int, goes: bool, tmp_path: Path) -> None:
    """A notice or a quotation stands whole in another text: it goes for that from so many words
    on."""
    text = [f"v{number}" for number in range(2 * words + 1)]
    documents = one_source([" ".join(text), " ".join(text[:words])])
    with pytest.MonkeyPatch.context() as patch:
        propose_every_pair(patch)
        settings = {} if least == DedupConfig().containment_words else {"containment_words": least}
        found = run(write_home(tmp_path / "home", documents, **settings))
    assert len(found) == goes and all(kind == "contained" for _, _, kind in found.values())


# --- settings
# ----------------------------------------------------------------------------


def pair_of(jaccard_words: int, novels: Path) -> list[str]:
    words, draw = novel_words(novels)[:400], random.Random(2)
    return [" ".join(words), " ".join(changed(words, draw, jaccard_words))]


def test_the_higher_threshold_of_two_sources_counts(novels: Path, tmp_path: Path) -> None:
    left, right = pair_of(7, novels)  # 0.84
    documents: list[Text] = [
        ("a", 0, None, left),
        ("b", 0, None, right),
        ("b", 1, None, left + " and more"),
    ]
    for own, gone in ((None, 2), (0.8, 2), (0.9, 1)):
        found = run(
            write_home(
                tmp_path / "home",
                documents,
                sources={"a": SourceDedup(), "b": SourceDedup(threshold=own)},
            )
        )
        assert len(found) == gone, own


def test_a_threshold_between_two_hundredths(tmp_path: Path) -> None:
    """Two texts that share 92 of 120 shingles (0.7667): removed at 0.765, kept at 0.768. Texts that
    share 82 of 130 are compared too, and never stored: no threshold of the scheme asks for them."""
    same = [f"w{number}" for number in range(110)]
    texts = [same, same[:96] + [f"x{number}" for number in range(14)]]
    texts.append(same[:86] + [f"y{number}" for number in range(24)])
    documents = one_source([" ".join(words) for words in texts])
    home = write_home(tmp_path / "home", documents, threshold=0.765)
    found = run(home)
    first, second, _ = identities(documents)
    assert {name: twin for name, (twin, _, _) in found.items()} == {second: first}
    assert found[second][1] == pytest.approx(92 / 120)
    assert counts(home, "scores", "compared") >= 2 and counts(home, "scores", "verified") == 1

    assert run(write_home(tmp_path / "higher", documents, threshold=0.768)) == {}


def test_scope_within(novels: Path, tmp_path: Path) -> None:
    left, right = pair_of(2, novels)
    documents: list[Text] = [("a", 0, None, left), ("b", 0, None, right), ("b", 1, None, left)]
    names = identities(documents)
    found = run(
        write_home(
            tmp_path / "home",
            documents,
            sources={"a": SourceDedup(), "b": SourceDedup(scope="within")},
        )
    )
    assert {identity: twin for identity, (twin, _, _) in found.items()} == {names[2]: names[1]}


def test_scope_others(novels: Path, tmp_path: Path) -> None:
    """Copies within the source stay; those of another source's go."""
    left, right = pair_of(2, novels)
    documents: list[Text] = [
        ("a", 0, None, left),
        ("b", 0, None, right + " once"),
        ("b", 1, None, right),
        ("b", 2, None, "of other words " * 20),
        ("b", 3, None, "of other words " * 21),
    ]
    names = identities(documents)
    found = run(
        write_home(
            tmp_path / "home",
            documents,
            sources={"a": SourceDedup(), "b": SourceDedup(scope="others")},
        )
    )
    assert {identity: twin for identity, (twin, _, _) in found.items()} == {
        names[1]: names[0],
        names[2]: names[0],
    }


def test_a_raised_threshold_reads_scores_alone(novels: Path, tmp_path: Path) -> None:
    left, right = pair_of(7, novels)
    documents: list[Text] = [("a", 0, None, left), ("a", 1, None, right)]
    home = write_home(tmp_path / "home", documents)
    assert len(run(home)) == 1
    folders = ("signatures", "pairs", "candidates", "scores")

    def state() -> dict[Path, int]:
        return {
            path: path.stat().st_mtime_ns
            for folder in folders
            for path in Path(home.root, "work", folder).rglob("*.bin")
        }

    before = state()
    assert len(before) >= 4
    set_recipe(home, {"a": SourceDedup()}, threshold=0.9)
    assert run(home) == {} and state() == before
    set_recipe(home, {"a": SourceDedup()}, threshold=0.8)
    assert len(run(home)) == 1 and state() == before
    set_recipe(home, {"a": SourceDedup()}, threshold=0.5)  # below the scheme
    assert len(run(home)) == 1 and state() != before


def test_removed_documents_are_nobodys_twin(
    novels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = pair_of(2, novels)
    home = write_home(tmp_path / "home", [("a", 0, None, left), ("a", 1, None, right)])
    whole = kept_rows
    monkeypatch.setattr(
        signatures,
        "kept_rows",
        lambda *arguments, **named: whole(*arguments, **named) & np.array([False, True]),
    )
    assert run(home) == {}


def test_before_the_rules(novels: Path, tmp_path: Path) -> None:
    """A short document is the twin of one that a rule keeps, or is none because the rule comes
    first; what a rule removes is the rule's."""
    words = novel_words(novels)
    short, longer = " ".join(words[:60]), " ".join(words[:61])
    documents: list[Text] = [
        ("a", 0, None, short),
        ("a", 1, None, longer),
        ("a", 2, None, " ".join(words[1:60])),
    ]
    names = identities(documents)
    rules = RulesConfig(profile="none", min_words=61)
    home = write_home(tmp_path / "home", documents, sources={"a": SourceDedup()}, rules=rules)
    assert run(home) == {}
    home = write_home(
        tmp_path / "home", documents, sources={"a": SourceDedup(before_rules=True)}, rules=rules
    )
    assert {identity: twin for identity, (twin, _, _) in run(home).items()} == {names[1]: names[0]}


def test_the_guard_stops_with_a_table(novels: Path, tmp_path: Path) -> None:
    left, right = pair_of(2, novels)
    home = write_home(
        tmp_path / "home",
        [
            ("a", number, None, text)
            for number, text in enumerate(
                [left, right, left + " x", left + " y", "Something else with words"]
            )
        ],
    )
    run(home)
    _, recipe = open_home(home.root)
    said: list[str] = []
    with pytest.raises(
        UserError, match=r"a: 3 of 5 documents \(60%\) are near-duplicates"
    ) as caught:
        guard(home, recipe, said.append)
    assert "--dedup.max-removed 0.61" in caught.value.hint and caught.value.exit_code == 1
    assert [line.split() for line in said[1:3]] == [
        ["similarity", "0.95", "and", "up", "3"],
        ["duplicates", "of", identities([("a", 0, None, "")])[0], "3"],
    ]


def test_records_are_24_bytes() -> None:
    assert EDGE.itemsize == decision.REMOVAL.itemsize == 24 and RECORD.itemsize == 16


# --- real data
# ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [100, 1000])
def test_planted_plagiarism(size: int, tmp_path: Path) -> None:
    archive = data_file("dedup/minhash_articles.tar.xz")
    if archive is None:
        pytest.skip("no test data: dedup/minhash_articles.tar.xz")
    import tarfile

    with tarfile.open(archive) as tar:
        articles, truth = (
            tar.extractfile(
                next(
                    member
                    for member in tar.getmembers()
                    if member.name.endswith(f"articles_{size}.{ending}")
                )
            )
            for ending in ("train", "truth")
        )
        assert articles and truth
        rows = [
            line.split(" ", 1)
            for line in articles.read().decode("utf-8", "replace").splitlines()
            if line.strip()
        ]
        planted = {
            frozenset(line.split()) for line in truth.read().decode().splitlines() if line.strip()
        }
    documents = one_source([text for _, text in rows])
    names = dict(zip(identities(documents), (name for name, _ in rows)))
    found = run(write_home(tmp_path / "home", documents, 90))
    assert len(rows) == size and len(planted) == {100: 5, 1000: 10}[size]
    assert {
        frozenset((names[identity], names[twin])) for identity, (twin, _, _) in found.items()
    } == planted  # precision and recall 1
    scores_by_hand(documents, found)


def brute_force(sets: list[set[tuple[str, ...]]], threshold: float) -> dict[tuple[int, int], float]:
    """All pairs at or over a threshold, by counting what documents share."""
    holders = defaultdict(list)
    for number, one in enumerate(sets):
        for shingle in one:
            holders[shingle].append(number)
    shared: dict[tuple[int, int], int] = defaultdict(int)
    for numbers in holders.values():
        for pair in combinations(numbers, 2):
            shared[pair] += 1
    found = {
        pair: count / len(sets[pair[0]] | sets[pair[1]])
        for pair, count in shared.items()
        if count >= threshold * max(len(sets[pair[0]]), len(sets[pair[1]]))
    }
    return {pair: score for pair, score in found.items() if score >= threshold}


@pytest.mark.builds
def test_reuters_against_brute_force(reuters: Path, tmp_path: Path) -> None:
    """Every near pair that brute force finds is verified (recall 0.98 asked for), and nothing goes
    without a kept twin."""
    bodies = [
        html.unescape(body)
        for path in sorted(reuters.iterdir())
        for body in re.findall(r"<BODY>(.*?)</BODY>", path.read_text("latin-1"), re.DOTALL)
    ]
    documents = one_source(bodies)
    home = write_home(tmp_path / "home", documents, 1000)
    found = run(home, random.Random(3))
    true = brute_force([minhash_twins.shingles(body) for body in bodies], 0.8)
    listed = read_list(home)
    recipe = open_home(home.root)[1]
    (edges,) = decision.edge_parts(decision.context(home, recipe))
    edges = edges[edges["jaccard"] >= 800_000_000]
    starts = np.cumsum([0, *(piece.documents for piece in listed)])

    def number(places: np.ndarray) -> list[int]:
        places = places & np.uint64(EARLIER_IS_CONTAINED - 1)
        return (
            starts[(places >> np.uint64(32)).astype(np.int64)]
            + (places & np.uint64(0xFFFFFFFF)).astype(np.int64)
        ).tolist()

    verified = set(zip(number(edges["earlier"]), number(edges["later"])))
    assert verified <= true.keys()
    recall = len(verified & true.keys()) / max(len(true), 1)
    print(
        f"{len(bodies)} bodies, {len(true)} pairs at 0.8 and over, recall {recall:.4f}, "
        f"{len(found)} removed"
    )
    assert recall >= 0.98
    scores_by_hand(documents, found)
    kept = {number for number, name in enumerate(identities(documents)) if name not in found}
    left = {pair for pair in verified if set(pair) <= kept}
    assert not left  # no verified pair of which both stay
    if data_file("dedup/reuters21578_part.tar.xz"):
        assert len(bodies) == 4638


def test_any_order_slicing_and_retry_give_the_same_survivors(reuters: Path, tmp_path: Path) -> None:
    bodies = [
        html.unescape(body)
        for path in sorted(reuters.iterdir())[:1]
        for body in re.findall(r"<BODY>(.*?)</BODY>", path.read_text("latin-1"), re.DOTALL)
    ]
    documents = one_source(bodies)
    expected = run(write_home(tmp_path / "home", documents, 10_000))
    for seed, cuts in enumerate((37, 400)):
        assert (
            run(
                write_home(tmp_path / f"home{seed}", documents, cuts),
                random.Random(seed),
                twice=True,
            )
            == expected
        )


# --- long runs, priority, order


def template_pages(far: int, near: int) -> list[str]:
    """Pages of one template of 150 words: `far` differ from it in seven words, which makes them
    alike to 0.6, and hide `near` later ones, which differ in one."""
    draw = random.Random(far)
    form = [f"w{draw.randrange(10**6)}" for _ in range(150)]

    def page(changes: int, number: int) -> str:
        words = form[:]
        for place in draw.sample(range(150), changes):
            words[place] = f"{draw.randrange(10**6)}x{number}"
        return " ".join(words)

    return [page(7, number) for number in range(far)] + [page(1, n) for n in range(far, far + near)]


def test_pages_of_a_template_do_not_hide_copies_behind_them(tmp_path: Path) -> None:
    """Every run of equal keys is longer than 16, and its first pages are no near-duplicates."""
    texts = template_pages(300, 100)
    documents = one_source(texts)
    home = write_home(tmp_path / "home", documents, 250)
    found = run(home)
    names = identities(documents)
    kept = [text for name, text in zip(names, texts) if name not in found]
    true = brute_force([minhash_twins.shingles(text) for text in kept], 0.8)
    assert counts(home, "long-signatures", "signed") > 100
    assert (len(found), true) == (99, {})

    # what is kept, built again in another order, loses nothing
    again = write_home(tmp_path / "again", one_source(kept[::-1]), 100)
    assert run(again) == {}


def test_priority_decides_who_contains_whom(novels: Path, tmp_path: Path) -> None:
    words = novel_words(novels)
    article, comments = words[:300], words[1000:1080]
    texts = [" ".join(article), " ".join([*article, *comments])]
    documents: list[Text] = [("gold", 0, None, texts[0]), ("crawl", 1, None, texts[1])]
    names = identities(documents)
    by_default = run(write_home(tmp_path / "a", documents, sources=two("gold", "crawl")))
    assert {name: kind for name, (_, _, kind) in by_default.items()} == {names[1]: "contains"}

    by_words = run(write_home(tmp_path / "b", documents, sources=two("crawl", "gold")))
    assert {name: kind for name, (_, _, kind) in by_words.items()} == {names[0]: "contained"}

    longer = two("gold", "crawl") | {"crawl": SourceDedup(longer_stays_with=("gold",))}
    found = run(write_home(tmp_path / "c", documents, sources=longer))
    assert {name: kind for name, (_, _, kind) in found.items()} == {names[0]: "contained"}


def two(first: str, second: str) -> dict[str, SourceDedup]:
    return {first: SourceDedup(), second: SourceDedup()}


def test_of_near_duplicates_the_newest_or_the_longest_stays(novels: Path, tmp_path: Path) -> None:
    words = novel_words(novels)[:300]
    texts = [" ".join(words[:300]), " ".join([*words, "more"]), " ".join(words[:298])]
    documents: list[Text] = [
        ("a", number, crawled, text)
        for number, (crawled, text) in enumerate(zip((5, None, 9), texts))
    ]
    names = identities(documents)
    for keep, kept in (("oldest", 0), ("newest", 2), ("longest", 1)):
        found = run(write_home(tmp_path / keep, documents, keep=keep))
        assert set(found) == set(names) - {names[kept]}, keep
