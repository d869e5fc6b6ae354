"""Rules of quality: each compares one measure of a document with a threshold of the recipe.

Measures are taken once (`corpora.quality.measures`) and stored. Which documents are removed is
computed from the stored numbers, so a threshold changes without reading a text again.

Sources: RoBERTa states no rule, so `paper` is the least that its corpus implies; Gopher (Rae et al.
2021, appendix A.1.1), C4 (Raffel et al. 2020, section 2.2), FineWeb (Penedo et al. 2024, section
3), RealNews (Zellers et al. 2019, its released code). Where a paper and its code disagree, the
paper's figure stands; docs/corpora.md lists these places.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from corpora.quality.word_lengths import OF_ENGLISH, figures
from shards.config import Setting, setting
from shards.errors import nearest

if TYPE_CHECKING:  # numpy is not loaded for the sake of `--help`
    import numpy as np
    from numpy.typing import NDArray

    Column = NDArray[Any]  # whole numbers, but for `id`

Profile = Literal["default", "none", "paper", "gopher", "c4", "fineweb", "realnews", "openwebtext"]

Comparison = Literal["<", "<=", ">", ">="]

_COMPARISONS: tuple[Comparison, ...] = ("<=", ">=", "<", ">")

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Gopher's list. An English text has at least two of them."""

TOP_N = (2, 4)
"""Gopher measures the most frequent n-gram for n in this range, both ends included."""

DUPLICATE_N = (5, 10)
"""Gopher measures repeated n-grams for n in this range, both ends included."""

MEASURES = (
    # words and characters
    "characters",
    "words",
    "spaced_words",
    "word_characters",
    "words_with_letters",
    "stop_words",
    "broken_characters",
    "number_signs",
    "ellipses",
    "line_feeds",
    "braces",
    "lorem_ipsum",
    # n-grams of words
    "repetition_characters",
    *(f"top_{n}_gram_characters" for n in range(TOP_N[0], TOP_N[1] + 1)),
    *(f"duplicate_{n}_gram_characters" for n in range(DUPLICATE_N[0], DUPLICATE_N[1] + 1)),
    # lines and paragraphs
    "lines",
    "line_characters",
    "duplicate_lines",
    "duplicate_line_characters",
    "bullet_lines",
    "ellipsis_lines",
    "short_lines",
    "punctuated_lines",
    "paragraphs",
    "duplicate_paragraphs",
    "duplicate_paragraph_characters",
    "boilerplate_words",
    # C4
    "c4_sentences",
    "c4_sentences_any_end",
    "c4_characters",
)
"""Measures of a text, in the order in which `corpora.quality.measures` writes them."""

RECORD_MEASURES = (
    "english",
    "dated",
    "title_characters",
    "url_characters",
    "url_endings",
    "url_sections",
    "word_lengths",
)
"""Measures of a document's other fields. `english` is 1, 0, or -1 for an unknown language;
`word_lengths` is the row of the language in `corpora.quality.word_lengths`."""

TEST_SET_NGRAMS = "test_set_ngrams"
"""The measure that needs test sets, and is taken only where `test_sets` names some."""

OPT_OUTS = "opt_outs"
"""The measure that is taken only for a rule that reads it: signs that a page is not to be used for
training (`corpora.web.opt_outs`)."""

TOKENS = "tokens"
"""The measure that needs a vocabulary, and is taken only for a rule that reads it."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Removes a document whose `measure` stands in the relation `fires` to the threshold.

    `over` names a second measure by which the first is divided; the rule does not apply to a
    document in which that one is 0. `english`: the rule applies to English documents only.
    `figure`: 0 or 1 for a rule whose threshold, where it is that of English, is replaced by the
    least or most characters a word of the document's language. `own`: the measure is a function of
    the user's.
    """

    name: str
    measure: str
    fires: Comparison
    over: str = ""
    english: bool = False
    figure: int = -1
    own: bool = False

    def columns(self) -> tuple[str, ...]:
        """The measures that the rule reads."""
        columns = [self.measure]
        if self.over:
            columns.append(self.over)
        if self.english:
            columns.append("english")
        if self.figure >= 0:
            columns.append("word_lengths")
        return tuple(columns)


