"""How good predictions are, with intervals: scores, calibration, comparison, statistical power."""
