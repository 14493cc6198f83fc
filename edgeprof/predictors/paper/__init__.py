"""The models of the paper, kept for comparison: a linear one and an MLP."""
