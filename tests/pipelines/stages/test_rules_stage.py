"""The stage `rules`: measures beside the documents, verdicts by the recipe's thresholds, lists of
the user's (row 60), and what the stages after it make of them."""

import datetime
import gzip
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import archives
import looked
import measures_twin
import pyarrow.parquet as pq
import pytest
from looked import stats
from plain_build import run_step

from corpora.cc_news.source import CcNewsOptions
from corpora.document import Document
from corpora.files.source import FilesOptions
from corpora.quality.exclusions import Lists, read_lists
from corpora.quality.rules import MEASURES, RulesConfig
from corpora.text.mojibake import mender
from corpora.text.normalise import exact_digest
from pipelines.adopt import adopt_recipe
from pipelines.home.decisions import (
    attribute_digests,
    kept_rows,
    removed_by_rule,
    removed_count,
    twins,
)
from pipelines.home.layout import Home, open_home, write_recipe
from pipelines.home.summaries import SliceTask, read_summary, summaries
from pipelines.recipe import DedupConfig, Recipe, load_recipe, recipe_digest
from pipelines.stages import exact, ingest
from pipelines.stages import rules as rules_stage
from pipelines.stages.stage import run_task
from shards.errors import UserError

Corpus = Callable[..., tuple[int, str, str]]

LONG, SHORT = archives.english(1), "Too short to be an article of the paper's profile."
TEXTS = [LONG, SHORT, archives.english(2), SHORT, LONG.upper(), archives.english(3)]


def make_home(tmp_path: Path, rules: RulesConfig, texts: list[str] = TEXTS, cuts: int = 1) -> Home:
    """A home with a document a line of one file, ingested in slices of `cuts` lines, or all in
    one."""
    (tmp_path / "in").mkdir(exist_ok=True)
    for number, text in enumerate(texts):
        line = {
            "text": text,
            "url": f"http://www.site{number}.example.com/story?utm_source=x",
            "date": "2017-01-02",
            "title": "A title",
        }
        (tmp_path / "in" / f"{number}.jsonl.gz").write_bytes(
            gzip.compress(json.dumps(line).encode(), mtime=0)
        )
    options = FilesOptions(
        kind="files",
        input=(f"{tmp_path}/in/*.jsonl.gz",),
        language="en",
        url_field="url",
        date_field="date",
        title_field="title",
        slice_bytes=cuts,
        rules=rules,
    )
    home = Home(str(tmp_path / "home"))
    write_recipe(
        home, Recipe(sources={"mine": options}, dedup=DedupConfig(max_removed=1.0, near=False))
    )
    run_step(ingest.READ, home.root)
    return home


def change_rules(home: Home, rules: RulesConfig) -> None:
    _, recipe = open_home(home.root)
    write_recipe(
        home, replace(recipe, sources={"mine": replace(recipe.sources["mine"], rules=rules)})
    )


def run(home: Home) -> None:
    """Both stages, as the pipelines do it."""
    for step in (*rules_stage.STAGE.passes, *exact.STAGE.passes):
        run_step(step, home.root)


def planned_measures(home: Home) -> list[SliceTask]:
    """The tasks of stage `rules`."""
    return rules_stage.plan(*open_home(home.root))


def kept(home: Home) -> list[str]:
    return [record["text"] for record in looked.documents(home.root, None, removed=False)]


def test_measures_lie_row_by_row_beside_the_documents(tmp_path: Path) -> None:
    home = make_home(tmp_path, RulesConfig(profile="paper"), cuts=10_000_000)
    (task,) = planned_measures(home)
    summary = run_task(rules_stage.MEASURE, task)
    table = pq.read_table(home.attributes("rules", "mine", task.name))
    documents = pq.read_table(home.documents("mine", task.name))
    assert summary.counts == {"documents": 6} and table.column("id") == documents.column("id")
    assert table.schema.metadata[b"corpusmill.documents"].decode() == task.ingested.output
    rows = table.to_pylist()
    assert [{name: row[name] for name in MEASURES} for row in rows] == [
        measures_twin.measure(text) for text in TEXTS
    ]
    assert {(row["english"], row["dated"], row["title_characters"]) for row in rows} == {(1, 1, 7)}


def test_a_source_without_rules_is_not_measured(tmp_path: Path) -> None:
    home = make_home(tmp_path, RulesConfig())
    assert planned_measures(home) == []
    _, recipe = open_home(home.root)
    assert recipe.sources["mine"].rules.profile == "none" and all(
        kept_rows(home, recipe, summary, before="exact").all()
        for summary in summaries(home, "ingest")
    )