def _rule(
    measure: str,
    fires: Comparison,
    over: str = "",
    english: bool = False,
    later: bool = False,
    figure: int = -1,
) -> Any:
    # `Any`, as `dataclasses.field` has it: the result stands for a value of the field's own type.
    rule = Rule(name="", measure=measure, fires=fires, over=over, english=english, figure=figure)
    affects = Setting(affects="rules", later=later)
    return field(default=None, metadata={"rule": rule, "setting": affects})


@dataclass(frozen=True, kw_only=True)
class RulesConfig:
    """Which documents are removed for their quality: the rules of a profile, and thresholds that
    override or extend them. See docs/corpora.md."""

    profile: Profile = setting("default", affects="rules")
    """Rules to start from: none, paper, gopher, c4, fineweb, realnews or openwebtext. `default` is
    paper for cc_news, openwebtext for that kind, and none for all others."""
    off: tuple[str, ...] = setting((), affects="rules")
    """Names of rules of the profile to leave out."""
    functions: tuple[str, ...] = setting((), affects="rules")
    """Measures of your own, each the `module:function` of a document. The document is removed if
    the function returns true, or, with a comparison as in "my.rules:shouting > 0.3", if the number
    that it returns satisfies the comparison."""
    exclude_urls: tuple[str, ...] = setting((), affects="rules", place=True)
    """Files that list addresses, one per line. Documents with one of these addresses are removed,
    however the address is spelled."""
    exclude_domains: tuple[str, ...] = setting((), affects="rules", place=True)
    """Files that list domains, one per line. Documents of these domains and of their sub-domains
    are removed."""
    exclude_hashes: tuple[str, ...] = setting((), affects="rules", place=True)
    """Files that list hashes of 32 hex digits, one per line. A document is removed if its `id`, its
    `digest` or the hash of its folded text is listed."""
    only_domains: tuple[str, ...] = setting((), affects="rules", place=True)
    """Files that list domains, one per line. Documents of all other domains are removed. RealNews
    has such a list."""
    test_sets: tuple[str, ...] = setting((), affects="rules", place=True, later=True)
    """Folders with the published files of GLUE, SQuAD or RACE. The passages of their development
    and test files are looked for in every document, and what is found is kept beside it.
    max_test_set_ngrams removes such documents."""
    test_set_words: int = setting(13, affects="rules", later=True)
    """Words of a passage of a test set, at least 8. A text of fewer words, but 8 or more, is looked
    for as a whole."""
    require_date: bool | None = _rule("dated", "<")
    """Remove documents without a date."""
    min_title_characters: int | None = _rule("title_characters", "<")
    """Remove documents with a shorter title than this, or without one."""
    max_url_characters: int | None = _rule("url_characters", ">")
    """Remove documents with a longer address than this."""
    max_url_endings: int | None = _rule("url_endings", ">")
    """Remove documents whose address contains .com, .co.uk, .net or .org more often than this."""
    max_url_sections: int | None = _rule("url_sections", ">")
    """Remove documents whose address has more than this many parts that are no article (/video/,
    /gallery/, /tag/, /search/, ...)."""
    min_characters: int | None = _rule("characters", "<")
    """Remove documents with fewer characters than this."""
    max_characters: int | None = _rule("characters", ">")
    """Remove documents with more characters than this."""
    min_words: int | None = _rule("words", "<")
    """Remove documents with fewer words than this. A word is a run between white space that holds
    a letter or a digit; in a script without spaces, one letter."""
    max_words: int | None = _rule("words", ">")
    """Remove documents with more words than this."""
    min_tokens: int | None = _rule(TOKENS, "<")
    """Remove documents with fewer tokens of the given vocabulary than this. Requires `path` in
    `[tokenizer]`: a tokenizer that the build trains learns from the documents that are kept."""
    min_mean_word_length: float | None = _rule(
        "word_characters", "<", over="spaced_words", figure=0
    )
    """Remove documents whose words are shorter than this on average, in characters from a word's
    first to its last letter or digit. Does not apply to scripts without spaces. 3 is a figure of
    English: documents in 94 other languages are asked for FineWeb-2's of theirs."""
    max_mean_word_length: float | None = _rule(
        "word_characters", ">", over="spaced_words", figure=1
    )
    """Remove documents whose words are longer than this on average; 10 is a figure of English, as
    above."""
    max_number_signs: float | None = _rule("number_signs", ">", over="words")
    """Remove documents with more number signs (#) per word than this."""
    max_ellipses: float | None = _rule("ellipses", ">", over="words")
    """Remove documents with more ellipses per word than this."""
    max_bullet_lines: float | None = _rule("bullet_lines", ">", over="lines")
    """Remove documents in which more than this share of the lines begins with a bullet (\u2022, -,
    *)."""
    max_ellipsis_lines: float | None = _rule("ellipsis_lines", ">", over="lines")
    """Remove documents in which more than this share of the lines ends with an ellipsis."""
    min_words_with_letters: float | None = _rule("words_with_letters", "<", over="words")
    """Remove documents in which less than this share of the words contains a letter."""
    min_stop_words: int | None = _rule("stop_words", "<", english=True)
    """Remove documents with fewer different stop words than this: the, be, to, of, and, that, have,
    with, in any case. Applies to English documents only."""
    max_broken_characters: float | None = _rule("broken_characters", ">", over="characters")
    """Remove documents in which more than this share of the characters is broken: control
    characters and U+FFFD."""
    max_duplicate_lines: float | None = _rule("duplicate_lines", ">", over="lines")
    """Remove documents in which more than this share of the lines repeats an earlier line."""
    max_duplicate_paragraphs: float | None = _rule("duplicate_paragraphs", ">", over="paragraphs")
    """Remove documents in which more than this share of the paragraphs repeats an earlier
    paragraph."""
    max_duplicate_line_characters: float | None = _rule(
        "duplicate_line_characters", ">", over="characters"
    )
    """Remove documents in which more than this share of the characters is in repeated lines."""
    max_duplicate_paragraph_characters: float | None = _rule(
        "duplicate_paragraph_characters", ">", over="characters"
    )
    """Remove documents in which more than this share of the characters is in repeated
    paragraphs."""
    max_top_2_gram: float | None = _rule("top_2_gram_characters", ">", over="repetition_characters")
    """Remove documents in which more than this share of the characters belongs to the most frequent
    2-gram of words."""
    max_top_3_gram: float | None = _rule("top_3_gram_characters", ">", over="repetition_characters")
    """Remove documents in which more than this share of the characters belongs to the most frequent
    3-gram of words."""
    max_top_4_gram: float | None = _rule("top_4_gram_characters", ">", over="repetition_characters")
    """Remove documents in which more than this share of the characters belongs to the most frequent
    4-gram of words."""
    max_duplicate_5_grams: float | None = _rule(
        "duplicate_5_gram_characters", ">", over="repetition_characters"
    )
    """Remove documents in which more than this share of the characters is in repeated 5-grams of
    words."""
    max_duplicate_6_grams: float | None = _rule(
        "duplicate_6_gram_characters", ">", over="repetition_characters"
    )
    """Remove documents in which more than this share of the characters is in repeated 6-grams of
    words."""
    max_duplicate_7_grams: float | None = _rule(
        "duplicate_7_gram_characters", ">", over="repetition_characters"
    )
    """Remove documents in which more than this share of the characters is in repeated 7-grams of
    words."""
    max_duplicate_8_grams: float | None = _rule(
        "duplicate_8_gram_characters", ">", over="repetition_characters"
    )
    """Remove documents in which more than this share of the characters is in repeated 8-grams of
    words."""
    max_duplicate_9_grams: float | None = _rule(
        "duplicate_9_gram_characters", ">", over="repetition_characters"
    )
    """Remove documents in which more than this share of the characters is in repeated 9-grams of
    words."""
    max_duplicate_10_grams: float | None = _rule(
        "duplicate_10_gram_characters", ">", over="repetition_characters"
    )
    """Remove documents in which more than this share of the characters is in repeated 10-grams of
    words."""
    max_lorem_ipsum: int | None = _rule("lorem_ipsum", ">")
    """Remove documents with more occurrences of "lorem ipsum" than this."""
    max_braces: int | None = _rule("braces", ">")
    """Remove documents with more opening braces than this."""
    min_c4_sentences: int | None = _rule("c4_sentences", "<")
    """Remove documents with fewer sentences than this in the lines that C4 would keep. The text
    itself keeps all its lines."""
    min_c4_sentences_any_end: int | None = _rule("c4_sentences_any_end", "<")
    """The same, with lines that do not end with a punctuation mark counted too."""
    min_c4_characters: float | None = _rule("c4_characters", "<", over="characters")
    """Remove documents in which less than this share of the characters is in the lines that C4
    would keep."""
    c4_line_words: int = setting(3, affects="rules")
    """C4 keeps no line of fewer words: 3 in its paper, 5 in its code."""
    min_punctuated_lines: float | None = _rule("punctuated_lines", "<=", over="lines")
    """Remove documents in which at most this share of the lines ends with a punctuation mark (. ! ?
    ...)."""
    max_repeated_line_characters: float | None = _rule(
        "duplicate_line_characters", ">=", over="line_characters"
    )
    """Remove documents in which at least this share of the characters of all lines is in repeated
    lines."""
    max_short_lines: float | None = _rule("short_lines", ">=", over="lines")
    """Remove documents in which at least this share of the lines is shorter than 30 characters."""
    max_line_feeds: float | None = _rule("line_feeds", ">", over="words")
    """Remove documents with more line feeds per word than this."""
    max_boilerplate_words: float | None = _rule("boilerplate_words", ">", over="words")
    """Remove documents in which more than this share of the words is in boilerplate lines: credits,
    invitations to read on or sign up, counters, lines of one word, of capitals or of digits."""

    max_test_set_ngrams: int | None = _rule(TEST_SET_NGRAMS, ">", later=True)
    """Remove documents in which passages of the test sets begin at more words than this: 0 removes
    every document that holds one. Requires `test_sets`."""
    max_opt_outs: int | None = _rule(OPT_OUTS, ">", later=True)
    """Remove web pages that opt out of the training of models by more signs than this: 0 removes
    every page with `noai`, `noimageai` or `tdm-reservation`, in its elements or its head of
    HTTP."""

    def __post_init__(self) -> None:
        if self.test_set_words < 8:
            raise ValueError(f"test_set_words: {self.test_set_words} is less than 8")
        for name in self.off:
            if name not in RULES:
                raise ValueError(f"off: no rule {name!r}; {nearest(name, RULES)}")
        for name in RULES:
            threshold = getattr(self, name)
            if threshold is not None and threshold < 0:
                raise ValueError(f"{name}: {threshold} is less than 0")
        for text in self.functions:
            _parse_function(text)


