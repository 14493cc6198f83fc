"""One predictor for several devices, told apart by their hardware parameters."""
