"""Input formats: how documents are packed into samples."""
