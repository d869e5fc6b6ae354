"""How shards become a model: a compact, exact trainer for RoBERTa-like encoders."""
