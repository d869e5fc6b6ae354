"""The language of a text: a cheap gate before the costly steps, and langdetect for the final word.

Both answers depend on the text alone. langdetect draws random numbers, so it is seeded for every
call. It is also given a factory of its own, which loads its profiles in the order of their names:
with the package's global factory the answer would depend on the order of a folder, on who set the
seed, and on threads that meet in its first use.

The gate drops a text only if pycld2 is sure of another language, and if that language is not easily
mistaken for the wanted one.
"""

import functools
import re
from pathlib import Path

import pycld2
from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory
from langdetect.lang_detect_exception import LangDetectException

UNKNOWN = "und"

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


def known_languages() -> tuple[str, ...]:
    """The codes that langdetect knows, sorted."""
    names = (path.name for path in Path(PROFILES_DIRECTORY).iterdir())
    return tuple(sorted(name for name in names if not name.startswith(".")))


def detect_language(text: str, wanted: str = ANY) -> str:
    """langdetect's code for the text, `und` if it finds nothing to judge by. The same arguments
    always give the same answer.

    If `wanted` is one of `TWENTY`, the only question is whether the text is in that language: 20
    profiles, 2 trials and the first 600 characters answer it. Otherwise, and if a third of those
    characters is of another script, all 55 profiles, 7 trials (the package's default) and 1,000
    characters are used.
    """
    if wanted in TWENTY and _is_latin(text):
        return _detected(text[:_TWENTY_CHARACTERS], TWENTY, _TWENTY_TRIALS)
    return _detected(text[:_ALL_CHARACTERS], known_languages(), _ALL_TRIALS)


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
    try:
        reliable, _, details = pycld2.detect(_CONTROL.sub(" ", sample))
    except (pycld2.error, UnicodeError):
        return None

    # (name, code, percent, score), the leading language first. Reversed, since two codes may have
    # one name: the larger share shall win.
    shares = {_CLD2_NAMES.get(code, code): percent for _, code, percent, _ in reversed(details)}
    first = _CLD2_NAMES.get(details[0][1], details[0][1])
    if not reliable or first in (UNKNOWN, wanted) or shares.get(wanted, 0) >= _GATE_SHARE:
        return None
    alike = any(first in row and wanted in row for row in _ALIKE)
    return None if alike else first
