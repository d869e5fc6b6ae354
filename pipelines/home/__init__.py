"""The home: its layout, its summaries and fingerprints, and which documents are kept."""
