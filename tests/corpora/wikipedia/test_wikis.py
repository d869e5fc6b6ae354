"""What differs from wiki to wiki: templates, numbers, dates, switches, variants, headings of
references, signs of disambiguation; and what a page loses is counted by name."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpora.document import Refusal
from corpora.wikipedia.page import extract_page
from corpora.wikipedia.templates import fold_name
from corpora.wikipedia.wikis import formats, templates
from corpora.wikipedia.wikis.disambiguation import disambiguations
from corpora.wikipedia.wikis.magic_words import magic_words
from corpora.wikipedia.wikis.sections import CUT_SECTIONS
from corpora.wikipedia.wikis.variants import show_variants
from corpora.wikipedia.wikitext import Prose, Style, read_prose


def read(wikitext: str, language: str, **settings: object) -> Prose:
    style = Style(language=language, cut_sections=frozenset(CUT_SECTIONS), **settings)  # type: ignore[arg-type]
    found = read_prose(wikitext, style, "Title")
    assert isinstance(found, Prose)
    return found


@pytest.mark.parametrize(
    "language, wikitext, text",
    [
        # French: ordinals, titles, centuries, dates, measures, quotations, links
        ("fr", "Le 3{{e}} bataillon et M{{e|lle}} Rose, la 1{{re}} fois", "Le 3e bataillon et Mlle Rose, la 1re fois"),
        ("fr", "au {{s|XVIII}}, du {{s-|XV|e}} au {{s-|XVI|e}} siècle", "au XVIIIe siècle, du XVe au XVIe siècle"),
        ("fr", "aux {{s2|XI|XII}}, au {{-s|V}}", "aux XIe et XIIe siècles, au Ve siècle av. J.-C."),
        ("fr", "né le {{date de naissance|3|mars|1847}}, mort le {{date|1|août|1922|en science}}", "né le 3 mars 1847, mort le 1er août 1922"),
        ("fr", "{{unité|12500|km}}, {{unité|2,5|m}}, {{unité|9|m|2}}, {{heure|8|30}}, {{nombre|45000}} ans", "12 500 km, 2,5 m, 9 m2, 8 h 30, 45 000 ans"),
        ("fr", "{{citation|Ceci}} de {{lien|Jean Test|lang=de|trad=J. Test}} et {{langue|en|word}}", "« Ceci » de Jean Test et word"),
        ("fr", "le {{numéro|5}} d'{{abréviation|env.|environ}} {{formatnum:1234567}}", "le no 5 d'env. 1 234 567"),
        # German: quotation marks of its own, numbers, ordinals by a point
        ("de", 'Er sagte: {{"|Guten Tag|Autor}} und {{"-en|Hello}}.', "Er sagte: „Guten Tag“ und “Hello”."),
        ("de", "{{formatnum:12345.6}} Einwohner, {{Höhe|2962|DE-NHN}}, {{§|242|bgb}}", "12.345,6 Einwohner, 2962 m, § 242 BGB"),
        ("de", "am {{Datum|9|11|1989}} ({{enS|wall}}), {{Birth date|1950|2|3}}", "am 9. November 1989 (wall), 3. Februar 1950"),
        # exponents by the templates of each wiki
        ("fr", "10{{exp|3}}, 10{{e|6}}, 10{{exposant|-9}}, H{{ind|2}}O, {{fchim|H|2|O}}, 101{{ind|2}}", "10^3, 10^6, 10^-9, H2O, H2O, 101_2"),
        ("de", "10{{hoch|3}}, H{{tief|2}}O", "10^3, H2O"),
        ("ru", "10{{sup|3}}, м{{sup|2}}, 5 {{кв. км}}, I век {{н. э.}}", "10^3, м2, 5 км², I век н. э."),
        ("nl", "10{{sup|3}}, 1{{sup|e}}", "10^3, 1e"),
        ("es", "10{{sup|3}}", "10^3"),
        ("fr", "aux {{sp-|XVI|e|et|XVII|e}}, {{s2|XVI|XVII}}, {{sp|XVI|au|XVII}}, {{s2-|IX|X}} et {{nombre|3000|ans}}", "aux XVIe et XVIIe, XVIe et XVIIe siècles, XVIe au XVIIe siècle, IXe et Xe et 3000 ans"),
        # others
        ("es", "el {{fecha|4|7|1901}} en el {{siglo|XIX||s}}, {{unidad|25000|km}}, {{cita|Hola}}", "el 4 de julio de 1901 en el siglo XIX, 25 000 km, «Hola»"),
        ("it", "il {{data|2|6|1946}}, {{M|1500|-|m}}, {{formatnum:15000}}", "il 2 giugno 1946, 1500 m, 15.000"),
        ("pt", "em {{dtlink|7|9|1822}}, no {{séc|XIX}}, {{fmtn|25000}}", "em 7 de setembro de 1822, no século XIX, 25 000"),
        ("ru", "{{дата|12|4|1961}}, {{нп5|Слово|слово|en|Word}}, {{s|5 км}}, {{число|25000}}, {{ударение}}.", "12 апреля 1961, слово, 5 км, 25 000, \u0301."),
        ("uk", "{{дата|24|8|1991}}, {{не перекладено|Слово|слова|en|Word}}", "24 серпня 1991, слова"),
        ("pl", "{{data|3|5|1791}}, {{formatnum:1234}}, {{formatnum:12345}}, {{ok.}} 1900", "3 maja 1791, 1234, 12 345, ok. 1900"),
        ("nl", "{{datum|5|5|1945}}, {{formatnum:12345}}", "5 mei 1945, 12.345"),
        ("sv", "{{datum|6|6|1523}}, {{formatnum:12345}}", "6 juni 1523, 12 345"),
        ("no", "{{dato|17|5|1814}}", "17. mai 1814"),
        ("fi", "{{päiväys|6|12|1917}}, {{k-en|word}}", "6. joulukuuta 1917, word"),
        ("hu", "{{dátum|1848|3|15}}, {{szám|12345}}", "1848. március 15., 12 345"),
        ("cs", "{{datum|28|10|1918}}", "28. října 1918"),
        ("ca", "{{data|11|9|1714}}, {{data|4|10|1900}}", "11 de setembre de 1714, 4 d'octubre de 1900"),
        ("tr", "{{tarih|29|10|1923}}, {{formatnum:12345}}", "29 Ekim 1923, 12.345"),
        ("vi", "{{ngày|2|9|1945}}", "2 tháng 9 năm 1945"),
        ("ja", "{{仮リンク|題名|en|Title|label=表示}}と{{読み仮名|東京|とうきょう}}、{{birth date|1990|1|2}}", "表示と東京（とうきょう）、1990年1月2日"),
        ("ko", "{{llang|en|word}}, {{birth date|1990|1|2}}", "word, 1990년 1월 2일"),
        ("zh", "{{link-en|題目|Title}}和{{tsl|en|Title|題|顯示}}，{{bd|1900年|1月2日|1980年|3月4日}}", "題目和顯示，1900年1月2日－1980年3月4日"),
        ("ar", "{{تاريخ|5|6|1967}} {{formatnum:12345}}", "5 يونيو 1967 12,345"),
        ("fa", "{{formatnum:12345.6}}", "۱۲٬۳۴۵٫۶"),
        ("he", "{{אנג|word}} {{birth date|1990|1|2}}", "word 2 בינואר 1990"),
        # Vietnamese: as of a date
        ("vi", "{{As of|2008|alt=Năm 2008}}, Đức lớn. {{As of|2011}}, {{Tính đến|2015|12|lc=y}}", "Năm 2008, Đức lớn. Tính đến năm 2011, tính đến tháng 12 năm 2015"),
        ("vi", "Hội {{Tính đến|2019|October|21}}", "Hội Tính đến 21 tháng 10 năm 2019"),
        ("uk", "Він — {{ДС2|21|3|1908|8}}, {{ДН2|5|1|1893|24|12}}, {{ДС2|3|4|1930}}", "Він — 8 (21) березня 1908, 24 грудня (5 січня 1893), 3 квітня 1930"),
        ("uk", "{{нар}} 1946, {{пом}} 1974, 5 {{градус Цельсія}}, {{lang3|uk|ru|три}}.{{ref-ru}}", "нар. 1946, пом. 1974, 5 °C, три."),
        ("ja", "『ガイバー』(''{{Interlang|en|The Guyver}}'')と", "『ガイバー』(The Guyver)と"),
        ("ja", "彼は{{ilq|何ヶ月も前}}と言った{{誰2|date=2011年8月}}。", "彼は「何ヶ月も前」と言った。"),
        ("bn", "আয়তন {{রূপান্তর|306|km2|sqmi|lk=out}}।{{তথ্যসূত্র প্রয়োজন|date=মে}}", "আয়তন 306 km2।"),
        ("zh", "酶（{{lang|en|synthase}}，{{EC number|4.2.3.110}}、{{x|SS}}）是酶。{{y|甲}}和乙", "酶（synthase，4.2.3.110、SS）是酶。甲和乙"),
        # a wiki without a table has the English one, but no English words in dates and numbers
        ("xx", "{{birth date|1990|1|2}} {{nowrap|a b}}", "1990-01-02 a b"),
        ("fr", "les décennies du {{XXe siècle}}, au {{Ier siècle av. J.-C.}}, {{IVe siècle}}", "les décennies du XXe siècle, au Ier siècle av. J.-C., IVe siècle"),
        ("sk", "dĺžka {{km|144|m}}, výška {{mnm|34|w}}, {{v jazyku|deu|Wort}}, 1665{{--}}1667, {{duv|1727|3|31}}", "dĺžka 144 km, výška 34 m n. m., Wort, 1665–1667, 31. marca 1727"),
        ("ro", "{{conversie|22|–|25|C|F}}, {{conversie|892|km2|sqmi}}, {{conversie|3|C|F}}", "22–25 °C, 892 km2, 3 °C"),
        ("ru", "статья {{нп|Слово|слова|en|Word}} есть", "статья слова есть"),
        # a name of the English table that this wiki has for something else
        ("lv", "Pilsēta ({{val|de|Wort}}) ir liela", "Pilsēta (Wort) ir liela"),
        # the name of a file is no word, in whatever template
        ("fi", "Sana (Wort, [ab], {{Lausunta|De-Wort-2.ogg}}) on sana", "Sana (Wort, [ab]) on sana"),
        ("ko", "낱말({{llang|de|Wort}} {{소리|de-Wort.OGG}})은 말이다", "낱말(Wort)은 말이다"),
        ("it", "Parola (AFI: {{IPA|/a/}}; in tedesco: Wort) è una", "Parola (in tedesco: Wort) è una"),
        # names that mean something else are not read by the English table
        ("fr", "a {{c|5}} b {{as of|2018}} c", "a 5 b 2018 c"),
        ("pl", "a {{as of|2018|6}} b", "a b"),
    ],
)  # fmt: skip
def test_templates_show_what_their_wiki_shows(language: str, wikitext: str, text: str) -> None:
    assert read(wikitext, language).text == text


@pytest.mark.parametrize(
    "wikitext, text",
    [
        ("{{val|12.5|(3)|e=4|u=m}}", "12.5(3)×10^4 m"),
        ("{{val|5|by|7|u=cm}}, {{val|1|–|2|u=s}}, {{val|90|u=%}}", "5 by 7 cm, 1–2 s, 90%"),
        ("{{val|e=-9|u=kg|up=m3}}, {{val|7|2|3}}", "10^-9 kg/m3, 7 +2 −3"),
        # what is raised or set lower behind a number
        ("10<sup>−9</sup>, 2<sup>''n''</sup>, 5{{sup|3}}, 101<sub>2</sub>", "10^−9, 2^n, 5^3, 101_2"),
        ("3<sup>1</sup>/<sub>2</sub> in, '''10'''<sup>6</sup>", "3 1/2 in, 10^6"),
        ("H<sub>2</sub>O, 2<sup>nd</sup>, km<sup>2</sup>, 19<sup>e</sup>, x<sub>1</sub>", "H2O, 2nd, km2, 19e, x1"),
        ("2<sup>3<sup>2</sup></sup>, (2)<sup>3</sup>, 10<sup>{{frac|1|2}}</sup>, 4<sup>½</sup>", "2^3^2, (2)^3, 10^1⁄2, 4^½"),
        # poems
        ("Text.\n<poem>\nOne line,\n: and '''another''' <ref>x</ref>\n\nnew stanza\n</poem>\nEnd.", "Text.\n\nOne line,\nand another\n\nnew stanza\n\nEnd."),
        ("{{poem quote|One line,\nand another\n\nnew stanza|Author}}", "One line,\nand another\n\nnew stanza"),
        # attributes
        ('<span title="a > b" class=\'c>d\'>word</span> <ref name="x>y">note</ref>end', "word end"),
        ('<span title="never closed>word</span> a', "word a"),
        ("1 <span 2 > 3 <b", "1  3 <b".replace("  ", " ")),
        # code in a sentence
        ('the call <syntaxhighlight lang="c" inline>f(x[1]);</syntaxhighlight> returns', "the call f(x[1]); returns"),
        # lines that begin with a bar, and tables in templates
        ("|x| is the absolute value of x.", "|x| is the absolute value of x."),
        ("{{{!}} class=w\n{{!}} cell\n{{!}}-\n{{!}} b\n{{!}}}\nText.", "Text."),
        ("a\n| key = value of an open box\n|-\n| cell of a table that has no beginning\nb", "a\n\nb"),
        # switches
        ("__notoc__ a __FILE__ __init__ __INDEX__ __index__ __END__", "a __FILE__ __init__ __index__ __END__"),
        # braces of chemical names are text where no script is converted
        ("2-{4-[bis]amino}-ethanol and N-{x}-y", "2-{4-[bis]amino}-ethanol and N-{x}-y"),
        # commas behind a word that was removed from the beginning of a line
        ("{{x|1|2}}, the town grew.\n\n* {{x|1|2}}; it is a whole sentence.", "the town grew.\n\nit is a whole sentence."),
        ("{{x|1|2}}<br>{{x|1|2}} , and {{x|1|2}}, more", "and, more"),
        (", a comma that was typed, stays", ", a comma that was typed, stays"),
        # marks of notes that came with a copied text
        ("the house <sup>[12]</sup> , and<sup>[en]</sup> f<sup>(3)</sup> [5]", "the house, and f(3) [5]"),
        # a bracket of the text before a link
        ("a [[[b|c]]] d, [<nowiki/>[[0 (x)|0]], [[1|1]]], [[[e|f]] only] g", "a [c] d, [0, 1], [f only] g"),
        ("* in [[[x]]] and [f[[[y]]]] of five words.", "in [x] and [f[y]] of five words."),
        # quotation marks and angles that only held what was removed
        ("symbol «<math>x</math>» and „{{x}}“, letter <[[File:A.png|15px]]> («» stays)", "symbol and, letter («» stays)"),
        ("“a”<ref>x</ref>“b” and 「<math>x</math>」c", "“a”“b” and c"),
        # brackets of any script
        ("a （{{x}}，） b（、c）", "a b（、c）"),
        ("قاهرة ({{x}}؛ 1900) و ({{y}}،)", "قاهرة (1900) و"),
    ],
)  # fmt: skip
def test_wikitext_of_all_wikis(wikitext: str, text: str) -> None:
    assert read(wikitext, "en").text == text


@pytest.mark.parametrize(
    "language, wikitext, text",
    [
        ("zh", "-{T|zh-hans:标题;zh-hant:標題}-正文", "正文"),
        ("zh", "-{H|a=>zh-cn:b}--{A|zh-hans:显示;zh-hant:顯示}-", "显示"),
        ("zh", "-{zh-hans:甲\n;\nzh-hant:乙}-与-{R|zh:丙}-", "甲与zh:丙"),
        ("zh", "-{ {{nowrap|Linux}} }-和-{时间: 12:30}-", "Linux和时间: 12:30"),
        ("zh", "-{zh-hans:外-{zh-hant:內;zh-hans:内}-;zh-hant:x}-。", "外內。"),
        ("zh", "-{从不关闭", "-{从不关闭"),
        ("zh", "-{zh-hant|繁}--{zh-hans;zh-cn|简}-", "简"),
        ("sr", "-{Windows}- и -{sr-ec:ћир; sr-el:lat}-", "Windows и ћир"),
        ("en", "a -{zh-hans:x;zh-hant:y}- b", "a b"),
        ("de", "__KEIN_INHALTSVERZEICHNIS__ Satz. __notoc__", "Satz."),
        ("fr", "__AUCUNSOMMAIRE__ Mot. __KEIN_INHALTSVERZEICHNIS__", "Mot. __KEIN_INHALTSVERZEICHNIS__"),
        ("uk", "__БЕЗ_ОГЛ__ Слово. __ЗМІСТ__", "Слово."),
        ("ja", "__目次非表示__文。", "文。"),
        ("sv", "Text.\n== Källor och noter ==\n* En källa som är en hel mening.", "Text."),
        ("fi", "Teksti.\n== Lähteet ==\n* Koko lause jossa on viisi sanaa.", "Teksti."),
        ("ar", "نص.\n== مراجع ==\n* جملة كاملة من خمس كلمات هنا.", "نص."),
        ("el", "Κείμενο.\n== Παραπομπές ==\n* Μια πρόταση με πέντε ολόκληρες λέξεις.", "Κείμενο."),
        ("en", "Text.\n== General references ==\n* A whole sentence of five words.", "Text."),
        ("bn", "কথা।\n== তথ্যসূত্র ও টীকা ==\n* এক দুই তিন চার পাঁচ।\n== বহিঃসংযোগ ==\n* এক দুই তিন চার পাঁচ।", "কথা।"),
        ("hi", "वाक्य।\n== सन्दर्भ ==\n* एक दो तीन चार पाँच।\n=== बाहरी कड़ियाँ ===\n* एक दो तीन चार पाँच।", "वाक्य।"),
        ("hy", "Խոսք։\n== Ծանոթագրություններ ==\n* Մեկ երկու երեք չորս հինգ.\n== Տես նաև ==\n* Մեկ երկու երեք չորս հինգ.", "Խոսք։"),
        ("mr", "शब्द.\n== हे सुद्धा पहा ==\n* एक दोन तीन चार पाच.\n== बाह्य दुवे ==\n* एक दोन तीन चार पाच.", "शब्द."),
        ("ta", "சொல்.\n== மேற்கோள்கள் ==\n* ஒன்று இரண்டு மூன்று நான்கு ஐந்து.", "சொல்."),
        ("th", "คำ.\n== อ้างอิง ==\n* หนังสือเล่มนี้เขียนโดยผู้แต่งคนหนึ่งในปีนั้น.", "คำ."),
        ("ur", "لفظ۔\n== حوالہ جات ==\n* ایک دو تین چار پانچ۔", "لفظ۔"),
        ("ka", "სიტყვა.\n== სქოლიო ==\n* ერთი ორი სამი ოთხი ხუთი.", "სიტყვა."),
        ("eu", "Hitza.\n== Kanpo estekak ==\n* Bat bi hiru lau bost.", "Hitza."),
        ("et", "Sõna.\n== Välislingid ==\n* Üks kaks kolm neli viis.", "Sõna."),
        ("lt", "Žodis.\n== Šaltiniai ir nuorodos ==\n* Vienas du trys keturi penki.", "Žodis."),
        ("ltg", "Vuords.\n== Verīs taipoš ==\n* Vīns div treis četri pīci.", "Vuords."),
    ],
)  # fmt: skip
def test_scripts_switches_and_headings(language: str, wikitext: str, text: str) -> None:
    assert read(wikitext, language).text == text


def test_templates_in_no_table_keep_words_or_leave_a_counted_hole() -> None:
    text = (
        "The {{unheard|bright}} star has {{odd box|1|2}} moons.{{r|Smith}} It {{who|date=2010}} shines.\n"
        "{{unheard|alone}}\n== References ==\nx\n"
    )
    found = read(text, "en")
    assert found.text == "The bright star has moons. It shines."
    assert found.holes == 1
    assert found.left_out == {
        "template: r": 1,
        "template: who": 1,
        "template: unheard": 1,
        "template in a sentence: odd box": 1,
        "section: references": 1,
    }
    own = (("odd box", "{1} to {2}"), ("unheard", ""))
    mended = read(text, "en", own_templates=own)
    assert mended.text == "The star has 1 to 2 moons. It shines." and mended.holes == 0


def test_names_that_are_counted_have_an_end() -> None:
    many = "".join(f"{{{{name {number} {'x' * 100}|a}}}}\n" for number in range(2000))
    found = read(many + "{{#invoke:A|b}}{{#invoke:B|c}}{{DEFAULTSORT:X}}", "en")
    assert len(found.left_out) == 500 and max(map(len, found.left_out)) == len("template: ") + 60
    few = read("{{#invoke:A|b}}{{#invoke:B|c}}{{DEFAULTSORT:X}}", "en")
    assert few.left_out == {"template: #invoke": 2, "template: defaultsort:": 1}


PAGE = "<page><title>{title}</title>{ns}<revision><text>{text}</text></revision></page>"
SPACES = {"discussion": 1, "wikipédia": 4, "user talk": 3}


@pytest.mark.parametrize(
    "title, ns, reason",
    [
        ("Discussion:A", "", "namespace"),
        ("wikipédia:A", "", "namespace"),
        ("User_talk:A", "", "namespace"),
        ("Mission: Impossible", "", ""),
        (":A", "", ""),
        ("Discussion:A", "<ns>0</ns>", ""),
        ("A", "<ns>4</ns>", "namespace"),
    ],
)
def test_the_namespace_of_a_page_is_told_by_its_title_in_old_dumps(
    title: str, ns: str, reason: str
) -> None:
    page = PAGE.format(title=title, ns=ns, text="Some words of an article.")
    found, _ = extract_page(page.encode(), encoding="utf-8", style=Style(namespaces=SPACES))
    assert (found.reason if isinstance(found, Refusal) else "") == reason


@pytest.mark.parametrize(
    "language, text, is_one",
    [
        ("en", "A. {{hndis|x}}", True),
        ("en", "A. <!-- {{hndis}} -->", False),
        ("en", "A. <nowiki>{{dab}}</nowiki>", False),
        ("en", "A.<ref>{{dab}}</ref>", False),
        ("en", "A. {{dp}}", False),
        ("nl", "A. {{dp}}", True),
        ("es", "A. {{dp}}", False),
        ("xx", "A. {{dp}}", True),
        ("zh", "甲。{{消歧义}}", True),
    ],
)
def test_disambiguation_by_the_templates_of_the_page(
    language: str, text: str, is_one: bool
) -> None:
    page = PAGE.format(title="T", ns="<ns>0</ns>", text=text.replace("<", "&lt;"))
    found, _ = extract_page(page.encode(), encoding="utf-8", style=Style(language=language))
    assert isinstance(found, Refusal) == is_one


@pytest.mark.parametrize(
    "text, language, number",
    [
        ("1234567.25", "de", "1.234.567,25"),
        ("1234", "es", "1234"),
        ("1234", "fr", "1 234"),
        ("-5000", "ru", "−5 000"),
        ("12 345", "de", "12 345"),
        ("1234", "tlh", "1234"),
        ("x", "de", "x"),
    ],
)
def test_numbers(text: str, language: str, number: str) -> None:
    assert formats.format_number(text, language) == number


@pytest.mark.parametrize(
    "text, language, number",
    [
        ("2000", "fr", "2000"),
        ("12000", "fr", "12 000"),
        ("2,5", "fr", "2,5"),
        ("2.5", "fr", "2,5"),
        ("2.000", "de", "2.000"),
        ("2.500", "fr", "2,500"),
        ("many", "fr", "many"),
    ],
)
def test_numbers_as_people_type_them(text: str, language: str, number: str) -> None:
    assert formats.format_measure(text, language) == number


@given(st.integers(0, 10**12), st.sampled_from(sorted(formats._MARKS)))
def test_no_digit_of_a_number_is_lost(number: int, language: str) -> None:
    shown = formats.format_number(str(number), language)
    assert int(re.sub(r"\D", "", shown)) == number


@given(
    st.integers(1, 2100),
    st.integers(1, 12),
    st.integers(1, 31),
    st.sampled_from(sorted({*formats._MONTHS, *formats._FORMS, "xx"})),
)
def test_dates_hold_year_and_day(year: int, month: int, day: int, language: str) -> None:
    shown = formats.format_date(str(year), str(month), str(day), language)
    found = [int(digits) for digits in re.findall(r"\d+", shown)]
    assert year in found and day in found and "{" not in shown


def test_tables_are_in_order() -> None:
    """Twelve months everywhere; names as they are folded; every text of a table is one."""
    for table in (formats._MONTHS, formats._NOMINATIVES):
        assert {len(names.split()) for names in table.values()} == {12}
    for table in templates._TABLES.values():
        for name in table:
            assert name == " ".join(name.lower().split())
    assert len(templates._TABLES) >= 20
    assert all(heading == heading.lower().strip() for heading in CUT_SECTIONS)
    assert len(set(CUT_SECTIONS)) == len(CUT_SECTIONS)
    assert "" not in disambiguations("de") and "bkl" in disambiguations("de")


@given(st.text(alphabet="ab12|;:=-{}\n zh", max_size=60), st.sampled_from(["zh", "en", "sr"]))
def test_variants_of_any_text_end(text: str, language: str) -> None:
    shown = show_variants(text, language)
    assert len(shown) <= len(text) + 2 * text.count("-{")
    if "-{" not in text:
        assert shown == text


@given(st.text(max_size=40), st.sampled_from(["de", "fr", "zh", "xx"]))
def test_only_words_between_underscores_are_switches(text: str, language: str) -> None:
    if "__" not in text:
        assert magic_words(language).sub("", text) == text


@given(st.data())
def test_no_template_of_a_wiki_fails_on_any_parameters(data: st.DataObject) -> None:
    language = data.draw(st.sampled_from(sorted(templates._TABLES)))
    name = data.draw(st.sampled_from(sorted(templates._TABLES[language])))
    value = st.sampled_from(["", "1", "31", "1999", "XIX", "a b", "mars", "-", "2.000,5", "en"])
    places = data.draw(st.lists(value, max_size=6))
    shown = read(
        f"a {{{{{name}|{'|'.join(places)}}}}} b" if places else f"a {{{{{name}}}}} b", language
    )
    assert "{" not in shown.text and "}" not in shown.text


@pytest.mark.parametrize("language", sorted(templates._TABLES))
def test_every_name_of_a_table_can_be_reached(language: str) -> None:
    """Names are looked up folded and composed; one that is not would never be found. A name that is
    in a table twice is refused where the table is made."""
    for name in templates._TABLES[language]:
        assert name == fold_name(name) == unicodedata.normalize("NFC", name)
        for written in (name, name.replace(" ", "_"), f" {name[:1].upper()}{name[1:]} "):
            # A wiki's first letter may be written either way; some letters change their length.
            assert fold_name(written) == name or name[:1].upper().lower() != name[:1]


def test_a_name_is_in_a_table_once() -> None:
    with pytest.raises(ValueError, match="fr: 'date' is in the table twice"):
        templates._add("fr", "Date", templates.date)
