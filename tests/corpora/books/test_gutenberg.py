"""Project Gutenberg's markers in every generation: all of the boilerplate goes, and nothing else.
Rows 45 and 46 of the list of defects."""

import tarfile
from typing import Any

import pytest
from realdata import data_file

from corpora.books.gutenberg import declared_charset, strip

BODY = "\n".join(
    f"Line {number} of a book that is long enough to be one, and says nothing of anything."
    for number in range(400)
)
LICENCE = "\n".join(
    ["Updated editions will replace the previous one.", *["Section 1. General Terms of Use"] * 80]
)

# characters of the raw text (CRLF as LF, no mark), of the book; its first line and its last; title,
# author, number, markers
RAW: dict[str, tuple[Any, ...]] = {
    "2160-0.txt": (
        869533,
        850125,
        "THE EXPEDITION OF HUMPHRY CLINKER",
        "FINIS.",
        "The Expedition of Humphry Clinker",
        "Tobias Smollett",
        2160,
        "pair",
    ),
    "pg11.txt": (
        164015,
        144601,
        "[Illustration]",
        "THE END",
        "Alice’s Adventures in Wonderland",
        "Lewis Carroll",
        11,
        "pair",
    ),
    "pg11_alice30_1994.txt": (
        159334,
        148542,
        "ALICE'S ADVENTURES IN WONDERLAND",
        "THE END",
        "Alice in Wonderland",
        None,
        11,
        "small_print",
    ),
    "pg1342.txt": (
        748038,
        728736,
        "[Illustration:",
        "TOOKS COURT, CHANCERY LANE, LONDON.",
        "Pride and prejudice",
        "Jane Austen",
        1342,
        "pair",
    ),
    "pg1342_2025.txt": (
        747631,
        728741,
        "[Illustration:",
        "TOOKS COURT, CHANCERY LANE, LONDON.",
        "Pride and Prejudice",
        "Jane Austen",
        1342,
        "pair",
    ),
    "pg16389.txt": (
        457724,
        438524,
        "[Illustration]",
        "smell the acacias.",
        "The Enchanted April",
        "Elizabeth Von Arnim",
        16389,
        "pair",
    ),
    "pg174.txt": (
        448544,
        429310,
        "The Picture of Dorian Gray",
        "THE END",
        "The Picture of Dorian Gray",
        "Oscar Wilde",
        174,
        "pair",
    ),
    "pg19068.txt": (
        484993,
        465344,
        "HOUSEHOLD STORIES",
        '--"Father, let me go for once into the forest to cut wood;[added "]',
        "Household Stories by the Brothers Grimm",
        "Jacob Grimm and Wilhelm Grimm",
        19068,
        "pair",
    ),
    "pg2542.txt": (
        161401,
        142223,
        "A Doll’s House",
        "_[The sound of a door shutting is heard from below.]_",
        "A Doll’s House",
        "Henrik Ibsen",
        2542,
        "pair",
    ),
    "pg26184_2025.txt": (
        72971,
        54148,
        "[Illustration]",
        "(k) Do not cooperate in salvage schemes.",
        "Simple Sabotage Field Manual",
        "United States. Office of Strategic Services",
        26184,
        "pair",
    ),
    "pg394.txt": (
        408613,
        389409,
        "[Picture: “Oh, sir! can you be Peter?”]",
        "EDINBURGH",
        "Cranford",
        "Elizabeth Cleghorn Gaskell",
        394,
        "pair",
    ),
    "pg46.txt": (
        177632,
        158414,
        "A CHRISTMAS CAROL",
        "observed, God bless Us, Every One!",
        "A Christmas Carol A Ghost Story of Christmas",
        "Charles Dickens",
        46,
        "pair",
    ),
    "pg64317.txt": (
        289900,
        270604,
        "The Great Gatsby",
        "the past.",
        "The Great Gatsby",
        "F. Scott Fitzgerald",
        64317,
        "pair",
    ),
    "pg84.txt": (
        438670,
        419335,
        "Frankenstein;",
        "lost in darkness and distance.",
        "Frankenstein or, The Modern Prometheus",
        "Mary Wollstonecraft Shelley",
        84,
        "pair",
    ),
    "pg84_2025.txt": (
        438286,
        419336,
        "Frankenstein;",
        "lost in darkness and distance.",
        "Frankenstein; Or, The Modern Prometheus",
        "Mary Wollstonecraft Shelley",
        84,
        "pair",
    ),
}


@pytest.fixture(scope="module")
def raw() -> dict[str, str]:
    archive = data_file("books/gutenberg_raw.tar.xz")
    if archive is None:
        pytest.skip("no test data: books/gutenberg_raw.tar.xz")
    found = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            if content is not None:
                found[member.name.rpartition("/")[2]] = (
                    content.read().decode("utf-8-sig").replace("\r\n", "\n")
                )
    return found


@pytest.mark.parametrize("name", RAW)
def test_the_raw_files_lose_the_boilerplate_and_nothing_else(
    name: str, raw: dict[str, str]
) -> None:
    assert len(raw) == len(RAW) == 15
    size, left, first, last, title, author, number, markers = RAW[name]
    book = strip(raw[name])
    lines = [line.strip() for line in book.text.split("\n") if line.strip()]
    assert (len(raw[name]), len(book.text), lines[0], lines[-1]) == (size, left, first, last)
    assert (book.title, book.author, book.number, book.markers) == (title, author, number, markers)
    assert book.language == (None if markers == "small_print" else "en")
    assert book.text in raw[name]  # one piece, as it was
    assert "gutenberg" not in book.text.lower() and "electronic work" not in book.text


