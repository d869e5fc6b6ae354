"""Templates that bear text, and what a reader sees of each: `expand(name, args, title)`. All others
are dropped.

What a template shows is defined on its wiki; these are the forms of the English Wikipedia, which
most others share. Where the full form needs tables that change (rates, conversions of units), what
the writer typed is given: number and unit. Source of the list: corpora reference of the project,
and the templates met in dumps. docs/corpora.md has it as a table.
"""

import re
from collections.abc import Callable, Mapping

from corpora.wikipedia.template_words import LANGUAGES, MONTHS, RANGES, SCALES, UNIT_NAMES

_NUMBER = re.compile(r"[-−+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-−+]?\d+)?", re.IGNORECASE)

_FRACTION = re.compile(r"[-−]?(?:\d+\+)?\d+/{1,2}\d+")


class Args:
    """A template's parameters, as text: `args[1]` by place, `args["lc"]` by name, "" where there is
    none. `english`: words of English may be added, such as the names of languages and units."""

    def __init__(self, values: Mapping[str, str], english: bool = True) -> None:
        self._values, self.english = values, english

    def __getitem__(self, key: int | str) -> str:
        return self._values.get(str(key), "")

    def places(self, start: int = 1) -> list[str]:
        """The parameters by place, from `start` to the first that is missing."""
        found = []
        while str(start) in self._values:
            found.append(self._values[str(start)])
            start += 1
        return found

    def any(self, *names: str) -> str:
        """The first of these that is there."""
        return next((self._values[name] for name in names if self._values.get(name)), "")


Expander = Callable[[Args], str]


def group_digits(number: str) -> str:
    """12345.6789 as 12,345.6789; what is no plain number stays as it is."""
    match = re.fullmatch(r"([-−+]?)(\d+)(\.\d*)?", number.replace(",", "").strip())
    if match is None:
        return number
    sign = "−" if match[1] in ("-", "−") else match[1]
    return f"{sign}{int(match[2]):,}{match[3] or ''}" if len(match[2]) < 1000 else number


def _number(value: str) -> str:
    value = value.strip()
    return (
        group_digits(value)
        if _NUMBER.fullmatch(value)
        else value.replace("//", "/").replace("+", " ")
        if _FRACTION.fullmatch(value)
        else value
    )


def _is_number(value: str) -> bool:
    return bool(_NUMBER.fullmatch(value.strip()) or _FRACTION.fullmatch(value.strip()))


def _convert(args: Args) -> str:
    places = args.places()
    if not places or not places[0]:
        return ""
    said, at, last = _number(places[0]), 1, places[0]
    while at + 1 < len(places) and places[at].strip() in RANGES and _is_number(places[at + 1]):
        said += RANGES[places[at].strip()] + _number(places[at + 1])
        last, at = places[at + 1], at + 2
    if at >= len(places):
        return said
    one = last.strip() in ("1", "-1", "−1") or (
        _FRACTION.fullmatch(last.strip()) is not None and "+" not in last
    )
    text = _with_unit(args, said, places[at].strip(), one)
    # 5 ft 6 in: a number and a smaller unit follow
    if at + 2 < len(places) and _is_number(places[at + 1]) and (places[at].strip(), places[at + 2].strip()) in (
        *(("ft", "in"), ("foot", "in"), ("st", "lb"), ("lb", "oz"), ("mi", "yd"), ("yd", "ft"), ("mi", "ch")),
    ):  # fmt: skip
        text += " " + _with_unit(
            args, _number(places[at + 1]), places[at + 2].strip(), places[at + 1].strip() == "1"
        )
    return text


def _with_unit(args: Args, said: str, code: str, one: bool) -> str:
    scale = ""
    if match := re.match(r"e(?:3|6|9|12)(?=\D)", code):
        scale, code = SCALES[match[0]] + " ", code[match.end() :]
    single, many, symbol = UNIT_NAMES.get(code, (code, code, code))
    if args["abbr"] == "values" or args["disp"] in ("number", "out", "output number only"):
        return said
    if args["abbr"] in ("on", "in", "~") or not args.english:
        return f"{said} {scale}{symbol}" if not symbol.startswith("/") else f"{said}{symbol}"
    adjective = args["adj"] in ("on", "mid", "pre")
    unit = single if adjective or (one and not scale) else many
    if args["sp"] == "us" or args["lang"] == "en-us":
        unit = unit.replace("metre", "meter").replace("litre", "liter")
    if adjective and "°" not in symbol:
        return f"{said}-{scale.replace(' ', '-')}{unit.replace(' ', '-')}"
    if "°" in symbol:
        return f"{said} {symbol}"
    return f"{said} {scale}{unit}"


