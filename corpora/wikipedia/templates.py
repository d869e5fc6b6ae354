"""The text that a reader sees of a template: `expand(name, args, own, title)`. Templates that are
not in the table here give no text.

What a template shows is defined on its wiki; these are the forms of the English Wikipedia, which
most others share. Where the full form needs tables that change (exchange rates, conversions of
units), the text is what the writer typed: number and unit. The list was drawn from the templates
met in dumps; docs/corpora.md has it as a table.
"""

import re
from collections.abc import Callable, Mapping

from corpora.wikipedia.tags import LEVEL, NEWLINE, RAISED, SUNK, poem_lines
from corpora.wikipedia.template_words import LANGUAGES, MONTHS, RANGES, SCALES, UNIT_NAMES
from corpora.wikipedia.wikis.formats import format_date, format_number
from corpora.wikipedia.wikis.templates import is_shared, wiki_template

_NUMBER = re.compile(r"[-−+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-−+]?\d+)?", re.IGNORECASE)

_FRACTION = re.compile(r"[-−]?(?:\d+\+)?\d+/{1,2}\d+")


class Args:
    """The parameters of a template, as text: `args[1]` by place, `args["lc"]` by name, "" for a
    missing one. `wiki`: the language of the wiki. Only on an English one may English words be
    added, such as the names of languages and units."""

    def __init__(self, values: Mapping[str, str], wiki: str = "en") -> None:
        self._values = values
        self.wiki = wiki
        self.english = wiki in ("en", "simple")

    def __getitem__(self, key: int | str) -> str:
        return self._values.get(str(key), "")

    def places(self) -> list[str]:
        """The parameters by place, from 1 to the first that is missing."""
        values: list[str] = []
        while str(len(values) + 1) in self._values:
            values.append(self._values[str(len(values) + 1)])
        return values

    def any(self, *names: str) -> str:
        """The first of these parameters that is not empty."""
        return next((self._values[name] for name in names if self._values.get(name)), "")


Expander = Callable[[Args], str]


def group_digits(number: str) -> str:
    """12345.6789 as 12,345.6789; text that is not a plain number is unchanged."""
    match = re.fullmatch(r"([-−+]?)(\d+)(\.\d*)?", number.replace(",", "").strip())
    if match is None or len(match[2]) >= 1000:
        return number
    sign = "−" if match[1] in ("-", "−") else match[1]
    return f"{sign}{int(match[2]):,}{match[3] or ''}"


def _number(value: str, args: Args) -> str:
    value = value.strip()
    if not args.english:
        return format_number(value, args.wiki)
    if _NUMBER.fullmatch(value):
        return group_digits(value)
    if _FRACTION.fullmatch(value):
        return value.replace("//", "/").replace("+", " ")
    return value


def _is_number(value: str) -> bool:
    return bool(_NUMBER.fullmatch(value.strip()) or _FRACTION.fullmatch(value.strip()))


_SMALLER_UNITS = frozenset(
    {
        ("ft", "in"),
        ("foot", "in"),
        ("st", "lb"),
        ("lb", "oz"),
        ("mi", "yd"),
        ("yd", "ft"),
        ("mi", "ch"),
    }
)


def _convert(args: Args) -> str:
    """{{convert|5|to|6|km|mi}}: 5 to 6 kilometres, without the conversion."""
    places = args.places()
    if not places or not places[0]:
        return ""
    text = _number(places[0], args)
    last = places[0]
    at = 1
    while at + 1 < len(places) and places[at].strip() in RANGES and _is_number(places[at + 1]):
        text += RANGES[places[at].strip()] + _number(places[at + 1], args)
        last = places[at + 1]
        at += 2
    if at >= len(places):
        return text

    unit = places[at].strip()
    text = _with_unit(args, text, unit, _is_one(last))
    # 5 ft 6 in: a number and a smaller unit follow
    if at + 2 < len(places) and _is_number(places[at + 1]):
        smaller = places[at + 2].strip()
        if (unit, smaller) in _SMALLER_UNITS:
            number = places[at + 1]
            text += " " + _with_unit(args, _number(number, args), smaller, number.strip() == "1")
    return text


