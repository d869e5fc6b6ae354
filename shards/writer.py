"""Writing a shard: arrays in, one Arrow file out, with its entry for the manifest.

Memory: the arrays of one shard (2 or 4 bytes per token) and nothing else, since a shard is one
record batch.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shards.format import shard_schema
from shards.manifest import ShardEntry
from shards.storage import files


def token_batch(
    ids: pa.Array,
    tokens: NDArray[np.generic],
    token_ends: NDArray[np.int64],
    sentences: NDArray[np.uint32],
    sentence_ends: NDArray[np.int64],
    schema: pa.Schema,
) -> pa.RecordBatch:
    """The record batch of D documents with T tokens in S sentences.

    `ids`: D strings; `tokens` (T,) uint16 or uint32, of all documents; `token_ends` (D + 1,) int64
    offsets into them, from 0; `sentences` (S,) uint32 lengths in tokens; `sentence_ends` (D + 1,)
    int64 offsets into those, from 0; `schema`: `token_schema` of the tokens' type.
    """
    token_list = pa.LargeListArray.from_arrays(
        pa.array(token_ends, pa.int64()), pa.array(tokens), type=schema.field("tokens").type
    )
    sentence_list = pa.LargeListArray.from_arrays(
        pa.array(sentence_ends, pa.int64()),
        pa.array(sentences),
        type=schema.field("sentences").type,
    )
    return pa.record_batch([ids, token_list, sentence_list], schema=schema)


def write_shard(
    directory: str, name: str, batch: pa.RecordBatch, split: str, source: str, tokenizer_digest: str
) -> ShardEntry:
    """Write `batch` (of `token_batch`) as `directory/name` and return its entry."""
    with files.open_output(files.join(directory, name)) as output:
        write_batch(output, batch, split, source, tokenizer_digest)

    return ShardEntry(
        file=name,
        split=split,  # type: ignore[arg-type]
        source=source,
        bytes=output.bytes,
        digest=output.digest,
        documents=batch.num_rows,
        sentences=len(batch.column("sentences").flatten()),
        tokens=len(batch.column("tokens").flatten()),
    )


def write_batch(
    output: files.Output, batch: pa.RecordBatch, split: str, source: str, tokenizer_digest: str
) -> None:
    """Write `batch` (of `token_batch`) as the one record batch of a shard's file."""
    dtype = str(batch.column("tokens").type.value_type)
    schema = shard_schema(dtype, source, split, tokenizer_digest)
    # The batch was built without the metadata, and a file has no batch of another schema.
    with pa.ipc.new_file(output, schema) as writer:
        writer.write_batch(batch.replace_schema_metadata(schema.metadata))
