"""Rules of quality: measures of a text, and the rules that read them."""
