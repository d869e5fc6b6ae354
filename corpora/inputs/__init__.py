"""Input files: found by globs and lists, opened whatever their compression, read from archives."""
