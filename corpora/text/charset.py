"""The text of a page from its bytes, by the evidence that a browser uses; no statistics.

The first of these that decodes without an error decides (WHATWG, with one rule before its own):

    byte order mark > valid UTF-8 with a character beyond ASCII > HTTP header
    > XML declaration or <meta> > ASCII > windows-1252

Valid UTF-8 beats the headers because it is next to impossible by chance. Labels are read by the
WHATWG table, in which iso-8859-1 and ascii mean windows-1252. A <meta> counts anywhere before the
body: an eighth of real news pages have theirs behind the 1,024 bytes in which a browser looks
first.

If no evidence decodes cleanly, a page with at most 0.1 % of replacement characters is kept, as
UTF-8 only if more of its characters beyond ASCII are whole than broken. A page without a usable
declaration is windows-1252 if its bytes above 127 stand alone, as those of Latin letters do. Any
other page is refused, since text in an unknown charset is noise.
"""

import codecs
import re
from dataclasses import dataclass

MAX_REPLACED = 0.001
"""A page with a larger share of replacement characters is refused."""

_PRESCAN_BYTES = 1024

_META_BYTES = 1 << 16

_BODY = re.compile(rb"<body[\s>]", re.IGNORECASE)

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

_CODECS: dict[str, str] = {}
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

_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)

_META = re.compile(rb"""<meta\s[^>]*?charset\s*=\s*["']?\s*([^\s"'/>;]+)""", re.IGNORECASE)

_XML = re.compile(rb"""^\s*<\?xml\s[^>]*?encoding\s*=\s*["']([^"'>]+)["']""", re.IGNORECASE)

_HEADER = re.compile(r"""charset\s*=\s*["']?\s*([^\s"';,]+)""", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A decoded page. `evidence`: what decided, one of bom, utf-8, header, meta, ascii, fallback.
    `replaced`: how many U+FFFD stand for broken bytes."""

    text: str
    charset: str
    evidence: str
    replaced: int = 0


def _undefined_as_control(error: UnicodeError) -> tuple[str, int]:
    """Decode the bytes 80..9f that a Windows code page leaves undefined as the control characters
    of the same number, as browsers do."""
    if isinstance(error, UnicodeDecodeError):
        bad = error.object[error.start : error.end]
        if all(0x80 <= byte <= 0x9F for byte in bad):
            return bad.decode("latin-1"), error.end
    raise error


codecs.register_error("corpusmill.c1", _undefined_as_control)


def codec_of(label: str) -> str | None:
    """Python's codec for a label of the web; None for a label without a meaning (`none`, `utf8mb4`)
    and for an unsafe charset (`utf-7`)."""
    return _CODECS.get(label.strip().lower())


def decode_page(content: bytes, content_type: str = "", *, cut: bool = False) -> Text | None:
    """The text of a page; None if its charset cannot be told.

    `content_type`: the HTTP header. `cut`: the end of the page is missing, so its last character
    may be incomplete.
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
        _decode_cleanly(content, declared)
        or _decode_with_replacements(content, declared)
        or _decode_latin(content)
    )


def _decode_ascii(content: bytes, declared: list[tuple[str, str]]) -> Text:
    """A page of ASCII bytes. UTF-16 without a mark may be one, and so may iso-2022-jp."""
    for evidence, codec in declared:
        if codec in _ASCII_BYTES:
            text = _strict(content, codec)
            if text is not None:
                return Text(text=text, charset=codec, evidence=evidence)
    return Text(text=content.decode("ascii"), charset="utf-8", evidence="ascii")


def _decode_cleanly(content: bytes, declared: list[tuple[str, str]]) -> Text | None:
    for evidence, codec in [("utf-8", "utf-8"), *declared]:
        text = _strict(content, codec)
        if text is not None:
            return Text(text=text, charset=codec, evidence=evidence)
    return None


def _decode_with_replacements(content: bytes, declared: list[tuple[str, str]]) -> Text | None:
    for evidence, codec in [*declared, ("fallback", "utf-8")]:
        text = content.decode(codec, "replace")
        replaced = text.count("\ufffd")
        beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
        # A Latin page with few letters beyond ASCII passes the limit as UTF-8, and would lose
        # every one of them.
        if codec == "utf-8" and 2 * replaced >= beyond_ascii:
            continue
        if replaced <= MAX_REPLACED * len(text):
            return Text(text=text, charset=codec, evidence=evidence, replaced=replaced)
    return None


def _decode_latin(content: bytes) -> Text | None:
    runs = _HIGH_RUNS.findall(content)
    if sum(map(len, runs)) > _MAX_MEAN_RUN * len(runs):
        return None
    text = content.decode("cp1252", "corpusmill.c1")
    return Text(text=text, charset="cp1252", evidence="fallback")


def _strict(content: bytes, codec: str) -> str | None:
    """The text, or None if a byte does not fit. UTF-16 without a mark is believed only if it holds
    the `<` of a page."""
    windows = codec.startswith("cp12") or codec == "cp874"
    try:
        text = content.decode(codec, "corpusmill.c1" if windows else "strict")
    except UnicodeDecodeError:
        return None
    if codec.startswith("utf-16") and "<" not in text[:_PRESCAN_BYTES]:
        return None
    return text


def _declarations(content: bytes, content_type: str) -> list[tuple[str, str]]:
    """(evidence, codec) of each declaration that names a known charset, the strongest first."""
    declared = []
    header = _HEADER.search(content_type)
    codec = codec_of(header[1]) if header else None
    if codec:
        declared.append(("header", codec))

    start = _COMMENT.sub(b"", content[:_PRESCAN_BYTES])
    if not _XML.search(start) and not _META.search(start):
        start = _BODY.split(_COMMENT.sub(b"", content[:_META_BYTES]), maxsplit=1)[0]
    for pattern in (_XML, _META):
        match = pattern.search(start)
        codec = codec_of(match[1].decode("latin-1")) if match else None
        if codec:
            # A declaration that can be read byte by byte is not in UTF-16, whatever it says.
            declared.append(("meta", "utf-8" if codec.startswith("utf-16") else codec))
    return declared


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
