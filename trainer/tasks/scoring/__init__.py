"""Scores of predictions, equal to those of the official scorers to the last digit."""
