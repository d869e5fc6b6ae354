"""The headings of sections that hold references, links and notes, in lower case, by language."""

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
        other sources; online sources; external sources; external references; web links; weblinks
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
        použitá literatura; další literatura; poznámky pod čarou; citace; prameny; související
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
        quellenverzeichnis; literaturverzeichnis; referenzen; externe links; weiterführende links
    """,
    "el": """
        παραπομπές; πηγές; εξωτερικοί σύνδεσμοι; δείτε επίσης; βλέπε επίσης; βιβλιογραφία;
        σημειώσεις; υποσημειώσεις; αναφορές; περαιτέρω ανάγνωση; δείτε ακόμη; βλ. επίσης
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
        atsauces; skotīs taipat; vīs taipoš; nūruodis; olūti; uorejuos saitys; ārējās saites
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
}


def _headings() -> tuple[str, ...]:
    found: dict[str, None] = {}
    for text in _HEADINGS.values():
        for heading in text.split(";"):
            found.setdefault(" ".join(heading.split()))
    return tuple(found)


CUT_SECTIONS = _headings()
"""Headings whose sections are removed: those of the English Wikipedia (corpora reference, 5.3) and
their equivalents in other languages."""
