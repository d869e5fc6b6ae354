"""Least and most characters a word of sound texts, by language.

Gopher's 3 to 10 were made for English. A Korean word between spaces has some three syllables, a
Malayalam one ten code points. The figures are those that FineWeb-2 measured on Wikipedia and the
web in each language, and filters by: `min_avg_word_length` and `max_avg_word_length` of its
`configs/*.yml` (github huggingface/fineweb-2; arXiv 2506.20920, section 4).
"""

from typing import TYPE_CHECKING

from corpora.text.language_codes import language_code

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OF_ENGLISH = (3.0, 10.0)
"""Gopher's figures (arXiv 2112.11446, table A1), which count wherever no other are known."""

_FIGURES = """
af:3-11 am:1-24 ar:2-9 az:3-13 be:3-11 bg:3-10 bn:3-24 bs:1-16 ca:2-11 ceb:3-11 cs:3-11 cy:3-9
da:3-11 de:0-15 el:3-11 eo:3-12 es:3-14 et:3-13 eu:4-11 fa:2-9 fi:3-14 fr:2-11 fy:2-11 ga:2-11
gd:2-12 gl:1-10 gu:3-22 ha:3-11 he:2-9 hi:2-21 hr:2-11 ht:2-20 hu:3-15 hy:4-11 id:3-12 ig:2-11
is:2-13 it:3-21 ka:3-13 kk:3-12 kn:3-67 ko:1-6 ku:2-10 ky:4-12 la:3-11 lb:1-16 lt:3-12 lv:2-13
mg:2-10 mi:2-9 mk:2-10 ml:4-37 mn:2-11 mr:2-35 ms:3-11 mt:3-13 ne:3-37 nl:3-17 no:3-12 ny:1-19
or:3-30 pa:2-19 pl:3-12 ps:2-21 pt:3-13 ro:1-14 ru:3-11 sd:2-50 si:2-58 sk:2-11 sl:2-12 sn:3-20
so:2-74 sq:1-14 sr:3-10 st:3-19 su:2-9 sv:3-12 sw:3-9 ta:4-37 te:4-68 tg:3-11 tl:3-12 tr:3-21
tt:3-11 ug:2-15 uk:3-11 ur:2-31 uz:3-13 vi:3-11 yi:2-14 yo:1-12 zu:3-13
"""

_PAIRS = [entry.partition(":") for entry in _FIGURES.split()]

_PLACES = {code: place for place, (code, _, _) in enumerate(_PAIRS, 1)}


def place_of(language: str | None) -> int:
    """The row of a language in `figures`; 0, that of English, where none is known."""
    if language is None:
        return 0
    return _PLACES.get(language_code(language) or "", 0)


def figures() -> "NDArray[np.float64]":
    """(languages, 2) the least and the most characters a word."""
    import numpy as np

    rows = [OF_ENGLISH, *(tuple(map(float, span.split("-"))) for _, _, span in _PAIRS)]
    return np.array(rows, np.float64)
