"""Where text comes from: sources, their formats, and what makes clean text of them. No Beam, no
torch."""
