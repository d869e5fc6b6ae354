"""No character is lost: a text of each script, in each encoding of the web that has it, comes out
of a page as it went in, but for white space; whatever Unicode the interpreter knows."""

import random
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from realdata import ROOT

from corpora.text import charset, whatwg
from corpora.text.normalise import normalise
from corpora.text.whatwg_names import SINGLE
from corpora.web.extract import extract_page
from corpora.web.page import Page, PageSettings

# Letters of each script of Unicode that has a block of its own, by first and last code point; all
# are assigned as of Unicode 15.
SCRIPTS = {
    "latin": (0x61, 0x7A),
    "latin extended": (0x100, 0x17E),
    "greek": (0x3B1, 0x3C9),
    "cyrillic": (0x430, 0x44F),
    "armenian": (0x561, 0x586),
    "hebrew": (0x5D0, 0x5EA),
    "arabic": (0x627, 0x63A),
    "syriac": (0x712, 0x72F),
    "thaana": (0x780, 0x7A5),
    "nko": (0x7CA, 0x7EA),
    "devanagari": (0x905, 0x939),
    "bengali": (0x995, 0x9A8),
    "gurmukhi": (0xA15, 0xA28),
    "gujarati": (0xA95, 0xAA8),
    "oriya": (0xB15, 0xB28),
    "tamil": (0xBAE, 0xBB9),
    "telugu": (0xC15, 0xC28),
    "kannada": (0xC95, 0xCA8),
    "malayalam": (0xD15, 0xD39),
    "sinhala": (0xD9A, 0xDB1),
    "thai": (0xE01, 0xE2E),
    "lao": (0xE94, 0xEA3),
    "tibetan": (0xF40, 0xF42),
    "burmese": (0x1000, 0x1020),
    "georgian": (0x10D0, 0x10F0),
    "hangul": (0xAC00, 0xD7A3),
    "ethiopic": (0x1200, 0x1246),
    "cherokee": (0x13A0, 0x13F5),
    "canadian": (0x1401, 0x1500),
    "runic": (0x16A0, 0x16EA),
    "khmer": (0x1780, 0x17A2),
    "mongolian": (0x1820, 0x1842),
    "kana": (0x3042, 0x3093),
    "bopomofo": (0x3105, 0x3129),
    "han": (0x4E00, 0x9FA5),
    "yi": (0xA000, 0xA48C),
    "vai": (0xA500, 0xA60B),
    "javanese": (0xA984, 0xA9B2),
    "gothic": (0x10330, 0x10340),
    "adlam": (0x1E922, 0x1E943),
    "emoji": (0x1F600, 0x1F64F),
    "emoji of Unicode 15": (0x1FA75, 0x1FA77),
    "han of Unicode 15": (0x31350, 0x323AF),
    "kawi, of Unicode 15": (0x11F04, 0x11F10),
    "unassigned": (0x1FBFA, 0x1FBFF),
}

LABELS = {
    "utf-8": "utf-8",
    "big5hkscs": "big5",
    "cp949": "euc-kr",
    "cp932": "shift_jis",
    "euc_jp": "euc-jp",
    "gb18030": "gb18030",
    "iso2022_jp": "iso-2022-jp",
    **SINGLE,
}


def words_of(characters: list[str], seed: int) -> str:
    """Sentences of such letters, long enough for a page."""
    draw = random.Random(seed)
    lines = []
    for _ in range(3):
        words = ["".join(draw.choices(characters, k=6)) for _ in range(14)]
        lines.append(" ".join(words) + ".")
    return "\n".join(lines)


def page_of(text: str, label: str) -> str:
    paragraphs = "".join(f"<p>{line}</p>\n" for line in text.split("\n"))
    return (
        f'<!DOCTYPE html><html><head><meta charset="{label}"><title>x</title></head>'
        f"<body><article>{paragraphs}</article></body></html>"
    )


def text_from(content: bytes) -> str:
    outcome = extract_page(content, settings=PageSettings(min_characters=1))
    assert isinstance(outcome, Page), outcome
    return normalise(outcome.text)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_comes_out_as_it_went_in(script: str) -> None:
    first, last = SCRIPTS[script]
    characters = [chr(code) for code in range(first, last + 1)]
    text = words_of(characters, first)
    assert text_from(page_of(text, "utf-8").encode()).split() == normalise(text).split()


def letters_of(codec: str) -> list[str]:
    """The letters beyond ASCII of an encoding of one byte a character."""
    text, _ = whatwg.decode(bytes(range(0xA0, 0x100)), codec)
    return [char for char in text if re.match(r"\w", char) and char not in "\xaa\xb2\xb3\xb9\xba"]


@pytest.mark.parametrize("codec", sorted(SINGLE))
def test_every_charset_of_one_byte(codec: str) -> None:
    """Its own letters, declared by <meta>."""
    table = {whatwg.decode(bytes((byte,)), codec)[0]: byte for byte in range(255, -1, -1)}
    text = words_of(letters_of(codec), 7)
    stored = bytes(table[char] for char in page_of(text, SINGLE[codec]))
    assert text_from(stored).split() == normalise(text).split()


