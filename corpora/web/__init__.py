"""Web pages: archive records, HTTP bodies, and the text of an HTML page."""
