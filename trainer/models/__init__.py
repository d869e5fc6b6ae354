"""Models, each in one file, with the published parameter names."""
