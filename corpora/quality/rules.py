"""Rules of quality: each a measure of a document against a threshold that the recipe sets. Measures
are taken once (`corpora.quality.measures`); which documents go is reckoned from them, so that a threshold
changes without reading a text again.

Sources: RoBERTa states no rule, `paper` is the least that its corpus implies; Gopher (Rae et al.
2021, appendix A.1.1), C4 (Raffel et al. 2020, section 2.2), FineWeb (Penedo et al. 2024, section
3), RealNews (Zellers et al. 2019, its released code). Where a paper and its code disagree, the
paper's figure stands; docs/corpora.md lists these places.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from shards.errors import nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Profile = Literal["default", "none", "paper", "gopher", "c4", "fineweb", "realnews", "openwebtext"]

Comparison = Literal["<", "<=", ">", ">="]

_COMPARISONS: tuple[Comparison, ...] = ("<=", ">=", "<", ">")

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
"""Gopher's; an English text has two of them."""

TOP_N, DUPLICATE_N = (2, 4), (5, 10)
"""Lengths of the n-grams whose most frequent one counts, and of those whose repetitions do
(Gopher)."""

MEASURES = (
    *("characters", "words", "spaced_words", "word_characters", "words_with_letters", "stop_words"),
    *(
        "broken_characters",
        "number_signs",
        "ellipses",
        "line_feeds",
        "braces",
        "lorem_ipsum",
        "repetition_characters",
    ),
    *(f"top_{n}_gram_characters" for n in range(TOP_N[0], TOP_N[1] + 1)),
    *(f"duplicate_{n}_gram_characters" for n in range(DUPLICATE_N[0], DUPLICATE_N[1] + 1)),
    *(
        "lines",
        "line_characters",
        "duplicate_lines",
        "duplicate_line_characters",
        "bullet_lines",
        "ellipsis_lines",
        "short_lines",
        "punctuated_lines",
    ),
    *("paragraphs", "duplicate_paragraphs", "duplicate_paragraph_characters", "boilerplate_words"),
    *("c4_sentences", "c4_sentences_any_end", "c4_characters"),
)
"""Measures of a text, in the order of `corpora.quality.measures`."""

RECORD_MEASURES = (
    "english",
    "dated",
    "title_characters",
    "url_characters",
    "url_endings",
    "url_sections",
)
"""Measures of what stands beside a text. `english`: 1, 0, or -1 where the language is unknown."""

TOKENS = "tokens"
"""The measure that is only taken where a rule reads it: it needs a vocabulary."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Removes a document where `measure`, divided by the measure `over` if one is named, stands in
    the relation `fires` to the threshold. Nothing is removed for a share of nothing. `english`:
    asked of English alone."""

    name: str
    measure: str
    fires: Comparison
    over: str = ""
    english: bool = False
    own: bool = False

    def columns(self) -> tuple[str, ...]:
        """The measures it reads."""
        return (
            self.measure,
            *((self.over,) if self.over else ()),
            *(("english",) if self.english else ()),
        )


def _rule(measure: str, fires: Comparison, over: str = "", english: bool = False) -> Any:
    return field(
        default=None,
        metadata={"measure": measure, "fires": fires, "over": over, "english": english},
    )


