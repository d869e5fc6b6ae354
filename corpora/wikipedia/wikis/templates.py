"""The templates of the larger Wikipedias that carry text, by the language of the wiki.

`wiki_template(name, language)` gives what a template shows, as a function of its parameters. A name
means what its wiki defines, so these come before the English table, and a wiki with a table of its
own takes from the English one only the names that mean the same everywhere (`is_shared`). Forms are
those of the templates' own pages; where the full form needs tables that change, the text is what
the writer typed.
"""

import re
from collections.abc import Callable, Mapping
from typing import Protocol

from corpora.wikipedia.tags import LEVEL, RAISED, SUNK
from corpora.wikipedia.wikis.formats import format_date, format_measure, month_number


class Parameters(Protocol):
    """The parameters of a template, as `corpora.wikipedia.templates.Args` has them."""

    wiki: str

    def __getitem__(self, key: int | str) -> str: ...

    def places(self) -> list[str]: ...

    def any(self, *names: str) -> str: ...


Shown = Callable[[Parameters], str]


# --- forms


def first(args: Parameters) -> str:
    """The first parameter."""
    return args[1] or args.any("texte", "text", "текст", "texto", "testo", "tekst")


def second(args: Parameters) -> str:
    """The second parameter, else the first."""
    return args[2] or args[1]


def last(args: Parameters) -> str:
    """The last parameter that is given."""
    given = [value for value in args.places() if value]
    return given[-1] if given else ""


def words(args: Parameters) -> str:
    """All parameters, with blanks."""
    return " ".join(value for value in args.places() if value)


def joined(args: Parameters) -> str:
    """All parameters, without blanks."""
    return "".join(args.places())


def raised(args: Parameters) -> str:
    """The text as one that is raised: behind a number it is an exponent."""
    return f"{RAISED}{args[1]}{LEVEL}"


def sunk(args: Parameters) -> str:
    """The text as one that is set lower."""
    return f"{SUNK}{args[1]}{LEVEL}"


def const(text: str) -> Shown:
    """A template that shows always the same."""
    return lambda args: text


def around(before: str, after: str) -> Shown:
    """The text in quotation marks or brackets."""
    return lambda args: before + first(args) + after if first(args) else ""


def named(*names: str) -> Shown:
    """The first of these parameters that is given."""
    return lambda args: args.any(*names)


def block(args: Parameters) -> str:
    """A quotation as a paragraph of its own."""
    text = args.any(
        "1", "texte", "text", "texto", "testo", "tekst", "citation", "cita", "citat", "quote",
        "цитата", "текст", "citación", "sitaatti",
    )  # fmt: skip
    return f"\n\n{text}\n\n" if text else ""


def quoted(before: str, after: str) -> Shown:
    """A quotation in a sentence: in quotation marks of the language."""
    return lambda args: before + text + after if (text := _quote(args)) else ""


def _quote(args: Parameters) -> str:
    text = args.any("1", "text", "texte", "texto", "testo", "текст", "tekst")
    return text.strip()


def measure(args: Parameters) -> str:
    """{{unité|2000|m}}: 2000 m; powers follow their units, as in {{unité|5|km|2}}."""
    places = args.places()
    if not places:
        return ""
    text = _numbers(places[0], args.wiki)
    exponent = args.any("e", "E", "exp")
    if exponent:
        text += f"×10^{exponent}"
    unit = ""
    for value in places[1:]:
        value = value.strip()
        if re.fullmatch(r"[-−]?\d", value) and unit:
            unit += value if value != "1" else ""
        elif value:
            unit += (" " if unit else "") + value
    return f"{text} {unit}".strip()


def _numbers(text: str, wiki: str) -> str:
    """The number that a text begins with, as the wiki writes it; the rest as it is."""
    match = re.match(r"\s*[-−+]?\d+(?:[.,]\d+)?(?![\d.,])", text)
    if match is None:
        return text.strip()
    return format_measure(match[0], wiki) + text[match.end() :].rstrip()


def number(args: Parameters) -> str:
    """A number as the wiki writes it."""
    return _numbers(args[1], args.wiki)


def date(args: Parameters) -> str:
    """A date by its parts, day first or year first, or as text. What follows it is a topic."""
    places = [value.strip() for value in args.places()]
    iso = re.fullmatch(r"(\d{3,4})-(\d\d?)-(\d\d?)", places[0] if places else "")
    if iso:
        return format_date(iso[1], iso[2], iso[3], args.wiki)
    parts = places[:3]
    while parts and not parts[-1]:
        parts.pop()
    if len(parts) < 2:
        return parts[0] if parts else ""
    if _is_year(parts[0]) and not _is_day(parts[0]):
        year, month, day = [*parts, "", ""][:3]
        return format_date(year, month, day, args.wiki)
    if len(parts) == 2:
        # a month with its year, or a day with its month
        if month_number(parts[0], args.wiki) and _is_year(parts[1]) and not _is_day(parts[0]):
            return format_date(parts[1], parts[0], "", args.wiki)
        if _is_day(parts[0]) and month_number(parts[1], args.wiki):
            return format_date("", parts[1], parts[0], args.wiki)
    day, month, year = [*parts, ""][:3]
    known = month_number(month, args.wiki) and (not day or _is_day(day))
    if known and (not year or _is_year(year)):
        return format_date(year, month, day, args.wiki)
    return " ".join(filter(None, parts))


def _is_day(text: str) -> bool:
    return re.fullmatch(r"(?:[12]?\d|3[01]|0\d)(?:er|\.)?", text) is not None


def _is_year(text: str) -> bool:
    return re.fullmatch(r"[-−]?\d{1,4}(?: .{1,20})?", text) is not None


def death(args: Parameters) -> str:
    """A date of death, which comes before that of the birth."""
    places = args.places()[:3]
    values = {str(place + 1): value for place, value in enumerate(places)}
    return date(_Given(values, args.wiki))


class _Given:
    """Parameters that are made here."""

    def __init__(self, values: Mapping[str, str], wiki: str) -> None:
        self._values = values
        self.wiki = wiki

    def __getitem__(self, key: int | str) -> str:
        return self._values.get(str(key), "")

    def places(self) -> list[str]:
        """The parameters in order."""
        return list(self._values.values())

    def any(self, *names: str) -> str:
        """The first of these that is given."""
        return next((self._values[name] for name in names if self._values.get(name)), "")


def name_in_script(args: Parameters) -> str:
    """{{japonais|nom|漢字|romaji}}: nom (漢字, romaji)."""
    name = args[1]
    inner = ", ".join(filter(None, (args[2], args[3], args.any("4", "extra"))))
    return f"{name} ({inner})" if name and inner else name or inner


def link(args: Parameters) -> str:
    """A link to a page that only another wiki has: its text."""
    return args.any(
        "lt", "texte", "text", "text_es", "texto", "testo", "текст", "label", "trad", "2", "1", "fr"
    )


def foreign(args: Parameters) -> str:
    """A link to another wiki, whose first parameter is the text or the title here."""
    return args.any("lt", "texte", "text", "texto", "testo", "текст", "1", "fr", "title")


# --- centuries and ordinals of French


def _fr_century(tail: str = "", before: str = "") -> Shown:
    """{{s|XIX}}: XIXe siècle, and its kin."""

    def expand(args: Parameters) -> str:
        roman = args[1].strip()
        if not roman:
            return ""
        return before + _fr_rank(roman, args[2]) + tail

    return expand


