"""The report: figures, examples and the page that shows them."""