RULES: dict[str, Rule] = {
    entry.name: replace(entry.metadata["rule"], name=entry.name)
    for entry in fields(RulesConfig)
    if "rule" in entry.metadata
}
"""Every rule by its name. Rules that are not in the profile are applied in this order."""

_LISTS = {
    "exclude_urls": Rule(name="exclude_urls", measure="excluded_url", fires=">"),
    "exclude_domains": Rule(name="exclude_domains", measure="excluded_domain", fires=">"),
    "exclude_hashes": Rule(name="exclude_hashes", measure="excluded_hash", fires=">"),
    "only_domains": Rule(name="only_domains", measure="in_only_domains", fires="<"),
}
"""Rules that a list of the user's decides. They are applied before all others."""

_REPETITION = {
    "max_duplicate_lines": 0.30,
    "max_duplicate_paragraphs": 0.30,
    "max_duplicate_line_characters": 0.20,
    "max_duplicate_paragraph_characters": 0.20,
    "max_top_2_gram": 0.20,
    "max_top_3_gram": 0.18,
    "max_top_4_gram": 0.16,
    "max_duplicate_5_grams": 0.15,
    "max_duplicate_6_grams": 0.14,
    "max_duplicate_7_grams": 0.13,
    "max_duplicate_8_grams": 0.12,
    "max_duplicate_9_grams": 0.11,
    "max_duplicate_10_grams": 0.10,
}

