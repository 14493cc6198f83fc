"""Many boards: one queue for each kind, retries, resumption."""
