"""Unigram vocabularies, trained by sentencepiece (Kudo 2018, "Subword Regularization") from counted
words, as T5's and XLNet's are.

A space belongs to the word behind it and is written as U+2581. A character that the vocabulary
lacks becomes the unknown token, so the vocabulary is not lossless.

The trainer of `tokenizers` gives other scores and ids in each process, since it adds them up in the
order of a hash table. That of sentencepiece depends on the order of its input and the number of its
threads alone: it gets sorted words and one thread, so the order of the texts does not matter.

Ids: `<s>` 0, `<pad>` 1, `</s>` 2, `<unk>` 3, the pieces by their probability, `<mask>` last.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from pipelines.stages.given_tokenizer import keep_text_as_text, special
from shards.errors import UserError
from shards.roles import ROBERTA, ROLES

FIRST = tuple(ROBERTA[role] for role in ROLES[:-1])
"""The special tokens before all others."""

COVERED = 0.9999
"""Share of the text's characters that are in the alphabet; sentencepiece's own default, 0.9995,
would lose rare letters of alphabets with accents."""

LONGEST_WORD = 8192
"""Bytes; longer words are left out."""

Pieces = list[tuple[str, float]]
"""Pieces and the logarithms of their probabilities."""


def train_unigram(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train on lines of text. There are fewer ids than `vocab_size` when they have fewer pieces.

    Raises `UserError` where `vocab_size` is less than the characters need.
    """
    pieces = trained_pieces(counted_words(texts), vocab_size - len(ROLES))
    return unigram_tokenizer(pieces)


def counted_words(texts: Iterable[str]) -> Counter[str]:
    """The words of lines with their counts, each with the space before it."""
    words = Counter[str]()
    for line in texts:
        first, *others = line.split(" ")
        words[first] += 1
        words.update(f" {word}" for word in others)
    # What an empty line counts.
    del words[""]
    return words


def trained_pieces(words: Counter[str], size: int) -> Pieces:
    """At most so many pieces of counted words, the most probable first."""
    import sentencepiece

    # It reads counts from a file only.
    with tempfile.TemporaryDirectory() as folder:
        table = os.path.join(folder, "words.tsv")
        with open(table, "w", encoding="utf-8", newline="\n") as stream:
            for word, count in sorted(words.items()):
                stream.write(f"{word}\t{count}\n")
        try:
            sentencepiece.SentencePieceTrainer.train(
                input=table,
                input_format="tsv",
                model_prefix=os.path.join(folder, "pieces"),
                model_type="unigram",
                # One more for its unknown token, which has no place of its own in our ids.
                vocab_size=size + 1,
                hard_vocab_limit=False,
                character_coverage=COVERED,
                max_sentence_length=LONGEST_WORD,
                # The text is normalised already, and its spaces are meant.
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                add_dummy_prefix=False,
                unk_id=0,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                # Sums depend on the number of threads.
                num_threads=1,
                minloglevel=2,
            )
        except RuntimeError as error:
            raise UserError(
                f"tokenizer.vocab_size: {size + len(ROLES):,} is not possible for this text: "
                f"{' '.join(str(error).split())}",
                "ask for more ids in tokenizer.vocab_size, or train on more text",
            ) from None
        with open(os.path.join(folder, "pieces.vocab"), encoding="utf-8", newline="\n") as stream:
            lines = stream.read().removesuffix("\n").split("\n")

    pieces = []
    for line in lines[1:]:
        piece, _, score = line.rpartition("\t")
        # A text may hold the name of a special token, which is no piece.
        if piece not in ROBERTA.values():
            pieces.append((piece, float(score)))
    return pieces


def unigram_tokenizer(pieces: Pieces) -> Tokenizer:
    """The tokenizer of pieces, with RoBERTa's special tokens, that keeps text as text."""
    vocabulary = [*((name, 0.0) for name in FIRST), *pieces]
    unknown = FIRST.index(ROBERTA["unknown"])
    tokenizer = Tokenizer(models.Unigram(vocabulary, unknown, False))
    # A sentence behind another one begins with the space that the text has there, if any.
    before = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.pre_tokenizer = before  # type: ignore[assignment]
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")  # type: ignore[assignment]
    for name in (*FIRST, ROBERTA["mask"]):
        tokenizer.add_special_tokens([special(name)])
    # Special tokens are pieces like any other, which a page must not be able to name.
    return keep_text_as_text(tokenizer)
