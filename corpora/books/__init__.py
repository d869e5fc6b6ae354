"""The source `books`: EPUB files and the plain text of Project Gutenberg, a document per book."""
