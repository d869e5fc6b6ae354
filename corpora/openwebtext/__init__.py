"""The source `openwebtext`: the release, or pages that submissions to Reddit link to."""
