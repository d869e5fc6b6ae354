"""Progress: what workers count, what is summed up, and how it is displayed."""
