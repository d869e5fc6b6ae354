"""The language of a text: a cheap gate before the costly steps, and langdetect for the final word.

Both answers depend on the text alone, and so does `other_language`, which judges texts of any
length, as files hold them. langdetect draws random numbers, so it is seeded for every
call. It is also given a factory of its own, which loads its profiles in the order of their names:
with the package's global factory the answer would depend on the order of a folder, on who set the
seed, and on threads that meet in its first use.

The gate drops a text only if pycld2 is sure of another language, and if that language is not easily
mistaken for the wanted one.
"""

import functools
import re
import unicodedata
from pathlib import Path

import pycld2
from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
from langdetect.lang_detect_exception import LangDetectException

from corpora.text.language_codes import UNKNOWN

ANY = "any"

TWENTY = (
    "af",
    "ca",
    "cs",
    "da",
    "de",
    "en",
    "es",
    "et",
    "fi",
    "fr",
    "hu",
    "id",
    "it",
    "nl",
    "no",
    "pl",
    "pt",
    "ro",
    "sv",
    "tr",
)
"""Languages of Latin script. Whether a text is in one of them costs a third of a full detection
when only these are compared."""

_TWENTY_CHARACTERS = 600

_TWENTY_TRIALS = 2

_ALL_CHARACTERS = 1000

_ALL_TRIALS = 7

_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]|[\U0001fffe-\U0001ffff]"
)

_NOT_LATIN = re.compile(r"[\u0370-\u1dff\u2c00-\ud7ff\uf900-\uffef\U00010000-\U0010ffff]")

_CLD2_NAMES = {
    "iw": "he",
    "nb": "no",
    "nn": "no",
    "zh": "zh-cn",
    "zh-Hant": "zh-tw",
    "bs": "hr",
    "sr": "hr",
    "jw": "id",
    "un": UNKNOWN,
}

# cld2 and langdetect confuse the languages of one row, so cld2's word is no reason to drop a page
# that is wanted in another language of the row.
_ALIKE = (
    {"zh-cn", "zh-tw"},
    {"hr", "sl", "sr", "bs", "mk"},
    {"no", "da"},
    {"id", "ms", "su"},
    {"cs", "sk"},
    {"pt", "gl", "es"},
    {"es", "ca", "gl"},
    {"ru", "uk", "bg", "be", "mk"},
    {"hi", "mr", "ne"},
    {"fa", "ar", "ur"},
    {"nl", "af"},
)

_GATE_CHARACTERS = 200
"""A shorter sample says nothing about a page: it may be one notice of the site, or one reader's
comment in another language."""

_GATE_SHARE = 20
"""A text is kept if at least this percentage is in the wanted language, even if another one
leads."""

_LETTERS_OF_LINES = 100
"""Letters that the worded lines of a table need, so that its language can be told by them."""

_SEARCHED_CHARACTERS = 10_000
"""Where a text begins with figures, its words are looked for in this many characters."""

_LONG_CHARACTERS = 3000
"""A longer text is judged by three windows: its beginning may be a notice in another language."""

_WINDOW_CHARACTERS = 600

_FEW_LETTERS = 50
"""With fewer letters than this langdetect is wrong about every tenth text, pycld2 hardly ever where
it is sure."""

_SYNONYMS = {"nb": "no", "nn": "no", "iw": "he", "in": "id"}
"""langdetect's codes for others that mean the same."""


@functools.cache
def known_languages() -> tuple[str, ...]:
    """The codes that langdetect knows, sorted."""
    names = (path.name for path in Path(PROFILES_DIRECTORY).iterdir())
    return tuple(sorted(name for name in names if not name.startswith(".")))


@functools.cache
def told_apart() -> tuple[str, ...]:
    """The codes that `other_language` can tell from others, sorted: those of langdetect and those
    of pycld2."""
    codes = dict(pycld2.LANGUAGES)
    of_cld2 = {codes[name] for name in pycld2.DETECTED_LANGUAGES if name in codes}
    real = {code for code in of_cld2 if re.fullmatch("[a-z]{2,3}", code)}
    return tuple(sorted({*known_languages(), *_SYNONYMS, *real}))


def detect_language(text: str, wanted: str = ANY) -> str:
    """langdetect's code for the text, `und` if it finds nothing to judge by, as in a table of
    figures. The same arguments always give the same answer.

    If `wanted` is one of `TWENTY`, the only question is whether the text is in that language: 20
    profiles, 2 trials and the first 600 characters answer it. Otherwise, and if a third of those
    characters is of another script, all 55 profiles, 7 trials (the package's default) and 1,000
    characters are used.
    """
    words = _words_of(text)
    if not words:
        return _language_of_figures(text)
    if wanted in TWENTY and _is_latin(words):
        return _detected(words[:_TWENTY_CHARACTERS], TWENTY, _TWENTY_TRIALS)
    return _detected(words, known_languages(), _ALL_TRIALS)


def _words_of(text: str) -> str:
    """The characters by which a text is judged: its first `_ALL_CHARACTERS`. Where most of these
    are figures, those of its lines of words; "" where there are too few."""
    beginning = text[:_ALL_CHARACTERS]
    if _has_words(beginning):
        return beginning

    lines = text[:_SEARCHED_CHARACTERS].splitlines()
    words = "\n".join(line for line in lines if _has_words(line))
    return words[:_ALL_CHARACTERS] if _letters(words) >= _LETTERS_OF_LINES else ""


