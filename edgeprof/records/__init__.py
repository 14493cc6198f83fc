"""Measurements that are kept: the store, and the rows that predictors learn from."""
