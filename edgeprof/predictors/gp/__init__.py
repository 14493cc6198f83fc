"""The default predictor: a Gaussian process over physical quantities of layers."""
