"""What differs from wiki to wiki, by the code of its language: one file per concern."""
