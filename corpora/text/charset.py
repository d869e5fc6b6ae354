"""The text of a page from its bytes, by the evidence that a browser uses; no statistics.

The first of these that decodes without an error decides (WHATWG, with two rules before its own):

    byte order mark > valid UTF-8 with a character beyond ASCII > HTTP header
    > XML declaration or <meta> > ISO-2022-JP by its escapes > ASCII
    > the encoding that pages of the language, or of the country of the address, had > windows-1252

Valid UTF-8 beats the headers because it is next to impossible by chance. So is nearly valid UTF-8:
a page with four whole characters for each broken one is UTF-8, and one that is declared as UTF-8
with one for one. Labels are read by the WHATWG table, in which iso-8859-1 and ascii mean
windows-1252, and bytes by its decoders (corpora.text.whatwg). A <meta> counts anywhere before the
body: an eighth of real news pages have theirs behind the 1,024 bytes in which a browser looks
first.

If no evidence decodes cleanly, a declared encoding is taken if at most 0.1 % of the characters, or
3 % of those beyond ASCII, are broken. A page without a usable declaration is windows-1252 if its
bytes above 127 stand alone, as those of Latin letters do, and do not put signs into words. Any
other page is refused, since text in an unknown charset is noise; so are HZ, UTF-7 and ISO-2022-KR,
of which a browser shows nothing.
"""

import binascii
import codecs
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from corpora.text import whatwg

MAX_REPLACED = 0.001
"""A declared encoding with a larger share of replacement characters is not believed, ..."""

MAX_REPLACED_BEYOND_ASCII = 0.03
"""... if they are also a larger share of the characters beyond ASCII."""

_WHOLE_FOR_BROKEN = 4
"""Whole characters of UTF-8 for each broken one, by which a page is UTF-8 whatever it declares."""

_PRESCAN_BYTES = 1024

_HEAD_BYTES = 1 << 20
"""Bytes in which a declaration is looked for: scripts may stand before it."""

_TAG_BYTES = 4096
"""Bytes of the longest tag that is read as a declaration."""

_HIGH_RUNS = re.compile(rb"[\x80-\xff]+")

# Letters beyond ASCII are rare in Latin script, so their bytes form runs of one, now and then two.
_MAX_MEAN_RUN = 1.6

# Python's codec, then the labels that mean it: https://encoding.spec.whatwg.org/#names-and-labels
_TABLE = """
utf-8: utf-8 utf8 unicode-1-1-utf-8 unicode11utf8 unicode20utf8 x-unicode20utf8
utf-16-le: utf-16 utf-16le csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff
utf-16-be: utf-16be unicodefffe
cp866: 866 cp866 csibm866 ibm866
iso8859-2: csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2
iso8859-3: csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3
iso8859-4: csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4
iso8859-5: csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988
iso8859-6: arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987
iso8859-7: csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7 iso_8859-7:1987 sun_eu_greek
iso8859-8: csiso88598e csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-ir-138 iso8859-8 iso88598 iso_8859-8 iso_8859-8:1988 visual csiso88598i iso-8859-8-i logical
iso8859-10: csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6
iso8859-13: iso-8859-13 iso8859-13 iso885913
iso8859-14: iso-8859-14 iso8859-14 iso885914
iso8859-15: csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9
iso8859-16: iso-8859-16
koi8-r: cskoi8r koi koi8 koi8-r koi8_r
koi8-u: koi8-ru koi8-u
mac-roman: csmacintosh mac macintosh x-mac-roman
cp874: dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874
cp1250: cp1250 windows-1250 x-cp1250
cp1251: cp1251 windows-1251 x-cp1251
cp1252: ansi_x3.4-1968 ascii cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987 l1 latin1 us-ascii windows-1252 x-cp1252 x-user-defined
cp1253: cp1253 windows-1253 x-cp1253
cp1254: cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5 windows-1254 x-cp1254
cp1255: cp1255 windows-1255 x-cp1255
cp1256: cp1256 windows-1256 x-cp1256
cp1257: cp1257 windows-1257 x-cp1257
cp1258: cp1258 windows-1258 x-cp1258
mac-cyrillic: x-mac-cyrillic x-mac-ukrainian
gb18030: chinese csgb2312 csiso58gb231280 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk gb18030
big5hkscs: big5 big5-hkscs cn-big5 csbig5 x-x-big5
euc_jp: cseucpkdfmtjapanese euc-jp x-euc-jp
iso2022_jp: csiso2022jp iso-2022-jp
cp932: csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis
cp949: cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949
"""