def _day(year: str, month: str, day: str, day_first: bool) -> str:
    """A date in words, of as much as is there."""
    year, month, day = year.strip(), month.strip(), day.strip()
    name = (
        MONTHS[int(month) - 1]
        if month.isascii() and month.isdigit() and 1 <= int(month) <= 12
        else month
    )
    day = str(int(day)) if day.isascii() and day.isdigit() and len(day) < 3 else day
    if not name:
        return year
    if not day:
        return f"{name} {year}".strip()
    return f"{day} {name} {year}".strip() if day_first else f"{name} {day}, {year}".rstrip(", ")


def _date(args: Args) -> str:
    first = args[1].strip()
    day_first = args.any("df", "dayfirst").lower() in ("y", "yes", "true", "1")
    if match := re.fullmatch(r"(\d{3,4})-(\d\d?)-(\d\d?)", first):
        return _day(
            match[1], match[2], match[3], args[2].lower() not in ("mdy",) if args[2] else day_first
        )
    if not first.isdigit():
        return first
    end = _day(first, args[2], args[3], day_first)
    return f"{end} {args['bce']}".strip() if args["bce"] else end


def _ended(args: Args) -> str:
    """Of {{death date and age|...}}: the death comes first."""
    return _date(Args({"1": args[1], "2": args[2], "3": args[3], "df": args["df"]}))


def _as_of(args: Args) -> str:
    if args["alt"]:
        return args["alt"]
    word = "Since" if args["since"] else "As of"
    if args["pre"]:
        word += f" {args['pre']}"
    if args["lc"]:
        word = word[0].lower() + word[1:]
    date = _day(args[1], args[2], args[3], args["df"].lower() not in ("us", "mdy"))
    return f"{word} {date}".strip() + args["post"]


def _language_label(code: str, args: Args, text: str, roman: str) -> str:
    if not text:
        return ""
    name = LANGUAGES.get(code.lower().split("-")[0])
    if not args.english:
        return text
    label = (
        ""
        if name is None or args["label"] == "none" or args["links"] == "none"
        else f"{args['label'] or name}: "
    )
    literal = args["lit"] or args["translation"] or (args[3] if roman else "")
    return (
        label
        + text
        + (f", romanized: {roman}" if roman else "")
        + (f", lit. '{literal}'" if literal and literal != roman else "")
    )


def _nihongo(args: Args) -> str:
    inner = ", ".join(value for value in (args[2], args[3], args.any("4", "extra")) if value)
    english = args[1]
    return f"{english} ({inner})" if english and inner else english or inner


def _chinese(args: Args) -> str:
    labels = (
        ("c", "Chinese"),
        ("t", "traditional Chinese"),
        ("s", "simplified Chinese"),
        ("p", "pinyin"),
        ("w", "Wade–Giles"),
        ("j", "Jyutping"),
        ("poj", "Pe̍h-ōe-jī"),
        ("l", "lit."),
    )
    return "; ".join(
        f"{label}: {args[key]}" if key != "l" else f"lit. '{args[key]}'"
        for key, label in labels
        if args[key]
    )


def _korean(args: Args) -> str:
    labels = (("hangul", "Korean"), ("hanja", "Hanja"), ("rr", "RR"), ("mr", "MR"))
    return "; ".join(f"{label}: {args[key]}" for key, label in labels if args[key]) or args[1]


def _fraction(args: Args) -> str:
    places = args.places()
    if len(places) >= 3:
        return f"{places[0]}+{places[1]}⁄{places[2]}"
    return f"{places[0]}⁄{places[1]}" if len(places) == 2 else f"1⁄{places[0]}" if places else "⁄"


def _value(args: Args) -> str:
    text = args["p"] + _number(args[1])
    if args["+"] or args[2] and args[3]:
        text += f" +{args['+'] or args[2]} −{args['-'] or args[3]}"
    elif args[2]:
        text += f" ± {args[2]}"
    text += f"×10^{args['e']}" if args["e"] else ""
    unit = args.any("u", "ul", "up", "upl").replace("&nbsp;", " ")
    return f"{text} {unit}".strip() + args["s"]


