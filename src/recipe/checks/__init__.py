"""Claims about a training (a Setup), one subject a file."""
