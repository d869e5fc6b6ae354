"""At most so many documents of a host, and shares by the value of a field."""

import json
from collections import Counter
from pathlib import Path

import looked
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_build import plain_build

from corpora.document import SourceOptions
from pipelines.chance import CHANCES, chance
from pipelines.home.layout import open_home
from pipelines.look.stats import stats
from pipelines.stages.hosts import RECORD, decide

HOSTS = ("a.example", "b.example", "c.example")

RECIPE = """
seed = 3
[sources.mine]
kind = "files"
input = "in/*.jsonl"
id_field = "n"
url_field = "u"
language_field = "lang"
extra_field = "extra"
slice_bytes = {slice_bytes}
{settings}
[dedup]
near = false
[tokenizer]
vocab_size = 300
"""


def build(folder: Path, settings: str, slice_bytes: int = 10**6, until: str = "shards") -> str:
    """60 documents in six files, two thirds of them of hosts: a.example has 30, the others 5."""
    (folder / "in").mkdir(parents=True)
    for name in range(6):
        rows = []
        for number in range(name * 10, name * 10 + 10):
            row = {"n": number, "text": f"The text of document {number} is its own, with words."}
            if number % 2:
                row["u"] = f"https://www.{HOSTS[0]}/{number}"
            elif number % 3 == 0:
                row["u"] = f"http://{HOSTS[1 + number % 4 // 2]}:80/{number}"
            row["lang"] = "lv" if number % 5 == 0 else "en"
            row["extra"] = json.dumps({"stars": number % 3})
            rows.append(json.dumps(row))
        (folder / "in" / f"{name}.jsonl").write_text("\n".join(rows))
    text = RECIPE.format(settings=settings, slice_bytes=slice_bytes)
    (folder / "recipe.toml").write_text(text)
    return plain_build(folder / "recipe.toml", folder / "home", until)


def hosts_of(home: str) -> Counter[str]:
    urls = [record.get("url", "/") for record in looked.documents(home)]
    return Counter(url.replace("www.", "").replace(":80", "").split("/")[-2] for url in urls)


def numbers(home: str) -> set[int]:
    return {int(str(record["extra"]["id"])) for record in looked.documents(home)}


def test_no_host_has_more_than_its_share(tmp_path: Path) -> None:
    home = build(tmp_path / "one", "max_per_host = 4")
    assert hosts_of(home) == {HOSTS[0]: 4, HOSTS[1]: 4, HOSTS[2]: 4, "": 20}
    removed = stats(*open_home(home)).total.removed
    assert removed == {"exact": 0, "hosts": 28}

    # Those with the lowest draws stay, however the source is cut into slices.
    draws = {
        record["id"]: chance(3, "host", record["id"])
        for record in [*looked.documents(home), *looked.documents(home, removed=True)]
        if HOSTS[0] in record.get("url", "")
    }
    wanted = sorted(draws, key=lambda identity: draws[identity])[:4]
    kept = [record["id"] for record in looked.documents(home) if record["id"] in draws]
    assert sorted(kept) == sorted(wanted)
    cut = build(tmp_path / "two", "max_per_host = 4", slice_bytes=600)
    assert numbers(cut) == numbers(home)


def test_a_removed_document_says_why(tmp_path: Path) -> None:
    home = build(tmp_path, "max_per_host = 4", until="dedup")
    gone = next(looked.documents(home, removed=True, reason="too_many_of_host"))
    (record,) = looked.why(home, gone["id"])
    assert (record["outcome"], record["stage"]) == ("removed", "hosts")
    assert record["reason"] == "too_many_of_host"


def test_a_new_file_moves_nothing_but_what_it_displaces(tmp_path: Path) -> None:
    home = build(tmp_path, "max_per_host = 4", until="dedup")
    before = numbers(home)
    row = {"n": 99, "text": "One more of the host.", "u": "http://d.example/", "lang": "en"}
    (tmp_path / "in" / "new.jsonl").write_text(json.dumps(row))
    plain_build(tmp_path / "recipe.toml", tmp_path / "home", "dedup")
    assert numbers(home) == before | {99}


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 2)), max_size=40),
    st.integers(1, 4),
)
def test_the_lowest_draws_stay(rows: list[tuple[int, int, int]], most: int) -> None:
    """Against plain Python; blocks come in any order."""
    records = [(host, draw, index, row) for row, (host, draw, index) in enumerate(rows)]
    blocks = [
        most.to_bytes(8, "little") + np.array([one], RECORD).tobytes() for one in reversed(records)
    ]
    found = {
        (index, row)
        for index, content in decide(blocks)
        for row in np.frombuffer(content, "<u4").tolist()
    }
    wanted = set()
    for host in range(4):
        own = sorted((draw, index, row) for one, draw, index, row in records if one == host)
        wanted |= {(index, row) for _, index, row in own[:most]}
    assert found == wanted


@pytest.mark.parametrize(
    ("settings", "is_kept"),
    [
        ('keep_by = "language"\nkeep_shares = { en = 0, lv = 1 }', lambda n: n % 5 == 0),
        ('keep_by = "extra.stars"\nkeep_shares = { 2 = 1 }\nkeep = 0', lambda n: n % 3 == 2),
        ('keep_by = "host"\nkeep_shares = { "a.example" = 0 }', lambda n: n % 2 == 0),
    ],
)
def test_shares_by_a_field(settings: str, is_kept: object, tmp_path: Path) -> None:
    assert callable(is_kept)
    home = build(tmp_path, settings, until="dedup")
    assert numbers(home) == {number for number in range(60) if is_kept(number)}


def test_a_share_is_drawn_by_the_id(tmp_path: Path) -> None:
    home = build(tmp_path, 'keep_by = "language"\nkeep_shares = { en = 0.5 }', until="dedup")
    every = [*looked.documents(home), *looked.documents(home, removed=True)]
    limit = int(0.5 * CHANCES)
    wanted = {
        record["id"]
        for record in every
        if record["language"] == "lv" or chance(3, "keep", record["id"]) < limit
    }
    assert {record["id"] for record in looked.documents(home)} == wanted
    assert 12 < len(wanted) < 60


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"max_per_host": -1}, "max_per_host: -1 is less than 0"),
        ({"keep": 0.0}, "keep: 0.0 is not above 0 and at most 1"),
        ({"keep_by": "language"}, "keep_by: it names the field of keep_shares"),
        ({"keep_shares": {"en": 1.0}}, "keep_by: it names the field of keep_shares"),
        ({"keep_by": "age", "keep_shares": {"en": 1.0}}, "keep_by: 'age' is not one of url, "),
        ({"keep_by": "host", "keep_shares": {"x": 1.5}}, r"keep_shares: x: 1.5 is not in \[0, 1\]"),
    ],
)
def test_settings_that_mean_nothing(settings: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        SourceOptions(kind="files", input=("a",), **settings)  # type: ignore[arg-type]