def _money(sign: str) -> Expander:
    return lambda args: f"{sign}{_number(args[1])}" if args[1] else sign


def _ship(prefix: str, at: int = 1) -> Expander:
    """{{USS|Enterprise|CV-6}}: USS Enterprise (CV-6); a last parameter of 1 to 6 leaves parts
    out."""

    def expand(args: Args) -> str:
        head = prefix or args[1]
        name, number, form = args[at], args[at + 1], args[at + 2] or args["up"]
        if form == "1":
            return number or name
        if form == "2":
            return name
        full = f"{head} {name}".strip()
        return full if form in ("3", "5", "6") or not number else f"{full} ({number})"

    return expand


def _ship_class(args: Args) -> str:
    return (
        f"{args[1]} class"
        if args[3] in ("0", "4", "5") or not args[2]
        else f"{args[1]}-class {args[2]}"
    )


def _quote(args: Args) -> str:
    text = args.any("text", "quote", "1")
    return f"\n\n{text}\n\n" if text else ""


def _ordinal(args: Args) -> str:
    number = args[1].strip()
    if not number.isdigit():
        return number
    ending = (
        "th"
        if number[-2:] in ("11", "12", "13")
        else {"1": "st", "2": "nd", "3": "rd"}.get(number[-1], "th")
    )
    return number + ending


def _old_style(args: Args) -> str:
    return (
        f"{args[1]} [O.S. {args[3]}] {args[2]}".strip()
        if args[3]
        else f"{args[1]} {args[2]}".strip()
    )


def _reign(args: Args) -> str:
    return "r. " + "–".join(value for value in (args[1], args[2]) if value)


def _abbreviation(word: str) -> Expander:
    """{{circa|1500|1510}}: c. 1500 – c. 1510."""
    return lambda args: " – ".join(f"{word} {value}" for value in args.places() if value) or word


def _author(args: Args) -> str:
    """{{harvtxt|Smith|Jones|2000|p=1}}: Smith & Jones (2000)."""
    *names, year = args.places() or [""]
    who = " et al." if len(names) > 3 else ""
    return (
        (
            f"{names[0]}{who} ({year})"
            if who
            else f"{', '.join(names[:-1])} & {names[-1]} ({year})"
            if len(names) > 1
            else f"{names[0]} ({year})"
        )
        if names
        else year
    )


def _verse(args: Args) -> str:
    """{{bibleverse|1|Kings|3:5|KJV}}: 1 Kings 3:5."""
    return " ".join(
        value for value in args.places()[:3] if value and not value.isupper() and value != "9"
    )


def _switch(args: Args) -> str:
    """The branch of {{#if:}} for a condition that is not empty; other conditions cannot be told
    here."""
    return args[2] if args[1].strip() else args[3]


def _const(text: str) -> Expander:
    return lambda args: text


def _first(args: Args) -> str:
    return args[1] or args.any("text", "content")


def _last(args: Args) -> str:
    places = args.places()
    return places[-1] if places else args["text"]


def _second(args: Args) -> str:
    return args[2] or args[1]


_TABLE: dict[str, Expander] = {}


def _add(names: str, expander: Expander) -> None:
    for name in names.split(";"):
        _TABLE[name.strip()] = expander


_add("convert;cvt;conv;convert/sandbox", _convert)

_add(
    "formatnum;fmtn;num;nts;ntsh;formatnumber;number",
    lambda args: args[1] if args[2].upper().startswith("R") else _number(args[1]),
)

_add(
    "birth date;birth date and age;bda;dob;birthdate;birth date and age2;birth-date;birth-date and age;birth year;birth year and age;byda;start date;start date and age;startdate",
    _date,
)

_add(
    "start-date;end date;end-date;film date;date;dts;dtsh;release date;released;birth based on age as of date;launch date;death-date;death year;death date;dod;datetime",
    _date,
)

_add(
    "death date and age;dda;death-date and age;death year and age;death date and given age;end date and age",
    _ended,
)

_add("as of;asof;as of?", _as_of)

