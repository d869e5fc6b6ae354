"""Signatures from text: ours against datasketch, rensa and datatrove, one core each, on Reuters
stories and pieces of novels.

Ours: 256 values by fast similarity sketching and 32 band keys, from the bytes of an Arrow column.
datasketch and rensa: 256 values, words by `re.findall(r"\\w+", text.lower())`, shingles of five
joined by a space, as their users write it. datatrove: its own `MinhashDedupSignature` as shipped
(112 hashes, its own word splitter). Targets: 80x, 20x, 100x.

    python benchmarks/bench_minhash.py [--rounds N] [--megabytes M] [--peers PYTHON]

PYTHON: an interpreter that has datasketch, rensa and `datatrove[processing]` with `xxhash<4` and
spacy; default this one. A peer that is not there is left out by name.
"""

import argparse
import html
import json
import re
import subprocess
import sys
import tarfile
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

VALUES = 256


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=float, default=14.0)
    parser.add_argument("--peers", default=sys.executable)
    arguments = parser.parse_args()
    import numpy as np

    from benchmarks.common import Variant, compare
    from pipelines.stages.near import kernels
    from pipelines.stages.near.word_table import word_table

    texts = real_texts(arguments.megabytes)
    content = b"".join(texts)
    ends = np.concatenate([[0], np.cumsum([len(text) for text in texts])]).astype(np.int64)
    keys, words, chosen = (
        np.zeros((len(texts), 32), np.uint64),
        np.zeros(len(texts), np.uint32),
        np.ones(len(texts), np.bool_),
    )
    ours = partial(
        kernels.sign, np.frombuffer(content, np.uint8), ends, chosen, 5, word_table(), keys, words
    )
    print(
        f"{len(texts):,} texts, {len(content) / 1e6:.1f} MB, mean "
        f"{len(content) / len(texts):,.0f} bytes"
    )
    variants = [Variant(name="corpusmill", work=len(content) / 1e6, run=ours)]
    peers = []
    for name, share in (("datasketch", 0.1), ("rensa", 0.25), ("datatrove", 0.01)):
        part = [text.decode() for text in texts[:: int(1 / share)]]
        peer = Peer(arguments.peers, name, part)
        if peer.ready:
            peers.append(peer)
            variants.append(
                Variant(
                    name=name, work=sum(len(text.encode()) for text in part) / 1e6, run=peer.run
                )
            )
        else:
            print(f"{name}: left out: {peer.refusal}")
    compare(
        "minhash",
        "MB of text a second",
        variants,
        rounds=arguments.rounds,
        packages=("numba", "numpy"),
    )
    for peer in peers:
        peer.stop()


def real_texts(megabytes: float) -> list[bytes]:
    """Reuters stories, and novels in pieces of about 4 kB, as much as is asked for, again and again
    if need be."""
    from benchmarks.bench_shards import DATA

    with tarfile.open(DATA / "dedup/reuters21578_part.tar.xz") as tar:
        files = [
            tar.extractfile(member) for member in tar.getmembers() if member.name.endswith(".sgm")
        ]
        stories = [
            html.unescape(body)
            for file in files
            if file
            for body in re.findall(r"<BODY>(.*?)</BODY>", file.read().decode("latin-1"), re.DOTALL)
        ]
    with tarfile.open(DATA / "books/english_novels.tar.xz") as tar:
        files = [tar.extractfile(member) for member in tar.getmembers() if member.isfile()]
        novels = [file.read().decode("utf-8", "replace") for file in files if file]
    texts = [text.encode() for text in stories] + [
        novel[begin : begin + 4000].encode()
        for novel in novels
        for begin in range(0, len(novel), 4000)
    ]
    found, size = [], 0
    while size < megabytes * 1e6:
        for text in texts:
            found.append(text)
            size += len(text)
            if size >= megabytes * 1e6:
                break
    return found


class Peer:
    """A process of another interpreter that signs the texts it was given whenever it is asked
    to."""

    def __init__(self, python: str, name: str, texts: list[str]) -> None:
        self.process = subprocess.Popen(
            [python, __file__.replace("bench_minhash", "peer_minhash"), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.refusal = self._ask(json.dumps(texts))
        self.ready = self.refusal == "ready"

    def _ask(self, line: str) -> str:
        assert self.process.stdin and self.process.stdout
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        return self.process.stdout.readline().strip()

    def run(self) -> None:
        """Sign all, once."""
        assert self._ask("run") == "done"

    def stop(self) -> None:
        """End it."""
        self.process.communicate("", timeout=10)


if __name__ == "__main__":
    main()