_QUALITY = {
    "min_words": 50,
    "max_words": 100_000,
    "min_mean_word_length": 3.0,
    "max_mean_word_length": 10.0,
    "max_number_signs": 0.1,
    "max_ellipses": 0.1,
    "max_bullet_lines": 0.9,
    "max_ellipsis_lines": 0.3,
    "min_words_with_letters": 0.8,
    "min_stop_words": 2,
}

PROFILES: dict[str, dict[str, float]] = {
    "none": {},
    "paper": {
        "min_words": 50,
        "min_mean_word_length": 3.0,
        "max_mean_word_length": 10.0,
        "min_stop_words": 2,
        "max_broken_characters": 0.001,
    },
    "gopher": {**_QUALITY, **_REPETITION},
    "c4": {"max_lorem_ipsum": 0, "max_braces": 0, "min_c4_sentences": 5},
    "fineweb": {
        **_REPETITION,
        **_QUALITY,
        "max_lorem_ipsum": 0,
        "max_braces": 0,
        "min_c4_sentences_any_end": 5,
        "min_punctuated_lines": 0.12,
        "max_repeated_line_characters": 0.1,
        "max_short_lines": 0.67,
    },
    "realnews": {
        "max_url_characters": 200,
        "max_url_endings": 1,
        "max_url_sections": 0,
        "require_date": True,
        "min_characters": 1000,
        "min_title_characters": 30,
    },
    "openwebtext": {"min_words": 128},
}
"""The rules and thresholds of each profile, in the order in which they are applied."""


