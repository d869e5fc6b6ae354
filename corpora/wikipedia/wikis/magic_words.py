"""The behaviour switches of MediaWiki, such as `__NOTOC__`, in the language of a wiki.

Only these words are markup: `__FILE__` is text. The names are MediaWiki's own (its messages of each
language). English ones are valid everywhere. Of the English names some are valid in any case, and
the others in capitals alone, as `__index__` of Python is a word of an article.
"""

import functools
import re

_ANY_CASE = """
    NOTOC FORCETOC TOC NOEDITSECTION NOGALLERY NOTITLECONVERT NOTC NOCONTENTCONVERT NOCC NOHEADER
"""

_CAPITALS = """
    NEWSECTIONLINK NONEWSECTIONLINK HIDDENCAT EXPECTUNUSEDCATEGORY EXPECTUNUSEDTEMPLATE INDEX
    NOINDEX STATICREDIRECT NOGLOBAL DISAMBIG EXPECTED_UNCONNECTED_PAGE ARCHIVEDTALK NOTALK
"""

_WORDS = {
    "ar": "لا_فهرس لافهرس فهرس إجبار_فهرس لصق_فهرس لاتحريرقسم لا_تحرير_قسم لامعرض لا_معرض "
    "لا_فهرسة لافهرسة فهرسة",
    "bg": "БЕЗСЪДЪРЖАНИЕ СЪДЪРЖАНИЕ СЪССЪДЪРЖАНИЕ БЕЗ_РЕДАКТИРАНЕ_НА_РАЗДЕЛИ БЕЗГАЛЕРИЯ "
    "ВРЪЗКАЗАНОВРАЗДЕЛ БЕЗВРЪЗКАЗАНОВРАЗДЕЛ СКРИТАКАТЕГОРИЯ ИНДЕКСИРАНЕ БЕЗИНДЕКСИРАНЕ",
    "ca": "NOTAULA NORESUM TAULA RESUM FORÇATAULA FORÇARTAULA SECCIÓNOEDITABLE NOEDITARSECCIÓ "
    "SENSEGALERIA NOGALERIA INDEXA NOINDEXA CATEGORIAOCULTA",
    "cs": "BEZOBSAHU OBSAH VLOŽITOBSAH BEZEDITOVATČÁST BEZGALERIE LINKPŘIDATKOMENTÁŘ "
    "BEZLINKPŘIDATKOMENTÁŘ SKRÝTKAT SKRÝTKATEGORII INDEXOVAT NEINDEXOVAT",
    "da": "INGENINDHOLDSFORTEGNELSE INDHOLDSFORTEGNELSE INGEN_INDHOLDSFORTEGNELSE",
    "de": "KEIN_INHALTSVERZEICHNIS KEININHALTSVERZEICHNIS INHALTSVERZEICHNIS_ERZWINGEN "
    "INHALTSVERZEICHNIS ABSCHNITTE_NICHT_BEARBEITEN KEINE_GALERIE KEINEGALERIE "
    "NEUER_ABSCHNITTSLINK PLUS_LINK KEIN_NEUER_ABSCHNITTSLINK KEIN_PLUS_LINK "
    "VERSTECKTE_KATEGORIE WARTUNGSKATEGORIE INDEXIEREN INDIZIEREN NICHT_INDEXIEREN KEIN_INDEX "
    "NICHT_INDIZIEREN PERMANENTE_WEITERLEITUNG KEIN_INHALTSKONVERTIERER KEININHALTKONVERT "
    "KEIN_TITELKONVERTIERER KEINTITELKONVERT ERWARTE_UNBENUTZTE_KATEGORIE BEGRIFFSKLÄRUNG "
    "KEINKOPF KEIN_KOPF KEINHEADER KEIN_HEADER",
    "el": "ΧΩΡΙΣΠΠ ΑΝΑΓΚΑΣΤΙΚΟΣΠΠ ΠΠ ΧΩΡΙΣΕΠΕΞΕΝΟΤ ΧΩΡΙΣΠΙΝΑΚΟΘΗΚΗ",
    "es": "NOTDC SIN_TDC TDC FORZARTDC FORZAR_TDC NOEDITARSECCION NO_EDITAR_SECCION NOGALERIA "
    "NO_GALERIA VINCULARANUEVASECCION NOVINCULARANUEVASECCION CATEGORIAOCULTA INDEXAR "
    "NOINDEXAR NO_INDEXAR REDIRECCIONESTATICA DESAMBIGUACION",
    "fa": "بی‌فهرست بی_فهرست بافهرست با_فهرست فهرست بی‌بخش بی_بخش بی‌نگارخانه بی_نگارخانه "
    "بخش‌جدید بی‌پیوندبخش رده‌پنهان نمایه بی‌نمایه",
    "fi": "EISISLLUETTELOA EISISÄLLYSLUETTELOA SISÄLLYSLUETTELOPAKOTUS SISÄLLYSLUETTELO "
    "EIOSIOMUOKKAUSTA EIGALLERIAA PIILOLUOKKA HAKUKONEINDEKSOI EIHAKUKONEINDEKSOI "
    "UUSIOSIOLINKKI EIUUTTAOSIOLINKKIÄ",
    "fr": "AUCUNSOMMAIRE AUCUNETDM FORCERSOMMAIRE FORCERTDM SOMMAIRE TDM SECTIONNONEDITABLE "
    "SECTIONNONÉDITABLE AUCUNEGALERIE AUCUNENTETE LIENNOUVELLESECTION AUCUNLIENNOUVELLESECTION "
    "CATCACHEE CATCACHÉE AUCUNINDEX AUCUNECONVERSIONTITRE AUCUNECONVERSIONCONTENU "
    "REDIRECTIONSTATIQUE HOMONYMIE",
    "he": "ללא_תוכן_עניינים ללא_תוכן חייב_תוכן_עניינים חייב_תוכן תוכן_עניינים תוכן "
    "ללא_עריכה ללא_גלריה יצירת_הערה ללא_יצירת_הערה קטגוריה_מוסתרת לחיפוש לא_לחיפוש ללא_חיפוש",
    "hu": "NINCSTARTALOMJEGYZÉK NINCSTJ TARTALOMJEGYZÉK TJ LEGYENTARTALOMJEGYZÉK LEGYENTJ "
    "NINCSSZERKESZTÉS NINCSSZERK NINCSGALÉRIA NINCSGAL ÚJSZAKASZHIV NINCSÚJSZAKASZHIV REJTETTKAT "
    "KERESHETŐ NEMKERESHETŐ EGYÉRT",
    "id": "TANPADAFTARISI TANPADASI NIRDASI PAKSADAFTARISI PAKSADASI DAFTARISI DASI "
    "TANPASUNTINGANBAGIAN TANPAGALERI NIRGALERI KATEGORITERSEMBUNYI",
    "it": "NOINDICE FORZAINDICE INDICE NOSEZIONE NOGALLERIA NO_GALLERIA NOMODIFICASEZIONE "
    "NOEDITSEZIONE NUOVASEZIONE NONUOVASEZIONE CATEGORIANASCOSTA DISAMBIGUA",
    "ja": "目次非表示 目次強制 目次 ギャラリー非表示 節編集非表示 新しい節リンク "
    "新しい節リンク非表示 非表示カテゴリ カテゴリ非表示 インデックス インデックス拒否 "
    "曖昧さ回避",
    "ko": "목차없음 목차숨김 목차강제 목차보이기 목차 갤러리숨김 화랑숨기기 부분편집숨김 "
    "단락편집숨기기 새글쓰기 새글쓰기숨기기 숨은분류 색인 색인거부 동음이의",
    "nl": "GEENINHOUD GEEN_INHOUD FORCEERINHOUD INHOUD_DWINGEN FORCEER_INHOUD INHOUD "
    "NIETBEWERKBARESECTIE GEENGALERIJ GEEN_GALERIJ NIEUWESECTIEKOPPELING NIEUWESECTIELINK "
    "GEENNIEUWKOPJEKOPPELING VERBORGENCAT INDEXEREN NIETINDEXEREN",
    "no": "INGENINNHOLDSFORTEGNELSE INGENINNHOLDSLISTE TVINGINNHOLDSFORTEGNELSE "
    "TVINGINNHOLDSLISTE INNHOLDSFORTEGNELSE INNHOLDSLISTE INGENSEKSJONSREDIGERING "
    "INGENREDIGERINGSSEKSJON INTETGALLERI INGENGALLERI SKJULTKATEGORI",
    "pl": "BEZSPISU ZESPISEM WYMUŚSPIS SPIS BEZEDYCJISEKCJI BEZGALERII LINKNOWEJSEKCJI "
    "BEZLINKUNOWEJSEKCJI KATEGORIAUKRYTA INDEKSUJ NIEINDEKSUJ UJEDNOZNACZNIENIE",
    "pt": "SEMTDC SEMSUMARIO SEMSUMÁRIO FORCARTDC FORCARSUMARIO FORÇARTDC FORÇARSUMÁRIO TDC "
    "SUMARIO SUMÁRIO NAOEDITARSECAO NÃOEDITARSEÇÃO NÃOEDITARSECÇÃO SEMGALERIA LINKNOVASECAO "
    "SEMLINKNOVASECAO CATEGORIAOCULTA INDEXAR NAOINDEXAR NÃOINDEXAR DESAMBIG",
    "ro": "FARACUPRINS FĂRĂCUPRINS FORTEAZACUPRINS FORȚEAZĂCUPRINS CUPRINS FARAEDITSECTIUNE "
    "FĂRĂEDITSECȚIUNE FARAGALERIE FĂRĂGALERIE CATASCUNSA INDEXEAZA FARAINDEX",
    "ru": "БЕЗ_ОГЛАВЛЕНИЯ БЕЗ_ОГЛ ОБЯЗАТЕЛЬНОЕ_ОГЛАВЛЕНИЕ ОБЯЗ_ОГЛ ОГЛАВЛЕНИЕ ОГЛ БЕЗ_ГАЛЕРЕИ "
    "БЕЗ_РЕДАКТИРОВАНИЯ_РАЗДЕЛА БЕЗ_ЗАГОЛОВКА ССЫЛКА_НА_НОВЫЙ_РАЗДЕЛ "
    "БЕЗ_ССЫЛКИ_НА_НОВЫЙ_РАЗДЕЛ СКРЫТАЯ_КАТЕГОРИЯ ИНДЕКС БЕЗ_ИНДЕКСА "
    "СТАТИЧЕСКОЕ_ПЕРЕНАПРАВЛЕНИЕ НЕОДНОЗНАЧНОСТЬ",
    "sr": "БЕЗСАДРЖАЈА БЕЗ_САДРЖАЈА ФОРСИРАНИСАДРЖАЈ ФОРСИРАНИ_САДРЖАЈ САДРЖАЈ БЕЗ_ИЗМЕНА "
    "БЕЗИЗМЕНА БЕЗ_ГАЛЕРИЈЕ",
    "sv": "INGENINNEHÅLLSFÖRTECKNING ALLTIDINNEHÅLLSFÖRTECKNING INNEHÅLLSFÖRTECKNING "
    "INTEREDIGERASEKTION INGETGALLERI NYTTAVSNITTLÄNK INGENNYAVSNITTLÄNK DOLDKATEGORI INDEXERA "
    "INTEINDEXERA",
    "tr": "İÇİNDEKİLERYOK İÇİNDEKİLERZORUNLU İÇİNDEKİLER DEĞİŞTİRYOK DÜZENLEMEYOK GALERİYOK "
    "YENİBAŞLIKBAĞLANTISI YENİBAŞLIKBAĞLANTISIYOK GİZLİKAT DİZİN DİZİNYOK ENDEKS ENDEKSYOK",
    "uk": "БЕЗ_ЗМІСТУ ОБОВ_ЗМІСТ ЗМІСТ БЕЗ_ГАЛЕРЕЇ БЕЗ_РЕДАГУВ_РОЗДІЛУ "
    "ПОСИЛАННЯ_НА_НОВИЙ_РОЗДІЛ БЕЗ_ПОСИЛАННЯ_НА_НОВИЙ_РОЗДІЛ ПРИХОВ_КАТ ІНДЕКС БЕЗ_ІНДЕКСУ",
    "vi": "KHÔNGMỤCMỤC KHÔNG_MỤC_LỤC LUÔNMỤCLỤC LUÔN_MỤC_LỤC MỤCLỤC MỤC_LỤC KHÔNGSỬAMỤC "
    "KHÔNG_NÚT_SỬA_MỤC KHÔNG_ALBUM KHÔNGALBUM THỂLOẠIẨN THỂ_LOẠI_ẨN KHÔNG_CHỈ_MỤC",
    "zh": "无目录 無目錄 强显目录 強顯目錄 目录 目錄 无编辑段落 無編輯段落 无段落编辑 无图库 "
    "無圖庫 新段落链接 新段落鏈接 无新段落链接 隐藏分类 隱藏分類 索引 无索引 無索引 不转换标题 "
    "不轉換標題 不转换内容 不轉換內容 静态重定向 消歧义",
}
"""The words by the code of the language."""

_FALLBACKS = {
    "als": "de", "bar": "de", "nds": "de", "lb": "de", "ksh": "de", "gsw": "de", "be": "ru",
    "tt": "ru", "ba": "ru", "ce": "ru", "cv": "ru", "uk": "ru", "nb": "no", "nn": "no",
    "simple": "en", "br": "fr", "oc": "fr", "wa": "fr", "mg": "fr", "ast": "es", "an": "es",
    "gl": "pt", "fy": "nl", "li": "nl", "zh-yue": "zh", "yue": "zh", "wuu": "zh", "sh": "sr",
}  # fmt: skip
"""The language whose words a wiki understands besides its own."""


@functools.cache
def magic_words(language: str) -> "re.Pattern[str]":
    """Matches a behaviour switch as a wiki of this language understands it."""
    words: list[str] = []
    code: str | None = language
    while code is not None:
        words += _WORDS.get(code, "").split()
        code = _FALLBACKS.get(code)
    own = "|".join(sorted({re.escape(word) for word in words}, key=len, reverse=True))
    any_case = "|".join(_ANY_CASE.split() + ([own] if own else []))
    capitals = "|".join(_CAPITALS.split())
    return re.compile(f"__(?:(?i:{any_case})|{capitals})__")
