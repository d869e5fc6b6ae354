"""A peer of bench_minhash.py, in an interpreter of its own: reads texts as a JSON line, says
`ready`, then signs them all for each line `run` and says `done`."""

import json
import re
import sys
from collections.abc import Callable

VALUES = 256


def shingles(text: str) -> list[str]:
    """Five words in a row, joined."""
    words = re.findall(r"\w+", text.lower())
    return [" ".join(words[i : i + 5]) for i in range(len(words) - 4)]


def datasketch() -> Callable[[str], object]:
    """As its documentation does it."""
    from datasketch import MinHash

    def sign(text: str) -> object:
        found = MinHash(num_perm=VALUES)
        found.update_batch([shingle.encode() for shingle in shingles(text)])
        return found.digest()

    return sign


def rensa() -> Callable[[str], object]:
    """As its documentation does it."""
    from rensa import RMinHash

    def sign(text: str) -> object:
        found = RMinHash(num_perm=VALUES, seed=42)
        found.update(shingles(text))
        return found.digest()

    return sign


def datatrove() -> Callable[[str], object]:
    """Its signature step as shipped, without its files."""
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

    step = MinhashDedupSignature(output_folder="/tmp", config=MinhashConfig())

    def sign(text: str) -> object:
        found = step.get_shingles(text)
        return step.get_signature(found) if found.size else None

    return sign


def main() -> None:
    """Serve."""
    texts = json.loads(sys.stdin.readline())
    try:
        sign = {"datasketch": datasketch, "rensa": rensa, "datatrove": datatrove}[sys.argv[1]]()
        sign(texts[0])
    except (ImportError, TypeError, OSError) as error:
        print(f"{type(error).__name__}: {error}".splitlines()[0], flush=True)
        return
    print("ready", flush=True)
    for line in sys.stdin:
        if line.strip() == "run":
            for text in texts:
                sign(text)
            print("done", flush=True)


if __name__ == "__main__":
    main()