def _is_one(number: str) -> bool:
    """Whether a unit behind the number is in the singular: 1, or a fraction below it."""
    if number.strip() in ("1", "-1", "−1"):
        return True
    return _FRACTION.fullmatch(number.strip()) is not None and "+" not in number


def _with_unit(args: Args, number: str, code: str, one: bool) -> str:
    """A number with its unit, as `abbr`, `adj`, `disp` and `sp` ask for it."""
    if args["abbr"] == "values" or args["disp"] in ("number", "out", "output number only"):
        return number

    scale = ""
    match = re.match(r"e(?:3|6|9|12)(?=\D)", code)
    if match:
        scale = SCALES[match[0]] + " "
        code = code[match.end() :]
    name, plural, symbol = UNIT_NAMES.get(code, (code, code, code))

    if args["abbr"] in ("on", "in", "~") or not args.english:
        return f"{number}{symbol}" if symbol.startswith("/") else f"{number} {scale}{symbol}"

    adjective = args["adj"] in ("on", "mid", "pre")
    unit = name if adjective or (one and not scale) else plural
    if args["sp"] == "us" or args["lang"] == "en-us":
        unit = unit.replace("metre", "meter").replace("litre", "liter")
    if "°" in symbol:
        return f"{number} {symbol}"
    if adjective:
        return f"{number}-{scale.replace(' ', '-')}{unit.replace(' ', '-')}"
    return f"{number} {scale}{unit}"


def _day(args: Args, year: str, month: str, day: str, day_first: bool) -> str:
    """A date in words, with as much as is given, as the wiki writes it."""
    if not args.english:
        return format_date(year, month, day, args.wiki)
    year = year.strip()
    month = month.strip()
    day = day.strip()
    if month.isascii() and month.isdigit() and 1 <= int(month) <= 12:
        month = MONTHS[int(month) - 1]
    if day.isascii() and day.isdigit() and len(day) < 3:
        day = str(int(day))

    if not month:
        return year
    if not day:
        return f"{month} {year}".strip()
    if day_first:
        return f"{day} {month} {year}".strip()
    return f"{month} {day}, {year}".rstrip(", ")


def _date(args: Args) -> str:
    first = args[1].strip()
    day_first = args.any("df", "dayfirst").lower() in ("y", "yes", "true", "1")
    match = re.fullmatch(r"(\d{3,4})-(\d\d?)-(\d\d?)", first)
    if match:
        if args[2]:  # the order, as in {{date|2018-12-20|mdy}}
            day_first = args[2].lower() != "mdy"
        return _day(args, match[1], match[2], match[3], day_first)
    if not first.isdigit():
        return first
    date = _day(args, first, args[2], args[3], day_first)
    return f"{date} {args['bce']}".strip() if args["bce"] else date


def _death_date(args: Args) -> str:
    """{{death date and age|2018|12|20|1950|1|2}}: the death comes first."""
    return _date(Args({"1": args[1], "2": args[2], "3": args[3], "df": args["df"]}, args.wiki))


def _as_of(args: Args) -> str:
    if args["alt"]:
        return args["alt"]
    word = "Since" if args["since"] else "As of"
    if args["pre"]:
        word += f" {args['pre']}"
    if args["lc"]:
        word = word[0].lower() + word[1:]
    date = _day(args, args[1], args[2], args[3], args["df"].lower() not in ("us", "mdy"))
    return f"{word} {date}".strip() + args["post"]


def _labelled(code: str, args: Args, text: str, roman: str) -> str:
    """{{lang-ru|текст|tekst}}: Russian: текст, romanized: tekst."""
    if not text or not args.english:
        return text
    name = LANGUAGES.get(code.lower().split("-")[0])
    if name is not None and args["label"] != "none" and args["links"] != "none":
        text = f"{args['label'] or name}: {text}"
    if roman:
        text += f", romanized: {roman}"
    literal = args["lit"] or args["translation"] or (args[3] if roman else "")
    if literal and literal != roman:
        text += f", lit. '{literal}'"
    return text


