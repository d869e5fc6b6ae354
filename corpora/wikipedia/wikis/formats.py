"""Numbers and dates as the language of a wiki writes them: `format_number`, `format_date`.

What MediaWiki knows of each language: the marks between thousands and before decimals, from how
many digits on thousands are set apart, the names of months as they stand in a date, and the order
of its parts. A language that is not known here writes numbers as they are typed, and dates as
2018-12-20.
"""

import re

_SEPARATORS = {
    ", .": "en simple ja zh ko he ar th hi",
    ". ,": "de nl it tr id da el ro ca vi sr hr bs sh sl eu gl is de-at ms-nl pt-br",
    "_ ,": "fr ru uk sv no nb nn fi cs sk be kk lv ltg lt et hy az eo bg pl hu es pt",
    "٬ ٫": "fa",
}

_MARKS: dict[str, tuple[str, str]] = {}
"""(between thousands, before decimals) by the code of the language."""

for _pair, _codes in _SEPARATORS.items():
    _thousands, _decimal = _pair.split()
    for _code in _codes.split():
        _MARKS[_code] = (_thousands.replace("_", " "), _decimal)

_FROM_FIVE_DIGITS = frozenset("bg es pl pt hu ca be lt lv et".split())
"""Languages that do not set apart the thousands of a number of four digits."""

_PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")

_PLAIN = re.compile(r"([-−+]?)(\d+)(?:\.(\d+))?")
"""A number as a program writes it."""

_LOCAL = re.compile(r"([-−+]?)(\d+)(?:([.,])(\d+))?")
"""A number as somebody may type it, with one mark at most."""

_MAX_DIGITS = 1000


def format_number(text: str, language: str, measured: bool = False) -> str:
    """A number as `formatnum` shows it in a language; text that is no number is unchanged.
    `measured`: as templates of measures show it, which leave four digits together."""
    text = text.strip()
    match = _PLAIN.fullmatch(text)
    if match is None or language not in _MARKS or len(match[2]) > _MAX_DIGITS:
        return text
    between, decimal = _MARKS[language]
    sign = "−" if match[1] in ("-", "−") else match[1]
    whole = match[2]
    if len(whole) > (4 if measured or language in _FROM_FIVE_DIGITS else 3):
        whole = f"{int(whole):,}".replace(",", between)
    number = sign + whole + (decimal + match[3] if match[3] else "")
    return number.translate(_PERSIAN) if language == "fa" else number


def format_measure(text: str, language: str) -> str:
    """A number that the parameter of a template of measures gives, in the form of a program or in
    that of its language, as the language writes it."""
    text = text.strip()
    match = _LOCAL.fullmatch(text)
    if match is None or language not in _MARKS:
        return text
    between, _ = _MARKS[language]
    if match[3] and match[3] == between and len(match[4]) == 3:
        return text  # 2.000 where a point stands between thousands
    digits = match[1] + match[2] + ("." + match[4] if match[4] else "")
    return format_number(digits, language, measured=True)


_MONTHS = {
    "ar": "يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر",
    "bg": "януари февруари март април май юни юли август септември октомври ноември декември",
    "ca": "gener febrer març abril maig juny juliol agost setembre octubre novembre desembre",
    "cs": "ledna února března dubna května června července srpna září října listopadu prosince",
    "da": "januar februar marts april maj juni juli august september oktober november december",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "el": "Ιανουαρίου Φεβρουαρίου Μαρτίου Απριλίου Μαΐου Ιουνίου Ιουλίου Αυγούστου Σεπτεμβρίου "
    "Οκτωβρίου Νοεμβρίου Δεκεμβρίου",
    "en": "January February March April May June July August September October November December",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
    "diciembre",
    "fa": "ژانویه فوریه مارس آوریل مه ژوئن ژوئیه اوت سپتامبر اکتبر نوامبر دسامبر",
    "fi": "tammikuuta helmikuuta maaliskuuta huhtikuuta toukokuuta kesäkuuta heinäkuuta elokuuta "
    "syyskuuta lokakuuta marraskuuta joulukuuta",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "he": "ינואר פברואר מרץ אפריל מאי יוני יולי אוגוסט ספטמבר אוקטובר נובמבר דצמבר",
    "hu": "január február március április május június július augusztus szeptember október "
    "november december",
    "id": "Januari Februari Maret April Mei Juni Juli Agustus September Oktober November Desember",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre "
    "dicembre",
    "lv": "janvāris februāris marts aprīlis maijs jūnijs jūlijs augusts septembris oktobris "
    "novembris decembris",
    "nl": "januari februari maart april mei juni juli augustus september oktober november december",
    "no": "januar februar mars april mai juni juli august september oktober november desember",
    "pl": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października "
    "listopada grudnia",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro "
    "dezembro",
    "ro": "ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie "
    "noiembrie decembrie",
    "ru": "января февраля марта апреля мая июня июля августа сентября октября ноября декабря",
    "sk": "januára februára marca apríla mája júna júla augusta septembra októbra novembra "
    "decembra",
    "sr": "јануар фебруар март април мај јун јул август септембар октобар новембар децембар",
    "sv": "januari februari mars april maj juni juli augusti september oktober november december",
    "tr": "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık",
    "uk": "січня лютого березня квітня травня червня липня серпня вересня жовтня листопада грудня",
}

