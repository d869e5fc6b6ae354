"""The commands of `trainer`, one in a file, and what several of them need."""
