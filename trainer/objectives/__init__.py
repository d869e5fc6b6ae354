"""Training objectives: what is predicted, and the loss."""
