"""Wikitext to prose: each row of the table of templates, what goes and what stays, and time that is
linear in any text."""

import gc
import json
import time

import pytest

from corpora.document import Refusal
from corpora.wikipedia.paragraphs import count_words
from corpora.wikipedia.wikitext import Prose, Style, read_prose

STYLE = Style(cut_sections=frozenset(("references", "external links", "see also", "notes")))


def prose(wikitext: str, style: Style = STYLE, title: str = "Title") -> str:
    found = read_prose(wikitext, style, title)
    assert isinstance(found, Prose)
    return found.text


@pytest.mark.parametrize(
    "wikitext, text",
    [
        # the table of the corpora reference, 5.2
        ("At {{convert|1300|mi|km}}, A", "At 1,300 miles, A"),
        ("{{formatnum:77006}} people", "77,006 people"),
        ("{{birth date|1973|10|17}} in", "October 17, 1973 in"),
        ("Paris ({{lang-fr|Paris}}; {{IPAc-en|p|a}}) is", "Paris (French: Paris) is"),
        ("Paris ({{IPA|x}}; {{IPAc-en|p|a}}) is", "Paris is"),
        ("{{lang|fr|mot}} a", "mot a"),
        ("{{nowrap|50 km}} a", "50 km a"),
        ("{{nihongo|Tokyo|東京|Tōkyō}} a", "Tokyo (東京, Tōkyō) a"),
        ("{{as of|2018}} a", "As of 2018 a"),
        ("{{circa}} 1500, {{circa|1510}}", "c. 1500, c. 1510"),
        ("{{frac|1|2}} and {{frac|3|1|2}}", "1⁄2 and 3+1⁄2"),
        ("{{val|1234567|u=km}} a", "1,234,567 km a"),
        ("{{abbr|Dr|Doctor}} A", "Dr A"),
        ("{{small|text}} a", "text a"),
        ("{{ill|Some One|de|Jemand}} a", "Some One a"),
        ("{{USD|1000}} a", "US$1,000 a"),
        ("a {{quote|Some words.}} b", "a\n\nSome words.\n\nb"),
        ("5{{nbsp}}km", "5 km"),
        ("a {{ndash}} b", "a – b"),
        ("a<ref>cite</ref> b<ref name=x /> c<syntaxhighlight lang=c>int {{</syntaxhighlight>.", "a b c."),
        ("t [[File:A.jpg|thumb|A [[cat]] caption]] u", "t u"),
        ("a [[Category:Foo]] [[de:Foo]] [[:Category:Foo|see]]", "a see"),
        ("[[Rome (city)|]], [[Boston, Massachusetts|]], [[Help:Contents|]]", "Rome, Boston, Contents"),
        ("x\n{| class=w\n| a || b\n{| nested\n| c\n|}\n|}\ny", "x\n\ny"),
        ("__TOC__ a -{zh-hans:x;zh-hant:y}- b __NOTOC__", "a b"),
        ("unbalanced {{foo text", "unbalanced foo text"),
        ("a <math>x^2</math> b <gallery>\nFile:A.jpg|cap\n</gallery> c {{cite web|url=x}} d{{sfn|A|2000}}.", "a b c d."),
        ("{{Infobox person\n| name = {{nowrap|A}}\n| born = [[x]]\n}}\n'''A''' is", "A is"),
        # templates beside it
        ("{{convert|5|ft|6|in|cm}}, {{convert|10|to|20|km|mi}}, a {{convert|10|km|mi|adj=on}} road, {{convert|1|m|abbr=on}}", "5 feet 6 inches, 10 to 20 kilometres, a 10-kilometre road, 1 m"),
        ("{{convert|2.5|e6acre|km2}}, {{convert|1|mi}}, {{convert|3|km|mi|sp=us}}, {{convert|70|°F}}", "2.5 million acres, 1 mile, 3 kilometers, 70 °F"),
        ("{{birth date|1973|10|17|df=y}}, {{start date|2010|3}}, {{death date and age|2000|1|2|1920|3|4}}", "17 October 1973, March 2010, January 2, 2000"),
        ("{{formatnum:1234.5}} {{formatnum:-1234}} {{formatnum:1,234|R}}", "1,234.5 −1,234 1,234"),
        ("{{langx|de|Wort}} {{lang-ru|Москва|Moskva}} {{transl|ru|Moskva}}", "German: Wort Russian: Москва, romanized: Moskva Moskva"),
        ("{{as of|2018|6|lc=y}}, {{as of|2018|6|12}}", "as of June 2018, As of 12 June 2018"),
        ("The {{USS|Enterprise|CV-6}} and {{HMS|Hood|51|2}}, a {{sclass|Nimitz|aircraft carrier}}", "The USS Enterprise (CV-6) and Hood, a Nimitz-class aircraft carrier"),
        ("{{lc:ABC}} {{ucfirst:abc}} {{#if:x|yes|no}} {{PAGENAME}}", "abc Abc yes Title"),
        ("a{{snd}}b, 2{{times}}3, {{music|flat}}, {{CO2}}, {{chem|H|2|O}}, {{sic|teh}}", "a – b, 2×3, ♭, CO2, H2O, teh [sic]"),
        ("{{Convert|1300|mi|km}} {{ NOWRAP | x }} {{lang\n|fr\n|mot\n}}", "1,300 miles x mot"),
        ("{{small|{{lang|fr|[[mot|le mot]]}}}} {{quote|text=A {{nowrap|b c}}|author=D}}", "le mot\n\nA b c"),
        ("{{harvtxt|Smith|Jones|2000}} {{vr|ai}} {{bibleref|Mark|3:25|9}} {{nq|افغانستان}} {{RailGauge|1435mm}}", "Smith & Jones (2000) ⟨ai⟩ Mark 3:25 افغانستان 1435mm"),
        ("{{unknown|text}} a {{#tag:ref|cite}} {{{1|x}}}", "a"),
        # links
        ("[[Star Trek: Voyager]] and [[2001: A Space Odyssey|2001]] and [[Mission: Impossible]]", "Star Trek: Voyager and 2001 and Mission: Impossible"),
        ("[[wikt:word]] [[wikt:word|a word]] [[link]]s [[a|b]]", "word a word links b"),
        ("[http://x.y a label] [http://x.y] [//x.y z] http://x.y", "a label z http://x.y"),
        ("[[Image:A.jpg|thumb|{{nowrap|x}} [[File:B.jpg]]]] [[Media:C.ogg|listen]] [[Attēls:Map.svg|thumb|250px|''x'' y]] a", "a"),
        # quote marks
        ("l'''amour'' a\n\nand ''a'' '''b''' '''''c'''''\n\nand ''''d'''' '''", "l'amour a\n\nand a b c\n\nand 'd'"),
        ("''open\n'''open again", "open open again"),
        ("'''''''File: seven", "'File: seven"),
        ("x''''a ''b", "x'a b"),
        ("rock 'n' roll's <nowiki>''two''</nowiki>", "rock 'n' roll's ''two''"),
        # brackets that were emptied, and those that were not
        ("a ({{x}}) b ( , ) c (; ) d [ ] e", "a b c d e"),
        ("main() and f(x), a (–) b", "main() and f(x), a (–) b"),
        ("a ({{x}}; born 1950) b ({{y}}, 1960, {{z}}) c (1, {{x}}, 2)", "a (born 1950) b (1960) c (1, 2)"),
        ("a ({{x}} [{{y}}]) b<ref>c</ref>, d {{fact}}. e", "a b, d. e"),
        # entities once, nowiki, comments
        ("&amp;nbsp; &lt;b&gt; &#91;&#91;x]] &eacute; &unknown; AT&T", "&nbsp; <b> [[x é &unknown; AT&T"),
        ("<nowiki>[[x]] {{y}} <ref></nowiki> a<nowiki/>b", "[[x]] {{y}} <ref> ab"),
        ("a<!-- x [[ -->b\n<!-- a line -->\nc <!-- never closed ]]", "ab c"),
        # tags
        ("H<sub>2</sub>O <span style='x'>a</span> <small>b</small><br/>c <stdio.h> 1 < 2", "H2O a b\nc <stdio.h> 1 < 2"),
        ("a <table><tr><td>x<table><tr><td>y</td></tr></table></td></tr></table> b <blockquote>c</blockquote>", "a b\nc"),
        ("a <ref>x <ref>y</ref> b </ref> c</div>", "a c"),
        # sections, lists, lines
        ("a\n== References ==\nfoo\n=== x ===\nbar\n== Life ==\nbaz\n==Notes and references==\nq", "a\n\nbaz"),
        ("a\n== Life ==\n== ''See also'' ==\n* [[x]]\n", "a"),
        ("* one\n* This is a full sentence here.\n# Another full sentence of words.\n: indented\nq", "This is a full sentence here.\nAnother full sentence of words.\n\nq"),
        ("one line\nof a paragraph\n\nanother\n----\nthird", "one line of a paragraph\n\nanother\n\nthird"),
        ("a\n int x = 1;\n Mostly words as they were typed.\nb", "a\n\nMostly words as they were typed.\n\nb"),
        ("the variables\n<math>a</math>, <math>b</math>, and\n<math>c</math>, although", "the variables, and, although"),
        ("<ul><li>item</li><li>A whole sentence of five words.</li></ul>", "A whole sentence of five words."),
        # lost partners
        ("a [[b c\n\nd ]] e }} f\n{| g\nh", "a b c\n\nd e f\n\nh"),
        ("{{foo [[bar }} baz", "baz"),
        ("[[foo [bar]] x", "foo [bar x"),
        ("a\n{| class=x\n| cell\n|-\n! head\nb", "a\n\nb"),
    ],
)  # fmt: skip
def test_wikitext_becomes(wikitext: str, text: str) -> None:
    assert prose(wikitext) == text


