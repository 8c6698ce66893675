"""Image files that others made, decoded in a process of their own."""
