"""How sources become shards: stages as plain functions, Beam around them, and the home they work
in."""
