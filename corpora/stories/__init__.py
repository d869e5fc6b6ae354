"""The source `stories`: pages that resemble questions of common sense."""