@dataclass(frozen=True, kw_only=True)
class RulesConfig:
    """Which documents go for their quality: a profile's rules, and thresholds laid over them. See
    docs/corpora.md."""

    profile: Profile = "default"
    """none, paper, gopher, c4, fineweb, realnews, openwebtext; default: paper for cc_news,
    openwebtext for that kind, none for others."""
    off: tuple[str, ...] = ()
    """Rules of the profile that are not asked."""
    functions: tuple[str, ...] = ()
    """Your own measures, each `module:function` of a document: it goes where that is true, or, as
    in "my.rules:shouting > 0.3", where it stands so to a number."""
    exclude_urls: tuple[str, ...] = ()
    """Files of addresses, one a line, whose pages go, whatever their spelling."""
    exclude_domains: tuple[str, ...] = ()
    """Files of domains, one a line, whose pages go, and those of their sub-domains."""
    exclude_hashes: tuple[str, ...] = ()
    """Files of hashes of 32 hex digits, one a line: the `id` or `digest` of documents that go, or
    the hash of their folded text."""
    only_domains: tuple[str, ...] = ()
    """Files of domains, one a line: pages of others go. RealNews has such a list."""
    require_date: bool | None = _rule("dated", "<")
    """Documents without a date go."""
    min_title_characters: int | None = _rule("title_characters", "<")
    """Shorter titles go, and documents without one."""
    max_url_characters: int | None = _rule("url_characters", ">")
    """Longer addresses go."""
    max_url_endings: int | None = _rule("url_endings", ">")
    """Addresses with more of .com, .co.uk, .net, .org in them go."""
    max_url_sections: int | None = _rule("url_sections", ">")
    """Addresses with more parts that name no article (/video/, /gallery/, /tag/, /search/, ...)
    go."""
    min_characters: int | None = _rule("characters", "<")
    """Fewer characters go."""
    max_characters: int | None = _rule("characters", ">")
    """More characters go."""
    min_words: int | None = _rule("words", "<")
    """Fewer words go. A word is what white space separates and holds a letter or a digit; in a
    script without spaces, a letter."""
    max_words: int | None = _rule("words", ">")
    """More words go."""
    min_tokens: int | None = _rule(TOKENS, "<")
    """Fewer tokens of the given vocabulary go; needs `path` of `[tokenizer]`, since a trained one
    is made of the texts that are kept."""
    min_mean_word_length: float | None = _rule("word_characters", "<", over="spaced_words")
    """A lower mean length of words goes, in characters from their first to their last letter or
    digit. Not asked of scripts without spaces."""
    max_mean_word_length: float | None = _rule("word_characters", ">", over="spaced_words")
    """A higher mean length of words goes."""
    max_number_signs: float | None = _rule("number_signs", ">", over="words")
    """More # a word go."""
    max_ellipses: float | None = _rule("ellipses", ">", over="words")
    """More ellipses a word go."""
    max_bullet_lines: float | None = _rule("bullet_lines", ">", over="lines")
    """A larger share of lines that begin with a bullet (\u2022, -, *) goes."""
    max_ellipsis_lines: float | None = _rule("ellipsis_lines", ">", over="lines")
    """A larger share of lines that end with an ellipsis goes."""
    min_words_with_letters: float | None = _rule("words_with_letters", "<", over="words")
    """A lower share of words that hold a letter goes."""
    min_stop_words: int | None = _rule("stop_words", "<", english=True)
    """Fewer of the, be, to, of, and, that, have, with go: different ones, in any case. Asked of
    English alone."""
    max_broken_characters: float | None = _rule("broken_characters", ">", over="characters")
    """A larger share of control characters and U+FFFD goes."""
    max_duplicate_lines: float | None = _rule("duplicate_lines", ">", over="lines")
    """A larger share of lines that repeat an earlier one goes."""
    max_duplicate_paragraphs: float | None = _rule("duplicate_paragraphs", ">", over="paragraphs")
    """A larger share of paragraphs that repeat an earlier one goes."""
    max_duplicate_line_characters: float | None = _rule(
        "duplicate_line_characters", ">", over="characters"
    )
    """A larger share of characters in such lines goes."""
    max_duplicate_paragraph_characters: float | None = _rule(
        "duplicate_paragraph_characters", ">", over="characters"
    )
    """A larger share of characters in such paragraphs goes."""
    max_top_2_gram: float | None = _rule("top_2_gram_characters", ">", over="repetition_characters")
    """A larger share of characters in the most frequent 2-gram of words goes."""
    max_top_3_gram: float | None = _rule("top_3_gram_characters", ">", over="repetition_characters")
    """A larger share of characters in the most frequent 3-gram of words goes."""
    max_top_4_gram: float | None = _rule("top_4_gram_characters", ">", over="repetition_characters")
    """A larger share of characters in the most frequent 4-gram of words goes."""
    max_duplicate_5_grams: float | None = _rule(
        "duplicate_5_gram_characters", ">", over="repetition_characters"
    )
    """A larger share of characters in repeated 5-grams of words goes."""
    max_duplicate_6_grams: float | None = _rule(
        "duplicate_6_gram_characters", ">", over="repetition_characters"
    )
    """A larger share of characters in repeated 6-grams of words goes."""
    max_duplicate_7_grams: float | None = _rule(
        "duplicate_7_gram_characters", ">", over="repetition_characters"
    )
    """A larger share of characters in repeated 7-grams of words goes."""
    max_duplicate_8_grams: float | None = _rule(
        "duplicate_8_gram_characters", ">", over="repetition_characters"
    )
    """A larger share of characters in repeated 8-grams of words goes."""
    max_duplicate_9_grams: float | None = _rule(
        "duplicate_9_gram_characters", ">", over="repetition_characters"
    )
    """A larger share of characters in repeated 9-grams of words goes."""
    max_duplicate_10_grams: float | None = _rule(
        "duplicate_10_gram_characters", ">", over="repetition_characters"
    )
    """A larger share of characters in repeated 10-grams of words goes."""
    max_lorem_ipsum: int | None = _rule("lorem_ipsum", ">")
    """More occurrences of "lorem ipsum" go."""
    max_braces: int | None = _rule("braces", ">")
    """More opening braces go."""
    min_c4_sentences: int | None = _rule("c4_sentences", "<")
    """Fewer sentences in the lines that C4 would leave go; the text itself keeps all its lines."""
    min_c4_sentences_any_end: int | None = _rule("c4_sentences_any_end", "<")
    """The same, where a line need not end with a mark."""
    min_c4_characters: float | None = _rule("c4_characters", "<", over="characters")
    """A lower share of characters in the lines that C4 would leave goes."""
    c4_line_words: int = 3
    """C4 leaves no line of fewer words: 3 in its paper, 5 in its code."""
    min_punctuated_lines: float | None = _rule("punctuated_lines", "<=", over="lines")
    """This share of lines that end with a mark (. ! ? ...), or a lower one, goes."""
    max_repeated_line_characters: float | None = _rule(
        "duplicate_line_characters", ">=", over="line_characters"
    )
    """This share of characters in lines that repeat an earlier one, or a larger one, goes (of the
    characters in lines)."""
    max_short_lines: float | None = _rule("short_lines", ">=", over="lines")
    """This share of lines under 30 characters, or a larger one, goes."""
    max_line_feeds: float | None = _rule("line_feeds", ">", over="words")
    """More line feeds a word go."""
    max_boilerplate_words: float | None = _rule("boilerplate_words", ">", over="words")
    """A larger share of words goes in lines of boilerplate: credits, invitations to read on or sign
    up, counters, one word, capitals, digits."""

    def __post_init__(self) -> None:
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
    entry.name: Rule(name=entry.name, **entry.metadata)
    for entry in fields(RulesConfig)
    if entry.metadata
}
"""Every rule by its name, in the order in which those that a profile does not hold are asked."""