_NO_TEXT = "replacement"
"""Encodings of seven bits of which a browser shows nothing, or which it does not know."""

_CODECS: dict[str, str] = dict.fromkeys(
    """
    csiso2022kr hz-gb-2312 iso-2022-cn iso-2022-cn-ext iso-2022-kr replacement hz
    utf-7 utf7 unicode-1-1-utf-7 csunicode11utf7 x-utf-7
    """.split(),
    _NO_TEXT,
)
for _line in _TABLE.strip().splitlines():
    _codec, _, _labels = _line.partition(": ")
    _CODECS |= dict.fromkeys(_labels.split(), _codec)

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_ASCII_BYTES = ("iso2022_jp", "utf-16-le", "utf-16-be")
"""Codecs whose encoded text may consist of ASCII bytes alone."""

_XML = re.compile(
    rb"""\s{0,100}<\?xml\s[^>]{0,500}?encoding\s{0,9}=\s{0,9}["']([^"'>]{1,100})["']""",
    re.IGNORECASE,
)

_NOTED_TAG = re.compile(rb"<!--|<body[\s>]|<(meta|script|style|title|noscript|textarea)[\s/>]")
"""What the search for a declaration stops at, in lower case."""

_ATTRIBUTE = re.compile(
    rb"""([^\s=/>"']{1,100})\s{0,9}=\s{0,9}("[^"]{0,1000}"|'[^']{0,1000}'|[^\s>"']{1,1000})"""
)

_LANGUAGE = re.compile(
    rb"""<html[^>]{0,500}?\slang\s{0,9}=\s{0,9}["']?([a-z]{2,3})""", re.IGNORECASE
)

_JIS = "iso2022_jp"

_JIS_ESCAPE = re.compile(rb"\x1b(?:\$[@B]|\([JI])")

_OTHER_ESCAPE = re.compile(rb"\x1b\$\)[ACEG]|\x1b\$\*H")
"""The designations of ISO-2022-KR and ISO-2022-CN."""

_HZ_RUN = re.compile(rb"~\{([!-}]{2,})~\}")

_UTF7_RUN = re.compile(rb"\+([A-Za-z0-9+/]{3,4000})-?")

_TAGS_AND_SCRIPTS = re.compile(rb"<[^<>]*>")

_FEW_RUNS, _MANY_RUNS = 1, 5
"""Runs of HZ or UTF-7 by which a page is in it, where it says so and where it does not."""

_SURROGATES = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")

_CUT_CHARACTER = re.compile(
    rb"[\xe1-\xef][\x80-\xbf](?![\x80-\xbf])|[\xf0-\xf4][\x80-\xbf]{1,2}(?![\x80-\xbf])"
    rb"|[\xc2\xc3](?![\x80-\xbf])"
)
"""The beginning of a character of UTF-8 whose rest is missing."""

_SIGN_IN_WORD = re.compile(rb"[A-Za-z][\xa1-\xac\xae-\xb6\xb8-\xbf\xd7\xf7](?=[A-Za-z])")

_LATIN_2 = ("cp1250",)

_BY_LANGUAGE = {
    **dict.fromkeys(("pl", "cs", "sk", "hu", "sl", "hr", "bs", "ro", "sq"), _LATIN_2),
    **dict.fromkeys(("ru", "bg", "uk", "be", "sr", "mk", "kk", "ky"), ("cp1251",)),
    "el": ("cp1253",),
    "tr": ("cp1254",),
    "az": ("cp1254",),
    "he": ("cp1255",),
    "ar": ("cp1256",),
    "fa": ("cp1256",),
    "ur": ("cp1256",),
    "lt": ("cp1257",),
    "lv": ("cp1257",),
    "et": ("cp1257",),
    "vi": ("cp1258",),
    "th": ("cp874",),
    "ja": ("euc_jp", "cp932"),
    "ko": ("cp949",),
}
"""The encodings of undeclared pages by `<html lang>`, the stricter first."""