def _fr_rank(roman: str, ending: str = "") -> str:
    return roman + (ending.strip() or ("er" if roman in ("I", "1", "Ier") else "e"))


def _fr_two_centuries(args: Parameters) -> str:
    """{{s2|XVI|XVII}}: XVIe et XVIIe siècles; {{sp|XVI|au|XVII}}: XVIe au XVIIe siècle."""
    text = _fr_centuries(args)
    if not text:
        return ""
    if "siècle" in text:
        return text
    together = " et " in text and " ou " not in text
    return text + (" siècles" if together else " siècle")


def _fr_centuries(args: Parameters) -> str:
    """{{sp-|XVI|e|et|XVII|e}}: XVIe et XVIIe."""
    places = [value.strip() for value in args.places() if value.strip()]
    texts = [_fr_rank(value) if re.fullmatch("[IVXLC]+", value) else value for value in places]
    romans = [value for value in places if re.fullmatch("[IVXLC]+", value)]
    if len(romans) == len(texts):
        return " et ".join(texts)
    return " ".join(text for text in texts if text not in ("e", "er", "s", "s."))


def _fr_ending(args: Parameters) -> str:
    """{{e}}: the ending of an ordinal; {{e|me}}: the one that is given; 10{{e|6}}: an exponent."""
    return raised(args) if args[1] else "e"


def _fr_numbered(args: Parameters, text: str) -> str:
    return text + _after(args[1])


def _after(text: str) -> str:
    return f" {text}" if text.strip() else ""


def _fr_titled(short: str) -> Shown:
    """{{Mme|Dupont}}: Mme Dupont."""
    return lambda args: short + _after(args[1])


# --- the tables

_TABLES: dict[str, dict[str, Shown]] = {}


def _add(language: str, names: str, shown: Shown) -> None:
    table = _TABLES.setdefault(language, {})
    for name in names.split(";"):
        folded = " ".join(name.lower().split())
        if folded in table:
            raise ValueError(f"{language}: {folded!r} is in the table twice")
        table[folded] = shown


_FR_CENTURY = re.compile(r"([ivxl]+)(er|e) siècle( av\. j\.?-c\.?)?")
"""Templates that are named by the century which they show, as {{XXe siècle}}."""

_DEGREES = {"c": "°C", "f": "°F", "c-change": "°C", "f-change": "°F"}

_JOINTS = {
    "-": "–",
    "–": "–",
    "to": "–",
    "la": "–",
    "și": " și ",
    "and": " și ",
    "x": "×",
    "by": "×",
}


def _conversion(args: Parameters) -> str:
    """{{conversie|22|–|25|C|F}}: 22–25 °C; what it is converted to is left out."""
    places = [value.strip() for value in args.places()]
    if len(places) > 3 and places[1] in _JOINTS:
        places = [f"{places[0]}{_JOINTS[places[1]]}{places[2]}", *places[3:]]
    if len(places) < 2:
        return first(args)
    return f"{places[0]} {_DEGREES.get(places[1].lower(), places[1])}"


def _french() -> None:
    # ordinals and titles
    _add("fr", "e;ème;eme;è;es", _fr_ending)
    _add("fr", "exp;exposant;sup", raised)
    _add("fr", "ind;indice;sub", sunk)
    _add("fr", "fchim;formule chimique", joined)
    for ending in ("er", "re", "ère", "nd", "nde", "ers", "res"):
        _add("fr", ending, const(ending))
    for rank in (
        "1er",
        "1re",
        "1ère",
        "2e",
        "2nd",
        "2nde",
        "3e",
        "4e",
        "5e",
        "6e",
        "7e",
        "8e",
        "9e",
    ):
        _add("fr", rank, lambda args, rank=rank: _fr_numbered(args, rank))  # type: ignore[misc]
    titles = {"mme": "Mme", "mlle": "Mlle", "mgr": "Mgr", "dr": "Dr", "pr": "Pr", "me": "Me",
              "st": "St", "ste": "Ste", "mr": "M.", "m.": "M.",
              "mm.": "MM.", "ie": "Ie"}  # fmt: skip
    for name, short in titles.items():
        _add("fr", name, _fr_titled(short))
    _add("fr", "numéro;n°;no;n°s;numero", lambda args: "no" + _after(args[1]))
    _add("fr", "s;siècle;s.;siecle", _fr_century(" siècle"))
    _add("fr", "s-;siècle-", _fr_century())
    _add("fr", "-s;av jc s", _fr_century(" siècle av. J.-C."))
    _add("fr", "-s-", _fr_century(" av. J.-C."))
    _add("fr", "s2;sp;siècles", _fr_two_centuries)
    _add("fr", "s2-", _fr_centuries)
    _add("fr", "sp-", lambda args: _fr_centuries(args) or " ")
    _add("fr", "s mini;s-mini;s1", _fr_century(" siècle"))
    _add(
        "fr",
        "av jc;avjc;av. j.-c.;av j-c",
        lambda args: (args[1] + " " if args[1] else "") + "av. J.-C.",
    )
    _add("fr", "apr jc;ap jc;apjc", lambda args: (args[1] + " " if args[1] else "") + "apr. J.-C.")
    _add(
        "fr",
        "date;date-;date républicaine;date sport;date de naissance;date de naissance-;"
        "naissance;date naissance;jma;date de parution;date rapide;1er jour;date2",
        date,
    )
    _add("fr", "date de décès;date de décès-;date décès;décès", death)
    _add("fr", "unité;unite;unité/2;unités;unité2;nombre et unité;nombre;nb", measure)
    _add("fr", "num;formatnum;nobr num", number)
    _add("fr", "heure;h", lambda args: _clock(args, " h "))
    _add("fr", "durée", _fr_duration)
    _add(
        "fr",
        "langue;lang;lang2;en langue;langue étrangère;langue2;texte;multilang;translittération;"
        "transl;lang-x",
        last,
    )
    _add("fr", "japonais;nihongo;coréen;chinois;nom en langue", name_in_script)
    _add("fr", "nom japonais;nom chinois;nom coréen", const(""))
    _add("fr", "lien;trad;lien interlangue;ill;ilw;lien à supprimer;lien rouge", _fr_link)
    _add(
        "fr",
        'citation;«;guillemets;citation étrangère;citation originale;quote;";'
        "citation étrangère2;citation nécessaire;pas clair;"
        "citation en langue étrangère",
        _fr_quote,
    )
    _add("fr", "citation bloc;début citation;citation2;bloc citation;vers;poème;extrait", block)
    _add(
        "fr",
        "référence nécessaire;référence souhaitée;refnec;refsou;référence insuffisante;"
        "pertinence;passage non neutre;passage promotionnel;travail inédit;quand;où;qui;"
        "précision nécessaire;source insuffisante;mot dans le texte;évasif;à vérifier",
        first,
    )
    _add(
        "fr",
        "nobr;pas de retour à la ligne;petites capitales;pc;petite capitale;sc;"
        "petit;grand;gras;italique;souligner;souligné;couleur1;abréviation discrète2;code;"
        "mvar;variable;formule;math;nom de fichier;nowrap;clair;surligner;"
        "note de bas;incise2;terme défini;défini;corr;unicode;polytonique;grec ancien;"
        "hébreu;arabe;cyrillique;phonétique2;touche;ancre texte;ligne;latin",
        first,
    )
    _add("fr", "abréviation;abr;abréviation discrète;abbr;abrd;infobulle;bulle", first)
    _add("fr", "incise", lambda args: f" – {args[1]} – " if args[2] != "stop" else f" – {args[1]}")
    _add("fr", "tiret;–;ndash", const("–"))
    _add("fr", "couleur;colored text;texte coloré;fond coloré;background;surlignage", last)
    _add("fr", "p.;p", lambda args: "p. " + args[1] if args[1] else "p.")
    _add("fr", "pays;drapeau2;nom pays;drapeau-nom", first)
    _add("fr", "prix;monnaie;euro;dollar;livre;franc", measure)
    _add("fr", "latitude;température;tmp", lambda args: f"{_numbers(args[1], 'fr')} °C")
    _add("fr", "souverain;souverain2;souverain3", _fr_sovereign)
    _add("fr", "formation;fraction;frac", lambda args: "/".join(v for v in args.places() if v))
    _add("fr", "espaces;espace;espace insécable;nbsp;esp;espace fine insécable", const(" "))
    _add("fr", "in;n.d.l.r.;ndlr", const(""))
    _add("fr", "rom;rom-maj;rom-min;romain", first)
    _add("fr", "circa;ca;vers2;c.", lambda args: f"vers {args[1]}".strip())