def _nihongo(args: Args) -> str:
    english = args[1]
    inner = ", ".join(filter(None, (args[2], args[3], args.any("4", "extra"))))
    return f"{english} ({inner})" if english and inner else english or inner


def _nihongo3(args: Args) -> str:
    if args[1] and args[2] and args[3]:
        return f"{args[3]} ({args[2]}, {args[1]})"
    return args.any("3", "2", "1")


def _chinese(args: Args) -> str:
    labels = (
        ("c", "Chinese"),
        ("t", "traditional Chinese"),
        ("s", "simplified Chinese"),
        ("p", "pinyin"),
        ("w", "Wade–Giles"),
        ("j", "Jyutping"),
        ("poj", "Pe̍h-ōe-jī"),
    )
    texts = [f"{label}: {args[key]}" for key, label in labels if args[key]]
    if args["l"]:
        texts.append(f"lit. '{args['l']}'")
    return "; ".join(texts)


def _korean(args: Args) -> str:
    labels = (("hangul", "Korean"), ("hanja", "Hanja"), ("rr", "RR"), ("mr", "MR"))
    return "; ".join(f"{label}: {args[key]}" for key, label in labels if args[key]) or args[1]


def _fraction(args: Args) -> str:
    places = args.places()
    if len(places) >= 3:
        return f"{places[0]}+{places[1]}⁄{places[2]}"
    if len(places) == 2:
        return f"{places[0]}⁄{places[1]}"
    return f"1⁄{places[0]}" if places else "⁄"


def _value(args: Args) -> str:
    """{{val|1.5|0.1|e=6|u=km}}: 1.5 ± 0.1×10^6 km; {{val|1.5|(2)}}: 1.5(2); {{val|10|to|20}}: 10 to
    20. On other wikis a template of this name may show a word."""
    if args[1] and not any(character.isdigit() for character in args[1]):
        return args[2] or args[1]
    text = _number(args[1], args)
    second = args[2].strip()
    third = args[3].strip()
    if second in RANGES and third:
        text += RANGES[second] + _number(third, args)
    elif second in RANGES:
        pass
    elif second.startswith("("):
        text += second
    elif args["+"] or (second and third):
        above = (args["+"] or second).lstrip("+ ")
        below = (args["-"] or third).lstrip("-−– ")
        text += f" +{above} −{below}"
    elif second:
        text += f" ± {_number(second, args)}"
    if args["err"]:
        text += args["err"]
    if args["e"]:
        text += f"×10^{args['e']}" if text else f"10^{args['e']}"
    unit = args.any("u", "ul").replace("&nbsp;", " ")
    per = args.any("up", "upl")
    if per:
        unit = f"{unit}/{per}"
    joint = "" if unit.startswith(("%", "°", "/", "′", "″")) and not unit.startswith("°C") else " "
    return args["p"] + f"{text}{joint}{unit}".strip() + args.any("s", "end")


def _money(sign: str) -> Expander:
    return lambda args: f"{sign}{_number(args[1], args)}" if args[1] else sign