def test_settings_keep_what_is_dropped() -> None:
    wikitext = (
        "Intro.<ref>A note.</ref>\n[[File:A.jpg|thumb|200px|A [[cat]] here]]\n== Life ==\n* item\n{| class=w\n|-\n! H\n|-\n| a || style=x | b\n|}\n"
        "== Empty ==\n== References ==\nx\n[[Category:Cats| ]]\n<math>x^2</math>"
    )
    assert prose(wikitext) == "Intro."
    everything = Style(
        headings=True,
        lists="keep",
        tables=True,
        references=True,
        captions=True,
        categories=True,
        math=True,
    )
    assert (
        prose(wikitext, everything)
        == "Intro. (A note.)\n\nA cat here\n\nLife\n\nitem\n\nH\n\na | b\n\nReferences\n\nx x^2\n\nCats"
    )
    assert prose("* A whole sentence of five words.", Style(lists="drop")) == ""
    assert (
        prose(
            "a {{convert|1|km}} {{mine|x|y=z}}",
            Style(templates=False, own_templates=(("mine", "{1}-{y}"),)),
        )
        == "a x-z"
    )
    assert prose("a {{convert|1|km}} b", Style(own_templates=(("convert", ""),))) == "a b"


def test_names_of_other_wikis() -> None:
    style = Style(
        file_names=frozenset(("file", "datei")),
        category_names=frozenset(("category", "kategorie")),
        language="de",
    )
    assert (
        prose(
            "a [[Datei:A.jpg|mini|b]] [[Kategorie:C]] ({{lang-la|Anno}}, {{convert|5|mi|km}}) d",
            style,
        )
        == "a (Anno, 5 mi) d"
    )
    assert prose("a -{zh-hans:x;zh-hant:y}- -{b}-", Style(language="zh")) == "a x b"