_LISTS = {
    "exclude_urls": Rule(name="exclude_urls", measure="excluded_url", fires=">"),
    "exclude_domains": Rule(name="exclude_domains", measure="excluded_domain", fires=">"),
    "exclude_hashes": Rule(name="exclude_hashes", measure="excluded_hash", fires=">"),
    "only_domains": Rule(name="only_domains", measure="in_only_domains", fires="<"),
}
"""Rules that a list of the user's decides; asked before all others."""

_REPETITION = {
    **{
        "max_duplicate_lines": 0.30,
        "max_duplicate_paragraphs": 0.30,
        "max_duplicate_line_characters": 0.20,
        "max_duplicate_paragraph_characters": 0.20,
    },
    **{"max_top_2_gram": 0.20, "max_top_3_gram": 0.18, "max_top_4_gram": 0.16},
    **{"max_duplicate_5_grams": 0.15, "max_duplicate_6_grams": 0.14, "max_duplicate_7_grams": 0.13},
    **{
        "max_duplicate_8_grams": 0.12,
        "max_duplicate_9_grams": 0.11,
        "max_duplicate_10_grams": 0.10,
    },
}

_QUALITY = {
    **{
        "min_words": 50,
        "max_words": 100_000,
        "min_mean_word_length": 3.0,
        "max_mean_word_length": 10.0,
    },
    **{
        "max_number_signs": 0.1,
        "max_ellipses": 0.1,
        "max_bullet_lines": 0.9,
        "max_ellipsis_lines": 0.3,
    },
    **{"min_words_with_letters": 0.8, "min_stop_words": 2},
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
        **{"max_lorem_ipsum": 0, "max_braces": 0, "min_c4_sentences_any_end": 5},
        **{
            "min_punctuated_lines": 0.12,
            "max_repeated_line_characters": 0.1,
            "max_short_lines": 0.67,
        },
    },
    "realnews": {
        **{
            "max_url_characters": 200,
            "max_url_endings": 1,
            "max_url_sections": 0,
            "require_date": True,
        },
        **{"min_characters": 1000, "min_title_characters": 30},
    },
    "openwebtext": {"min_words": 128},
}
"""Rules and thresholds of each profile, in the order in which they are asked."""


