"""The stages of a build, in order: survey, ingest, rules, exact, near, tokenizer, shards."""
