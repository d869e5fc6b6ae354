"""Masking: which tokens of a sample are predicted."""
