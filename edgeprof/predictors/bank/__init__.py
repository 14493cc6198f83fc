"""Latencies on any board from few measurements: what devices share, learned from many of them."""
