"""The home: where the files of a build lie, what counts as done, and what was decided."""
