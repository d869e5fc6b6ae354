"""The report of a vocabulary: every figure is recounted here from the shards and the texts."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from looked import documents, figures, stats
from plain_build import plain_build
from tokenizers import Tokenizer

from pipelines.chance import CHANCES, chance
from pipelines.look.vocabulary import RARE, bytes_of, odd_kind, shown
from pipelines.stages.token_counts import packed_uses, uses_of

Corpus = Callable[..., tuple[int, str, str]]

RECIPE = """
[sources.english]
kind = "files"
input = "{folder}/english.jsonl"
label = "en"
[sources.other]
kind = "files"
input = "{folder}/other.jsonl"
[tokenizer]
vocab_size = 400
sample_bytes = {sample_bytes}
[dedup]
near = false
"""

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def write(folder: Path, sample_bytes: object) -> str:
    folder.mkdir()
    english = [f"The cat number {n} sat on the mat, ------ and it was {n * n}." for n in range(60)]
    other = [f"Добро пожаловать, {n}. Привет!" for n in range(30)]
    for name, texts in (("english", english), ("other", other)):
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (folder / f"{name}.jsonl").write_text(lines)
    (folder / "recipe.toml").write_text(RECIPE.format(folder=folder, sample_bytes=sample_bytes))
    return plain_build(folder / "recipe.toml", folder / "home")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(tmp_path_factory.mktemp("vocabulary") / "sample", 1500)


def tokens_by_id(home: str) -> dict[str, list[int]]:
    """The tokens of each document in the shards."""
    found = {}
    for path in Path(home, "shards").glob("*.arrow"):
        table = pa.ipc.open_file(path).read_all()
        found.update(zip(table.column("id").to_pylist(), table.column("tokens").to_pylist()))
    return found


def counted(home: str, rows: list[Any]) -> dict[str, Any]:
    """Bytes, tokens and single bytes of documents, by `tokenizers` and the shards alone."""
    tokenizer = Tokenizer.from_file(str(Path(home, "shards", "tokenizer.json")))
    tokens = tokens_by_id(home)
    found = Counter(bytes=0, tokens=0, single_bytes=0)
    for row in rows:
        ids = tokens[row["id"]]
        names = [tokenizer.id_to_token(number) for number in ids]
        found["bytes"] += len(row["text"].encode())
        found["tokens"] += len(ids)
        # Each letter of a token's name is one byte.
        found["single_bytes"] += sum(len(name) == 1 for name in names)
    return {
        **found,
        "bytes_per_token": round(found["bytes"] / found["tokens"], 4),
        "single_share": round(found["single_bytes"] / found["tokens"], 6),
    }


def test_bytes_and_tokens_are_exact(home: str) -> None:
    found = stats(home)["vocabulary"]
    rows = list(documents(home))
    by_source: dict[str, list[Any]] = {}
    by_language: dict[str, list[Any]] = {}
    for row in rows:
        by_source.setdefault(row["source"], []).append(row)
        by_language.setdefault(row.get("language", "unknown"), []).append(row)

    assert found["total"] == counted(home, rows)
    assert found["sources"] == {name: counted(home, of) for name, of in by_source.items()}
    assert set(found["languages"]) == {"en", "unknown"}
    assert found["languages"] == {code: counted(home, of) for code, of in by_language.items()}
    assert found["total"]["tokens"] == stats(home)["total"]["tokens"]


def test_ids_are_exact(home: str) -> None:
    found = stats(home)["vocabulary"]
    tokenizer = Tokenizer.from_file(str(Path(home, "shards", "tokenizer.json")))
    ordinary = [n for name, n in tokenizer.get_vocab().items() if name not in SPECIAL]
    uses = Counter[int]()
    for ids in tokens_by_id(home).values():
        uses.update(ids)

    assert found["ids"] == tokenizer.get_vocab_size() and found["trained_on"] == "sample"
    assert found["unused"] == sum(uses[number] == 0 for number in ordinary)
    assert found["rare"] == sum(uses[number] < RARE for number in ordinary)
    ordered = sorted(ordinary, key=lambda n: (-len(tokenizer.id_to_token(n)), n))
    assert [row["id"] for row in found["longest"]] == ordered[:10]
    assert [row["uses"] for row in found["longest"]] == [
        min(uses[number], RARE) for number in ordered[:10]
    ]
    unused = [number for number in ordered if not uses[number]]
    assert [row["id"] for row in found["unused_examples"]] == unused[:10]
    kinds = {row["kind"]: row["entries"] for row in found["odd"]}
    assert kinds["one character repeated"] >= 1 and kinds["parts of characters"] >= 1


def test_what_a_sample_costs(home: str, tmp_path: Path) -> None:
    found = stats(home)["vocabulary"]["sample"]
    rows = list(documents(home))
    size = sum(len(row["text"].encode()) for row in rows)
    threshold = CHANCES * 1500 // size
    sampled = [row for row in rows if chance(0, "tokenizer", row["id"]) < threshold]
    others = [row for row in rows if chance(0, "tokenizer", row["id"]) >= threshold]
    assert 5 < len(sampled) < 60
    for name, part in (("sample", sampled), ("others", others)):
        exact = counted(home, part)
        assert found[name] == {key: exact[key] for key in ("bytes", "tokens", "bytes_per_token")}
    per_byte = found["sample"]["tokens"] / found["sample"]["bytes"]
    tokens = found["sample"]["tokens"] + found["others"]["tokens"]
    assert found["lost"] == pytest.approx(1 - size * per_byte / tokens, abs=1e-6)
    assert found["lost"] > 0

    # With all text in it there is nothing outside.
    for number, sample_bytes in enumerate((1_000_000, '"all"')):
        whole = stats(write(tmp_path / str(number), sample_bytes))["vocabulary"]
        assert "sample" not in whole
        assert whole["trained_on"] == ("all" if number else "sample")
        assert whole["total"]["tokens"] < found["sample"]["tokens"] + found["others"]["tokens"]


def test_stats_report_and_card_say_the_same(home: str, corpus: Corpus, tmp_path: Path) -> None:
    found = stats(home)["vocabulary"]
    assert figures(home)["vocabulary"] == found
    code, out, _ = corpus("stats", home)
    assert code == 0
    assert corpus("report", home, "--out", tmp_path / "report.html")[0] == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    # Markdown shows a sign behind a backslash as it is.
    card = re.sub(r"\\(\W)", r"\1", Path(home, "shards", "README.md").read_text("utf-8"))
    total = found["total"]
    ratio = f"{total['bytes_per_token']:.2f}"
    for text in (out, page, card):
        for figure in (f"{total['bytes']:,}", f"{total['tokens']:,}", ratio, f"{found['unused']}"):
            assert figure in text
        assert all(row["text"] in text for row in found["longest"])
        assert all(row["kind"] in text for row in found["odd"])
    assert "would save at most about" in page and "would save at most about" in card


def test_before_the_vocabulary_and_in_homes_that_did_not_count(
    home: str, tmp_path: Path, corpus: Corpus
) -> None:
    import shutil

    other = tmp_path / "home"
    shutil.copytree(home, other)
    for path in (other / "summaries" / "shards").rglob("*.json"):
        data = json.loads(path.read_text())
        path.write_text(json.dumps({key: data[key] for key in data if key != "uses"}))
    for path in (other / "summaries" / "tokenize").rglob("*.json"):
        data = json.loads(path.read_text())
        path.write_text(json.dumps({key: data[key] for key in data if key != "languages"}))
    found = stats(str(other))["vocabulary"]
    assert found["total"] is found["unused"] is found["rare"] is None
    assert corpus("stats", other)[0] == corpus("report", other)[0] == 0

    shutil.rmtree(other / "tokenizer")
    assert "vocabulary" not in stats(str(other))
    assert corpus("report", other)[0] == 0


@pytest.mark.parametrize(
    "text, kind",
    [
        (b"\xe4\xbd", "parts of characters"),
        (b"\xe4", ""),
        (b" -----", "one character repeated"),
        (b"---", ""),
        (b"://..", "signs and digits"),
        ("paо".encode(), "Latin letters beside others"),
        (b" GoldMagikarp", "capitals inside words"),
        (b" the", ""),
        ("漢字".encode(), ""),
    ],
)
def test_odd_kinds(text: bytes, kind: str) -> None:
    assert odd_kind(text) == kind


def test_entries_are_shown_as_plain_text() -> None:
    assert shown(b" the") == "\u2423the"
    assert shown(b"\xe4\xbd\n") == "\\xe4\\xbd\\n"
    assert shown("a\u202eb\u0301漢".encode()) == "a\\u202eb\u0301漢"
    assert shown(b"-" * 50) == "-" * 40 + "\u2026"


def test_uses_add_up_to_exact_counts_below_the_bound() -> None:
    draw = np.random.default_rng(0)
    parts = [draw.zipf(1.3, 3000) % 500 for _ in range(3)]
    tokens = np.concatenate(parts)
    exact = np.minimum(np.bincount(tokens, minlength=500), RARE)
    packed = [packed_uses(part.astype(np.uint16)) for part in parts]
    assert uses_of(packed, 500).tolist() == exact.tolist()
    assert (
        packed_uses(np.zeros(0, np.uint16)) and uses_of([packed_uses(parts[0][:0])], 3).sum() == 0
    )


def test_a_space_is_a_space_in_unigram_vocabularies() -> None:
    steps = {"type": "Sequence", "pretokenizers": [{"type": "Metaspace", "replacement": "\u2581"}]}
    written = bytes_of({"model": {"type": "Unigram", "vocab": []}, "pre_tokenizer": steps})
    assert written("\u2581the") == b" the"
    assert shown(written("\u2581the")) == "\u2423the"

    # Elsewhere it is a character like others.
    plain = bytes_of({"model": {"type": "WordPiece", "vocab": {}}, "pre_tokenizer": None})
    assert plain("\u2581") == "\u2581".encode()
