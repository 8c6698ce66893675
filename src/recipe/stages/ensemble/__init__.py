"""Members are trained, chosen and weighted on validation; the result is scored once on test."""