_NOMINATIVES = {
    "cs": "leden únor březen duben květen červen červenec srpen září říjen listopad prosinec",
    "el": "Ιανουάριος Φεβρουάριος Μάρτιος Απρίλιος Μάιος Ιούνιος Ιούλιος Αύγουστος Σεπτέμβριος "
    "Οκτώβριος Νοέμβριος Δεκέμβριος",
    "fi": "tammikuu helmikuu maaliskuu huhtikuu toukokuu kesäkuu heinäkuu elokuu syyskuu lokakuu "
    "marraskuu joulukuu",
    "pl": "styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik "
    "listopad grudzień",
    "ru": "январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь",
    "sk": "január február marec apríl máj jún júl august september október november december",
    "uk": "січень лютий березень квітень травень червень липень серпень вересень жовтень листопад "
    "грудень",
}
"""The names of months without a day, where they differ."""

_FORMS = {
    "ca": ("{d} de {m} de {y}", "{m} de {y}", "{d} de {m}"),
    "cs": ("{d}. {m} {y}", "{m} {y}", "{d}. {m}"),
    "es": ("{d} de {m} de {y}", "{m} de {y}", "{d} de {m}"),
    "he": ("{d} ב{m} {y}", "{m} {y}", "{d} ב{m}"),
    "hu": ("{y}. {m} {d}.", "{y}. {m}", "{m} {d}."),
    "ja": ("{y}年{n}月{d}日", "{y}年{n}月", "{n}月{d}日"),
    "ko": ("{y}년 {n}월 {d}일", "{y}년 {n}월", "{n}월 {d}일"),
    "lv": ("{y}. gada {d}. {m}", "{y}. gada {m}", "{d}. {m}"),
    "pt": ("{d} de {m} de {y}", "{m} de {y}", "{d} de {m}"),
    "vi": ("{d} tháng {n} năm {y}", "tháng {n} năm {y}", "{d} tháng {n}"),
    "zh": ("{y}年{n}月{d}日", "{y}年{n}月", "{n}月{d}日"),
}
"""A whole date, a month with its year, a day with its month. `n`: the number of the month."""

_WITH_POINT = ("{d}. {m} {y}", "{m} {y}", "{d}. {m}")

_PLAIN_FORM = ("{d} {m} {y}", "{m} {y}", "{d} {m}")

for _code in "de da no fi sk sr".split():
    _FORMS[_code] = _WITH_POINT

_SAME = {"nb": "no", "nn": "no", "simple": "en", "be-tarask": "be", "pt-br": "pt", "ltg": "lv"}


def month_number(text: str, language: str) -> int:
    """1 to 12 for the number or the name of a month, in a language or in English, whose templates
    other wikis copy; 0 for other text."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 2 and 1 <= int(text) <= 12:
        return int(text)
    code = _SAME.get(language, language)
    own = (_MONTHS.get(code, ""), _NOMINATIVES.get(code, ""))
    for table in (*own, _MONTHS["en"]):
        names = table.lower().split()
        if text.lower() in names:
            return names.index(text.lower()) + 1
    return 0


def format_date(year: str, month: str, day: str, language: str) -> str:
    """A date in words, with as much of it as is given. A month that is no number stays as it is
    typed."""
    code = _SAME.get(language, language)
    year, month, day = year.strip(), month.strip(), day.strip()
    if day.isascii() and day.isdigit() and len(day) < 3:
        day = str(int(day))
    number = month_number(month, code)
    if number and code in _MONTHS and month.isdigit():
        month = _month(number, code, bool(day))
    elif number and code not in _MONTHS and code not in _FORMS:
        return "-".join(filter(None, (year, month.zfill(2), day.zfill(2) if day else "")))

    if not month:
        return year
    whole, without_day, without_year = _FORMS.get(code, _PLAIN_FORM)
    if not day:
        form = without_day if year else "{m}"
    else:
        form = whole if year else without_year
    if "{n}" in form and not number:
        form = form.replace("{n}", "{m}")
    if code == "fr" and day == "1":
        day = "1er"
    if code == "ca" and month[:1] in ("a", "o"):
        form = form.replace("de {m}", "d'{m}")
    return form.format(y=year, m=month or str(number), n=number, d=day)


def _month(number: int, code: str, with_day: bool) -> str:
    names = _MONTHS[code] if with_day else _NOMINATIVES.get(code, _MONTHS[code])
    return names.split()[number - 1]
