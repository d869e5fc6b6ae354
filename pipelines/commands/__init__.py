"""The commands of `corpus`, one per file."""