_CURRENCIES = {"USD": "US$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}


def _currency(args: Args) -> str:
    """{{currency|100|USD}}: US$100."""
    sign = _CURRENCIES.get(args[2].upper(), f"{args[2]} ".lstrip())
    return sign + _number(args[1], args)


def _ship(prefix: str, at: int = 1) -> Expander:
    """{{USS|Enterprise|CV-6}}: USS Enterprise (CV-6). A last parameter of 1 to 6 leaves parts
    out."""

    def expand(args: Args) -> str:
        name = args[at]
        number = args[at + 1]
        form = args[at + 2] or args["up"]
        if form == "1":
            return number or name
        if form == "2":
            return name
        full = f"{prefix or args[1]} {name}".strip()
        return full if form in ("3", "5", "6") or not number else f"{full} ({number})"

    return expand


def _ship_class(args: Args) -> str:
    if args[3] in ("0", "4", "5") or not args[2]:
        return f"{args[1]} class"
    return f"{args[1]}-class {args[2]}"


def _quote(args: Args) -> str:
    text = args.any("text", "quote", "1")
    return f"\n\n{text}\n\n" if text else ""


def _poem(args: Args) -> str:
    """A poem, with its lines."""
    text = args.any("text", "quote", "1")
    return poem_lines(text.replace(NEWLINE, "\n")) if text else ""


def _ordinal(args: Args) -> str:
    number = args[1].strip()
    if not number.isdigit():
        return number
    if number[-2:] in ("11", "12", "13"):
        return f"{number}th"
    return number + {"1": "st", "2": "nd", "3": "rd"}.get(number[-1], "th")


def _old_style(args: Args) -> str:
    """{{OldStyleDate|4 July|1776|23 June}}: 4 July [O.S. 23 June] 1776."""
    if args[3]:
        return f"{args[1]} [O.S. {args[3]}] {args[2]}".strip()
    return f"{args[1]} {args[2]}".strip()


def _old_style_behind(args: Args) -> str:
    """{{OldStyleDateDY|4 July|1776|23 June}}: 4 July 1776 [O.S. 23 June]."""
    if args[3]:
        return f"{args[1]} {args[2]} [O.S. {args[3]}]".strip()
    return f"{args[1]} {args[2]}".strip()


def _reign(args: Args) -> str:
    return "r. " + "–".join(filter(None, (args[1], args[2])))


def _abbreviation(word: str) -> Expander:
    """{{circa|1500|1510}}: c. 1500 – c. 1510."""
    return lambda args: " – ".join(f"{word} {value}" for value in args.places() if value) or word


def _author(args: Args) -> str:
    """{{harvtxt|Smith|Jones|2000|p=1}}: Smith & Jones (2000)."""
    *names, year = args.places() or [""]
    if not names:
        return year
    if len(names) > 3:
        return f"{names[0]} et al. ({year})"
    if len(names) > 1:
        return f"{', '.join(names[:-1])} & {names[-1]} ({year})"
    return f"{names[0]} ({year})"


def _verse(args: Args) -> str:
    """{{bibleverse|1|Kings|3:5|KJV}}: 1 Kings 3:5, without the translation."""
    return " ".join(
        value for value in args.places()[:3] if value and not value.isupper() and value != "9"
    )


def _sic(args: Args) -> str:
    if args.any("hide", "nolink") and args[1]:
        return args[1] + args[2]
    return f"{args[1]}{args[2]} [sic]".strip()


def _format_number(args: Args) -> str:
    return args[1] if args[2].upper().startswith("R") else _number(args[1], args)


_ACCIDENTALS = {
    "flat": "♭",
    "b": "♭",
    "sharp": "♯",
    "#": "♯",
    "natural": "♮",
    "doubleflat": "𝄫",
    "doublesharp": "𝄪",
}


def _switch(args: Args) -> str:
    """The branch of {{#if:}} for a condition that is not empty; other conditions cannot be decided
    here."""
    return args[2] if args[1].strip() else args[3]


def _const(text: str) -> Expander:
    return lambda args: text


def _first(args: Args) -> str:
    return args[1] or args.any("text", "content")


def _last(args: Args) -> str:
    places = args.places()
    return places[-1] if places else args["text"]


_TABLE: dict[str, Expander] = {}


def _add(names: str, expander: Expander) -> None:
    for name in names.split(";"):
        _TABLE[name.strip()] = expander


# numbers and units

_add("convert;cvt;conv;convert/sandbox;রূপান্তর;تحويل;تبدیل", _convert)

_add(
    "formatnum;fmtn;num;nts;ntsh;formatnumber;number",
    _format_number,
)

# dates

_add(
    "birth date;birth date and age;bda;dob;birthdate;birth date and age2;birth-date;"
    "birth-date and age;birth year;birth year and age;byda;start date;start date and age;"
    "startdate",
    _date,
)

_add(
    "start-date;end date;end-date;film date;date;dts;dtsh;release date;released;"
    "birth based on age as of date;launch date;death-date;death year;death date;dod;datetime",
    _date,
)

_add(
    "death date and age;dda;death-date and age;death year and age;death date and given age;"
    "end date and age",
    _death_date,
)

_add("as of;asof;as of?", _as_of)

# texts in other languages

_add("lang;lang-x;transl;translit;transliteration;rtl-lang;script;bdo;nonenglish;zh-lang", _last)

_add("nihongo;nihongo krt;nihongo foot", _nihongo)

_add("nihongo2;nihongo s;kanji;zh-t;zh-s;zhi;zh-c", _first)

_add("nihongo3", _nihongo3)

_add("zh;chinese;zh-cpw;zh-tsp;zh-stp;zh-cp", _chinese)

_add("korean;ko-hhrm", _korean)

# the text in the first parameter, with a style or a link that a reader does not see

_add(
    "nowrap;nobr;nobreak;no wrap;nowr;nobold;noitalic;nonitalic;small;smaller;smalldiv;large;"
    "larger;big;bigger;huge;em;strong;bold;italic;i;b;strongbad;strong bad;sc;smallcaps;sc2;"
    "aut;smallcaps2;caps;mono;tt;kbd;var;code;samp;keypress;key;key press;underline;u;strike;"
    "overline;vanchor;visible anchor;visible anchors;not a typo;typo;as written;text;unicode;"
    "polytonic;hebrew;hebr;arabic;arabdin;script/hebrew;math;mvar;tmath;bigmath;nowiki2;"
    "wikicode;pre2;citation needed span;cn-span;cnspan;clarify span;clarifyspan;specify span;"
    "failed verification span;better source needed span;longitem;nobold2;resize2;normal;plain;"
    "ill;interlanguage link;illm;link-interwiki;ill2;interlanguage link multi;red link;redlink;"
    "not red;source-attribution;blp;math2;flag;flagu;flagcountry;"
    "flag+link;flaglink;flagg;country;flaglist;flagteam;resp;ruby;hlist2;sms2;verse;title;"
    "ipa link;angle bracket text;proper name;person;person name;pname;nsmdns;delink;no italic;"
    "noitalics;not italic;italics;normalfont;linktext;wikt-lang;wiktlang;selfref inline;disp;"
    "nowrap2",
    _first,
)

_add(
    "ill;interlanguage link;illm;link-interwiki;ill2;interlanguage link multi;red link",
    lambda args: args["lt"] or args["en"] or args[1],
)

_add("linktext", lambda args: "".join(args.places()))

# texts with a remark, of which a reader sees one

_add("abbr;abbrlink;tooltip;hover title;define;abbreviation;hover;h:title;tipa;abbrv", _first)

_add(
    "color;colored text;colour;fontcolor;font color;highlight;background color;font;resize;"
    "style;stack inline;section link2;sort;sorta;sort/1;wikt;wiktionary-inline;w;wikt-inline",
    _last,
)

_add("gloss", lambda args: f"'{args[1]}'" if args[1] else "")

_add("angbr;grapheme;grph;angle bracket;vr", lambda args: f"⟨{args[1]}⟩" if args[1] else "")

_add("sic", _sic)

_add("sic?", _first)

# abbreviations before a year

_add("circa;c.;ca.;ca;c", _abbreviation("c."))

_add("floruit;fl.;fl", _abbreviation("fl."))

_add("born;b.", _abbreviation("b."))

_add("died;d.", _abbreviation("d."))

_add("reign;r.", _reign)

# formulas and scientific numbers

_add("frac;fraction;frac2", _fraction)

_add("sfrac", lambda args: _fraction(args).replace("⁄", "/"))

_add("val", _value)

_add("e", lambda args: f"×10^{args[1]}")

_add("10^", lambda args: f"10^{args[1]}")

# money

_add("usd;us$;us dollar;usdollar", _money("US$"))

_add("gbp;£;pound sterling;ukp", _money("£"))

_add("eur;€;euro", _money("€"))

_add("inr;₹;indian rupee;rs;rs.", _money("₹"))

_add("jpy;¥;yen;japanese yen;cny;rmb", _money("¥"))

_add("aud;a$;aud$;au$", _money("A$"))

_add("cad;c$;ca$;cad$", _money("C$"))

_add("nzd;nz$;nzd$", _money("NZ$"))

_add("hkd;hk$", _money("HK$"))

_add("krw;₩", _money("₩"))

_add("php;₱;philippine peso", _money("₱"))

_add("ils;nis;₪", _money("₪"))

_add("currency", _currency)

# blocks

_add(
    "quote;blockquote;quotation;bq;quotes;cquote;cquote2;quoteblock;block quote;bquote;epigraph;"
    "imagequote2;long quote;text quote;cquotetxt",
    _quote,
)

_add("poemquote;poem quote;poem;verse translation;poemblockquote", _poem)

_add("sup;superscript", lambda args: f"{RAISED}{args[1]}{LEVEL}")

_add("sub;subscript", lambda args: f"{SUNK}{args[1]}{LEVEL}")

# spaces and dashes

_add(
    "nbsp;nbs;thinsp;thin space;hair space;hairsp;hsp;ensp;emsp;figure space;zwsp2;space;sp;"
    "spaces;pad;gap;nnbsp;pause;·w2;indent;quad;in5;_",
    _const(" "),
)

_add("ndash;ndashb;endash;en dash;–;nsndns;hyphen-en", _const("–"))

_add("mdash;mdashb;emdash;em dash;—", _const("—"))

_add(
    "snd;spnd;sndash;spndash;spaced ndash;spaced en dash;dash;spaced endash;space ndash;nbspndash",
    _const(" – "),
)

_add("spaced mdash;spaced em dash;smd;snmd", _const(" — "))

_add("·;dot;middot;•;bullet;bull;interpunct;sdot;·w;•w;\\", _const(" · "))

_add("break;br;pb;paragraph break;paragraph;crlf;crlf2;parabr;-br", _const("\n"))

# characters that would be markup, and symbols

_add("!;pipe;bar", _const("|"))

_add("=;equals", _const("="))

_add("';'-;apostrophe;apos", _const("'"))

_add("'s", _const("'s"))

_add('";double single2', _const('"'))

_add("'\"", _const("'\""))

_add("\"'", _const("\"'"))

_add("(;(-", _const("("))

_add("(());()", _const("()"))

_add("((", _const("("))

_add(");));)-", _const(")"))

_add("bracket;lbrack;[", _const("["))

_add("rbrack;]", _const("]"))

_add("times;×", _const("×"))

_add("minus;−", _const("−"))

_add("pi;π", _const("π"))

_add("okina;ʻ;hamza;ayin", _const("ʻ"))

_add("prime", lambda args: args[1] + "′")

_add("pprime", lambda args: args[1] + "″")

_add("degree;deg;°", lambda args: f"{args[1]}°")

_add("sharp;music sharp;♯", _const("♯"))

_add("flat;music flat;♭", _const("♭"))

_add("natural;♮", _const("♮"))

_add("music", lambda args: _ACCIDENTALS.get(args[1].lower(), ""))

_add("hash-tag;hashtag", lambda args: f"#{args[1]}")

for _element in ("hydrogen H", "carbon C", "nitrogen N", "oxygen O"):
    _add(_element.split()[0], _const(_element.split()[1]))

_add("co2;carbon dioxide", _const("CO2"))

_add("h2o", _const("H2O"))

_add("chem;chemf;ce", lambda args: "".join(args.places()))

_add("chem2", lambda args: args[1])

_add("sqrt;radic;√", lambda args: f"√{args[1]}")

_add("percent;pct", lambda args: f"{args[1]}%")

_add("half;1/2;frac12", _const("1⁄2"))

# names and counts

_add("ordinal;ord;nth", _ordinal)

_add("sortname", lambda args: f"{args[1]} {args[2]}".strip())

_add("oldstyledate;oldstyledatenn", _old_style)

_add("oldstyledatedy", _old_style_behind)

_add(
    "baseball year;by;mlby;mlb year;nfly;nfl year;nbay;nba year;nhly;nhl year;wcy;wc year;"
    "avyear;tdfy;cfly;ahly;baseball season;nflyear;usnavy;cfb link2;mlsy;scy;ncaafy",
    _last,
)

_add("plural;plural:", lambda args: args[2] if args[1].strip() == "1" else args[3] or args[2])

# ships

_add("ship", _ship("", 2))

_SHIP_PREFIXES = """
    USS HMS HMAS HMCS HMNZS HMIS RMS SS MS MV SMS USAT USNS USCGC RFA HNoMS HNLMS HDMS
    HSwMS INS ORP ARA BAP RV MY SV GTS USAV USRC PS TSS CSS TS
"""

for _prefix in _SHIP_PREFIXES.split():
    _add(_prefix.lower(), _ship(_prefix))

_add("sclass;sclass-;sclass2;sclass2-;ship class", _ship_class)

# parser functions

_add("lc", lambda args: args[1].lower())

_add("uc", lambda args: args[1].upper())

_add("lcfirst", lambda args: args[1][:1].lower() + args[1][1:])

_add("ucfirst", lambda args: args[1][:1].upper() + args[1][1:])

_add("#if", _switch)

_add("langr;nq;railgauge;track gauge;rail gauge", _last)

_add("harvtxt;harvtext;harvcoltxt", _author)

_add("bibleref;bibleverse;bibleref2;bibleverse-nb", _verse)

_add("eqm;equilibrium", _const("⇌"))

_add("format price;formatprice", lambda args: _number(args[1], args))

_add(
    "us patent;us patent reference",
    lambda args: f"U.S. Patent {_number(args[1], args)}" if args[1] else "",
)

_add("' \"", _const("' \""))

_add('-"', _const('"'))

_PARSER_FUNCTIONS = {"formatnum", "lc", "uc", "lcfirst", "ucfirst", "plural", "#if"}

_TITLES = {
    "pagename",
    "fullpagename",
    "basepagename",
    "subjectpagename",
    "articlepagename",
    "subpagename",
}


def fold_name(name: str) -> str:
    """The name of a template as the table has it: in lower case, with single blanks in place of
    underscores, without `subst:` and the like."""
    folded = " ".join(name.replace("_", " ").split()).lower()
    for prefix in ("subst:", "safesubst:", "template:", ":template:", "msg:"):
        folded = folded.removeprefix(prefix).strip()
    return folded


def bears_text(name: str, own: Mapping[str, str], builtin: bool = True, wiki: str = "en") -> bool:
    """Whether a template of this (folded) name gives text on a wiki of this language: by the user's
    own templates, or with `builtin` by the tables."""
    if name in own:
        return True
    if not builtin:
        return False
    if wiki_template(name, wiki) is not None:
        return True
    if name in _TABLE and (name == "plural" or name not in _PARSER_FUNCTIONS):
        return is_shared(name, wiki)
    if parser_function(name) is not None or name in _TITLES:
        return True
    return name.startswith(("lang-", "langx", "script/"))


def expand(
    name: str, args: Args, own: Mapping[str, str], title: str, function: bool = False
) -> str:
    """What a reader sees of a template that `bears_text`, with blank lines around a block.
    `function`: it is one of the parser.

    A template of `own` comes first: a text in which {1}, {name} stand for parameters. `title`: that
    of the page, for templates that show it.
    """
    if name in own:
        return re.sub(r"\{([\w -]{1,50})\}", lambda match: args[match[1]], own[name])
    if name in _TITLES:
        return title
    shown = None if function else wiki_template(name, args.wiki)
    if shown is not None:
        return shown(args)
    if name.startswith("lang-") and name not in _TABLE:
        return _labelled(name[5:], args, args.any("1", "text"), args[2])
    if name == "langx":
        options = Args({"label": args["label"], "lit": args["lit"]}, args.wiki)
        return _labelled(args[1], options, args[2], args[3])
    if name.startswith("script/"):
        return _last(args)
    return _TABLE[name](args)


def parser_function(name: str) -> tuple[str, str] | None:
    """(function, its first parameter) of a name such as `formatnum:77006`; None for a template."""
    head, colon, rest = name.partition(":")
    function = head.strip().lower()
    if not colon or function not in _PARSER_FUNCTIONS:
        return None
    return function, rest.strip()
