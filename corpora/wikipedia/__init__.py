"""The source `wikipedia`: articles from a dump of any language."""