@pytest.mark.parametrize(
    ("codec", "first", "last"),
    [
        ("big5hkscs", 0x4E00, 0x9FA5),
        ("cp949", 0xAC00, 0xD7A3),
        ("cp932", 0x3042, 0x3093),
        ("cp932", 0x4E00, 0x9FA5),
        ("euc_jp", 0x4E00, 0x9FA5),
        ("euc_jp", 0x30A2, 0x30F3),
        ("gb18030", 0x4E00, 0x9FA5),
        ("gb18030", 0x20000, 0x2A6D6),
        ("gb18030", 0x905, 0x939),
        ("iso2022_jp", 0x4E00, 0x9FA5),
        ("utf-16-le", 0x4E00, 0x9FA5),
    ],
)
def test_every_charset_of_several_bytes(codec: str, first: int, last: int) -> None:
    draw = random.Random(first)
    characters = []
    while len(characters) < 200:
        char = chr(draw.randint(first, last))
        if char.encode(codec, "ignore").decode(codec) == char:
            characters.append(char)
    text = words_of(characters, 1)
    mark = b"\xff\xfe" if codec == "utf-16-le" else b""
    stored = mark + page_of(text, LABELS.get(codec, codec)).encode(codec)
    assert text_from(stored).split() == normalise(text).split()


@given(st.lists(st.sampled_from(sorted(SCRIPTS)), min_size=2, max_size=5), st.integers(0, 999))
def test_scripts_beside_each_other(names: list[str], seed: int) -> None:
    characters = [chr(code) for name in names for code in range(*SCRIPTS[name])][:5000]
    text = words_of(characters, seed)
    assert text_from(page_of(text, "utf-8").encode()).split() == normalise(text).split()


@pytest.mark.parametrize(
    "text",
    [
        "\u0622\u0646\u200c\u0647\u0627 \u0645\u06cc\u200c\u0631\u0648\u0646\u062f",  # Persian
        "\u0d2a\u0d3e\u0d32\u0d4d\u200d \u0d05\u0d35\u0d30\u0d4d\u200d",  # Malayalam
        "\u0dbd\u0d82\u0d9a\u0dcf \u0dc1\u0dca\u200d\u0dbb\u0dd3",  # Sinhala
        "\U0001f468\u200d\U0001f373 \U0001f3f3\ufe0f\u200d\u26a7\ufe0f",  # emoji of several
        "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f",  # Wales
    ],
)
@pytest.mark.parametrize("accelerated", [True, False])
@pytest.mark.parametrize("extraction", ["cascade", "fast", "default"])
def test_joiners_stay(text: str, accelerated: bool, extraction: str) -> None:
    line = " ".join([text] * 30)
    settings = PageSettings(min_characters=1, accelerated=accelerated, extraction=extraction)
    outcome = extract_page(page_of(line, "utf-8").encode(), settings=settings)
    assert isinstance(outcome, Page) and normalise(outcome.text) == normalise(line)


def test_no_step_asks_what_the_interpreter_can_print() -> None:
    """The same text where `isprintable` knows nothing beyond ASCII, as a Python of an older Unicode
    knows less."""
    script = """
import sys
from trafilatura import utils
utils.return_printables_and_spaces = lambda char: char if char < "\\x7f" else ""
from corpora.web.extract import extract_page
from corpora.web.page import PageSettings
page = extract_page(sys.stdin.buffer.read(), settings=PageSettings(min_characters=1))
sys.stdout.buffer.write(page.text.encode())
"""
    text = words_of([chr(code) for code in range(0x1FA70, 0x1FAF8)], 3)
    content = page_of(text, "utf-8").encode()
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, input=content, capture_output=True, check=True, cwd=ROOT)
    assert done.stdout.decode().split() == text.split()


TABLES = re.compile(
    r"\.is(?:printable|alpha|alnum|digit|decimal|numeric|upper|lower|title|identifier)\("
    r"|str\.is(?!space)\w+|unicodedata\.(?!unidata_version)"
)

# Files that may ask the interpreter's tables, and why its Unicode cannot change a byte of output.
ALLOWED = {
    "corpora/text/unicode_table.py": "writes the frozen table",
    "corpora/text/language.py": "asks what langdetect asks, whose answers must not change",
    "corpora/text/pii.py": "digits of patterns that are ASCII",
    "corpora/web/warc.py": "asks bytes, which are ASCII",
}


def test_what_reads_a_page_has_tables_of_its_own() -> None:
    found = {}
    for folder in ("text", "web"):
        for path in sorted((ROOT / "corpora" / folder).glob("*.py")):
            source = path.read_text("utf-8")
            asked = TABLES.findall(source)
            if asked:
                found[f"corpora/{folder}/{path.name}"] = asked
    assert set(found) <= set(ALLOWED), found


def test_labels_are_known() -> None:
    assert {charset.codec_of(label) for label in LABELS.values() if label} >= set(SINGLE)