def is_measured(config: RulesConfig) -> bool:
    """Whether the documents of a source are measured: for rules, or to know what they hold of test
    sets."""
    return bool(asked(config) or config.test_sets)


def asked(config: RulesConfig) -> list[tuple[Rule, float]]:
    """The rules that apply, with their thresholds, in order: lists, those of the profile, further
    ones, functions. The first that fires is the reason for the removal."""
    lists = [
        (rule, 1 if name == "only_domains" else 0)
        for name, rule in _LISTS.items()
        if getattr(config, name)
    ]

    # An overridden threshold keeps the place that its rule has in the profile.
    thresholds = dict(PROFILES.get(config.profile, {}))
    for name in RULES:
        threshold = getattr(config, name)
        if threshold is not None:
            thresholds[name] = threshold
    named = [
        (RULES[name], threshold) for name, threshold in thresholds.items() if name not in config.off
    ]

    functions = [_parse_function(text) for text in config.functions]
    return [*lists, *named, *functions]


def _parse_function(text: str) -> tuple[Rule, float]:
    """The rule and threshold of an entry of `functions`. Raises ValueError."""
    fires: Comparison = ">"
    name = text
    threshold = "0"
    for comparison in _COMPARISONS:
        if comparison in text:
            fires = comparison
            name, _, threshold = text.partition(comparison)
            break

    name = name.strip()
    module, colon, function = name.partition(":")
    try:
        number = float(threshold)
    except ValueError:
        raise ValueError(f"functions: {text!r}: {threshold.strip()!r} is not a number") from None
    if not (module and colon and function.isidentifier()):
        raise ValueError(
            f"functions: {text!r} is not module:function, with or without a comparison"
        )
    return Rule(name=name, measure=name, fires=fires, own=True), number


def first_to_fire(
    rules: list[tuple[Rule, float]], columns: "Mapping[str, Column]", english: bool
) -> "NDArray[np.int16]":
    """(D,) index into `rules` of the first that removes each document, -1 where none does.

    `columns`: (D,) each measure that the rules read. `english`: whether documents of unknown
    language count as English. Measures are whole numbers, and the quotient of two is rounded to
    float64 just as the decimal fraction of the threshold is, so a share that equals the threshold
    compares as equal.
    """
    import numpy as np

    comparisons = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}
    verdict = np.full(len(columns["id"]), -1, np.int16)
    for index, (rule, threshold) in enumerate(rules):
        value, applies = measured(rule, columns, english)
        fires = comparisons[rule.fires](value, thresholds_of(rule, threshold, columns))
        verdict[(verdict < 0) & applies & fires] = index
    return verdict


def thresholds_of(
    rule: Rule, threshold: float, columns: "Mapping[str, Column]"
) -> "float | NDArray[np.float64]":
    """The threshold of each document (D,): that of its language, where the rule has such and the
    recipe asks for that of English; else the one that the recipe asks for."""
    if rule.figure < 0 or threshold != OF_ENGLISH[rule.figure]:
        return threshold
    by_language: NDArray[np.float64] = figures()[:, rule.figure]
    return by_language[columns["word_lengths"]]


def measured(
    rule: Rule, columns: "Mapping[str, Column]", english: bool
) -> "tuple[NDArray[np.float64], NDArray[np.bool_]]":
    """(D,) the value that a rule compares, and (D,) whether the rule applies to the document."""
    import numpy as np

    value = columns[rule.measure].astype(np.float64)
    applies = np.ones(len(value), np.bool_)
    if rule.over:
        whole = columns[rule.over].astype(np.float64)
        applies &= whole > 0
        value = value / np.where(whole > 0, whole, 1.0)
    if rule.english:
        applies &= (columns["english"] == 1) | ((columns["english"] < 0) & english)
    return value, applies