_add("lang;lang-x;transl;translit;transliteration;rtl-lang;script;bdo;nonenglish;zh-lang", _last)

_add("nihongo;nihongo krt;nihongo foot", _nihongo)

_add("nihongo2;nihongo s;kanji;zh-t;zh-s;zhi;zh-c", _first)

_add(
    "nihongo3",
    lambda args: (
        f"{args[3]} ({args[2]}, {args[1]})"
        if args[3] and args[2] and args[1]
        else args.any("3", "2", "1")
    ),
)

_add("zh;chinese;zh-cpw;zh-tsp;zh-stp;zh-cp", _chinese)

_add("korean;ko-hhrm", _korean)

_add(
    "nowrap;nobr;nobreak;no wrap;nowr;nobold;noitalic;nonitalic;small;smaller;smalldiv;large;larger;big;bigger;huge;em;strong;bold;italic;i;b;strongbad;strong bad;sc;smallcaps;sc2;aut;smallcaps2;caps;"
    "mono;tt;kbd;var;code;samp;keypress;key;key press;underline;u;strike;overline;vanchor;visible anchor;visible anchors;not a typo;typo;as written;text;unicode;polytonic;hebrew;"
    "hebr;arabic;arabdin;script/hebrew;math;mvar;tmath;bigmath;nowiki2;wikicode;pre2;citation needed span;cn-span;cnspan;clarify span;clarifyspan;specify span;failed verification span;"
    "better source needed span;longitem;nobold2;resize2;normal;plain;ill;interlanguage link;illm;link-interwiki;ill2;interlanguage link multi;red link;redlink;not red;source-attribution;"
    "blp;sup;sub;superscript;subscript;math2;flag;flagu;flagcountry;flag+link;flaglink;flagg;country;flaglist;flagteam;resp;ruby;hlist2;sms2;verse;title;ipa link;angle bracket text;"
    "proper name;person;person name;pname;nsmdns;delink;no italic;noitalics;not italic;italics;normalfont;linktext;wikt-lang;wiktlang;selfref inline;disp;nowrap2",
    _first,
)

_add(
    "ill;interlanguage link;illm;link-interwiki;ill2;interlanguage link multi;red link",
    lambda args: args["lt"] or args["en"] or args[1],
)

_add("linktext", lambda args: "".join(args.places()))

_add("abbr;abbrlink;tooltip;hover title;define;abbreviation;hover;h:title;tipa;abbrv", _first)

_add(
    "color;colored text;colour;fontcolor;font color;highlight;background color;font;resize;style;stack inline;section link2;sort;sorta;sort/1;wikt;wiktionary-inline;w;wikt-inline",
    _last,
)

_add("gloss", lambda args: f"'{args[1]}'" if args[1] else "")

_add("angbr;grapheme;grph;angle bracket;vr", lambda args: f"⟨{args[1]}⟩" if args[1] else "")

_add(
    "sic",
    lambda args: (
        args[1] + args[2]
        if args.any("hide", "nolink") and args[1]
        else f"{args[1]}{args[2]} [sic]".strip()
    ),
)

_add("sic?", _first)

_add("circa;c.;ca.;ca;c", _abbreviation("c."))

_add("floruit;fl.;fl", _abbreviation("fl."))

_add("born;b.", _abbreviation("b."))

_add("died;d.", _abbreviation("d."))

_add("reign;r.", _reign)

_add("frac;fraction;frac2", _fraction)

_add("sfrac", lambda args: _fraction(args).replace("⁄", "/"))

_add("val", _value)

_add("e", lambda args: f"×10^{args[1]}")

_add("10^", lambda args: f"10^{args[1]}")

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

_add(
    "currency",
    lambda args: (
        {"USD": "US$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}.get(
            args[2].upper(), f"{args[2]} ".lstrip()
        )
        + _number(args[1])
    ),
)

_add(
    "quote;blockquote;quotation;bq;quotes;poemquote;poem quote;cquote2;quoteblock;block quote;bquote;poem;epigraph;imagequote2;long quote;text quote;cquotetxt",
    _quote,
)

