"""Rules and lists that can apply to no document of a source are named, once, with the remedy."""

import json
from pathlib import Path

import pytest
from plain_build import plain_build

from corpora.quality.rules import RULES as ALL_RULES
from pipelines.home.layout import open_home
from pipelines.stages import idle_rules, rules
from pipelines.stages.job import Job

EN = "The council met again to talk about the bridge and about those who live near it, number {}. "
ZH = "市议会再次开会，讨论这座桥以及住在桥附近的居民。"


def lines(folder: Path, rows: list[dict[str, str]], keys: str, keys_of_rules: str) -> list[str]:
    """The warnings of the stage `rules` over these rows, each a line of JSON."""
    (folder / "in").mkdir()
    (folder / "in" / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "blocked.txt").write_text("tabloid.example\n")
    recipe = folder / "recipe.toml"
    recipe.write_text(
        f'[sources.mine]\nkind = "files"\ninput = "in/*"\nslice_bytes = 200\n{keys}\n'
        f"[sources.mine.rules]\n{keys_of_rules}\n[tokenizer]\nvocab_size = 300\n"
    )
    home = open_home(plain_build(recipe, folder / "home", "dedup"))
    said: list[str] = []
    rules.account(Job(home[0], home[1], 0, (), said.append))
    return [line for line in said if line.startswith("warning") and "more than half" not in line]


TEXTS = [{"text": EN.format(number) * 3} for number in range(6)]
FIELDS = {"address": "url_field", "date": "date_field", "title": "title_field"}


@pytest.mark.parametrize(
    ("keys_of_rules", "expected"),
    [
        ('exclude_domains = "blocked.txt"', "address: exclude_domains removes nothing of them ("),
        ('exclude_urls = "blocked.txt"', "address: exclude_urls removes nothing of them ("),
        ('only_domains = "blocked.txt"', "address: only_domains removes all of them ("),
        ("max_url_characters = 99", "address: max_url_characters removes nothing of them ("),
        (
            'exclude_domains = "blocked.txt"\nmax_url_endings = 1\nmax_url_sections = 1',
            "address: exclude_domains, max_url_endings, max_url_sections remove nothing of them (",
        ),
        ("require_date = true", "date: require_date removes all of them ("),
        ("min_title_characters = 3", "title: min_title_characters removes all of them ("),
    ],
)
def test_what_needs_a_field_that_no_document_has(
    keys_of_rules: str, expected: str, tmp_path: Path
) -> None:
    (line,) = lines(tmp_path, TEXTS, "", keys_of_rules)
    assert line.startswith("warning: mine: none of 6 documents has a")
    assert expected in line and f"set {field_of(line)} for .jsonl and .parquet" in line


def field_of(line: str) -> str:
    """The field of `files` that gives what the documents lack."""
    (field,) = [name for what, name in FIELDS.items() if f" {what}: " in line]
    return field


def test_one_document_with_the_field_is_enough(tmp_path: Path) -> None:
    """In the last of several slices."""
    rows = [*TEXTS, {"text": EN * 2, "u": "http://a.example/x", "t": "Bridge", "d": "2020-01-01"}]
    keys = 'url_field = "u"\ntitle_field = "t"\ndate_field = "d"'
    every = 'exclude_domains = "blocked.txt"\nmin_title_characters = 3\nrequire_date = true'
    assert lines(tmp_path, rows, keys, every) == []


def test_a_field_that_no_row_has_is_named(tmp_path: Path) -> None:
    (line,) = lines(tmp_path, TEXTS, 'url_field = "uri"', 'exclude_urls = "blocked.txt"')
    assert line.endswith("(no record has a usable url_field 'uri')")


def test_rules_of_english_where_no_language_is_known(tmp_path: Path) -> None:
    (line,) = lines(tmp_path, TEXTS, "", "min_stop_words = 2")
    expected = "none of 6 documents has a known language: min_stop_words removes nothing of them"
    assert expected in line and 'set language = "en"' in line


@pytest.mark.parametrize("keys", ['language = "en"', 'label = "en-GB"', 'label = "de"'])
def test_a_language_that_is_told_leaves_no_doubt(keys: str, tmp_path: Path) -> None:
    assert lines(tmp_path, TEXTS, keys, "min_stop_words = 2") == []


def test_rules_of_words_in_a_script_without_spaces(tmp_path: Path) -> None:
    rows = [{"text": ZH * number} for number in range(1, 5)]
    (line,) = lines(tmp_path, rows, "", "min_mean_word_length = 3\nmin_words = 1")
    assert "none of 4 documents has words between spaces: min_mean_word_length removes" in line


def test_a_profile_counts_as_much_as_a_setting(tmp_path: Path) -> None:
    found = lines(tmp_path, TEXTS, "", 'profile = "realnews"')
    assert [line.split(": ")[3].partition(" (")[0] for line in found] == [
        "max_url_characters, max_url_endings, max_url_sections remove nothing of them",
        "require_date removes all of them",
        "min_title_characters removes all of them",
    ]


def test_every_rule_that_reads_a_field_is_known() -> None:
    """A new rule on another field than the text must say what it needs."""
    of_records = {"dated", "title_characters", "url_characters", "url_endings", "url_sections"}
    for rule in ALL_RULES.values():
        assert (idle_rules.need_of(rule) is not None) == (
            rule.measure in of_records or rule.english or rule.over == "spaced_words"
        )
