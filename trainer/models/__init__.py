"""Models: one encoder, small heads, and the published names of each family."""
