"""Decodes image files that may be damaged or hostile, in separate processes."""