def test_only_documents_that_the_rules_keep_are_anybody_s_twin(tmp_path: Path) -> None:
    """LONG in capitals is a copy of LONG; once a rule takes LONG, it is the copy that stays. SHORT
    is nobody's copy: it has gone before."""
    home = make_home(tmp_path, RulesConfig(profile="paper"))
    run(home)
    assert kept(home) == [TEXTS[0], TEXTS[2], TEXTS[5]]
    figures = stats(home.root)["total"]
    assert (
        figures["removed"] == {"rules": 2, "exact": 1}
        and figures["rules"] == {"min_words": 2}
        and figures["documents"] == 6
    )
    change_rules(
        home,
        RulesConfig(
            profile="paper", exclude_urls=(_listed(tmp_path, "http://site0.example.com/story"),)
        ),
    )
    run(home)
    assert kept(home) == [TEXTS[2], TEXTS[4], TEXTS[5]]
    assert stats(home.root)["total"]["rules"] == {"exclude_urls": 1, "min_words": 2}


def test_tokens_of_a_given_vocabulary(tmp_path: Path) -> None:
    """Bytes alone: a token each. Without a vocabulary the recipe is refused before anything is
    read."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.save(str(tmp_path / "t.json"))
    bound = len(SHORT.encode()) + 1
    home = make_home(tmp_path, RulesConfig(min_tokens=bound))
    with pytest.raises(UserError, match="min_tokens: a vocabulary is trained only after the rules"):
        planned_measures(home)
    _, recipe = open_home(home.root)
    write_recipe(
        home, replace(recipe, tokenizer=replace(recipe.tokenizer, path=str(tmp_path / "t.json")))
    )
    run(home)
    table = pq.read_table(next(Path(home.root, "attributes", "rules", "mine").iterdir()))
    assert table.num_rows and set(table.column("tokens").to_pylist()) <= {
        len(text.encode()) for text in TEXTS
    }
    assert kept(home) == [TEXTS[0], TEXTS[2], TEXTS[5]] and stats(home.root)["total"]["rules"] == {
        "min_tokens": 2
    }
    before = [task.fingerprint for task in planned_measures(home)]
    (tmp_path / "t.json").write_text((tmp_path / "t.json").read_text() + " ")
    assert all(task.fingerprint != old for task, old in zip(planned_measures(home), before))


def _listed(tmp_path: Path, *lines: str, name: str = "list.txt") -> str:
    (tmp_path / name).write_text("# a comment\n\n" + "\n".join(lines) + "\n")
    return str(tmp_path / name)


def test_a_threshold_changes_without_measuring_or_reading_again(tmp_path: Path) -> None:
    home = make_home(tmp_path, RulesConfig(profile="paper"))
    run(home)
    files = sorted(Path(home.root, "attributes", "rules", "mine").iterdir())
    written = {
        path: path.stat().st_mtime_ns
        for path in [*files, *Path(home.root, "documents", "mine").iterdir()]
    }
    for path in (tmp_path / "in").iterdir():
        path.unlink()
    change_rules(home, RulesConfig(profile="paper", min_words=5))
    assert [task.fingerprint for task in planned_measures(home)] == [
        read_summary(home.summary("rules", "mine", task.name)).fingerprint
        for task in planned_measures(home)
    ]
    run(home)
    assert kept(home) == [TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[5]]
    assert written == {path: path.stat().st_mtime_ns for path in written}


def test_what_later_stages_rest_on_is_the_verdict_not_the_threshold(tmp_path: Path) -> None:
    """A threshold that removes the same documents redoes nothing; one that removes others makes
    dedup stale, and that is said."""
    home = make_home(tmp_path, RulesConfig(profile="paper"))
    run(home)
    _, recipe = open_home(home.root)
    before = [attribute_digests(home, recipe, summary) for summary in summaries(home, "ingest")]
    change_rules(home, RulesConfig(profile="paper", min_words=51))
    _, recipe = open_home(home.root)
    assert before == [
        attribute_digests(home, recipe, summary) for summary in summaries(home, "ingest")
    ]
    change_rules(home, RulesConfig(profile="paper", min_words=5))
    _, recipe = open_home(home.root)
    with pytest.raises(UserError, match="dedup has not run"):
        [attribute_digests(home, recipe, summary) for summary in summaries(home, "ingest")]
    assert stats(home.root)["total"]["removed"] == {"rules": 0, "exact": None}


def test_exact_dedup_of_what_a_rule_removed_elsewhere_is_not_done_again(tmp_path: Path) -> None:
    home = make_home(tmp_path, RulesConfig(profile="paper"))
    run(home)
    written = {
        path: path.stat().st_mtime_ns
        for path in Path(home.root, "attributes", "exact", "mine").iterdir()
    }
    change_rules(home, RulesConfig(profile="paper", min_words=5))
    run(home)
    again = {path: path.stat().st_mtime_ns for path in written}
    assert sum(again[path] != written[path] for path in written) == 2  # the slices with SHORT


def test_row_60_excluded_addresses_domains_and_hashes_go_and_are_counted(tmp_path: Path) -> None:
    home = make_home(tmp_path, RulesConfig())
    documents = list(looked.documents(home.root, None, removed=False))
    rules = RulesConfig(
        exclude_urls=(
            _listed(tmp_path, "https://SITE0.example.com/story/#top", "not/seen", name="urls"),
        ),
        exclude_domains=(_listed(tmp_path, "site2.example.com", "other.org", name="domains"),),
        exclude_hashes=(
            _listed(
                tmp_path, exact_digest(TEXTS[3]).hex(), documents[4]["id"].upper(), name="hashes"
            ),
        ),
    )
    change_rules(home, rules)
    run(home)
    assert kept(home) == [TEXTS[5]]
    figures = stats(home.root)["total"]
    assert figures["removed"] == {"rules": 5, "exact": 0} and figures["rules"] == {
        "exclude_domains": 1,
        "exclude_hashes": 3,
        "exclude_urls": 1,
    }
    (record,) = looked.documents(home.root, None, True, "exclude_domains")
    assert record["text"] == TEXTS[2] and (
        record["stage"],
        record["rule"],
        record["value"],
        record["threshold"],
    ) == ("rules", "exclude_domains", 1.0, 0)
    change_rules(
        home,
        RulesConfig(
            only_domains=(
                _listed(tmp_path, "*.site5.example.com", "http://www.site0.example.com/"),
            )
        ),
    )
    run(home)
    assert kept(home) == [TEXTS[0], TEXTS[5]]


@pytest.mark.parametrize(
    ("domain", "hosts", "others"),
    [
        (
            "example.com",
            ["http://example.com/a", "https://www.example.com", "http://a.b.example.com:8080/x?y"],
            ["http://myexample.com/", "http://example.com.org/"],
        ),
        (
            "www.b\u00fccher.de",
            ["http://xn--bcher-kva.de/", "http://b\u00fccher.de/a", "http://shop.b\u00fccher.de/"],
            ["http://bucher.de/"],
        ),
        (
            "news.example.com",
            ["http://news.example.com/"],
            ["http://example.com/", "http://other.example.com/?u=news.example.com"],
        ),
    ],
)
def test_a_domain_stands_for_its_sub_domains(
    domain: str, hosts: list[str], others: list[str], tmp_path: Path
) -> None:
    lists = read_lists(RulesConfig(exclude_domains=(_listed(tmp_path, domain),)))
    assert [lists.measure("", None, url, "")[1] for url in hosts + others] == [1] * len(hosts) + [
        0
    ] * len(others)
    assert lists.measure("", None, None, "")[1] == 0


def test_lists_that_are_wrong_are_named_with_the_line(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match="exclude_hashes: .*list.txt, line 4: 'xyz' is not 32 hex digits"
    ):
        read_lists(RulesConfig(exclude_hashes=(_listed(tmp_path, "0" * 32, "xyz"),)))
    with pytest.raises(UserError, match="exclude_domains: .*line 3: 'a b' is not a domain"):
        read_lists(RulesConfig(exclude_domains=(_listed(tmp_path, "a b"),)))
    with pytest.raises(UserError, match="exclude_urls: cannot read"):
        read_lists(RulesConfig(exclude_urls=(f"{tmp_path}/none",)))
    options = FilesOptions(
        kind="files", input=("x",), rules=RulesConfig(exclude_urls=(f"{tmp_path}/none",))
    )
    with pytest.raises(UserError, match="cannot read"):
        adopt_recipe(
            str(tmp_path / "new"),
            Recipe(sources={"a": options}),
            lambda _: [],
            lambda _: True,
            lambda _: None,
        )
    assert not (tmp_path / "new").exists()


def test_the_digest_of_lists_is_that_of_what_they_name(tmp_path: Path) -> None:
    one = RulesConfig(exclude_urls=(_listed(tmp_path, "http://a.com/x", "http://b.com"),))
    other = RulesConfig(exclude_urls=(_listed(tmp_path, "b.com/", "www.a.com/x#y", name="other"),))
    assert (
        read_lists(one) == read_lists(other)
        and read_lists(one).digest() == read_lists(other).digest() != ""
    )
    assert (
        Lists(
            urls=frozenset(), domains=frozenset(), hashes=frozenset(), only_domains=frozenset()
        ).digest()
        == ""
    )


def test_own_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_rules.py").write_text(
        "def shouting(document):\n    return sum(map(str.isupper, document.text)) / "
        "len(document.text)\n\n"
        "def second(document):\n    return document.path == '1.jsonl.gz' and document.crawled "
        "is None and document.title == 'A title'\n\n"
        "def broken(document):\n    return 1 / 0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_rules", raising=False)
    home = make_home(
        tmp_path, RulesConfig(functions=("my_rules:shouting > 0.5", "my_rules:second"))
    )
    run(home)
    assert stats(home.root)["total"]["rules"] == {"my_rules:shouting": 1, "my_rules:second": 1}
    written = {
        path: path.stat().st_mtime_ns
        for path in Path(home.root, "attributes", "rules", "mine").iterdir()
    }
    change_rules(home, RulesConfig(functions=("my_rules:shouting > 0.999", "my_rules:second")))
    run(home)
    assert stats(home.root)["total"]["rules"] == {"my_rules:second": 1} and written == {
        path: path.stat().st_mtime_ns for path in written
    }
    change_rules(home, RulesConfig(functions=("my_rules:broken",)))
    with pytest.raises(UserError, match=r"my_rules:broken: 0.jsonl.gz @ 0: ZeroDivisionError"):
        run(home)
    change_rules(home, RulesConfig(functions=("my_rules:none",)))
    with pytest.raises(UserError, match="AttributeError"):
        planned_measures(home)


def test_a_slice_without_documents(tmp_path: Path) -> None:
    home = make_home(tmp_path, RulesConfig(profile="gopher"), [" "])
    run(home)
    _, recipe = open_home(home.root)
    (summary,) = summaries(home, "ingest")
    assert (
        removed_count(home, recipe, "rules", summary) == 0
        and removed_by_rule(home, recipe, summary) == {}
    )


def test_measures_of_other_documents_are_refused(tmp_path: Path) -> None:
    home = make_home(tmp_path, RulesConfig(profile="paper"), [LONG])
    run(home)
    _, recipe = open_home(home.root)
    (summary,) = summaries(home, "ingest")
    with pytest.raises(UserError, match="made from other documents"):
        kept_rows(home, recipe, replace(summary, output="other"))
    assert twins(home, "exact", summary).num_rows == 1


# the recipe


def test_the_profile_of_a_kind_and_thresholds_as_flags(tmp_path: Path, corpus: Corpus) -> None:
    (tmp_path / "a.warc.gz").write_bytes(archives.members(*archives.articles(1)))
    (tmp_path / "blocked.txt").write_text("bad.example.com\n")
    path = tmp_path / "recipe.toml"
    path.write_text(
        '[sources.news]\nkind = "cc_news"\ninput = "a.warc.gz"\n[sources.news.rules]\n'
        'min_words = 60\nexclude_domains = "blocked.txt"\n'
        '[sources.other]\nkind = "cc_news"\ninput = "a.warc.gz"\nrules.profile = "c4"\n'
        '[sources.texts]\nkind = "files"\ninput = "*.txt"\n'
    )
    recipe = load_recipe(str(path))
    assert [options.rules.profile for options in recipe.sources.values()] == ["paper", "c4", "none"]
    assert (
        recipe.sources["news"].rules.exclude_domains == (str(tmp_path / "blocked.txt"),)
        and recipe.sources["news"].rules.min_words == 60
    )
    flags = [
        "--sources.news.rules.min-words",
        40,
        "--sources.news.rules.off",
        "max_mean_word_length",
        "--sources.texts.rules.profile",
        "gopher",
    ]
    code, out, err = corpus("build", path, "--home", tmp_path / "home", "--dry-run", *flags)
    assert code == 0, err
    assert (
        "min_words = 40" in out
        and "#   min_words = 40\n#   min_mean_word_length = 3.0\n#   min_stop_words = 2\n" in out
        and 'profile = "gopher"' in out
    )
    (tmp_path / "fed_back.toml").write_text(out)
    again = load_recipe(str(tmp_path / "fed_back.toml"))
    assert again.sources["news"].rules.min_words == 40 and again.sources["news"].rules.off == (
        "max_mean_word_length",
    )


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        ("min_word = 4", "sources.news.rules.min_word: unknown key", "min_words"),
        ('profile = "golpher"', "'golpher' is not one of", "gopher"),
        (
            'off = ["min_wrds"]',
            "sources.news.rules.off: no rule 'min_wrds'; did you mean min_words?",
            "",
        ),
        ("min_words = 4.5", "sources.news.rules.min_words: 4.5 is not a whole number", ""),
        ('functions = "nothing"', "'nothing' is not module:function", ""),
    ],
)
def test_what_is_wrong_in_the_table_is_named(
    line: str, what: str, hint: str, tmp_path: Path
) -> None:
    (tmp_path / "recipe.toml").write_text(
        f'[sources.news]\nkind = "cc_news"\ninput = "a"\n[sources.news.rules]\n{line}\n'
    )
    with pytest.raises(UserError) as caught:
        load_recipe(str(tmp_path / "recipe.toml"))
    assert what in caught.value.what and hint in caught.value.hint


def test_thresholds_count_in_the_recipe_s_digest_and_places_do_not() -> None:
    def digest(rules: RulesConfig) -> str:
        return recipe_digest(Recipe(sources={"a": CcNewsOptions(input=("x",), rules=rules)}))

    paper = RulesConfig(profile="paper")
    assert (
        digest(paper)
        != digest(replace(paper, min_words=40))
        != digest(replace(paper, profile="none"))
    )
    assert digest(paper) == digest(replace(paper, exclude_urls=("somewhere",)))


def test_ingest_does_not_depend_on_the_rules(tmp_path: Path) -> None:
    home = make_home(tmp_path, RulesConfig(), [LONG])
    (before,) = ingest.plan(*open_home(home.root))
    change_rules(home, RulesConfig(profile="gopher"))
    (after,) = ingest.plan(*open_home(home.root))
    assert before.fingerprint == after.fingerprint


def test_ftfy_mends_where_it_is_asked_and_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "It\u00e2\u20ac\u2122s a story \u2014 caf\u00c3\u00a9 \u201cquoted\u201d &amp; \ufb01ne"

    def texts(mend: bool) -> list[str]:
        home = make_home(tmp_path, RulesConfig(), [wrong])
        _, recipe = open_home(home.root)
        write_recipe(
            home, replace(recipe, sources={"mine": replace(recipe.sources["mine"], ftfy=mend)})
        )
        run_step(ingest.READ, home.root)
        return kept(home)

    assert texts(False) == [wrong]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "ftfy", None)
        mender.cache_clear()  # another test of this process may have imported it
        with pytest.raises(UserError, match="needs the package ftfy") as caught:
            texts(True)
        assert caught.value.exit_code == 3 and "pip install '.[ftfy]'" in caught.value.hint
    pytest.importorskip("ftfy")
    assert texts(True) == ["It\u2019s a story \u2014 caf\u00e9 \u201cquoted\u201d &amp; \ufb01ne"]


def test_why_gives_the_rule_the_value_and_the_threshold(tmp_path: Path, corpus: Corpus) -> None:
    home = make_home(tmp_path, RulesConfig(profile="paper"))
    run(home)
    gone = next(looked.documents(home.root, None, True))
    (fate,) = looked.why(home.root, gone["id"])
    assert {key: fate[key] for key in ("outcome", "stage", "rule", "value", "threshold")} == {
        **{
            "outcome": "removed",
            "stage": "rules",
            "rule": "min_words",
            "value": 10.0,
            "threshold": 50,
        }
    }
    code, out, _ = corpus("why", home.root, gone["id"])
    assert code == 0 and "removed: by the rule min_words (10, threshold 50)\n" in out
    code, out, _ = corpus(
        "show", home.root, "--removed", "--reason", "min_words", "--n", 9, "--json"
    )
    assert [record["text"] for record in json.loads(out)["records"]] == [SHORT, SHORT]
    code, _, err = corpus("show", home.root, "--removed", "--reason", "min_word")
    assert code == 2 and "did you mean the rule min_words?" in err
    code, out, _ = corpus("stats", home.root)
    assert (
        "removed: rules min_words        2" in out.replace("  ", " ").replace("  ", " ")
        or "removed: rules min_words" in out
    )


def test_a_document_for_a_function_is_whole() -> None:
    row: dict[str, Any] = dict.fromkeys(("url", "title", "date", "language", "digest"))
    moment = datetime.datetime(2017, 1, 2, tzinfo=datetime.timezone.utc)
    document = rules_stage._document(
        {
            **row,
            "id": "0",
            "text": "t",
            "path": "p",
            "position": 3,
            "crawled": moment,
            "extra": '{"id": "x"}',
        }
    )
    assert document == Document(path="p", position=3, text="t", crawled=moment, extra={"id": "x"})