_add(
    "nbsp;nbs;thinsp;thin space;hair space;hairsp;hsp;ensp;emsp;figure space;zwsp2;space;sp;spaces;pad;gap;nnbsp;pause;·w2;indent;quad;in5;_",
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

_add(
    "music",
    lambda args: {
        "flat": "♭",
        "b": "♭",
        "sharp": "♯",
        "#": "♯",
        "natural": "♮",
        "doubleflat": "𝄫",
        "doublesharp": "𝄪",
    }.get(args[1].lower(), ""),
)

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

_add("ordinal;ord;nth", _ordinal)

_add("sortname", lambda args: f"{args[1]} {args[2]}".strip())

_add("oldstyledate;oldstyledatedy;oldstyledatenn", _old_style)

_add(
    "oldstyledatedy",
    lambda args: (
        f"{args[1]} {args[2]} [O.S. {args[3]}]".strip()
        if args[3]
        else f"{args[1]} {args[2]}".strip()
    ),
)

_add(
    "baseball year;by;mlby;mlb year;nfly;nfl year;nbay;nba year;nhly;nhl year;wcy;wc year;avyear;tdfy;cfly;ahly;baseball season;nflyear;usnavy;cfb link2;mlsy;scy;ncaafy",
    _last,
)

_add("plural;plural:", lambda args: args[2] if args[1].strip() == "1" else args[3] or args[2])

_add("ship", _ship("", 2))

for _prefix in "USS HMS HMAS HMCS HMNZS HMIS RMS SS MS MV SMS USAT USNS USCGC RFA HNoMS HNLMS HDMS HSwMS INS ORP ARA BAP RV MY SV GTS USAV USRC PS TSS CSS TS".split():
    _add(_prefix.lower(), _ship(_prefix))

_add("sclass;sclass-;sclass2;sclass2-;ship class", _ship_class)

_add("lc", lambda args: args[1].lower())

_add("uc", lambda args: args[1].upper())

_add("lcfirst", lambda args: args[1][:1].lower() + args[1][1:])

_add("ucfirst", lambda args: args[1][:1].upper() + args[1][1:])

_add("#if", _switch)

_add("langr;nq;railgauge;track gauge;rail gauge", _last)

_add("harvtxt;harvtext;harvcoltxt", _author)

_add("bibleref;bibleverse;bibleref2;bibleverse-nb", _verse)

_add("eqm;equilibrium", _const("⇌"))

_add("format price;formatprice", lambda args: _number(args[1]))

_add(
    "us patent;us patent reference",
    lambda args: f"U.S. Patent {_number(args[1])}" if args[1] else "",
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
    """The name of a template as the table has it: no markup of the line, lower case, blanks for
    underscores, one at a time."""
    folded = " ".join(name.replace("_", " ").split()).lower()
    for prefix in ("subst:", "safesubst:", "template:", ":template:", "msg:"):
        folded = folded.removeprefix(prefix).strip()
    return folded


def bears_text(name: str, own: Mapping[str, str], builtin: bool = True) -> bool:
    """Whether a template of this (folded) name gives text: by the table, or by the user's own."""
    head = name.partition(":")[0].strip()
    return name in own or (
        builtin
        and (
            (name in _TABLE and name not in _PARSER_FUNCTIONS - {"plural"})
            or (":" in name and head in _PARSER_FUNCTIONS)
            or name in _TITLES
            or name.startswith(("lang-", "langx", "script/"))
        )
    )


def expand(name: str, args: Args, own: Mapping[str, str], title: str) -> str:
    """What a reader sees of a template that `bears_text`; blank lines around a block of its own.
    `own` comes first: a text in which {1}, {name} stand for parameters."""
    if name in own:
        return re.sub(r"\{([\w -]{1,50})\}", lambda match: args[match[1]], own[name])
    if name in _TITLES:
        return title
    if name.startswith("lang-") and name not in _TABLE:
        return _language_label(name[5:], args, args.any("1", "text"), args[2])
    if name == "langx":
        return _language_label(
            args[1],
            Args({"label": args["label"], "lit": args["lit"]}, args.english),
            args[2],
            args[3],
        )
    if name.startswith("script/"):
        return _last(args)
    return _TABLE[name](args)


def parser_function(name: str) -> tuple[str, str] | None:
    """(function, its first parameter) of a name such as `formatnum:77006`; None for a template."""
    head, colon, rest = name.partition(":")
    return (
        (head.strip().lower(), rest.strip())
        if colon and head.strip().lower() in _PARSER_FUNCTIONS
        else None
    )