def _clock(args: Parameters, sign: str) -> str:
    """{{heure|8|30}}: 8 h 30."""
    places = [value.strip() for value in args.places() if value.strip()]
    if not places:
        return ""
    minutes = places[1] if len(places) > 1 else ""
    return (places[0] + sign + minutes).rstrip()


def _fr_duration(args: Parameters) -> str:
    """{{durée|2|30|15}}: 2 h 30 min 15 s."""
    signs = ("h", "min", "s")
    parts = [f"{value} {sign}" for value, sign in zip(args.places(), signs) if value.strip()]
    return " ".join(parts)


def _fr_link(args: Parameters) -> str:
    """{{lien|Titre|lang=en|trad=Title|texte=vu}}: vu."""
    return args.any("texte", "text", "1", "fr", "trad", "2")


def _fr_quote(args: Parameters) -> str:
    """{{citation|texte}}: « texte »."""
    text = args.any("1", "citation", "texte")
    if len(args.places()) > 1 and re.fullmatch(r"[a-z]{2,3}", args[1]):
        text = args[2]  # {{citation étrangère|en|text}}
    return f"« {text} »" if text else ""


def _fr_sovereign(args: Parameters) -> str:
    """{{souverain|Louis|XIV}}: Louis XIV."""
    return words(args)


def _german() -> None:
    # quotations and languages
    _add("de", '";zitat-de2;zitatinline;„', quoted("„", "“"))
    _add("de", "zitat;zitat-en;zitat-fr;zitat-la;zitat-it;zitat-es;zitat-nl;zitat-ru", _de_quote)
    _add("de", '"-en', quoted("“", "”"))
    _add("de", '"-fr', quoted("« ", " »"))
    _add("de", '"-pl;"-ru;"-it;"-es;"-la;"-sv', quoted("„", "“"))
    _add("de", "lang;texts;sprache;spra", last)
    codes = "en fr la it es ru el grc ar he ja zh pl cs nl tr sv da no fi hu pt uk bg fa ro hr sr"
    for code in codes.split():
        _add("de", f"{code}s;{code}", first)
    _add("de", "bruch;frac", lambda args: "/".join(value for value in args.places() if value))
    _add("de", "hoch;sup;hochgestellt", raised)
    _add("de", "tief;sub;tiefgestellt", sunk)
    _add("de", "e;10hoch", lambda args: f"·10^{args[1]}" if args[1] else "")
    _add("de", "zahl;formatnum;fn;nts;fläche;zahlformat", _de_number)
    _add("de", "höhe", _de_height)
    _add("de", "§;art.", _de_paragraph)
    _add(
        "de",
        "sperrsatz;sp;kapitälchen;nowrap;nobr;klein;groß;unterstrichen;small;"
        "hervorhebung;farbe2;code;taste;tastatur;abk;abkürzung;akronym;tooltip;dunkelgrau;"
        "mono;wort;hinweis text;polytonisch;unicode;arabische schrift;hebräische schrift;"
        "ku-arab;farblink;anker text;nicht archivlink;iastd;iast;lizenz text",
        first,
    )
    _add("de", "farbe;farbig;textfarbe", last)
    _add("de", "nihongo;japanisch", name_in_script)
    _add("de", "datum;geburtsdatum;datumzelle;datum2;date;dts;sterbedatum", date)
    _add("de", "geboren;*;born", lambda args: "* " + date(args))
    _add("de", "gestorben;†", lambda args: "† " + date(args))
    _add("de", "interlanguage link;ill;ibl", _de_link)
    _add("de", "u. a.;u.a.", const("u. a."))
    for name, text in {
        "z. b.": "z. B.",
        "d. h.": "d. h.",
        "i. d. r.": "i. d. R.",
        "v. a.": "v. a.",
        "z. t.": "z. T.",
        "o. ä.": "o. Ä.",
        "bzw.": "bzw.",
        "s. o.": "s. o.",
    }.items():
        _add("de", name, const(text))
    _add("de", "nbsp;leerzeichen;0", const(" "))
    _add("de", "ca;ca.;circa", lambda args: "ca. " + args[1] if args[1] else "ca.")
    _add("de", "maß;einheit;unit", measure)
    _add("de", "zeit;uhrzeit", lambda args: _clock(args, ":"))


def _de_quote(args: Parameters) -> str:
    """{{Zitat|Text|Autor}}: the text in quotation marks as a paragraph of its own."""
    text = args.any("Text", "text", "1")
    return f"\n\n„{text}“\n\n" if text else ""


def _de_number(args: Parameters) -> str:
    return _numbers(args.any("1", "Zahl", "zahl"), "de")


def _de_height(args: Parameters) -> str:
    """{{Höhe|2962|DE-NHN|link=true}}: 2962 m."""
    return f"{_numbers(args[1], 'de')} m" if args[1] else ""


def _de_paragraph(args: Parameters) -> str:
    """{{§|242|bgb|juris}}: § 242 BGB."""
    return " ".join(filter(None, ("§", args[1], args[2].upper())))


def _de_link(args: Parameters) -> str:
    return args.any("lt", "text", "2", "1") if len(args.places()) > 2 else first(args)


