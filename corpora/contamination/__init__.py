"""Which documents hold passages of the test sets that models are judged by."""
