"""From shards to micro-batches: samples, their order, and the loader."""