def _spanish() -> None:
    # dates, numbers and their units
    _add(
        "es",
        "fecha;fecha de inicio;fecha de fin;nacimiento;fecha de nacimiento;"
        "fecha de estreno;inicio;dts;date;bda;birth date and age;birth date",
        date,
    )
    _add("es", "fecha de fallecimiento;fallecimiento;fecha de defunción;dda", death)
    _add("es", "unidad;unidades;esd unidad;unidad2", measure)
    _add(
        "es",
        "esd;nowrap;nobr;versalita;versalitas;may;pequeño;small;subrayado;sobrescrito;"
        "negrita;cursiva;código;texto oculto;mvar;unicode;politónico;griego;tecla;"
        "ancla visible;abreviatura;siglas;abr;abreviación;tooltip;hint;cita requerida texto",
        first,
    )
    _add("es", "número;num;formatnum;nts;nro", number)
    _add("es", "siglo", _es_century)
    _add("es", "ac;a. c.;a.c.;adc", lambda args: words(args) + (" " if args[1] else "") + "a. C.")
    _add("es", "dc;d. c.;d.c.", lambda args: words(args) + (" " if args[1] else "") + "d. C.")
    _add("es", "lang;idioma;idioma2;language2;transl;transliteración;lang-x", last)
    _add("es", "nihongo;japonés", name_in_script)
    _add("es", "cita;cita textual;citas;comillas;quote", _es_quote)
    _add("es", "cita larga;cita destacada;cita2;celda de cita;verso;versos;poema", block)
    _add("es", "enlace interlingüístico;ill;il;enlace interlenguaje;tradúceme;ei", link)
    _add("es", "color;colorletra;color de texto", last)
    _add("es", "ordinal;ord", lambda args: args[1] + (args[2] or "."))
    _add("es", ".º;.er;.o;.a;.ª;er;º;ª", _es_ordinal)
    _add("es", "circa;c.;ca", lambda args: f"c. {words(args)}".strip())
    _add("es", "fl.;fl;floruit", lambda args: f"fl. {words(args)}".strip())
    _add("es", "hora;horas", lambda args: _clock(args, ":"))
    _add("es", "fracción;frac", lambda args: "/".join(value for value in args.places() if value))


def _es_century(args: Parameters) -> str:
    """{{siglo|XIX|d|s}}: siglo XIX."""
    roman = args[1].strip()
    era = " a. C." if args[2].strip().lower() in ("a", "ac") else ""
    if not roman:
        return ""
    show = args[3].strip().lower()
    word = "Siglo " if show == "S" else "siglo "
    return (word if show in ("s", "1", "") else "") + roman + era


def _es_quote(args: Parameters) -> str:
    """{{cita|texto|autor}}: «texto» in a sentence."""
    text = args.any("1", "texto", "cita")
    return f"«{text}»" if text else ""


def _es_ordinal(args: Parameters) -> str:
    return args[1]


def _italian() -> None:
    # measures, numbers and dates
    _add("it", "m;unità;misura;unità di misura", _it_measure)
    _add("it", "formatnum;num;numero;nts", number)
    _add("it", "data;data di nascita;data di nascita ed età;date;datavcc;dts", date)
    _add("it", "data di morte;data di morte ed età", death)
    _add("it", "lang;lingue testo;testo in lingua;trasl;transl;traslitterazione", last)
    _add("it", "nihongo;giapponese;nihongo2", name_in_script)
    _add("it", 'citazione;cit;quote testo;"', quoted("«", "»"))
    _add("it", "citazione necessaria;senza fonte testo;cn;non chiaro;chiarire;oscuro", first)
    _add("it", "quote;citazione bloc;poesia;versi;blockquote", block)
    _add(
        "it",
        "nowrap;nobr;maiuscoletto;sc;testo piccolo;small;piccolo;sottolineato;unicode;"
        "grassetto;corsivo;codice;mvar;tasto;tooltip;abbr;sigla;ancora;polytonic;polytonico",
        first,
    )
    _add(
        "it", "ill;interprogetto link;collegamento interlinguistico;link interlinguistico", foreign
    )
    _add("it", "colore;testo colorato;color", last)
    _add("it", "exp;e", lambda args: f"×10^{args[1]}" if args[1] else "")
    _add("it", "circa;ca", lambda args: f"ca. {words(args)}".strip())
    _add("it", "ordinale;ord", lambda args: args[1] + "º" if args[1].isdigit() else args[1])
    _add("it", "sec;secolo", _it_century)
    _add("it", "ac;a.c.;aev", lambda args: (args[1] + " " if args[1] else "") + "a.C.")
    _add("it", "bandiera;naz", const(""))
    _add(
        "it", "val;frazione;frac", lambda args: "/".join(value for value in args.places() if value)
    )


def _it_measure(args: Parameters) -> str:
    """{{M|1500|-|m}}, {{M|1500|ul=m}}, {{M|5|km/h}}: number and unit."""
    unit = args.any("u", "ul", "up", "upl")
    texts = [_numbers(value, "it") for value in args.places() if value.strip() not in ("", "-")]
    return " ".join(filter(None, [*texts, unit]))


def _it_century(args: Parameters) -> str:
    return f"{args[1]} secolo" if args[1] else ""


def _portuguese() -> None:
    # dates first, which have most names
    _add(
        "pt",
        "data;dtlink;dtext;data de nascimento;nascimento;data de nascimento e idade;"
        "dni;data de lançamento;data sem link;dte;data-inicial;start date;dts;date;"
        "nascimento2;data nascimento",
        date,
    )
    _add("pt", "data de falecimento;morte;falecimento e idade;falecimento;data da morte", death)
    _add("pt", "fmtn;formatnum;num;número;nts;nbr", number)
    _add("pt", "unidade;medida;unit;converter2;valor", measure)
    _add("pt", "lang;língua;idioma;langx2;transl;transliteração", last)
    _add("pt", "nihongo;japonês", name_in_script)
    _add("pt", "citar2;aspas;quote;citação inline", quoted("“", "”"))
    _add("pt", "citação;cquote;quote1;quote2;quote box texto;bloco de citação;verso;poema", block)
    _add(
        "pt",
        "nowrap;nobr;versalete;sc;small;pequeno;sublinhado;negrito;itálico;unicode;"
        "código;mvar;tecla;tooltip;abrev;abreviatura;dica;âncora visível;politônico;"
        "carece de fontes texto;carece de fontes 2",
        first,
    )
    _add("pt", "ill;interlíngua;ligação interlíngua;link interlíngua;ilh", foreign)
    _add("pt", "cor;texto colorido;color", last)
    _add("pt", "séc;século;séc.", _pt_century)
    _add("pt", "ac;a.c.;a.ec", lambda args: (args[1] + " " if args[1] else "") + "a.C.")
    _add("pt", "dc;d.c.", lambda args: (args[1] + " " if args[1] else "") + "d.C.")
    _add("pt", "circa;c.;ca", lambda args: f"c. {words(args)}".strip())
    _add("pt", "hora", lambda args: _clock(args, "h"))
    _add("pt", "ordinal;ord", lambda args: args[1] + (args[2] or "º"))
    _add("pt", "fração;frac", lambda args: "/".join(value for value in args.places() if value))
    _add("pt", "brl;real", lambda args: f"R$ {_numbers(args[1], 'pt')}")


def _pt_century(args: Parameters) -> str:
    return f"século {args[1]}" if args[1] else ""


