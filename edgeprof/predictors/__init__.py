"""Latency predictors: the paper's, its baselines, and the default model."""

from edgeprof.predictors.load import load_predictor

__all__ = ["load_predictor"]
