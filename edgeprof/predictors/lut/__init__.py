"""Lookup tables of block latencies, and the predictor that sums them."""