def _russian() -> None:
    # links to articles that another wiki has
    _add(
        "ru",
        "нп;нп1;нп2;нп3;нп4;нп5;нп6;не переведено;не переведено 2;не переведено 3;"
        "не переведено 4;не переведено 5;iw;нет статьи",
        _ru_link,
    )
    _add("ru", "s;nobr;nowrap;nobreak;неразрывный текст;нр", first)
    _add("ru", "число;num;formatnum;nts;fn;format;чр;val", _ru_number)
    _add(
        "ru",
        "дата;date;датаисо;дата рождения;дата рождения и возраст;дата2;dts;дата и возраст",
        date,
    )
    _add("ru", "дата смерти;дата смерти и возраст", death)
    _add("ru", "oldstyledate;старый стиль;os;сс", _ru_old_style)
    _add("ru", "век;века", _ru_century)
    _add(
        "ru",
        "lang;язык;не по-русски;langi;lang2;transl;транслит;юникод;unicode;polytonic;грек;lang-x",
        last,
    )
    codes = "en fr de la grc el he ar zh ja ko it es uk be pl kk tr fa la2 ka hy az tt ba cs fi sv"
    for code in codes.split():
        _add("ru", f"lang-{code}2;ref-{code}2", first)
    _add("ru", "нихонго;яп;нихонго2;японский", name_in_script)
    _add("ru", "китайский;кит", lambda args: ", ".join(v for v in args.places()[:2] if v))
    _add(
        "ru",
        "цитата;начало цитаты;cquote;блочная цитата;quote;стихи;poem;poemx;стихотворение",
        block,
    )
    _add("ru", "«»;кавычки;quoted;врезка цитата", quoted("«", "»"))
    _add("ru", "comment;comment2;подсказка;tooltip;abbr;аббр;указание;подсказка2", first)
    _add(
        "ru",
        "small;малый;подчёркнутый;подчёркивание;капитель;sc;code;"
        "mvar;клавиша;ударение2;якорь2;жирный;курсив;зачёркнутый;big;math2;без переноса",
        first,
    )
    _add("ru", "ударение;ударение3;'", const("\u0301"))
    _add("ru", "цвет;color;цветной текст;colored text;font color", last)
    _add("ru", "нет аи;нет аи 2;уточнить;прояснить;чей;что;сомнительно;обновить", _ru_doubt)
    _add(
        "ru",
        "до н. э.;до н.э.;до н э",
        lambda args: (args[1] + " " if args[1] else "") + "до н. э.",
    )
    _add("ru", "ок.;около;circa;c.;ca", lambda args: f"ок. {words(args)}".strip())
    _add("ru", "дробь;frac;fraction", lambda args: "/".join(v for v in args.places() if v))
    _add("ru", "sup;надстрочный", raised)
    _add("ru", "sub;подстрочный", sunk)
    _add("ru", "н. э.;н.э.", lambda args: (args[1] + " " if args[1] else "") + "н. э.")
    _add("ru", "кв. км;кв.км", lambda args: f"{number(args)} км²".strip())
    _add("ru", "e;10^", lambda args: f"·10^{args[1]}" if args[1] else "")
    _add("ru", "мн;км;м;га;кг;км²;м²", number)
    _add("ru", "год;г.", lambda args: f"{args[1]} год" if args[1] else "год")
    _add("ru", "тире;—;mdash", const("—"))
    _add("ru", "nbsp;нбсп", const(" "))
    _add("ru", "руб;рубль;$;€", _ru_money)
    _add("ru", "римское;roman", first)


def _ru_link(args: Parameters) -> str:
    """{{нп5|Название|текст|en|Title}}: текст."""
    return args.any("текст", "2", "есть", "надо", "1")


def _ru_number(args: Parameters) -> str:
    unit = args.any("2", "ед", "u")
    return f"{_numbers(args[1], 'ru')} {unit}".strip()


def _ru_old_style(args: Parameters) -> str:
    """{{OldStyleDate|5 января|1900|24 декабря 1899}}: 5 (24 декабря 1899) января 1900."""
    new, year, old = args[1], args[2], args[3]
    if not old:
        return f"{new} {year}".strip()
    return f"{new} {year} ({old})".strip()


def _ru_century(args: Parameters) -> str:
    return f"{words(args)} век"


def _ru_doubt(args: Parameters) -> str:
    """{{прояснить|текст}}: the text that is in doubt; a date alone is no text."""
    text = args[1]
    return "" if re.search(r"\d{4}", text) and len(text) < 25 else text


def _ru_money(args: Parameters) -> str:
    return _numbers(args[1], "ru")


def _ukrainian() -> None:
    _add("uk", "не перекладено;нп;нп5;iw;нп2;нп3;треба-перекласти;iw2", _ru_link)
    _add(
        "uk",
        "s;nobr;nowrap;nobreak;comment;підказка;abbr;капітель;sc;small;юнікод;unicode;"
        "polytonic;підкреслення;code",
        first,
    )
    _add("uk", "число;num;formatnum;nts;val;fn", lambda args: _numbers(args[1], "uk"))
    _add("uk", "дата;date;дата народження;дата народження та вік;дн;днв;dts;дата2", date)
    _add("uk", "дата смерті;дата смерті та вік;дс;дсв", death)
    _add("uk", "дн2;дс2", _uk_two_calendars)
    _add("uk", "нар;нар.", const("нар."))
    _add("uk", "пом;пом.", const("пом."))
    _add("uk", "градус цельсія;°c", const("°C"))
    _add("uk", "lang;мова;langi;транслітерація;transl;lang3", last)
    _add("uk", "ніхонґо;nihongo;яп", name_in_script)
    _add("uk", "цитата;cquote;quote;вірш;вірші;блокова цитата", block)
    _add("uk", "«»;лапки", quoted("«", "»"))
    _add("uk", "колір;color;кольоровий текст", last)
    _add("uk", "до н. е.;до н.е.", lambda args: (args[1] + " " if args[1] else "") + "до н. е.")
    _add("uk", "наголос", const("\u0301"))
    _add("uk", "дріб;frac", lambda args: "/".join(v for v in args.places() if v))


def _uk_two_calendars(args: Parameters) -> str:
    """{{ДС2|21|3|1908|8}}: 8 (21) березня 1908. The fourth and fifth parameters are the day and the
    month of the Julian calendar."""
    shown = format_date(args[3], args[2], args[1], "uk")
    if not args[4]:
        return shown
    if args[5] and args[5] != args[2]:
        return f"{format_date('', args[5], args[4], 'uk')} ({shown})"
    day, _, rest = shown.partition(" ")
    return f"{args[4]} ({day}) {rest}"


def _polish() -> None:
    # dates and numbers
    _add("pl", "data;data urodzenia;data urodzenia i wiek;dts;date;data2", date)
    _add("pl", "data śmierci;data śmierci i wiek", death)
    _add("pl", "liczba;formatnum;num;nts", number)
    _add("pl", "jednostka;unit;wartość", measure)
    _add("pl", "lang;język2;j;j2;transliteracja;transl", last)
    _add("pl", "nihongo;japoński;w języku japońskim", name_in_script)
    _add("pl", "cytat;cquote;quote;wiersz;blockquote;poemat;cytat blokowy", _pl_quote)
    _add("pl", "„;cytat wewnętrzny", quoted("„", "”"))
    _add(
        "pl",
        "nowrap;nobr;małe;small;kapitaliki;sc;tooltip;dymek;skrót;abbr;unicode;"
        "klawisz;kod;mvar;u;podkreślenie;grecki;pismo;fakt;kto;kiedy;czy",
        first,
    )
    _add("pl", "link-interwiki;ill;linkinterwiki;interwiki link", foreign)
    _add("pl", "kolor;color;kolor tekstu", last)
    _add("pl", "ok.;ok;circa;ca", lambda args: f"ok. {words(args)}".strip())
    _add("pl", "p.n.e.;pne", lambda args: (args[1] + " " if args[1] else "") + "p.n.e.")
    _add("pl", "e;10^", lambda args: f"·10^{args[1]}" if args[1] else "")
    _add("pl", "ułamek;frac", lambda args: "/".join(v for v in args.places() if v))


def _pl_quote(args: Parameters) -> str:
    text = args.any("1", "treść", "tekst")
    return f"\n\n{text}\n\n" if text else ""


