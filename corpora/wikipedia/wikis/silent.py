"""Templates that show nothing that belongs to a sentence: notes, citations, pronunciations,
coordinates, maintenance. `is_silent(name)` tells it of a (folded) name, whatever the wiki.

A template that is in no table and is not one of these may be a word of the sentence it stands in.
"""

import re

_NAMES = frozenset(
    """
    r;ref;refn;efn;efn-ua;efn-lr;sfn;sfnp;sfnm;snf;harv;harvnb;harvp;harvsp;note;notetag;rp;refnest;
    #tag:ref;ref label;note label;fn;fnb;nbsp ref;inote;anm;anmerkung;fußnote;voetnoot;
    ipa;pron;pronunciation;respell;audio;listen;pronounced;api;apl;afi;lautschrift;prononciation;
    coord;coordinates;coordinate;coor;coor d;coor dm;coor dms;koordinaten;koord;coordonnées;coords;
    reflist;references;notelist;main;see also;see;details;further;about;for;hatnote;other uses;
    redirect;distinguish;portal;commons;commonscat;commons category;wikisource;wikiquote;sister;
    clear;-;clr;stub;toc;tocright;anchor;anchors;flagicon;flag icon;image;file;gallery;icon;
    citation needed;cn;fact;who;when;where;which;why;clarify;by whom;dubious;page needed;verify;
    vague;better source;failed verification;original research;unreferenced;specify;dead link;
    deadlink;webarchive;wayback;cbignore;full;weasel inline;peacock inline;disputed inline;
    citation not found;update inline;update after;pov statement;according to whom;who?;when?;quote;
    isbn;issn;doi;oclc;jstor;pmid;pmc;arxiv;bibcode;lccn;asin;ol;hdl;zbl;mr;url;official website;
    official;imdb name;imdb title;allmusic;discogs;find a grave;age;age in years;inflation;#invoke;
    defaultsort:;displaytitle:;sortierung:;ordenar:;ordina:;sortuj:;cledetri:;
    bélyeg;jegyzet;forrás?;refhely;opm;aut;bron?;wie?;källa behövs;fakta;när;vem;behöver källa;
    treng referanse;tr;kilde mangler;belege;belege fehlen;wann;wer;wo;sic ref;
    refsou;référence nécessaire;quand;qui;combien;où;lequel;source;réf. nécessaire;note de bas;
    cita requerida;cr;quién;cuándo;aclarar;añadir referencias;senza fonte;chi;quando;da chiarire;
    carece de fontes;quem;quando?;fakt;kto;kiedy;źródło;przypis;nz;
    источник?;источник;кто;кто?;когда;когда?;где;где?;какой;какие;сколько;нет аи;уточнить;
    прояснить;sfn0;что;коорд;координаты;джерело?;джерело;хто;коли;мфа;мфадо;мфа-uk;
    要出典;要検証;誰;いつ;どこ;要説明;疑問点;来源请求;來源請求;谁;何时;何處;谁？;何时？;来源;
    誰2;いつ2;いつ範囲;要曖昧さ回避;脚注;脚注ヘルプ;要出典範囲;
    cần chú thích;âm thanh;cần dẫn nguồn;προφορά;ασαφές;εκκρεμεί παραπομπή;πηγή;
    তথ্যসূত্র প্রয়োজন;ওয়েব আর্কাইভ;অডিও;আইএসবিএন;অকার্যকর সংযোগ;সূত্র তালিকা;
    संदर्भ हवा;संदर्भ;मृत दुवा;उद्धरण आवश्यक;ն;ծանցանկ;անաղբյուր;աղբյուր?;աճ;ած;նվազում;
    link audio;صدا;אודיו;msapi;mspapi;
    недоступне посилання;мфа-всі;недоступная ссылка;ref-ru-dor;
    출처;언제;누가;어디서;출처 필요;بحاجة لمصدر;من;متى;أين;مدرک;چه کسی;کِی;دبا;הבהרה;מקור;למי
    """.replace("\n    ", "")
    .strip()
    .split(";")
)

_PREFIXES = re.compile(
    # citations and boxes of English and its neighbours
    r"(?:cite|citation|citar|cita[ -]|citace|cytuj|infobox|info[ /]|ipa|audio|navbox|taxobox|harv"
    r"|sfn|external media|citeer|citāt|webbref|bokref|tidskriftsref|kilde"
    # of other languages
    r"|книга|статья|публикация|ouvrage|lien web|lien brisé|article$|literatur"
    r"|internetquelle|chú thích|kaynak|cit lib|referência"
    r"|harvard|verweis|מ\"מ|استشهاد|مرجع|یادکرد|карточка|картка|ficha|bio$|user|wikiproject|"
    r"pp-|use |short desc|good article|featured"
    # the language of a source, as {{ref-ru}} and {{ja icon}}
    r"|ref-[a-z]{2,3}$|[a-z]{2,3} icon$)"
)


def is_silent(name: str) -> bool:
    """Whether a template of this (folded) name shows nothing in a sentence."""
    return name in _NAMES or _PREFIXES.match(name) is not None
