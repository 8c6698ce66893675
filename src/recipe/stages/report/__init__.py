"""The evidence of all stages as pages."""