def _dutch() -> None:
    # dates and numbers
    _add("nl", "datum;geboortedatum;geboren;dts;date;datum2", date)
    _add("nl", "sterfdatum;overlijdensdatum;overleden", death)
    _add("nl", "formatnum;num;getal;nts;fn", number)
    _add("nl", "maat;eenheid;unit", measure)
    _add("nl", "lang;taal;transl;translit;lang-x", last)
    _add("nl", "nihongo;japans", name_in_script)
    _add("nl", "citaat;quote;cquote;citaat blok;gedicht", block)
    _add("nl", '";aanhalingsteken', quoted("‘", "’"))
    _add(
        "nl",
        "nowrap;nobr;klein;small;sc;kleinkapitaal;tooltip;afkorting;abbr;unicode;code;"
        "mvar;onderstreept;polytonisch;feit;wie;wanneer",
        first,
    )
    _add("nl", "intern interwiki link;ill;iw;link-interwiki", foreign)
    _add("nl", "kleur;color;tekstkleur", last)
    _add("nl", "ca;ca.;circa", lambda args: f"ca. {words(args)}".strip())
    _add("nl", "v.chr.;v. chr.", lambda args: (args[1] + " " if args[1] else "") + "v.Chr.")
    _add("nl", "breuk;frac", lambda args: "/".join(v for v in args.places() if v))
    _add("nl", "sup", raised)
    _add("nl", "sub", sunk)
    _add("nl", "opsomming;e", last)


def _nordic() -> None:
    for code in ("sv", "no", "da"):
        _add(
            code,
            "datum;dato;date;dts;fødselsdato;fødselsdato og alder;fødselsdato og -alder;"
            "födelsedatum och ålder;födelsedatum;dödsdatum;start date;startdato",
            date,
        )
        _add(code, "dødsdato;dødsdato og alder;dødsdato og -alder;dödsdatum och ålder", death)
        _add(code, "formatnum;num;tal;nts;nummer;formatnr", number)
        _add(code, "enhet;enhed;unit", measure)
        _add(code, "lang;språk;sprog;transl;spr;språk2", last)
        _add(code, "nihongo;japanska;japansk", name_in_script)
        _add(code, "citat;sitat;quote;cquote;blockquote;dikt;blockcitat;digt", block)
        _add(
            code,
            "nowrap;nobr;liten;small;sc;kapitäler;kapiteler;tooltip;abbr;förkortning;"
            "unicode;kod;mvar;understreket;klargør;tydliggör;källa behövs;nr;tr",
            first,
        )
        _add(code, "ill;språklänk;lenke-interwiki;ikkeoversat", foreign)
        _add(code, "färg;farge;farve;color", last)
        _add(code, "ca;ca.;cirka;circa", lambda args: f"ca {words(args)}".strip())
        _add(code, "brøk;bråk;frac", lambda args: "/".join(v for v in args.places() if v))
        _add(code, "e;10^", lambda args: f"·10^{args[1]}" if args[1] else "")


def _finnish_hungarian_czech() -> None:
    _add("fi", "päiväys;date;syntymäaika;syntymäaika ja ikä;syntymäaika2;dts", date)
    _add("fi", "kuolinaika;kuolinaika ja ikä", death)
    _add("fi", "k-ja;k-en;k-fr;k-de;k-sv;k-ru;k-la;k-es;k-it;k-zh;k-el;k-ar;k-et;k-pl;k", first)
    _add("fi", "lang;kieli;transl", last)
    _add("fi", "nihongo;japani", name_in_script)
    _add("fi", "sitaatti;lainaus;quote;runo", block)
    _add("fi", "nowrap;nobr;pienet kapiteelit;small;selite;abbr;lyhenne;unicode;lähde;kuka", first)
    _add("fi", "formatnum;luku;nts", number)
    _add("fi", "muunna;yksikkö", measure)

    # Hungarian
    _add("hu", "dátum;születési dátum;születés dátuma;date;szül;dts;életkor", date)
    _add("hu", "halálozási dátum;halál dátuma;halál", death)
    _add("hu", "szám;formatnum;num;nts;szj", number)
    _add("hu", "mértékegység;convert2", measure)
    _add("hu", "lang;nyelv;transl;nyelvű", last)
    _add("hu", "nihongo;japánul;japán", name_in_script)
    _add("hu", "idézet;idézet2;idézet 2;idézet 3;quote;vers;cquote", block)
    _add("hu", "nowrap;nobr;kiskapitális;small;abbr;unicode;kicsi;buborék;forr;ki;mikor", first)
    _add("hu", "h;h2;hivatkozás;külső wiki;wd;ill", foreign)
    _add("hu", "jel;szín;color", last)

    # Czech
    _add("cs", "datum;datum narození a věk;datum narození;vjazyce datum;dts;date", date)
    # Czech
    _add("cs", "datum úmrtí a věk;datum úmrtí", death)
    _add("cs", "vjazyce2;lang;cizojazyčně;transl;cj;vjazyce text", last)
    _add("cs", "vjazyce", _cs_language)
    _add("cs", "nihongo;japonsky", name_in_script)
    _add("cs", "citát;citace textu;quote;cquote;verše;básnička;citát v bloku", block)
    _add("cs", "uvozovky;„", quoted("„", "“"))
    _add(
        "cs",
        "nowrap;nobr;kapitálky;small;malé;abbr;zkratka;unicode;doplňte zdroj;fakt/dne2;"
        "kdo?;kdy?;podtržení",
        first,
    )
    _add("cs", "číslo;formatnum;num;nts;formátovat číslo", number)
    _add("cs", "jednotka;měna", measure)
    _add("cs", "ill;wikidata odkaz;link-interwiki;interwiki odkaz", foreign)
    _add("cs", "barva;color;barevný text", last)
    _add(
        "cs", "před n. l.;př. n. l.", lambda args: (args[1] + " " if args[1] else "") + "př. n. l."
    )


def _cs_language(args: Parameters) -> str:
    """{{Vjazyce|en}}: the name of the language; {{Vjazyce2|en|text}} has a text."""
    return args[2]


