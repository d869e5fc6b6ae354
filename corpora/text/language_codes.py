"""Codes and names of languages, as recipes, books and tables write them. No detector is loaded."""

import re

UNKNOWN = "und"
"""The language of a text that has none or whose language cannot be told (ISO 639-2)."""

_CODES = """
Afrikaans=af Arabic=ar Bulgarian=bg Bengali=bn Catalan=ca Czech=cs Welsh=cy Danish=da German=de
Greek=el English=en Spanish=es Estonian=et Persian=fa Farsi=fa Finnish=fi French=fr Hebrew=he
Hindi=hi Croatian=hr Hungarian=hu Indonesian=id Italian=it Japanese=ja Korean=ko Lithuanian=lt
Latvian=lv Dutch=nl Norwegian=no Polish=pl Portuguese=pt Romanian=ro Russian=ru Slovak=sk
Slovenian=sl Albanian=sq Swedish=sv Tamil=ta Telugu=te Thai=th Tagalog=tl Turkish=tr Ukrainian=uk
Urdu=ur Vietnamese=vi Chinese=zh-cn
"""

LANGUAGES = dict(pair.split("=") for pair in _CODES.lower().split())
"""langdetect's code by the English name of a language, both in lower case."""

_ISO_639_2 = """
    eng=en fre=fr fra=fr ger=de deu=de spa=es ita=it dut=nl nld=nl por=pt rus=ru swe=sv dan=da
    nor=no nob=no nno=no fin=fi pol=pl cze=cs ces=cs hun=hu tur=tr gre=el ell=el lat=la heb=he
    ara=ar per=fa fas=fa hin=hi ben=bn jpn=ja kor=ko chi=zh zho=zh cat=ca rum=ro ron=ro bul=bg
    ukr=uk hrv=hr slv=sl slk=sk slo=sk
"""

_SHORTER = dict(pair.split("=") for pair in _ISO_639_2.split()) | {"nb": "no", "nn": "no"}
"""Codes of two letters for codes of three, and for the two kinds of Norwegian."""


def is_language_code(text: str) -> bool:
    """Whether a text has the form of a code of ISO 639 or BCP 47: ltg, en-GB, zh-Hant."""
    has_form = re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", text) is not None
    return has_form and text.lower() != "any"


def language_code(name: str) -> str | None:
    """The code of a language that is written as a code or as an English name: `en` for en-GB, eng
    and English, `zh-tw` for zh-Hant, `ltg` for ltg; None for what is neither."""
    parts = name.strip().lower().replace("_", "-").split("-")
    base = LANGUAGES.get(parts[0], _SHORTER.get(parts[0], parts[0]))
    if base == "zh":
        return "zh-tw" if {"hant", "tw", "hk"} & set(parts) else "zh-cn"
    return base if is_language_code(base) else None


def same_language(first: str, second: str) -> bool:
    """Whether two codes name one language: en and en-GB do, zh-cn and zh-tw do not."""
    return language_code(first) == language_code(second)


def is_english(code: str) -> bool:
    """Whether a code names English of any country."""
    return same_language(code, "en")