def _language_of_figures(text: str) -> str:
    """The language of a text of figures: of the words between them if there are enough and pycld2
    is sure. langdetect would always name one."""
    beginning = text[:_SEARCHED_CHARACTERS]
    if _letters(beginning) < _LETTERS_OF_LINES:
        return UNKNOWN
    first = next(iter(_sure_shares(beginning) or [UNKNOWN]))
    return first if first in known_languages() else UNKNOWN


def _has_words(text: str) -> bool:
    """Whether a text is words rather than figures: of its letters and digits less than a quarter
    are digits, and at least a quarter of all its characters, spaces apart, are letters."""
    letters = _letters(text)
    digits = sum(map(str.isdigit, text))
    characters = len(text) - sum(map(str.isspace, text))
    return 3 * digits < letters and 4 * letters >= characters


def _letters(text: str) -> int:
    """How many letters a text has, with the marks that belong to them: the vowels of the scripts of
    India are marks."""
    letters = sum(map(str.isalpha, text))
    return letters if text.isascii() else letters + len(_marks().findall(text))


@functools.cache
def _marks() -> "re.Pattern[str]":
    """Any combining mark of the scripts in the first plane of Unicode."""
    marks = [
        chr(code) for code in range(0x300, 0xFFFF) if unicodedata.category(chr(code))[0] == "M"
    ]
    return re.compile(f"[{''.join(marks)}]")


def _is_latin(text: str) -> bool:
    others = len(_NOT_LATIN.findall(text, 0, _TWENTY_CHARACTERS))
    return 3 * others < min(len(text), _TWENTY_CHARACTERS)


def _detected(text: str, languages: tuple[str, ...], trials: int) -> str:
    detector = _factory(languages).create()
    detector.n_trial = trials
    try:
        detector.append(text)
        return str(detector.detect()).replace("unknown", UNKNOWN)
    except LangDetectException:
        return UNKNOWN


@functools.cache
def _factory(languages: tuple[str, ...]) -> DetectorFactory:
    folder = Path(PROFILES_DIRECTORY)
    factory = DetectorFactory()
    factory.seed = 0
    factory.load_json_profile([(folder / name).read_text(encoding="utf-8") for name in languages])
    return factory


def certainly_not(sample: str, wanted: str) -> str | None:
    """The language of a sample of a text if it is certainly another than `wanted`; None if it is
    wanted or cannot be told."""
    if wanted == ANY or len(sample) < _GATE_CHARACTERS:
        return None
    shares = _sure_shares(sample)
    return _certain_other(shares, wanted) if shares else None


def _sure_shares(sample: str) -> dict[str, int] | None:
    """Percentages of a text by language, the leading one first; None if pycld2 is not sure."""
    try:
        reliable, _, details = pycld2.detect(_CONTROL.sub(" ", sample))
    except (pycld2.error, UnicodeError):
        return None
    if not reliable:
        return None

    # (name, code, percent, score), the leading language first. Two codes may have one name: the
    # larger share, which comes first, counts.
    shares: dict[str, int] = {}
    for _, code, percent, _ in details:
        shares.setdefault(_CLD2_NAMES.get(code, code), percent)
    return shares


def _certain_other(shares: dict[str, int], wanted: str) -> str | None:
    first = next(iter(shares))
    if first in (UNKNOWN, wanted) or shares.get(wanted, 0) >= _GATE_SHARE:
        return None
    alike = any(first in row and wanted in row for row in _ALIKE)
    return None if alike else first


def other_language(text: str, wanted: str) -> str | None:
    """The language of a text of any length if it is another than `wanted`; None if it is wanted or
    cannot be told. As `language_or_none`."""
    found = language_or_none(text, wanted)
    return None if found == wanted else found


def language_or_none(text: str, wanted: str) -> str | None:
    """The language of a text of any length: `wanted`, another, or None if it cannot be told, as of
    a name or a table of figures. Where `wanted` is none of `told_apart`, the text is taken to be in
    it.

    pycld2 judges first: 0.05 ms. Where it is not sure and the text is no shorter than a sentence,
    langdetect has the final word, if it knows the language. On the 120 sentences of the test data
    in each of six languages this loses 1 of a hundred in the language, and keeps 2 of a hundred in
    others; both are fewer with longer texts.
    """
    if wanted not in told_apart():
        return wanted
    sample = text
    if len(text) > _LONG_CHARACTERS:
        begins = [len(text) * fifths // 10 for fifths in (2, 5, 8)]
        sample = "\n".join(text[begin : begin + _WINDOW_CHARACTERS] for begin in begins)
    if not _has_words(sample):
        sample = _words_of(sample)

    shares = _sure_shares(sample)
    if shares:
        own = _CLD2_NAMES.get(wanted, wanted)
        if next(iter(shares)) == own or shares.get(own, 0) >= _GATE_SHARE:
            return wanted
        other = _certain_other(shares, own)
        if other:
            return other

    name = _SYNONYMS.get(wanted, wanted)
    if name not in known_languages() or _letters(sample) < _FEW_LETTERS:
        return None
    found = detect_language(sample.strip(), name)
    if found == UNKNOWN:
        return None
    return wanted if found == name else found