_BY_COUNTRY = {
    **dict.fromkeys(("pl", "cz", "sk", "hu", "si", "hr", "ba", "ro", "al"), _LATIN_2),
    **dict.fromkeys(("ru", "su", "bg", "ua", "by", "rs", "mk", "kz", "kg"), ("cp1251",)),
    "gr": ("cp1253",),
    "tr": ("cp1254",),
    "il": ("cp1255",),
    **dict.fromkeys(("sa", "eg", "ae", "jo", "kw", "sy", "iq", "ye", "ir", "pk"), ("cp1256",)),
    "lt": ("cp1257",),
    "lv": ("cp1257",),
    "ee": ("cp1257",),
    "vn": ("cp1258",),
    "th": ("cp874",),
    "jp": ("euc_jp", "cp932"),
    "kr": ("cp949",),
    "cn": ("gb18030",),
    "tw": ("big5hkscs",),
    "hk": ("big5hkscs",),
}
"""The same by the last part of the host, where the page names no language."""

_HEADER = re.compile(r"""charset\s*=\s*["']?\s*([^\s"';,]+)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A decoded page. `evidence`: what decided, one of bom, utf-8, header, meta,
    escapes (of ISO-2022-JP), ascii, place (the language or country) and fallback. `replaced`: how
    many U+FFFD stand for broken bytes."""

    text: str
    charset: str
    evidence: str
    replaced: int = 0


def codec_of(label: str) -> str | None:
    """Python's codec for a label of the web; None for a label without a meaning (`none`, `utf8mb4`)
    and for a charset that is never text (`utf-7`)."""
    codec = _meaning(label)
    return None if codec == _NO_TEXT else codec


def _meaning(label: str) -> str | None:
    """The codec of a label, `_NO_TEXT`, or None."""
    return _CODECS.get(label.strip().lower())


def decode_page(
    content: bytes, content_type: str = "", *, cut: bool = False, url: str | None = None
) -> Text | None:
    """The text of a page; None if its charset cannot be told.

    `content_type`: the HTTP header. `cut`: the end of the page is missing, so its last character
    may be incomplete. `url` names the country where nothing else tells the charset.
    """
    for mark, codec in _MARKS:
        if content.startswith(mark):
            text = content[len(mark) :].decode(codec, "replace")
            return Text(text=text, charset=codec, evidence="bom", replaced=text.count("\ufffd"))

    if cut:
        content = _without_partial_character(content)
    declared = _declarations(content, content_type)
    if content.isascii():
        return _decode_ascii(content, declared)
    return (
        _decode_cleanly(content, [("utf-8", "utf-8")])
        or _decode_nearly_utf8(content, declared)
        or _decode_cleanly(content, declared)
        or _decode_with_replacements(content, declared)
        or _decode_rarely_broken_utf8(content)
        or _decode_by_place(content, url)
        or _decode_latin(content)
    )


def _decode_ascii(content: bytes, declared: list[tuple[str, str]]) -> Text | None:
    """A page of ASCII bytes. UTF-16 without a mark may be one, and so may iso-2022-jp."""
    for evidence, codec in declared:
        if codec in _ASCII_BYTES:
            text = _strict(content, codec)
            if text is not None:
                return Text(text=text, charset=codec, evidence=evidence)

    # The one encoding that browsers guess: its escapes mean nothing else. One broken character
    # spoils no page.
    if _JIS_ESCAPE.search(content):
        text, broken = whatwg.decode(content, _JIS)
        if broken <= MAX_REPLACED_BEYOND_ASCII * _beyond_ascii(text):
            evidence = next((word for word, codec in declared if codec == _JIS), "escapes")
            return Text(text=text, charset=_JIS, evidence=evidence, replaced=broken)
    if _is_seven_bit(content, declared):
        return None
    return Text(text=content.decode("ascii"), charset="utf-8", evidence="ascii")


def _is_seven_bit(content: bytes, declared: list[tuple[str, str]]) -> bool:
    """Whether a page of ASCII bytes is in HZ, UTF-7, ISO-2022-KR or ISO-2022-CN."""
    if _OTHER_ESCAPE.search(content) or _JIS_ESCAPE.search(content):
        return True

    names = [codec for _, codec in declared]
    least = _FEW_RUNS if _NO_TEXT in names else _MANY_RUNS
    hz = sum(len(run[1]) % 2 == 0 for run in _HZ_RUN.finditer(content))
    if hz >= least:
        return True
    words = _TAGS_AND_SCRIPTS.sub(b" ", content) if b"+" in content else b""
    return sum(_is_utf7(run[1]) for run in _UTF7_RUN.finditer(words)) >= least


def _is_utf7(run: bytes) -> bool:
    """Whether a run of letters between `+` and `-` is UTF-16 in base 64, of letters beyond
    ASCII."""
    raw = run + b"=" * (-len(run) % 4)
    try:
        text = binascii.a2b_base64(raw)
        decoded = text[: len(text) // 2 * 2].decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        return False
    if not decoded or min(decoded) < "\xa0":
        return False
    # Of chance bytes the characters are of all kinds.
    return len({ord(character) >> 12 for character in decoded}) <= 1 + len(decoded) // 8


def _decode_cleanly(content: bytes, declared: list[tuple[str, str]]) -> Text | None:
    for evidence, codec in declared:
        text = _strict(content, codec)
        if text is not None:
            return Text(text=text, charset=codec, evidence=evidence)
    return None


def _decode_nearly_utf8(content: bytes, declared: list[tuple[str, str]]) -> Text | None:
    """UTF-8 with some broken bytes, such as a character that was cut in its middle."""
    # Java and old MySQL write an emoji as two surrogates of three bytes each.
    content = _SURROGATES.sub(_joined_surrogates, content)
    text = content.decode("utf-8", "replace")
    broken = text.count("\ufffd") - content.count(b"\xef\xbf\xbd")
    whole = _beyond_ascii(text) - broken
    evidence = next((word for word, codec in declared if codec == "utf-8"), "")
    if evidence and not whole:
        # Of cut characters at least two bytes are left, or the first one of an accented letter.
        cut = len(_CUT_CHARACTER.findall(content))
        whole = broken if 2 * cut >= broken else 0
    if whole < broken * (1 if evidence else _WHOLE_FOR_BROKEN) or not whole:
        return None
    return Text(
        text=text, charset="utf-8", evidence=evidence or "utf-8", replaced=text.count("\ufffd")
    )


def _decode_rarely_broken_utf8(content: bytes) -> Text | None:
    """UTF-8 that nothing declares, with few broken characters in a page of few beyond ASCII."""
    text = content.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if broken > MAX_REPLACED * len(text) or 2 * broken >= _beyond_ascii(text):
        return None
    return Text(text=text, charset="utf-8", evidence="fallback", replaced=broken)


def _joined_surrogates(match: "re.Match[bytes]") -> bytes:
    pair = match[0].decode("utf-8", "surrogatepass")
    return pair.encode("utf-16-le", "surrogatepass").decode("utf-16-le").encode()


def _beyond_ascii(text: str) -> int:
    return len(text) - len(text.encode("ascii", "ignore"))


def _decode_with_replacements(content: bytes, declared: list[tuple[str, str]]) -> Text | None:
    for evidence, codec in declared:
        if not whatwg.knows(codec):
            continue
        text, replaced = whatwg.decode(content, codec)
        beyond_ascii = _beyond_ascii(text)
        most = max(MAX_REPLACED * len(text), MAX_REPLACED_BEYOND_ASCII * beyond_ascii)
        if replaced <= most and 2 * replaced < beyond_ascii:
            return Text(text=text, charset=codec, evidence=evidence, replaced=replaced)
    return None


def _decode_by_place(content: bytes, url: str | None) -> Text | None:
    """The first encoding, of those that pages of a language or a country had, that has a character
    for each byte; as browsers choose it for a page without a declaration."""
    language = _LANGUAGE.search(content, 0, _PRESCAN_BYTES)
    try:
        country = (urlsplit(url or "").hostname or "").rpartition(".")[2]
    except ValueError:
        country = ""

    codecs_of_place = _BY_LANGUAGE.get(language[1].decode("ascii").lower(), ()) if language else ()
    for codec in codecs_of_place or _BY_COUNTRY.get(country, ()):
        text = _strict(content, codec)
        if text is not None:
            return Text(text=text, charset=codec, evidence="place")
    return None


def _decode_latin(content: bytes) -> Text | None:
    runs = _HIGH_RUNS.findall(content)
    size = sum(map(len, runs))
    if size > _MAX_MEAN_RUN * len(runs):
        return None
    # Letters of Central Europe are signs in windows-1252: they would stand inside of words.
    if 10 * len(_SIGN_IN_WORD.findall(content)) > size:
        return None
    text, _ = whatwg.decode(content, "cp1252")
    return Text(text=text, charset="cp1252", evidence="fallback")


def _strict(content: bytes, codec: str) -> str | None:
    """The text, or None if a byte does not fit. UTF-16 without a mark is believed only if it holds
    the `<` of a page."""
    if codec == _NO_TEXT:
        return None
    if whatwg.knows(codec):
        text, broken = whatwg.decode(content, codec)
        return None if broken else text
    try:
        text = content.decode(codec)
    except UnicodeDecodeError:
        return None
    if codec.startswith("utf-16") and "<" not in text[:_PRESCAN_BYTES]:
        return None
    return text


def _declarations(content: bytes, content_type: str) -> list[tuple[str, str]]:
    """(evidence, codec) of each declaration that names a known charset, the strongest first."""
    declared = []
    header = _HEADER.search(content_type)
    codec = _meaning(header[1]) if header else None
    if codec:
        declared.append(("header", codec))

    xml = _XML.match(content, 0, _PRESCAN_BYTES)
    codec = _meaning(xml[1].decode("latin-1")) if xml else None
    if codec is None:
        codec = _codec_in_meta(content)
    if codec:
        # A declaration that can be read byte by byte is not in UTF-16, whatever it says.
        declared.append(("meta", "utf-8" if codec.startswith("utf-16") else codec))
    return declared


def _codec_in_meta(content: bytes) -> str | None:
    """The codec of the first <meta> that names a known charset, before the body.

    One walk from tag to tag, which steps over comments and the insides of scripts, styles and
    titles: the time is linear in the page, however many of them are never closed.
    """
    head = content[:_HEAD_BYTES]
    lower = head.lower()
    at = 0
    while True:
        tag = _NOTED_TAG.search(lower, at)
        if tag is None or tag[0].startswith(b"<body"):
            return None

        if tag[0] == b"<!--":
            # `<!-->` is a whole comment.
            end = lower.find(b"-->", tag.start() + 2)
            at = end + 3
        elif tag[1] == b"meta":
            end = lower.find(b">", tag.end())
            stop = end if 0 <= end < tag.end() + _TAG_BYTES else tag.end() + _TAG_BYTES
            codec = _codec_of_tag(head[tag.end() : stop])
            if codec:
                return codec
            at = end + 1
        else:
            end = lower.find(b"</" + tag[1], tag.end())
            at = end + 2
        if end < 0:
            return None  # whatever follows is inside of it


def _codec_of_tag(attributes: bytes) -> str | None:
    """The codec that the attributes of a <meta> name."""
    found: dict[bytes, bytes] = {}
    for match in _ATTRIBUTE.finditer(attributes):
        found.setdefault(match[1].lower(), match[2].strip(b"\"'"))

    label = found.get(b"charset")
    if label is None and found.get(b"http-equiv", b"").lower() == b"content-type":
        named = _HEADER.search(found.get(b"content", b"").decode("latin-1"))
        return _meaning(named[1]) if named else None
    return _meaning(label.decode("latin-1")) if label else None


def _without_partial_character(content: bytes) -> bytes:
    """The content without the first bytes of a UTF-8 character whose rest is missing."""
    for back in range(1, min(3, len(content)) + 1):
        byte = content[-back]
        if byte >= 0xC0:
            return content[:-back] if back < _utf8_length(byte) else content
        if byte < 0x80:
            return content
    return content


def _utf8_length(lead: int) -> int:
    """The bytes of a character by its first one, which is 0xC0 or above."""
    if lead < 0xE0:
        return 2
    return 3 if lead < 0xF0 else 4
