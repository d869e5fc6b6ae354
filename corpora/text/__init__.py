"""Text: normalization, character sets, languages, character tables, addresses."""
