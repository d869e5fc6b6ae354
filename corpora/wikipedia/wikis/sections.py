"""The headings of sections that hold references, links and notes, in lower case, by language."""

import unicodedata

_HEADINGS = {
    "en": """
        references; external links; external link; see also; further reading; notes; bibliography;
        sources; citations; footnotes; works cited; general references;
        general and cited references;
        general sources; general and cited sources; cited references; cited works; cited sources;
        works referenced; references cited; literature cited; sources cited; reference list;
        primary sources; secondary sources; tertiary sources; endnotes; end notes; footnote;
        selected bibliography; select bibliography; general bibliography; annotated bibliography;
        explanatory notes; explanatory footnotes; informational notes; reference notes;
        inline citations; in-line citations; additional references; other references;
        additional reading; suggested reading; recommended reading; additional sources;
        other sources; online sources; external sources; external references; web links; weblinks;
        further readings
    """,
    "ar": """
        مراجع; المراجع; مصادر; المصادر; وصلات خارجية; روابط خارجية; انظر أيضًا; انظر أيضا;
        أنظر أيضا; اقرأ أيضا; طالع أيضا; هوامش; الهوامش; ملاحظات; حواشي; ببليوغرافيا;
        قراءات إضافية; للاستزادة; المصادر والمراجع; مراجع ومصادر;
        هوامش ومراجع; ملاحظات ومراجع; مصادر ومراجع
    """,
    "bg": """
        източници; външни препратки; вижте също; бележки; литература; бележки и източници;
        цитирани източници; препратки; допълнителна литература
    """,
    "ca": """
        referències; bibliografia; enllaços externs; vegeu també; notes; fonts;
        notes a peu de pàgina;
        bibliografia addicional; per a més informació; bibliografia complementària
    """,
    "cs": """
        reference; poznámky; literatura; související články; externí odkazy; zdroje;
        použitá literatura; další literatura; poznámky pod čarou; citace; prameny; související;
        odkazy
    """,
    "da": """
        referencer; noter; kilder; litteratur; se også; eksterne henvisninger; eksterne links;
        eksterne kilder; fodnoter; bibliografi; kildehenvisninger; videre læsning; henvisninger;
        eksterne kilder/henvisninger
    """,
    "de": """
        einzelnachweise; weblinks; literatur; siehe auch; quellen; anmerkungen; fußnoten; nachweise;
        belege; quellenangaben; einzelbelege; fussnoten; literaturhinweise;
        weiterführende literatur;
        quellenverzeichnis; literaturverzeichnis; referenzen; externe links; weiterführende links;
        quellnachweis; quellnachweise; quellennachweis; quellennachweise
    """,
    "el": """
        παραπομπές; πηγές; εξωτερικοί σύνδεσμοι; δείτε επίσης; βλέπε επίσης; βιβλιογραφία;
        σημειώσεις; υποσημειώσεις; αναφορές; περαιτέρω ανάγνωση; δείτε ακόμη; βλ. επίσης; βλέπε και
    """,
    "es": """
        referencias; enlaces externos; véase también; bibliografía; notas; fuentes; notas al pie;
        bibliografía adicional; lecturas adicionales; lectura adicional; citas; vínculos externos;
        referencias bibliográficas; notas y referencias; otras lecturas; notas a pie de página
    """,
    "fa": """
        منابع; پانویس; پیوند به بیرون; جستارهای وابسته; یادداشت‌ها; پانویس‌ها; منبع; پی‌نوشت;
        پی‌نوشت‌ها; کتاب‌شناسی; نگاه کنید به; برای مطالعه بیشتر; پیوندهای بیرونی; یادداشت;
        همچنین ببینید
    """,
    "fi": """
        lähteet; aiheesta muualla; katso myös; kirjallisuutta; viitteet; alaviitteet; lähde; viite;
        huomautukset; kirjallisuus; muita lähteitä; lisätietoja; ulkoiset linkit; verkkolähteet
    """,
    "fr": """
        notes et références; références; liens externes; lien externe; voir aussi; bibliographie;
        articles connexes; article connexe; notes; notes de bas de page; sources;
        références bibliographiques; ouvrages cités; bibliographie indicative; liens internes;
        pour approfondir; lectures complémentaires; notes et sources; source
    """,
    "he": """
        הערות שוליים; קישורים חיצוניים; ראו גם; לקריאה נוספת; מקורות; הערות; ביבליוגרפיה;
        ביאורים; ראה גם
    """,
    "hu": """
        jegyzetek; források; forrás; további információk; külső hivatkozások; lásd még; irodalom;
        lábjegyzetek; hivatkozások; lábjegyzet; megjegyzések; kapcsolódó szócikkek; bibliográfia;
        felhasznált irodalom; további irodalom; kapcsolódó cikkek; ajánlott irodalom; jegyzet
    """,
    "id": """
        referensi; pranala luar; lihat pula; lihat juga; catatan; catatan kaki; daftar pustaka;
        bacaan lanjutan; bacaan lebih lanjut; bibliografi; rujukan; sumber; pustaka; kepustakaan;
        bacaan;
        pautan luar; tautan luar; kutipan
    """,
    "it": """
        bibliografia; voci correlate; altri progetti; collegamenti esterni; note; fonti;
        riferimenti; riferimenti bibliografici; annotazioni; note al testo
    """,
    "ja": """
        脚注; 外部リンク; 関連項目; 参考文献; 出典; 注釈; 注; 参考資料; 関連書籍; 関連文献; 参照;
        註釈; 脚註; 参考; 外部サイト; 典拠; 引用; 資料; 文献; 備考と出典; 参考書籍
    """,
    "ko": """
        각주; 외부 링크; 같이 보기; 참고 문헌; 참고문헌; 주해; 출처; 참고 자료; 참고자료; 바깥 고리;
        주석; 내용주; 참조주; 인용; 더 읽어보기; 외부링크; 같이보기; 함께 보기; 참조; 각주 및 참고 문헌
    """,
    "ltg": """
        atsauces; skotīs taipat; vīs taipoš; nūruodis; olūti; uorejuos saitys; ārējās saites;
        verīs taipoš; uorejuos nūruodis; nūruodis i olūti; teiklavītys
    """,
    "lv": """
        atsauces; skatīt arī; ārējās saites; piezīmes; literatūra; avoti; piezīmes un atsauces
    """,
    "nl": """
        bronnen; externe links; externe link; zie ook; literatuur; referenties; noten; voetnoten;
        bronvermelding; bronnen, noten en/of referenties; noten en referenties; bibliografie;
        verder lezen; externe bronnen; verwijzingen; geraadpleegde bronnen; literatuurlijst
    """,
    "no": """
        referanser; eksterne lenker; se også; litteratur; kilder; noter; fotnoter;
        kilder/referanser;
        bibliografi; lenker; videre lesing; kjelder; referansar; bakgrunnsstoff;
        eksterne lenkjer; sjå òg; fotnotar; litteratur og kilder
    """,
    "pl": """
        przypisy; linki zewnętrzne; zobacz też; bibliografia; uwagi; literatura; źródła;
        zobacz także; literatura uzupełniająca; literatura dodatkowa; odnośniki
    """,
    "pt": """
        referências; ligações externas; ver também; bibliografia; notas; fontes; notas de rodapé;
        notas e referências; referências bibliográficas; leitura adicional; leituras adicionais;
        links externos; ligação externa; veja também; leitura complementar; bibliografia adicional
    """,
    "ro": """
        note; referințe; bibliografie; legături externe; vezi și; note de subsol; surse;
        lectură suplimentară; lecturi suplimentare; note bibliografice; referinţe; legături externe;
        vezi şi; resurse externe; bibliografie suplimentară; note explicative
    """,
    "ru": """
        примечания; литература; ссылки; см. также; источники; сноски; комментарии и примечания;
        использованная литература; библиография; внешние ссылки; смотри также; смотрите также;
        список литературы; рекомендуемая литература; дополнительная литература
    """,
    "sr": """
        референце; напомене; литература; спољашње везе; види још; извори; фусноте; белешке;
        библиографија; додатна литература; reference; napomene; literatura; spoljašnje veze;
        vidi još; izvori; vanjske veze; vanjske poveznice; bilješke; također pogledajte
    """,
    "sk": "referencie; poznámky; iné projekty; externé odkazy; pozri aj; zdroje; zdroj",
    "sl": "sklici; viri; opombe; zunanje povezave; glej tudi; opombe in sklici; nadaljnje branje",
    "sv": """
        referenser; externa länkar; se även; källor; noter; litteratur; fotnoter; vidare läsning;
        tryckta källor; webbkällor; anmärkningar; källförteckning; bibliografi; källhänvisningar;
        övriga källor; otryckta källor
    """,
    "tr": """
        kaynakça; kaynaklar; dış bağlantılar; ayrıca bakınız; notlar; dipnotlar; bibliyografya;
        konuyla ilgili yayınlar; bakınız; referanslar; kaynak; ek okuma; ileri okuma;
        konuyla ilgili okumalar; dış kaynaklar; harici bağlantılar; dipnot
    """,
    "uk": """
        примітки; посилання; джерела; література; див. також; виноски; зноски; джерела та примітки;
        список літератури; дивись також; дивіться також; бібліографія; додаткова література
    """,
    "vi": """
        tham khảo; liên kết ngoài; xem thêm; chú thích; ghi chú; thư mục; nguồn; nguồn tham khảo;
        đọc thêm; tài liệu tham khảo; chú giải; tham chiếu; nguồn thứ cấp;
        nguồn dẫn
    """,
    "zh": """
        参考资料; 外部链接; 参见; 參見; 外部連結; 參考資料; 参考文献; 參考文獻; 注释; 註釋; 註解;
        注解; 脚注; 腳註; 腳注; 参看; 參看; 相关条目; 相關條目; 延伸阅读; 延伸閱讀; 扩展阅读;
        參考來源; 参考来源; 资料来源; 資料來源; 备注; 備註; 外部鏈接; 引用; 参考; 參考; 参考书目;
        參考書目; 来源; 來源; 注脚; 註腳; 参照; 外部链結; 參考; 书目; 書目; 伸延閱讀
    """,
    # the smaller Wikipedias
    "af": """
        verwysings; eksterne skakels; sien ook; bronne; bronnelys; notas; verdere leeswerk;
        literatuur
    """,
    "als": "fuessnote; weblink; websyte; lueg au; quelle; bileg; einzelnachwiis",
    "as": "তথ্যসূত্ৰ; তথ্য সংগ্ৰহ; বাহ্যিক সংযোগ; লগতে চাওক",
    "ast": "ver tamién; enllaces esternos; referencies; fontes",
    "az": """
        istinadlar; xarici keçidlər; həmçinin bax; ədəbiyyat; mənbə; mənbələr; qeydlər;
        xarici linklər; biblioqrafiya; əlavə ədəbiyyat
    """,
    "azb": "قایناقلار; قایناق; ائشیک باغلانتیلار; اتک‌یازی; همچنین باخ",
    "ba": "иҫкәрмәләр; әҙәбиәт; һылтанмалар; шулай уҡ ҡарағыҙ; сығанаҡтар",
    "bar": "beleg; literatua; schaug aa; im netz; fuaßnotn",
    "be": """
        крыніцы; зноскі; літаратура; спасылкі; гл. таксама; гл. яшчэ; заўвагі;
        заўвагі і крыніцы; вонкавыя спасылкі; глядзіце таксама; глядзі таксама; глядзіце яшчэ;
        бібліяграфія
    """,
    "bn": """
        তথ্যসূত্র; তথ্যসূত্রসমূহ; বহিঃসংযোগ; আরও দেখুন; আরো দেখুন; পাদটীকা; টীকা; আরও পড়ুন;
        আরো পড়ুন; গ্রন্থপঞ্জি; গ্রন্থপঞ্জী; উৎস; তথ্য সূত্র; তথ্যসুত্র; বহি:সংযোগ; বহিসংযোগ;
        বহিঃ সংযোগ; সহায়ক গ্রন্থ; আরও পঠন; অতিরিক্ত পাঠ; আরও পড়া; উদ্ধৃত গ্রন্থ; গ্রন্থসূত্র
    """,
    "br": "daveoù; liammoù diavaez; gwelet ivez; levrlennadur; notennoù; mammennoù; pennadoù kar",
    "bs": "vanjski linkovi; također pogledaj; fusnote; dodatna literatura",
    "ceb": """
        ang mga gi basihan niini; ang mga gi basihan; mga reperensya; mga sumpay ha gawas;
        mga kasarigan
    """,
    "ckb": "سەرچاوەکان; بەستەرە دەرەکییەکان; ئەمانەش ببینە; پەراوێزەکان; تێبینی",
    "cv": "вуламалли; вуламаллисем; каҫӑсем; каçăсем; асăрхавсем",
    "cy": """
        cyfeiriadau; dolenni allanol; dolen allanol; gweler hefyd; ffynonellau; llyfryddiaeth;
        nodiadau; darllen pellach
    """,
    "eo": """
        referencoj; eksteraj ligiloj; ekstera ligilo; vidu ankaŭ; literaturo; fontoj; notoj;
        bibliografio; piednotoj
    """,
    "et": "viited; välislingid; välislink; vaata ka; kirjandus; märkused; allikad; bibliograafia",
    "eu": """
        erreferentziak; kanpo estekak; ikus, gainera; ikus gainera; oharrak; iturriak;
        kanpo loturak
    """,
    "fo": "ávísingar úteftir; keldur; sí eisini; slóðir úteftir; tilvísingar; slóðir",
    "fy": """
        boarnen, noaten en referinsjes; boarnen, noaten en/as referinsjes; keppelings om utens;
        keppeling om utens; sjoch ek; boarnen; referinsjes; noaten
    """,
    "ga": """
        tagairtí; naisc sheachtracha; nasc seachtrach; féach freisin; nótaí; foinsí;
        leabharliosta
    """,
    "gd": "iomraidhean; ceanglaichean a-muigh; tobraichean; faic cuideachd; ceanglaichean",
    "gl": "véxase tamén; ligazóns externas; ligazón externa; outros artigos",
    "gu": """
        સંદર્ભ; સંદર્ભો; બાહ્ય કડીઓ; બાહ્ય કડી; આ પણ જુઓ; નોંધ; નોંધો; વધુ વાંચન; સંદર્ભ ગ્રંથો
    """,
    "hi": """
        सन्दर्भ; संदर्भ; बाहरी कड़ियाँ; बाहरी कड़ियां; बाहरी कड़ी; बाह्य सूत्र; बाहरी लिंक;
        इन्हें भी देखें; यह भी देखें; ये भी देखें; यह भी देखिए; टिप्पणी; टिप्पणियाँ; टिप्पणियां;
        सन्दर्भ ग्रन्थ; संदर्भ ग्रंथ; स्रोत; ग्रन्थसूची; ग्रंथसूची; सन्दर्भ सूची; संदर्भ सूची;
        पादटिप्पणी; आगे पढ़ें; अतिरिक्त पठन; आगे पढ़ने के लिए
    """,
    "hr": "povezani članci; poveznice; bilješke i literatura",
    "hsb": "žórła; eksterne wotkazy; nóžki; hlej tež; wotkazy",
    "hy": """
        ծանոթագրություններ; ծանոթագրություն; արտաքին հղումներ; տես նաև; տե՛ս նաև; գրականություն;
        աղբյուրներ; աղբյուր; նշումներ; հղումներ; մատենագիտություն; գրականության ցանկ;
        օգտագործված գրականություն; այլ աղբյուրներ; լրացուցիչ գրականություն
    """,
    "is": """
        tilvísanir; heimildir; heimild; tengt efni; tenglar; tengill; ítarefni;
        frekari fróðleikur; neðanmálsgreinar
    """,
    "ka": """
        სქოლიო; ლიტერატურა; რესურსები ინტერნეტში; იხილეთ აგრეთვე; იხილეთ ასევე; იხ. აგრეთვე;
        წყაროები; შენიშვნები; გარე ბმულები; ბმულები
    """,
    "kk": """
        дереккөздер; дереккөз; сыртқы сілтемелер; тағы қараңыз; тағы қара; әдебиет;
        пайдаланылған әдебиеттер; сілтемелер; ескертпелер; ескертулер
    """,
    "kn": """
        ಉಲ್ಲೇಖಗಳು; ಉಲ್ಲೇಖ; ಬಾಹ್ಯ ಕೊಂಡಿಗಳು; ಹೊರಗಿನ ಸಂಪರ್ಕಗಳು; ಹೊರಗಿನ ಕೊಂಡಿಗಳು; ಇವನ್ನೂ ನೋಡಿ;
        ಬಾಹ್ಯ ಸಂಪರ್ಕಗಳು; ಆಕರಗಳು; ಟಿಪ್ಪಣಿಗಳು
    """,
    "ky": """
        колдонулган адабияттар; пайдаланылган адабияттар; шилтемелер; булактар;
        тышкы шилтемелер; дагы кара; адабият
    """,
    "la": """
        notae; nexus externi; nexus externus; nexus interni; vide etiam; bibliographia; fontes;
        plura legere si cupis
    """,
    "lb": """
        literatur; um spaweck; kuckt och; kuckt och am; referenzen an notten;
        kuckeswäertes um spaweck
    """,
    "lt": """
        šaltiniai; nuorodos; taip pat skaitykite; taip pat žiūrėkite; literatūra; išnašos;
        pastabos; išorinės nuorodos
    """,
    "mk": """
        наводи; надворешни врски; поврзано; белешки; користена литература; видете исто така;
        види исто така; поврзани теми; дополнителна литература; референци; фусноти
    """,
    "ml": """
        അവലംബം; അവലംബങ്ങൾ; പുറത്തേക്കുള്ള കണ്ണികൾ; പുറമെ നിന്നുള്ള കണ്ണികൾ; പുറം കണ്ണികൾ;
        ഇതും കാണുക; കുറിപ്പുകൾ; ഗ്രന്ഥസൂചി; കൂടുതൽ വായനക്ക്; പരാമർശങ്ങൾ
    """,
    "mn": """
        зүүлт тайлбар; цахим холбоос; эшлэл; ном зүй; гадаад холбоос; мөн үзэх; эх сурвалж;
        холбоос; ашигласан материал
    """,
    "mr": """
        बाह्य दुवे; बाह्यदुवे; बाह्य दुवा; हे सुद्धा पहा; हेसुद्धा पहा; हे देखील पहा; हेही पहा;
        हे ही पहा; हे पण पहा; संदर्भ आणि नोंदी; संदर्भ व नोंदी; संदर्भसूची; संदर्भ यादी;
        संदर्भयादी; तळटीपा; तळटीप; संदर्भग्रंथ; टिपा; टीपा; अधिक वाचन
    """,
    "ms": "rujukan; pautan luar; pautan luaran; nota; nota kaki; bacaan lanjut; bacaan lanjutan",
    "my": "ကိုးကား; ကိုးကားချက်များ; ကိုးကားချက်; ပြင်ပလင့်ခ်များ; ပြင်ပ လင့်များ; မှတ်စု",
    "nds": "weblenken; footnoten; kiek ok; websteed",
    "ne": """
        सन्दर्भ सामग्री; सन्दर्भ सामग्रीहरू; बाह्य कडीहरू; यो पनि हेर्नुहोस्; यी पनि हेर्नुहोस्;
        सन्दर्भहरू; टिप्पणीहरू; बाह्य लिङ्कहरू; स्रोतहरू
    """,
    "oc": "referéncias; ligams extèrnes; ligam extèrne; vejatz tanben; veire tanben; nòtas",
    "or": "ଆଧାର; ବାହାର ଲିଙ୍କ; ଆହୁରି ଦେଖନ୍ତୁ; ବାହାର ତଥ୍ୟ; ଟୀକା",
    "pa": "ਹਵਾਲੇ; ਬਾਹਰੀ ਲਿੰਕ; ਬਾਹਰਲੇ ਲਿੰਕ; ਇਹ ਵੀ ਦੇਖੋ; ਇਹ ਵੀ ਵੇਖੋ; ਬਾਹਰੀ ਕੜੀਆਂ; ਸਰੋਤ",
    "pnb": "ہور ویکھو; اتہ پتہ; حوالے; بارلے جوڑ; باہرلے جوڑ",
    "sco": "fremmit airtins; see an aa; external airtins; see forby",
    "sh": "povezano; eksterni linkovi",
    "si": "මූලාශ්‍ර; බාහිර සබැඳි; බාහිර සබැඳුම්; මේවාත් බලන්න; මෙයද බලන්න; සටහන්",
    "sq": """
        referime; referimet; lidhje të jashtme; shiko edhe; shiko edhe këtë; shih edhe; burime;
        burimet; burim i të dhënave; shënime; lexime të mëtejshme
    """,
    "sw": """
        marejeo; viungo vya nje; tazama pia; angalia pia; tanbihi; vyanzo; jisomee; marejeleo;
        soma zaidi
    """,
    "ta": """
        மேற்கோள்கள்; வெளி இணைப்புகள்; வெளியிணைப்புகள்; வெளி இணைப்பு; இவற்றையும் பார்க்கவும்;
        இவற்றையும் பார்க்க; இதனையும் பார்க்கவும்; இதையும் பார்க்க; உசாத்துணை; உசாத்துணைகள்;
        குறிப்புகள்; அடிக்குறிப்புகள்; மேலும் படிக்க; மேற்கோள்களும் குறிப்புகளும்; ஆதாரங்கள்;
        சான்றுகள்; நூல்பட்டியல்; மேலும் பார்க்க
    """,
    "te": """
        మూలాలు; బయటి లింకులు; బయటిలింకులు; బయటి లంకెలు; బాహ్య లంకెలు; ఇవి కూడా చూడండి;
        ఇవికూడా చూడండి; మూలాలు, వనరులు; నోట్స్; గమనికలు; ఆధారాలు; గ్రంథసూచి
    """,
    "tg": """
        эзоҳ; адабиёт; нигаред; нигаред ҳамчунин; сарчашма; сарчашмаҳо; пайвандҳо;
        пайвандҳои беруна; пайнавишт
    """,
    "th": """
        อ้างอิง; แหล่งข้อมูลอื่น; ดูเพิ่ม; ดูเพิ่มเติม; เชิงอรรถ; หมายเหตุ; บรรณานุกรม;
        หนังสืออ่านเพิ่มเติม; รายการอ้างอิง; แหล่งอ้างอิง; อ่านเพิ่ม; อ่านเพิ่มเติม;
        เชิงอรรถและอ้างอิง; หมายเหตุและอ้างอิง; เอกสารอ้างอิง
    """,
    "tl": """
        mga sanggunian; sanggunian; mga kawing panlabas; mga panlabas na kawing;
        panlabas na kawing; kawing panlabas; tingnan din; talababa; mga talababa;
        talasanggunian; bibliyograpiya
    """,
    "tt": """
        искәрмәләр; чыганаклар; сылтамалар; моны да карагыз; әдәбият; шулай ук карагыз;
        тышкы сылтамалар
    """,
    "ur": """
        حوالہ جات; حوالہ; بیرونی روابط; خارجی روابط; مزید دیکھیے; مزید دیکھیں; نیز دیکھیے;
        نیز دیکھیں; حواشی; مآخذ; ماخذ; کتابیات; مزید پڑھیے; مزید مطالعہ
    """,
    "uz": """
        manbalar; havolalar; adabiyotlar; adabiyot; yana qarang; shuningdek qarang; izohlar;
        tashqi havolalar; eslatmalar
    """,
    "vec": "altri projeti; cołegamenti foresti; voxe corełae",
    "vo": "yüms plödik; logolös i; noets",
    "war": "kitaa liwat; mga pinanbasaran",
    "yi": "רעפערענצן; וועבלינקען; זעט אויך; דרויסנדיקע לינקען; ביבליאגראפיע; קוועלער",
}


def _headings() -> tuple[str, ...]:
    found: dict[str, None] = {}
    for text in _HEADINGS.values():
        for heading in text.split(";"):
            found.setdefault(unicodedata.normalize("NFC", " ".join(heading.split())))
    return tuple(found)


CUT_SECTIONS = _headings()
"""Headings whose sections are removed: those of the English Wikipedia (corpora reference, 5.3) and
their equivalents in other languages."""
