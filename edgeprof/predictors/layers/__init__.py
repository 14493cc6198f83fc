"""Latencies of any network as sums of learned layer costs."""
