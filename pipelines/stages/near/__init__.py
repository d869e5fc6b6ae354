"""Stage `near`: near-duplicates, from signatures to the decision."""
