"""The language of a text: a cheap gate before the costly steps, and langdetect for the final word.

Both answer for the text alone. langdetect draws lots, so it is seeded for every call and given its
own factory, whose profiles are loaded in the order of their names: with the package's global one
the answer would depend on the order of a folder, on who set the seed, and on threads that meet in
its first use. The gate drops a text only when pycld2 is sure of another language, and one that
cannot be taken for the wanted one.
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
"""Languages of Latin script among which a wanted one of them is told from the others at a third of
the cost."""

_TWENTY_CHARACTERS, _TWENTY_TRIALS = 600, 2

_ALL_CHARACTERS, _ALL_TRIALS = 1000, 7

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

# Of each of these cld2 and langdetect may say another one of the same row: no reason to drop a
# page.
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
"""A shorter sample says nothing of a page: it is one notice of the site, or one reader's comment in
another language."""

_GATE_SHARE = 20
"""Percent of a text that, in the wanted language, keep it although another one leads."""


def known_languages() -> tuple[str, ...]:
    """The codes that langdetect knows, sorted."""
    return tuple(
        sorted(
            path.name
            for path in Path(PROFILES_DIRECTORY).iterdir()
            if not path.name.startswith(".")
        )
    )


def detect_language(text: str, wanted: str = ANY) -> str:
    """langdetect's code of the text, `und` where it finds nothing to judge by; always the same for
    the same arguments.

    Where `wanted` is one of `TWENTY` the question is only whether the text is in it: 20 profiles, 2
    trials, the first 600 characters; not where a third of them is of another script. Else all 55
    profiles, 7 trials (the package's default), 1,000 characters.
    """
    twenty = wanted in TWENTY and 3 * len(_NOT_LATIN.findall(text, 0, _TWENTY_CHARACTERS)) < min(
        len(text), _TWENTY_CHARACTERS
    )
    detector = _factory(TWENTY if twenty else known_languages()).create()
    detector.n_trial = _TWENTY_TRIALS if twenty else _ALL_TRIALS
    try:
        detector.append(text[: _TWENTY_CHARACTERS if twenty else _ALL_CHARACTERS])
        return str(detector.detect()).replace("unknown", UNKNOWN)
    except LangDetectException:
        return UNKNOWN


@functools.cache
def _factory(languages: tuple[str, ...]) -> DetectorFactory:
    factory = DetectorFactory()
    factory.seed = 0
    factory.load_json_profile(
        [(Path(PROFILES_DIRECTORY) / name).read_text(encoding="utf-8") for name in languages]
    )
    return factory


def certainly_not(sample: str, wanted: str) -> str | None:
    """The language of a sample of a text, where it is certainly another than `wanted`; None: it is
    wanted, or cannot be told."""
    if wanted == ANY or len(sample) < _GATE_CHARACTERS:
        return None
    try:
        reliable, _, details = pycld2.detect(_CONTROL.sub(" ", sample))
    except (pycld2.error, UnicodeError):
        return None
    shares = {_CLD2_NAMES.get(code, code): percent for _, code, percent, _ in reversed(details)}
    first = _CLD2_NAMES.get(details[0][1], details[0][1])
    if not reliable or first == UNKNOWN or first == wanted or shares.get(wanted, 0) >= _GATE_SHARE:
        return None
    return None if any(first in row and wanted in row for row in _ALIKE) else first