def asked(config: RulesConfig) -> list[tuple[Rule, float]]:
    """The rules that a recipe asks, with their thresholds, in the order in which they are asked:
    lists, the profile's, further ones, functions."""
    thresholds = dict(PROFILES.get(config.profile, {}))
    thresholds |= {
        name: getattr(config, name) for name in RULES if getattr(config, name) is not None
    }
    lists = [
        (rule, 1 if name == "only_domains" else 0)
        for name, rule in _LISTS.items()
        if getattr(config, name)
    ]
    named = [
        (RULES[name], threshold) for name, threshold in thresholds.items() if name not in config.off
    ]
    return [*lists, *named, *(_parse_function(text) for text in config.functions)]


def _parse_function(text: str) -> tuple[Rule, float]:
    for comparison in _COMPARISONS:
        name, sign, threshold = text.partition(comparison)
        if sign:
            break
    else:
        name, comparison, threshold = text, ">", "0"
    name = name.strip()
    module, colon, function = name.partition(":")
    try:
        number = float(threshold)
    except ValueError:
        raise ValueError(f"functions: {text!r}: {threshold.strip()!r} is not a number") from None
    if not (module and colon and function.isidentifier()):
        raise ValueError(f"functions: {text!r} is not module:function, nor that and a comparison")
    return Rule(name=name, measure=name, fires=comparison, own=True), number


def first_to_fire(
    rules: list[tuple[Rule, float]], columns: "Mapping[str, NDArray[Any]]", english: bool
) -> "NDArray[np.int16]":
    """(D,) place in `rules` of the first that removes each document, -1 where none does.

    `columns`: (D,) each measure that the rules read. `english`: whether documents of unknown
    language count as English. Measures are whole numbers, and the quotient of two is rounded as the
    threshold's decimal fraction is: a share that equals it compares as equal.
    """
    import numpy as np

    verdict = np.full(len(columns["id"]), -1, np.int16)
    for place, (rule, threshold) in enumerate(rules):
        value, applies = measured(rule, columns, english)
        compare = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal}[
            rule.fires
        ]
        verdict[(verdict < 0) & applies & compare(value, threshold)] = place
    return verdict


def measured(
    rule: Rule, columns: "Mapping[str, NDArray[Any]]", english: bool
) -> "tuple[NDArray[np.float64], NDArray[np.bool_]]":
    """(D,) what a rule compares, and whether it is asked of each document at all."""
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