def _others() -> None:
    _add("ca", "data;data naixement;data de naixement;data naixement i edat;date;dts", date)
    _add("ca", "data defunció;mort;data de defunció", death)
    _add("ca", "formatnum;num;nombre;fn", number)
    _add("ca", "unitat;unitats", measure)
    _add("ca", "lang;idioma;llengua;transl", last)
    _add("ca", "nihongo;japonès", name_in_script)
    _add("ca", "citació;cita;quote;poema;vers;bloc citat", block)
    _add("ca", "nowrap;nobr;versaleta;small;petit;abbr;abrev;unicode;polytonic;format ref2", first)
    _add("ca", "enllaç no actiu;ill;e2;traducció pendent", foreign)
    _add("ca", "segle", lambda args: f"segle {args[1]}" if args[1] else "")
    _add("ca", "ac", lambda args: (args[1] + " " if args[1] else "") + "aC")

    # Romanian
    _add("ro", "dată;data nașterii;data nașterii și vârsta;dată naștere;date;dn;dts", date)
    _add("ro", "data decesului;decesul;deces;dd", death)
    _add("ro", "formatnum;num;nts", number)
    _add("ro", "unitate;unit", measure)
    _add("ro", "lang;limba;transl", last)
    _add("ro", "citat;cquote;quote;poezie", block)
    _add("ro", "nowrap;nobr;small;abbr;tooltip;unicode;formatare", first)
    _add("ro", "ill-wd;ill;ill-wd2;legătură interwiki", foreign)

    _add("ro", "conversie;convert;conv;cvt", _conversion)

    # Slovak
    _add("sk", "dnv;dn;dátum narodenia;dátum narodenia a vek", date)
    _add("sk", "duv;dú;dátum úmrtia;dátum úmrtia a vek", death)
    _add("sk", "formatnum;num;nts", number)
    _add("sk", "km", lambda args: f"{first(args)} km" if first(args) else "")
    _add("sk", "mnm", lambda args: f"{first(args)} m n. m." if first(args) else "")
    _add("sk", "v jazyku;vjz;lang;transl;vo výslovnosti", last)
    _add("sk", "--", const("–"))
    _add("sk", "citát;quote;cquote;verš", block)
    _add("sk", "nowrap;nobr;small;skratka;abbr;unicode", first)

    # Turkish
    _add("tr", "tarih;doğum tarihi;doğum tarihi ve yaşı;dts;date;başlangıç tarihi", date)
    _add("tr", "ölüm tarihi;ölüm tarihi ve yaşı", death)
    _add("tr", "formatnum;sayı;nts;num", number)
    _add("tr", "birim;unit", measure)
    _add("tr", "lang;dil;dil2;transl;lang-x", last)
    _add("tr", "nihongo;japonca", name_in_script)
    _add("tr", "alıntı;quote;cquote;şiir", block)
    _add("tr", "nowrap;nobr;küçük;small;kısaltma;abbr;unicode;çevirmen", first)
    _add("tr", "ill;iç bağlantı;bağlantı-interviki", foreign)

    _add("id", "tanggal;tanggal lahir;lahirmati;tanggal lahir dan usia;birth date;dts;date", date)
    _add("id", "tanggal kematian;tanggal kematian dan usia;death date and age", death)
    _add("id", "formatnum;angka;nts", number)
    _add("id", "lang;bahasa;transl", last)
    _add("id", "nihongo;jepang", name_in_script)
    _add("id", "kutipan;quote;cquote;puisi", block)
    _add("id", "nowrap;nobr;small;abbr;unicode", first)
    _add("id", "ill;interlanguage link;tautan antarbahasa", foreign)

    _add("vi", "ngày;ngày sinh;ngày sinh và tuổi;birth date;birth date and age;date;dts", date)
    _add("vi", "ngày mất;ngày mất và tuổi;death date and age", death)
    _add("vi", "as of;tính đến", _vi_as_of)
    _add("vi", "formatnum;số;nts;num", number)
    _add("vi", "lang;ngôn ngữ;transl;vie", last)
    _add("vi", "nihongo;tiếng nhật", name_in_script)
    _add("vi", "trích dẫn;quote;cquote;thơ;cầu trích dẫn", block)
    _add("vi", "nowrap;nobr;small;abbr;unicode;nôm", first)
    _add("vi", "liên kết ngôn ngữ;ill;liên kết khác ngôn ngữ;interlanguage link", foreign)

    _add("ar", "تاريخ;تاريخ الميلاد;تاريخ الميلاد والعمر;تاريخ ميلاد;date;birth date", date)
    _add("ar", "تاريخ الوفاة;تاريخ الوفاة والعمر", death)
    _add("ar", "formatnum;رقم;عدد;nts", number)
    _add("ar", "lang;لغة;نص أجنبي;transl;يون", last)
    _add("ar", "nihongo;يابانية", name_in_script)
    _add("ar", "اقتباس;اقتباس مضمن;quote;cquote;قصيدة;بيت;إقتباس", _ar_quote)
    _add("ar", "nowrap;nobr;صغير;small;abbr;اختصار;unicode;تحته خط;قرآن مصور", first)
    _add("ar", "وإو;إنترويكي;وصلة إنترويكي;ill;interlanguage link", _ar_link)
    _add("ar", "ق م;ق.م;ق.م.", lambda args: (args[1] + " " if args[1] else "") + "ق.م")

    _add("fa", "تاریخ;تاریخ تولد;تاریخ تولد و سن;birth date;date;سال تولد و سن", date)
    _add("fa", "تاریخ مرگ;تاریخ مرگ و سن", death)
    _add("fa", "formatnum;عدد;nts;رقم", number)
    _add("fa", "lang;زبان;به زبان;transl;چپ;یونی", last)
    _add("fa", "به انگلیسی;به فرانسوی;به آلمانی;به عربی;به لاتین;به روسی", first)
    _add("fa", "نقل قول;quote;cquote;شعر;نقل‌قول;گفتاورد", block)
    _add("fa", "nowrap;nobr;کوچک;small;abbr;unicode;پم", first)
    _add("fa", "پیوند میان‌زبانی;ill;پیوند میان‌ویکی;interlanguage link", foreign)

    _add("he", "תאריך;תאריך לידה;date;birth date", date)
    _add("he", "תאריך פטירה;תאריך מוות", death)
    _add("he", "formatnum;מספר;nts", number)
    _add("he", "אנג;אנגלית;צרפתית;גרמנית;רוסית;ערבית;לועזית;יוונית;ספרדית;איטלקית;לטינית", first)
    _add("he", "שפה;lang;כתב אחר", last)
    _add("he", "ציטוט;ציטוטון;שיר;quote", _he_quote)
    _add("he", "מירכאות;ג", first)
    _add("he", "קישור שפה;קישור לשפה אחרת;ill;אנ", _he_link)
    _add("he", "nowrap;ללא גלישה;קטן;small;מונחון;abbr;כ", first)

    _add("el", "ημερομηνία;ημερομηνία γέννησης;date;birth date;dts", date)
    _add("el", "ημερομηνία θανάτου", death)
    _add("el", "lang;γλώσσα;transl", last)
    _add("el", "απόσπασμα;quote;cquote;παράθεμα", block)
    _add("el", "nowrap;nobr;small;abbr;unicode;πολυτονικό", first)
    _add("el", "ill;διαγλωσσικός σύνδεσμος", foreign)
    _add("el", "formatnum;nts;αριθμός", number)

    for code in ("sr", "bg"):
        _add(code, "датум;дата;датум рођења;дата на раждане и възраст;рп;date;dts", date)
        _add(code, "датум смрти;дата на смъртта и възраст", death)
        _add(code, "lang;јез;език;transl", last)
        _add(code, "цитат;quote;cquote;песен;песма", block)
        _add(code, "nowrap;nobr;s;small;abbr;unicode;мали;пояснение текст", first)
        _add(code, "ill;нп;превод текст;без превода", foreign)
        _add(code, "formatnum;број;nts;число", number)
        _add(
            code, "пр. н. е.;пр.н.е.", lambda args: (args[1] + " " if args[1] else "") + "пр. н. е."
        )


def _ar_quote(args: Parameters) -> str:
    text = args.any("1", "نص", "اقتباس", "quote", "text")
    return f"\n\n{text}\n\n" if text else ""


def _vi_as_of(args: Parameters) -> str:
    """{{As of|2015|12}}: Tính đến tháng 12 năm 2015; a lone year is `năm 2011`."""
    if args["alt"]:
        return args["alt"]
    word = "tính đến" if args["lc"] else "Tính đến"
    shown = format_date(args[1], args[2], args[3], "vi")
    return f"{word} {'năm ' if not args[2] else ''}{shown}"


def _ar_link(args: Parameters) -> str:
    """{{وإو|تر=Title|عر=عنوان|نص=نص}}: the text, else the title in Arabic."""
    return args.any("نص", "عر", "1", "lt")


