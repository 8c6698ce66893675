"""Claims, measured: one subject a file."""