def test_the_transcribers_own_notes_stay(raw: dict[str, str]) -> None:
    assert "Transcriber's Notes:" in strip(raw["pg19068.txt"]).text


def header(marker: str = "*** START OF THE PROJECT GUTENBERG EBOOK X ***", credit: str = "") -> str:
    return f"The Project Gutenberg eBook of X, by Y\n\nTitle: X\n\nAuthor: Y\n\nLanguage: German\n\n{marker}\n\n{credit}\n\n\n"


END = "\n\n*** END OF THE PROJECT GUTENBERG EBOOK X ***\n\n"


@pytest.mark.parametrize(
    "marker",
    [
        "*** START OF THE PROJECT GUTENBERG EBOOK X ***",
        "*** START OF THIS PROJECT GUTENBERG EBOOK X ***",
        "***START OF THE PROJECT GUTENBERG EBOOK X***",
        "*** START OF THE PROJECT GUTENBERG EBOOK A VERY LONG TITLE THAT GOES ON\nAND ON IN A SECOND LINE ***",
        "*** START OF THE PROJECT GUTENBERG EBOOK, X ***",
        "*** START OF THIS PROJECT GUTENBERG ETEXT 12345",
    ],
)
def test_every_spelling_of_the_start(marker: str) -> None:
    book = strip(header(marker) + BODY + END + LICENCE)
    assert book.text == BODY and book.language == "de" and book.markers == "pair"


def test_a_body_line_that_begins_as_a_credit_stays() -> None:
    """Row 45: the stripper in use elsewhere deletes all text before it, or behind `by Project
    Gutenberg`."""
    lines = BODY.split("\n")
    lines[200] = "Produced by the sweat of his brow, it was his."
    lines[210] = "by Project Gutenberg, he said; and"
    lines[211] = "End of the Project Gutenberg lectures, he thought."
    body = "\n".join(lines)
    assert strip(header() + body + END + LICENCE).text == body
    assert strip(body).text == body and strip(body).markers is None
    assert (
        strip("Produced by Frohman at the Empire Theatre.\n\n" + body).text
        == "Produced by Frohman at the Empire Theatre.\n\n" + body
    )


@pytest.mark.parametrize(
    "credit",
    [
        "Produced by A. Person and the Online\nDistributed Proofreading Team at http://www.pgdp.net",
        "E-text prepared by A. Person (person@example.org)",
        "Transcribed from the 1892 edition by A. Person, email a@example.org",
        "Produced by A. Person\n\n\n[Transcriber's Note: spelling is kept.]\n\n\nProduced by B. Person",
    ],
)
def test_credits_behind_the_start_go(credit: str) -> None:
    assert strip(header(credit=credit) + BODY + END + LICENCE).text == BODY


@pytest.mark.parametrize(
    "kept",
    [
        "THE TITLE\n\nProduced by Frohman at the Empire Theatre",
        "[Transcriber's Note: spelling is kept.]",
        "Prepared by the Council for its members",
        "[Illustration]",
    ],
)
def test_what_is_no_credit_stays(kept: str) -> None:
    assert strip(header(credit=kept) + BODY + END + LICENCE).text == kept + "\n\n\n" + BODY


def test_a_short_work_loses_its_licence() -> None:
    """Row 46: works of less than 100 lines kept it."""
    assert (
        strip(header() + "A poem\nof two lines" + END + LICENCE * 3).text == "A poem\nof two lines"
    )
    assert strip(header() + END + LICENCE).text == ""


def test_the_first_start_and_the_last_end_count() -> None:
    body = (
        BODY
        + "\n*** END OF THE PROJECT GUTENBERG EBOOK X ***, it said.\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\nmore"
    )
    assert strip(header() + body + END + LICENCE).text == body


OLD = "***This is the Project Gutenberg Etext of X***\n\nMarch, 1994  [Etext #11]\n\n***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***\n"
OLD_END = "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\n\n"


def test_the_small_print_of_the_nineties_goes_even_from_a_short_work() -> None:
    book = strip(
        OLD
        + "lawyers\n" * 150
        + OLD_END
        + "A poem\nof two lines\n\nEnd of the Project Gutenberg Etext of X\n"
    )
    assert (book.text, book.title, book.number, book.markers) == (
        "A poem\nof two lines",
        "X",
        11,
        "small_print",
    )


def test_a_marker_alone_takes_a_fifth_at_most() -> None:
    lines = BODY.split("\n")
    for marker in (
        "*** START OF THE PROJECT GUTENBERG EBOOK X ***",
        "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*",
    ):
        late = "\n".join(["The Project Gutenberg Etext of X", *lines[:100], marker, *lines[100:]])
        assert strip(late).text == late
        early = "\n".join(["The Project Gutenberg Etext of X", *lines[:50], marker, *lines[50:]])
        assert strip(early).text == "\n".join(lines[50:]) and strip(early).markers == "one"
    cut = header() + BODY  # its end is missing
    assert strip(cut).text == BODY
    ended = BODY + "\n\nEnd of the Project Gutenberg EBook of X\n"
    assert strip(ended).text == BODY
    middle = "\n".join(
        [
            "Project Gutenberg's X",
            *lines[:200],
            "End of the Project Gutenberg EBook of X",
            *lines[200:],
        ]
    )
    assert strip(middle).text == middle


def test_the_declared_charset() -> None:
    assert declared_charset(b"Title: X\r\nCharacter set encoding: ISO-8859-1\r\n") == "ISO-8859-1"
    assert declared_charset(b"no header") == ""
