"""The shard: an Arrow IPC file of one uncompressed record batch, one row per document. Version 1;
`docs/format.md`.

Columns: `id: string` (32 hex digits, and `#2`, `#3` and so on for further copies of a document that
is repeated), `tokens: large_list<uint16 | uint32>`, `sentences:
large_list<uint32>` (lengths in tokens, which add up to the document's tokens). The schema's
metadata names the format, the source, the split and the tokenizer's digest, so that a file that was
swapped with another is recognised. A shard never contains a special id: the trainer adds them. (The
unknown token of a vocabulary that is not lossless is no special id.)
"""

import re

import pyarrow as pa

FORMAT = 1
"""The version that this code writes; it reads all up to it."""

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""The special tokens of RoBERTa, by the order of fairseq's dictionary."""

SPLITS = ("train", "valid")

MANIFEST = "manifest.json"

SIGNATURE = "manifest.json.sig"

TOKENIZER = "tokenizer.json"


def copy_id(id: str, copy: int) -> str:
    """The id of a copy of a document, counted from 1: that of the first is the document's own."""
    return id if copy == 1 else f"{id}#{copy}"


def document_id(id: str) -> str:
    """The id of the document that a copy is of."""
    return re.sub(r"#[0-9]+$", "", id)


def token_dtype(vocab_size: int) -> str:
    """uint16 up to 65,536 ids, uint32 above."""
    return "uint16" if vocab_size <= 65536 else "uint32"


def token_schema(dtype: str) -> pa.Schema:
    """The three columns of a shard; `dtype` is the type of the tokens."""

    def lengths_or_ids(type_: pa.DataType) -> pa.DataType:
        # large: offsets of 64 bits, since a shard may hold more than 2**31 tokens.
        return pa.large_list(pa.field("item", type_, nullable=False))

    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("tokens", lengths_or_ids(pa.type_for_alias(dtype)), nullable=False),
            pa.field("sentences", lengths_or_ids(pa.uint32()), nullable=False),
        ]
    )


def shard_schema(dtype: str, source: str, split: str, tokenizer_digest: str) -> pa.Schema:
    """`token_schema` with the metadata by which a file is recognised."""
    metadata = {
        "corpusmill.format": str(FORMAT),
        "corpusmill.source": source,
        "corpusmill.split": split,
        "corpusmill.tokenizer": tokenizer_digest,
    }
    return token_schema(dtype).with_metadata(metadata)


def shard_name(split: str, source: str, number: int) -> str:
    """The name of a shard file, such as `train-news-00000.arrow`."""
    return f"{split}-{source}-{number:05d}.arrow"
