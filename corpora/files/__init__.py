"""The source `files`: text, JSON lines, CSV, HTML, Parquet and archives of them."""