def _he_quote(args: Parameters) -> str:
    text = args.any("תוכן", "1", "text")
    return f"\n\n{text}\n\n" if text else ""


def _he_link(args: Parameters) -> str:
    return args.any("טקסט", "3", "1")


def _east_asian() -> None:
    # Japanese
    _add("ja", "仮リンク;ill2;interlanguage link;日本語版にない記事リンク;訳語疑問点範囲", _ja_link)
    _add("ja", "lang;llang;lang-x;transl;多言語;琉球語;interlang", last)
    _add("ja", "読み仮名;読み仮名2;読み;ruby;ルビ", _ja_reading)
    _add("ja", "和暦;date;日付;生年月日と年齢;birth date;birth date and age;dts;生年月日", date)
    _add("ja", "死亡年月日と没年齢;没年齢;死亡年月日", death)
    _add("ja", "convert2;val;formatnum;num;nts", number)
    _add("ja", "quotation;quote;cquote;引用;ポエム;quotation2", block)
    _add(
        "ja",
        "nowrap;small;smaller;補助漢字フォント;jis2004フォント;jis90フォント;cjk;kotoba;"
        "要出典範囲;要検証範囲;疑問点範囲;要説明範囲;独自研究範囲;拡張漢字;ipafont;big;sc;abbr;"
        "underline;中国語フォント;unicode;他言語フォント;繁体字;簡体字;ウィキ化;efn2",
        first,
    )
    _add("ja", "color;colors;font color;cl", last)
    _add("ja", "『』;「」", around("『", "』"))
    _add("ja", "ilq", around("「", "」"))
    _add("ja", "r;sfn;refnest;efn;脚注", const(""))

    # Korean
    _add("ko", "llang;lang;언어;언어2;transl;llang2", last)
    _add("ko", "nihongo;일본어", name_in_script)
    _add("ko", "한자;漢字;한글", first)
    _add("ko", "출생일;출생일과 나이;birth date;birth date and age;date;날짜", date)
    _add("ko", "사망일;사망일과 나이", death)
    _add("ko", "formatnum;nts;수", number)
    _add("ko", "인용;인용문;quote;cquote;시", block)
    _add("ko", "nowrap;작게;small;abbr;루비;unicode;언어표기2;밑줄;옛한글", first)
    _add("ko", "임시링크;ill;언어간 링크;각주 없는 링크;링크", foreign)
    _add("ko", "색;color;글자색", last)

    _add(
        "zh",
        "link-en;link-ja;link-fr;link-de;link-ru;link-es;link-it;link-ko;link-pt;link-uk;"
        "link-pl;le;link-vi;link-nl;link-sv;link-he;link-la;link-ar;link-tr",
        _zh_link,
    )
    _add("zh", "tsl;translink;internal link helper;ilh", _zh_translated)
    _add("zh", "lang;語言;语言;transl;lang2;bd text;langr", last)
    _add("zh", "lj;japanese;日語;日语;jpn;日本語", first)
    _add("zh", "nihongo;日語平假名;nihongo2;日文假名", name_in_script)
    _add("zh", "bd", _zh_life)
    _add(
        "zh", "date;日期;birth date;birth date and age;出生日期;出生日期与年龄;dts;start date", date
    )
    _add("zh", "死亡日期;死亡日期与年龄;death date and age", death)
    _add("zh", "formatnum;nts;num", number)
    _add("zh", "quote;cquote;quotation;引用;诗;詩;引文", block)
    _add(
        "zh",
        "nowrap;small;僻字;僻字2;缺字;原文如此;kai;明体;細明體;要来源范围;來源請求範圍;"
        "fact range;abbr;unicode;注音;rubya;nobr;专名号;專名號;sic;le2;提醒;link;underline",
        _zh_first,
    )
    _add("zh", "color;font color;colored text;cl", last)
    _add("zh", "书名号;書名號", around("《", "》"))


def _ja_link(args: Parameters) -> str:
    """{{仮リンク|題名|en|Title|label=表示}}: 表示, else 題名."""
    return args.any("label", "ラベル", "1")


def _ja_reading(args: Parameters) -> str:
    """{{読み仮名|東京|とうきょう}}: 東京（とうきょう）."""
    return f"{args[1]}（{args[2]}）" if args[2] else args[1]


def _zh_link(args: Parameters) -> str:
    """{{link-en|題|Title|顯示}}: 顯示, else 題."""
    return args.any("3", "d", "1")


def _zh_translated(args: Parameters) -> str:
    """{{tsl|en|Title|題|顯示}}: 顯示, else 題."""
    if args.any("lang-code", "tr", "lang"):
        return args.any("d", "tr", "1")
    return args.any("4", "d", "3", "2")


def _zh_life(args: Parameters) -> str:
    """{{bd|1900年|1月2日|1980年|3月4日}}: 1900年1月2日－1980年3月4日."""
    birth = args[1] + args[2]
    end = args[3] + args[4]
    return f"{birth}－{end}" if birth or end else ""


def _zh_first(args: Parameters) -> str:
    return args[1]


for _fill in (
    _french,
    _german,
    _spanish,
    _italian,
    _portuguese,
    _russian,
    _ukrainian,
    _polish,
    _dutch,
    _nordic,
    _finnish_hungarian_czech,
    _others,
    _east_asian,
):
    _fill()

_SAME = {"nb": "no", "nn": "no", "pt-br": "pt", "als": "de", "bar": "de", "zh-yue": "zh"}

_ENGLISH_ONLY = frozenset(
    """
    as of;asof;as of?;circa;floruit;born;died;reign;sic;ordinal;ord;nth;num;number;date;
    chinese;korean;ko-hhrm;harvtxt;harvtext;harvcoltxt;oldstyledate;oldstyledatenn;oldstyledatedy;
    baseball year;wcy;wc year;ship;sclass;sclass-;sclass2;sclass2-;ship class;us patent;
    us patent reference;title;text;key;country;person;plain;normal;code2;resp;script;sort;
    released;format price;formatprice;bibleref;bibleverse;bibleref2;bibleverse-nb;equilibrium;eqm;
    percent;pct;half;dash;dot;bar;currency;gloss;define;verse;disp;hover;pname;red link;quotes;
    quotation;epigraph;dob;dod;pause;gap;pad;quad;indent;sc;big
    """.replace("\n    ", "")
    .strip()
    .split(";")
)
"""Names of the English table that show English words, or mean something else on other wikis."""


def wiki_template(name: str, language: str) -> Shown | None:
    """What a template of this (folded) name shows on a wiki of this language, if the wiki's own
    table has it."""
    table = _TABLES.get(_SAME.get(language, language))
    if table is None:
        return None
    if language == "fr" and name not in table and (century := _FR_CENTURY.fullmatch(name)):
        rank, ending, era = century.groups(default="")
        return const(f"{rank.upper()}{ending} siècle{' av. J.-C.' if era else ''}")
    return table.get(name)


def is_shared(name: str, language: str) -> bool:
    """Whether a template of the English table may be read on a wiki of this language."""
    if language in ("en", "simple"):
        return True
    if _SAME.get(language, language) not in _TABLES:
        return True
    if name in _ENGLISH_ONLY:
        return False
    # A word of one or two letters is another template on nearly every wiki.
    letters = [character for character in name if character.isalpha()]
    return len(letters) > 2 or not letters
