"""The templates of pages that only tell titles apart, by the language of the wiki."""

import functools

_EVERYWHERE = """
    disambig;disambiguation;disamb;dab;disambiguation page;disambig-cleanup;hndis;hndisambig;
    human name disambiguation;hndis-cleanup;geodis;geo-dis;place name disambiguation;surname;
    letter-number combination disambiguation;letter disambiguation;
    letter-number combination disambig;airport disambiguation;biology disambiguation;
    call sign disambiguation;callsigndis;mathdab;mathematical disambiguation;numberdis;
    number disambiguation;roaddis;road disambiguation;schooldis;school disambiguation;
    hospitaldis;hospital disambiguation;church disambiguation;chinese title disambiguation;
    species latin name disambiguation;species latin name abbreviation disambiguation;
    taxonomic authority disambiguation;taxonomy disambiguation;station disambiguation;
    stationdis;genus disambiguation;political party disambiguation;synagogue disambiguation;
    phonetics disambiguation;portal disambiguation;tndis;wp disambig;caselaw disambiguation;
    dab-cleanup;given name disambiguation;disambig-dab
"""
"""English names, which many wikis share."""

_NAMES = {
    "ar": "توضيح;صفحة توضيح",
    "bg": "пояснение",
    "ca": "desambiguació;disambigua",
    "cs": "rozcestník;rozcestník - příjmení;rozcestník - jméno;příjmení",
    "da": "flertydig;flertydighed;flertydig titel",
    "de": "begriffsklärung;bkl",
    "el": "αποσαφήνιση",
    "es": "desambiguación;desambig",
    "fa": "ابهام‌زدایی;ابهام زدایی",
    "fi": "täsmennyssivu;täsmennys;sukunimitäsmennys",
    "fr": "homonymie;homonyme;patronymie;toponymie;homonymie de personnes",
    "he": "פירושונים",
    "hu": "egyért;egyért-redir",
    "id": "disambig;disambiguasi",
    "it": "disambigua;disambiguazione",
    "ja": "aimai;曖昧さ回避;人名の曖昧さ回避;地名の曖昧さ回避",
    "ko": "동음이의;동명이인",
    "ltg": "nūzeimu atdaleišona",
    "lv": "nozīmju atdalīšana",
    "nl": "dp;doorverwijspagina;dpintro",
    "no": "peker;etternavn",
    "pl": "ujednoznacznienie;disambig",
    "pt": "desambiguação;desambig",
    "ro": "dezambiguizare;dezambig",
    "ru": "неоднозначность;многозначность;фамилия;список однофамильцев",
    "sr": "вишезначна одредница",
    "sv": "förgrening;gren;efternamn;namnförgrening",
    "tr": "anlam ayrımı;anlamayrımı",
    "uk": "багатозначність;неоднозначність;disambig;прізвище",
    "vi": "định hướng;trang định hướng",
    "zh": "消歧义;消歧義;消歧义页;人名消歧义;地名消歧义;disambig",
}
"""The names in the language of a wiki."""

_SHARED = {"nb": "no", "nn": "no", "simple": "en"}


@functools.cache
def disambiguations(language: str) -> frozenset[str]:
    """The names of templates, in lower case, by which a page of a wiki of this language only tells
    titles apart. Where no names of a language are known those of all languages count."""
    code = _SHARED.get(language, language)
    own = _NAMES.get(code, "")
    if not own and code != "en":
        own = ";".join(_NAMES.values())
    names = (_EVERYWHERE + ";" + own).split(";")
    return frozenset(filter(None, (" ".join(name.split()) for name in names)))
