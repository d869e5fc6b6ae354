"""Scores of Stories: the kernel against the definition in plain Python, one core, on Reuters
stories, pieces of novels and whole novels.

The questions are the 285 Winograd schemas and PDP-60. A score reads the text once: lower-casing,
words, n-grams and the exact number. Target: 20 MB a second. `plain Python` is the twin of the
tests.

    python benchmarks/bench_stories.py [--rounds N] [--megabytes M]
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.append(str(Path(__file__).parent.parent / "tests" / "helpers"))
sys.path.append(str(Path(__file__).parent.parent / "tests" / "corpora" / "stories"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=float, default=10.0)
    arguments = parser.parse_args()
    import ngrams_twin
    from stories_data import questions

    from benchmarks.bench_minhash import real_texts
    from benchmarks.common import Variant, compare
    from corpora.stories import overlap

    texts = [text.decode() for text in real_texts(arguments.megabytes)]
    size = sum(len(text.encode()) for text in texts)
    books = ["".join(texts[begin : begin + 500]) for begin in range(0, len(texts), 500)]
    asked = questions()
    words = [overlap.tokens(question) for question in asked]
    print(
        f"{len(texts):,} texts, {size / 1e6:.1f} MB, mean {size / len(texts):,.0f} bytes; "
        f"{len(asked)} questions, {sum(map(len, words)):,} words"
    )

    def every(query: overlap.Query, of: list[str]) -> Callable[[], object]:
        return lambda: [overlap.score(query, text) for text in of]

    joined, nearest = overlap.make_query(words), overlap.make_query(words, joined=False)
    sets = overlap.make_query(words, as_sets=True)
    twin, few = ngrams_twin.Joined(asked), texts[::50]
    variants = [
        Variant(name="joined, multiset", work=size / 1e6, run=every(joined, texts)),
        Variant(name="joined, multiset, long texts", work=size / 1e6, run=every(joined, books)),
        Variant(name="joined, set", work=size / 1e6, run=every(sets, texts)),
        Variant(name="max, multiset", work=size / 1e6, run=every(nearest, texts)),
        Variant(
            name="plain Python",
            work=sum(len(text.encode()) for text in few) / 1e6,
            run=lambda: [twin.score(text) for text in few],
        ),
    ]
    compare(
        "stories",
        "MB of text a second",
        variants,
        rounds=arguments.rounds,
        packages=("numba", "numpy"),
    )


if __name__ == "__main__":
    main()