def test_what_was_taken_out_is_counted() -> None:
    found = read_prose("a ({{x}}) b ( , ) c main() [[d e <ref> f }} g", STYLE)
    assert isinstance(found, Prose)
    assert (found.text, found.empty_brackets, found.unbalanced) == ("a b c main() d e f g", 2, 3)


@pytest.mark.parametrize("opening, closing, limit", [("{{small|", "}}", 30), ("[[a|", "]]", 30)])
def test_depth_is_limited_by_count(opening: str, closing: str, limit: int) -> None:
    assert isinstance(read_prose(opening * limit + "x" + closing * limit, STYLE), Prose)
    found = read_prose(opening * (limit + 1) + "x" + closing * (limit + 1), STYLE)
    assert isinstance(found, Refusal) and found.reason == "too_deep"
    assert prose("a {{unknown|" * 3000 + "}}" * 3000 + "b") == "a b"


def test_words_of_scripts_with_and_without_spaces() -> None:
    assert count_words("Three words, here - 1.") == 4
    assert count_words("東京は日本の首都です") == 5
    assert count_words("Tokyo 東京 – x") == 3


SHAPES = {
    "an article": "'''Rome''' ({{lang-it|Roma}}; {{IPAc-en|r}}) is a [[city]] of {{convert|1285|km2|sqmi}}.<ref name=a>{{cite web|url=http://a.b|title=T}}</ref> It has [[inhabitant|people]].\n\n",
    "templates": "{{nowrap|a}}",
    "templates in templates": "{{small|{{nowrap|{{lang|fr|a}}}}}} ",
    "links": "[[a|b]] ",
    "open templates": "{{nowrap|a ",
    "open templates in one word": "{{",
    "open links": "[[a|b ",
    "open addresses": "[http://a b ",
    "open tables": "{|\n| a\n",
    "open comments": "<!-- a ",
    "open refs": "<ref>a ",
    "open nowiki": "<nowiki>a ",
    "open tags": "<div><span ",
    "closings": "}} ]] |} </ref> ",
    "braces": "{{{{{{{{}} ",
    "arguments": "{{{a|{{{b|}}}}}} ",
    "quotes": "'''a'' ''b''''' ",
    "empty brackets": "({{x}}; (,) [ ]) ",
    "blanks": " ",
    "lines": "\n",
    "list marks": "*#:;",
    "headings": "== a ==\n",
    "equal signs": "=",
    "entities": "&amp;&lt;&#91;",
    "one word": "a",
    "marks without an end": "({{x}},; ",
    "removals": "{{x}} ",
    "apostrophes": "'",
    "brackets": "[",
    "commas": ", ;",
    "named parameters": "{{nowrap|a=b=c|d=|=}} ",
    "pipes in a template": "|a",
    "open attributes": '<span title="a > ',
    "quotes in tags": "<a b='",
    "variants": "-{zh-hans:a;zh-hant:b}-",
    "open variants": "-{a ",
    "poems": "<poem>a\nb</poem>",
    "open exponents": "1<sup>",
    "words of sentences": "a {{vol|b}} c ",
    "lines with bars": "|a| is one of them\n",
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("size", [256_000, pytest.param(1_000_000, marks=pytest.mark.long)])
@pytest.mark.builds
def test_time_is_linear_in_the_length(name: str, size: int) -> None:
    """From 8 kB to 1 MB of one page: 125 times the text may take eight times that, on a busy
    machine; a quadratic step would take 125 times it."""
    shape = SHAPES[name]

    gc.collect()
    gc.freeze()  # else what earlier tests left in memory is gone through again and again

    def seconds(size: int) -> float:
        text = shape * (size // len(shape))
        if name == "pipes in a template":
            text = "{{nowrap" + text + "}}"
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            read_prose(text, STYLE)
            best = min(best, time.process_time() - start)
        return best

    small, large = seconds(8_000), seconds(size)
    assert large < 8 * size / 8_000 * max(small, 0.001), (
        f"{small * 1000:.1f} ms for 8 kB, {large * 1000:.0f} ms for {size // 1000} kB"
    )


def test_style_is_plain_data() -> None:
    """It crosses to the parser's process with every page."""
    import pickle

    assert (
        pickle.loads(pickle.dumps(STYLE)) == STYLE
        and len(json.dumps(sorted(STYLE.cut_sections))) < 1000
    )
