"""Predictors as source or model files for other programs: C and ONNX."""
