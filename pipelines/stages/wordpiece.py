"""WordPiece vocabularies: trained by `tokenizers`, or read from BERT's `vocab.txt`.

Text is normalised and cut into words as BERT does it, and a word into pieces, of which those after
the first begin with `##`. A word with a character that is not in the vocabulary, and one of more
than 100 characters, is the unknown token, so the vocabulary is not lossless.

`tokenizers` numbers the pieces of one character in the order of a hash table that differs from run
to run, and takes equally frequent characters by chance. So the characters are counted and numbered
here, and the trainer only makes the longer pieces. Ids: `[PAD]` 0, `[UNK]` 1, `[CLS]` 2, `[SEP]` 3,
`[MASK]` 4, the characters by code point, those inside a word with `##`, then the longer pieces.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.trainers import WordPieceTrainer

from shards.roles import BERT

INSIDE = "##"
"""What a piece begins with that continues a word."""

COVERED = 0.99999
"""Share of the text's characters that are in the alphabet; BERT's English vocabulary covers a
little less. The rest are mostly single characters of other scripts."""

LARGEST_ALPHABET = 0.25
"""The alphabet takes at most this share of the vocabulary, as most characters need two pieces."""


def wordpiece_tokenizer(vocabulary: Mapping[str, int], lowercase: bool) -> Tokenizer:
    """The tokenizer of a WordPiece vocabulary with BERT's normaliser and words.

    Accents are removed where letters are made lower case, as BERT does it.
    """
    model = models.WordPiece(dict(vocabulary), unk_token=BERT["unknown"])
    tokenizer = Tokenizer(model)
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.normalizer = normalizer  # type: ignore[assignment]
    before = pre_tokenizers.BertPreTokenizer()
    tokenizer.pre_tokenizer = before  # type: ignore[assignment]
    tokenizer.decoder = decoders.WordPiece(prefix=INSIDE)  # type: ignore[assignment]

    # They stand in the vocabulary already: this marks them, so that none is made of text.
    known = [name for name in BERT.values() if name in vocabulary]
    tokenizer.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in known]
    )
    return tokenizer


def train_wordpiece(
    texts: Callable[[], Iterable[str]], vocab_size: int, lowercase: bool
) -> Tokenizer:
    """Train on texts, which are read twice. There are fewer ids than `vocab_size` when the text has
    fewer pieces.

    The order of the texts does not matter.
    """
    # The trainer numbers what it is told to call special in that order, before all it finds itself.
    blank = wordpiece_tokenizer({BERT["unknown"]: 0}, lowercase)
    characters = alphabet(texts(), blank, vocab_size)
    first = [*BERT.values(), *characters]
    first += [INSIDE + character for character in characters if stands_inside(character)]

    trainer = WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=first,
        initial_alphabet=characters,
        limit_alphabet=len(characters),
        continuing_subword_prefix=INSIDE,
        show_progress=False,
    )
    blank.train_from_iterator(texts(), trainer)
    return wordpiece_tokenizer(blank.get_vocab(with_added_tokens=False), lowercase)


def alphabet(texts: Iterable[str], tokenizer: Tokenizer, vocab_size: int) -> list[str]:
    """The characters of a vocabulary, by code point: the most frequent ones of the texts, of equal
    ones the first by code point."""
    counts = Counter[str]()
    for text in normalised(texts, tokenizer):
        counts.update(text)
    for character in list(counts):
        if character.isspace():
            del counts[character]

    # A tie is broken by code point: the counter has the order in which it met them.
    wanted = COVERED * counts.total()
    most = max(1, int(LARGEST_ALPHABET * vocab_size))
    chosen: list[str] = []
    covered = 0
    for character, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if covered >= wanted or len(chosen) == most:
            break
        chosen.append(character)
        covered += count
    return sorted(chosen)


def normalised(texts: Iterable[str], tokenizer: Tokenizer) -> Iterator[str]:
    """The texts as the model sees them."""
    normalizer = tokenizer.normalizer
    for text in texts:
        yield normalizer.normalize_str(text)


def stands_inside(character: str) -> bool:
    """Whether a character can be inside a word, which BERT cuts at others."""
    # Asked of the library, since its own table of punctuation decides.
    before = pre_tokenizers.BertPreTokenizer()
    text = normalizers.BertNormalizer(lowercase=False).normalize_str(f"a{character}a")
    return len(before.pre_tokenize_str(text)) == 1


def read_vocab_txt(content: bytes) -> dict[str, int]:
    """Token -> id of BERT's `vocab.txt`: a token per line.

    Raises `ValueError` for a token that is there twice.
    """
    # Not `splitlines`: some tokens are characters that Python takes for line ends.
    lines = content.decode().replace("\r\n", "\n").removesuffix("\n").split("\n")
    vocabulary: dict[str, int] = {}
    for number, token in enumerate(lines):
        if token in vocabulary:
            raise ValueError(f"line {number + 1}: {token!r} is there twice")
        vocabulary[token] = number
    return vocabulary
